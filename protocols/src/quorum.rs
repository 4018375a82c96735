//! Counts the responses to one statement until they certify it, once.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_proto::{
    Address, Certificate, OperatorSet, Outcome, Refusal, RefusalCode, Response, SignerSignature,
    Statement, U256,
};

/// The tally of one statement in the set of its birth epoch.
#[derive(Clone, Debug)]
pub struct Quorum {
    statement: Statement,
    set: Arc<OperatorSet>,
    answers: BTreeMap<Address, Response>,
    signed_weight: U256,
    refused_weight: U256,
    /// The part of the refused weight that no retry brings back.
    lost_weight: U256,
    certified: bool,
}

/// What follows from a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The threshold is reached. Said once, with the fewest signers.
    Certified(Certificate),
    /// So much weight refused for good that the threshold cannot be reached.
    Unreachable,
}

/// Why a response changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// Its operator has no stake in this epoch.
    #[error("{0} is not an operator of the task's epoch")]
    NotAMember(Address),
    /// The same was counted before.
    #[error("the response was counted before")]
    Duplicate,
    /// It is about another statement.
    #[error("the response is about another statement")]
    OtherStatement,
}

impl Quorum {
    /// An empty tally. `set` is the one of the statement's epoch.
    #[must_use]
    pub const fn new(statement: Statement, set: Arc<OperatorSet>) -> Self {
        Self {
            statement,
            set,
            answers: BTreeMap::new(),
            signed_weight: U256::ZERO,
            refused_weight: U256::ZERO,
            lost_weight: U256::ZERO,
            certified: false,
        }
    }

    /// Counts a response whose signature was verified. A signature replaces an earlier refusal;
    /// nothing replaces a signature.
    ///
    /// # Errors
    /// [`Ignored`] where it changes nothing.
    pub fn handle(&mut self, response: Response) -> Result<Option<Output>, Ignored> {
        if response.statement != self.statement {
            return Err(Ignored::OtherStatement);
        }
        let weight = self.set.weight_of(response.operator);
        if weight.is_zero() {
            return Err(Ignored::NotAMember(response.operator));
        }
        match self.answers.get(&response.operator).map(|r| &r.outcome) {
            Some(Outcome::Signed(_)) => return Err(Ignored::Duplicate),
            Some(old) if *old == response.outcome => return Err(Ignored::Duplicate),
            Some(Outcome::Refused(old)) => {
                self.refused_weight = self.refused_weight.saturating_sub(weight);
                self.lost_weight = self.lost_weight.saturating_sub(lost(old, weight));
            }
            None => {}
        }
        match &response.outcome {
            Outcome::Signed(_) => self.signed_weight = self.signed_weight.saturating_add(weight),
            Outcome::Refused(new) => {
                self.refused_weight = self.refused_weight.saturating_add(weight);
                self.lost_weight = self.lost_weight.saturating_add(lost(new, weight));
            }
        }
        self.answers.insert(response.operator, response);
        Ok(self.outcome())
    }

    fn outcome(&mut self) -> Option<Output> {
        if self.certified {
            return None;
        }
        if self.signed_weight >= self.set.threshold()
            && let Some(certificate) = self.certificate()
        {
            self.certified = true;
            return Some(Output::Certified(certificate));
        }
        self.is_unreachable().then_some(Output::Unreachable)
    }

    /// Whether so much weight has refused for good that the threshold cannot be reached.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        let reachable = self.set.total_weight().saturating_sub(self.lost_weight);
        !self.certified && reachable < self.set.threshold()
    }

    /// The fewest signers that reach the threshold: the heaviest first. Each costs gas.
    fn certificate(&self) -> Option<Certificate> {
        let signer = |(operator, response): (&Address, &Response)| match response.outcome {
            Outcome::Signed(signature) => Some(SignerSignature {
                operator: *operator,
                signature,
            }),
            Outcome::Refused(_) => None,
        };
        let signers = self.answers.iter().filter_map(signer);
        Certificate::fewest(self.statement.clone(), &self.set, signers)
    }

    /// What is counted.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Whose responses count.
    #[must_use]
    pub const fn set(&self) -> &Arc<OperatorSet> {
        &self.set
    }

    /// The response that counts for an operator.
    #[must_use]
    pub fn answer(&self, operator: Address) -> Option<&Response> {
        self.answers.get(&operator)
    }

    /// Whether the threshold was reached.
    #[must_use]
    pub const fn is_certified(&self) -> bool {
        self.certified
    }

    /// Whether every operator of the set has signed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let signed = |r: &Response| matches!(r.outcome, Outcome::Signed(_));
        self.answers.values().filter(|r| signed(r)).count() == self.set.members().len()
    }

    /// The count so far.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let mut progress = Progress {
            signed_weight: self.signed_weight,
            refused_weight: self.refused_weight,
            threshold: self.set.threshold(),
            total_weight: self.set.total_weight(),
            ..Progress::default()
        };
        for answer in self.answers.values() {
            match answer.outcome {
                Outcome::Signed(_) => progress.signed = progress.signed.saturating_add(1),
                Outcome::Refused(_) => progress.refused = progress.refused.saturating_add(1),
            }
        }
        progress
    }

    /// Who refused, and why; ascending by operator.
    #[must_use]
    pub fn refusals(&self) -> Vec<RefusalReport> {
        let report = |r: &Response| match &r.outcome {
            Outcome::Refused(refusal) => Some(RefusalReport {
                operator: r.operator,
                code: refusal.code,
                detail: refusal.detail.clone(),
            }),
            Outcome::Signed(_) => None,
        };
        self.answers.values().filter_map(report).collect()
    }

    /// Who has not answered; ascending by operator.
    #[must_use]
    pub fn missing(&self) -> Vec<Address> {
        let silent = |operator: &Address| !self.answers.contains_key(operator);
        let members = self.set.members().iter().map(|member| member.address);
        members.filter(silent).collect()
    }
}

/// How far the count of a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Operators that signed.
    pub signed: u32,
    /// Operators that refused.
    pub refused: u32,
    /// Weight that signed.
    pub signed_weight: U256,
    /// Weight that refused.
    pub refused_weight: U256,
    /// Weight that is needed.
    pub threshold: U256,
    /// Weight of the set.
    pub total_weight: U256,
}

/// One operator's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalReport {
    /// Who refused.
    pub operator: Address,
    /// Why, for machines.
    pub code: RefusalCode,
    /// Why, for people.
    pub detail: String,
}

fn lost(refusal: &Refusal, weight: U256) -> U256 {
    if refusal.code.is_retryable() {
        U256::ZERO
    } else {
        weight
    }
}

#[cfg(test)]
mod tests;
