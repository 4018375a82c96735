//! At which relays this node keeps a place, so that others reach it through them where they cannot dial it.
//!
//! Relays are peers from the settings that offer it: a peer that relays for a node sees who calls it, and can
//! keep callers away.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use libp2p::core::transport::ListenerId;
use libp2p::{PeerId, relay};
use quorate_proto::{Timestamp, limits};

use super::Reachability;
use super::reachability::ReachState;
use crate::settings::RelayUse;

/// Places that a node keeps: one relay may fail.
const MAX_PLACES: usize = 2;
/// How often it is looked for relays.
pub(super) const LOOK_MS: u64 = 5_000;
/// First pause after a relay refused; doubled up to [`MAX_PAUSE_MS`]. A relay takes 30 requests at once.
const MIN_PAUSE_MS: u64 = 10_000;
const MAX_PAUSE_MS: u64 = 320_000;
/// How long others must have reached the node directly before it gives its places up: what they say may
/// change, and who dials by an address that they have heard of before is not to be cut off.
const SURE_MS: u64 = 600_000;

/// Places of a registry for others that are neither operators nor configured peers: a new operator needs
/// one until its binding is heard. What is more is cut off.
pub(super) const MAX_STRANGERS: usize = 32;
/// Circuits through a registry at a time, of two streams and 16 KiB each: 2 MiB.
const MAX_CIRCUITS: usize = 128;
/// From one peer: a user asks several operators.
const MAX_CIRCUITS_PER_PEER: usize = 8;
/// Long enough for a user to wait for some tasks of 15 s, and for nodes to find a way without relay.
const CIRCUIT_TIME: Duration = Duration::from_secs(10 * 60);
/// In each direction: some 1,000 requests and certificates of 4 KiB. All circuits together carry 14 Mbit/s
/// if each is used up in its ten minutes: 128 · 2 · 4 MiB / 600 s = 1.8 MB/s.
const CIRCUIT_BYTES: u64 = 4 << 20;
/// Circuits that one peer, or one address, may begin at once; one more in each [`CIRCUIT_PAUSE`].
const CIRCUIT_BURST: u32 = 60;
const CIRCUIT_PAUSE: Duration = Duration::from_secs(10);
/// The same for places, of one peer. Each is renewed after 45 minutes.
const PLACE_BURST: u32 = 30;
const PLACE_PAUSE: Duration = Duration::from_secs(120);

/// What a registry relays.
pub(super) fn server(local: PeerId) -> relay::Behaviour {
    let least = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    let config = relay::Config {
        max_reservations: limits::MAX_OPERATORS + MAX_STRANGERS,
        max_reservations_per_peer: 1,
        reservation_duration: Duration::from_secs(3_600),
        reservation_rate_limiters: Vec::new(),
        max_circuits: MAX_CIRCUITS,
        max_circuits_per_peer: MAX_CIRCUITS_PER_PEER,
        max_circuit_duration: CIRCUIT_TIME,
        max_circuit_bytes: CIRCUIT_BYTES,
        circuit_src_rate_limiters: Vec::new(),
    };
    // By address, too: peer ids cost nothing.
    let config = config
        .reservation_rate_per_peer(least(PLACE_BURST), PLACE_PAUSE)
        .reservation_rate_per_ip(least(2 * PLACE_BURST), PLACE_PAUSE / 2)
        .circuit_src_per_peer(least(CIRCUIT_BURST), CIRCUIT_PAUSE)
        .circuit_src_per_ip(least(CIRCUIT_BURST), CIRCUIT_PAUSE);
    relay::Behaviour::new(local, config)
}

/// The places that a node has or asks for.
pub(super) struct Relays {
    when: RelayUse,
    places: HashMap<PeerId, Reservation>,
}

/// At one relay.
#[derive(Default)]
struct Reservation {
    /// While it is asked for, and once it is had.
    listener: Option<ListenerId>,
    had: bool,
    failures: u32,
    next: Timestamp,
}

impl Relays {
    pub(super) fn new(when: RelayUse) -> Self {
        Self {
            when,
            places: HashMap::new(),
        }
    }

    /// Which of the relays on offer are asked for a place now.
    pub(super) fn due(
        &mut self,
        now: Timestamp,
        reachability: &Reachability,
        offers: Vec<PeerId>,
    ) -> Vec<PeerId> {
        let wanted = match self.when {
            RelayUse::On => true,
            RelayUse::Off => false,
            RelayUse::Auto => reachability.state == ReachState::Private,
        };
        if !wanted {
            return Vec::new();
        }
        // Whom the settings have no more offers nothing; there are few of them.
        self.places
            .retain(|peer, place| place.listener.is_some() || offers.contains(peer));
        let taken = self.places.values().filter(|p| p.listener.is_some());
        let free = MAX_PLACES.saturating_sub(taken.count());
        let is_due = |peer: &PeerId| {
            let place = self.places.get(peer);
            place.is_none_or(|place| place.listener.is_none() && place.next <= now)
        };
        offers.into_iter().filter(is_due).take(free).collect()
    }

