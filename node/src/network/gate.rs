//! Who may have how many connections: in all, per peer, and per range of addresses.
//!
//! What a range has too much of is refused before the handshake, which is what a connection costs.
//! libp2p's own limits know no ranges, and keep an entry for each peer that was ever here.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;
use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};
use quorate_protocols::bucket::{Bucket, Rate};

use super::ranges::{Limited, Range};
use crate::clock;

/// Connections that others may hold open: 500 operators and as many users.
const MAX_INCOMING: u32 = 1_024;
/// Connections that this node holds open by itself.
const MAX_OUTGOING: u32 = 512;
/// Handshakes under way at a time, in each direction; each costs a key exchange, about 0.2 ms.
const MAX_PENDING: u32 = 128;
/// Connections per peer: TCP and QUIC from both sides at once, and one from each side by which the
/// other one learns whether it can be reached.
const MAX_PER_PEER: u32 = 6;
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
    pub(crate) connections: u32,
    /// Which ranges are limited.
    pub(crate) limited: Limited,
}

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("{MAX_PENDING} handshakes are under way")]
    Pending,
    #[error("{MAX_INCOMING} incoming connections are open")]
    Incoming,
    #[error("{MAX_OUTGOING} outgoing connections are open")]
    Outgoing,
    #[error("the peer has {MAX_PER_PEER} connections")]
    Peer,
    #[error("the range {0} has as many connections as it may (range_connections)")]
    Range(Range),
    #[error("the range {0} connects too often")]
    RangeRate(Range),
}

impl Full {
    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
            Self::Peer => "peer",
            Self::Range(_) => "range",
            Self::RangeRate(_) => "range_rate",
        }
    }
}

/// Counts connections and refuses those above the limits.
pub(crate) struct Gate {
    limits: RangeLimits,
    open: HashMap<ConnectionId, Connection>,
    stages: HashMap<Stage, u32>,
    peers: HashMap<PeerId, u32>,
    ranges: HashMap<Range, u32>,
    rates: HashMap<Range, Bucket>,
}

#[derive(Clone, Copy)]
struct Connection {
    stage: Stage,
    peer: Option<PeerId>,
    range: Option<Range>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Accepting,
    Dialling,
    Incoming,
    Outgoing,
}

impl Gate {
    pub(super) fn new(limits: RangeLimits) -> Self {
        Self {
            limits,
            open: HashMap::new(),
            stages: HashMap::new(),
            peers: HashMap::new(),
            ranges: HashMap::new(),
            rates: HashMap::new(),
        }
    }

    fn accept(&mut self, id: ConnectionId, remote: &Multiaddr) -> Result<(), Full> {
        self.check(Stage::Accepting, MAX_PENDING, Full::Pending)?;
        let range = Range::limited(remote, self.limits.limited);
        if let Some(range) = range {
            if self.ranges.get(&range).copied().unwrap_or_default() >= self.limits.connections {
                return Err(Full::Range(range));
            }
            if !self.take_of_rate(range) {
                return Err(Full::RangeRate(range));
            }
        }
        let connection = Connection {
            stage: Stage::Accepting,
            peer: None,
            range,
        };
        self.insert(id, connection);
        Ok(())
    }

    fn take_of_rate(&mut self, range: Range) -> bool {
        let now = clock::now();
        if self.rates.len() >= MAX_RANGES && !self.rates.contains_key(&range) {
            self.rates
                .retain(|_, bucket| !bucket.is_full(now, RANGE_RATE));
            if self.rates.len() >= MAX_RANGES {
                return false;
            }
        }
        let bucket = self.rates.entry(range);
        let bucket = bucket.or_insert_with(|| Bucket::full(now, RANGE_RATE));
        bucket.take(now, RANGE_RATE, 1)
    }

    fn establish(&self, stage: Stage, peer: PeerId) -> Result<(), Full> {
        match stage {
            Stage::Incoming => self.check(stage, MAX_INCOMING, Full::Incoming)?,
            _ => self.check(stage, MAX_OUTGOING, Full::Outgoing)?,
        }
        if self.peers.get(&peer).copied().unwrap_or_default() >= MAX_PER_PEER {
            return Err(Full::Peer);
        }
        Ok(())
    }

    fn check(&self, stage: Stage, most: u32, full: Full) -> Result<(), Full> {
        let count = self.stages.get(&stage).copied().unwrap_or_default();
        if count >= most { Err(full) } else { Ok(()) }
    }

    fn insert(&mut self, id: ConnectionId, connection: Connection) {
        self.remove(id);
        *self.stages.entry(connection.stage).or_default() += 1;
        if let Some(peer) = connection.peer {
            *self.peers.entry(peer).or_default() += 1;
        }
        if let Some(range) = connection.range {
            *self.ranges.entry(range).or_default() += 1;
        }
        self.open.insert(id, connection);
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.open.remove(&id)?;
        drop_one(&mut self.stages, connection.stage);
        if let Some(peer) = connection.peer {
            drop_one(&mut self.peers, peer);
        }
        if let Some(range) = connection.range {
            drop_one(&mut self.ranges, range);
        }
        Some(connection)
    }

