//! A peer that is no operator: it listens to the mesh, publishes and opens streams as it likes.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::io::WriteHalf;
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::gossipsub::{
    self, IdentTopic, MessageAuthenticity, MessageId, TopicHash, ValidationMode,
};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, identify, noise, tcp, yamux,
};
use prost::Message as _;
use quorate_proto::{Envelope, Kind, NetworkId, PeerSecret, Response, limits, wire};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::process::NodeProcess;
use crate::wait;

/// For whatever takes a moment on a busy machine.
const SOON: Duration = Duration::from_secs(15);

/// Larger than any node accepts.
const MAX_TRANSMIT: usize = 8 * limits::MAX_GOSSIP_BYTES;

#[derive(NetworkBehaviour)]
struct Behaviour {
    gossipsub: gossipsub::Behaviour,
    identify: identify::Behaviour,
    stream: libp2p_stream::Behaviour,
}

/// A libp2p peer of one's own. Ends when dropped.
pub struct TestPeer {
    /// Its peer id.
    pub peer: PeerId,
    /// The secret of its peer key.
    pub secret: PeerSecret,
    network: NetworkId,
    commands: mpsc::Sender<PeerCommand>,
    streams: libp2p_stream::Control,
    known: Arc<Mutex<PeerState>>,
}

enum PeerCommand {
    Dial(Multiaddr),
    Publish(String, Vec<u8>),
}

#[derive(Default)]
struct PeerState {
    connected: HashSet<PeerId>,
    /// Who takes messages of which topic.
    subscribed: HashSet<(PeerId, TopicHash)>,
    listens: bool,
    heard: Vec<ReceivedMessage>,
}

/// A gossip message as it was received.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReceivedMessage {
    /// Of which topic.
    pub kind: Kind,
    /// The envelope.
    pub data: Vec<u8>,
}

impl TestPeer {
    /// A peer whose key is made from `seed`.
    ///
    /// # Errors
    /// The swarm cannot be set up.
    pub fn new(network: &NetworkId, seed: u8) -> Result<Self> {
        Self::of(network, [seed; 32], true)
    }

    /// A peer with this peer key.
    ///
    /// # Errors
    /// The swarm cannot be set up.
    pub fn with_secret(network: &NetworkId, secret: [u8; 32]) -> Result<Self> {
        Self::of(network, secret, true)
    }

    /// A peer that keeps nothing of what it hears.
    ///
    /// # Errors
    /// The swarm cannot be set up.
    pub fn deaf(network: &NetworkId, secret: [u8; 32]) -> Result<Self> {
        Self::of(network, secret, false)
    }

    fn of(network: &NetworkId, secret: [u8; 32], listens: bool) -> Result<Self> {
        let keypair = Keypair::ed25519_from_bytes(secret)?;
        let swarm = swarm(keypair, network)?;
        let (commands, orders) = mpsc::channel(256);
        let known = Arc::new(Mutex::new(PeerState {
            listens,
            ..PeerState::default()
        }));
        let stranger = Self {
            peer: *swarm.local_peer_id(),
            secret: PeerSecret::from_bytes(&secret),
            network: network.clone(),
            commands,
            streams: swarm.behaviour().stream.new_control(),
            known: known.clone(),
        };
        tokio::spawn(drive(swarm, orders, known, network.clone()));
        Ok(stranger)
    }

    /// Connects to a node and waits until it takes gossip.
    ///
    /// # Errors
    /// It does not within 15 s.
    pub async fn meet(&self, node: &NodeProcess) -> Result<()> {
        self.meet_at(&node.address).await
    }

    /// Connects to the node at this address and waits until it takes gossip.
    ///
    /// # Errors
    /// It does not within 15 s.
    pub async fn meet_at(&self, address: &Multiaddr) -> Result<()> {
        let peer = peer_of(address)?;
        wait::until(&format!("the stranger meets {address}"), SOON, || async {
            // A node that has connections left to another process of this peer closes them all.
            if !self.known().connected.contains(&peer) {
                self.order(PeerCommand::Dial(address.clone())).await.ok()?;
            }
            self.takes_all(peer).then_some(())
        })
        .await
    }

    /// Whether a peer takes messages of all topics.
    fn takes_all(&self, peer: PeerId) -> bool {
        let known = self.known();
        Kind::ALL.iter().all(|kind| {
            let topic = IdentTopic::new(self.network.topic(*kind)).hash();
            known.subscribed.contains(&(peer, topic))
        })
    }

