//! Many tasks in the last second of an epoch.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use quorate_node::client::At;
use quorate_proto::{Epoch, U256, limits};
use quorate_testnet::network::CONFIRMATIONS;
use tokio::task::JoinSet;

use super::{network_with_light, reach, reach_grace_before};
use crate::support::{Outcome, accepted, turn};

const KEYS: u64 = 100;
const BLOCKS: u64 = 10;
const TASKS: u64 = KEYS * BLOCKS;
const FIRST_KEY: u64 = 1_000;

/// Between the first question and the blocks that turn the epoch.
const LEAD: Duration = Duration::from_millis(800);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tasks_of_the_last_second_are_all_certified() -> Outcome {
    let _turn = turn().await;
    let network = network_with_light().await?;
    let deployment = &network.deployment;
    let last = deployment.epoch().await?;
    let keys = FIRST_KEY..FIRST_KEY + KEYS;
    let values: Vec<_> = keys.map(|key| (U256::from(key), U256::from(77))).collect();
    let source = &deployment.source;
    let block = source
        .set_values(deployment.state_manager, network.user(), &values)
        .await?;
    source.mine(BLOCKS + CONFIRMATIONS).await?;
    reach_grace_before(&network, last.next()).await?;
    // Each stream takes 256 requests, so every operator gets 200.
    let operators = network.operators.len() as u64;
    ensure!(TASKS / operators <= limits::MAX_STREAM_REQUESTS as u64);
    let mut clients = Vec::new();
    for number in 0..network.operators.len() {
        clients.push(network.client(number).await?);
    }
    let began = Instant::now();
    let mut asked = JoinSet::new();
    for number in 0..TASKS {
        let client = clients
            .get((number % operators) as usize)
            .context("a client")?
            .clone();
        let mut question = network.question(FIRST_KEY + number % KEYS, block);
        question.at = At::Block(block + number / KEYS);
        asked.spawn(async move {
            let answer = client.request_state(&question, |_| {}).await;
            (answer, Instant::now())
        });
    }
    tokio::time::sleep(LEAD).await;
    reach(&network, last.next()).await?;
    let turned = Instant::now();
    let (mut epochs, mut after, mut answers) = (BTreeMap::new(), 0, Vec::new());
    while let Some(ended) = asked.join_next().await {
        let (answer, at) = ended?;
        let answer = answer.context("a task of the last second")?;
        let epoch: Epoch = answer.certificate.statement().epoch();
        *epochs.entry(epoch.0).or_insert(0) += 1;
        after += u32::from(epoch == last && at > turned);
        answers.push(answer);
    }
    println!(
        "{} tasks certified in {:?}, by epoch {epochs:?}; {after} of epoch {last} after it had \
         ended everywhere",
        answers.len(),
        began.elapsed()
    );
    ensure!(answers.len() as u64 == TASKS);
    ensure!(after > 0, "the epoch turned too late to be noticed");
    for answer in answers.iter().step_by(10) {
        accepted(&network, answer).await?;
    }
    Ok(())
}
