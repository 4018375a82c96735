//! The bridge.

use serde::{Deserialize, Serialize};

/// What `/bridge` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeReport {
    /// The routes that the node serves.
    pub routes: Vec<RouteReport>,
    /// How the operator votes, of each bridge once at most. Of operators only.
    pub votes: Vec<VoteLine>,
    /// What is on its way, 256 at most. Of relayers only, as what follows.
    pub under_way: Vec<DeliveryLine>,
    /// What has ended lately, 256 at most; those with a reason are dead letters.
    pub ended: Vec<DeliveryLine>,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteReport {
    /// As in the settings.
    pub route: String,
    /// Its hash.
    pub id: String,
    /// The highest number that was seen at a final block.
    pub newest: Option<u64>,
    /// Transfers that are not certified yet; at a relayer not queued. At most 1,000 are counted.
    pub open: u64,
}

/// How an operator votes about one bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteLine {
    /// As CHAIN:CONTRACT.
    pub bridge: String,
    /// Number of the change.
    pub sequence: u64,
    /// Whether the bridge is to stand still.
    pub paused: bool,
    /// The newest epoch in which enough operators voted the same, as far as this node has heard.
    pub certified_in: Option<u32>,
}

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryLine {
    /// Names it.
    pub id: String,
    /// The target chain.
    pub chain: u64,
    /// What it brings.
    pub about: String,
    /// Attempts that have failed.
    pub failures: u32,
    /// Not tried before this Unix millisecond.
    pub next_try_ms: Option<u64>,
    /// Why the last attempt failed, or it has ended without being delivered.
    pub reason: Option<String>,
    /// When it ended, in Unix milliseconds.
    pub ended_ms: Option<u64>,
}
