//! How much weight may be missing.

use std::time::{Duration, Instant};

use anyhow::ensure;
use quorate_proto::U256;
use quorate_proto::wire::ErrorCode;

use crate::support::{Outcome, certify, ether, failure_of, joined, turn, usual_network};

/// Of 115 ether a certificate needs floor(2 * 115e18 / 3) + 1 wei.
fn threshold() -> U256 {
    ether(115) * U256::from(2) / U256::from(3) + U256::from(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn less_than_a_third_offline_is_not_noticed_and_more_is_named() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let first = network.set_value(7, 100).await?;
    let second = network.set_value(7, 200).await?;
    network.operators[2].kill()?;
    network.operators[3].kill()?;
    // 80 ether are left.
    let answer = certify(&network, 0, 7, first).await?;
    ensure!(answer.certificate.signatures().len() == 3, "{answer:?}");

    network.operators[4].kill()?;
    // 70 ether are left.
    let client = network.client(0).await?;
    let began = Instant::now();
    let failure = failure_of(
        client
            .request_state(&network.question(7, second), |_| {})
            .await,
    )?;
    let took = began.elapsed();
    ensure!(
        failure.code == ErrorCode::Expired && failure.retryable,
        "{failure:?}"
    );
    ensure!(
        (Duration::from_secs(14)..Duration::from_secs(20)).contains(&took),
        "after {took:?}"
    );
    let accounts = |numbers: &[usize]| -> Vec<_> {
        let mut accounts: Vec<_> = numbers
            .iter()
            .map(|n| network.deployment.operators[*n].0)
            .collect();
        accounts.sort_unstable();
        accounts
    };
    ensure!(
        failure.missing == accounts(&[2, 3, 4]) && failure.refusals.is_empty(),
        "{failure:?}"
    );
    let progress = failure
        .progress
        .ok_or_else(|| anyhow::anyhow!("no progress"))?;
    ensure!(
        progress.signed_weight == ether(70) && progress.threshold == threshold(),
        "{progress:?}"
    );
    ensure!(
        progress.total_weight == ether(115) && progress.attempt == 3,
        "{progress:?}"
    );
    let missing = threshold() - ether(70);
    ensure!(
        failure.message.contains(&format!("{missing} is missing")),
        "{}",
        failure.message
    );
    for operator in &failure.missing {
        ensure!(
            failure.message.contains(&operator.to_string()),
            "{}",
            failure.message
        );
    }
    let report = network.operators[0]
        .task(&progress.task_id.to_string())
        .await?;
    ensure!(
        report.status == "expired" && report.missing_weight == Some(missing.to_string()),
        "{report:?}"
    );

    // As the error says: the same request succeeds once enough are back.
    network.operators[4].start()?;
    network.operators[4].ready().await?;
    joined(&network, &network.operators[4]).await?;
    certify(&network, 0, 7, second).await?;
    Ok(())
}
