//! RPC providers: `/providers`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /providers`: one chain, the home chain first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChainProviders {
    /// EIP-155 id.
    pub chain_id: u64,
    /// `home` or `source`.
    pub kind: String,
    /// Providers that must say the same.
    pub required: usize,
    /// By how many different ones those must be run.
    pub min_runners: usize,
    /// Providers that are configured; this never shrinks.
    pub configured: usize,
    /// Providers that are well now.
    pub ok: usize,
    /// How many of these may yet fail before nothing can be certified; `None` where that is so
    /// already.
    pub spare: Option<usize>,
    /// Why nothing can be certified there, as in `/health`; `None` while all is well.
    #[serde(default)]
    pub problem: Option<String>,
    /// In the order of the configuration.
    pub providers: Vec<ProviderLine>,
}

/// One provider of a chain. URLs are shown without path and query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProviderLine {
    /// Scheme, host and port, with a number where several have the same.
    pub provider: String,
    /// Who runs it: as configured, or the host.
    pub by: String,
    /// Which program it is, where that was configured.
    pub client: Option<String>,
    /// `ok`, `unknown`, `lagging`, `syncing`, `failing`, `hanging`, `rate_limited`, `wrong_chain`,
    /// `unfit` or `contradicts`.
    pub standing: String,
    /// Since when.
    pub since_ms: u64,
    /// Why it does not count, or what was odd about it last.
    pub problem: Option<String>,
    /// The last thing that went wrong, whether it still is or not.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_ms: Option<u64>,
    /// Newest height that it reported.
    pub height: Option<u64>,
    /// Blocks by which it is behind what a quorum of providers has.
    pub lag: Option<u64>,
    /// Requests since the start: `answered`, `timed_out`, `unreachable`, `rate_limited`, `refused`,
    /// `garbled`.
    pub requests: BTreeMap<String, u64>,
    /// How often it contradicted the quorum or sent a false proof.
    pub contradictions: u64,
    /// How many of these were proofs that do not hold; 0 from nodes that do not count them.
    #[serde(default)]
    pub lies: u64,
    /// Part of its requests that failed in the last minute, 0 to 1.
    pub error_rate: Option<f64>,
    /// Median time to an answer.
    pub latency_p50_ms: Option<f64>,
    /// 99th percentile of the same.
    pub latency_p99_ms: Option<f64>,
}
