//! What the swarm is made of, and the limits of each part.

use std::collections::HashSet;
use std::time::Duration;

use libp2p::gossipsub::{
    self, IdentTopic, MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds,
    TopicScoreParams, ValidationMode,
};
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    PeerId, StreamProtocol, Swarm, SwarmBuilder, allow_block_list, identify, kad, noise, ping,
    quic, relay, upnp, yamux,
};
use quorate_client::streams::Streams;
use quorate_client::swarm::{identify as identify_as, tcp_config};
use quorate_proto::{Kind, NetworkId, limits};
use sha2::{Digest, Sha256};

use super::connection_limits::{ConnectionLimits, HANDSHAKE};
use super::probe::{Probe, Punch};
use super::{NetworkConfig, NetworkError, peer_of, relays};
use crate::settings::{RelayUse, Reloadable};

/// A connection without streams is closed after this time, unless both are in the mesh.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A content seen within this time is not handled again: far longer than gossipsub repeats or
/// announces one (5 s and five heartbeats). Later copies are met by the window of batch numbers. At
/// 1,000 messages/s that is 15,000 ids of about 100 bytes.
const DUPLICATE_CACHE: Duration = Duration::from_secs(15);
/// Bytes above the largest message that gossipsub still reads. It cuts the stream where its buffer, which
/// may hold the beginning of the next message, is larger than its limit, and does not tell this node: what is a
/// little too large has to come through, to be rejected and counted.
const OVERSIZE: usize = 64 * 1024;
/// How long gossipsub remembers the score of a peer that is gone, some 500 bytes each. Who is shut out is
/// remembered elsewhere, so that this need not outlast the first pauses.
const RETAIN_SCORE: Duration = Duration::from_secs(10 * 60);
/// A peer that answers no ping is gone. libp2p forgives the first one: that is noticed within 30 s.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How fast the mesh mends itself.
const HEARTBEAT: Duration = Duration::from_millis(700);

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(super) gate: ConnectionLimits,
    pub(super) blocked: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    pub(super) gossipsub: gossipsub::Behaviour,
    pub(super) identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(super) kad: kad::Behaviour<kad::store::MemoryStore>,
    pub(super) streams: Streams,
    probe: Probe,
    /// At registries.
    relay: Toggle<relay::Behaviour>,
    circuits: relay::client::Behaviour,
    upnp: Toggle<upnp::tokio::Behaviour>,
    // Below all that refuse connections: it keeps what it has seen.
    punch: Toggle<Punch>,
}

/// The swarm of a node.
pub(super) fn node_swarm(config: &NetworkConfig) -> Result<Swarm<Behaviour>, NetworkError> {
    let swarm = SwarmBuilder::with_existing_identity(config.keypair.clone())
        .with_tokio()
        .with_tcp(tcp_config(), noise::Config::new, yamux::Config::default)
        .map_err(setup)?
        .with_quic_config(quic_config)
        .with_dns()
        .map_err(setup)?
        .with_relay_client(noise::Config::new, yamux::Config::default)
        .map_err(setup)?
        .with_behaviour(|keypair, circuits| behaviour(keypair, circuits, config))
        .map_err(setup)?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
        .with_connection_timeout(HANDSHAKE)
        .build();
    Ok(swarm)
}

/// A process that was killed closes nothing, and over QUIC no peer notices before this time; libp2p
/// waits for 10 s.
fn quic_config(mut config: quic::Config) -> quic::Config {
    config.max_idle_timeout = 6_000;
    config.handshake_timeout = HANDSHAKE;
    config.keep_alive_interval = Duration::from_secs(2);
    config
}

fn setup(error: impl std::fmt::Display) -> NetworkError {
    NetworkError::Setup(error.to_string())
}

