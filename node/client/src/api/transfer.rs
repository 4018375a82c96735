//! One transfer of a bridge, from its event to its payout, as JSON.

use quorate_proto::TransferJson;
use serde::{Deserialize, Serialize};

use super::Timeline;

/// `GET /bridge/transfers/{route}/{nonce}`: all that a node knows of a transfer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransferPage {
    /// From the event to the payout.
    #[serde(flatten)]
    pub transfer: TransferReport,
    /// What became of the task by which it is certified; `None` while there is none here.
    pub timeline: Option<Timeline>,
}

/// What a node knows of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferReport {
    /// Hash of the route; `None` while what a transaction sent is not known.
    pub route: Option<String>,
    /// Its number on the route.
    pub nonce: u64,
    /// What was sent; its epoch is 0. `None` until it was seen at a final block.
    pub transfer: Option<TransferJson>,
    /// Where it was sent.
    pub place: Option<PlaceReport>,
    /// The stages that it has reached, in their order.
    pub stages: Vec<StageLine>,
    /// The task by which it is certified.
    pub task_id: Option<String>,
    /// By whom.
    pub certified: Option<CertifiedReport>,
    /// At a node that delivers.
    pub delivery: Option<DeliveryReport>,
}

/// Where a transfer was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceReport {
    /// Height of the block.
    pub block: u64,
    /// Its hash.
    pub block_hash: String,
    /// Its time, in Unix seconds.
    pub block_time: u64,
    /// The transaction, as a provider says.
    pub transaction: String,
    /// Place of the event among those of the block.
    pub log_index: u64,
}

/// A stage that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageLine {
    /// `final`, `announced`, `certified`, `queued`, `sent`, `limited`, `paid`, `closed`, `dead letter`, or `unknown` to
    /// this version.
    pub stage: String,
    /// Unix milliseconds at which the node noticed, where it keeps that.
    pub at_ms: Option<u64>,
}

/// A certificate, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedReport {
    /// The epoch whose operators signed.
    pub epoch: u32,
    /// Who signed.
    pub signers: Vec<String>,
    /// Their weight, where the node has the set of that epoch.
    pub signed_weight: Option<String>,
    /// The weight of all.
    pub total_weight: Option<String>,
}

/// How a node delivers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryReport {
    /// Names it, for `node bridge retry`.
    pub id: String,
    /// Attempts that have failed.
    pub failures: u32,
    /// What its transactions have cost, in the smallest unit of the target's coin.
    pub spent: String,
    /// Not tried before this Unix millisecond.
    pub next_try_ms: Option<u64>,
    /// Why the last attempt failed, or it was given up.
    pub reason: Option<String>,
    /// The newest transaction.
    pub transaction: Option<String>,
    /// Where that is in the chain, once it is confirmed.
    pub block: Option<u64>,
    /// What it used.
    pub gas_used: Option<u64>,
    /// When it ended, in Unix milliseconds.
    pub ended_ms: Option<u64>,
}

/// `GET /bridge/fees/{route}`: what a delivery costs its relayer now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeReport {
    /// As in the settings.
    pub route: String,
    /// The chain that is paid on.
    pub chain: u64,
    /// Gas of a delivery.
    pub gas: u64,
    /// Deliveries of this route here that the gas is the mean of; 0 where it is the measured figure of the documents.
    pub from_deliveries: u64,
    /// What the next block takes of each unit of gas, in the smallest unit of the chain's coin.
    pub base_fee: String,
    /// What is usually paid on top.
    pub tip: String,
    /// Gas times both.
    pub fee: String,
}
