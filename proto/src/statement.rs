//! What the network attests: facts about chains, and the hashes that name them.

mod epoch_update;

use alloy_primitives::{Address, B256, U256, keccak256};

pub use self::epoch_update::EpochUpdate;
use crate::wire_error::{address, present, u256};
use crate::{Attestation, Domain, Epoch, RefusalCode, SlotId, TaskId, WireError, wire};

/// One fact about a chain that can be checked and signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statement {
    /// A value stored on a chain.
    StateProof(StateProof),
    /// The operator set that serves a later epoch of the home chain.
    EpochUpdate(EpochUpdate),
}

/// What must be read to check a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// State on the chain with this EIP-155 id.
    Chain(u64),
    /// The stake registry on the network's home chain.
    HomeChain,
}

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

/// Kind bytes, the first of a slot's preimage. 2 is kept for transfers.
const KIND_STATE_PROOF: u8 = 1;
const KIND_EPOCH_UPDATE: u8 = 3;

/// Largest timestamp that fits the 48 bits of a task id.
const MAX_TIMESTAMP: u64 = (1 << 48) - 1;

impl Statement {
    /// The epoch whose set signs it.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        match self {
            Self::StateProof(proof) => proof.epoch,
            Self::EpochUpdate(update) => update.epoch,
        }
    }

    /// What must be read to check it.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        match self {
            Self::StateProof(proof) => Subject::Chain(proof.chain_id as u64),
            Self::EpochUpdate(_) => Subject::HomeChain,
        }
    }

    /// The state proof, where it is one.
    #[must_use]
    pub const fn state_proof(&self) -> Option<&StateProof> {
        match self {
            Self::StateProof(proof) => Some(proof),
            Self::EpochUpdate(_) => None,
        }
    }

    /// Names the task of this statement.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        match self {
            Self::StateProof(proof) => proof.task_id(),
            Self::EpochUpdate(update) => update.task_id(),
        }
    }

    /// What may have one truth only.
    #[must_use]
    pub fn slot(&self) -> SlotId {
        match self {
            Self::StateProof(p) => StateProof::slot(p.chain_id, p.user, p.key, p.block_number),
            Self::EpochUpdate(update) => EpochUpdate::slot(update.next_epoch),
        }
    }

    /// The truth about the slot: everything but the epoch. Two facts for one slot are a
    /// contradiction, the same fact under two epochs is not.
    #[must_use]
    pub fn fact(&self) -> B256 {
        match self {
            Self::StateProof(proof) => proof.fact(),
            Self::EpochUpdate(update) => update.fact(),
        }
    }

    /// When that became true, in Unix seconds on the chain that it is about: the time of the block
    /// for a state proof, that of the block that fixed the set for an epoch update.
    #[must_use]
    pub const fn fact_time(&self) -> u64 {
        match self {
            Self::StateProof(proof) => proof.timestamp,
            Self::EpochUpdate(update) => update.time,
        }
    }

    /// The digest that operators sign and contracts check: that of its [`Attestation`].
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        Attestation::from(self).digest(domain)
    }

    /// The EIP-712 digest of a refusal of this statement:
    /// `Refusal(bytes32 taskId,uint32 epoch,uint32 code)`.
    #[must_use]
    pub fn refusal_digest(&self, domain: &Domain, code: RefusalCode) -> B256 {
        domain.digest(&sol::Refusal {
            taskId: self.task_id().0,
            epoch: self.epoch().0,
            code: code as u32,
        })
    }
}

impl StateProof {
    /// keccak256(abi.encodePacked(user, chainId, blockNumber, timestamp, epoch, key, value)),
    /// every field at its full width.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
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

    /// keccak256(slot ‖ timestamp 8 ‖ value 32).
    fn fact(&self) -> B256 {
        let slot = Self::slot(self.chain_id, self.user, self.key, self.block_number);
        let mut preimage = slot.0.to_vec();
        preimage.extend(self.timestamp.to_be_bytes());
        preimage.extend(self.value.to_be_bytes::<32>());
        keccak256(preimage)
    }

    /// Names the question that a state proof answers.
    #[must_use]
    pub fn slot(chain_id: u32, user: Address, key: U256, block_number: u64) -> SlotId {
        let mut packed = Vec::with_capacity(1 + 4 + 20 + 32 + 8);
        packed.push(KIND_STATE_PROOF);
        packed.extend(chain_id.to_be_bytes());
        packed.extend(user);
        packed.extend(key.to_be_bytes::<32>());
        packed.extend(block_number.to_be_bytes());
        SlotId(keccak256(packed))
    }
}

impl From<&Statement> for wire::Statement {
    fn from(statement: &Statement) -> Self {
        use wire::statement::Kind;
        let kind = match statement {
            Statement::StateProof(proof) => Kind::StateProof(proof.into()),
            Statement::EpochUpdate(update) => Kind::EpochUpdate(update.into()),
        };
        Self { kind: Some(kind) }
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

impl TryFrom<&wire::Statement> for Statement {
    type Error = WireError;

    fn try_from(message: &wire::Statement) -> Result<Self, WireError> {
        use wire::statement::Kind;
        match present("statement", message.kind.as_ref())? {
            Kind::StateProof(proof) => proof.try_into().map(Self::StateProof),
            Kind::EpochUpdate(update) => update.try_into().map(Self::EpochUpdate),
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

mod sol {
    alloy_sol_types::sol! {
        struct Refusal {
            bytes32 taskId;
            uint32 epoch;
            uint32 code;
        }
    }
}

#[cfg(test)]
mod tests;
