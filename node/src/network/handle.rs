//! How the rest of the node speaks to the swarm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use libp2p::gossipsub::MessageId;
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use quorate_client::streams::StreamHandle;
use quorate_proto::{Kind, limits};
use tokio::sync::{mpsc, oneshot, watch};

use super::inbox::InboxSlot;
use super::ranges::{ip_of, is_relayed};
use super::{Incoming, Offence, Range, Reachability};

/// A gossip message that waits for its validation.
#[derive(Debug)]
pub(crate) struct GossipMessage {
    pub(crate) source: PeerId,
    pub(crate) id: MessageId,
    pub(crate) kind: Kind,
    pub(crate) data: Vec<u8>,
    /// Its place in the inbox.
    pub(super) place: Option<InboxSlot>,
}

impl GossipMessage {
    /// Gives its place in the inbox back: it waits elsewhere.
    pub(crate) fn leave_inbox(&mut self) {
        self.place = None;
    }
}

#[cfg(any(test, fuzzing))]
impl GossipMessage {
    /// A message that waits nowhere.
    pub(crate) fn of(source: PeerId, kind: Kind, data: Vec<u8>) -> Self {
        Self {
            source,
            id: MessageId::from(vec![0]),
            kind,
            data,
            place: None,
        }
    }
}

/// What is done with a validated message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acceptance {
    /// Forwarded.
    Accept,
    /// Dropped; no peer is to blame.
    Ignore,
    /// Dropped; the sender loses score, for this reason.
    Reject(&'static str),
}

/// One connected peer.
#[derive(Clone, Debug)]
pub(crate) struct PeerInfo {
    pub(crate) peer: PeerId,
    pub(crate) addresses: Vec<Multiaddr>,
    /// Where it says that it can be reached, if it is a node.
    pub(crate) listens: Vec<Multiaddr>,
    pub(crate) score: f64,
    /// Its version of this program, as it says itself.
    pub(crate) version: Option<String>,
}

pub(super) enum SwarmCommand {
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
    Listening {
        reply: oneshot::Sender<Vec<String>>,
    },
    Reachability {
        reply: oneshot::Sender<Reachability>,
    },
}

/// Speaks to the swarm task. Calls return when the swarm has taken them; once the swarm has
/// ended they do nothing.
#[derive(Clone)]
pub(crate) struct NetworkHandle {
    pub(super) commands: mpsc::Sender<SwarmCommand>,
    pub(crate) listen: watch::Receiver<Vec<Multiaddr>>,
    pub(super) streams: StreamHandle,
    pub(super) peer_id: PeerId,
    /// As configured.
    pub(super) external: Vec<Multiaddr>,
    pub(super) callers: Callers,
}

/// From which ranges peers call, where these are limited; as many as there are connections.
#[derive(Clone, Default)]
pub(super) struct Callers(Arc<Mutex<HashMap<PeerId, Range>>>);

impl Callers {
    pub(super) fn note(&self, peer: PeerId, range: Option<Range>) {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match range {
            Some(range) => callers.insert(peer, range),
            None => callers.remove(&peer),
        };
    }

    fn range_of(&self, peer: &PeerId) -> Option<Range> {
        let callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        callers.get(peer).copied()
    }
}

impl NetworkHandle {
    /// Publishes to the mesh; returns when it has been handed to the connections.
    pub(crate) async fn publish(&self, kind: Kind, data: Vec<u8>) {
        let (done, published) = oneshot::channel();
        self.send(SwarmCommand::Publish { kind, data, done }).await;
        let _ = published.await;
    }

    /// Reports what validation said.
    pub(crate) async fn validated(&self, message: &GossipMessage, acceptance: Acceptance) {
        let (source, id) = (message.source, message.id.clone());
        self.send(SwarmCommand::Validated {
            source,
            id,
            acceptance,
        })
        .await;
    }

    /// Reports misconduct.
    pub(crate) async fn offence(&self, peer: PeerId, offence: Offence) {
        self.send(SwarmCommand::Offence { peer, offence }).await;
    }

