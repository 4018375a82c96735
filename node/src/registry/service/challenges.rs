//! What joining peers were asked to sign, and who fails too often.

use std::collections::HashMap;

use libp2p::PeerId;
use quorate_proto::{Address, B256, RegistryErrorCode, Timestamp, limits};

/// Challenges that are open: twice all operators, starting at once.
const MAX_OPEN: usize = 2 * limits::MAX_OPERATORS + 24;
/// Failed joins of one peer after which it has to wait.
const MAX_FAILURES: u64 = 5;
/// One of them is forgotten after this time: an honest node, whose pauses grow to 30 s, never has
/// to wait, and who guesses has one try in ten seconds.
const FORGIVEN_MS: u64 = 10_000;
/// Peers whose failures are remembered; the oldest is forgotten first.
const MAX_PEERS: usize = 4_096;

/// A refused step of a join.
pub(super) type Refusal = (RegistryErrorCode, String);

/// One challenge per peer is open at a time; a new one voids the one before.
#[derive(Default)]
pub(super) struct Challenges {
    open: HashMap<PeerId, OpenChallenge>,
    failures: HashMap<PeerId, Failures>,
}

struct OpenChallenge {
    operator: Address,
    challenge: B256,
    until: Timestamp,
}

/// A leaking bucket.
struct Failures {
    /// Milliseconds until all are forgotten, as of `last`.
    level_ms: u64,
    last: Timestamp,
}

impl Failures {
    fn level_at(&self, now: Timestamp) -> u64 {
        let passed = now.micros_since(self.last) / 1_000;
        self.level_ms.saturating_sub(passed)
    }
}

impl Challenges {
    /// Opens a challenge. `fresh` is random.
    pub(super) fn open(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        operator: Address,
        fresh: B256,
    ) -> Result<Timestamp, Refusal> {
        self.admit(now, peer)?;
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&peer) {
            self.open.retain(|_, open| open.until > now);
        }
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&peer) {
            let text = format!("{MAX_OPEN} joins are under way, which is the most; try again soon");
            return Err((RegistryErrorCode::Overloaded, text));
        }
        let until = now.plus_millis(limits::CHALLENGE_LIFE_MS);
        let open = OpenChallenge {
            operator,
            challenge: fresh,
            until,
        };
        self.open.insert(peer, open);
        Ok(until)
    }

    /// The open challenge of a peer for an operator; it is used up by that.
    pub(super) fn take(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        operator: Address,
    ) -> Result<B256, Refusal> {
        self.admit(now, peer)?;
        let open = self.open.remove(&peer);
        let open = open.filter(|open| open.operator == operator && open.until > now);
        open.map(|open| open.challenge).ok_or_else(|| {
            let text = "no challenge is open for this operator and peer, or it is too old: ask for another one";
            (RegistryErrorCode::StaleChallenge, text.into())
        })
    }

    /// A join failed that its peer could have known to fail.
    pub(super) fn failed(&mut self, now: Timestamp, peer: PeerId) {
        if self.failures.len() >= MAX_PEERS && !self.failures.contains_key(&peer) {
            let oldest = self.failures.iter().min_by_key(|(_, f)| f.last);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.failures.remove(&oldest);
            }
        }
        let entry = self.failures.entry(peer);
        let failures = entry.or_insert(Failures {
            level_ms: 0,
            last: now,
        });
        let level = failures.level_at(now).saturating_add(FORGIVEN_MS);
        failures.level_ms = level.min(MAX_FAILURES * FORGIVEN_MS);
        failures.last = now;
    }

    fn admit(&self, now: Timestamp, peer: PeerId) -> Result<(), Refusal> {
        const FULL: u64 = (MAX_FAILURES - 1) * FORGIVEN_MS;
        let level = self.failures.get(&peer).map_or(0, |f| f.level_at(now));
        if level <= FULL {
            return Ok(());
        }
        let wait = (level - FULL).div_ceil(1_000);
        let text = format!(
            "{MAX_FAILURES} joins of this peer failed; wait {wait} s, and mend their cause meanwhile"
        );
        Err((RegistryErrorCode::TooManyFailures, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000);
    const OPERATOR: Address = Address::repeat_byte(1);

    fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> RegistryErrorCode {
        result.unwrap_err().0
    }

    #[test]
    fn a_challenge_is_good_once_for_one_peer_and_operator_and_for_a_while() {
        let (mut challenges, peer) = (Challenges::default(), PeerId::random());
        let first = B256::repeat_byte(1);
        let until = challenges.open(START, peer, OPERATOR, first).unwrap();
        assert_eq!(until, START.plus_millis(limits::CHALLENGE_LIFE_MS));
        let stranger = PeerId::random();
        let stale = RegistryErrorCode::StaleChallenge;
        assert_eq!(code(challenges.take(START, stranger, OPERATOR)), stale);
        let second = B256::repeat_byte(2);
        challenges.open(START, peer, OPERATOR, second).unwrap();
        assert_eq!(challenges.take(START, peer, OPERATOR), Ok(second));
        assert_eq!(code(challenges.take(START, peer, OPERATOR)), stale);
        challenges.open(START, peer, OPERATOR, first).unwrap();
        assert_eq!(code(challenges.take(until, peer, OPERATOR)), stale);
        challenges.open(START, peer, OPERATOR, first).unwrap();
        let other = Address::repeat_byte(2);
        assert_eq!(code(challenges.take(START, peer, other)), stale);
    }

    #[test]
    fn who_fails_five_times_waits_for_each_further_try() {
        let (mut challenges, peer) = (Challenges::default(), PeerId::random());
        for _ in 0..MAX_FAILURES {
            challenges.open(START, peer, OPERATOR, B256::ZERO).unwrap();
            challenges.failed(START, peer);
        }
        let refused = challenges.open(START, peer, OPERATOR, B256::ZERO);
        assert_eq!(code(refused), RegistryErrorCode::TooManyFailures);
        let refused = challenges.take(START, peer, OPERATOR);
        assert_eq!(code(refused), RegistryErrorCode::TooManyFailures);
        let later = START.plus_millis(FORGIVEN_MS);
        assert!(challenges.open(later, peer, OPERATOR, B256::ZERO).is_ok());
        challenges.failed(later, peer);
        assert!(challenges.open(later, peer, OPERATOR, B256::ZERO).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        let mut challenges = Challenges::default();
        for _ in 0..MAX_OPEN {
            let peer = PeerId::random();
            challenges.open(START, peer, OPERATOR, B256::ZERO).unwrap();
        }
        let refused = challenges.open(START, PeerId::random(), OPERATOR, B256::ZERO);
        assert_eq!(code(refused), RegistryErrorCode::Overloaded);
        let later = START.plus_millis(limits::CHALLENGE_LIFE_MS);
        let peer = PeerId::random();
        assert!(challenges.open(later, peer, OPERATOR, B256::ZERO).is_ok());
        for _ in 0..MAX_PEERS + 10 {
            challenges.failed(START, PeerId::random());
        }
        assert!(challenges.failures.len() <= MAX_PEERS);
    }
}
