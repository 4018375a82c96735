//! How the requests to one provider went. Knows no clock: it is told the time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::ProviderError;
use crate::RequestOutcome;

/// Length of one slot of the window, and how many of them make the minute that is looked back on.
const SLOT: Duration = Duration::from_secs(5);
const SLOTS: usize = 12;

/// Answers whose times are kept: enough for a 99th percentile, 1 KiB.
const LATENCIES: usize = 256;

/// Counts of requests, and how the last ones went.
#[derive(Debug, Default)]
pub struct RequestStats {
    counts: [u64; RequestOutcome::ALL.len()],
    window: VecDeque<StatsSlot>,
    latencies: VecDeque<u32>,
    failed_in_a_row: u32,
    last: Option<LastFailure>,
}

#[derive(Clone, Copy, Debug)]
struct StatsSlot {
    begin: Instant,
    asked: u32,
    failed: u32,
}

/// The request that failed last.
#[derive(Clone, Debug)]
pub(crate) struct LastFailure {
    pub(crate) at: Instant,
    pub(crate) outcome: RequestOutcome,
    pub(crate) text: String,
}

impl RequestStats {
    /// One request that took `took` ended at `now`, with a error or without.
    pub fn record(&mut self, now: Instant, took: Duration, error: Option<&ProviderError>) {
        let outcome = error.map_or(RequestOutcome::Answered, ProviderError::outcome);
        if let Some(count) = self.counts.get_mut(outcome as usize) {
            *count += 1;
        }
        self.slot(now, error.is_some());
        match error {
            None => self.answered(took),
            Some(error) => {
                self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
                self.last = Some(LastFailure {
                    at: now,
                    outcome,
                    text: error.to_string(),
                });
            }
        }
    }

    fn slot(&mut self, now: Instant, failed: bool) {
        let fresh = |slot: &&mut StatsSlot| now.saturating_duration_since(slot.begin) < SLOT;
        if let Some(slot) = self.window.back_mut().filter(fresh) {
            slot.asked = slot.asked.saturating_add(1);
            slot.failed = slot.failed.saturating_add(u32::from(failed));
            return;
        }
        if self.window.len() == SLOTS {
            self.window.pop_front();
        }
        self.window.push_back(StatsSlot {
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
    pub(crate) const fn counts(&self) -> [u64; RequestOutcome::ALL.len()] {
        self.counts
    }

    /// Failures since the last answer.
    pub(crate) const fn failed_in_a_row(&self) -> u32 {
        self.failed_in_a_row
    }

    pub(crate) const fn last(&self) -> Option<&LastFailure> {
        self.last.as_ref()
    }

    /// Requests of the last minute, and how many of them failed.
    pub(crate) fn lately(&self, now: Instant) -> (u32, u32) {
        let minute = SLOT * u32::try_from(SLOTS).unwrap_or(u32::MAX);
        let within = |slot: &&StatsSlot| now.saturating_duration_since(slot.begin) < minute;
        let slots = self.window.iter().filter(within);
        slots.fold((0, 0), |(asked, failed), slot| {
            (
                asked.saturating_add(slot.asked),
                failed.saturating_add(slot.failed),
            )
        })
    }

    /// The time within which this part of the last answers came, in hundredths.
    pub(crate) fn percentile(&self, hundredths: usize) -> Option<Duration> {
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
        let mut stats = RequestStats::default();
        assert_eq!(stats.lately(begin), (0, 0));
        for second in 0..60 {
            let error = (second < 30).then_some(ProviderError::Timeout(2_000));
            stats.record(begin + Duration::from_secs(second), MS, error.as_ref());
        }
        let at = |second: u64| stats.lately(begin + Duration::from_secs(second));
        assert_eq!(at(59), (60, 30));
        assert_eq!(at(75), (40, 10));
        assert_eq!(at(95), (20, 0), "the failures have passed");
        assert_eq!(at(1_000), (0, 0));
        assert_eq!(stats.counts(), [30, 30, 0, 0, 0, 0]);
        assert_eq!(stats.failed_in_a_row(), 0);
    }

    #[test]
    fn it_stays_small() {
        let begin = Instant::now();
        let mut stats = RequestStats::default();
        for second in 0..10_000 {
            stats.record(begin + Duration::from_secs(second), MS, None);
        }
        assert_eq!(
            (stats.window.len(), stats.latencies.len()),
            (SLOTS, LATENCIES)
        );
        assert_eq!(stats.counts()[0], 10_000);
    }

    #[test]
    fn percentiles_are_of_answers_only() {
        let now = Instant::now();
        let mut stats = RequestStats::default();
        assert_eq!(stats.percentile(50), None);
        stats.record(now, MS * 2_000, Some(&ProviderError::Timeout(2_000)));
        assert_eq!(stats.percentile(50), None);
        for ms in 1..=100 {
            stats.record(now, MS * ms, None);
        }
        assert_eq!(stats.percentile(50), Some(MS * 50));
        assert_eq!(stats.percentile(99), Some(MS * 99));
        assert_eq!(stats.percentile(100), Some(MS * 100));
    }
}
