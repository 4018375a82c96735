//! A set as large as sets may be, with more candidates on chain.

use quorate_proto::limits::MAX_OPERATORS;

use super::*;
use crate::support::figure;

/// Those that run: together more than two thirds of any set that they are in.
const STAKES: [u64; 5] = [4_000, 3_000, 2_000, 1_500, 1_000];
/// A few more than there is room for.
const CROWD: usize = MAX_OPERATORS + 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_candidates_makes_a_set_that_every_chain_can_take() -> Outcome {
    let _turn = turn().await;
    let deployment = DeploymentOptions {
        stakes: STAKES.to_vec(),
        // Two blocks for each of the crowd, and some.
        epoch_length: 1_200,
        grace: 60,
        light: true,
        ..DeploymentOptions::default()
    };
    let options = NetworkOptions {
        deployment,
        ..NetworkOptions::default()
    };
    let network = LocalNetwork::start(options).await?;
    let deployment = &network.deployment;
    let first = deployment.epoch().await?;
    deployment.crowd(CROWD, 1).await?;
    let next = first.next();
    reach_grace_before(&network, next).await?;
    let found = handed_over(&network, 0, next).await?;
    ensure!(
        found.set.members().len() == MAX_OPERATORS,
        "{}",
        found.set.members().len()
    );
    for (account, _) in &deployment.operators {
        ensure!(found.set.get(*account).is_some(), "{account} was replaced");
    }
    reach(&network, next).await?;
    push(&network, 0, &[])
        .await?
        .says(0, &[&format!("epoch {next}: 0x")])?;
    seal(&network, 1).await?.says(0, &["epoch"])?;
    let block = network.set_value(7, 100).await?;
    let answer = certify(&network, 0, 7, block).await?;
    ensure!(answer.certificate.statement().epoch() == next);
    accepted_everywhere(&network, &answer).await?;
    for node in &network.operators {
        let offences = figure(node, "quorate_offences_total", "").await?;
        ensure!(
            offences == 0.0,
            "{} blames peers for {offences} faults",
            node.name
        );
    }
    Ok(())
}
