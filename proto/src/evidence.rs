//! Equivocation: two facts for one slot by one operator.
//!
//! # Design Decisions
//!
//! - A *signer* is an operator, as in the signing log: a new key goes on with the log of the old one,
//!   so two facts contradict each other whichever of its keys signed them, each in its own epoch.
//! - What counts is what is signed, the attestation. So evidence can be verified, kept, forwarded and
//!   judged also where no node knows the statements, or their kind.
//! - The same fact in two epochs is no contradiction: the log keeps facts, not digests.
//! - A refusal is no statement, so it contradicts nothing. One false statement is no evidence.
//! - What is one pair has one form (the lower fact first), and what is one case (operator and slot)
//!   has one id, so that no sender makes many out of one.
//! - A key that a set gives to two operators accuses neither: the signature does not say for whom.
//!   The registry never lets that happen.

use std::borrow::Borrow;

use alloy_primitives::{Address, keccak256};

use crate::wire_error::{address, present};
use crate::{
    Attestation, Domain, Epoch, EvidenceId, OperatorSet, Outcome, Response, SignatureError,
    SignedAttestation, SlotId, WireError, wire,
};

/// Two signed attestations about one slot with different facts, in the order of their facts. Who
/// signed them is for [`EquivocationEvidence::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EquivocationEvidence {
    operator: Address,
    first: SignedAttestation,
    second: SignedAttestation,
}

/// Why something is no evidence of equivocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// They answer different questions.
    #[error("the two attestations are about different slots")]
    OtherSlot,
    /// They agree, perhaps in two epochs.
    #[error("the two attestations name the same fact")]
    SameFact,
    /// The responses are by two operators.
    #[error("the two responses are by different operators")]
    OtherOperator,
    /// A refusal contradicts nothing.
    #[error("a refusal is no statement")]
    Refusal,
    /// The operator has no stake in that epoch.
    #[error("{operator} is not an operator of epoch {epoch}")]
    NotAnOperator {
        /// The accused.
        operator: Address,
        /// Epoch of an attestation.
        epoch: Epoch,
    },
    /// Not by the operator's key of that epoch.
    #[error("signed by {found}, but the operator's signing key of epoch {epoch} is {expected}")]
    WrongKey {
        /// Epoch of an attestation.
        epoch: Epoch,
        /// What the home chain says.
        expected: Address,
        /// Who signed.
        found: Address,
    },
    /// More than one operator has this key.
    #[error("{key} is the signing key of several operators of epoch {epoch}")]
    SharedKey {
        /// Epoch of an attestation.
        epoch: Epoch,
        /// The key.
        key: Address,
    },
    /// The set of an epoch is not at hand: the sender is not to blame, but nothing can be said.
    #[error("the operator set of epoch {0} is not known here")]
    UnknownEpoch(Epoch),
    /// Not a signature at all.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl EvidenceError {
    /// Whether the peer that presents it as evidence is to blame.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        !matches!(self, Self::UnknownEpoch(_))
    }
}

impl EquivocationEvidence {
    /// What two responses of one operator amount to. Looks at no signature: for that there is
    /// [`EquivocationEvidence::verify`].
    ///
    /// # Errors
    /// [`EvidenceError`] where they do not contradict each other.
    pub fn between(a: &Response, b: &Response) -> Result<Self, EvidenceError> {
        if a.operator != b.operator {
            return Err(EvidenceError::OtherOperator);
        }
        let signed = |response: &Response| match &response.outcome {
            Outcome::Signed(signature) => Ok(SignedAttestation::of(
                response.statement.clone(),
                *signature,
            )),
            Outcome::Refused(_) => Err(EvidenceError::Refusal),
        };
        Self::new(a.operator, [signed(a)?, signed(b)?])
    }

    /// Puts the two in their order. Looks at no signature.
    ///
    /// # Errors
    /// [`EvidenceError::OtherSlot`] and [`EvidenceError::SameFact`].
    pub fn new(operator: Address, pair: [SignedAttestation; 2]) -> Result<Self, EvidenceError> {
        let [mut first, mut second] = pair;
        let [a, b] = [first.attestation(), second.attestation()];
        if a.slot != b.slot {
            return Err(EvidenceError::OtherSlot);
        }
        if a.fact == b.fact {
            return Err(EvidenceError::SameFact);
        }
        if a.fact > b.fact {
            std::mem::swap(&mut first, &mut second);
        }
        Ok(Self {
            operator,
            first,
            second,
        })
    }

