//! The swarm task: the only place that touches the swarm.

mod circuits;
mod events;

use std::collections::HashMap;

use futures::StreamExt;
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, TopicHash};
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm};
use quorate_proto::{Kind, NetworkId, Timestamp};
use quorate_storage::{Durability, WriteQueue};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::bans::{Offence, PeerBans};
use super::behaviour::{Behaviour, allowed, graylist_threshold, node_swarm};
use super::dialer::{Dial, Dialer};
use super::handle::{Acceptance, Callers, GossipMessage, NetworkHandle, PeerInfo, SwarmCommand};
use super::inbox::Inbox;
use super::listening::{Listening, RETRY_MS};
use super::peer_store::{Haste, PeerStore};
use super::ranges::ip_of;
use super::relays::{self, Relays};
use super::runs::Runs;
use super::{Limited, NetworkError, Reachability};
use crate::clock;
use crate::gossip::Bindings;
use crate::settings::{LiveSettings, Reach};

/// Commands that wait for the swarm. When it is full, a caller with another one waits.
const COMMANDS: usize = 1_024;

/// How long the swarm goes on after the node's end, so that last answers reach their users.
const LINGER: std::time::Duration = std::time::Duration::from_millis(100);

/// How often it is looked for connected peers to remember: who speaks for an operator is often known
/// only after the peer has said where it listens.
const LOOK_MS: u64 = 60_000;

/// How often other nodes are asked where a peer is that was not reached.
const LOOKUP_MS: u64 = 2_000;

/// What the swarm is made from.
pub(crate) struct NetworkConfig {
    pub(crate) keypair: Keypair,
    pub(crate) network: NetworkId,
    pub(crate) listen: Vec<Multiaddr>,
    pub(crate) external: Vec<Multiaddr>,
    pub(crate) bootstrap: Vec<Multiaddr>,
    pub(crate) serves_as_relay: bool,
    pub(crate) reach: Reach,
    pub(crate) live: LiveSettings,
}

/// A connected peer.
#[derive(Default)]
struct Peer {
    addresses: Vec<Multiaddr>,
    version: Option<String>,
    runs: Runs,
    /// Where it says that it listens, if it is a node.
    listens: Vec<Multiaddr>,
    /// This node has reached it: it listens where it says.
    dialled: bool,
    /// It relays for others.
    relays: bool,
    /// It has a place here, so that others reach it through this node.
    kept: bool,
}

/// The swarm and its bookkeeping.
pub(crate) struct Network {
    swarm: Swarm<Behaviour>,
    topics: HashMap<TopicHash, Kind>,
    network: NetworkId,
    kad_protocol: StreamProtocol,
    dialer: Dialer,
    conduct: PeerBans,
    connections: HashMap<PeerId, Peer>,
    reachability: Reachability,
    limited: Limited,
    live: LiveSettings,
    callers: Callers,
    commands: mpsc::Receiver<SwarmCommand>,
    inbox: Inbox,
    listen: watch::Sender<Vec<Multiaddr>>,
    listening: Listening,
    next_listen: Timestamp,
    relays: Relays,
    next_relays: Timestamp,
    next_lookup: Timestamp,
    upnp_problem: Option<String>,
    /// A registry without `external`: relays name their own addresses to those for whom they relay.
    announces: bool,
    book: PeerStore,
    next_look: Timestamp,
    writes: WriteQueue,
    bindings: Bindings,
}

impl Network {
    /// Builds the swarm and begins to listen.
    pub(crate) fn new(
        config: NetworkConfig,
        writes: WriteQueue,
        bindings: Bindings,
    ) -> Result<(Self, NetworkHandle, mpsc::Receiver<GossipMessage>), NetworkError> {
        let swarm = node_swarm(&config)?;
        let (commands_tx, commands) = mpsc::channel(COMMANDS);
        let (inbox, messages) = Inbox::new();
        let (listen, listen_rx) = watch::channel(Vec::new());
        let handle = NetworkHandle {
            commands: commands_tx,
            listen: listen_rx,
            streams: swarm.behaviour().streams.handle(),
            peer_id: *swarm.local_peer_id(),
            external: config.external.clone(),
            callers: Callers::default(),
        };
        let kad_protocol = StreamProtocol::try_from_owned(config.network.protocol("kad"))
            .map_err(|e| NetworkError::Setup(e.to_string()))?;
        let topic = |kind| (IdentTopic::new(config.network.topic(kind)).hash(), kind);
        let book = PeerStore::open(writes.store());
        let limited = config.live.borrow().limits.ranges().limited;
        let mut network = Self {
            topics: Kind::ALL.map(topic).into_iter().collect(),
            swarm,
            network: config.network,
            kad_protocol,
            dialer: Dialer::default(),
            conduct: PeerBans::default(),
            connections: HashMap::new(),
            reachability: Reachability::default(),
            limited,
            live: config.live,
            callers: handle.callers.clone(),
            commands,
            inbox,
            listen,
            listening: Listening::new(config.listen),
            next_listen: clock::now(),
            relays: Relays::new(config.reach.relay),
            next_relays: clock::now(),
            next_lookup: clock::now(),
            upnp_problem: None,
            announces: config.serves_as_relay && config.external.is_empty(),
            book,
            next_look: clock::now().plus_millis(LOOK_MS),
            writes,
            bindings,
        };
        network.listen()?;
        for address in config.external {
            network.swarm.add_external_address(address);
        }
        for address in config.bootstrap {
            network.dialer.add_bootstrap(clock::now(), address);
        }
        network.recall_peers();
        network.keep_places();
        Ok((network, handle, messages))
    }

