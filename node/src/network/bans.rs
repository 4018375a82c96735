//! Which peers misbehave, and for how long they are shut out.
//!
//! Gossipsub's scores keep a bad peer's messages away; this ends its connection.

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
    /// The operator that it speaks for signed invalid messages, and is not listened to for a while.
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
    /// Counts an offence; true where the peer is to be shut out now. `unheard` says that gossipsub
    /// does not listen to it any more, so that no further offence of it would be noticed.
    pub(super) fn offend(&mut self, now: Timestamp, peer: PeerId, unheard: bool) -> bool {
        self.make_room(peer);
        let record = self.peers.entry(peer).or_insert(PeerRecord {
            faults: 0,
            last: now,
            bans: 0,
            banned_until: None,
        });
        if now.micros_since(record.last) > WINDOW_MS * 1_000 {
            record.faults = 0;
        }
        record.last = now;
        record.faults = record.faults.saturating_add(1);
        let enough = unheard || record.faults >= MAX_FAULTS;
        if !enough || record.banned_until.is_some() {
            return false;
        }
        record.faults = 0;
        record.banned_until = Some(now.plus_millis(BAN_MS << record.bans.min(6)));
        record.bans = record.bans.saturating_add(1);
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000);

    #[test]
    fn who_is_not_heard_any_more_is_shut_out_at_once() {
        let (mut conduct, peer) = (PeerBans::default(), PeerId::random());
        assert!(conduct.offend(START, peer, true));
        assert!(!conduct.offend(START, peer, true), "only once");
    }

    #[test]
    fn five_faults_within_a_minute_shut_out_for_a_minute() {
        let (mut conduct, peer) = (PeerBans::default(), PeerId::random());
        for _ in 0..4 {
            assert!(!conduct.offend(START, peer, false));
        }
        assert!(conduct.offend(START, peer, false));
        assert!(!conduct.offend(START, peer, false), "only once");
        let end = START.plus_millis(BAN_MS);
        assert_eq!(conduct.next_wake(), Some(end));
        assert!(conduct.pardoned(START).is_empty());
        assert_eq!(conduct.pardoned(end), [peer]);
        assert_eq!(conduct.next_wake(), None);
    }

    #[test]
    fn old_faults_are_forgotten_and_bans_grow() {
        let (mut conduct, peer) = (PeerBans::default(), PeerId::random());
        let mut now = START;
        for _ in 0..20 {
            assert!(!conduct.offend(now, peer, false));
            now = now.plus_millis(WINDOW_MS + 1);
        }
        let mut offences = |now| (0..5).any(|_| conduct.offend(now, peer, false));
        assert!(offences(now));
        let second = now.plus_millis(BAN_MS);
        assert_eq!(conduct.pardoned(second), [peer]);
        for _ in 0..5 {
            conduct.offend(second, peer, false);
        }
        assert_eq!(conduct.next_wake(), Some(second.plus_millis(2 * BAN_MS)));
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_banned() {
        let mut conduct = PeerBans::default();
        let bad = PeerId::random();
        for _ in 0..5 {
            conduct.offend(START, bad, false);
        }
        for _ in 0..MAX_PEERS + 10 {
            conduct.offend(START.plus_millis(1), PeerId::random(), false);
        }
        assert!(conduct.peers.len() <= MAX_PEERS);
        assert!(conduct.peers.contains_key(&bad));
    }
}
