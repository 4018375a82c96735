//! What every signature on a statement is on, whatever its kind.
//!
//! # Design Decisions
//!
//! - One signed struct for all kinds. A kind defines what its slot and its fact are, and nothing
//!   else that verifiers, judges and signing logs would have to know: a party that sees two facts of one
//!   slot sees a contradiction, also of a kind that it has never heard of.
//! - The preimage of every slot begins with the byte of its kind, so no two kinds share a slot.

use alloy_primitives::B256;

use crate::wire_error::b256;
use crate::{Domain, Epoch, Signature, SlotId, Statement, WireError, wire};

/// "The truth about this slot is this fact", said by the set of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attestation {
    /// The epoch whose set signs it.
    pub epoch: Epoch,
    /// What may have one truth only.
    pub slot: SlotId,
    /// The truth about it.
    pub fact: B256,
}

impl Attestation {
    /// The EIP-712 digest that operators sign and contracts check:
    /// `Attestation(uint32 epoch,bytes32 slot,bytes32 fact)`.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        domain.digest(&sol::Attestation {
            epoch: self.epoch.0,
            slot: self.slot.0,
            fact: self.fact,
        })
    }
}

impl From<&Statement> for Attestation {
    fn from(statement: &Statement) -> Self {
        Self {
            epoch: statement.epoch(),
            slot: statement.slot(),
            fact: statement.fact(),
        }
    }
}

/// An attestation under one signature. Whose it is, is not said here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAttestation {
    attestation: Attestation,
    signature: Signature,
    statement: Option<Statement>,
}

impl SignedAttestation {
    /// Of a statement that is at hand.
    #[must_use]
    pub fn of(statement: Statement, signature: Signature) -> Self {
        Self {
            attestation: (&statement).into(),
            signature,
            statement: Some(statement),
        }
    }

    /// Of a statement that no peer has told, or whose kind is not known here.
    #[must_use]
    pub const fn bare(attestation: Attestation, signature: Signature) -> Self {
        Self {
            attestation,
            signature,
            statement: None,
        }
    }

    /// What was signed.
    #[must_use]
    pub const fn attestation(&self) -> &Attestation {
        &self.attestation
    }

    /// Over [`Attestation::digest`].
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The statement that it came from, for people: exactly this epoch, slot and fact.
    #[must_use]
    pub const fn statement(&self) -> Option<&Statement> {
        self.statement.as_ref()
    }
}

impl From<&SignedAttestation> for wire::SignedAttestation {
    fn from(signed: &SignedAttestation) -> Self {
        let Attestation { epoch, slot, fact } = signed.attestation;
        Self {
            epoch: epoch.0,
            slot: slot.0.to_vec(),
            fact: fact.to_vec(),
            signature: signed.signature.as_bytes().to_vec(),
            statement: signed.statement.as_ref().map(Into::into),
        }
    }
}

/// A statement of a kind that this build does not know says nothing to it, and is left out.
impl TryFrom<&wire::SignedAttestation> for SignedAttestation {
    type Error = WireError;

    fn try_from(message: &wire::SignedAttestation) -> Result<Self, WireError> {
        let attestation = Attestation {
            epoch: Epoch(message.epoch),
            slot: SlotId::try_from(message.slot.as_slice())?,
            fact: b256("fact", &message.fact)?,
        };
        let signature = Signature::parse(&message.signature).map_err(|_| {
            WireError::new("signature", "must be r, s, v: 65 bytes, v 27 or 28, low s")
        })?;
        let known = message.statement.as_ref().filter(|s| s.kind.is_some());
        let statement: Option<Statement> = known.map(TryFrom::try_from).transpose()?;
        if statement
            .as_ref()
            .is_some_and(|statement| Attestation::from(statement) != attestation)
        {
            let problem = "must have the epoch, slot and fact that are signed";
            return Err(WireError::new("statement", problem));
        }
        Ok(Self {
            attestation,
            signature,
            statement,
        })
    }
}

mod sol {
    alloy_sol_types::sol! {
        struct Attestation {
            uint32 epoch;
            bytes32 slot;
            bytes32 fact;
        }
    }
}

#[cfg(test)]
mod tests;
