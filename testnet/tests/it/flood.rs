//! Those that flood: an operator with a valid binding, users that ask too much, peers that come in
//! numbers, and streams that are slow.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use quorate_node::api::{Operators, PeerLine, Published};
use quorate_node::client::ClientError;
use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::wire::request::Kind as RequestKind;
use quorate_proto::wire::{self, ErrorCode};
use quorate_proto::{Address, Epoch, Kind, limits};
use quorate_testnet::attack::MaliciousOperator;
use quorate_testnet::{LocalNetwork, NetworkOptions, NodeProcess, wait};

use crate::support::load::Load;
use crate::support::test_peer::{RequestStream, TestPeer};
use crate::support::{Outcome, SOON, certify, figure, peer_of, staked, turn, usual_network};

/// What the memory of an operator may grow by while it is attacked.
const GROWTH: u64 = 40 << 20;
/// The operator that goes bad: 10 of 115 ether.
const BAD: usize = 4;
const HONEST: std::ops::Range<usize> = 0..4;
/// For an attack that has to add up first.
const LONG: Duration = Duration::from_secs(60);

/// The peer and the operator by which the bad operator speaks.
async fn culprit(network: &LocalNetwork) -> Result<(TestPeer, MaliciousOperator)> {
    let domain = network.deployment.domain();
    let secret = [201; 32];
    let stranger = TestPeer::deaf(&domain.network(), secret)?;
    let epoch = network.operators[0].status().await?.epoch;
    let epoch = Epoch(epoch.context("no epoch")?);
    let (operator, _) = network.deployment.operators[BAD];
    let culprit = MaliciousOperator::new(domain, epoch, (BAD, operator), secret)?;
    Ok((stranger, culprit))
}

async fn published(node: &NodeProcess, operator: Address) -> Result<Published> {
    let page: Operators = node.get("/operators").await?;
    let line = page
        .operators
        .into_iter()
        .find(|line| line.operator == operator.to_string());
    line.and_then(|line| line.published)
        .context("no such operator")
}

