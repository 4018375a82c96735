//! One epoch, whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Operators;

/// `GET /epoch/{n}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochReport {
    /// Its number.
    pub epoch: u32,
    /// `over`, `current`, `fixed` where it has not begun, or `unknown` while the present epoch is.
    pub state: String,
    /// The blocks of the home chain that belong to it; `None` while that chain does not answer.
    pub blocks: Option<EpochBlocks>,
    /// Its operators, their keys and weights, and the threshold.
    pub set: Operators,
    /// What earlier sets certify.
    pub set_hash: String,
    /// How this node learned the set: `home_chain` where it read it there itself, `handed_over` from a peer
    /// with a certificate of an earlier set, `compared` from a peer and member by member with the home chain,
    /// `unknown` where it was kept before that was noted.
    pub learned: String,
    /// The certificate that handed over to it, if this node has one.
    pub handed_over_by: Option<HandedOverBy>,
    /// What became of the tasks that were born in it, as far as they are kept.
    pub tasks: EpochTasks,
    /// Whether its tasks are not kept any more, but for the hand-over to the next epoch.
    pub pruned: bool,
}

/// Blocks of the home chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochBlocks {
    /// The first one.
    pub first: u64,
    /// From here on the set of the next epoch is fixed.
    pub grace: u64,
    /// The last one.
    pub last: u64,
}

/// A hand-over: [`EpochReport::handed_over_by`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOverBy {
    /// The epoch whose set signed.
    pub epoch: u32,
    /// The task.
    pub task: String,
    /// How many signed.
    pub signers: usize,
}

/// Tasks by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochTasks {
    /// Certified, by kind of statement.
    pub certified: BTreeMap<String, u64>,
    /// Ended without a certificate.
    pub expired: u64,
    /// The threshold was out of reach.
    pub failed: u64,
    /// Under way.
    pub pending: u64,
}
