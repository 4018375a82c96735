//! Whether others reach this node from outside, as they say themselves after they tried.
//!
//! AutoNAT, version 1: a connected peer dials back to the address that it sees this node at, on the
//! ports that this node listens on. A peer may lie, so nothing is decided by this; it is shown.

use libp2p::autonat::{self, NatStatus, OutboundProbeError, OutboundProbeEvent, ResponseError};
use libp2p::{Multiaddr, PeerId};
use quorate_proto::Timestamp;

/// Addresses that are shown: two transports over two protocols, twice.
const MAX_ADDRESSES: usize = 8;

/// Whether a node can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReachState {
    /// No peer has tried yet, or none could.
    #[default]
    Unknown,
    /// A peer reached it.
    Public,
    /// No peer that tried reached it.
    Private,
}

impl ReachState {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// What others said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reachability {
    pub(crate) state: ReachState,
    /// Since when that is the state; `None` where it never was another one.
    pub(crate) since: Option<Timestamp>,
    /// Where it was reached, the newest last.
    pub(crate) addresses: Vec<Multiaddr>,
    /// When a peer last tried.
    pub(crate) checked: Option<Timestamp>,
}

impl Reachability {
    /// Takes what AutoNAT found out.
    pub(super) fn note(&mut self, now: Timestamp, event: &autonat::Event) {
        match event {
            autonat::Event::OutboundProbe(OutboundProbeEvent::Response {
                peer, address, ..
            }) => self.reached(now, *peer, address),
            autonat::Event::OutboundProbe(OutboundProbeEvent::Error {
                error: OutboundProbeError::Response(ResponseError::DialError),
                ..
            }) => self.checked = Some(now),
            autonat::Event::StatusChanged { new, .. } => self.turn(now, new),
            _ => {}
        }
    }

    fn reached(&mut self, now: Timestamp, by: PeerId, address: &Multiaddr) {
        tracing::debug!(%by, %address, "reached from outside");
        self.checked = Some(now);
        self.addresses.retain(|known| known != address);
        self.addresses.push(address.clone());
        if self.addresses.len() > MAX_ADDRESSES {
            self.addresses.remove(0);
        }
    }

    fn turn(&mut self, now: Timestamp, status: &NatStatus) {
        self.state = match status {
            NatStatus::Public(_) => ReachState::Public,
            NatStatus::Private => ReachState::Private,
            NatStatus::Unknown => ReachState::Unknown,
        };
        if self.state != ReachState::Public {
            self.addresses.clear();
        }
        self.since = Some(now);
        tracing::info!(state = self.state.name(), "reachability from outside");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(old: NatStatus, new: NatStatus) -> autonat::Event {
        autonat::Event::StatusChanged { old, new }
    }

    #[test]
    fn it_shows_where_it_was_reached_until_it_is_not_any_more() {
        let address = |port: usize| -> Multiaddr {
            let port = port % 60_000;
            format!("/ip4/203.0.113.7/tcp/{port}").parse().unwrap()
        };
        let mut reachability = Reachability::default();
        assert_eq!(
            (reachability.state, reachability.since),
            (ReachState::Unknown, None)
        );
        let now = Timestamp(5_000_000);
        for port in 1..20 {
            reachability.reached(now, PeerId::random(), &address(port));
            reachability.reached(now, PeerId::random(), &address(port));
        }
        let public = NatStatus::Public(address(19));
        reachability.note(now, &changed(NatStatus::Unknown, public.clone()));
        assert_eq!(
            (reachability.state, reachability.since),
            (ReachState::Public, Some(now))
        );
        assert_eq!(reachability.addresses.len(), MAX_ADDRESSES);
        assert_eq!(reachability.addresses.last(), Some(&address(19)));
        let later = Timestamp(9_000_000);
        reachability.note(later, &changed(public, NatStatus::Private));
        assert_eq!(
            (reachability.state, reachability.since),
            (ReachState::Private, Some(later))
        );
        assert!(reachability.addresses.is_empty());
    }
}