/// Honest operators are connected to each other, and none has anything against another.
async fn honest_are_friends(network: &LocalNetwork) -> Outcome {
    for number in HONEST {
        let node = &network.operators[number];
        let peers: Vec<PeerLine> = node.get("/peers").await?;
        for other in HONEST.filter(|other| *other != number) {
            let peer = peer_of(&network.operators[other])?.to_string();
            let line = peers.iter().find(|line| line.peer_id == peer);
            let line = line.with_context(|| format!("{number} has lost {other}"))?;
            ensure!(
                line.score >= 0.0,
                "{number} holds {other} for bad: {line:?}"
            );
            let (operator, _) = network.deployment.operators[other];
            let standing = published(node, operator).await?;
            ensure!(
                standing.faults == 0 && standing.ignored == 0,
                "{number} blames {other}: {standing:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_floods_has_its_share_and_its_forwarders_pay_nothing() -> Outcome {
    let _turn = turn().await;
    // A tenth of the usual total, so that a test can flood it.
    let network = LocalNetwork::start(NetworkOptions {
        arguments: vec!["--mesh-messages-per-second=1000".into()],
        absent: vec![BAD],
        ..staked(&[40, 30, 20, 15, 10])
    })
    .await?;
    let node = &network.operators[0];
    let (bad, _) = network.deployment.operators[BAD];
    let load = Load::start(&network, &[0, 2], 2).await?;
    load.goes_on(100).await?;
    let before = node.memory()?;

    // To one node only, so that the others have it from an honest one.
    let (stranger, culprit) = culprit(&network).await?;
    stranger.meet(node).await?;
    wait::until("more than its share", LONG, || async {
        for _ in 0..100 {
            stranger
                .publish(Kind::Response, culprit.response().ok()?)
                .await
                .ok()?;
            stranger
                .publish(Kind::Task, culprit.task().ok()?)
                .await
                .ok()?;
        }
        let open = node.status().await.ok()?.open_tasks;
        let standing = published(node, bad).await.ok()?;
        (open > 100 && standing.ignored > 0).then_some(())
    })
    .await?;
    load.goes_on(50).await?;
    for number in HONEST {
        let node = &network.operators[number];
        let open = node.status().await?.open_tasks;
        println!(
            "operator {number}: {open} open tasks, {:?}",
            published(node, bad).await?
        );
        ensure!(open < limits::MAX_OPEN_TASKS / 4, "{open} tasks are open");
    }
    honest_are_friends(&network).await?;

    // Far more than its share, and the peer that sends it is shut out.
    wait::until("the end of its connection", LONG, || async {
        if !stranger.is_connected(node).ok()? {
            return Some(());
        }
        for _ in 0..200 {
            stranger
                .publish(Kind::Task, culprit.task().ok()?)
                .await
                .ok()?;
        }
        None
    })
    .await?;
    load.goes_on(50).await?;
    honest_are_friends(&network).await?;
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
async fn an_operator_that_signs_rubbish_is_not_listened_to() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    network.operators[BAD].kill()?;
    let node = &network.operators[0];
    let (bad, _) = network.deployment.operators[BAD];
    let load = Load::start(&network, &[0, 2], 2).await?;
    load.goes_on(50).await?;
    let (stranger, culprit) = culprit(&network).await?;
    stranger.meet(node).await?;
    for _ in 0..5 {
        stranger
            .publish(Kind::Response, culprit.false_response()?)
            .await?;
    }
    wait::until("the end of its connection", SOON, || async {
        (!stranger.is_connected(node).ok()?).then_some(())
    })
    .await?;
    let standing = published(node, bad).await?;
    ensure!(
        standing.faults == 5 && standing.muted_until_ms.is_some(),
        "{standing:?}"
    );
    let labels = format!("operator=\"{bad}\",reason=\"response signature\"");
    ensure!(figure(node, "quorate_operator_faults_total", &labels).await? == 5.0);
    // By another peer, what is in order is not heard either.
    let domain = network.deployment.domain();
    let other = TestPeer::deaf(&domain.network(), [202; 32])?;
    let epoch = Epoch(node.status().await?.epoch.context("no epoch")?);
    let again = MaliciousOperator::new(domain, epoch, (BAD, bad), [202; 32])?;
    other.meet(node).await?;
    other.publish(Kind::Task, again.task()?).await?;
    wait::until("what it says is ignored", SOON, || async {
        (published(node, bad).await.ok()?.ignored > 0).then_some(())
    })
    .await?;
    load.goes_on(50).await?;
    honest_are_friends(&network).await?;
    let result = load.finish().await;
    ensure!(result.failures.is_empty(), "{:?}", result.failures);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_that_is_too_large_costs_the_connection() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let node = &network.operators[0];
    let stranger = TestPeer::new(&network.deployment.domain().network(), 140)?;
    stranger.meet(node).await?;
    for number in 0..8 {
        let mut bytes = vec![0xff; limits::MAX_GOSSIP_BYTES + 1];
        bytes[0] = number;
        stranger.publish(Kind::Result, bytes).await?;
    }
    wait::until("the end of its connection", SOON, || async {
        (!stranger.is_connected(node).ok()?).then_some(())
    })
    .await?;
    let block = network.set_value(7, 100).await?;
    certify(&network, 0, 7, block).await?;
    Ok(())
}

/// Asks for the operators, `count` times, and counts the answers and the refusals by their texts.
async fn ask_fast(stranger: &TestPeer, node: &NodeProcess, count: u64) -> Result<(u64, String)> {
    // libp2p-stream drops a stream that arrives in the same moment as another one.
    let mut stream = wait::until("a stream that is taken", SOON, || async {
        asked(stranger, node, count).await.ok()
    })
    .await?;
    let (mut answered, mut refused) = (0, String::new());
    for _ in 0..count {
        let reply = stream.reply().await?.context("the stream was closed")?;
        match reply.kind {
            Some(ReplyKind::Operators(_)) => answered += 1,
            Some(ReplyKind::Error(error)) => {
                ensure!(
                    error.code() == ErrorCode::Overloaded && error.retryable,
                    "{error:?}"
                );
                refused = error.message;
            }
            other => anyhow::bail!("{other:?} was not asked for"),
        }
    }
    Ok((answered, refused))
}

/// A stream on which so many questions are sent.
async fn asked(stranger: &TestPeer, node: &NodeProcess, count: u64) -> Result<RequestStream> {
    let mut stream = stranger.stream(node).await?;
    for id in 1..=count {
        let kind = Some(RequestKind::Operators(wire::OperatorsQuery {}));
        stream.ask(&wire::Request { id, kind }).await?;
    }
    Ok(stream)
}

async fn restart_with(node: &mut NodeProcess, arguments: &[&str]) -> Outcome {
    node.stop().await?;
    node.start_with(arguments)?;
    node.ready().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_much_is_told_which_limit_it_met() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let limits = [
        "--user-requests-per-second=10",
        "--range-requests-per-second=30",
        "--limit-local-ranges=true",
    ];
    restart_with(&mut network.operators[1], &limits).await?;
    network.meshed().await?;
    let node = &network.operators[1];
    let id = network.deployment.domain().network();
    let stranger = TestPeer::new(&id, 150)?;
    stranger.meet(node).await?;
    let (answered, refused) = ask_fast(&stranger, node, 40).await?;
    ensure!((20..40).contains(&answered), "{answered} of 40 answered");
    ensure!(refused.contains("user_requests_per_second"), "{refused}");
    let labels = "limit=\"user_requests_per_second\"";
    ensure!(figure(node, "quorate_requests_refused_total", labels).await? > 0.0);
    // Others are served, until all of one place together are too many.
    let block = network.set_value(7, 100).await?;
    certify(&network, 1, 7, block).await?;
    let mut crowd = Vec::new();
    for seed in 151..158 {
        let stranger = TestPeer::new(&id, seed)?;
        stranger.meet(node).await?;
        crowd.push(stranger);
    }
    let asked = crowd.iter().map(|stranger| ask_fast(stranger, node, 15));
    let asked = futures::future::try_join_all(asked).await?;
    ensure!(
        asked
            .iter()
            .any(|(_, refused)| refused.contains("range_requests_per_second")),
        "{asked:?}"
    );
    ensure!(
        figure(node, "quorate_offences_total", "").await? == 0.0,
        "no offence"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_range_of_addresses_does_not_take_all_connections() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let limits = ["--limit-local-ranges=true", "--range-connections=12"];
    restart_with(&mut network.operators[1], &limits).await?;
    network.meshed().await?;
    let node = &network.operators[1];
    let block = network.set_value(7, 100).await?;
    let client = network.client(1).await?;
    let id = network.deployment.domain().network();
    let mut strangers = Vec::new();
    for seed in 160..190 {
        let stranger = TestPeer::deaf(&id, [seed; 32])?;
        stranger.dial(node).await?;
        strangers.push(stranger);
    }
    wait::until("a refused connection", SOON, || async {
        let labels = "limit=\"range\"";
        let refused = figure(node, "quorate_connections_refused_total", labels)
            .await
            .ok()?;
        (refused >= 18.0).then_some(())
    })
    .await?;
    let mut connected = 0;
    for stranger in &strangers {
        connected += usize::from(stranger.is_connected(node)?);
    }
    ensure!(connected <= 12, "{connected} got in");
    // Who was there before is served, and so is everybody else at the other nodes.
    client
        .request_state(&network.question(7, block), |_| {})
        .await?;
    certify(&network, 0, 7, block).await?;
    // Those that leave make room.
    drop(strangers);
    wait::until("a place", SOON, || async {
        network.client(1).await.ok().map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_slow_or_silent_are_closed() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    restart_with(&mut network.operators[1], &["--stream-idle-ms=2000"]).await?;
    network.meshed().await?;
    let node = &network.operators[1];
    let stranger = TestPeer::new(&network.deployment.domain().network(), 191)?;
    stranger.meet(node).await?;
    let mut slow = stranger.stream(node).await?;
    slow.send(&[100]).await?;
    let mut silent = stranger.stream(node).await?;
    // Named once, or the other side does not learn of the stream at all.
    let kind = Some(RequestKind::Operators(wire::OperatorsQuery {}));
    silent.ask(&wire::Request { id: 1, kind }).await?;
    ensure!(silent.reply().await?.is_some());
    ensure!(
        silent.reply().await?.is_none(),
        "the silent stream was not closed"
    );
    ensure!(
        slow.reply().await?.is_none(),
        "the slow stream was not closed"
    );
    for reason in ["idle", "slow frame"] {
        let labels = format!("reason=\"{reason}\"");
        ensure!(
            figure(node, "quorate_streams_cut_total", &labels).await? >= 1.0,
            "{reason}"
        );
    }
    ensure!(
        figure(node, "quorate_offences_total", "").await? == 0.0,
        "no offence"
    );
    // A client that was silent is told so, and comes back.
    let block = network.set_value(7, 100).await?;
    let client = network.client(1).await?;
    let question = network.question(7, block);
    client.request_state(&question, |_| {}).await?;
    wait::until("the end of a silent client's stream", SOON, || async {
        let closed = figure(node, "quorate_streams_cut_total", "reason=\"idle\"")
            .await
            .ok()?;
        (closed >= 2.0).then_some(())
    })
    .await?;
    let lost = client.request_state(&question, |_| {}).await;
    ensure!(matches!(lost, Err(ClientError::Lost(_))), "{lost:?}");
    certify(&network, 1, 7, block).await?;
    Ok(())
}
