//! How long a provider is left alone that asks for fewer requests. Knows no clock: it is told the time.

use std::time::{Duration, Instant};

use alloy::transports::http::reqwest::header::{HeaderMap, RETRY_AFTER};

/// The first pause. Providers count requests per second, so that some of them make a second.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause that we choose ourselves: one that is well again is of use soon after.
const LONGEST: Duration = Duration::from_secs(10);

/// The longest pause that a provider may ask for. Longer ones would take it out of the quorum.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// Pauses double with each refusal in a row, and halve with each answer.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pause: Duration,
    refused: Option<Instant>,
    until: Option<Instant>,
}

impl Pace {
    /// A request that was sent then was refused now, with the pause that the provider asks for. Those
    /// that were under way at the refusal before this one tell nothing new.
    pub(super) fn refused(&mut self, sent: Instant, now: Instant, asked: Option<Duration>) {
        if self.refused.is_none_or(|before| sent >= before) {
            self.pause = (self.pause * 2).clamp(FIRST, LONGEST);
            self.refused = Some(now);
        }
        let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
        self.until = self.until.max(Some(now + self.pause.max(asked)));
    }

    pub(super) fn answered(&mut self) {
        let half = self.pause / 2;
        self.pause = if half < FIRST { Duration::ZERO } else { half };
    }

    /// What is left of the pause.
    pub(super) fn left(&self, now: Instant) -> Duration {
        let left = |until: Instant| until.saturating_duration_since(now);
        self.until.map_or(Duration::ZERO, left)
    }

    /// Whether it was left alone at some moment of the time before now.
    pub(super) fn paused_within(&self, before: Duration, now: Instant) -> bool {
        self.until.is_some_and(|until| until + before > now)
    }

    /// Whether it refused something lately.
    pub(super) const fn is_slow(&self) -> bool {
        !self.pause.is_zero()
    }
}

/// The pause that a response asks for. A date is left to our own pauses.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_double_up_to_a_bound_and_end_with_answers() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        assert!(!pace.is_slow());
        let mut pauses = Vec::new();
        for _ in 0..9 {
            pace.refused(now, now, None);
            let left = pace.left(now);
            pauses.push(left.as_millis());
            now += left;
            assert_eq!(pace.left(now), Duration::ZERO);
        }
        let expected = [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000];
        assert_eq!(pauses, expected);
        let answers = (0..20).take_while(|_| {
            pace.answered();
            pace.is_slow()
        });
        assert_eq!(answers.count(), 6);
        pace.refused(now, now, None);
        assert_eq!(pace.left(now), FIRST);
    }

    #[test]
    fn requests_that_were_under_way_count_as_one_refusal() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for answer in 1..=16 {
            pace.refused(start, start + answer * MS, None);
        }
        assert_eq!(pace.left(start + 16 * MS), FIRST);
    }

    #[test]
    fn who_hangs_after_a_pause_is_not_said_to_pause() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert!(!pace.paused_within(100 * MS, now));
        pace.refused(now, now, None);
        let end = now + FIRST;
        assert!(pace.paused_within(100 * MS, end + 99 * MS));
        assert!(!pace.paused_within(100 * MS, end + 100 * MS));
        assert!(pace.is_slow(), "nothing was answered yet");
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_within_bounds() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.refused(now, now, Some(3_000 * MS));
        assert_eq!(pace.left(now), 3_000 * MS);
        pace.refused(now, now, Some(Duration::from_secs(u64::MAX)));
        assert_eq!(pace.left(now), LONGEST_ASKED);
        let asked = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().expect("a value"));
            retry_after(&headers)
        };
        assert_eq!(asked(" 7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(asked("-1"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
