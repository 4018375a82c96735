//! Whom to dial, and when again. Reconnects for ever, with back-off.

use std::collections::HashMap;

use libp2p::{Multiaddr, PeerId};
use quorate_proto::{Timestamp, limits};

use super::peer_of;
use super::ranges::is_relayed;

/// First pause after a failure; doubled up to [`MAX_PAUSE_MS`].
const MIN_PAUSE_MS: u64 = 250;
/// A restarted peer is found again within this time even if it does not dial by itself.
const MAX_PAUSE_MS: u64 = 4_000;
/// Peers that are dialled: all operators and some registries.
const MAX_PEERS: usize = limits::MAX_OPERATORS + 140;
/// Addresses kept per peer.
const MAX_ADDRESSES: usize = 8;
/// A peer that was only heard of is forgotten after this many failures in a row: 5 to 10 minutes.
const MAX_FAILURES: u32 = 80;

/// Keeps connections to bootstrap peers and to every node of the network it hears of.
#[derive(Default)]
pub(super) struct Dialer {
    targets: HashMap<PeerId, DialTarget>,
    /// Bootstrap addresses without a peer id: dialled until one answers.
    strangers: Vec<Stranger>,
}

struct DialTarget {
    addresses: Vec<Multiaddr>,
    connected: bool,
    failures: u32,
    next: Timestamp,
    /// Given by configuration: never forgotten.
    fixed: bool,
}

struct Stranger {
    address: Multiaddr,
    connected: Option<PeerId>,
    failures: u32,
    next: Timestamp,
}

/// What to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dial {
    /// This peer at these addresses.
    Peer(PeerId, Vec<Multiaddr>),
    /// Any peer that answers there.
    Address(Multiaddr),
}

impl Dialer {
    /// A peer from the configuration.
    pub(super) fn add_bootstrap(&mut self, now: Timestamp, address: Multiaddr) {
        match peer_of(&address) {
            Some(peer) => {
                let target = self.target(now, peer);
                target.fixed = true;
                remember(&mut target.addresses, &address);
            }
            None => self.strangers.push(Stranger {
                address,
                connected: None,
                failures: 0,
                next: now,
            }),
        }
    }

    /// A node of this network, by identify, Kademlia or the store of an earlier run.
    pub(super) fn learn(&mut self, now: Timestamp, peer: PeerId, addresses: &[Multiaddr]) {
        if !self.targets.contains_key(&peer) && self.targets.len() >= MAX_PEERS {
            return;
        }
        let target = self.target(now, peer);
        for address in addresses {
            remember(&mut target.addresses, address);
        }
    }

    /// Whether a peer is from the configuration, by its id or by an address at which it answers.
    pub(super) fn is_configured(&self, peer: &PeerId) -> bool {
        let fixed = self.targets.get(peer).is_some_and(|target| target.fixed);
        fixed || self.strangers.iter().any(|s| s.connected == Some(*peer))
    }

    /// Peers from the configuration that are known by their ids.
    pub(super) fn configured_peers(&self) -> impl Iterator<Item = PeerId> {
        let fixed = self.targets.iter().filter(|(_, target)| target.fixed);
        fixed.map(|(peer, _)| *peer)
    }

    /// Where those from the configuration are.
    pub(super) fn configured(&self) -> impl Iterator<Item = &Multiaddr> {
        let fixed = self.targets.values().filter(|target| target.fixed);
        let strangers = self.strangers.iter().map(|stranger| &stranger.address);
        fixed.flat_map(|target| &target.addresses).chain(strangers)
    }

    /// Where a peer from the configuration is, without its id, as configured.
    pub(super) fn configured_at(&self, peer: &PeerId) -> Option<Multiaddr> {
        let fixed = self.targets.get(peer).filter(|target| target.fixed);
        let fixed = fixed.and_then(|target| target.addresses.first());
        let stranger = || self.strangers.iter().find(|s| s.connected == Some(*peer));
        fixed
            .or_else(|| stranger().map(|stranger| &stranger.address))
            .map(place_of)
    }

