//! Equivocation: two facts for one slot under one signing key.
//!
//! # Design Decisions
//!
//! - A *signer* is a signing key, as in the signing log: the log of a new key starts empty, so two
//!   keys of one operator may in good faith contradict each other, and are no evidence.
//! - The same fact in two epochs is no contradiction: the log keeps facts, not digests.
//! - A refusal is no statement, so it contradicts nothing. One false statement is no evidence.
//! - What is one pair has one form (the lower fact first), and what is one case (operator and slot)
//!   has one id, so that nobody makes many out of one.
//! - A key that a set gives to two operators accuses neither: the signature does not say for whom.
//!   The registry never lets that happen.

use std::borrow::Borrow;

use alloy_primitives::{Address, keccak256};

use crate::wire_error::{address, present};
use crate::{
    Domain, Epoch, EvidenceId, OperatorSet, Outcome, ReadBasis, Response, Signature,
    SignatureError, SlotId, Statement, WireError, wire,
};

/// A statement under one signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedStatement {
    /// What was signed.
    pub statement: Statement,
    /// Over [`Statement::digest`].
    pub signature: Signature,
}

/// Two statements about one slot with different facts, in the order of their facts. Who signed them
/// is for [`EquivocationEvidence::verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EquivocationEvidence {
    operator: Address,
    signing_key: Address,
    first: SignedStatement,
    second: SignedStatement,
}

/// Why something is no evidence of equivocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The statements answer different questions.
    #[error("the two statements are about different slots")]
    OtherSlot,
    /// The statements agree, perhaps in two epochs.
    #[error("the two statements name the same fact")]
    SameFact,
    /// The responses are by two operators.
    #[error("the two responses are by different operators")]
    OtherOperator,
    /// A refusal contradicts nothing.
    #[error("a refusal is no statement")]
    Refusal,
    /// Two keys have two signing logs.
    #[error("the two statements are signed by different keys: {first} and {second}")]
    OtherKey {
        /// Who signed the first one.
        first: Address,
        /// Who signed the second one.
        second: Address,
    },
    /// The operator has no stake in that epoch.
    #[error("{operator} is not an operator of epoch {epoch}")]
    NotAnOperator {
        /// The accused.
        operator: Address,
        /// Epoch of a statement.
        epoch: Epoch,
    },
    /// Not by the operator's key of that epoch.
    #[error("signed by {found}, but the operator's signing key of epoch {epoch} is {expected}")]
    WrongKey {
        /// Epoch of a statement.
        epoch: Epoch,
        /// What the home chain says.
        expected: Address,
        /// Who signed.
        found: Address,
    },
    /// More than one operator has this key.
    #[error("{key} is the signing key of several operators of epoch {epoch}")]
    SharedKey {
        /// Epoch of a statement.
        epoch: Epoch,
        /// The key.
        key: Address,
    },
    /// The set of an epoch is not at hand: nobody is to blame, but nothing can be said.
    #[error("the operator set of epoch {0} is not known here")]
    UnknownEpoch(Epoch),
    /// Not a signature at all.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl EvidenceError {
    /// Whether whoever presents it as evidence is to blame.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        !matches!(self, Self::UnknownEpoch(_))
    }
}

impl EquivocationEvidence {
    /// What two responses of one operator amount to. Their signatures are recovered, not compared
    /// with a set: for that there is [`EquivocationEvidence::verify`].
    ///
    /// # Errors
    /// [`EvidenceError`] where they do not contradict each other, or are by two signers.
    pub fn between(a: &Response, b: &Response, domain: &Domain) -> Result<Self, EvidenceError> {
        if a.operator != b.operator {
            return Err(EvidenceError::OtherOperator);
        }
        let (Outcome::Signed(signature_a), Outcome::Signed(signature_b)) = (&a.outcome, &b.outcome)
        else {
            return Err(EvidenceError::Refusal);
        };
        check_contradiction(&a.statement, &b.statement)?;
        let first = signature_a.recover(a.statement.digest(domain))?;
        let second = signature_b.recover(b.statement.digest(domain))?;
        if first != second {
            return Err(EvidenceError::OtherKey { first, second });
        }
        let signed = |response: &Response, signature: &Signature| SignedStatement {
            statement: response.statement,
            signature: *signature,
        };
        let pair = [signed(a, signature_a), signed(b, signature_b)];
        Self::new(a.operator, first, pair)
    }

    /// Puts the two statements in their order. Looks at no signature.
    ///
    /// # Errors
    /// [`EvidenceError::OtherSlot`] and [`EvidenceError::SameFact`].
    pub fn new(
        operator: Address,
        signing_key: Address,
        pair: [SignedStatement; 2],
    ) -> Result<Self, EvidenceError> {
        let [mut first, mut second] = pair;
        check_contradiction(&first.statement, &second.statement)?;
        if first.statement.fact() > second.statement.fact() {
            std::mem::swap(&mut first, &mut second);
        }
        Ok(Self {
            operator,
            signing_key,
            first,
            second,
        })
    }