    /// Dials, and does not wait for what comes of it.
    ///
    /// # Errors
    /// The stranger has ended.
    pub async fn dial(&self, node: &NodeProcess) -> Result<()> {
        self.order(PeerCommand::Dial(node.address.clone())).await
    }

    /// Publishes to all nodes that it knows.
    ///
    /// # Errors
    /// The stranger has ended.
    pub async fn publish(&self, kind: Kind, data: Vec<u8>) -> Result<()> {
        self.order(PeerCommand::Publish(self.network.topic(kind), data))
            .await
    }

    async fn order(&self, command: PeerCommand) -> Result<()> {
        self.commands
            .send(command)
            .await
            .ok()
            .context("the stranger has ended")
    }

    /// Whether a connection stands.
    ///
    /// # Errors
    /// The node has no peer id.
    pub fn is_connected(&self, node: &NodeProcess) -> Result<bool> {
        self.is_connected_to(&node.address)
    }

    /// Whether a connection to that peer stands.
    ///
    /// # Errors
    /// The address has no peer id.
    pub fn is_connected_to(&self, address: &Multiaddr) -> Result<bool> {
        Ok(self.known().connected.contains(&peer_of(address)?))
    }

    /// Everything that was gossiped so far, each content once.
    pub fn heard(&self) -> Vec<ReceivedMessage> {
        let mut seen = HashSet::new();
        let known = self.known();
        known
            .heard
            .iter()
            .filter(|heard| seen.insert(*heard))
            .cloned()
            .collect()
    }

    /// The message with this number of those that were heard, counted round and round.
    #[must_use]
    pub fn heard_at(&self, number: usize) -> Option<ReceivedMessage> {
        let known = self.known();
        let place = number.checked_rem(known.heard.len())?;
        known.heard.get(place).cloned()
    }

    /// Every response among it.
    ///
    /// # Errors
    /// An envelope that does not open.
    pub fn responses(&self) -> Result<Vec<Response>> {
        let topic = self.network.topic(Kind::Response);
        let mut responses = Vec::new();
        for heard in self
            .heard()
            .iter()
            .filter(|heard| heard.kind == Kind::Response)
        {
            responses.extend(
                Envelope::open(&heard.data, &topic, Kind::Response)?
                    .batch
                    .responses,
            );
        }
        Ok(responses)
    }

    /// Opens a request stream to a node that it is connected to.
    ///
    /// # Errors
    /// There is no connection, or none comes within 15 s.
    pub async fn stream(&self, node: &NodeProcess) -> Result<RequestStream> {
        self.stream_to(&node.address).await
    }

    /// Opens a request stream to a peer that it is connected to.
    ///
    /// # Errors
    /// As [`Self::stream`].
    pub async fn stream_to(&self, address: &Multiaddr) -> Result<RequestStream> {
        let protocol = StreamProtocol::try_from_owned(self.network.protocol("request"))?;
        let mut streams = self.streams.clone();
        let opened = streams.open_stream(peer_of(address)?, protocol);
        Ok(RequestStream(tokio::time::timeout(SOON, opened).await??))
    }

    /// Streams of a protocol that others open to it.
    ///
    /// # Errors
    /// They are accepted already.
    pub fn accept(&self, protocol: &str) -> Result<libp2p_stream::IncomingStreams> {
        let protocol = StreamProtocol::try_from_owned(self.network.protocol(protocol))?;
        Ok(self.streams.clone().accept(protocol)?)
    }

    fn known(&self) -> MutexGuard<'_, PeerState> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request stream, byte by byte.
pub struct RequestStream(Stream);

impl RequestStream {
    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The stream broke.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).await?;
        Ok(self.0.flush().await?)
    }

    /// The same stream, all of whose replies are read and forgotten.
    #[must_use]
    pub fn forgetting_replies(self) -> RequestWriter {
        let (mut reader, writer) = self.0.split();
        let reading = tokio::spawn(async move {
            let _ = futures::io::copy(&mut reader, &mut futures::io::sink()).await;
        });
        RequestWriter { writer, reading }
    }

    /// Sends a well-formed frame.
    ///
    /// # Errors
    /// The stream broke.
    pub async fn ask(&mut self, request: &wire::Request) -> Result<()> {
        self.send(&request.encode_length_delimited_to_vec()).await
    }

    /// The next reply; `None` where the stream was closed.
    ///
    /// # Errors
    /// The stream broke, or nothing came within 15 s.
    pub async fn reply(&mut self) -> Result<Option<wire::Reply>> {
        tokio::time::timeout(SOON, self.read()).await?
    }

    async fn read(&mut self) -> Result<Option<wire::Reply>> {
        let mut bytes = Vec::new();
        loop {
            let mut byte = [0_u8; 1];
            if self.0.read(&mut byte).await? == 0 {
                return Ok(None);
            }
            bytes.push(byte[0]);
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; prost::decode_length_delimiter(bytes.as_slice())?];
        self.0.read_exact(&mut body).await?;
        Ok(Some(wire::Reply::decode(body.as_slice())?))
    }
}

