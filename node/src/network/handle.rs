//! How the rest of the node speaks to the swarm.

use libp2p::gossipsub::MessageId;
use libp2p::{Multiaddr, PeerId};
use quorate_proto::Kind;
use tokio::sync::{mpsc, oneshot, watch};

use super::Offence;

/// A gossip message that waits for its validation.
#[derive(Debug)]
pub(crate) struct GossipMessage {
    pub(crate) source: PeerId,
    pub(crate) id: MessageId,
    pub(crate) kind: Kind,
    pub(crate) data: Vec<u8>,
}

/// What is done with a validated message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acceptance {
    /// Forwarded.
    Accept,
    /// Dropped; nobody is to blame.
    Ignore,
    /// Dropped; the sender loses score.
    Reject,
}

/// One connected peer.
#[derive(Clone, Debug)]
pub(crate) struct PeerInfo {
    pub(crate) peer: PeerId,
    pub(crate) addresses: Vec<Multiaddr>,
    pub(crate) score: f64,
}

pub(super) enum Command {
    Publish {
        kind: Kind,
        data: Vec<u8>,
        done: oneshot::Sender<()>,
    },
    Validated {
        source: PeerId,
        id: MessageId,
        acceptance: Acceptance,
    },
    Offence {
        peer: PeerId,
        offence: Offence,
    },
    Learn {
        peer: PeerId,
        addresses: Vec<Multiaddr>,
    },
    Peers {
        reply: oneshot::Sender<Vec<PeerInfo>>,
    },
}

/// Speaks to the swarm task. Calls return when the swarm has taken them; once the swarm has
/// ended they do nothing.
#[derive(Clone)]
pub(crate) struct NetworkHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(crate) listen: watch::Receiver<Vec<Multiaddr>>,
    pub(super) streams: libp2p_stream::Control,
    pub(super) peer_id: PeerId,
}

impl NetworkHandle {
    /// Publishes to the mesh; returns when it has been handed to the connections.
    pub(crate) async fn publish(&self, kind: Kind, data: Vec<u8>) {
        let (done, published) = oneshot::channel();
        self.send(Command::Publish { kind, data, done }).await;
        let _ = published.await;
    }

    /// Reports what validation said.
    pub(crate) async fn validated(&self, message: &GossipMessage, acceptance: Acceptance) {
        let (source, id) = (message.source, message.id.clone());
        self.send(Command::Validated {
            source,
            id,
            acceptance,
        })
        .await;
    }

    /// Reports misconduct.
    pub(crate) async fn offence(&self, peer: PeerId, offence: Offence) {
        self.send(Command::Offence { peer, offence }).await;
    }

    /// A node of this network can be reached there: it is dialled, and remembered.
    pub(crate) async fn learn(&self, peer: PeerId, addresses: Vec<Multiaddr>) {
        self.send(Command::Learn { peer, addresses }).await;
    }

    /// Who is connected now.
    pub(crate) async fn peers(&self) -> Vec<PeerInfo> {
        let (reply, peers) = oneshot::channel();
        self.send(Command::Peers { reply }).await;
        peers.await.unwrap_or_default()
    }

    /// Where the swarm listens, with its peer id.
    pub(crate) fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.listen.borrow().clone()
    }

    /// Opens and accepts streams.
    pub(crate) fn streams(&self) -> libp2p_stream::Control {
        self.streams.clone()
    }

    pub(crate) const fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    async fn send(&self, command: Command) {
        // An error means that the swarm has ended, and with it the node.
        let _ = self.commands.send(command).await;
    }
}
