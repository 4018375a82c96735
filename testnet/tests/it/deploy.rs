//! A network on chains that run elsewhere, as containers have it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use quorate_chain::anvil::{AnvilChain, AnvilOptions};
use quorate_testnet::NodeProcess;
use quorate_testnet::process::free_ports;

use crate::support::command::{node, run};
use crate::support::{Outcome, turn};

/// Moves a node from a host of its own to free ports of this one. The process, not started.
fn moved_here(out: &Path, name: &str, registry_port: u16, port: u16) -> Result<NodeProcess> {
    let dir = out.join(name);
    let file = dir.join("config.toml");
    let [http, _] = free_ports()?;
    let http = format!("127.0.0.1:{http}");
    let config = std::fs::read_to_string(&file)?
        .replace(
            "/ip4/0.0.0.0/tcp/9000",
            &format!("/ip4/127.0.0.1/tcp/{port}"),
        )
        .replace(
            "/ip4/0.0.0.0/udp/9000",
            &format!("/ip4/127.0.0.1/udp/{port}"),
        )
        .replace(
            "/dns4/registry-0/tcp/9000",
            &format!("/ip4/127.0.0.1/tcp/{registry_port}"),
        )
        .replace("0.0.0.0:9080", &http);
    ensure!(
        !config.contains("9000") && !config.contains("9080"),
        "{config}"
    );
    std::fs::write(&file, config)?;
    let address = format!("/ip4/127.0.0.1/tcp/{port}").parse()?;
    Ok(NodeProcess::new(name.into(), dir, address, http))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_network_certifies_its_example() -> Outcome {
    let _turn = turn().await;
    let chain = |chain_id| {
        AnvilChain::start(AnvilOptions {
            chain_id,
            ..AnvilOptions::default()
        })
    };
    let (home, source) = (chain(31_337).await?, chain(31_338).await?);
    let folder = tempfile::tempdir()?;
    let out = folder.path().to_str().context("a path that is no text")?;
    let program = Path::new(env!("CARGO_BIN_EXE_quorate-testnet"));
    let deploy = |home: String, source: String| async move {
        let args = [
            "deploy",
            "--home-rpc",
            &home,
            "--source-rpc",
            &source,
            "--out",
            out,
        ];
        run(program, &args).await
    };
    // Both are wrong; whichever answers first is named.
    deploy(source.endpoint(), home.endpoint())
        .await?
        .says(1, &["has chain id 3133", "expected 3133"])?;
    // What an earlier run left is replaced: its store belongs to another network.
    std::fs::create_dir_all(folder.path().join("operator-0/data/store"))?;
    deploy(home.endpoint(), source.endpoint())
        .await?
        .says(0, &["operator-4", "STATE_MANAGER=0x"])?;
    ensure!(!folder.path().join("operator-0/data").exists());

    let [registry_port, _] = free_ports()?;
    let mut nodes = vec![moved_here(
        folder.path(),
        "registry-0",
        registry_port,
        registry_port,
    )?];
    for number in 0..5 {
        let [port, _] = free_ports()?;
        let name = format!("operator-{number}");
        nodes.push(moved_here(folder.path(), &name, registry_port, port)?);
    }
    for node in &mut nodes {
        node.start()?;
    }
    for node in &mut nodes {
        node.ready().await?;
    }
    // Their folders stay theirs.
    deploy(home.endpoint(), source.endpoint())
        .await?
        .says(0, &["already"])?;
    ensure!(folder.path().join("operator-0/data").exists());
    let example = std::fs::read_to_string(folder.path().join("example.env"))?;
    let value = |name: &str| {
        let line = example.lines().find_map(|l| l.strip_prefix(name));
        line.and_then(|l| l.strip_prefix('='))
            .context("not in example.env")
    };
    let to = nodes[1].address.to_string();
    let question = [
        "request",
        "state",
        "--to",
        &to,
        "--chain",
        value("CHAIN")?,
        "--user",
        value("WHO")?,
        "--key",
        value("KEY")?,
        "--block",
        value("BLOCK")?,
    ];
    node(&question).await?.says(0, &["4242"])?;
    Ok(())
}
