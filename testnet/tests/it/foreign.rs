//! A client that shares nothing with this project but the .proto files and docs/wire.md.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use quorate_proto::U256;
use serde_json::Value;

use crate::support::command::{CommandOutput, run};
use crate::support::{Outcome, certify, turn, usual_network};

/// Runs the JavaScript client.
async fn request(args: &[&str]) -> Result<CommandOutput> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/js");
    ensure!(
        dir.join("node_modules").is_dir(),
        "the packages of {} are not installed; run `make tools`",
        dir.display()
    );
    let script = dir.join("request.mjs");
    let script = script.to_str().context("a path that is no text")?;
    let ran = run(Path::new("node"), &[&[script], args].concat()).await;
    ran.context("Node.js runs the foreign client; `make tools` says which version")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_written_from_the_documents_gets_and_checks_a_certificate() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?.to_string();
    let (to, user) = (
        network.operators[0].address.to_string(),
        network.user().to_string(),
    );
    let home = network.deployment.home.endpoint();
    let question = [
        "--to", &to, "--chain", "31338", "--user", &user, "--key", "7",
    ];
    let ran = request(&[&question[..], &["--block", &block, "--rpc", &home]].concat())
        .await?
        .says(0, &[])?;
    let events: Vec<Value> = ran
        .stdout
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let certificate = events.last().context("no event")?;
    ensure!(certificate["event"] == "certificate", "{events:?}");
    ensure!(
        certificate["checked_against"] == "the registry",
        "{certificate}"
    );
    ensure!(certificate["statement"]["value"] == "100", "{certificate}");
    ensure!(
        events.iter().any(|event| event["event"] == "progress"),
        "{events:?}"
    );

    // It means the same by it as our own client.
    let block: u64 = block.parse()?;
    let own = certify(&network, 0, 7, block).await?;
    ensure!(
        own.stored && certificate["task_id"] == own.task_id.to_string(),
        "{certificate}"
    );
    ensure!(
        certificate["digest"] == own.digest.to_string(),
        "{certificate}"
    );
    ensure!(U256::from(100) == crate::support::proof_of(&own).value);

    // Without the registry it checks against the set that the operator names.
    let block = block.to_string();
    let ran = request(&[&question[..], &["--block", &block]].concat()).await?;
    ran.says(0, &["the set that the operator names"])?;
    let ran = request(&[&question[..], &["--block", &block, "--timeline"]].concat())
        .await?
        .says(0, &["TASK_STATE_COMPLETED"])?;
    let record: Value = serde_json::from_str(ran.stdout.lines().last().context("no event")?)?;
    let events = record["events"].as_array().context("no events")?;
    let has = |kind: &str| events.iter().any(|event| event["kind"] == kind);
    ensure!(
        ["opened", "asked", "read", "answered", "certified"]
            .into_iter()
            .all(has),
        "{record}"
    );
    let height = network.deployment.source.height().await?.to_string();
    request(&[&question[..], &["--block", &height]].concat())
        .await?
        .says(1, &["NOT_FINAL"])?;
    Ok(())
}
