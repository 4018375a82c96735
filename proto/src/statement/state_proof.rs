//! A value that a user had stored on a chain.

use alloy_primitives::{Address, B256, U256, keccak256};
use serde::{Deserialize, Serialize};

use super::kind::{Decimal, Field, StatementKind, Words};
use super::{Subject, checksummed};
use crate::wire_error::{address, u256};
use crate::{Epoch, SlotId, TaskId, WireError, wire};

/// "On chain `chain_id`, what `user` had stored under `key` at block `block_number` was `value`."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateProof {
    /// Who stored it.
    pub user: Address,
    /// EIP-155 id of the chain.
    pub chain_id: u32,
    /// The block asked about. The value is that of the last entry at or before it.
    pub block_number: u64,
    /// Unix seconds of that block; fits 48 bits.
    pub timestamp: u64,
    /// The birth epoch.
    pub epoch: Epoch,
    /// The key.
    pub key: U256,
    /// The value.
    pub value: U256,
}

/// A state proof in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateProofJson {
    /// EIP-155 id of the chain.
    pub chain_id: u32,
    /// Who stored the value.
    #[serde(serialize_with = "checksummed")]
    pub user: Address,
    /// Under which key.
    pub key: Decimal,
    /// The value.
    pub value: Decimal,
    /// Block asked about.
    pub block_number: u64,
    /// Unix seconds of that block.
    pub timestamp: u64,
    /// Birth epoch.
    pub epoch: u32,
}

/// Largest timestamp that fits the 48 bits of a task id.
const MAX_TIMESTAMP: u64 = (1 << 48) - 1;

impl StateProof {
    /// Names the question that a state proof answers.
    #[must_use]
    pub fn slot_of(chain_id: u32, user: Address, key: U256, block_number: u64) -> SlotId {
        let mut packed = Vec::with_capacity(1 + 4 + 20 + 32 + 8);
        packed.push(Self::KIND);
        packed.extend(chain_id.to_be_bytes());
        packed.extend(user);
        packed.extend(key.to_be_bytes::<32>());
        packed.extend(block_number.to_be_bytes());
        SlotId(keccak256(packed))
    }
}

impl StatementKind for StateProof {
    type Json = StateProofJson;

    const KIND: u8 = 1;
    const ASKED_BY_USERS: bool = true;
    const KEPT: bool = false;
    const OUTLIVES_ITS_SET: bool = false;

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn subject(&self) -> Subject {
        Subject::Chain(self.chain_id.into())
    }

    /// keccak256(abi.encodePacked(user, chainId, blockNumber, timestamp, epoch, key, value)),
    /// every field at its full width.
    fn task_id(&self) -> TaskId {
        let mut packed = Vec::with_capacity(20 + 4 + 8 + 6 + 4 + 32 + 32);
        packed.extend(self.user);
        packed.extend(self.chain_id.to_be_bytes());
        packed.extend(self.block_number.to_be_bytes());
        packed.extend(&self.timestamp.to_be_bytes()[2..]);
        packed.extend(self.epoch.0.to_be_bytes());
        packed.extend(self.key.to_be_bytes::<32>());
        packed.extend(self.value.to_be_bytes::<32>());
        TaskId(keccak256(packed))
    }

    fn slot(&self) -> SlotId {
        Self::slot_of(self.chain_id, self.user, self.key, self.block_number)
    }

    /// keccak256(slot ‖ timestamp 8 ‖ value 32).
    fn fact(&self) -> B256 {
        let mut preimage = self.slot().0.to_vec();
        preimage.extend(self.timestamp.to_be_bytes());
        preimage.extend(self.value.to_be_bytes::<32>());
        keccak256(preimage)
    }

    /// The time of the block.
    fn fact_time(&self) -> u64 {
        self.timestamp
    }

    fn words(&self) -> Words {
        let Self {
            user,
            chain_id,
            block_number,
            timestamp,
            key,
            value,
            ..
        } = *self;
        Words {
            says: format!(
                "on chain {chain_id}, {user} had stored {value} under key {key} at block {block_number}"
            ),
            asks: format!(
                "what {user} had stored under key {key} on chain {chain_id} at block {block_number}"
            ),
            about: format!("chain {chain_id}, block {block_number}"),
            fields: vec![
                ("Value", Field::Word(value)),
                ("Key", Field::Word(key)),
                ("User", Field::text(user)),
                ("Chain", Field::text(chain_id)),
                ("Block", Field::Block(block_number, timestamp)),
            ],
            fact: vec![
                ("value", Field::text(value)),
                ("block time", Field::Time(timestamp)),
            ],
        }
    }
}

impl From<&StateProof> for StateProofJson {
    fn from(proof: &StateProof) -> Self {
        Self {
            chain_id: proof.chain_id,
            user: proof.user,
            key: Decimal(proof.key),
            value: Decimal(proof.value),
            block_number: proof.block_number,
            timestamp: proof.timestamp,
            epoch: proof.epoch.0,
        }
    }
}

impl From<&StateProofJson> for StateProof {
    fn from(json: &StateProofJson) -> Self {
        Self {
            user: json.user,
            chain_id: json.chain_id,
            block_number: json.block_number,
            timestamp: json.timestamp,
            epoch: Epoch(json.epoch),
            key: json.key.0,
            value: json.value.0,
        }
    }
}

impl From<&StateProof> for wire::StateProof {
    fn from(proof: &StateProof) -> Self {
        Self {
            user: proof.user.to_vec(),
            chain_id: proof.chain_id,
            block_number: proof.block_number,
            timestamp: proof.timestamp,
            epoch: proof.epoch.0,
            key: proof.key.to_be_bytes_vec(),
            value: proof.value.to_be_bytes_vec(),
        }
    }
}

impl TryFrom<&wire::StateProof> for StateProof {
    type Error = WireError;

    fn try_from(message: &wire::StateProof) -> Result<Self, WireError> {
        if message.timestamp > MAX_TIMESTAMP {
            return Err(WireError::new("timestamp", "must fit 48 bits"));
        }
        Ok(Self {
            user: address("user", &message.user)?,
            chain_id: message.chain_id,
            block_number: message.block_number,
            timestamp: message.timestamp,
            epoch: Epoch(message.epoch),
            key: u256("key", &message.key)?,
            value: u256("value", &message.value)?,
        })
    }
}