    /// Checks that the operator had stake in the epochs of both attestations, and that each is signed
    /// by its signing key of that epoch, which no other operator had. `set_of` gives the operator set of an
    /// epoch as the home chain has it.
    ///
    /// # Errors
    /// [`EvidenceError`]; of those without fault, only [`EvidenceError::UnknownEpoch`].
    pub fn verify<S: Borrow<OperatorSet>>(
        &self,
        domain: &Domain,
        set_of: impl Fn(Epoch) -> Option<S>,
    ) -> Result<(), EvidenceError> {
        let key_of = |signed: &SignedAttestation| {
            let epoch = signed.attestation().epoch;
            let set = set_of(epoch).ok_or(EvidenceError::UnknownEpoch(epoch))?;
            self.key_in(set.borrow(), epoch)
        };
        // Both sets before any signature: looking up costs less than recovering.
        let keys = [key_of(&self.first)?, key_of(&self.second)?];
        for (signed, expected) in self.attestations().into_iter().zip(keys) {
            let Attestation { epoch, .. } = *signed.attestation();
            let digest = signed.attestation().digest(domain);
            let found = signed.signature().recover(digest)?;
            if found != expected {
                return Err(EvidenceError::WrongKey {
                    epoch,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    /// The key of the operator in a set, which must be its alone.
    fn key_in(&self, set: &OperatorSet, epoch: Epoch) -> Result<Address, EvidenceError> {
        let operator = self.operator;
        let member = set
            .get(operator)
            .filter(|_| set.epoch() == epoch)
            .ok_or(EvidenceError::NotAnOperator { operator, epoch })?;
        let key = member.signing_key;
        let holders = set.members().iter().filter(|m| m.signing_key == key);
        if holders.count() > 1 {
            return Err(EvidenceError::SharedKey { epoch, key });
        }
        Ok(key)
    }

    /// Names the case: one per operator and slot, whatever pair of attestations proves it.
    #[must_use]
    pub fn id(&self) -> EvidenceId {
        Self::id_of(self.slot(), self.operator)
    }

    /// The id of the case against `operator` about `slot`.
    #[must_use]
    pub fn id_of(slot: SlotId, operator: Address) -> EvidenceId {
        EvidenceId(keccak256([slot.0.as_slice(), operator.as_slice()].concat()))
    }

    /// Who signed both.
    #[must_use]
    pub const fn operator(&self) -> Address {
        self.operator
    }

    /// Whether this key made one of the signatures.
    #[must_use]
    pub fn is_signed_by(&self, key: Address, domain: &Domain) -> bool {
        self.attestations().into_iter().any(|signed| {
            let digest = signed.attestation().digest(domain);
            signed.signature().recover(digest) == Ok(key)
        })
    }

    /// What both are about.
    #[must_use]
    pub const fn slot(&self) -> SlotId {
        self.first.attestation().slot
    }

    /// Both, ascending by fact.
    #[must_use]
    pub const fn attestations(&self) -> [&SignedAttestation; 2] {
        [&self.first, &self.second]
    }

    /// Their epochs, in that order.
    #[must_use]
    pub const fn epochs(&self) -> [Epoch; 2] {
        [
            self.first.attestation().epoch,
            self.second.attestation().epoch,
        ]
    }
}

impl From<&EquivocationEvidence> for wire::EquivocationEvidence {
    fn from(evidence: &EquivocationEvidence) -> Self {
        Self {
            operator: evidence.operator.to_vec(),
            first: Some((&evidence.first).into()),
            second: Some((&evidence.second).into()),
        }
    }
}

impl TryFrom<&wire::EquivocationEvidence> for EquivocationEvidence {
    type Error = WireError;

    fn try_from(message: &wire::EquivocationEvidence) -> Result<Self, WireError> {
        let first: SignedAttestation = present("first", message.first.as_ref())?.try_into()?;
        let second = present("second", message.second.as_ref())?.try_into()?;
        let evidence = Self::new(
            address("operator", &message.operator)?,
            [first.clone(), second],
        )
        .map_err(|_| WireError::new("second", "must be another fact for the slot of first"))?;
        if evidence.first != first {
            return Err(WireError::new(
                "first",
                "must be the lower one of the facts",
            ));
        }
        Ok(evidence)
    }
}

#[cfg(test)]
mod tests;