/// A request stream on which nothing is heard.
pub struct RequestWriter {
    writer: WriteHalf<Stream>,
    reading: tokio::task::JoinHandle<()>,
}

impl RequestWriter {
    /// Sends a well-formed frame.
    ///
    /// # Errors
    /// The stream broke.
    pub async fn ask(&mut self, request: &wire::Request) -> Result<()> {
        anyhow::ensure!(!self.reading.is_finished(), "the stream was closed");
        let frame = request.encode_length_delimited_to_vec();
        self.writer.write_all(&frame).await?;
        Ok(self.writer.flush().await?)
    }
}

impl Drop for RequestWriter {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

fn peer_of(address: &Multiaddr) -> Result<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Ok(peer),
        _ => anyhow::bail!("{address} has no peer id"),
    }
}

fn swarm(keypair: Keypair, network: &NetworkId) -> Result<Swarm<Behaviour>> {
    let gossipsub = gossipsub(network)?;
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )?
        .with_behaviour(|keypair| Behaviour {
            gossipsub,
            identify: identify::Behaviour::new(identify::Config::new(
                "/stranger/1".into(),
                keypair.public(),
            )),
            stream: libp2p_stream::Behaviour::new(),
        })?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    Ok(swarm)
}

/// Like that of a node, without its limits. It never forwards, and publishes one content as often
/// as it likes.
fn gossipsub(network: &NetworkId) -> Result<gossipsub::Behaviour> {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(MAX_TRANSMIT)
        .duplicate_cache_time(Duration::from_millis(1))
        .build()?;
    let mut gossipsub = gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config)
        .map_err(anyhow::Error::msg)?;
    for kind in Kind::ALL {
        gossipsub.subscribe(&IdentTopic::new(network.topic(kind)))?;
    }
    Ok(gossipsub)
}

/// As all nodes compute it (docs/wire.md).
fn message_id(message: &gossipsub::Message) -> MessageId {
    let digest = Sha256::new()
        .chain_update(message.topic.as_str())
        .chain_update([0])
        .chain_update(&message.data)
        .finalize();
    MessageId::from(digest[..20].to_vec())
}

async fn drive(
    mut swarm: Swarm<Behaviour>,
    mut orders: mpsc::Receiver<PeerCommand>,
    known: Arc<Mutex<PeerState>>,
    network: NetworkId,
) {
    let kinds = Kind::ALL.map(|kind| (IdentTopic::new(network.topic(kind)).hash(), kind));
    loop {
        tokio::select! {
            event = swarm.select_next_some() => {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                known.note(event, &kinds);
            }
            order = orders.recv() => match order {
                Some(PeerCommand::Dial(address)) => drop(swarm.dial(address)),
                Some(PeerCommand::Publish(topic, data)) => {
                    let gossipsub = &mut swarm.behaviour_mut().gossipsub;
                    drop(gossipsub.publish(IdentTopic::new(topic), data));
                }
                None => return,
            },
        }
    }
}

impl PeerState {
    fn note(&mut self, event: SwarmEvent<BehaviourEvent>, kinds: &[(TopicHash, Kind)]) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                self.connected.insert(peer_id);
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                ..
            } => {
                self.connected.remove(&peer_id);
                self.subscribed.retain(|(peer, _)| *peer != peer_id);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(event)) => self.gossip(event, kinds),
            _ => {}
        }
    }

    fn gossip(&mut self, event: gossipsub::Event, kinds: &[(TopicHash, Kind)]) {
        match event {
            gossipsub::Event::Subscribed { peer_id, topic } => {
                self.subscribed.insert((peer_id, topic));
            }
            gossipsub::Event::Message { message, .. } => {
                let kind = kinds.iter().find(|(topic, _)| *topic == message.topic);
                if let (Some((_, kind)), true) = (kind, self.listens) {
                    self.heard.push(ReceivedMessage {
                        kind: *kind,
                        data: message.data,
                    });
                }
            }
            _ => {}
        }
    }
}