    /// A relay is asked, by this listener; by none where it cannot be.
    pub(super) fn asked(&mut self, now: Timestamp, relay: PeerId, listener: Option<ListenerId>) {
        let place = self.places.entry(relay).or_default();
        place.listener = listener;
        if listener.is_none() {
            place.fail(now);
        }
    }

    /// Others reach the node by a listener now.
    pub(super) fn began(&mut self, listener: ListenerId) {
        if let Some(place) = self.of(listener) {
            (place.had, place.failures) = (true, 0);
        }
    }

    /// A place was refused or lost, or given up. What was had is asked for again at the next look.
    pub(super) fn ended(&mut self, now: Timestamp, listener: ListenerId) {
        if let Some(place) = self.of(listener) {
            place.listener = None;
            if !std::mem::take(&mut place.had) {
                place.fail(now);
            }
        }
    }

    /// The listeners of places that are not needed any more. A place that is still asked for is not given up.
    pub(super) fn needless(&self, now: Timestamp, reachability: &Reachability) -> Vec<ListenerId> {
        let sure = |since: Timestamp| now.micros_since(since) >= SURE_MS * 1_000;
        let reached =
            reachability.state == ReachState::Public && reachability.since.is_some_and(sure);
        if self.when != RelayUse::Auto || !reached {
            return Vec::new();
        }
        let had = self.places.values().filter(|place| place.had);
        had.filter_map(|place| place.listener).collect()
    }

    fn of(&mut self, listener: ListenerId) -> Option<&mut Reservation> {
        let mut all = self.places.values_mut();
        all.find(|place| place.listener == Some(listener))
    }
}

impl Reservation {
    fn fail(&mut self, now: Timestamp) {
        let pause = (MIN_PAUSE_MS << self.failures.min(5)).min(MAX_PAUSE_MS);
        self.failures = self.failures.saturating_add(1);
        self.next = now.plus_millis(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000);

    fn reached(state: ReachState) -> Reachability {
        Reachability {
            state,
            since: Some(START),
            ..Reachability::default()
        }
    }

    fn relays(count: usize) -> Vec<PeerId> {
        (0..count).map(|_| PeerId::random()).collect()
    }

    #[test]
    fn places_are_asked_for_where_nobody_reaches_the_node_or_as_set() {
        for (when, state, asked) in [
            (RelayUse::Auto, ReachState::Unknown, 0),
            (RelayUse::Auto, ReachState::Public, 0),
            (RelayUse::Auto, ReachState::Private, MAX_PLACES),
            (RelayUse::On, ReachState::Public, MAX_PLACES),
            (RelayUse::Off, ReachState::Private, 0),
        ] {
            let due = Relays::new(when).due(START, &reached(state), relays(5));
            assert_eq!(due.len(), asked, "{when:?}, {state:?}");
        }
    }

    #[test]
    fn who_refuses_is_asked_again_with_growing_pauses_and_others_meanwhile() {
        let (mut places, private) = (Relays::new(RelayUse::Auto), reached(ReachState::Private));
        let (all, mut now) = (relays(1), START);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            assert_eq!(places.due(now, &private, all.clone()), all);
            let listener = ListenerId::next();
            places.asked(now, all[0], Some(listener));
            assert!(places.due(now, &private, all.clone()).is_empty());
            places.ended(now, listener);
            let next = places.places[&all[0]].next;
            assert!(places.due(now, &private, all.clone()).is_empty());
            pauses.push(next.micros_since(now) / 1_000);
            now = next;
        }
        assert_eq!(pauses[..3], [10_000, 20_000, 40_000]);
        assert_eq!(pauses[5..], [MAX_PAUSE_MS; 2]);
        let other = PeerId::random();
        let both = vec![all[0], other];
        assert_eq!(places.due(START, &private, both), [other]);
    }

    #[test]
    fn a_place_that_was_had_is_asked_for_again_at_once() {
        let (mut places, private) = (Relays::new(RelayUse::Auto), reached(ReachState::Private));
        let (all, listener) = (relays(1), ListenerId::next());
        places.asked(START, all[0], Some(listener));
        places.began(listener);
        places.ended(START, listener);
        assert_eq!(places.due(START, &private, all.clone()), all);
        // Not while the relay is away.
        assert!(places.due(START, &private, Vec::new()).is_empty());
        assert!(places.places.is_empty());
    }

    #[test]
    fn places_are_given_up_once_others_reach_the_node_for_sure() {
        let (listener, pending) = (ListenerId::next(), ListenerId::next());
        let sure = START.plus_millis(SURE_MS);
        for (when, state, now, given_up) in [
            (RelayUse::Auto, ReachState::Public, START, 0),
            (RelayUse::Auto, ReachState::Public, sure, 1),
            (RelayUse::Auto, ReachState::Private, sure, 0),
            (RelayUse::On, ReachState::Public, sure, 0),
        ] {
            let mut places = Relays::new(when);
            places.asked(START, PeerId::random(), Some(listener));
            places.asked(START, PeerId::random(), Some(pending));
            places.began(listener);
            let needless = places.needless(now, &reached(state));
            assert_eq!(needless, vec![listener; given_up], "{when:?}, {state:?}");
        }
    }
}
