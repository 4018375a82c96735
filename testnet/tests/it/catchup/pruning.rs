//! What is not kept any more is called pruned.

use anyhow::{Result, ensure};
use quorate_proto::wire::ErrorCode;
use quorate_testnet::{DeploymentOptions, LocalNetwork, NetworkOptions, wait};

use super::sync_page;
use crate::support::command::node;
use crate::support::{Outcome, SOON, accepted, certify, failure_of, stored, turn};

async fn epoch_of(network: &LocalNetwork, number: usize) -> Result<u32> {
    let status = network.operators[number].status().await?;
    Ok(status.epoch.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_old_epochs_are_pruned_where_so_configured_and_called_so() -> Outcome {
    let _turn = turn().await;
    let deployment = DeploymentOptions {
        epoch_length: 20,
        grace: 5,
        ..DeploymentOptions::default()
    };
    let options = NetworkOptions {
        deployment,
        ..NetworkOptions::default()
    };
    let mut network = LocalNetwork::start(options).await?;
    network.operators[0].stop().await?;
    network.operators[0].start_with(&["--retain-epochs", "2"])?;
    network.operators[0].ready().await?;
    network.meshed().await?;

    let block = network.set_value(7, 100).await?;
    let answer = certify(&network, 1, 7, block).await?;
    let task = answer.task_id;
    let born = answer.certificate.statement().epoch().0;
    stored(&network.client(0).await?, task).await?;
    while epoch_of(&network, 0).await? <= born + 2 {
        let before = epoch_of(&network, 0).await?;
        network.deployment.home.mine(10).await?;
        // Slowly, so that every set is delivered over.
        let _ = wait::until(
            "the next epoch",
            std::time::Duration::from_secs(1),
            || async { (epoch_of(&network, 0).await.ok()? > before).then_some(()) },
        )
        .await;
    }
    wait::until("the task is pruned", SOON, || async {
        let page = sync_page(&network.operators[0]).await.ok()?;
        (page.pruned > 0 && page.floor > born).then_some(())
    })
    .await?;

    // To users, to operators, and to scripts.
    let client = network.client(0).await?;
    let failure = failure_of(client.certificate(task).await)?;
    ensure!(
        failure.code == ErrorCode::Pruned && !failure.retryable,
        "{failure:?}"
    );
    let page = network.operators[0]
        .get_text(&format!("/tasks/{task}"))
        .await?;
    ensure!(
        page.contains("was pruned") && page.contains(&format!("epoch {born}")),
        "{page}"
    );
    let ran = node(&[
        "explain",
        &task.to_string(),
        "--http",
        &network.operators[0].http,
    ])
    .await?;
    ensure!(
        ran.code == Some(2) && ran.stderr.contains("pruned"),
        "{ran:?}"
    );
    let unknown = failure_of(
        client
            .certificate(quorate_proto::TaskId(task.0 ^ answer.digest))
            .await,
    )?;
    ensure!(unknown.code == ErrorCode::UnknownTask, "{unknown:?}");

    // Other operators keep it, and the hand-overs stay everywhere.
    let kept = stored(&network.client(1).await?, task).await?;
    accepted(&network, &kept).await?;
    let old = client.epoch_update(quorate_proto::Epoch(born + 1)).await?;
    ensure!(
        old.certificate.is_some(),
        "the update over epoch {} is gone",
        born + 1
    );

    // And it does not come back from those that keep it.
    network.operators[0].kill()?;
    network.operators[0].start_with(&["--retain-epochs", "2"])?;
    network.operators[0].ready().await?;
    wait::until("compared with the others", SOON, || async {
        let page = sync_page(&network.operators[0]).await.ok()?;
        (page.agreed >= 4).then_some(())
    })
    .await?;
    let again = failure_of(network.client(0).await?.certificate(task).await)?;
    ensure!(again.code == ErrorCode::Pruned, "{again:?}");
    Ok(())
}
