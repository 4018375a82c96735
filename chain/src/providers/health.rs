//! What a provider is worth, from what is known of it. Knows no clock: it is told the time.

use std::time::{Duration, Instant};

use crate::rpc::{ProviderError, RequestStats};
use crate::{ProviderHealth, RequestOutcome};

/// For how long a contradiction marks a provider: long enough to be seen, however rarely the page
/// is looked at.
const CONTRADICTION_SHOWN: Duration = Duration::from_secs(600);

/// ProviderErrors in a row that make a provider bad; one may be a lost packet.
const BAD_IN_A_ROW: u32 = 2;

/// Requests of the last minute from which their error rate says something.
const ENOUGH_REQUESTS: u32 = 4;

/// Which chain it has shown to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServedChain {
    /// It has not answered that question yet.
    Unknown,
    Right,
    /// This one.
    Wrong(String),
}

/// Something that is needed of a provider, and that it did not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("does not serve {what} at the final block, which is needed of it: it {error}")]
pub struct UnmetNeed {
    /// What was asked for, such as a method.
    pub what: &'static str,
    /// What came instead.
    pub error: ProviderError,
    /// It may be a matter of the moment: then the next one like it tells.
    pub may_pass: bool,
}

/// What is known of a provider beside its requests.
#[derive(Debug)]
pub(super) struct Observations {
    pub(super) chain: ServedChain,
    /// It says that it is syncing.
    pub(super) syncing: bool,
    /// It lacks what a quorum of the others has had for a while.
    pub(super) lagging: bool,
    pub(super) height: Option<u64>,
    pub(super) lag: Option<u64>,
    /// The last contradiction, and what it was.
    pub(super) contradiction: Option<(Instant, String)>,
    pub(super) contradictions: u64,
    /// How its last part in a poll went, and how many before it failed, too.
    poll: Result<(), ProviderError>,
    polls_failed: u32,
    /// What it did not serve when that was tried last, and how often in a row.
    unmet: Option<String>,
    unmet_in_a_row: u32,
    health: ProviderHealth,
    since: Instant,
}