    fn listen(&mut self) -> Result<(), NetworkError> {
        self.next_listen = clock::now().plus_millis(RETRY_MS);
        self.listening.listen(&mut self.swarm)
    }

    /// Peers of an earlier run: a restarted node finds the mesh without its bootstrap peers.
    fn recall_peers(&mut self) {
        for (peer, addresses) in self.book.peers() {
            self.dialer.learn(clock::now(), peer, &addresses);
        }
    }

    /// Remembers where a peer listens, if it has something to do with the network: any peer can call and
    /// say so.
    fn remember(&mut self, peer: PeerId, listens: &[Multiaddr], haste: Haste) {
        let dialled = self
            .connections
            .get(&peer)
            .is_some_and(|known| known.dialled);
        let counts =
            dialled || self.dialer.is_configured(&peer) || self.bindings.is_peer_bound(&peer);
        if !counts || listens.is_empty() {
            return;
        }
        if let Some(batch) = self.book.note(clock::now(), peer, listens, haste) {
            // The swarm does not wait for the disk. A write that fails ends the node elsewhere.
            drop(self.writes.submit(batch, Durability::Buffered));
        }
    }

    fn look_at_peers(&mut self) {
        let said = |(peer, known): (&PeerId, &Peer)| (*peer, known.listens.clone());
        let said: Vec<_> = self.connections.iter().map(said).collect();
        for (peer, listens) in said {
            self.remember(peer, &listens, Haste::Calm);
        }
    }