    /// Checks that the operator had stake and this signing key, alone, in the epochs of both
    /// statements, and that the key signed both. `set_of` gives the operator set of an epoch as the
    /// home chain has it.
    ///
    /// # Errors
    /// [`EvidenceError`]; of those without fault, only [`EvidenceError::UnknownEpoch`].
    pub fn verify<S: Borrow<OperatorSet>>(
        &self,
        domain: &Domain,
        set_of: impl Fn(Epoch) -> Option<S>,
    ) -> Result<(), EvidenceError> {
        for signed in self.statements() {
            let epoch = signed.statement.epoch();
            let set = set_of(epoch).ok_or(EvidenceError::UnknownEpoch(epoch))?;
            self.check_member(set.borrow(), epoch)?;
        }
        for signed in self.statements() {
            let found = signed.signature.recover(signed.statement.digest(domain))?;
            if found != self.signing_key {
                return Err(EvidenceError::WrongKey {
                    epoch: signed.statement.epoch(),
                    expected: self.signing_key,
                    found,
                });
            }
        }
        Ok(())
    }

    fn check_member(&self, set: &OperatorSet, epoch: Epoch) -> Result<(), EvidenceError> {
        let (operator, key) = (self.operator, self.signing_key);
        let member = set
            .get(operator)
            .filter(|_| set.epoch() == epoch)
            .ok_or(EvidenceError::NotAnOperator { operator, epoch })?;
        if member.signing_key != key {
            return Err(EvidenceError::WrongKey {
                epoch,
                expected: member.signing_key,
                found: key,
            });
        }
        let holders = set.members().iter().filter(|m| m.signing_key == key);
        if holders.count() > 1 {
            return Err(EvidenceError::SharedKey { epoch, key });
        }
        Ok(())
    }

    /// Names the case: one per operator and slot, whatever pair of statements proves it.
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

    /// With which key.
    #[must_use]
    pub const fn signing_key(&self) -> Address {
        self.signing_key
    }

    /// What both are about.
    #[must_use]
    pub fn slot(&self) -> SlotId {
        self.first.statement.slot()
    }

    /// Both, ascending by fact.
    #[must_use]
    pub const fn statements(&self) -> [&SignedStatement; 2] {
        [&self.first, &self.second]
    }

    /// Both as responses, ascending by fact.
    #[must_use]
    pub fn responses(&self) -> [Response; 2] {
        self.statements().map(|signed| Response {
            operator: self.operator,
            statement: signed.statement,
            outcome: Outcome::Signed(signed.signature),
            // Not signed by the operator, so not part of what is held against it.
            basis: ReadBasis::Unspecified,
        })
    }
}

fn check_contradiction(a: &Statement, b: &Statement) -> Result<(), EvidenceError> {
    if a.slot() != b.slot() {
        return Err(EvidenceError::OtherSlot);
    }
    if a.fact() == b.fact() {
        return Err(EvidenceError::SameFact);
    }
    Ok(())
}

impl From<&SignedStatement> for wire::SignedStatement {
    fn from(signed: &SignedStatement) -> Self {
        Self {
            statement: Some((&signed.statement).into()),
            signature: signed.signature.as_bytes().to_vec(),
        }
    }
}

impl TryFrom<&wire::SignedStatement> for SignedStatement {
    type Error = WireError;

    fn try_from(message: &wire::SignedStatement) -> Result<Self, WireError> {
        let signature = Signature::parse(&message.signature);
        Ok(Self {
            statement: present("statement", message.statement.as_ref())?.try_into()?,
            signature: signature.map_err(|_| {
                WireError::new("signature", "must be r, s, v: 65 bytes, v 27 or 28, low s")
            })?,
        })
    }
}

impl From<&EquivocationEvidence> for wire::EquivocationEvidence {
    fn from(evidence: &EquivocationEvidence) -> Self {
        Self {
            operator: evidence.operator.to_vec(),
            signing_key: evidence.signing_key.to_vec(),
            first: Some((&evidence.first).into()),
            second: Some((&evidence.second).into()),
        }
    }
}

impl TryFrom<&wire::EquivocationEvidence> for EquivocationEvidence {
    type Error = WireError;

    fn try_from(message: &wire::EquivocationEvidence) -> Result<Self, WireError> {
        let first: SignedStatement = present("first", message.first.as_ref())?.try_into()?;
        let second = present("second", message.second.as_ref())?.try_into()?;
        let evidence = Self::new(
            address("operator", &message.operator)?,
            address("signing_key", &message.signing_key)?,
            [first, second],
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
