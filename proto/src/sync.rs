//! What nodes compare and exchange when one of them missed something.
//!
//! What a node holds of a task is who signed and who refused, by the places of the operators in the
//! set of the task's epoch. That only ever grows: a signature replaces a refusal, nothing replaces a
//! signature. So two nodes that have taken over from each other hold the same, in whatever order.

use alloy_primitives::{B256, U256, keccak256};

use crate::store::TaskIndexRecord;
use crate::wire_error::present;
use crate::{
    Certificate, OperatorSet, Outcome, ReadBasis, Refusal, Response, Signature, SignerSignature,
    Statement, TaskId, WireError, limits, wire,
};

mod fingerprint;

pub use self::fingerprint::{BUCKETS, Fingerprint, bucket_of, bucket_range};

/// Some of the members of a set: bit i stands for member i, least significant first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MemberBits(Vec<u8>);

impl MemberBits {
    /// None of `members` members.
    #[must_use]
    pub fn none(members: usize) -> Self {
        Self(vec![0; members.div_ceil(8)])
    }

    /// Whether this member is among them.
    #[must_use]
    pub fn has(&self, member: usize) -> bool {
        let byte = self.0.get(member / 8).copied().unwrap_or_default();
        byte & (1 << (member % 8)) != 0
    }

    /// Adds a member; false where it was there, or is none of the set.
    pub fn add(&mut self, member: usize) -> bool {
        let bit = 1_u8 << (member % 8);
        match self.0.get_mut(member / 8) {
            Some(byte) if *byte & bit == 0 => {
                *byte |= bit;
                true
            }
            _ => false,
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, member: usize) {
        if let Some(byte) = self.0.get_mut(member / 8) {
            *byte &= !(1 << (member % 8));
        }
    }

    /// Their places, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len().saturating_mul(8)).filter(|member| self.has(*member))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        let ones = self.0.iter().map(|byte| byte.count_ones());
        usize::try_from(ones.sum::<u32>()).unwrap_or(usize::MAX)
    }

    /// The bytes of the wire: as many as the set needs.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn parse(field: &'static str, bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > limits::MAX_OPERATORS.div_ceil(8) {
            return Err(WireError::new(
                field,
                "has more bits than a set has members",
            ));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Whether it has the form for a set of that many members.
    fn fits(&self, members: usize) -> bool {
        self.0.len() == members.div_ceil(8) && self.iter().all(|member| member < members)
    }
}

/// What a node holds of a task: whose signatures, and whose refusals. No member is in both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TaskState {
    /// Who signed.
    pub signed: MemberBits,
    /// Who refused, and did not sign.
    pub refused: MemberBits,
}

impl TaskState {
    /// Nothing of a task of a set with that many members.
    #[must_use]
    pub fn nothing(members: usize) -> Self {
        Self {
            signed: MemberBits::none(members),
            refused: MemberBits::none(members),
        }
    }

    /// Whether no member has answered. Such a task is not compared: any peer could have made it up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signed.is_empty() && self.refused.is_empty()
    }

    /// A member signed; false where that was known.
    pub fn sign(&mut self, member: usize) -> bool {
        self.refused.remove(member);
        self.signed.add(member)
    }

    /// A member refused; false where that was known, or it has signed.
    pub fn refuse(&mut self, member: usize) -> bool {
        !self.signed.has(member) && self.refused.add(member)
    }

    /// Takes over what the other one has more.
    pub fn merge(&mut self, other: &Self) {
        for member in other.signed.iter() {
            self.sign(member);
        }
        for member in other.refused.iter() {
            self.refuse(member);
        }
    }

    /// Whether the other one has anything that this one lacks.
    #[must_use]
    pub fn lacks(&self, other: &Self) -> bool {
        let mut merged = self.clone();
        merged.merge(other);
        merged != *self
    }

    /// keccak256(task id ‖ signed ‖ refused).
    #[must_use]
    pub fn hash(&self, task: TaskId) -> B256 {
        let mut bytes = task.0.to_vec();
        bytes.extend(self.signed.as_bytes());
        bytes.extend(self.refused.as_bytes());
        keccak256(bytes)
    }

    /// Whether it has the form for a set of that many members.
    #[must_use]
    pub fn fits(&self, members: usize) -> bool {
        let both = |member: usize| self.signed.has(member) && self.refused.has(member);
        self.signed.fits(members) && self.refused.fits(members) && !(0..members).any(both)
    }
}

impl From<&TaskState> for TaskIndexRecord {
    fn from(state: &TaskState) -> Self {
        Self {
            signed: state.signed.0.clone(),
            refused: state.refused.0.clone(),
        }
    }
}

impl From<TaskIndexRecord> for TaskState {
    fn from(record: TaskIndexRecord) -> Self {
        Self {
            signed: MemberBits(record.signed),
            refused: MemberBits(record.refused),
        }
    }
}

impl TryFrom<&wire::SyncTaskState> for TaskState {
    type Error = WireError;

    fn try_from(message: &wire::SyncTaskState) -> Result<Self, WireError> {
        Ok(Self {
            signed: MemberBits::parse("signed", &message.signed)?,
            refused: MemberBits::parse("refused", &message.refused)?,
        })
    }
}

