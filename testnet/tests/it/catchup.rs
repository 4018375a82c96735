//! Who missed something gets it from the others.

mod peers;
mod pruning;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use quorate_node::api::{SyncEpoch, SyncReport, TaskReport};
use quorate_proto::Epoch;
use quorate_testnet::{LocalNetwork, NodeProcess, wait};

use crate::support::load::Load;
use crate::support::{Outcome, SOON, accepted, certify, staked, stored, turn};

/// Any one of them may be missing.
const STAKES: [u64; 5] = [25, 25, 20, 20, 20];

/// What a node holds.
async fn sync_page(node: &NodeProcess) -> Result<SyncReport> {
    node.get("/sync").await
}

/// Waits until these operators hold the same tasks with the same answers; what they hold.
async fn hold_the_same(
    network: &LocalNetwork,
    numbers: &[usize],
    deadline: Duration,
) -> Result<Vec<SyncEpoch>> {
    let what = format!("operators {numbers:?} hold the same");
    wait::until(&what, deadline, || async {
        let mut held: Option<Vec<SyncEpoch>> = None;
        for number in numbers {
            let page = sync_page(&network.operators[*number]).await.ok()?;
            if held.as_ref().is_some_and(|held| *held != page.epochs) {
                return None;
            }
            held = Some(page.epochs);
        }
        held
    })
    .await
}

fn tasks(epochs: &[SyncEpoch]) -> u32 {
    epochs.iter().map(|epoch| epoch.tasks).sum()
}

/// Who answered a task, and whether it is certified, as a node tells it.
async fn answers(node: &NodeProcess, task: &str) -> Result<(String, Vec<(String, String)>)> {
    let report: TaskReport = node.task(task).await?;
    let operators = report.operators.into_iter();
    let answers = operators.map(|line| (line.operator, line.outcome));
    Ok((report.status, answers.collect()))
}

/// An operator is killed, an epoch turns under load, and it comes back, is killed in the middle of it
/// and comes back again: it holds what the others hold, the hand-over that it missed, and its own
/// answers from before.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_down_takes_over_everything() -> Outcome {
    let _turn = turn().await;
    let mut network = LocalNetwork::start(staked(&STAKES)).await?;
    let load = Load::start(&network, &[0, 1, 3], 16).await?;
    load.goes_on(100).await?;
    network.operators[2].kill()?;
    load.goes_on(300).await?;
    let status = network.operators[0].status().await?;
    let before = status.epoch.unwrap_or_default();
    network.deployment.next_epoch().await?;
    let began = format!("epoch {}", before + 1);
    wait::until(&began, SOON, || async {
        let epoch = network.operators[0].status().await.ok()?.epoch?;
        (epoch > before).then_some(())
    })
    .await?;
    load.goes_on(400).await?;
    let result = load.finish().await;
    let others = [0, 1, 3, 4];
    let held = hold_the_same(&network, &others, SOON).await?;
    ensure!(held.len() >= 2 && tasks(&held) >= 800, "{held:?}");

    network.operators[2].start()?;
    let first = wait::until("the first tasks that are taken over", SOON, || async {
        let page = sync_page(&network.operators[2]).await.ok()?;
        let taken = page.tasks + page.healed;
        (taken > 0).then_some(taken)
    })
    .await?;
    network.operators[2].kill()?;
    let back = Instant::now();
    network.operators[2].start()?;
    network.operators[2].ready().await?;
    let all = hold_the_same(&network, &[0, 1, 2, 3, 4], Duration::from_secs(5)).await?;
    println!(
        "{first} tasks before the second kill; all {} {:?} after the restart",
        tasks(&all),
        back.elapsed()
    );
    for delivered in result.answers.iter().step_by(20) {
        let task = delivered.answer.task_id.to_string();
        let theirs = answers(&network.operators[0], &task).await?;
        let ours = answers(&network.operators[2], &task).await?;
        ensure!(ours == theirs, "task {task}: {ours:?}, and not {theirs:?}");
    }
    let client = network.client(2).await?;
    for delivered in result.answers.iter().rev().step_by(100) {
        accepted(&network, &stored(&client, delivered.answer.task_id).await?).await?;
    }
    let handed_over = client.epoch_update(Epoch(before + 1)).await?;
    ensure!(
        handed_over.certificate.is_some(),
        "no hand-over certificate"
    );
    let page = sync_page(&network.operators[2]).await?;
    ensure!(page.behind == 0 && page.lies.is_empty(), "{page:?}");
    Ok(())
}

