//! Operators that nobody can dial, and networks that let nobody else in.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libp2p::multiaddr::Protocol;
use quorate_node::api::{Health, PeerLine};
use quorate_node::client::Client;
use quorate_testnet::namespaces::{Host, Namespaces};
use quorate_testnet::{
    FaultyProvider, LocalNetwork, NetworkOptions, NodeHost, NodeProcess, ProviderBehaviour, wait,
};

use crate::support::command::node;
use crate::support::{Outcome, SOON, certify, figure, peer_of, staked, turn, usual_network};

/// Operators behind a router each; the hosts are the registry's and theirs, then those of the others.
const HIDDEN: usize = 2;
/// To find out that nobody reaches it, to find a relay, to be dialled through it, to do without it.
const FOUND: Duration = Duration::from_secs(60);

/// A registry and four operators of which the first two are needed for every certificate, and hidden.
struct NatNetwork {
    network: LocalNetwork,
    _providers: Vec<FaultyProvider>,
    _dir: tempfile::TempDir,
    _hosts: Namespaces,
}

impl NatNetwork {
    async fn start(hosts: Namespaces) -> Result<Self> {
        let mut providers = Vec::new();
        let mut seats = Vec::new();
        for host in hosts.hosts() {
            let [home, source] = [provider(host).await?, provider(host).await?];
            seats.push(NodeHost {
                mesh: host.mesh,
                control: host.control,
                namespace: Some(host.name.clone()),
                home_rpc: vec![home.url()],
                source_rpc: vec![source.url()],
            });
            providers.extend([home, source]);
        }
        let options = NetworkOptions {
            seats,
            ..staked(&[40, 40, 20, 15])
        };
        let dir = tempfile::tempdir()?;
        let mut network = LocalNetwork::prepare(options, dir.path()).await?;
        for both in providers.chunks(2) {
            both[0].forward_to(network.deployment.home.endpoint());
            both[1].forward_to(network.deployment.source.endpoint());
        }
        for (number, node) in network.operators.iter_mut().enumerate() {
            let everywhere = everywhere(node)?;
            match number < HIDDEN {
                true => node.start_with(&["--listen", &everywhere])?,
                false => node.start()?,
            }
        }
        network.registries[0].start()?;
        for node in network.registries.iter_mut().chain(&mut network.operators) {
            node.ready().await?;
        }
        Ok(Self {
            network,
            _providers: providers,
            _dir: dir,
            _hosts: hosts,
        })
    }
}

async fn provider(host: &Host) -> Result<FaultyProvider> {
    FaultyProvider::listen_at(host.gateway, ProviderBehaviour::Honest).await
}

/// Its port at all of its addresses: answers leave by the one towards the router.
fn everywhere(node: &NodeProcess) -> Result<String> {
    let port = node.address.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    let port = port.context("no port")?;
    Ok(format!(
        "/ip4/0.0.0.0/tcp/{port},/ip4/0.0.0.0/udp/{port}/quic-v1"
    ))
}

fn hidden_hosts() -> Result<Namespaces> {
    let mut hosts = Namespaces::create_public(1 + HIDDEN + 2)?;
    for number in 1..=HIDDEN {
        hosts.put_behind_nat(number)?;
    }
    Ok(hosts)
}

/// By which addresses a node is connected to another one.
async fn ways(of: &NodeProcess, to: &NodeProcess) -> Result<Vec<String>> {
    let (peers, wanted): (Vec<PeerLine>, _) = (of.get("/peers").await?, peer_of(to)?.to_string());
    let line = peers.into_iter().find(|line| line.peer_id == wanted);
    Ok(line.map(|line| line.addresses).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, network namespaces, ip and iptables"]
async fn operators_behind_nat_certify_and_are_reached_through_the_registry() -> Outcome {
    let _turn = turn().await;
    let scene = NatNetwork::start(hidden_hosts()?).await?;
    let network = &scene.network;
    let hidden = &network.operators[0];
    let peer = peer_of(hidden)?;
    wait::until("a place at the registry", FOUND, || async {
        let status = hidden.status().await.ok()?;
        let has_place = status.listen.iter().any(|a| a.contains("/p2p-circuit/"));
        (has_place && status.reachability.state == "private").then_some(())
    })
    .await?;

    let block = network.set_value(7, 100).await?;
    certify(network, 2, 7, block).await?;

    // A user outside, by the address that the others name.
    let ending = format!("/p2p-circuit/p2p/{peer}");
    let (client, wanted) = (network.client(2).await?, &ending);
    wait::until("its address at the registry in the list", SOON, || async {
        let list = client.operators().await.ok()?.operators;
        let mut listed = list.iter().flat_map(|line| &line.addresses);
        listed
            .any(|address| address.ends_with(wanted))
            .then_some(())
    })
    .await?;
    let registry = &network.registries[0].address;
    let to = format!("{registry}{ending}");
    let (user, at) = (network.user().to_string(), block.to_string());
    let args = [
        "--chain", "31338", "--user", &user, "--key", "7", "--block", &at,
    ];
    let ran = node(&[&["request", "state", "--to", &to][..], &args].concat()).await?;
    ran.says(0, &["100"])?;

    // The two find each other through the registry, and then without it.
    let direct = wait::until("a direct connection of hidden operators", FOUND, || async {
        let ways = ways(hidden, &network.operators[1]).await.ok()?;
        ways.into_iter().find(|way| !way.contains("p2p-circuit"))
    });
    direct.await?;
    // The connection stands a moment before the one that made it says so.
    wait::until("a hole punch that is counted", SOON, || async {
        let name = "quorate_hole_punches_total";
        let own = figure(hidden, name, "made").await.ok()?;
        let other = figure(&network.operators[1], name, "made").await.ok()?;
        (own + other > 0.0).then_some(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_network_lets_nobody_else_in() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let friends = [&network.registries[0], &network.operators[0]];
    let friends = friends
        .map(peer_of)
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let closed = &mut network.operators[4];
    closed.stop().await?;
    // The registry is one of its bootstrap peers.
    closed.start_with(&["--allowed-peers", &friends[1].to_string()])?;
    closed.ready().await?;
    let closed = &network.operators[4];
    wait::until("a stranger that was refused", SOON, || async {
        let peers: Vec<PeerLine> = closed.get("/peers").await.ok()?;
        let refused = figure(closed, "quorate_connections_refused_total", "allowed_peers");
        let refused = refused.await.ok()?;
        (peers.len() == friends.len() && refused > 0.0).then_some(())
    })
    .await?;
    let peers: Vec<PeerLine> = closed.get("/peers").await?;
    ensure!(
        peers
            .iter()
            .all(|line| friends.iter().any(|f| f.to_string() == line.peer_id))
    );
    ensure!(Client::connect(&closed.address, None).await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_no_router_forwards_are_told_with_a_cure() -> Outcome {
    let _turn = turn().await;
    let mut network = usual_network().await?;
    let node = &mut network.operators[4];
    node.stop().await?;
    node.start_with(&["--upnp", "true"])?;
    wait::until("a problem", FOUND, || async {
        let health: Health = node.get("/health").await.ok()?;
        let is_it = |problem: &String| problem.contains("upnp = false");
        health.problems.iter().any(is_it).then_some(())
    })
    .await?;
    let log = std::fs::read_to_string(node.log_path())?;
    ensure!(log.contains("no port is forwarded"), "{}", node.log_tail());
    Ok(())
}
