//! Who may have how many connections: in all, per peer, and per range of addresses.
//!
//! What a range has too much of is refused before the handshake, which is what a connection costs.
//! libp2p's own limits know no ranges, and keep an entry for each peer that was ever here.
//!
//! A connection that says nothing costs its opener nothing, and takes a place until [`HANDSHAKE`] is over.
//! So a range gets few of these places, and some are for addresses of operators and configured peers only.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};
use quorate_proto::limits;
use quorate_protocols::limiter::{Rate, RateLimiter, Shares};

use super::ranges::{Limited, Range, ip_of, is_local, is_relayed};
use crate::clock;

/// Connections that others may hold open: 500 operators and as many users.
const MAX_INCOMING: usize = 1_024;
/// Connections that this node holds open by itself.
const MAX_OUTGOING: usize = 512;
/// Dials under way at a time.
const MAX_DIALLING: usize = 128;
/// How long a connection may take until it stands, in either direction; libp2p waits for 10 s. Six round
/// trips of 500 ms, and a packet that is lost once.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(4);
/// Handshakes of others under way at a time, some 20 KiB and a file each: 10 MiB. All of them at once are
/// 0.1 s of key exchanges.
const MAX_PENDING: usize = 512;
/// Of these, for addresses of operators and configured peers only. The others are 384: 24 ranges that say
/// nothing take them all, each with as many as it may.
const KEPT_PENDING: usize = 128;
/// Of one range. Honest peers need one for the 0.1 to 2 s that a handshake takes, so that 16 are some 8 new
/// peers a second; a rack that starts again comes through within seconds, since every peer dials again.
const MAX_PENDING_PER_RANGE: usize = 16;
/// Addresses of operators and configured peers that are known, 60 bytes each.
const MAX_KNOWN: usize = 4 * limits::MAX_OPERATORS;
/// Addresses that a peer may name for hole punching: an honest one has seen as many of its own.
const MAX_NAMED: usize = 20;
/// Connections per peer: TCP and QUIC from both sides at once, and one from each side by which the
/// other one learns whether it can be reached.
const MAX_PER_PEER: usize = 6;
/// New connections of one range: handshakes of 32/s are 1 % of a core; a rack that starts again takes
/// its connections at once.
const RANGE_RATE: Rate = Rate {
    per_second: 32,
    burst: 128,
};
/// Ranges whose rate is remembered, 60 bytes each. When all are in use, those that are full again are
/// forgotten; where none is, new ranges wait.
const MAX_RANGES: usize = 8_192;

/// What a range of addresses may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RangeLimits {
    /// Connections at a time.
    pub(crate) connections: usize,
    /// Which ranges are limited.
    pub(crate) limited: Limited,
}

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LimitReached {
    #[error("too many handshakes are under way")]
    Pending,
    #[error("{0} has {MAX_PENDING_PER_RANGE} handshakes under way")]
    RangePending(ConnectionSlot),
    #[error("{MAX_INCOMING} incoming connections are open")]
    Incoming,
    #[error("{MAX_OUTGOING} outgoing connections are open")]
    Outgoing,
    #[error("the peer has {MAX_PER_PEER} connections")]
    Peer,
    #[error("{0} has as many connections as it may (range_connections)")]
    Range(ConnectionSlot),
    #[error("{0} connects too often")]
    RangeRate(ConnectionSlot),
    #[error("the peer is none of allowed_peers")]
    NotAllowed,
    #[error("the peer names addresses of a local network for a direct connection")]
    Local,
}

impl LimitReached {
    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::RangePending(_) => "range_pending",
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
            Self::Peer => "peer",
            Self::Range(_) => "range",
            Self::RangeRate(_) => "range_rate",
            Self::NotAllowed => "allowed_peers",
            Self::Local => "local",
        }
    }
}

/// Who shares limits: the addresses of a range. One of an operator or a configured peer has its own, so
/// that its neighbours take nothing from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ConnectionSlot {
    Range(Range),
    Known(IpAddr),
}

