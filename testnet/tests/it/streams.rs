//! Users that break the protocol of requests.

use anyhow::{Result, ensure};
use futures::future::join_all;
use quorate_node::client::ClientError;
use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::wire::request::Kind as RequestKind;
use quorate_proto::wire::{self, ErrorCode};
use quorate_testnet::{LocalNetwork, NodeProcess, wait};

use crate::support::load::Load;
use crate::support::test_peer::TestPeer;
use crate::support::{Outcome, SOON, certify, figure, turn, usual_network};

/// What the memory of an operator may grow by meanwhile.
const GROWTH: u64 = 30 << 20;

/// Breaks one stream after the other until the connection is gone.
async fn is_shut_out(node: &NodeProcess, stranger: &TestPeer, frame: &[u8]) -> Outcome {
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
        is_shut_out(node, &TestPeer::new(&id, seed)?, frame).await?;
    }
    ensure!(figure(node, "quorate_offences_total", "").await? >= 20.0);
    load.goes_on(50).await?;
    let now = node.memory()?;
    ensure!(
        now < before + GROWTH,
        "it grew from {before} to {now} bytes"
    );
    let result = load.finish().await;
    ensure!(result.failures.is_empty(), "{:?}", result.failures);
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
        let stranger = TestPeer::new(&id, seed)?;
        stranger.meet(node).await?;
        // One byte of a frame, and never the rest: more streams than one user may have.
        for _ in 0..70 {
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

/// Opens this many streams in the same moment and asks once on each: how many were served, and how many
/// told that they are too many.
async fn asks_at_once(
    node: &NodeProcess,
    stranger: &TestPeer,
    streams: usize,
) -> Result<[usize; 2]> {
    stranger.meet(node).await?;
    let ask = |id: u64| async move {
        let mut stream = stranger.stream(node).await?;
        let kind = Some(RequestKind::Operators(wire::OperatorsQuery {}));
        stream.ask(&wire::Request { id, kind }).await?;
        let reply = stream.reply().await?;
        // All are open until the last one is answered or turned away.
        anyhow::Ok((stream, reply.filter(|reply| reply.id == id)))
    };
    let asked = join_all((1..).take(streams).map(ask)).await;
    let mut counts = [0; 2];
    for asked in asked {
        match asked?.1.and_then(|reply| reply.kind) {
            Some(ReplyKind::Operators(_)) => counts[0] += 1,
            Some(ReplyKind::Error(error)) if error.code() == ErrorCode::Overloaded => {
                ensure!(error.retryable && error.message.contains("64 request streams"));
                counts[1] += 1;
            }
            other => anyhow::bail!("neither an answer nor OVERLOADED: {other:?}"),
        }
    }
    Ok(counts)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_opened_together_are_all_answered() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let node = &network.operators[0];
    let id = network.deployment.domain().network();
    for (seed, streams) in [(90, 8), (91, 20), (92, 64)] {
        let stranger = TestPeer::new(&id, seed)?;
        let counts = asks_at_once(node, &stranger, streams).await?;
        ensure!(counts == [streams, 0], "{streams} streams: {counts:?}");
    }
    let crowd = TestPeer::new(&id, 93)?;
    let counts = asks_at_once(node, &crowd, 200).await?;
    ensure!(counts == [64, 136], "{counts:?}");
    // The same user again, now that it has closed them.
    let counts = asks_at_once(node, &crowd, 20).await?;
    ensure!(counts == [20, 0], "{counts:?}");
    Ok(())
}

/// Follows a node; whether it is told of the next task, rather than that there is no place.
async fn follows(network: &LocalNetwork, stranger: &TestPeer, value: u64) -> Result<bool> {
    let node = &network.operators[0];
    stranger.meet(node).await?;
    let mut stream = stranger.stream(node).await?;
    let kind = Some(RequestKind::Live(wire::LiveQuery {}));
    stream.ask(&wire::Request { id: 1, kind }).await?;
    let block = network.set_value(7, value).await?;
    certify(network, 1, 7, block).await?;
    let reply = stream.reply().await?.and_then(|reply| reply.kind);
    Ok(matches!(reply, Some(ReplyKind::Live(_))))
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_that_are_gone_leave_their_places_at_once() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let node = &network.operators[0];
    let id = network.deployment.domain().network();
    let mut followers = Vec::new();
    for seed in 90..94 {
        let stranger = TestPeer::new(&id, seed)?;
        stranger.meet(node).await?;
        let mut stream = stranger.stream(node).await?;
        let kind = Some(RequestKind::Live(wire::LiveQuery {}));
        stream.ask(&wire::Request { id: 1, kind }).await?;
        followers.push((stranger, stream));
    }
    let fifth = TestPeer::new(&id, 94)?;
    ensure!(!follows(&network, &fifth, 1).await?, "four is the most");
    // One closes its stream, the others their connections.
    let (stays, closed) = followers.remove(0);
    drop((closed, followers));
    let at_once = std::time::Duration::from_secs(5);
    wait::until("a place for the fifth", at_once, || async {
        let value = rand::random::<u32>().into();
        follows(&network, &fifth, value).await.ok()?.then_some(())
    })
    .await?;
    ensure!(stays.is_connected(node)?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_operators_can_be_dialled_where_the_list_says() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let client = network.client(0).await?;
    let listed = wait::until("all operators in the list", SOON, || async {
        let listed = client.operators().await.ok()?.operators;
        let known = |entry: &wire::OperatorEntry| !entry.addresses.is_empty();
        listed.iter().all(known).then_some(listed)
    });
    let mut at: Vec<String> = Vec::new();
    for entry in listed.await? {
        let named = |address: &String| address.ends_with(&format!("/p2p/{}", entry.peer_id));
        ensure!(entry.addresses.iter().all(named), "{entry:?}");
        at.extend(entry.addresses);
    }
    let is_listed = |node: &NodeProcess| at.contains(&node.address.to_string());
    ensure!(network.operators.iter().all(is_listed), "{at:?}");
    for address in at.iter().filter(|address| address.contains("/tcp/")) {
        quorate_node::client::Client::connect(&address.parse()?, None).await?;
    }
    Ok(())
}
