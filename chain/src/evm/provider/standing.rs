//! What a provider is worth, from what is known of it. Knows no clock: it is told the time.

use std::time::{Duration, Instant};

use super::super::rpc::Failure;
use super::figures::Figures;
use super::probe::Lack;
use crate::{RequestOutcome, Standing};

/// For how long a contradiction marks a provider: long enough to be seen, however rarely somebody
/// looks at the page.
const CONTRADICTION_SHOWN: Duration = Duration::from_secs(600);

/// Failures in a row that make a provider bad; one may be a lost packet.
const BAD_IN_A_ROW: u32 = 2;

/// Requests of the last minute from which their error rate says something.
const ENOUGH_REQUESTS: u32 = 4;

/// Which chain it has shown to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    /// It has not answered that question yet.
    Unknown,
    Right,
    /// This one.
    Wrong(u64),
}

/// What is known of a provider beside its requests.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) chain: Chain,
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
    poll: Result<(), Failure>,
    polls_failed: u32,
    /// What it did not serve when that was tried last, and how often in a row.
    lack: Option<String>,
    lacks: u32,
    standing: Standing,
    since: Instant,
}

impl Facts {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            chain: Chain::Unknown,
            syncing: false,
            lagging: false,
            height: None,
            lag: None,
            contradiction: None,
            contradictions: 0,
            poll: Ok(()),
            polls_failed: 0,
            lack: None,
            lacks: 0,
            standing: Standing::Unknown,
            since: now,
        }
    }

    /// Looks at everything anew; the standing, and the one before where it changed.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        figures: &Figures,
    ) -> (Standing, Option<Standing>) {
        let new = self.verdict(now, figures);
        let old = std::mem::replace(&mut self.standing, new);
        if old == new {
            return (new, None);
        }
        self.since = now;
        (new, Some(old))
    }

    pub(super) fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    pub(super) fn polled(&mut self, result: Result<(), Failure>) {
        self.polls_failed = match &result {
            Ok(()) => 0,
            // Lateness may be a matter of milliseconds, and the others have causes of their own.
            Err(
                Failure::Slow | Failure::Unverified | Failure::WrongChain(_) | Failure::Syncing,
            ) => self.polls_failed,
            Err(_) => self.polls_failed.saturating_add(1),
        };
        self.poll = result;
    }

    /// Whether it serves what is needed of it was tried.
    pub(super) fn probed(&mut self, lack: Option<Lack>) {
        self.lacks = match &lack {
            None => 0,
            Some(lack) if lack.may_pass() => self.lacks.saturating_add(1),
            Some(_) => BAD_IN_A_ROW,
        };
        self.lack = lack.map(|lack| lack.told());
    }

    /// What it does not serve.
    pub(super) fn unfit(&self) -> Option<String> {
        self.lack.clone().filter(|_| self.lacks >= BAD_IN_A_ROW)
    }

    pub(super) fn poll_problem(&self) -> Option<String> {
        self.poll.as_ref().err().map(ToString::to_string)
    }

    fn verdict(&self, now: Instant, figures: &Figures) -> Standing {
        if matches!(self.chain, Chain::Wrong(_)) {
            return Standing::WrongChain;
        }
        if self.contradicted_lately(now) {
            return Standing::Contradicts;
        }
        if let Some(outcome) = self.failing(now, figures) {
            return match outcome {
                RequestOutcome::TimedOut => Standing::Hanging,
                RequestOutcome::RateLimited => Standing::RateLimited,
                _ => Standing::Failing,
            };
        }
        match self {
            Self {
                chain: Chain::Unknown,
                ..
            } => Standing::Unknown,
            Self { syncing: true, .. } => Standing::Syncing,
            Self { lagging: true, .. } => Standing::Lagging,
            facts if facts.unfit().is_some() => Standing::Unfit,
            _ => Standing::Ok,
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
    fn failing(&self, now: Instant, figures: &Figures) -> Option<RequestOutcome> {
        let row = figures.failed_in_a_row();
        let (asked, failed) = figures.lately(now);
        let mostly = asked >= ENOUGH_REQUESTS && u64::from(failed) * 2 > u64::from(asked);
        let never = self.chain == Chain::Unknown && row > 0;
        if row >= BAD_IN_A_ROW || mostly || never {
            return figures.last().map(|last| last.outcome);
        }
        // Answers that come, and make no sense.
        let poll = self.poll.as_ref().err();
        poll.filter(|_| self.polls_failed >= BAD_IN_A_ROW)
            .map(Failure::outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn right(now: Instant) -> Facts {
        Facts {
            chain: Chain::Right,
            ..Facts::new(now)
        }
    }

    fn after(now: Instant, outcomes: &[Option<Failure>]) -> Figures {
        let mut figures = Figures::default();
        for outcome in outcomes {
            figures.record(now, SECOND, outcome.as_ref());
        }
        figures
    }

    /// One letter for each request: answered, slow, limited, down.
    fn went(now: Instant, letters: &str) -> Figures {
        let outcome = |letter| match letter {
            'a' => None,
            's' => Some(Failure::Timeout(2_000)),
            'l' => Some(Failure::Http(429)),
            _ => Some(Failure::Connection("x".into())),
        };
        after(now, &letters.chars().map(outcome).collect::<Vec<_>>())
    }

    #[test]
    fn requests_make_the_standing() {
        let now = Instant::now();
        let table = [
            (Chain::Unknown, "", Standing::Unknown),
            (Chain::Unknown, "s", Standing::Hanging),
            (Chain::Unknown, "d", Standing::Failing),
            (Chain::Right, "a", Standing::Ok),
            (Chain::Right, "as", Standing::Ok),
            (Chain::Right, "ss", Standing::Hanging),
            (Chain::Right, "ll", Standing::RateLimited),
            (Chain::Right, "ssa", Standing::Ok),
            // More than half of a minute's requests, though not in a row.
            (Chain::Right, "dddad", Standing::Failing),
            (Chain::Wrong(5), "ss", Standing::WrongChain),
        ];
        for (chain, letters, expected) in table {
            let mut facts = Facts::new(now);
            facts.chain = chain;
            let found = facts.judge(now, &went(now, letters)).0;
            assert_eq!(found, expected, "{chain:?} {letters}");
        }
    }

    #[test]
    fn what_it_says_and_lacks_makes_the_standing() {
        let now = Instant::now();
        type Change = fn(&mut Facts);
        let garbled: Change = |facts| {
            facts.polled(Err(Failure::malformed("x")));
            facts.polled(Err(Failure::malformed("x")));
        };
        let late: Change = |facts| {
            facts.polled(Err(Failure::Slow));
            facts.polled(Err(Failure::Slow));
        };
        let table: [(Change, &str, Standing); 6] = [
            (|facts| facts.syncing = true, "a", Standing::Syncing),
            (|facts| facts.lagging = true, "a", Standing::Lagging),
            (|facts| facts.syncing = true, "ll", Standing::RateLimited),
            (garbled, "aa", Standing::Failing),
            (late, "aa", Standing::Ok),
            (
                |facts| facts.contradiction = Some((Instant::now(), "x".into())),
                "ss",
                Standing::Contradicts,
            ),
        ];
        for (change, letters, expected) in table {
            let mut facts = right(now);
            change(&mut facts);
            let found = facts.judge(now, &went(now, letters)).0;
            assert_eq!(found, expected, "{facts:?} {letters}");
        }
    }

    #[test]
    fn since_is_when_it_became_so() {
        let begin = Instant::now();
        let at = |seconds: u32| begin + SECOND * seconds;
        let mut facts = right(begin);
        let fine = after(begin, &[None]);
        assert_eq!(
            facts.judge(at(1), &fine),
            (Standing::Ok, Some(Standing::Unknown))
        );
        assert_eq!(facts.judge(at(5), &fine), (Standing::Ok, None));
        assert_eq!(facts.since(at(7)), SECOND * 6);
    }

    #[test]
    fn a_contradiction_is_shown_for_a_while() {
        let begin = Instant::now();
        let mut facts = right(begin);
        facts.contradiction = Some((begin, "another hash".into()));
        let fine = after(begin, &[None]);
        assert_eq!(facts.judge(begin, &fine).0, Standing::Contradicts);
        assert_eq!(
            facts.judge(begin + SECOND * 599, &fine).0,
            Standing::Contradicts
        );
        assert_eq!(facts.judge(begin + SECOND * 601, &fine).0, Standing::Ok);
    }
}