/// A task with its answers, by the members of its epoch's set. Nothing of it is checked but its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncItem {
    /// What it is about.
    pub statement: Statement,
    /// When the sender first saw it, in Unix milliseconds; no member has signed that.
    pub created_ms: u64,
    /// Ascending by member: those that signed, then those that refused.
    pub answers: Vec<(usize, Outcome)>,
}

impl SyncItem {
    /// The answers as responses of the members of `set`, the set of the statement's epoch.
    ///
    /// # Errors
    /// A member that the set does not have, or one that answers twice.
    pub fn responses(&self, set: &OperatorSet) -> Result<Vec<Response>, WireError> {
        let mut state = TaskState::nothing(set.members().len());
        let mut responses = Vec::with_capacity(self.answers.len());
        for (member, outcome) in &self.answers {
            let operator = set.members().get(*member);
            let operator = present("member", operator)?.address;
            let is_new = match outcome {
                Outcome::Signed(_) => state.sign(*member),
                Outcome::Refused(_) => state.refuse(*member),
            };
            if !is_new {
                return Err(WireError::new("member", "answers twice"));
            }
            responses.push(Response {
                operator,
                statement: self.statement.clone(),
                outcome: outcome.clone(),
                // What the sender says of it, no receiver could check.
                basis: ReadBasis::Unspecified,
            });
        }
        Ok(responses)
    }
}

impl Certificate {
    /// The certificate with the fewest signers among these signatures, heaviest first; `None` where
    /// they do not reach the threshold. Of one operator one counts.
    #[must_use]
    pub fn fewest(
        statement: Statement,
        set: &OperatorSet,
        signatures: impl IntoIterator<Item = SignerSignature>,
    ) -> Option<Self> {
        let mut signers: Vec<(U256, SignerSignature)> = signatures
            .into_iter()
            .map(|signer| (set.weight_of(signer.operator), signer))
            .collect();
        signers.sort_by_key(|(weight, signer)| (std::cmp::Reverse(*weight), signer.operator));
        signers.dedup_by_key(|(_, signer)| signer.operator);
        let mut weight = U256::ZERO;
        let enough = signers.iter().position(|(more, _)| {
            weight = weight.saturating_add(*more);
            weight >= set.threshold()
        })?;
        signers.truncate(enough.saturating_add(1));
        let chosen = signers.into_iter().map(|(_, signer)| signer).collect();
        Some(Self::new(statement, chosen))
    }
}

impl From<&SyncItem> for wire::SyncItem {
    fn from(item: &SyncItem) -> Self {
        let last = item.answers.iter().map(|(member, _)| *member).max();
        let mut signed = MemberBits::none(last.map_or(0, |last| last.saturating_add(1)));
        let mut signatures = Vec::new();
        let mut refusals = Vec::new();
        for (member, outcome) in &item.answers {
            match outcome {
                Outcome::Signed(signature) => {
                    signed.add(*member);
                    signatures.extend_from_slice(signature.as_bytes());
                }
                Outcome::Refused(refusal) => refusals.push(wire::SyncRefusal {
                    member: u32::try_from(*member).unwrap_or(u32::MAX),
                    refusal: Some(refusal.into()),
                }),
            }
        }
        Self {
            statement: Some((&item.statement).into()),
            created_ms: item.created_ms,
            signed: signed.0,
            signatures,
            refusals,
        }
    }
}

impl TryFrom<&wire::SyncItem> for SyncItem {
    type Error = WireError;

    fn try_from(message: &wire::SyncItem) -> Result<Self, WireError> {
        let signed = MemberBits::parse("signed", &message.signed)?;
        let (signatures, rest) = message.signatures.as_chunks::<{ Signature::BYTES }>();
        if !rest.is_empty() || signatures.len() != signed.count() {
            return Err(WireError::new(
                "signatures",
                "must be 65 bytes for each signer",
            ));
        }
        if message.refusals.len() > limits::MAX_OPERATORS {
            return Err(WireError::new("refusals", "must be at most 500"));
        }
        let mut answers =
            Vec::with_capacity(signatures.len().saturating_add(message.refusals.len()));
        for (member, bytes) in signed.iter().zip(signatures) {
            let signature = Signature::parse(bytes)
                .map_err(|_| WireError::new("signatures", "has a malformed one"))?;
            answers.push((member, Outcome::Signed(signature)));
        }
        for refused in &message.refusals {
            let refusal: Refusal = present("refusal", refused.refusal.as_ref())?.try_into()?;
            // Memory for a set is taken up to its last member.
            let member = usize::try_from(refused.member).unwrap_or(usize::MAX);
            if member >= limits::MAX_OPERATORS {
                return Err(WireError::new("member", "must be below 500"));
            }
            answers.push((member, Outcome::Refused(refusal)));
        }
        if answers.is_empty() {
            return Err(WireError::new(
                "signed",
                "must name somebody: a task without answers is nothing",
            ));
        }
        Ok(Self {
            statement: present("statement", message.statement.as_ref())?.try_into()?,
            created_ms: message.created_ms,
            answers,
        })
    }
}

#[cfg(test)]
mod tests;
