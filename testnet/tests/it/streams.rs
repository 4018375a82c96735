//! Users that break the protocol of requests.

use anyhow::{Result, ensure};
use quorate_node::client::ClientError;
use quorate_proto::wire::ErrorCode;
use quorate_testnet::{NodeProcess, wait};

use crate::support::load::Load;
use crate::support::stranger::Stranger;
use crate::support::{Outcome, SOON, certify, figure, turn, usual_network};

/// What the memory of an operator may grow by meanwhile.
const GROWTH: u64 = 30 << 20;

/// Breaks one stream after the other until the connection is gone.
async fn is_shut_out(node: &NodeProcess, stranger: &Stranger, frame: &[u8]) -> Outcome {
    stranger.meet(node).await?;
    let mut broken = 0;
    while stranger.is_connected(node)? {
        ensure!(broken < 20, "still connected after {broken} broken frames");
        if broken >= 5 {
            wait::until("the end of the connection", SOON, || {
                std::future::ready(
                    stranger
                        .is_connected(node)
                        .ok()
                        .filter(|connected| !connected),
                )
            })
            .await?;
            break;
        }
        let mut stream = stranger.stream(node).await?;
        stream.send(frame).await?;
        // The last reply may be lost with the connection.
        let _ = stream.reply().await;
        broken += 1;
    }
    ensure!(broken == 5, "shut out after {broken} faults");
    stranger.dial(node).await?;
    ensure!(
        stranger.stream(node).await.is_err(),
        "it may come back at once"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_cost_the_connection() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let node = &network.operators[0];
    let load = Load::start(&network, &[0, 1], 2).await?;
    load.goes_on(100).await?;
    let before = node.memory()?;
    let id = network.deployment.domain().network();
    let overlong = [0xff; 11];
    let frames: [&[u8]; 4] = [
        b"\x04rubb",
        b"\xff\xff\xff\xff\x0f",
        &overlong,
        b"\x02\x12\x7f",
    ];
    for (seed, frame) in (90..).zip(frames) {
        is_shut_out(node, &Stranger::new(&id, seed)?, frame).await?;
    }
    ensure!(figure(node, "quorate_offences_total", "").await? >= 20.0);
    load.goes_on(50).await?;
    let now = node.memory()?;
    ensure!(
        now < before + GROWTH,
        "it grew from {before} to {now} bytes"
    );
    let harvest = load.finish().await;
    ensure!(harvest.failures.is_empty(), "{:?}", harvest.failures);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_users_keep_nobody_waiting() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let node = &network.operators[0];
    let block = network.set_value(7, 100).await?;
    certify(&network, 0, 7, block).await?;
    let before = node.memory()?;
    let id = network.deployment.domain().network();
    let (mut held, mut strangers) = (Vec::new(), Vec::new());
    for seed in 95..99 {
        let stranger = Stranger::new(&id, seed)?;
        stranger.meet(node).await?;
        // One byte of a frame, and never the rest: more streams than one user may have.
        for _ in 0..20 {
            let mut stream = stranger.stream(node).await?;
            let sent: Result<()> = stream.send(&[100]).await;
            held.push((stream, sent.is_ok()));
        }
        held.push((stranger.stream(node).await?, true));
        let next = network.set_value(7, u64::from(seed)).await?;
        certify(&network, 0, 7, next).await?;
        let refused = || async {
            figure(node, "quorate_streams_refused_total", "")
                .await
                .ok()
                .filter(|n| *n > 0.0)
        };
        wait::until("a stream too many", SOON, refused).await?;
        strangers.push(stranger);
    }
    let now = node.memory()?;
    println!(
        "{} streams held, {} KiB before, {} KiB after",
        held.len(),
        before >> 10,
        now >> 10
    );
    ensure!(
        now < before + GROWTH,
        "it grew from {before} to {now} bytes"
    );
    ensure!(
        figure(node, "quorate_offences_total", "").await? == 0.0,
        "to be slow is no offence"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closing_node_refuses_new_questions_on_open_streams() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    let client = network.client(0).await?;
    for other in &mut network.operators[1..] {
        other.kill()?;
    }
    // The others are gone, so this one stays under way, and keeps the node from its end.
    let (begun, mut progress) = tokio::sync::mpsc::channel(64);
    let first = {
        let (client, question) = (client.clone(), network.question(7, block));
        tokio::spawn(async move {
            let told = |_| {
                let _ = begun.try_send(());
            };
            client.request_state(&question, told).await
        })
    };
    ensure!(progress.recv().await.is_some(), "{:?}", first.await);
    // Never stored: refused for another reason until the node is told to stop.
    let second = network.question(8, block);
    let (stopped, refused) = tokio::join!(
        network.operators[0].stop(),
        wait::until("the refusal of a new question", SOON, || async {
            match client.request_state(&second, |_| {}).await {
                Err(ClientError::Failed(failure)) if failure.code == ErrorCode::Unavailable => {
                    Some(failure.message)
                }
                _ => None,
            }
        })
    );
    ensure!(refused?.contains("shutting down"));
    ensure!(stopped?.success());
    let ended = first.await?;
    ensure!(
        matches!(&ended, Err(ClientError::Failed(failure)) if failure.code == ErrorCode::Expired),
        "{ended:?}"
    );
    Ok(())
}
