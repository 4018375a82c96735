//! A node that cannot sign is alive, is not ready, and says why.

use anyhow::{Result, ensure};
use quorate_node::api::{Live, NotReady, Ready};
use quorate_testnet::{NodeProcess, wait};

use crate::support::command::node;
use crate::support::{Outcome, SOON, certify, turn, usual_network};

/// Waits until a node is not ready for this reason, and says so in these words.
async fn not_ready(node: &NodeProcess, code: &str, phrase: &str) -> Outcome {
    let what = format!("{} not ready: {code}", node.name);
    wait::until(&what, SOON, || async {
        let ready: Ready = node.get("/ready").await.ok()?;
        let is_it = |line: &NotReady| line.code == code && line.detail.contains(phrase);
        (!ready.ready && ready.reasons.iter().any(is_it)).then_some(())
    })
    .await
}

async fn ready(node: &NodeProcess) -> Result<()> {
    wait::until(&format!("{} ready", node.name), SOON, || async {
        let ready: Ready = node.get("/ready").await.ok()?;
        (ready.ready && ready.reasons.is_empty() && ready.degraded.is_empty()).then_some(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lacks_the_others_is_alive_and_not_ready() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    for node in network.registries.iter().chain(&network.operators) {
        ready(node).await?;
    }
    let http = network.operators[0].http.clone();
    node(&["status", "--ready", "--http", &http])
        .await?
        .says(0, &["Ready"])?;

    // 40 and 30 of 115 are left, 77 are needed; nobody noticed yet that nothing can be certified.
    for victim in &mut network.operators[2..] {
        victim.kill()?;
    }
    not_ready(&network.operators[0], "peers", " 70000000000000000000 ").await?;
    let live: Live = network.operators[0].get("/live").await?;
    ensure!(live.live);
    let ran = node(&["status", "--ready", "--json", "--http", &http]).await?;
    let ran = ran.says(2, &["not ready to sign"])?;
    let told: Ready = serde_json::from_str(&ran.stdout)?;
    ensure!(!told.ready && told.reasons.len() == 1, "{told:?}");

    // 20 more are enough.
    network.operators[2].start()?;
    network.operators[2].ready().await?;
    ready(&network.operators[0]).await?;
    let block = network.set_value(7, 100).await?;
    certify(&network, 0, 7, block).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_is_not_ready() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let client = network.client(0).await?;
    for other in &mut network.operators[1..] {
        other.kill()?;
    }
    // Under way for 15 s, since nobody answers: so long the node waits with its end.
    let (begun, mut progress) = tokio::sync::mpsc::channel(64);
    let question = network.question(7, block);
    let asked = tokio::spawn(async move {
        let told = |_| {
            let _ = begun.try_send(());
        };
        client.request_state(&question, told).await
    });
    ensure!(progress.recv().await.is_some(), "{:?}", asked.await);
    let entry = &mut network.operators[0];
    let pid = entry.pid().map(|pid| pid.to_string()).unwrap_or_default();
    std::process::Command::new("kill").arg(pid).status()?;
    not_ready(entry, "draining", "another operator").await?;
    let status = entry.ended(std::time::Duration::from_secs(30)).await?;
    ensure!(status.success() && asked.await?.is_err(), "{status}");
    Ok(())
}
