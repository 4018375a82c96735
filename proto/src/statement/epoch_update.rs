//! The hand-over of an epoch: which set serves next, signed by the one that serves now.

use alloy_primitives::{B256, keccak256};

use super::KIND_EPOCH_UPDATE;
use crate::wire_error::b256;
use crate::{Epoch, OperatorSet, SlotId, TaskId, WireError, wire};

/// "The set of epoch `next_epoch` is the one with this hash, fixed at this time", says the set of
/// `epoch`. A verifier on another chain that trusts one set follows such statements to the next, and
/// knows by the time how old its news of the stake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochUpdate {
    /// The birth epoch: its set signs.
    pub epoch: Epoch,
    /// The epoch that the described set serves; later than `epoch`.
    pub next_epoch: Epoch,
    /// [`OperatorSet::hash`] of the described set.
    pub set_hash: B256,
    /// [`OperatorSet::fixed_at`] of the described set, in Unix seconds.
    pub time: u64,
}

impl EpochUpdate {
    /// The statement by which the set of `epoch` hands over to `next`; `None` where `next` serves
    /// no later epoch.
    #[must_use]
    pub fn hand_over(epoch: Epoch, next: &OperatorSet) -> Option<Self> {
        let next_epoch = next.epoch();
        (next_epoch > epoch).then(|| Self {
            epoch,
            next_epoch,
            set_hash: next.hash(),
            time: next.fixed_at(),
        })
    }

    /// keccak256(abi.encodePacked(uint8 3, epoch, nextEpoch, setHash, time)).
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        let mut packed = Vec::with_capacity(1 + 4 + 4 + 32 + 8);
        packed.push(KIND_EPOCH_UPDATE);
        packed.extend(self.epoch.0.to_be_bytes());
        packed.extend(self.next_epoch.0.to_be_bytes());
        packed.extend(self.set_hash);
        packed.extend(self.time.to_be_bytes());
        TaskId(keccak256(packed))
    }

    /// Names the question which set serves an epoch, whoever signs the answer.
    #[must_use]
    pub fn slot(next_epoch: Epoch) -> SlotId {
        let mut packed = [KIND_EPOCH_UPDATE; 5];
        packed[1..].copy_from_slice(&next_epoch.0.to_be_bytes());
        SlotId(keccak256(packed))
    }

    /// keccak256(slot ‖ set hash ‖ time 8).
    pub(super) fn fact(&self) -> B256 {
        let mut preimage = Self::slot(self.next_epoch).0.to_vec();
        preimage.extend(self.set_hash);
        preimage.extend(self.time.to_be_bytes());
        keccak256(preimage)
    }
}

impl From<&EpochUpdate> for wire::EpochUpdate {
    fn from(update: &EpochUpdate) -> Self {
        Self {
            epoch: update.epoch.0,
            next_epoch: update.next_epoch.0,
            set_hash: update.set_hash.to_vec(),
            time: update.time,
        }
    }
}

impl TryFrom<&wire::EpochUpdate> for EpochUpdate {
    type Error = WireError;

    fn try_from(message: &wire::EpochUpdate) -> Result<Self, WireError> {
        if message.next_epoch <= message.epoch {
            return Err(WireError::new("next_epoch", "must be later than epoch"));
        }
        Ok(Self {
            epoch: Epoch(message.epoch),
            next_epoch: Epoch(message.next_epoch),
            set_hash: b256("set_hash", &message.set_hash)?,
            time: message.time,
        })
    }
}

#[cfg(test)]
mod tests;
