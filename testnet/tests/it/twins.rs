//! Two processes that say that they are one.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use quorate_node::api::{Health, PeerLine};
use quorate_testnet::{NodeProcess, wait};

use crate::support::command::{node, second};
use crate::support::{Outcome, SOON, certify, peer_of, shown, turn, usual_network};

/// Both of them, and everybody else, know it by then.
const KNOWN: Duration = Duration::from_secs(10);

async fn complains(of: &NodeProcess, phrases: &[&str], within: Duration) -> Outcome {
    let what = format!("{phrases:?} in the health of {}", of.name);
    wait::until(&what, within, || async {
        let health: Health = of.get("/health").await.ok()?;
        let fits = |problem: &String| phrases.iter().all(|phrase| problem.contains(phrase));
        health.problems.iter().any(fits).then_some(())
    })
    .await
}

/// Its pages answer, whatever they say.
async fn is_up(node: &NodeProcess) -> Outcome {
    let health = || async { node.get::<Health>("/health").await.ok() };
    wait::until("a page", SOON, health).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_peer_key_at_two_operators_is_told_by_all_nodes() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let (first, twin) = (2, 3);
    network.operators[twin].kill()?;
    let key = network.operators[first].dir.join("keys/default.peer.json");
    network.operators[twin].start_with(&["--peer-key", &key.to_string_lossy()])?;
    is_up(&network.operators[twin]).await?;
    let began = Instant::now();
    let peer = peer_of(&network.operators[first])?.to_string();
    let both = [first, twin].map(|number| network.deployment.operators[number].0.to_string());
    for number in [first, twin] {
        let phrases = [
            "this node's peer key",
            &peer,
            &both[0],
            &both[1],
            "keys new",
        ];
        let of = &network.operators[number];
        complains(of, &phrases, KNOWN.saturating_sub(began.elapsed())).await?;
        let log = std::fs::read_to_string(of.log_path())?;
        ensure!(log.contains("this node's peer key"), "{}", of.log_tail());
    }
    for of in [
        &network.operators[0],
        &network.operators[4],
        &network.registries[0],
    ] {
        let phrases = [
            "several nodes run with one peer key",
            &peer,
            &both[0],
            &both[1],
        ];
        complains(of, &phrases, KNOWN).await?;
    }
    // With a key of its own it is as before.
    network.operators[twin].kill()?;
    network.operators[twin].start()?;
    network.operators[twin].ready().await?;
    wait::until("an end of the complaints", SOON, || async {
        let health: Health = network.operators[first].get("/health").await.ok()?;
        health.ok.then_some(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_without_a_log_ends_with_5_beside_the_first() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let block = network.set_value(7, 100).await?;
    certify(&network, 0, 7, block).await?;
    let empty = network.dir().join("empty").to_string_lossy().into_owned();
    let apart = ["--listen", "/ip4/127.0.0.1/tcp/0", "--http", "off"];
    let began = Instant::now();
    second(
        &network.operators[3],
        &[&["--data-dir", &empty], &apart[..]].concat(),
    )
    .await?
    .says(5, &["is in use", "another node signs with it too"])?;
    ensure!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    // The first one goes on.
    let block = network.set_value(7, 200).await?;
    let answer = certify(&network, 0, 7, block).await?;
    let (operator, _) = network.deployment.operators[3];
    shown(&network.operators[0], answer.task_id, operator, "signed").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listen_port_that_is_taken_is_told_and_tried_again() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    network.operators[3].kill()?;
    let port = free(&network.operators[3])?;
    let holder = std::net::TcpListener::bind(("127.0.0.1", port))?;
    let config = network.operators[3].dir.join("config.toml");
    let config = config.to_string_lossy().into_owned();
    node(&["doctor", "--config", &config])
        .await?
        .says(2, &["cannot listen on", "another process has that port"])?;
    network.operators[3].start()?;
    is_up(&network.operators[3]).await?;
    let phrases = [
        "cannot listen on",
        &port.to_string(),
        "another process has that port",
    ];
    let of = &network.operators[3];
    complains(of, &phrases, KNOWN).await?;
    ensure!(std::fs::read_to_string(of.log_path())?.contains("cannot listen on"));
    node(&["doctor", "--config", &config])
        .await?
        .says(2, &["cannot listen on"])?;
    // It takes part meanwhile, by its own connections.
    let block = network.set_value(7, 100).await?;
    let answer = certify(&network, 0, 7, block).await?;
    let (operator, _) = network.deployment.operators[3];
    shown(&network.operators[0], answer.task_id, operator, "signed").await?;
    drop(holder);
    wait::until("the port, once it is free", SOON, || async {
        let health: Health = of.get("/health").await.ok()?;
        let peers: Vec<PeerLine> = of.get("/peers").await.ok()?;
        (health.ok && !peers.is_empty()).then_some(())
    })
    .await?;
    ensure!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    Ok(())
}

/// The TCP port of a node that does not run.
fn free(node: &NodeProcess) -> Result<u16> {
    let port = node.address.iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    port.ok_or_else(|| anyhow::anyhow!("{} has no TCP port", node.name))
}
