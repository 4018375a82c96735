//! The bridge's kinds: what was sent on one chain, what was closed on another, and whether a bridge stands still.

mod bridge_pause;
mod route;
mod transfer;
mod transfer_closed;

use alloy_primitives::{B256, keccak256};

pub use self::bridge_pause::{BridgePause, BridgePauseJson};
pub use self::route::{Route, RouteJson};
pub use self::transfer::{Transfer, TransferJson};
pub use self::transfer_closed::{TransferClosed, TransferClosedJson};
use crate::{Epoch, TaskId};

/// keccak256(kind 1 ‖ epoch 4 ‖ fact 32): names the task of any of these kinds.
fn task_id(kind: u8, epoch: Epoch, fact: B256) -> TaskId {
    let preimage = [&[kind][..], &epoch.0.to_be_bytes(), fact.as_slice()].concat();
    TaskId(keccak256(preimage))
}

#[cfg(test)]
mod tests;
