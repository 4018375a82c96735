//! What a provider has shown of proofs: whether it has any, and whether they held.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::rpc::ProviderError;

/// For how long a provider that failed to prove something is asked after the others.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// The same after a lie; also how long it is told as the provider's problem.
const AFTER_LIE: Duration = Duration::from_secs(300);

/// Least time between two warnings about one provider's lies.
const WARNING: Duration = Duration::from_secs(10);

/// What a provider has shown. Its answers count, its silence never does: an attacker who keeps the others
/// from answering must not change how a chain is read.
#[derive(Debug, Default)]
pub struct ProofRecord(Mutex<ProofFacts>);

#[derive(Debug, Default)]
struct ProofFacts {
    /// Its newest header did not have the hash that it came with; older ones may be of another format.
    no_header: bool,
    newest: u64,
    /// Its last word about proofs was that it has none.
    no_proofs: bool,
    last_until: Option<Instant>,
    lies: u64,
    last_lie: Option<(Instant, String)>,
    warned: Option<Instant>,
}

impl ProofRecord {
    fn inner(&self) -> MutexGuard<'_, ProofFacts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It described the block at this height, by fields that have its hash or not.
    pub fn header(&self, number: u64, proven: bool) {
        let mut inner = self.inner();
        if number >= inner.newest {
            inner.newest = number;
            inner.no_header = !proven;
        }
    }

    /// Its newest header did not have the hash that it came with.
    #[must_use]
    pub fn has_no_headers(&self) -> bool {
        self.inner().no_header
    }

    /// Its last word about proofs was that it has none.
    #[must_use]
    pub fn has_no_proofs(&self) -> bool {
        self.inner().no_proofs
    }

    /// A proof held.
    pub fn proved(&self) {
        let mut inner = self.inner();
        inner.no_proofs = false;
        inner.last_until = None;
    }

    /// It did not answer as fast as it should.
    pub fn slow(&self, now: Instant) {
        self.inner().last_until = Some(now + AFTER_FAILURE);
    }

    /// No proof came of asking it. Whether to warn of it now.
    pub fn failed(&self, failure: &ProviderError, now: Instant) -> bool {
        let mut inner = self.inner();
        match failure {
            ProviderError::NoProofs(_) => inner.no_proofs = true,
            ProviderError::FalseProof(what) => {
                inner.last_until = Some(now + AFTER_LIE);
                inner.lies += 1;
                inner.last_lie = Some((now, what.clone()));
                if inner.warned.is_none_or(|warned| warned + WARNING <= now) {
                    inner.warned = Some(now);
                    return true;
                }
            }
            _ => inner.last_until = Some(now + AFTER_FAILURE),
        }
        false
    }

    /// Its place in the order of asking: low ones first.
    #[must_use]
    pub fn rank(&self, now: Instant) -> u8 {
        let inner = self.inner();
        let waits = inner.last_until.is_some_and(|until| until > now);
        u8::from(waits) + 2 * u8::from(inner.no_proofs)
    }

    /// How often it lied.
    #[must_use]
    pub fn lies(&self) -> u64 {
        self.inner().lies
    }

    /// Its latest lie, for people, while that is news.
    #[must_use]
    pub fn recent_lie(&self, now: Instant) -> Option<String> {
        let inner = self.inner();
        let (at, what) = inner.last_lie.as_ref()?;
        let ago = now.saturating_duration_since(*at);
        (ago < AFTER_LIE).then(|| {
            let seconds = ago.as_secs();
            format!("sent a false proof {seconds} s ago ({what}); replace it")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_is_asked_last_for_a_while_and_silence_says_nothing() {
        let (record, now) = (ProofRecord::default(), Instant::now());
        assert_eq!(record.rank(now), 0);
        record.failed(&ProviderError::Timeout(2_000), now);
        assert_eq!((record.rank(now), record.has_no_proofs()), (1, false));
        assert_eq!(record.rank(now + AFTER_FAILURE), 0);

        record.failed(&ProviderError::NoProofs("a method"), now);
        assert!(record.has_no_proofs());
        record.failed(&ProviderError::Timeout(2_000), now);
        assert!(record.has_no_proofs(), "silence takes nothing back");
        record.proved();
        assert_eq!((record.rank(now), record.has_no_proofs()), (0, false));
    }

    #[test]
    fn lies_are_counted_and_told_and_not_in_a_flood() {
        let (record, now) = (ProofRecord::default(), Instant::now());
        let lie = ProviderError::FalseProof("node 1".to_owned());
        let warned = (0..100).filter(|_| record.failed(&lie, now)).count();
        assert_eq!((warned, record.lies()), (1, 100));
        assert!(
            record
                .recent_lie(now)
                .is_some_and(|text| text.contains("node 1"))
        );
        assert!(record.failed(&lie, now + WARNING));
        let later = now + WARNING + AFTER_LIE;
        assert_eq!((record.recent_lie(later), record.lies()), (None, 101));
    }
}