    /// A node of this network can be reached there: it is dialled, and remembered.
    pub(crate) async fn learn(&self, peer: PeerId, addresses: Vec<Multiaddr>) {
        self.send(SwarmCommand::Learn { peer, addresses }).await;
    }

    /// Who is connected now.
    pub(crate) async fn peers(&self) -> Vec<PeerInfo> {
        let (reply, peers) = oneshot::channel();
        self.send(SwarmCommand::Peers { reply }).await;
        peers.await.unwrap_or_default()
    }

    /// Why it does not listen where it should.
    pub(crate) async fn listen_problems(&self) -> Vec<String> {
        let (reply, problems) = oneshot::channel();
        self.send(SwarmCommand::Listening { reply }).await;
        problems.await.unwrap_or_default()
    }

    /// Whether others reach this node.
    pub(crate) async fn reachability(&self) -> Reachability {
        let (reply, reachability) = oneshot::channel();
        self.send(SwarmCommand::Reachability { reply }).await;
        reachability.await.unwrap_or_default()
    }

    /// Where the swarm listens, with its peer id.
    pub(crate) fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.listen.borrow().clone()
    }

    /// Where others reach this node, with its peer id: at its relays, and as configured, otherwise where it
    /// listens.
    pub(crate) fn own_addresses(&self) -> Vec<Multiaddr> {
        let listens = self.listen_addresses().into_iter();
        let (mut own, direct): (Vec<_>, Vec<_>) = listens.partition(is_relayed);
        own.truncate(limits::MAX_ADDRESSES / 2);
        match self.external.is_empty() {
            true => own.extend(direct),
            false => own.extend_from_slice(&self.external),
        }
        dialable(&own, self.peer_id)
    }

    /// The range that a connected peer calls from; `None` where ranges like it are not limited.
    pub(crate) fn range_of(&self, peer: &PeerId) -> Option<Range> {
        self.callers.range_of(peer)
    }

    /// Streams of a protocol that peers open.
    pub(crate) fn accept(&self, protocol: StreamProtocol) -> Incoming {
        self.streams.accept(protocol)
    }

    /// Opens streams.
    pub(crate) const fn streams(&self) -> &StreamHandle {
        &self.streams
    }

    pub(crate) const fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    async fn send(&self, command: SwarmCommand) {
        // An error means that the swarm has ended, and with it the node.
        let _ = self.commands.send(command).await;
    }
}

/// Addresses at which others may dial a peer, each with its id: loopback ones only where there are no others.
pub(crate) fn dialable(addresses: &[Multiaddr], peer: PeerId) -> Vec<Multiaddr> {
    let is_far = |address: &&Multiaddr| !ip_of(address).is_some_and(|ip| ip.is_loopback());
    let far: Vec<&Multiaddr> = addresses.iter().filter(is_far).collect();
    let reached = match far.is_empty() {
        true => addresses.iter().collect(),
        false => far,
    };
    let named = reached
        .into_iter()
        .map(|address| address.clone().with_p2p(peer));
    named
        .filter_map(Result::ok)
        .take(limits::MAX_ADDRESSES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_dial_name_the_peer_and_leave_loopback_out_where_they_can() {
        let (peer, other) = (PeerId::random(), PeerId::random());
        let of = |texts: &[&str]| -> Vec<String> {
            let parsed: Vec<Multiaddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            let dialled = dialable(&parsed, peer).into_iter();
            dialled.map(|address| address.to_string()).collect()
        };
        let near = "/ip4/127.0.0.1/tcp/9000";
        let far = "/ip4/203.0.113.7/tcp/9000";
        let named = format!("{far}/p2p/{peer}");
        assert_eq!(of(&[near]), [format!("{near}/p2p/{peer}")]);
        for addresses in [[near, far], [&named, "/ip6/::1/tcp/1"]] {
            assert_eq!(of(&addresses).join(" "), named);
        }
        assert!(of(&[&format!("{far}/p2p/{other}")]).is_empty());
    }
}
