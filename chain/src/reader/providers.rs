//! How the providers of a chain fare.

use std::fmt;
use std::time::Duration;

/// What a provider is worth at present. All but the first make it a "no" to what it was asked; none takes
/// it out of the number of which a quorum is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProviderHealth {
    /// Answers, and knows what the others know.
    Ok,
    /// Has not been heard of yet.
    Unknown,
    /// Does not serve what is needed of it at the final block, such as proofs of state. Its word on which
    /// block that is counts.
    Unfit,
    /// Does not have blocks that a quorum of the others has had for a while.
    Lagging,
    /// Says itself that it is still syncing.
    Syncing,
    /// Cannot be reached, or answers with errors or what cannot be read.
    Failing,
    /// Takes requests and does not answer in time.
    Hanging,
    /// Refuses because it was asked too much.
    RateLimited,
    /// Serves another chain.
    WrongChain,
    /// Said something else than the quorum about what can only be one way, or sent a proof that
    /// does not verify.
    Contradicts,
}

impl ProviderHealth {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Unknown,
        Self::Unfit,
        Self::Lagging,
        Self::Syncing,
        Self::Failing,
        Self::Hanging,
        Self::RateLimited,
        Self::WrongChain,
        Self::Contradicts,
    ];

    /// For machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Unfit => "unfit",
            Self::Lagging => "lagging",
            Self::Syncing => "syncing",
            Self::Failing => "failing",
            Self::Hanging => "hanging",
            Self::RateLimited => "rate_limited",
            Self::WrongChain => "wrong_chain",
            Self::Contradicts => "contradicts",
        }
    }
}

impl fmt::Display for ProviderHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name().replace('_', " "))
    }
}

/// What became of one request to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestOutcome {
    /// It was answered.
    Answered,
    /// No answer in time.
    TimedOut,
    /// No connection.
    Unreachable,
    /// Too many requests.
    RateLimited,
    /// An error in place of an answer.
    Refused,
    /// An answer that makes no sense.
    Garbled,
}

impl RequestOutcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Answered,
        Self::TimedOut,
        Self::Unreachable,
        Self::RateLimited,
        Self::Refused,
        Self::Garbled,
    ];

    /// For machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::RateLimited => "rate_limited",
            Self::Refused => "refused",
            Self::Garbled => "garbled",
        }
    }
}

/// The providers of a chain, and when they suffice.
#[derive(Clone, Debug, Default)]
pub struct Providers {
    /// How many of them must say the same.
    pub required: usize,
    /// By how many different ones those must be run.
    pub min_runners: usize,
    /// How many that are good now may yet fail before the rest cannot agree; `None` where they
    /// cannot already.
    pub spare: Option<usize>,
    /// All that are configured.
    pub providers: Vec<ProviderStatus>,
}

/// How one provider fares. Nothing in here holds a secret of its URL.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderStatus {
    /// Scheme, host and port of its URL, with a number where several have the same.
    pub provider: String,
    /// Who runs it.
    pub by: String,
    /// Which program it is, where that was set.
    pub client: Option<String>,
    /// What it is worth.
    pub health: ProviderHealth,
    /// For how long.
    pub since: Duration,
    /// Why it does not count at present; `None` while all is well.
    pub problem: Option<String>,
    /// The last thing that went wrong, and how long ago.
    pub last_error: Option<(String, Duration)>,
    /// The newest height that it reported.
    pub height: Option<u64>,
    /// How many blocks it is behind what a quorum has.
    pub lag: Option<u64>,
    /// Requests since the start, by what became of them, in the order of [`RequestOutcome::ALL`].
    pub requests: [u64; 6],
    /// How often it contradicted the quorum or sent a false proof, since the start.
    pub contradictions: u64,
    /// How many of these were proofs that do not hold.
    pub lies: u64,
    /// The part of its requests that failed in the last minute, 0 to 1; `None` without requests.
    pub error_rate: Option<f64>,
    /// Median time to an answer, of the last 256.
    pub latency_p50: Option<Duration>,
    /// The 99th percentile of the same.
    pub latency_p99: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        let mut names: Vec<_> = ProviderHealth::ALL
            .iter()
            .map(|health| health.name())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ProviderHealth::ALL.len());
        for (index, outcome) in RequestOutcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, index);
        }
    }
}
