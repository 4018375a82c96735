//! The hand-over of an epoch: which set serves next, signed by the one that serves now.

use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

use super::Subject;
use super::kind::{Field, StatementKind, Words};
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

/// An epoch update in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochUpdateJson {
    /// Birth epoch: its set signs.
    pub epoch: u32,
    /// The epoch that the set serves.
    pub next_epoch: u32,
    /// Hash of the set.
    pub set_hash: B256,
    /// When it was fixed, Unix seconds.
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

    /// Names the question which set serves an epoch, the same for each set that signs the answer.
    #[must_use]
    pub fn slot_of(next_epoch: Epoch) -> SlotId {
        let mut packed = [Self::KIND; 5];
        packed[1..].copy_from_slice(&next_epoch.0.to_be_bytes());
        SlotId(keccak256(packed))
    }
}

impl StatementKind for EpochUpdate {
    type Json = EpochUpdateJson;

    const KIND: u8 = 3;
    const ASKED_BY_USERS: bool = false;
    /// Light registries need them.
    const KEPT: bool = true;
    /// A light registry learns of a later set from any that it holds.
    const OUTLIVES_ITS_SET: bool = true;

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn subject(&self) -> Subject {
        Subject::HomeChain
    }

    /// keccak256(abi.encodePacked(uint8 3, epoch, nextEpoch, setHash, time)).
    fn task_id(&self) -> TaskId {
        let mut packed = Vec::with_capacity(1 + 4 + 4 + 32 + 8);
        packed.push(Self::KIND);
        packed.extend(self.epoch.0.to_be_bytes());
        packed.extend(self.next_epoch.0.to_be_bytes());
        packed.extend(self.set_hash);
        packed.extend(self.time.to_be_bytes());
        TaskId(keccak256(packed))
    }

    fn slot(&self) -> SlotId {
        Self::slot_of(self.next_epoch)
    }

    /// keccak256(slot ‖ set hash ‖ time 8).
    fn fact(&self) -> B256 {
        let mut preimage = self.slot().0.to_vec();
        preimage.extend(self.set_hash);
        preimage.extend(self.time.to_be_bytes());
        keccak256(preimage)
    }

    /// The time of the block that fixed the set.
    fn fact_time(&self) -> u64 {
        self.time
    }

    fn words(&self) -> Words {
        let (next, set, time) = (self.next_epoch, self.set_hash, Field::Time(self.time));
        Words {
            says: format!("the operators of epoch {next} are the set {set}"),
            asks: format!("set of epoch {next}"),
            about: format!("set of epoch {next}"),
            fields: vec![
                ("Hands over to", Field::text(next)),
                ("Set hash", Field::text(set)),
                ("Fixed", time.clone()),
            ],
            fact: vec![("set", Field::text(set)), ("fixed", time)],
        }
    }
}

impl From<&EpochUpdate> for EpochUpdateJson {
    fn from(update: &EpochUpdate) -> Self {
        Self {
            epoch: update.epoch.0,
            next_epoch: update.next_epoch.0,
            set_hash: update.set_hash,
            time: update.time,
        }
    }
}

impl From<&EpochUpdateJson> for EpochUpdate {
    fn from(json: &EpochUpdateJson) -> Self {
        Self {
            epoch: Epoch(json.epoch),
            next_epoch: Epoch(json.next_epoch),
            set_hash: json.set_hash,
            time: json.time,
        }
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
