//! Which peers misbehave, and for how long they are shut out.
//!
//! # Design Decisions
//!
//! Gossipsub's own scores are off. What they would judge by here is rejected messages alone, as silence
//! costs nothing, and five of these end the connection; for that they keep a record of each message and
//! all who delivered it, which grew to most of a node's memory under load.

use std::collections::HashMap;

use libp2p::PeerId;
use quorate_proto::Timestamp;

/// Faults within [`WINDOW_MS`] that end the connection.
const MAX_FAULTS: u32 = 5;
/// Faults are forgotten after this time without a new one.
const WINDOW_MS: u64 = 60_000;
/// How long a peer is shut out the first time; doubled each time, to at most 64 times this.
const BAN_MS: u64 = 60_000;
/// Peers that are remembered; the oldest is forgotten first.
const MAX_PEERS: usize = 4_096;

/// What a peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offence {
    /// A gossip message that no honest node forwards, and why not.
    InvalidMessage(&'static str),
    /// A frame that is too large or malformed.
    InvalidFrame,
    /// An answer on the sync stream that does not hold.
    FalseAnswer,
    /// The operator that it speaks for signed rubbish, and is not listened to for a while.
    Muted,
}

#[derive(Default)]
pub(super) struct PeerBans {
    peers: HashMap<PeerId, PeerRecord>,
}

#[derive(Clone, Copy)]
struct PeerRecord {
    faults: u32,
    last: Timestamp,
    bans: u32,
    banned_until: Option<Timestamp>,
}

impl PeerBans {
    /// Counts an offence; true where the peer is to be shut out now: a muted operator's at once, since no
    /// further offence of it would be noticed.
    pub(super) fn offend(&mut self, now: Timestamp, peer: PeerId, offence: Offence) -> bool {
        self.make_room(peer);
        let record = self.peers.entry(peer).or_insert(PeerRecord {
            faults: 0,
            last: now,
            bans: 0,
            banned_until: None,
        });
        record.faults = record.faults_at(now).saturating_add(1);
        record.last = now;
        let enough = offence == Offence::Muted || record.faults >= MAX_FAULTS;
        if !enough || record.banned_until.is_some() {
            return false;
        }
        record.faults = 0;
        record.banned_until = Some(now.plus_millis(BAN_MS << record.bans.min(6)));
        record.bans = record.bans.saturating_add(1);
        true
    }

    /// What is held against a connected peer: 0, or -3 times the square of its faults.
    pub(super) fn score(&self, now: Timestamp, peer: PeerId) -> f64 {
        let record = self.peers.get(&peer);
        let faults = record.map_or(0, |record| record.faults_at(now));
        0.0 - 3.0 * f64::from(faults).powi(2)
    }

    /// Peers whose time is over.
    pub(super) fn pardoned(&mut self, now: Timestamp) -> Vec<PeerId> {
        let mut pardoned = Vec::new();
        for (peer, record) in &mut self.peers {
            if record.banned_until.is_some_and(|until| until <= now) {
                record.banned_until = None;
                pardoned.push(*peer);
            }
        }
        pardoned
    }

    /// When to ask for [`PeerBans::pardoned`].
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.peers
            .values()
            .filter_map(|record| record.banned_until)
            .min()
    }

    fn make_room(&mut self, newcomer: PeerId) {
        if self.peers.len() < MAX_PEERS || self.peers.contains_key(&newcomer) {
            return;
        }
        let free = self
            .peers
            .iter()
            .filter(|(_, record)| record.banned_until.is_none());
        let oldest = free
            .min_by_key(|(_, record)| record.last)
            .map(|(peer, _)| *peer);
        let victim = oldest.or_else(|| self.peers.keys().next().copied());
        if let Some(peer) = victim {
            self.peers.remove(&peer);
        }
    }
}

impl PeerRecord {
    const fn faults_at(&self, now: Timestamp) -> u32 {
        if now.micros_since(self.last) > WINDOW_MS * 1_000 {
            return 0;
        }
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000);
    const BAD: Offence = Offence::InvalidMessage("envelope");

    #[test]
    fn a_muted_operators_peer_is_shut_out_at_once() {
        let (mut conduct, peer) = (PeerBans::default(), PeerId::random());
        assert!(conduct.offend(START, peer, Offence::Muted));
        assert!(!conduct.offend(START, peer, Offence::Muted), "only once");
    }

    #[test]
    fn five_faults_within_a_minute_shut_out_for_a_minute() {
        let (mut conduct, peer) = (PeerBans::default(), PeerId::random());
        for _ in 0..4 {
            assert!(!conduct.offend(START, peer, BAD));
        }
        assert!(conduct.offend(START, peer, BAD));
        assert!(!conduct.offend(START, peer, BAD), "only once");
        let end = START.plus_millis(BAN_MS);
        assert_eq!(conduct.next_wake(), Some(end));
        assert!(conduct.pardoned(START).is_empty());
        assert_eq!(conduct.pardoned(end), [peer]);
        assert_eq!(conduct.next_wake(), None);
    }

    #[test]
    fn the_score_falls_with_each_fault_and_is_forgotten_with_them() {
        let (mut conduct, peer) = (PeerBans::default(), PeerId::random());
        assert!(conduct.score(START, peer) >= 0.0);
        conduct.offend(START, peer, BAD);
        conduct.offend(START, peer, Offence::InvalidFrame);
        assert!((conduct.score(START, peer) + 12.0).abs() < f64::EPSILON);
        assert!(conduct.score(START.plus_millis(WINDOW_MS + 1), peer) >= 0.0);
    }

    #[test]
    fn old_faults_are_forgotten_and_bans_grow() {
        let (mut conduct, peer) = (PeerBans::default(), PeerId::random());
        let mut now = START;
        for _ in 0..20 {
            assert!(!conduct.offend(now, peer, BAD));
            now = now.plus_millis(WINDOW_MS + 1);
        }
        let mut offences = |now| (0..5).any(|_| conduct.offend(now, peer, BAD));
        assert!(offences(now));
        let second = now.plus_millis(BAN_MS);
        assert_eq!(conduct.pardoned(second), [peer]);
        for _ in 0..5 {
            conduct.offend(second, peer, BAD);
        }
        assert_eq!(conduct.next_wake(), Some(second.plus_millis(2 * BAN_MS)));
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_banned() {
        let mut conduct = PeerBans::default();
        let bad = PeerId::random();
        for _ in 0..5 {
            conduct.offend(START, bad, BAD);
        }
        for _ in 0..MAX_PEERS + 10 {
            conduct.offend(START.plus_millis(1), PeerId::random(), BAD);
        }
        assert!(conduct.peers.len() <= MAX_PEERS);
        assert!(conduct.peers.contains_key(&bad));
    }
}
