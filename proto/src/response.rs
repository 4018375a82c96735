//! One operator's answer to a task.

use alloy_primitives::{Address, B256};

use crate::wire_error::{address, present};
use crate::{
    Domain, OperatorSet, ReadBasis, RefusalCode, Signature, SignatureError, Statement, Subject,
    WireError, limits, wire,
};

/// One operator's signature on a statement, or its signed refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Who answers.
    pub operator: Address,
    /// What it answers to.
    pub statement: Statement,
    /// The answer.
    pub outcome: Outcome,
    /// How the operator knows what it read; unspecified where it read no chain. Its peer key vouches
    /// for it in the envelope, its signature does not.
    pub basis: ReadBasis,
}

/// What an operator says of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It saw the same; signed with its signing key.
    Signed(Signature),
    /// It does not sign, and says why.
    Refused(Refusal),
}

/// A signed refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason for machines; signed.
    pub code: RefusalCode,
    /// The reason for people; not signed. The wire carries its first 256 bytes.
    pub detail: String,
    /// Over [`Statement::refusal_digest`].
    pub signature: Signature,
}

/// Why a response does not count. Each of them is the author's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// The author has no stake in that epoch.
    #[error("{0} is not an operator of that epoch")]
    NotAnOperator(Address),
    /// Signed with a key that is not the operator's of that epoch.
    #[error("signed by {found}, but the signing key of that epoch is {expected}")]
    WrongKey {
        /// What the home chain says.
        expected: Address,
        /// Who signed.
        found: Address,
    },
    /// Not a signature at all.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl Response {
    /// Checks that the operator belongs to `set` and that its signing key made the signature.
    /// The set must be the one of the statement's epoch.
    ///
    /// # Errors
    /// [`ResponseError`].
    pub fn verify(&self, set: &OperatorSet, domain: &Domain) -> Result<(), ResponseError> {
        self.verify_with(set, domain, |signature, digest| signature.recover(digest))
    }

    /// As [`Response::verify`], for callers who know some signatures already: `recover` tells
    /// which key made the signature over the digest.
    ///
    /// # Errors
    /// [`ResponseError`].
    pub fn verify_with(
        &self,
        set: &OperatorSet,
        domain: &Domain,
        recover: impl FnOnce(&Signature, B256) -> Result<Address, SignatureError>,
    ) -> Result<(), ResponseError> {
        let member = set
            .get(self.operator)
            .ok_or(ResponseError::NotAnOperator(self.operator))?;
        let found = match &self.outcome {
            Outcome::Signed(signature) => recover(signature, self.statement.digest(domain))?,
            Outcome::Refused(refusal) => {
                let digest = self.statement.refusal_digest(domain, refusal.code);
                recover(&refusal.signature, digest)?
            }
        };
        if found == member.signing_key {
            Ok(())
        } else {
            Err(ResponseError::WrongKey {
                expected: member.signing_key,
                found,
            })
        }
    }
}

impl RefusalCode {
    /// Whether the same operator may sign when it is asked again.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::NotFinal
                | Self::ChainUnavailable
                | Self::WrongEpoch
                | Self::Overloaded
                | Self::NotVoted
        )
    }

    /// The reason in a few words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Unspecified => "no reason given",
            Self::ValueDiffers => "read another value",
            Self::NoEntry => "found no entry",
            Self::NotFinal => "block not final yet",
            Self::ChainUnsupported => "does not read that chain",
            Self::ChainUnavailable => "its chain providers failed",
            Self::WrongEpoch => "is in another epoch",
            Self::Conflict => "signed another fact for this slot before",
            Self::Overloaded => "overloaded",
            Self::TimestampDiffers => "read another block timestamp",
            Self::CannotSign => "cannot sign now",
            Self::NotVoted => "was not told to vote so",
        }
    }
}

impl From<&Response> for wire::Response {
    fn from(response: &Response) -> Self {
        let outcome = match &response.outcome {
            Outcome::Signed(s) => wire::response::Outcome::Signature(s.as_bytes().to_vec()),
            Outcome::Refused(r) => wire::response::Outcome::Refusal(r.into()),
        };
        Self {
            operator: response.operator.to_vec(),
            statement: Some((&response.statement).into()),
            outcome: Some(outcome),
            read_basis: response.basis.into(),
        }
    }
}

impl From<&Refusal> for wire::Refusal {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code as i32,
            signature: refusal.signature.as_bytes().to_vec(),
            detail: shortened(&refusal.detail),
        }
    }
}

/// The part of a refusal's text that fits the wire; receivers reject a longer one.
fn shortened(detail: &str) -> String {
    let end = detail.floor_char_boundary(limits::MAX_DETAIL_BYTES);
    detail[..end].to_owned()
}

impl TryFrom<&wire::Response> for Response {
    type Error = WireError;

    fn try_from(message: &wire::Response) -> Result<Self, WireError> {
        let statement = present("statement", message.statement.as_ref())?.try_into()?;
        Ok(Self {
            operator: address("operator", &message.operator)?,
            outcome: present("outcome", message.outcome.as_ref())?.try_into()?,
            basis: basis(message, &statement)?,
            statement,
        })
    }
}

fn basis(message: &wire::Response, statement: &Statement) -> Result<ReadBasis, WireError> {
    let basis = ReadBasis::try_from(message.read_basis)
        .map_err(|_| WireError::new("read_basis", "is not a basis of a read"))?;
    let reads = statement.subject() != Subject::HomeChain;
    if !reads && basis != ReadBasis::Unspecified {
        return Err(WireError::new(
            "read_basis",
            "must be unset where no chain is read",
        ));
    }
    Ok(basis)
}

impl TryFrom<&wire::response::Outcome> for Outcome {
    type Error = WireError;

    fn try_from(message: &wire::response::Outcome) -> Result<Self, WireError> {
        match message {
            wire::response::Outcome::Signature(bytes) => Ok(Self::Signed(signature(bytes)?)),
            wire::response::Outcome::Refusal(refusal) => Ok(Self::Refused(refusal.try_into()?)),
        }
    }
}

impl TryFrom<&wire::Refusal> for Refusal {
    type Error = WireError;

    fn try_from(refusal: &wire::Refusal) -> Result<Self, WireError> {
        if refusal.detail.len() > limits::MAX_DETAIL_BYTES {
            return Err(WireError::new("detail", "must have at most 256 bytes"));
        }
        let code = refusal.code();
        if code == RefusalCode::Unspecified {
            return Err(WireError::new("code", "is not a refusal code"));
        }
        Ok(Self {
            code,
            detail: refusal.detail.clone(),
            signature: signature(&refusal.signature)?,
        })
    }
}

fn signature(bytes: &[u8]) -> Result<Signature, WireError> {
    Signature::parse(bytes)
        .map_err(|_| WireError::new("signature", "must be r, s, v: 65 bytes, v 27 or 28, low s"))
}

#[cfg(test)]
mod tests;
