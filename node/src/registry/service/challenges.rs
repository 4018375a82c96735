//! What joining peers were asked to sign, and who fails too often.

use libp2p::PeerId;
use quorate_proto::{Address, B256, RegistryErrorCode, Timestamp, limits};
use quorate_protocols::limiter::{Accounts, Bucket, Rate};

/// Challenges that are open: twice all operators, starting at once.
const MAX_OPEN: usize = 2 * limits::MAX_OPERATORS + 24;
/// Failed joins of one peer after which it has to wait.
const MAX_FAILURES: u32 = 5;
/// Seconds after which one of them is forgotten: an honest node, whose pauses grow to 30 s, never has
/// to wait, and who guesses has one try in ten seconds.
const FORGIVEN: u32 = 10;
/// A token is a second.
const RATE: Rate = Rate {
    per_second: 1,
    burst: MAX_FAILURES * FORGIVEN,
};
/// Peers whose failures are remembered.
const MAX_PEERS: usize = 4_096;

/// A refused step of a join.
pub(super) type Refusal = (RegistryErrorCode, String);

/// One challenge per peer is open at a time; a new one voids the one before.
pub(super) struct Challenges {
    open: Accounts<PeerId, OpenChallenge>,
    failures: Accounts<PeerId, Bucket>,
}

impl Default for Challenges {
    fn default() -> Self {
        Self {
            open: Accounts::new(MAX_OPEN),
            failures: Accounts::new(MAX_PEERS),
        }
    }
}

#[derive(Clone, Copy)]
struct OpenChallenge {
    operator: Address,
    challenge: B256,
    until: Timestamp,
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
        let until = now.plus_millis(limits::CHALLENGE_LIFE_MS);
        let open = OpenChallenge {
            operator,
            challenge: fresh,
            until,
        };
        let is_over = |open: &OpenChallenge| open.until <= now;
        let Some(account) = self.open.open(peer, is_over, || open) else {
            let text = format!("{MAX_OPEN} joins are under way, which is the most; try again soon");
            return Err((RegistryErrorCode::Overloaded, text));
        };
        *account = open;
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
        let is_idle = |bucket: &Bucket| bucket.is_full(now, RATE);
        let new = || Bucket::full(now, RATE);
        let bucket = self.failures.open_always(peer, is_idle, new);
        let left = u32::try_from(bucket.tokens(now, RATE)).unwrap_or_default();
        bucket.charge(now, RATE, left.min(FORGIVEN));
    }

    fn admit(&self, now: Timestamp, peer: PeerId) -> Result<(), Refusal> {
        let bucket = self.failures.get(&peer);
        let wait = bucket.map_or(0, |bucket| i64::from(FORGIVEN) - bucket.tokens(now, RATE));
        if wait <= 0 {
            return Ok(());
        }
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
        let later = START.plus_millis(u64::from(FORGIVEN) * 1_000);
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
