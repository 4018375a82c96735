//! A source chain that changes its mind.

use anyhow::ensure;
use quorate_proto::wire::ErrorCode;
use quorate_proto::{Address, StateProof, U256};
use quorate_testnet::LocalNetwork;
use quorate_testnet::network::CONFIRMATIONS;

use crate::support::{Outcome, certify, failure_of, proof_of, turn, usual_network};

/// Stores a value in a block that is not final yet.
async fn set_unsettled(network: &LocalNetwork, key: u64, value: u64) -> anyhow::Result<u64> {
    let chain = &network.deployment.source;
    let user: Address = network.user();
    let values = [(U256::from(key), U256::from(value))];
    Ok(chain
        .set_values(network.deployment.state_manager, user, &values)
        .await?)
}

/// No operator has begun a task with this value.
async fn nobody_saw(network: &LocalNetwork, value: u64) -> anyhow::Result<()> {
    for node in &network.operators {
        let tasks: Vec<quorate_node::api::TaskLine> = node.get("/tasks?limit=1000").await?;
        for line in tasks {
            let report = node.task(&line.task_id).await?;
            let stated = report.statement.statement();
            let is_it = |proof: &StateProof| proof.value == U256::from(value);
            ensure!(
                !stated.state_proof().is_some_and(is_it),
                "{}: {report:?}",
                node.name
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reorg_takes_back_was_never_certified() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let source = &network.deployment.source;
    let settled = network.set_value(7, 100).await?;
    certify(&network, 0, 7, settled).await?;
    let client = network.client(0).await?;

    // A new value of an old key, and a new key, in blocks that will be replaced.
    let changed = set_unsettled(&network, 7, 666).await?;
    let created = set_unsettled(&network, 8, 666).await?;
    for (key, block) in [(7, changed), (8, created)] {
        for entry in 0..5 {
            let asked = network
                .client(entry)
                .await?
                .request_state(&network.question(key, block), |_| {})
                .await;
            let failure = failure_of(asked)?;
            ensure!(
                failure.code == ErrorCode::NotFinal && failure.retryable,
                "{failure:?}"
            );
        }
    }
    source.reorg(2).await?;
    source.mine(2 * CONFIRMATIONS).await?;
    ensure!(source.height().await? >= created + CONFIRMATIONS);

    for entry in 0..5 {
        let answer = certify(&network, entry, 7, changed).await?;
        ensure!(
            proof_of(&answer).value == U256::from(100),
            "operator {entry} still tells the old branch"
        );
    }
    let failure = failure_of(
        client
            .request_state(&network.question(8, created), |_| {})
            .await,
    )?;
    ensure!(failure.code == ErrorCode::NoHistory, "{failure:?}");
    nobody_saw(&network, 666).await?;

    // Stored once more on the new branch, it becomes final like anything else.
    let again = network.set_value(8, 667).await?;
    let answer = certify(&network, 2, 8, again).await?;
    ensure!(proof_of(&answer).value == U256::from(667));
    Ok(())
}

/// Questions that wait for finality while the chain is replaced under them, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn the_branch_that_became_final_is_the_one_that_is_certified() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let source = &network.deployment.source;
    for round in 0..5_u64 {
        let lost = set_unsettled(&network, 7, 1_000 + round).await?;
        source.mine(CONFIRMATIONS - 1).await?;
        let asked = network
            .client(0)
            .await?
            .request_state(&network.question(7, lost), |_| {})
            .await;
        let failure = failure_of(asked)?;
        ensure!(failure.code == ErrorCode::NotFinal, "{failure:?}");
        source.reorg(CONFIRMATIONS).await?;
        let kept = network.set_value(7, round).await?;
        ensure!(kept > lost);
        let answer = certify(&network, 1, 7, kept).await?;
        ensure!(proof_of(&answer).value == U256::from(round));
    }
    for round in 0..5 {
        nobody_saw(&network, 1_000 + round).await?;
    }
    Ok(())
}