/// A node with an empty store verifies the sets of past epochs, and takes over their tasks. It is a
/// registry, since an operator whose store is lost must not sign again with its key.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_begins_with_nothing_gets_what_is_kept() -> Outcome {
    let _turn = turn().await;
    let mut network = LocalNetwork::start(staked(&STAKES)).await?;
    let load = Load::start(&network, &[0, 1], 8).await?;
    load.goes_on(60).await?;
    network.deployment.next_epoch().await?;
    load.goes_on(60).await?;
    let result = load.finish().await;
    let held = hold_the_same(&network, &[0, 1, 2, 3, 4], SOON).await?;

    let registry = &mut network.registries[0];
    registry.stop().await?;
    std::fs::remove_dir_all(registry.dir.join("data/store"))?;
    registry.start()?;
    registry.ready().await?;
    let registry = &network.registries[0];
    wait::until("the registry holds the same", SOON, || async {
        let page = sync_page(registry).await.ok()?;
        (page.epochs == held).then_some(())
    })
    .await?;
    for delivered in result.answers.iter().step_by(10) {
        let task = delivered.answer.task_id.to_string();
        let theirs = answers(&network.operators[0], &task).await?;
        let ours = answers(registry, &task).await?;
        ensure!(ours == theirs, "task {task}: {ours:?}, and not {theirs:?}");
    }
    let page = sync_page(registry).await?;
    ensure!(page.tasks > 0 && page.lies.is_empty(), "{page:?}");
    Ok(())
}

/// Waits until a running operator has reached an epoch of the home chain as it is now.
async fn follows(network: &LocalNetwork, number: usize, epoch: u32) -> Outcome {
    let what = format!("epoch {epoch} at operator {number}");
    wait::until(&what, SOON, || async {
        let status = network.operators[number].status().await.ok()?;
        (status.epoch? >= epoch).then_some(())
    })
    .await
}

/// The home chain is long, and the registrations at its beginning are not read: the home chain tells the
/// present sets by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_operator_begins_with_the_present_sets() -> Outcome {
    let _turn = turn().await;
    let dir = tempfile::tempdir()?;
    let mut network = LocalNetwork::prepare(staked(&STAKES), dir.path()).await?;
    for node in network
        .registries
        .iter_mut()
        .chain(&mut network.operators[..4])
    {
        node.start()?;
    }
    for node in network
        .registries
        .iter_mut()
        .chain(&mut network.operators[..4])
    {
        node.ready().await?;
    }
    network.meshed().await?;
    let first = network.operators[0]
        .status()
        .await?
        .epoch
        .unwrap_or_default();
    network.deployment.home.mine(1_300).await?;
    follows(&network, 0, first + 12).await?;
    let there = network.operators[0]
        .status()
        .await?
        .epoch
        .unwrap_or_default();
    network.deployment.next_epoch().await?;
    for number in 0..4 {
        follows(&network, number, there + 1).await?;
    }
    let block = network.set_value(7, 100).await?;
    certify(&network, 0, 7, block).await?;

    network.operators[4].start()?;
    network.operators[4].ready().await?;
    network.meshed().await?;
    let status = network.operators[4].status().await?;
    ensure!(
        status.operators == 5 && status.weight.is_some(),
        "{status:?}"
    );
    hold_the_same(&network, &[0, 1, 2, 3, 4], SOON).await?;
    let block = network.set_value(8, 100).await?;
    certify(&network, 4, 8, block).await?;
    Ok(())
}
