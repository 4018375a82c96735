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
    /// The last reading of old blocks again, under way or not.
    #[serde(default)]
    pub rescan: Option<RescanReport>,
}

/// A reading of blocks again, for transfers that were missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescanReport {
    /// Hash of the route.
    pub route: String,
    /// The first block.
    pub from: u64,
    /// The last block.
    pub to: u64,
    /// The block that is read next; above `to` once all are.
    pub next: u64,
    /// Transfers of the route in the blocks so far.
    pub seen: u64,
    /// Those of them that this node had missed.
    pub found: u64,
    /// `running`, `done`, `cancelled` or `failed`.
    pub state: String,
    /// Why it failed, or is slow.
    pub problem: Option<String>,
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
    /// Who sends it.
    #[serde(default)]
    pub sender: String,
    /// What it brings.
    pub about: String,
    /// `waiting`, `held` until another one is delivered, `sent`, `delivered` or `dead letter`.
    #[serde(default)]
    pub state: String,
    /// Attempts that have failed.
    pub failures: u32,
    /// What its transactions have cost, in the smallest unit of the target's coin.
    #[serde(default)]
    pub spent: String,
    /// Not tried before this Unix millisecond.
    pub next_try_ms: Option<u64>,
    /// Why the last attempt failed, or it has ended without being delivered.
    pub reason: Option<String>,
    /// When it ended, in Unix milliseconds.
    pub ended_ms: Option<u64>,
}
