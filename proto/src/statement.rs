//! What the network attests: facts about chains, and the hashes that name them.
//!
//! Each kind of statement is a module that implements [`StatementKind`], and a line of the list below.

#[macro_use]
mod kind;
mod bridge;
mod epoch_update;
mod state_proof;

use alloy_primitives::{Address, B256};
use serde::Serializer;

pub use self::bridge::{
    BridgePause, BridgePauseJson, Route, RouteJson, Transfer, TransferClosed, TransferClosedJson,
    TransferJson,
};
pub use self::epoch_update::{EpochUpdate, EpochUpdateJson};
pub use self::kind::{Decimal, Field, StatementKind, Words};
pub use self::state_proof::{StateProof, StateProofJson};
use crate::wire_error::present;
use crate::{Attestation, Domain, Epoch, Kind, RefusalCode, SlotId, TaskId, WireError, wire};

statement_kinds! {
    /// A value stored on a chain.
    StateProof,
    /// What was sent from one chain to another.
    Transfer,
    /// The operator set that serves a later epoch of the home chain.
    EpochUpdate,
    /// What was sent and will never be paid.
    TransferClosed,
    /// Whether a bridge stands still.
    BridgePause,
}

/// What must be read to check a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// State on the chain with this EIP-155 id.
    Chain(u64),
    /// The stake registry on the network's home chain.
    HomeChain,
}

impl Statement {
    /// The epoch whose set signs it.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        of_kind!(self, epoch)
    }

    /// What must be read to check it.
    #[must_use]
    pub fn subject(&self) -> Subject {
        of_kind!(self, subject)
    }

    /// The state proof, where it is one.
    #[must_use]
    pub const fn state_proof(&self) -> Option<&StateProof> {
        match self {
            Self::StateProof(proof) => Some(proof),
            _ => None,
        }
    }

    /// Names the task of this statement.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        of_kind!(self, task_id)
    }

    /// What may have one truth only.
    #[must_use]
    pub fn slot(&self) -> SlotId {
        of_kind!(self, slot)
    }

    /// The truth about the slot: everything but the epoch. Two facts for one slot are a
    /// contradiction, the same fact under two epochs is not.
    #[must_use]
    pub fn fact(&self) -> B256 {
        of_kind!(self, fact)
    }

    /// When that became true, in Unix seconds on the chain that it is about.
    #[must_use]
    pub fn fact_time(&self) -> u64 {
        of_kind!(self, fact_time)
    }

    /// As people read it.
    #[must_use]
    pub fn words(&self) -> Words {
        of_kind!(self, words)
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

/// Addresses as everywhere in the program (EIP-55).
fn checksummed<S: Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
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
