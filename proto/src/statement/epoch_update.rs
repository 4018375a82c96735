//! The hand-over of an epoch: which set serves next, signed by the one that serves now.

use alloy_primitives::{B256, keccak256};

use super::KIND_EPOCH_UPDATE;
use crate::wire_error::b256;
use crate::{Epoch, OperatorSet, SlotId, TaskId, WireError, wire};

/// "The set of epoch `next_epoch` is the one with this hash", says the set of `epoch`. A verifier
/// on another chain that trusts one set follows such statements to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochUpdate {
    /// The birth epoch: its set signs.
    pub epoch: Epoch,
    /// The epoch that the described set serves; later than `epoch`.
    pub next_epoch: Epoch,
    /// [`OperatorSet::hash`] of the described set.
    pub set_hash: B256,
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
        })
    }

    /// keccak256(abi.encodePacked(uint8 3, epoch, nextEpoch, setHash)).
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        let mut packed = Vec::with_capacity(1 + 4 + 4 + 32);
        packed.push(KIND_EPOCH_UPDATE);
        packed.extend(self.epoch.0.to_be_bytes());
        packed.extend(self.next_epoch.0.to_be_bytes());
        packed.extend(self.set_hash);
        TaskId(keccak256(packed))
    }

    /// Names the question which set serves an epoch, whoever signs the answer.
    #[must_use]
    pub fn slot(next_epoch: Epoch) -> SlotId {
        let mut packed = [KIND_EPOCH_UPDATE; 5];
        packed[1..].copy_from_slice(&next_epoch.0.to_be_bytes());
        SlotId(keccak256(packed))
    }

    /// keccak256(slot ‖ set hash).
    pub(super) fn fact(&self) -> B256 {
        keccak256([Self::slot(self.next_epoch).0, self.set_hash].concat())
    }

    pub(super) const fn to_sol(self) -> sol::EpochUpdate {
        sol::EpochUpdate {
            epoch: self.epoch.0,
            nextEpoch: self.next_epoch.0,
            setHash: self.set_hash,
        }
    }

    /// Borsh of the fields in their order.
    pub(super) fn borsh(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + 4 + 32);
        bytes.extend(self.epoch.0.to_le_bytes());
        bytes.extend(self.next_epoch.0.to_le_bytes());
        bytes.extend(self.set_hash);
        bytes
    }
}

impl From<&EpochUpdate> for wire::EpochUpdate {
    fn from(update: &EpochUpdate) -> Self {
        Self {
            epoch: update.epoch.0,
            next_epoch: update.next_epoch.0,
            set_hash: update.set_hash.to_vec(),
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
        })
    }
}

pub(super) mod sol {
    alloy_sol_types::sol! {
        struct EpochUpdate {
            uint32 epoch;
            uint32 nextEpoch;
            bytes32 setHash;
        }
    }
}

#[cfg(test)]
mod tests;
