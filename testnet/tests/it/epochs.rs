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
    let harvest = load.finish().await;
    ensure!(harvest.failures.is_empty(), "{:?}", harvest.failures);
    let mut epochs = BTreeSet::new();
    for handed in &harvest.answers {
        accepted(&network, &handed.answer).await?;
        epochs.insert(proof_of(&handed.answer).epoch);
    }
    ensure!(epochs.len() >= 4, "certificates of {epochs:?} only");
    println!(
        "{} certificates in epochs {epochs:?}",
        harvest.answers.len()
    );

    // What an old set signed stays good, and every operator still has it.
    let first = harvest.answers.first().map(|handed| handed.answer.task_id);
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
