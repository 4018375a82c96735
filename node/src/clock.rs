//! Wall time that never goes back while the process runs.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use quorate_proto::Timestamp;

static START: OnceLock<(Timestamp, Instant)> = OnceLock::new();

/// The time now: read from the system once, then counted by the monotonic clock.
pub(crate) fn now() -> Timestamp {
    let (wall, started) = START.get_or_init(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let micros = since.map_or(0, |d| d.as_micros());
        (Timestamp(saturate(micros)), Instant::now())
    });
    Timestamp(
        wall.0
            .saturating_add(saturate(started.elapsed().as_micros())),
    )
}

/// The instant at which [`now`] will be `at`.
pub(crate) fn instant_of(at: Timestamp) -> tokio::time::Instant {
    let ahead = at.micros_since(now());
    tokio::time::Instant::now() + std::time::Duration::from_micros(ahead)
}

/// Waits until then; for ever where there is nothing to wait for.
pub(crate) async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn saturate(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