impl fmt::Display for ConnectionSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(range) => write!(f, "the range {range}"),
            Self::Known(address) => write!(f, "the address {address}"),
        }
    }
}

/// Counts connections and refuses those above the limits.
pub(crate) struct ConnectionLimits {
    limits: RangeLimits,
    open: HashMap<ConnectionId, PeerConnection>,
    stages: Shares<Stage>,
    peers: Shares<PeerId>,
    places: Shares<ConnectionSlot>,
    /// Of those, the ones whose handshake is under way.
    pending: Shares<ConnectionSlot>,
    rates: RateLimiter<ConnectionSlot>,
    /// Addresses of operators and configured peers.
    known: HashSet<IpAddr>,
    /// The only peers that may be connected; all where there are none.
    allowed: HashSet<PeerId>,
}

#[derive(Clone, Copy)]
struct PeerConnection {
    stage: Stage,
    peer: Option<PeerId>,
    /// `None` where it is not limited.
    place: Option<ConnectionSlot>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Accepting,
    /// From the address of an operator or a configured peer.
    AcceptingKnown,
    Dialling,
    Incoming,
    Outgoing,
}

impl Stage {
    const fn is_accepting(self) -> bool {
        matches!(self, Self::Accepting | Self::AcceptingKnown)
    }
}

impl ConnectionLimits {
    pub(super) fn new(limits: RangeLimits, allowed: HashSet<PeerId>) -> Self {
        Self {
            limits,
            allowed,
            open: HashMap::new(),
            stages: Shares::default(),
            peers: Shares::default(),
            places: Shares::default(),
            pending: Shares::default(),
            rates: RateLimiter::new(RANGE_RATE, MAX_RANGES),
            known: HashSet::new(),
        }
    }

    /// From now on others may be connected, and ranges have other limits. Connections that stand count as
    /// they did when they were made.
    pub(super) fn change(&mut self, limits: RangeLimits, allowed: HashSet<PeerId>) {
        self.limits = limits;
        self.allowed = allowed;
    }

    /// For which addresses places are kept from now on.
    pub(super) fn know(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.known = addresses.into_iter().take(MAX_KNOWN).collect();
    }

    /// Whether a peer may be connected at all.
    pub(super) fn allows(&self, peer: &PeerId) -> bool {
        self.allowed.is_empty() || self.allowed.contains(peer)
    }

    fn accept(&mut self, id: ConnectionId, remote: &Multiaddr) -> Result<(), LimitReached> {
        let known = ip_of(remote).filter(|ip| self.known.contains(ip) && !is_relayed(remote));
        let stage = self.room(known.is_some())?;
        let range = Range::limited(remote, self.limits.limited);
        let place =
            range.map(|range| known.map_or(ConnectionSlot::Range(range), ConnectionSlot::Known));
        if let Some(place) = place {
            if self.places.of(&place) >= self.limits.connections {
                return Err(LimitReached::Range(place));
            }
            if self.pending.of(&place) >= MAX_PENDING_PER_RANGE {
                return Err(LimitReached::RangePending(place));
            }
            let taken = self.rates.take(clock::now(), place, 1);
            taken.map_err(|_| LimitReached::RangeRate(place))?;
        }
        let peer = None;
        self.insert(id, PeerConnection { stage, peer, place });
        Ok(())
    }

    /// For one more handshake.
    fn room(&self, known: bool) -> Result<Stage, LimitReached> {
        let strangers = self.stages.of(&Stage::Accepting);
        let regulars = self.stages.of(&Stage::AcceptingKnown);
        let stage = match known {
            true => Stage::AcceptingKnown,
            false => Stage::Accepting,
        };
        let is_full = !known && strangers >= MAX_PENDING - KEPT_PENDING;
        match is_full || strangers.saturating_add(regulars) >= MAX_PENDING {
            true => Err(LimitReached::Pending),
            false => Ok(stage),
        }
    }