    fn target(&mut self, now: Timestamp, peer: PeerId) -> &mut DialTarget {
        self.targets.entry(peer).or_insert(DialTarget {
            addresses: Vec::new(),
            connected: false,
            failures: 0,
            next: now,
            fixed: false,
        })
    }

    /// A connection stands.
    pub(super) fn connected(&mut self, peer: PeerId, address: &Multiaddr) {
        if let Some(target) = self.targets.get_mut(&peer) {
            target.connected = true;
            target.failures = 0;
        }
        for stranger in &mut self.strangers {
            if same_place(&stranger.address, address) {
                stranger.connected = Some(peer);
                stranger.failures = 0;
            }
        }
    }

    /// The last connection is gone: dial at once, then with back-off.
    pub(super) fn disconnected(&mut self, now: Timestamp, peer: PeerId) {
        if let Some(target) = self.targets.get_mut(&peer) {
            target.connected = false;
            target.next = now.plus_millis(MIN_PAUSE_MS);
        }
        for stranger in self
            .strangers
            .iter_mut()
            .filter(|s| s.connected == Some(peer))
        {
            stranger.connected = None;
            stranger.next = now.plus_millis(MIN_PAUSE_MS);
        }
    }

    /// A dial failed; whether that was a peer that is to be connected. Peers that were only heard of are
    /// forgotten in the end. The pause begins now: meanwhile others may dial it by addresses of their own.
    pub(super) fn failed(&mut self, now: Timestamp, peer: PeerId) -> bool {
        let Some(target) = self.targets.get_mut(&peer) else {
            return false;
        };
        target.next = now.plus_millis(pause(target.failures));
        target.failures = target.failures.saturating_add(1);
        if !target.fixed && target.failures > MAX_FAILURES {
            self.targets.remove(&peer);
        }
        true
    }

    /// What is due now. Each call counts as an attempt.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Dial> {
        let mut dials = Vec::new();
        for (peer, target) in &mut self.targets {
            if !target.connected && target.next <= now && !target.addresses.is_empty() {
                target.next = now.plus_millis(pause(target.failures));
                dials.push(Dial::Peer(*peer, target.addresses.clone()));
            }
        }
        for stranger in &mut self.strangers {
            if stranger.connected.is_none() && stranger.next <= now {
                stranger.next = now.plus_millis(pause(stranger.failures));
                stranger.failures = stranger.failures.saturating_add(1);
                dials.push(Dial::Address(stranger.address.clone()));
            }
        }
        dials
    }

    /// When to call [`Dialer::due`].
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let waiting = |t: &&DialTarget| !t.connected && !t.addresses.is_empty();
        let targets = self.targets.values().filter(waiting).map(|t| t.next);
        let strangers = self.strangers.iter().filter(|s| s.connected.is_none());
        targets.chain(strangers.map(|s| s.next)).min()
    }
}

fn pause(failures: u32) -> u64 {
    (MIN_PAUSE_MS << failures.min(10)).min(MAX_PAUSE_MS)
}

/// Addresses of relays come before others: who has them is not reached elsewhere.
fn remember(addresses: &mut Vec<Multiaddr>, address: &Multiaddr) {
    let place = place_of(address);
    if addresses.contains(&place) {
        return;
    }
    if addresses.len() >= MAX_ADDRESSES {
        // The first one may be from the settings.
        let plain = addresses.iter().skip(1).position(|a| !is_relayed(a));
        match plain.filter(|_| is_relayed(&place)) {
            Some(before) => drop(addresses.remove(before.saturating_add(1))),
            None => return,
        }
    }
    addresses.push(place);
}

