//! Epochs turn while requests run.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use quorate_testnet::{DeploymentOptions, LocalNetwork, NetworkOptions};
use tokio::time::interval;

use crate::support::load::Load;
use crate::support::{Outcome, accepted, proof_of, stored, turn};

const LENGTH: u64 = 20;
const EPOCHS: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_notices_that_epochs_turn() -> Outcome {
    let _turn = turn().await;
    let deployment = DeploymentOptions {
        epoch_length: LENGTH,
        grace: 5,
        ..DeploymentOptions::default()
    };
    let network = LocalNetwork::start(NetworkOptions {
        deployment,
        ..NetworkOptions::default()
    })
    .await?;
    let load = Load::start(&network, &[0, 1, 4], 8).await?;
    load.goes_on(20).await?;
    let mut pace = interval(Duration::from_millis(80));
    for _ in 0..EPOCHS * LENGTH {
        pace.tick().await;
        network.deployment.home.mine(1).await?;
    }
    load.goes_on(20).await?;
    let result = load.finish().await;
    ensure!(result.failures.is_empty(), "{:?}", result.failures);
    let mut epochs = BTreeSet::new();
    for delivered in &result.answers {
        accepted(&network, &delivered.answer).await?;
        epochs.insert(proof_of(&delivered.answer).epoch);
    }
    ensure!(epochs.len() >= 4, "certificates of {epochs:?} only");
    println!("{} certificates in epochs {epochs:?}", result.answers.len());

    // What an old set signed stays good, and every operator still has it.
    let first = result
        .answers
        .first()
        .map(|delivered| delivered.answer.task_id);
    for (number, node) in network.operators.iter().enumerate() {
        ensure!(node.status().await?.problems.is_empty());
        if let Some(task) = first {
            accepted(
                &network,
                &stored(&network.client(number).await?, task).await?,
            )
            .await?;
        }
    }
    Ok(())
}
