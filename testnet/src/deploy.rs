//! Prepares a network on two chains that run elsewhere, for nodes that another process starts: what
//! docker-compose needs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::providers::Provider;
use anyhow::{Context, Result, bail, ensure};
use libp2p::Multiaddr;
use quorate_chain::anvil::AnvilChain;
use quorate_proto::U256;

use crate::deployment::{HOME_CHAIN, SOURCE_CHAIN};
use crate::folder::{CONFIRMATIONS, NodeFolder, PASSWORD};
use crate::{Deployment, DeploymentOptions, wait};

/// Where the network is to be made.
#[derive(Clone, Debug, clap::Args)]
pub struct DeployOptions {
    /// RPC URL of the home chain, an anvil with chain id 31337, as the nodes will reach it.
    #[arg(long)]
    pub home_rpc: String,
    /// RPC URL of the source chain, an anvil with chain id 31338, as the nodes will reach it.
    #[arg(long)]
    pub source_rpc: String,
    /// Folder for the nodes' folders. What an earlier run left there for them is replaced.
    #[arg(long)]
    pub out: PathBuf,
}

/// How long the chains may take to answer.
const CHAINS_UP: Duration = Duration::from_secs(30);
/// Ports of every node: each has a host of its own.
const PORT: u16 = 9_000;
const HTTP_PORT: u16 = 9_080;
/// What is stored for a first question.
const EXAMPLE: (u64, u64) = (7, 4_242);

/// Deploys the contracts, registers five operators, stores a value, writes the nodes' folders. Does
/// nothing where an earlier run did that on the same chains: `docker compose up` runs it each time.
///
/// # Errors
/// Chains that do not answer, transactions that fail, a folder that cannot be written.
pub async fn run(options: &DeployOptions) -> Result<()> {
    let (home, source) = tokio::try_join!(
        chain(&options.home_rpc, HOME_CHAIN),
        chain(&options.source_rpc, SOURCE_CHAIN)
    )?;
    let file = options.out.join("example.env");
    if stands(&file, &home, &source).await? {
        println!(
            "what {} tells of is on these chains already",
            file.display()
        );
        return Ok(());
    }
    removed(std::fs::remove_file(&file), &file)?;
    println!("chains answer; deploying the contracts and registering operators");
    let choice = DeploymentOptions::default();
    let deployment = Deployment::on(home, source, &choice).await?;
    let bootstrap = write_node(&deployment, &options.out, None, &[])?;
    for number in 0..choice.stakes.len() {
        write_node(
            &deployment,
            &options.out,
            Some(number),
            std::slice::from_ref(&bootstrap),
        )?;
    }
    let example = example(&deployment).await?;
    std::fs::write(&file, &example).with_context(|| format!("cannot write {}", file.display()))?;
    println!(
        "registry-0 and operator-0 to operator-{} have their folders in {} (password {PASSWORD:?})",
        choice.stakes.len() - 1,
        options.out.display()
    );
    print!(
        "what is deployed, and a value to ask for, in {}:\n{example}",
        file.display()
    );
    Ok(())
}

/// Whether both chains hold what an earlier run wrote of in `example`.
async fn stands(example: &Path, home: &AnvilChain, source: &AnvilChain) -> Result<bool> {
    let text = std::fs::read_to_string(example).unwrap_or_default();
    for (name, chain) in [("REGISTRY=", home), ("STATE_MANAGER=", source)] {
        let address = text.lines().find_map(|line| line.strip_prefix(name));
        let Some(address) = address.and_then(|text| text.parse().ok()) else {
            return Ok(false);
        };
        if chain.provider().get_code_at(address).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The chain, as soon as it answers.
async fn chain(url: &str, chain_id: u64) -> Result<AnvilChain> {
    let what = format!("an answer of the chain at {url}");
    let chain = wait::until(&what, CHAINS_UP, || async {
        match AnvilChain::attach(url).await {
            Ok(chain) => Some(Ok(chain)),
            Err(quorate_chain::anvil::AnvilError::Request(_)) => None,
            Err(other) => Some(Err(other)),
        }
    })
    .await??;
    let found = chain.chain_id();
    if found != chain_id {
        bail!(
            "the chain at {url} has chain id {found}, expected {chain_id}: start it with `anvil --chain-id {chain_id}`"
        );
    }
    ensure!(
        !chain.accounts().is_empty(),
        "the chain at {url} signs for no accounts; it must be an anvil"
    );
    Ok(chain)
}

/// Its address in the network.
fn write_node(
    deployment: &Deployment,
    out: &Path,
    operator: Option<usize>,
    bootstrap: &[Multiaddr],
) -> Result<Multiaddr> {
    let folder = NodeFolder {
        number: operator.unwrap_or(0),
        relayer: false,
        relayers: 0,
        operator,
        engine: "rocksdb",
        log: "info,libp2p=warn,libp2p_swarm=warn",
        http: format!("0.0.0.0:{HTTP_PORT}"),
        listen: vec![
            format!("/ip4/0.0.0.0/tcp/{PORT}"),
            format!("/ip4/0.0.0.0/udp/{PORT}/quic-v1"),
        ],
        bootstrap,
        home: vec![deployment.home.endpoint()],
        source: vec![deployment.source.endpoint()],
        reads: None,
    };
    let name = folder.name();
    let old = out.join(&name);
    removed(std::fs::remove_dir_all(&old), &old)?;
    folder.write(out, deployment)?;
    Ok(format!("/dns4/{name}/tcp/{PORT}/p2p/{}", folder.peer_id()?).parse()?)
}

/// Whether it was there or not.
fn removed(result: std::io::Result<()>, what: &Path) -> Result<()> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot replace {}", what.display()))
        }
        _ => Ok(()),
    }
}

/// Stores a value and tells how to ask for it.
async fn example(deployment: &Deployment) -> Result<String> {
    let (key, value) = EXAMPLE;
    let (chain, user) = (&deployment.source, deployment.user());
    let values = [(U256::from(key), U256::from(value))];
    let block = chain
        .set_values(deployment.state_manager, user, &values)
        .await?;
    chain.mine(CONFIRMATIONS).await?;
    Ok(format!(
        "REGISTRY={}\nSTATE_MANAGER={}\nCHAIN={SOURCE_CHAIN}\nWHO={user}\nKEY={key}\nBLOCK={block}\n",
        deployment.registry, deployment.state_manager
    ))
}
