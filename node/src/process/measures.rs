//! Helpers for figures.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use quorate_proto::{ReadBasis, RefusalCode};
use tokio_util::sync::CancellationToken;

use crate::NodeError;

/// Measurements are kept one by one, 24 bytes each, until they are counted into their buckets: at 1,000
/// tasks/s and five of each task 0.6 MB.
const COUNTED_EVERY: Duration = Duration::from_secs(5);

/// Counters that alerts watch. Each is there from the start with zero, since an increase is seen
/// only by who has seen the figure before it.
///
/// Whom those about operators and providers name is not known at the start: they are there without
/// labels, a zero in every sum.
const WATCHED: [&str; 10] = [
    "quorate_gossip_dropped_total",
    "quorate_offences_total",
    "quorate_operator_faults_total",
    "quorate_operator_ignored_total",
    "quorate_provider_lies_total",
    "quorate_publish_failures_total",
    "quorate_streams_refused_total",
    "quorate_sync_lies_total",
    "quorate_tasks_refused_total",
    "quorate_unsignable_total",
];

/// Histograms that alerts and the dashboard read.
const MEASURED: [&str; 4] = [
    "quorate_certified_seconds",
    "quorate_read_seconds",
    "quorate_request_seconds",
    "quorate_signing_log_seconds",
];

/// Makes the figures known before the first thing is counted.
pub(crate) fn declare() {
    for name in WATCHED {
        metrics::counter!(name).increment(0);
    }
    for name in MEASURED {
        let _ = metrics::histogram!(name);
    }
    for status in ["completed", "expired", "failed"] {
        metrics::counter!("quorate_tasks_total", "status" => status).increment(0);
    }
    for outcome in ["answered", "failed", "followed"] {
        metrics::counter!("quorate_requests_total", "outcome" => outcome).increment(0);
    }
    for source in ["found", "heard"] {
        metrics::counter!("quorate_equivocations_total", "source" => source).increment(0);
    }
    for number in 1.. {
        let Ok(code) = RefusalCode::try_from(number) else {
            break;
        };
        metrics::counter!("quorate_refusals_total", "code" => code.as_str_name()).increment(0);
    }
    metrics::counter!("quorate_gossip_rejected_total", "kind" => "response", "reason" => "replay")
        .increment(0);
}

/// Counts measurements into their buckets until `token` is cancelled, also where no client reads them.
pub(crate) async fn count(
    handle: PrometheusHandle,
    token: CancellationToken,
) -> Result<(), NodeError> {
    let mut ticks = tokio::time::interval(COUNTED_EVERY);
    while token.run_until_cancelled(ticks.tick()).await.is_some() {
        handle.run_upkeep();
    }
    Ok(())
}

/// As [`declare`], for what is counted by chain.
pub(crate) fn declare_reads(chains: impl Iterator<Item = u64>) {
    for chain in chains {
        for basis in [ReadBasis::Proof, ReadBasis::Vote, ReadBasis::Unspecified] {
            reads(chain, basis).increment(0);
        }
    }
}

/// Own reads of a chain that rest on this.
pub(crate) fn reads(chain: u64, basis: ReadBasis) -> metrics::Counter {
    let basis = match basis {
        ReadBasis::Proof => "proof",
        ReadBasis::Vote => "vote",
        ReadBasis::Unspecified => "none",
    };
    metrics::counter!("quorate_reads_total", "chain" => chain.to_string(), "basis" => basis)
}

/// Microseconds as the seconds that Prometheus wants.
pub(crate) fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

/// Microseconds as milliseconds, for people.
pub(crate) fn millis(micros: u64) -> f64 {
    seconds(micros) * 1_000.0
}