fn behaviour(
    keypair: &Keypair,
    circuits: relay::client::Behaviour,
    config: &NetworkConfig,
) -> Result<Behaviour, Box<dyn std::error::Error + Send + Sync>> {
    let (local, reach) = (keypair.public().to_peer_id(), &config.reach);
    let punches = reach.relay != RelayUse::Off;
    let ping = ping::Config::new()
        .with_interval(PING_INTERVAL)
        .with_timeout(PING_TIMEOUT);
    Ok(Behaviour {
        gate: gate(config),
        blocked: allow_block_list::Behaviour::default(),
        gossipsub: gossipsub(&config.network)?,
        identify: identify_as(keypair),
        ping: ping::Behaviour::new(ping),
        kad: kademlia(keypair, &config.network)?,
        streams: Streams::default(),
        probe: Probe::new(local, &config.external),
        relay: config.serves_as_relay.then(|| relays::server(local)).into(),
        circuits,
        upnp: reach.upnp.then(upnp::tokio::Behaviour::default).into(),
        punch: punches.then(|| Punch::new(local)).into(),
    })
}

fn gate(config: &NetworkConfig) -> ConnectionLimits {
    let live = config.live.borrow();
    let configured = config.bootstrap.iter().filter_map(peer_of);
    ConnectionLimits::new(live.limits.ranges(), allowed(&live, configured))
}

/// The only peers that may be connected; all where there are none.
pub(super) fn allowed(
    live: &Reloadable,
    configured: impl Iterator<Item = PeerId>,
) -> HashSet<PeerId> {
    let listed = &live.allowed_peers;
    let configured = configured.filter(|_| !listed.is_empty());
    listed.iter().copied().chain(configured).collect()
}

fn kademlia(
    keypair: &Keypair,
    network: &NetworkId,
) -> Result<kad::Behaviour<kad::store::MemoryStore>, Box<dyn std::error::Error + Send + Sync>> {
    let protocol = StreamProtocol::try_from_owned(network.protocol("kad"))?;
    let mut config = kad::Config::new(protocol);
    config
        .set_periodic_bootstrap_interval(Some(Duration::from_secs(30)))
        .set_record_filtering(kad::StoreInserts::FilterBoth);
    let id = keypair.public().to_peer_id();
    let mut kad = kad::Behaviour::with_config(id, kad::store::MemoryStore::new(id), config);
    kad.set_mode(Some(kad::Mode::Server));
    Ok(kad)
}

fn gossipsub(
    network: &NetworkId,
) -> Result<gossipsub::Behaviour, Box<dyn std::error::Error + Send + Sync>> {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(limits::MAX_GOSSIP_BYTES.saturating_add(OVERSIZE))
        .duplicate_cache_time(DUPLICATE_CACHE)
        .heartbeat_interval(HEARTBEAT)
        .build()?;
    let mut gossipsub = gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config)?;
    let topics = Kind::ALL.map(|kind| IdentTopic::new(network.topic(kind)));
    let params = PeerScoreParams {
        topics: topics
            .iter()
            .map(|topic| (topic.hash(), topic_score()))
            .collect(),
        // Many nodes behind one address are usual in data centres and tests; floods are met by
        // the other scores.
        ip_colocation_factor_weight: 0.0,
        retain_score: RETAIN_SCORE,
        ..PeerScoreParams::default()
    };
    gossipsub.with_peer_score(params, PeerScoreThresholds::default())?;
    for topic in &topics {
        gossipsub.subscribe(topic)?;
    }
    Ok(gossipsub)
}

/// Messages carry no author of gossipsub's, so their id comes from their content: the first 20
/// bytes of sha256(topic ‖ 0x00 ‖ data).
fn message_id(message: &gossipsub::Message) -> MessageId {
    let digest = Sha256::new()
        .chain_update(message.topic.as_str())
        .chain_update([0])
        .chain_update(&message.data)
        .finalize();
    MessageId::from(digest[..20].to_vec())
}

/// Below this score gossipsub does not listen to a peer.
pub(super) fn graylist_threshold() -> f64 {
    PeerScoreThresholds::default().graylist_threshold
}

/// Invalid messages cost; silence does not, because topics are quiet when no user asks.
fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        // At most 0.5 per topic: to be here must not outweigh a rejected message.
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 50.0,
        first_message_deliveries_weight: 0.1,
        first_message_deliveries_cap: 100.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        // Five rejected messages within a moment are -75, and end the connection (`conduct`). They
        // must not be below the graylist threshold of -80: what is ignored is not counted.
        invalid_message_deliveries_weight: -3.0,
        invalid_message_deliveries_decay: 0.97,
        ..TopicScoreParams::default()
    }
}
