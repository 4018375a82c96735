//! The swarm of a user, and what a node's swarm has in common with it.

use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, identify, noise, relay, tcp, yamux};

use crate::streams::Streams;

/// What a program of this project calls itself by identify; its version follows.
pub const AGENT: &str = "quorate/";
/// A connection without streams is closed after this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a user's swarm is made of.
#[derive(NetworkBehaviour)]
pub(crate) struct UserBehaviour {
    pub(crate) identify: identify::Behaviour,
    pub(crate) streams: Streams,
    circuits: relay::client::Behaviour,
}

/// The swarm of a user: it dials, opens streams and nothing else.
///
/// # Errors
/// What cannot be set up.
pub(crate) fn user_swarm() -> Result<Swarm<UserBehaviour>, String> {
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp_config(), noise::Config::new, yamux::Config::default)
        .map_err(setup)?
        .with_quic()
        .with_dns()
        .map_err(setup)?
        .with_relay_client(noise::Config::new, yamux::Config::default)
        .map_err(setup)?
        .with_behaviour(|keypair, circuits| UserBehaviour {
            identify: identify(keypair),
            streams: Streams::default(),
            circuits,
        })
        .map_err(setup)?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
        .build();
    Ok(swarm)
}

fn setup(error: impl std::fmt::Display) -> String {
    format!("cannot set up the network: {error}")
}

/// TCP without delay: messages are small, and each is waited for.
#[must_use]
pub fn tcp_config() -> tcp::Config {
    tcp::Config::default().nodelay(true)
}

/// Says by identify which program this is, and which run of it.
#[must_use]
pub fn identify(keypair: &Keypair) -> identify::Behaviour {
    let agent = format!(
        "{AGENT}{}/{:08x}",
        env!("CARGO_PKG_VERSION"),
        rand::random::<u32>()
    );
    let config = identify::Config::new("/quorate/identify/1".into(), keypair.public())
        .with_agent_version(agent)
        // Where others reach it may change while it runs.
        .with_push_listen_addr_updates(true);
    identify::Behaviour::new(config)
}

/// The peer id at the end of a multiaddr.
#[must_use]
pub fn peer_of(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}
