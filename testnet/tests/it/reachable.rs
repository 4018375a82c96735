//! Whether a node can be reached from outside, as the others find out by trying.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use quorate_node::api::{PeerLine, Reachability, Status};
use quorate_testnet::{NodeProcess, wait};

use crate::support::{Outcome, SOON, peer_of, turn, usual_network};

async fn becomes(node: &NodeProcess, state: &str) -> Result<Reachability> {
    let what = format!("{} is {state}", node.name);
    wait::until(&what, SOON, || async {
        let status: Status = node.status().await.ok()?;
        (status.reachability.state == state).then_some(status.reachability)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_knows_whether_others_reach_it_and_which_version_they_have() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let node = &network.operators[0];
    let reached = becomes(node, "public").await?;
    ensure!(reached.since_ms.is_some() && reached.checked_ms >= reached.since_ms);
    let listen: Vec<String> = node.status().await?.listen;
    ensure!(!reached.addresses.is_empty());
    for address in &reached.addresses {
        ensure!(listen.contains(address), "{address} is none of {listen:?}");
    }
    let peers: Vec<PeerLine> = node.get("/peers").await?;
    let own = node.status().await?.version;
    let registry = peer_of(&network.registries[0])?.to_string();
    for peer in &peers {
        ensure!(peer.version.as_ref() == Some(&own), "{peer:?}");
    }
    ensure!(peers.iter().any(|peer| peer.peer_id == registry));

    // It dials out as before, but nobody finds it where it is seen: it listens elsewhere only.
    let probe = TcpListener::bind("[::1]:0")
        .context("::1 is needed: `sysctl -w net.ipv6.conf.lo.disable_ipv6=0` gives it")?;
    let port = probe.local_addr()?.port();
    drop(probe);
    let node = &mut network.operators[4];
    node.stop().await?;
    node.start_with(&["--listen", &format!("/ip6/::1/tcp/{port}")])?;
    node.ready().await?;
    let reached = becomes(node, "private").await?;
    ensure!(reached.addresses.is_empty() && reached.checked_ms.is_some());
    Ok(())
}

/// Whether `node` has a connection to that peer becomes what it is to be.
async fn becomes_connected(node: &NodeProcess, peer: &str, wanted: bool) -> Result<()> {
    let what = format!("connected to {peer}: {wanted}");
    wait::until(&what, Duration::from_secs(60), || async {
        let peers: Vec<PeerLine> = node.get("/peers").await.ok()?;
        (peers.iter().any(|line| line.peer_id == peer) == wanted).then_some(())
    })
    .await
}

/// Its connections stand all the time, as those of a machine whose network is cut off.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_answers_nothing_is_gone_and_comes_back() -> Outcome {
    let _turn = turn().await;
    let network = usual_network().await?;
    let (node, silent) = (&network.operators[0], &network.operators[4]);
    let peer = peer_of(silent)?.to_string();
    becomes_connected(node, &peer, true).await?;
    silent.pause()?;
    becomes_connected(node, &peer, false).await?;
    silent.resume()?;
    becomes_connected(node, &peer, true).await
}
