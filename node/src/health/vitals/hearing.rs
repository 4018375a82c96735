//! Whether others hear this operator. A node that no peer hears finds no fault in itself: it signs, and its
//! weight is missing elsewhere. So its peers say, each time it shows that it is there, by which of its
//! bindings they know it.

use std::collections::HashMap;

use libp2p::PeerId;

use crate::clock;

/// An answer counts this long: six rounds of presences.
const FRESH_MS: u64 = 30_000;
/// Peers that are remembered: those that are configured, or 8.
const MAX_PEERS: usize = 256;
/// What was signed this long ago has reached every peer that hears this node.
const REACH_MS: u64 = 15_000;

/// What the peers know of this operator.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// The sequence of this node's own binding; zero where it speaks for no operator.
    own: u64,
    /// By peer: the sequence that it told, and when.
    told: HashMap<PeerId, (u64, u64)>,
}

impl Hearing {
    pub(super) fn speaks(&mut self, own: u64) {
        self.own = own;
    }

    pub(super) fn note(&mut self, now_ms: u64, peer: PeerId, sequence: u64) {
        self.told.retain(|_, (_, at)| is_fresh(*at, now_ms));
        if self.told.len() < MAX_PEERS || self.told.contains_key(&peer) {
            self.told.insert(peer, (sequence, now_ms));
        }
    }

    /// Why it is not heard, and what to do. `signed` is when this process last signed something.
    pub(super) fn problem(&self, now_ms: u64, signed: Option<u64>) -> Option<String> {
        if self.own == 0 {
            return None;
        }
        let fresh = self.told.values().filter(|(_, at)| is_fresh(*at, now_ms));
        let told: Vec<u64> = fresh.map(|(sequence, _)| *sequence).collect();
        let most = |count: usize| count > 0 && 2 * count > told.len();
        let (own, all) = (self.own, told.len());
        let newer = told.iter().filter(|told| **told > own).count();
        if let (true, Some(newest)) = (most(newer), told.iter().max()) {
            return Some(format!(
                "this node is not heard: {newer} of {all} peers know a later binding of its operator, with \
                 sequence {newest} (Unix milliseconds), where this node's has {own}. Stop the other node of \
                 this operator, if there is one; if not, somebody else has the key: change it (`node keys \
                 new`, `node change-key`). Restarted after that time, this node is heard again"
            ));
        }
        let spoke = signed.is_some_and(|at| at.saturating_add(REACH_MS) < now_ms);
        let older = told.iter().filter(|told| **told < own).count();
        (spoke && most(older)).then(|| {
            format!(
                "this node is not heard: {older} of {all} peers do not know its binding with sequence {own} \
                 (Unix milliseconds), though it signs. They refuse one that is more than {} s ahead of their \
                 clocks: set the clock by NTP, and restart the node once that time has passed. If the clock \
                 is right, check --bootstrap and the firewall",
                clock::MAX_AHEAD_MS / 1_000
            )
        })
    }
}

const fn is_fresh(at: u64, now: u64) -> bool {
    at.saturating_add(FRESH_MS) > now
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn problem(told: &[u64], signed: Option<u64>) -> Option<String> {
        let mut hearing = Hearing::default();
        hearing.speaks(100);
        for sequence in told {
            hearing.note(NOW, PeerId::random(), *sequence);
        }
        hearing.problem(NOW, signed)
    }

    #[test]
    fn who_is_not_heard_is_told() {
        let long_ago = Some(NOW - 2 * REACH_MS);
        assert_eq!(problem(&[], long_ago), None);
        assert_eq!(problem(&[100, 100, 0], long_ago), None);
        let later = problem(&[101, 1 << 62, 100], None).unwrap();
        assert!(later.contains("2 of 3 peers") && later.contains("change-key"));
        assert_eq!(problem(&[101, 100, 100], None), None, "one may lie");
        let refused = problem(&[0, 99, 100], long_ago).unwrap();
        assert!(refused.contains("2 of 3 peers") && refused.contains("NTP"));
        // It has said nothing yet, or just now.
        assert_eq!(problem(&[0, 99], None), None);
        assert_eq!(problem(&[0, 99], Some(NOW)), None);
    }

    #[test]
    fn old_answers_do_not_count_and_are_forgotten() {
        let mut hearing = Hearing::default();
        hearing.note(NOW, PeerId::random(), 101);
        assert_eq!(hearing.problem(NOW, None), None, "it speaks for nobody");
        hearing.speaks(100);
        assert!(hearing.problem(NOW, None).is_some());
        assert_eq!(hearing.problem(NOW + FRESH_MS, None), None);
        for _ in 0..2 * MAX_PEERS {
            hearing.note(NOW + FRESH_MS, PeerId::random(), 101);
        }
        assert_eq!(hearing.told.len(), MAX_PEERS);
    }
}
