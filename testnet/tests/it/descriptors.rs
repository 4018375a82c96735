//! A node that may open few files.

use std::time::Duration;

use anyhow::ensure;
use quorate_node::api::Health;
use quorate_testnet::wait;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::support::{Outcome, SOON, certify, joined, turn, usual_network};

const IDLE: usize = 320;

#[tokio::test(flavor = "multi_thread")]
async fn idle_http_connections_take_nothing_from_users_and_the_mesh() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    network.operators[3].kill()?;
    network.operators[3].start_after("ulimit -n 256")?;
    let node = &network.operators[3];
    wait::until("a node with few files and nothing else", SOON, || async {
        let health: Health = node.get("/health").await.ok()?;
        let few = |problem: &String| problem.contains("256 files");
        health.problems.iter().all(few).then_some(())
    })
    .await?;
    joined(&network, node).await?;
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(TcpStream::connect(&node.http).await?);
    }
    let told = tokio::time::timeout(Duration::from_secs(10), node.get::<Health>("/health"));
    let problems = told.await??.problems;
    let few = |problem: &String| problem.contains("256 files") && problem.contains("LimitNOFILE");
    ensure!(problems.iter().any(few), "{problems:?}");
    let block = network.set_value(7, 100).await?;
    certify(&network, 3, 7, block).await?;
    let log = std::fs::read_to_string(node.log_path())?;
    for phrase in ["all connections are taken", "256 files"] {
        ensure!(log.contains(phrase), "{phrase}: {}", node.log_tail());
    }
    // They end by themselves.
    for stream in &mut idle {
        let mut byte = [0];
        let read = tokio::time::timeout(SOON, stream.read(&mut byte)).await?;
        ensure!(read.unwrap_or_default() == 0);
    }
    Ok(())
}