    fn dial(
        &self,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<(), LimitReached> {
        if peer.is_some_and(|peer| !self.allows(&peer)) {
            return Err(LimitReached::NotAllowed);
        }
        // Hole punching dials whatever the peer names: not into the network behind this node.
        let is_far = |address: &Multiaddr| ip_of(address).is_some_and(|ip| !is_local(ip));
        let punches = role.is_listener();
        if punches && (addresses.len() > MAX_NAMED || !addresses.iter().all(is_far)) {
            return Err(LimitReached::Local);
        }
        self.check(Stage::Dialling, MAX_DIALLING, LimitReached::Pending)
    }

    fn establish(&self, stage: Stage, peer: PeerId) -> Result<(), LimitReached> {
        if !self.allows(&peer) {
            return Err(LimitReached::NotAllowed);
        }
        match stage {
            Stage::Incoming => self.check(stage, MAX_INCOMING, LimitReached::Incoming)?,
            _ => self.check(stage, MAX_OUTGOING, LimitReached::Outgoing)?,
        }
        if self.peers.of(&peer) >= MAX_PER_PEER {
            return Err(LimitReached::Peer);
        }
        Ok(())
    }

    fn check(&self, stage: Stage, most: usize, full: LimitReached) -> Result<(), LimitReached> {
        match self.stages.of(&stage) >= most {
            true => Err(full),
            false => Ok(()),
        }
    }

    fn insert(&mut self, id: ConnectionId, connection: PeerConnection) {
        self.remove(id);
        self.stages.take(connection.stage);
        if let Some(peer) = connection.peer {
            self.peers.take(peer);
        }
        if let Some(place) = connection.place {
            self.places.take(place);
            if connection.stage.is_accepting() {
                self.pending.take(place);
            }
        }
        self.open.insert(id, connection);
    }

    fn remove(&mut self, id: ConnectionId) -> Option<PeerConnection> {
        let connection = self.open.remove(&id)?;
        self.stages.give_back(&connection.stage);
        if let Some(peer) = connection.peer {
            self.peers.give_back(&peer);
        }
        if let Some(place) = connection.place {
            self.places.give_back(&place);
            if connection.stage.is_accepting() {
                self.pending.give_back(&place);
            }
        }
        Some(connection)
    }

    fn established(&mut self, id: ConnectionId, peer: PeerId, endpoint: &ConnectedPoint) {
        let place = self.remove(id).and_then(|connection| connection.place);
        let stage = match endpoint {
            ConnectedPoint::Listener { .. } => Stage::Incoming,
            ConnectedPoint::Dialer { .. } => Stage::Outgoing,
        };
        let connection = PeerConnection {
            stage,
            peer: Some(peer),
            place,
        };
        self.insert(id, connection);
    }
}

fn refuse(full: LimitReached) -> ConnectionDenied {
    metrics::counter!("quorate_connections_refused_total", "limit" => full.name()).increment(1);
    tracing::debug!(%full, "connection refused");
    ConnectionDenied::new(full)
}

impl NetworkBehaviour for ConnectionLimits {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        // Of who comes through a relay no address is known.
        let from = if is_relayed(local) { local } else { remote };
        self.accept(id, from).map_err(refuse)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.establish(Stage::Incoming, peer).map_err(refuse)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.dial(peer, addresses, role).map_err(refuse)?;
        let connection = PeerConnection {
            stage: Stage::Dialling,
            peer: None,
            place: None,
        };
        self.insert(id, connection);
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.establish(Stage::Outgoing, peer).map_err(refuse)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                self.established(event.connection_id, event.peer_id, event.endpoint);
            }
            FromSwarm::ConnectionClosed(event) => drop(self.remove(event.connection_id)),
            FromSwarm::DialFailure(event) => drop(self.remove(event.connection_id)),
            FromSwarm::ListenFailure(event) => drop(self.remove(event.connection_id)),
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