    /// Tells the connection limits from where operators and configured peers call, or said that they listen.
    fn keep_places(&mut self) {
        let counts = |peer: &PeerId| self.dialer.is_configured(peer) || self.bindings.serves(peer);
        let configured = self.dialer.configured().filter_map(ip_of);
        let connected = self.connections.iter().filter(|(peer, _)| counts(peer));
        let connected = connected.flat_map(|(_, known)| known.addresses.iter().filter_map(ip_of));
        let known = self.book.peers().into_iter();
        let listed = known
            .filter(|(peer, _)| counts(peer))
            .flat_map(|(_, listed)| listed);
        let addresses: Vec<_> = configured
            .chain(connected)
            .chain(listed.filter_map(|address| ip_of(&address)))
            .collect();
        self.swarm.behaviour_mut().gate.know(addresses);
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// An address of a kind that is not known.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), crate::NodeError> {
        loop {
            let look = Some(self.next_look.min(self.next_relays));
            let listen = self.listening.lacks_some().then_some(self.next_listen);
            let wake = [
                self.dialer.next_wake(),
                self.conduct.next_wake(),
                look,
                listen,
            ];
            let wake = wake.into_iter().flatten().min().map(clock::instant_of);
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(command) = self.commands.recv() => self.on_command(command),
                Ok(()) = self.live.changed() => self.on_settings(),
                () = clock::sleep_until(wake) => self.on_wake()?,
                () = token.cancelled() => break,
            }
        }
        self.linger().await;
        Ok(())
    }

    /// Lets the connections send what was given to them.
    async fn linger(&mut self) {
        let flush = async {
            loop {
                let _ = self.swarm.select_next_some().await;
            }
        };
        let _ = tokio::time::timeout(LINGER, flush).await;
    }

    fn on_wake(&mut self) -> Result<(), NetworkError> {
        let now = clock::now();
        if self.next_listen <= now && self.listening.lacks_some() {
            self.listen()?;
        }
        if self.next_look <= now {
            self.next_look = now.plus_millis(LOOK_MS);
            self.look_at_peers();
            self.keep_places();
        }
        if self.next_relays <= now {
            self.next_relays = now.plus_millis(relays::LOOK_MS);
            self.look_at_relays(now);
        }
        for peer in self.conduct.pardoned(now) {
            self.swarm.behaviour_mut().blocked.unblock_peer(peer);
        }
        for dial in self.dialer.due(now) {
            let options = match dial {
                Dial::Peer(peer, addresses) => DialOpts::peer_id(peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(addresses)
                    .build(),
                Dial::Address(address) => DialOpts::unknown_peer_id().address(address).build(),
            };
            let peer = options.get_peer_id();
            if let Err(error) = self.swarm.dial(options) {
                tracing::debug!(?peer, ?error, "not dialled");
                // Under way already, or shut out here: no event tells that it failed.
                if let Some(peer) = peer {
                    self.dialer.failed(now, peer);
                }
            }
        }
        Ok(())
    }

    fn on_settings(&mut self) {
        let live = self.live.borrow_and_update();
        let ranges = live.limits.ranges();
        let allowed = allowed(&live, self.dialer.configured_peers());
        drop(live);
        self.limited = ranges.limited;
        let gate = &mut self.swarm.behaviour_mut().gate;
        gate.change(ranges, allowed);
        let connected = self.connections.keys().copied();
        let shut_out: Vec<PeerId> = connected.filter(|peer| !gate.allows(peer)).collect();
        for peer in shut_out {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn on_command(&mut self, command: SwarmCommand) {
        match command {
            SwarmCommand::Publish { kind, data, done } => self.publish(kind, data, done),
            SwarmCommand::Validated {
                source,
                id,
                acceptance,
            } => self.validated(source, &id, acceptance),
            SwarmCommand::Offence { peer, offence } => self.offence(peer, offence),
            SwarmCommand::Learn { peer, addresses } => self.learn(peer, &addresses, Haste::Now),
            SwarmCommand::Peers { reply } => {
                let _ = reply.send(self.peers());
            }
            SwarmCommand::Listening { reply } => {
                let upnp = self.upnp_problem.clone();
                let problems = self.listening.problems().into_iter().chain(upnp);
                let _ = reply.send(problems.collect());
            }
            SwarmCommand::Reachability { reply } => {
                let _ = reply.send(self.reachability.clone());
            }
        }
    }

    fn publish(&mut self, kind: Kind, data: Vec<u8>, done: tokio::sync::oneshot::Sender<()>) {
        let topic = IdentTopic::new(self.network.topic(kind));
        let size = data.len();
        if let Err(error) = self.swarm.behaviour_mut().gossipsub.publish(topic, data) {
            metrics::counter!("quorate_publish_failures_total").increment(1);
            tracing::debug!(%error, kind = kind.name(), size, "not published");
        }
        let _ = done.send(());
    }

    fn validated(&mut self, source: PeerId, id: &gossipsub::MessageId, acceptance: Acceptance) {
        let verdict = match acceptance {
            Acceptance::Accept => MessageAcceptance::Accept,
            Acceptance::Ignore => MessageAcceptance::Ignore,
            Acceptance::Reject(_) => MessageAcceptance::Reject,
        };
        let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
        gossipsub.report_message_validation_result(id, &source, verdict);
        if let Acceptance::Reject(reason) = acceptance {
            self.offence(source, Offence::InvalidMessage(reason));
        }
    }

    fn offence(&mut self, peer: PeerId, offence: Offence) {
        metrics::counter!("quorate_offences_total").increment(1);
        let score = self.swarm.behaviour().gossipsub.peer_score(&peer);
        let unheard =
            offence == Offence::Muted || score.is_some_and(|score| score <= graylist_threshold());
        if self.conduct.offend(clock::now(), peer, unheard) {
            tracing::warn!(%peer, ?offence, "peer shut out for repeated misconduct");
            self.swarm.behaviour_mut().blocked.block_peer(peer);
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn peers(&self) -> Vec<PeerInfo> {
        let gossipsub = &self.swarm.behaviour().gossipsub;
        let info = |(peer, known): (&PeerId, &Peer)| PeerInfo {
            peer: *peer,
            addresses: known.addresses.clone(),
            listens: known.listens.clone(),
            score: gossipsub.peer_score(peer).unwrap_or_default(),
            version: known.version.clone(),
        };
        self.connections.iter().map(info).collect()
    }
}
