//! How the requests to one provider went. Knows no clock: it is told the time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::super::rpc::Failure;
use crate::RequestOutcome;

/// Length of one slot of the window, and how many of them make the minute that is looked back on.
const SLOT: Duration = Duration::from_secs(5);
const SLOTS: usize = 12;

/// Answers whose times are kept: enough for a 99th percentile, 1 KiB.
const LATENCIES: usize = 256;

/// Counts of requests, and how the last ones went.
#[derive(Debug, Default)]
pub(in super::super) struct Figures {
    counts: [u64; RequestOutcome::ALL.len()],
    window: VecDeque<Slot>,
    latencies: VecDeque<u32>,
    failed_in_a_row: u32,
    last: Option<LastFailure>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    begin: Instant,
    asked: u32,
    failed: u32,
}

/// The request that failed last.
#[derive(Clone, Debug)]
pub(super) struct LastFailure {
    pub(super) at: Instant,
    pub(super) outcome: RequestOutcome,
    pub(super) text: String,
}

impl Figures {
    /// One request that took `took` ended at `now`, with a failure or without.
    pub(in super::super) fn record(
        &mut self,
        now: Instant,
        took: Duration,
        failure: Option<&Failure>,
    ) {
        let outcome = failure.map_or(RequestOutcome::Answered, Failure::outcome);
        if let Some(count) = self.counts.get_mut(outcome as usize) {
            *count += 1;
        }
        self.slot(now, failure.is_some());
        match failure {
            None => self.answered(took),
            Some(failure) => {
                self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
                self.last = Some(LastFailure {
                    at: now,
                    outcome,
                    text: failure.to_string(),
                });
            }
        }
    }

    fn slot(&mut self, now: Instant, failed: bool) {
        let fresh = |slot: &&mut Slot| now.saturating_duration_since(slot.begin) < SLOT;
        if let Some(slot) = self.window.back_mut().filter(fresh) {
            slot.asked = slot.asked.saturating_add(1);
            slot.failed = slot.failed.saturating_add(u32::from(failed));
            return;
        }
        if self.window.len() == SLOTS {
            self.window.pop_front();
        }
        self.window.push_back(Slot {
            begin: now,
            asked: 1,
            failed: u32::from(failed),
        });
    }

    fn answered(&mut self, took: Duration) {
        self.failed_in_a_row = 0;
        if self.latencies.len() == LATENCIES {
            self.latencies.pop_front();
        }
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.latencies.push_back(micros);
    }

    /// Requests by what became of them.
    pub(super) const fn counts(&self) -> [u64; RequestOutcome::ALL.len()] {
        self.counts
    }

    /// Failures since the last answer.
    pub(super) const fn failed_in_a_row(&self) -> u32 {
        self.failed_in_a_row
    }

    pub(super) const fn last(&self) -> Option<&LastFailure> {
        self.last.as_ref()
    }

    /// Requests of the last minute, and how many of them failed.
    pub(super) fn lately(&self, now: Instant) -> (u32, u32) {
        let minute = SLOT * u32::try_from(SLOTS).unwrap_or(u32::MAX);
        let within = |slot: &&Slot| now.saturating_duration_since(slot.begin) < minute;
        let slots = self.window.iter().filter(within);
        slots.fold((0, 0), |(asked, failed), slot| {
            (
                asked.saturating_add(slot.asked),
                failed.saturating_add(slot.failed),
            )
        })
    }

    /// The time within which this part of the last answers came, in hundredths.
    pub(super) fn percentile(&self, hundredths: usize) -> Option<Duration> {
        let mut sorted: Vec<u32> = self.latencies.iter().copied().collect();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        let place = (sorted.len() * hundredths).div_ceil(100).saturating_sub(1);
        let micros = sorted.get(place.min(last))?;
        Some(Duration::from_micros(u64::from(*micros)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_window_is_one_minute() {
        let begin = Instant::now();
        let mut figures = Figures::default();
        assert_eq!(figures.lately(begin), (0, 0));
        for second in 0..60 {
            let failure = (second < 30).then_some(Failure::Timeout(2_000));
            figures.record(begin + Duration::from_secs(second), MS, failure.as_ref());
        }
        let at = |second: u64| figures.lately(begin + Duration::from_secs(second));
        assert_eq!(at(59), (60, 30));
        assert_eq!(at(75), (40, 10));
        assert_eq!(at(95), (20, 0), "the failures have passed");
        assert_eq!(at(1_000), (0, 0));
        assert_eq!(figures.counts(), [30, 30, 0, 0, 0, 0]);
        assert_eq!(figures.failed_in_a_row(), 0);
    }

    #[test]
    fn it_stays_small() {
        let begin = Instant::now();
        let mut figures = Figures::default();
        for second in 0..10_000 {
            figures.record(begin + Duration::from_secs(second), MS, None);
        }
        assert_eq!(
            (figures.window.len(), figures.latencies.len()),
            (SLOTS, LATENCIES)
        );
        assert_eq!(figures.counts()[0], 10_000);
    }

    #[test]
    fn percentiles_are_of_answers_only() {
        let now = Instant::now();
        let mut figures = Figures::default();
        assert_eq!(figures.percentile(50), None);
        figures.record(now, MS * 2_000, Some(&Failure::Timeout(2_000)));
        assert_eq!(figures.percentile(50), None);
        for ms in 1..=100 {
            figures.record(now, MS * ms, None);
        }
        assert_eq!(figures.percentile(50), Some(MS * 50));
        assert_eq!(figures.percentile(99), Some(MS * 99));
        assert_eq!(figures.percentile(100), Some(MS * 100));
    }

    #[test]
    fn failures_are_told_apart() {
        let rpc = |code, message: &str| Failure::Rpc {
            code,
            message: message.into(),
            revert: None,
        };
        let table = [
            (Failure::Timeout(1), RequestOutcome::TimedOut),
            (Failure::Connection("x".into()), RequestOutcome::Unreachable),
            (Failure::Http(429), RequestOutcome::RateLimited),
            (Failure::Http(503), RequestOutcome::Refused),
            (rpc(-32005, "x"), RequestOutcome::RateLimited),
            (rpc(0, "Too Many Requests"), RequestOutcome::RateLimited),
            (rpc(-32000, "missing trie node"), RequestOutcome::Refused),
            (Failure::malformed("x"), RequestOutcome::Garbled),
        ];
        for (failure, expected) in table {
            assert_eq!(failure.outcome(), expected, "{failure}");
        }
    }
}
