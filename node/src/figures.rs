//! Helpers for figures.

/// Microseconds as the seconds that Prometheus wants.
pub(crate) fn seconds(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64()
}

/// Microseconds as milliseconds, for people.
pub(crate) fn millis(micros: u64) -> f64 {
    seconds(micros) * 1_000.0
}
