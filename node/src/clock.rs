//! Wall time that never goes back while the process runs, and does not fall behind the system's.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quorate_proto::Timestamp;

/// The system clock may be ahead of ours by this much before we follow it: adjustments of NTP that are
/// smaller come and go.
const SLACK: Duration = Duration::from_secs(1);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
static CLOCK: Mutex<Option<Clock>> = Mutex::new(None);

/// The time now, counted by the monotonic clock. That one stands still while the machine is suspended and
/// knows nothing of a clock that was set anew, so a system clock that is ahead is followed; one that
/// was set back is not, until the process starts again.
pub(crate) fn now() -> Timestamp {
    let mut clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let (system, running) = (system_time(), START.elapsed());
    let clock = clock.get_or_insert_with(|| Clock::started(system, running));
    clock.read(system, running)
}

/// A wall time, and how long the process had run then.
#[derive(Debug)]
struct Clock {
    wall: Timestamp,
    running: Duration,
}

impl Clock {
    const fn started(system: Timestamp, running: Duration) -> Self {
        Self {
            wall: system,
            running,
        }
    }

    /// The time after the process has run for `running`, while the system says `system`.
    fn read(&mut self, system: Timestamp, running: Duration) -> Timestamp {
        let passed = running.saturating_sub(self.running);
        let counted = Timestamp(self.wall.0.saturating_add(micros(passed)));
        if system.micros_since(counted) <= micros(SLACK) {
            return counted;
        }
        *self = Self::started(system, running.max(self.running));
        system
    }
}

fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, micros))
}

/// How far ahead of this clock a sequence in Unix milliseconds may be. Clocks that are set by NTP differ by
/// milliseconds, and from some 0.75 s on a node complains about its own; this is for those that no operator sets.
/// What is further ahead is believed of no operator: it would outlive the process that made it.
pub(crate) const MAX_AHEAD_MS: u64 = 10 * 60_000;

/// Whether a sequence in Unix milliseconds is too far ahead of this clock.
pub(crate) fn is_ahead(sequence: u64) -> bool {
    sequence > now().millis().saturating_add(MAX_AHEAD_MS)
}

/// The instant at which [`now`] will be `at`, unless the clock is set forward before.
pub(crate) fn instant_of(at: Timestamp) -> tokio::time::Instant {
    let ahead = at.micros_since(now());
    tokio::time::Instant::now() + Duration::from_micros(ahead)
}

/// Waits until then; for ever where there is nothing to wait for.
pub(crate) async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The date of a day since 1970-01-01, by eras of 400 years that begin on 1 March.
#[must_use]
pub fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Unix milliseconds as ISO 8601 has them.
pub(crate) fn iso8601(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let ms = ms % 1_000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_iso_8601() {
        assert_eq!(iso8601(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso8601(1_764_547_199_042), "2025-11-30T23:59:59.042Z");
    }

    #[test]
    fn the_system_clock_is_followed_forwards_only() {
        let second = Duration::from_secs;
        let at = |seconds: u64| Timestamp(seconds * 1_000_000);
        let mut clock = Clock::started(at(1_000), second(5));
        // (the system's clock, how long the process has run, what is told)
        let steps = [
            (1_001, 6, 1_001),
            // A little ahead: our own count.
            (1_003, 7, 1_002),
            // The machine was suspended for an hour, or the clock set forward.
            (4_603, 8, 4_603),
            (4_604, 9, 4_604),
            // Set back: time goes on from where it was.
            (1_010, 10, 4_605),
            (4_605, 11, 4_606),
            // Ahead of where we are, once more.
            (5_000, 12, 5_000),
        ];
        let mut before = Timestamp(0);
        for (system, running, told) in steps {
            let now = clock.read(at(system), second(running));
            assert_eq!(now, at(told), "{system} after {running} s");
            assert!(now >= before, "{now:?} after {before:?}");
            before = now;
        }
    }
}