/// An address without the id of the peer at its end; that of a relay stays.
pub(super) fn place_of(address: &Multiaddr) -> Multiaddr {
    let mut place = address.clone();
    if peer_of(address).is_some() {
        place.pop();
    }
    place
}

fn same_place(a: &Multiaddr, b: &Multiaddr) -> bool {
    place_of(a) == place_of(b)
}

#[cfg(test)]
mod tests {
    use libp2p::multiaddr::Protocol;

    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000);

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn a_bootstrap_peer_is_dialled_for_ever_with_growing_pauses() {
        let (mut dialer, peer) = (Dialer::default(), PeerId::random());
        dialer.add_bootstrap(START, address(1).with(Protocol::P2p(peer)));
        let mut now = START;
        let mut pauses = Vec::new();
        for _ in 0..200 {
            assert_eq!(dialer.due(now), [Dial::Peer(peer, vec![address(1)])]);
            dialer.failed(now, peer);
            let next = dialer.next_wake().unwrap();
            pauses.push(next.micros_since(now) / 1_000);
            now = next;
        }
        assert_eq!(&pauses[..6], [250, 500, 1_000, 2_000, 4_000, 4_000]);
    }

    #[test]
    fn a_lost_peer_is_dialled_again_soon() {
        let (mut dialer, peer) = (Dialer::default(), PeerId::random());
        dialer.learn(START, peer, &[address(1)]);
        assert_eq!(dialer.due(START).len(), 1);
        dialer.connected(peer, &address(1));
        assert_eq!(dialer.next_wake(), None);
        dialer.disconnected(START, peer);
        assert_eq!(dialer.next_wake(), Some(START.plus_millis(MIN_PAUSE_MS)));
    }

    #[test]
    fn hearsay_is_bounded_and_forgotten() {
        let (mut dialer, peer) = (Dialer::default(), PeerId::random());
        dialer.learn(START, peer, &[address(1)]);
        for _ in 0..=MAX_FAILURES {
            assert!(dialer.failed(START, peer));
        }
        assert!(dialer.targets.is_empty() && !dialer.failed(START, peer));
        for port in 0..1_000 {
            dialer.learn(START, PeerId::random(), &[address(port)]);
        }
        assert_eq!(dialer.targets.len(), MAX_PEERS);
    }

    #[test]
    fn addresses_at_relays_keep_the_relay_and_come_before_others() {
        let (mut dialer, peer, relay) = (Dialer::default(), PeerId::random(), PeerId::random());
        let circuit = address(99).with(Protocol::P2p(relay));
        let circuit = circuit.with(Protocol::P2pCircuit);
        let named = circuit.clone().with(Protocol::P2p(peer));
        dialer.add_bootstrap(START, address(0).with(Protocol::P2p(peer)));
        let many: Vec<_> = (1..20).map(address).collect();
        dialer.learn(START, peer, &many);
        dialer.learn(START, peer, &[named.clone(), circuit.clone()]);
        dialer.learn(START, peer, &many);
        let known = &dialer.targets[&peer].addresses;
        assert_eq!(known.len(), MAX_ADDRESSES);
        assert_eq!(known.iter().filter(|a| is_relayed(a)).count(), 1);
        assert!(known.contains(&circuit));
        assert_eq!(dialer.configured_at(&peer), Some(address(0)));
        assert_eq!(dialer.configured_at(&relay), None);
    }

    #[test]
    fn a_bootstrap_address_without_peer_id_is_dialled_until_somebody_answers() {
        let (mut dialer, peer) = (Dialer::default(), PeerId::random());
        dialer.add_bootstrap(START, address(9));
        assert_eq!(dialer.due(START), [Dial::Address(address(9))]);
        assert!(!dialer.is_configured(&peer));
        dialer.connected(peer, &address(9));
        assert!(dialer.is_configured(&peer));
        assert_eq!(dialer.next_wake(), None);
        dialer.disconnected(START, peer);
        assert!(dialer.next_wake().is_some());
    }
}
