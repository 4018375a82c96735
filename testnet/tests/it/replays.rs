//! Messages of operators that somebody else repeats.

use anyhow::{Result, ensure};
use quorate_node::api::{OperatorReport, TaskReport};
use quorate_proto::Kind;
use quorate_testnet::{LocalNetwork, NodeProcess, wait};

use crate::support::audit::signing_log;
use crate::support::test_peer::{ReceivedMessage, TestPeer};
use crate::support::{Outcome, SOON, certify, figure, joined, turn, usual_network};

/// What matters of a node's record of a task.
fn essence(report: TaskReport) -> (String, Vec<String>, Vec<(String, String)>) {
    let line = |line: OperatorReport| (line.operator, line.outcome);
    (
        report.status,
        report.certificate_signers,
        report.operators.into_iter().map(line).collect(),
    )
}

async fn records(
    node: &NodeProcess,
    tasks: &[String],
) -> Result<Vec<impl PartialEq + std::fmt::Debug + use<>>> {
    let mut records = Vec::new();
    for task in tasks {
        records.push(essence(node.task(task).await?));
    }
    Ok(records)
}

/// Certifies some values while a stranger listens: the tasks.
async fn certify_some(network: &LocalNetwork) -> Result<Vec<String>> {
    let mut tasks = Vec::new();
    for value in 1..=10 {
        let block = network.set_value(7, value).await?;
        tasks.push(certify(network, 0, 7, block).await?.task_id.to_string());
    }
    for node in &network.operators {
        wait::until("all answers", SOON, || async {
            for task in &tasks {
                let report = node.task(task).await.ok()?;
                if report.operators.iter().any(|line| line.outcome != "signed")
                    || report.status != "completed"
                {
                    return None;
                }
            }
            Some(())
        })
        .await?;
    }
    Ok(tasks)
}

async fn repeat(stranger: &TestPeer, heard: &[ReceivedMessage]) -> Outcome {
    for heard in heard {
        stranger.publish(heard.kind, heard.data.clone()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_repeated_changes_nothing() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let id = network.deployment.domain().network();
    let spy = TestPeer::new(&id, 81)?;
    for node in &network.operators {
        spy.meet(node).await?;
    }
    let tasks = certify_some(&network).await?;
    let heard = spy.heard();
    for kind in [Kind::Task, Kind::Response, Kind::Result] {
        ensure!(
            heard.iter().any(|heard| heard.kind == kind),
            "no {} was heard",
            kind.name()
        );
    }

    // At once: gossip itself still knows the contents.
    let victim = 3;
    let before = records(&network.operators[victim], &tasks).await?;
    let handled = figure(
        &network.operators[victim],
        "quorate_gossip_messages_total",
        "",
    )
    .await?;
    repeat(&spy, &heard).await?;
    let next = network.set_value(8, 1).await?;
    certify(&network, victim, 8, next).await?;
    let now = figure(
        &network.operators[victim],
        "quorate_gossip_messages_total",
        "",
    )
    .await?;
    ensure!(
        now - handled < 40.0,
        "{} messages were handled again",
        now - handled
    );
    ensure!(records(&network.operators[victim], &tasks).await? == before);

    // To one that was restarted and has forgotten which contents it saw.
    network.operators[victim].kill()?;
    network.operators[victim].start()?;
    network.operators[victim].ready().await?;
    joined(&network, &network.operators[victim]).await?;
    let replayer = TestPeer::new(&id, 82)?;
    replayer.meet(&network.operators[victim]).await?;
    repeat(&replayer, &heard).await?;
    let node = &network.operators[victim];
    #[allow(clippy::cast_precision_loss)]
    let sent = heard.len() as f64;
    wait::until("the repeated messages", SOON, || async {
        let handled = figure(node, "quorate_gossip_messages_total", "")
            .await
            .ok()?;
        (handled >= sent).then_some(())
    })
    .await?;
    let last = network.set_value(8, 2).await?;
    certify(&network, victim, 8, last).await?;
    ensure!(records(node, &tasks).await? == before);

    let (operator, _) = network.deployment.operators[victim];
    network.operators[victim].stop().await?;
    let signed = signing_log(&network, &network.operators[victim], operator)?;
    ensure!(
        signed.len() == tasks.len() + 2,
        "{} records for {} tasks",
        signed.len(),
        tasks.len() + 2
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_altered_or_moved_to_another_topic_is_rejected() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let id = network.deployment.domain().network();
    let spy = TestPeer::new(&id, 83)?;
    spy.meet(&network.operators[0]).await?;
    certify_some(&network).await?;
    let heard = spy.heard();
    let (node, labels) = (&network.operators[2], "reason=\"envelope\"");
    let (mut seed, mut rejected) = (84, 0.0);
    for kind in [Kind::Task, Kind::Response, Kind::Result] {
        let original = heard
            .iter()
            .find(|heard| heard.kind == kind)
            .map(|heard| heard.data.clone());
        let original = original.ok_or_else(|| anyhow::anyhow!("no {} was heard", kind.name()))?;
        let elsewhere = if kind == Kind::Task {
            Kind::Response
        } else {
            Kind::Task
        };
        let mut altered = original.clone();
        let last = altered.len() - 1;
        altered[last] ^= 1;
        for (kind, data) in [(elsewhere, original), (kind, altered)] {
            // A new face each time, so that none is shut out.
            let stranger = TestPeer::new(&id, seed)?;
            stranger.meet(node).await?;
            stranger.publish(kind, data).await?;
            (seed, rejected) = (seed + 1, rejected + 1.0);
            wait::until("the rejection", SOON, || async {
                let now = figure(node, "quorate_gossip_rejected_total", labels)
                    .await
                    .ok()?;
                (now >= rejected).then_some(())
            })
            .await?;
        }
    }
    Ok(())
}
