//! What the network attests: facts about chains, and the hashes that name them.

mod epoch_update;

use alloy_primitives::{Address, B256, U256, keccak256};

pub use self::epoch_update::EpochUpdate;
use crate::wire_error::{address, present, u256};
use crate::{Domain, Epoch, RefusalCode, SlotId, TaskId, WireError, wire};

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
    /// Unix seconds of that block; 48 bits are signed.
    pub timestamp: u64,
    /// The birth epoch.
    pub epoch: Epoch,
    /// The key.
    pub key: U256,
    /// The value.
    pub value: U256,
}

/// Kind bytes, in SVM messages and slots. 2 is kept for transfers.
const KIND_STATE_PROOF: u8 = 1;
const KIND_EPOCH_UPDATE: u8 = 3;

/// Largest timestamp that fits the signed 48 bits.
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
            Self::StateProof(proof) => {
                let mut preimage = self.slot().0.to_vec();
                preimage.extend(proof.timestamp.to_be_bytes());
                preimage.extend(proof.value.to_be_bytes::<32>());
                keccak256(preimage)
            }
            Self::EpochUpdate(update) => update.fact(),
        }
    }

    /// The EIP-712 digest that operators sign and contracts check.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        match self {
            Self::StateProof(proof) => domain.digest(&proof.to_sol()),
            Self::EpochUpdate(update) => domain.digest(&update.to_sol()),
        }
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

    /// The message for the Ed25519 signing key:
    /// `"quorate:v1:" ‖ kind ‖ home chain id (u64 LE) ‖ registry ‖ borsh(statement)`.
    #[must_use]
    pub fn svm_message(&self, domain: &Domain) -> Vec<u8> {
        let (kind, body) = match self {
            Self::StateProof(proof) => (KIND_STATE_PROOF, proof.borsh()),
            Self::EpochUpdate(update) => (KIND_EPOCH_UPDATE, update.borsh()),
        };
        let mut message = domain.svm_prefix(kind);
        message.extend(body);
        message
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

    fn to_sol(self) -> sol::StateProof {
        sol::StateProof {
            user: self.user,
            chainId: self.chain_id,
            blockNumber: self.block_number,
            timestamp: alloy_primitives::Uint::from(self.timestamp & MAX_TIMESTAMP),
            epoch: self.epoch.0,
            key: self.key,
            value: self.value,
        }
    }

    /// Borsh of the fields in their order; 256-bit numbers are 32 bytes, big endian.
    fn borsh(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20 + 4 + 8 + 8 + 4 + 32 + 32);
        bytes.extend(self.user);
        bytes.extend(self.chain_id.to_le_bytes());
        bytes.extend(self.block_number.to_le_bytes());
        bytes.extend(self.timestamp.to_le_bytes());
        bytes.extend(self.epoch.0.to_le_bytes());
        bytes.extend(self.key.to_be_bytes::<32>());
        bytes.extend(self.value.to_be_bytes::<32>());
        bytes
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
        struct StateProof {
            address user;
            uint32 chainId;
            uint64 blockNumber;
            uint48 timestamp;
            uint32 epoch;
            uint256 key;
            uint256 value;
        }
        struct Refusal {
            bytes32 taskId;
            uint32 epoch;
            uint32 code;
        }
    }
}

#[cfg(test)]
mod tests;