impl Observations {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            chain: ServedChain::Unknown,
            syncing: false,
            lagging: false,
            height: None,
            lag: None,
            contradiction: None,
            contradictions: 0,
            poll: Ok(()),
            polls_failed: 0,
            unmet: None,
            unmet_in_a_row: 0,
            health: ProviderHealth::Unknown,
            since: now,
        }
    }

    /// Looks at everything anew; the health, and the one before where it changed.
    pub(super) fn assess(
        &mut self,
        now: Instant,
        stats: &RequestStats,
    ) -> (ProviderHealth, Option<ProviderHealth>) {
        let new = self.health(now, stats);
        let old = std::mem::replace(&mut self.health, new);
        if old == new {
            return (new, None);
        }
        self.since = now;
        (new, Some(old))
    }

    pub(super) fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    pub(super) fn polled(&mut self, result: Result<(), ProviderError>) {
        self.polls_failed = match &result {
            Ok(()) => 0,
            // Lateness may be a matter of milliseconds, and the others have causes of their own.
            Err(
                ProviderError::Slow
                | ProviderError::Unverified
                | ProviderError::WrongChain(_)
                | ProviderError::Syncing,
            ) => self.polls_failed,
            Err(_) => self.polls_failed.saturating_add(1),
        };
        self.poll = result;
    }

    /// Whether it serves what is needed of it was tried.
    pub(super) fn probed(&mut self, unmet: Option<UnmetNeed>) {
        self.unmet_in_a_row = match &unmet {
            None => 0,
            Some(unmet) if unmet.may_pass => self.unmet_in_a_row.saturating_add(1),
            Some(_) => BAD_IN_A_ROW,
        };
        self.unmet = unmet.map(|unmet| unmet.to_string());
    }

    /// What it does not serve.
    pub(super) fn unfit(&self) -> Option<String> {
        self.unmet
            .clone()
            .filter(|_| self.unmet_in_a_row >= BAD_IN_A_ROW)
    }

    pub(super) fn poll_problem(&self) -> Option<String> {
        self.poll.as_ref().err().map(ToString::to_string)
    }

    fn health(&self, now: Instant, stats: &RequestStats) -> ProviderHealth {
        if matches!(self.chain, ServedChain::Wrong(_)) {
            return ProviderHealth::WrongChain;
        }
        if self.contradicted_lately(now) {
            return ProviderHealth::Contradicts;
        }
        if let Some(outcome) = self.failing(now, stats) {
            return match outcome {
                RequestOutcome::TimedOut => ProviderHealth::Hanging,
                RequestOutcome::RateLimited => ProviderHealth::RateLimited,
                _ => ProviderHealth::Failing,
            };
        }
        match self {
            Self {
                chain: ServedChain::Unknown,
                ..
            } => ProviderHealth::Unknown,
            Self { syncing: true, .. } => ProviderHealth::Syncing,
            Self { lagging: true, .. } => ProviderHealth::Lagging,
            observed if observed.unfit().is_some() => ProviderHealth::Unfit,
            _ => ProviderHealth::Ok,
        }
    }

    fn contradicted_lately(&self, now: Instant) -> bool {
        let age = |(at, _): &(Instant, String)| now.saturating_duration_since(*at);
        self.contradiction
            .as_ref()
            .map(age)
            .is_some_and(|age| age < CONTRADICTION_SHOWN)
    }

    /// In which way it fails, if it does.
    fn failing(&self, now: Instant, stats: &RequestStats) -> Option<RequestOutcome> {
        let row = stats.failed_in_a_row();
        let (asked, failed) = stats.lately(now);
        let mostly = asked >= ENOUGH_REQUESTS && u64::from(failed) * 2 > u64::from(asked);
        let never = self.chain == ServedChain::Unknown && row > 0;
        if row >= BAD_IN_A_ROW || mostly || never {
            return stats.last().map(|last| last.outcome);
        }
        // Answers that come, and make no sense.
        let poll = self.poll.as_ref().err();
        poll.filter(|_| self.polls_failed >= BAD_IN_A_ROW)
            .map(ProviderError::outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn right(now: Instant) -> Observations {
        Observations {
            chain: ServedChain::Right,
            ..Observations::new(now)
        }
    }

    fn after(now: Instant, outcomes: &[Option<ProviderError>]) -> RequestStats {
        let mut stats = RequestStats::default();
        for outcome in outcomes {
            stats.record(now, SECOND, outcome.as_ref());
        }
        stats
    }

    /// One letter for each request: answered, slow, limited, down.
    fn went(now: Instant, letters: &str) -> RequestStats {
        let outcome = |letter| match letter {
            'a' => None,
            's' => Some(ProviderError::Timeout(2_000)),
            'l' => Some(ProviderError::Http(429)),
            _ => Some(ProviderError::Connection("x".into())),
        };
        after(now, &letters.chars().map(outcome).collect::<Vec<_>>())
    }

    #[test]
    fn health_follows_requests() {
        let now = Instant::now();
        let table = [
            (ServedChain::Unknown, "", ProviderHealth::Unknown),
            (ServedChain::Unknown, "s", ProviderHealth::Hanging),
            (ServedChain::Unknown, "d", ProviderHealth::Failing),
            (ServedChain::Right, "a", ProviderHealth::Ok),
            (ServedChain::Right, "as", ProviderHealth::Ok),
            (ServedChain::Right, "ss", ProviderHealth::Hanging),
            (ServedChain::Right, "ll", ProviderHealth::RateLimited),
            (ServedChain::Right, "ssa", ProviderHealth::Ok),
            // More than half of a minute's requests, though not in a row.
            (ServedChain::Right, "dddad", ProviderHealth::Failing),
            (
                ServedChain::Wrong("5".into()),
                "ss",
                ProviderHealth::WrongChain,
            ),
        ];
        for (chain, letters, expected) in table {
            let mut observed = Observations::new(now);
            observed.chain = chain.clone();
            let found = observed.assess(now, &went(now, letters)).0;
            assert_eq!(found, expected, "{chain:?} {letters}");
        }
    }

    #[test]
    fn health_follows_what_the_provider_says_and_lacks() {
        let now = Instant::now();
        type Change = fn(&mut Observations);
        let garbled: Change = |observed| {
            observed.polled(Err(ProviderError::malformed("x")));
            observed.polled(Err(ProviderError::malformed("x")));
        };
        let late: Change = |observed| {
            observed.polled(Err(ProviderError::Slow));
            observed.polled(Err(ProviderError::Slow));
        };
        let table: [(Change, &str, ProviderHealth); 6] = [
            (
                |observed| observed.syncing = true,
                "a",
                ProviderHealth::Syncing,
            ),
            (
                |observed| observed.lagging = true,
                "a",
                ProviderHealth::Lagging,
            ),
            (
                |observed| observed.syncing = true,
                "ll",
                ProviderHealth::RateLimited,
            ),
            (garbled, "aa", ProviderHealth::Failing),
            (late, "aa", ProviderHealth::Ok),
            (
                |observed| observed.contradiction = Some((Instant::now(), "x".into())),
                "ss",
                ProviderHealth::Contradicts,
            ),
        ];
        for (change, letters, expected) in table {
            let mut observed = right(now);
            change(&mut observed);
            let found = observed.assess(now, &went(now, letters)).0;
            assert_eq!(found, expected, "{observed:?} {letters}");
        }
    }

    #[test]
    fn since_is_when_it_became_so() {
        let begin = Instant::now();
        let at = |seconds: u32| begin + SECOND * seconds;
        let mut observed = right(begin);
        let fine = after(begin, &[None]);
        assert_eq!(
            observed.assess(at(1), &fine),
            (ProviderHealth::Ok, Some(ProviderHealth::Unknown))
        );
        assert_eq!(observed.assess(at(5), &fine), (ProviderHealth::Ok, None));
        assert_eq!(observed.since(at(7)), SECOND * 6);
    }

    #[test]
    fn a_contradiction_is_shown_for_a_while() {
        let begin = Instant::now();
        let mut observed = right(begin);
        observed.contradiction = Some((begin, "another hash".into()));
        let fine = after(begin, &[None]);
        assert_eq!(observed.assess(begin, &fine).0, ProviderHealth::Contradicts);
        assert_eq!(
            observed.assess(begin + SECOND * 599, &fine).0,
            ProviderHealth::Contradicts
        );
        assert_eq!(
            observed.assess(begin + SECOND * 601, &fine).0,
            ProviderHealth::Ok
        );
    }
}