    fn established(&mut self, id: ConnectionId, peer: PeerId, endpoint: &ConnectedPoint) {
        let range = self.remove(id).and_then(|connection| connection.range);
        let stage = match endpoint {
            ConnectedPoint::Listener { .. } => Stage::Incoming,
            ConnectedPoint::Dialer { .. } => Stage::Outgoing,
        };
        let connection = Connection {
            stage,
            peer: Some(peer),
            range,
        };
        self.insert(id, connection);
    }
}

fn drop_one<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

fn refuse(full: Full) -> ConnectionDenied {
    metrics::counter!("quorate_connections_refused_total", "limit" => full.name()).increment(1);
    tracing::debug!(%full, "connection refused");
    ConnectionDenied::new(full)
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.accept(id, remote).map_err(refuse)
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
        _: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.check(Stage::Dialling, MAX_PENDING, Full::Pending)
            .map_err(refuse)?;
        let connection = Connection {
            stage: Stage::Dialling,
            peer: None,
            range: None,
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
mod tests {
    use super::*;

    fn gate(connections: u32) -> Gate {
        Gate::new(RangeLimits {
            connections,
            limited: Limited::Global,
        })
    }

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    fn remote(last: &str) -> Multiaddr {
        format!("/ip4/{last}/tcp/1").parse().unwrap()
    }

    fn listener(address: &Multiaddr) -> ConnectedPoint {
        ConnectedPoint::Listener {
            local_addr: remote("192.0.2.1"),
            send_back_addr: address.clone(),
        }
    }

    #[test]
    fn a_range_has_its_connections_and_gets_them_back() {
        let mut gate = gate(3);
        let (one, other) = (remote("203.0.113.7"), remote("203.0.114.7"));
        let peer = PeerId::random();
        for number in 0..3 {
            gate.accept(id(number), &one).unwrap();
            gate.established(id(number), peer, &listener(&one));
        }
        let neighbour = remote("203.0.113.200");
        let range = Range::limited(&one, Limited::All).unwrap();
        assert_eq!(gate.accept(id(3), &neighbour), Err(Full::Range(range)));
        gate.accept(id(4), &other).unwrap();
        gate.remove(id(1));
        gate.accept(id(5), &neighbour).unwrap();
        for number in 0..6 {
            gate.remove(id(number));
        }
        assert!(gate.open.is_empty() && gate.stages.is_empty());
        assert!(gate.peers.is_empty() && gate.ranges.is_empty());
    }

    #[test]
    fn who_is_on_this_machine_is_not_limited_by_range() {
        let mut gate = gate(1);
        for number in 0..MAX_PENDING as usize {
            gate.accept(id(number), &remote("127.0.0.1")).unwrap();
        }
        let refused = gate.accept(id(1_000), &remote("127.0.0.1"));
        assert_eq!(refused, Err(Full::Pending));
    }

    #[test]
    fn a_range_that_comes_and_goes_is_slowed_down() {
        let mut gate = gate(64);
        let address = remote("203.0.113.7");
        let mut taken = 0;
        while gate.accept(id(taken), &address).is_ok() {
            gate.remove(id(taken));
            taken += 1;
            assert!(taken < 10_000);
        }
        // Some time passes in the loop, too.
        assert!(taken >= RANGE_RATE.burst as usize && taken < 2 * RANGE_RATE.burst as usize);
        let range = Range::limited(&address, Limited::All).unwrap();
        let refused = gate.accept(id(taken), &address);
        assert_eq!(refused, Err(Full::RangeRate(range)));
        gate.accept(id(taken), &remote("203.0.114.7")).unwrap();
    }

    #[test]
    fn what_is_remembered_of_ranges_is_bounded() {
        let mut gate = gate(64);
        for number in 0..2 * MAX_RANGES {
            let [.., a, b] = number.to_be_bytes();
            let _ = gate.accept(id(number), &remote(&format!("203.{a}.{b}.1")));
            gate.remove(id(number));
        }
        assert!(gate.rates.len() <= MAX_RANGES);
    }

    #[test]
    fn a_peer_has_few_connections() {
        let mut gate = gate(64);
        let (address, peer) = (remote("127.0.0.1"), PeerId::random());
        for number in 0..MAX_PER_PEER as usize {
            gate.accept(id(number), &address).unwrap();
            gate.establish(Stage::Incoming, peer).unwrap();
            gate.established(id(number), peer, &listener(&address));
        }
        assert_eq!(gate.establish(Stage::Incoming, peer), Err(Full::Peer));
        assert_eq!(gate.establish(Stage::Outgoing, peer), Err(Full::Peer));
        let other = PeerId::random();
        assert_eq!(gate.establish(Stage::Incoming, other), Ok(()));
    }
}
