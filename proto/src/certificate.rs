//! A statement with enough signatures of one epoch's set.

mod compact;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolValue;

pub use self::compact::CompactError;
use crate::wire_error::{address, present};
use crate::{
    Domain, Epoch, OperatorSet, Signature, SignatureError, Statement, WireError, limits, wire,
};

/// A statement and the signatures that certify it, ascending by operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    statement: Statement,
    signatures: Vec<SignerSignature>,
}

/// One operator's part of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignerSignature {
    /// Whose weight counts (not the signing key's address).
    pub operator: Address,
    /// By its signing key of the epoch.
    pub signature: Signature,
}

/// Why a certificate does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Checked against the set of another epoch.
    #[error("the certificate is of epoch {certificate}, the set of epoch {set}")]
    WrongEpoch {
        /// Epoch of the statement.
        certificate: Epoch,
        /// Epoch of the set it was checked against.
        set: Epoch,
    },
    /// A signer without stake in that epoch.
    #[error("signer {0} is not an operator of that epoch")]
    NotAnOperator(Address),
    /// Made by a key that is not the operator's.
    #[error("the signature for {operator} was made by {found}, not by its signing key {expected}")]
    WrongKey {
        /// Whose signature it should be.
        operator: Address,
        /// Its signing key of that epoch.
        expected: Address,
        /// Who signed.
        found: Address,
    },
    /// Not a signature at all.
    #[error("the signature for {operator} is malformed: {error}")]
    Signature {
        /// Whose signature it should be.
        operator: Address,
        /// What is wrong with it.
        error: SignatureError,
    },
    /// Too little weight signed.
    #[error("weight {weight} signed, but the threshold of the epoch is {threshold}")]
    BelowThreshold {
        /// What signed.
        weight: U256,
        /// What is needed.
        threshold: U256,
    },
}

impl Certificate {
    /// Sorts the signatures by operator. Whether they suffice is for [`Certificate::verify`].
    #[must_use]
    pub fn new(statement: Statement, mut signatures: Vec<SignerSignature>) -> Self {
        signatures.sort_by_key(|signer| signer.operator);
        signatures.dedup_by_key(|signer| signer.operator);
        Self {
            statement,
            signatures,
        }
    }

    /// What is certified.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Strictly ascending by operator.
    #[must_use]
    pub fn signatures(&self) -> &[SignerSignature] {
        &self.signatures
    }

    /// Checks everything that the stake registry contract checks, against `set`.
    ///
    /// # Errors
    /// [`CertificateError`] names the first thing that is wrong.
    pub fn verify(&self, set: &OperatorSet, domain: &Domain) -> Result<U256, CertificateError> {
        self.verify_with(set, domain, |signer, digest| {
            signer.signature.recover(digest)
        })
    }

    /// As [`Certificate::verify`], for callers who know some signatures already: `recover` tells
    /// which key made the signature over the digest.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn verify_with(
        &self,
        set: &OperatorSet,
        domain: &Domain,
        mut recover: impl FnMut(&SignerSignature, B256) -> Result<Address, SignatureError>,
    ) -> Result<U256, CertificateError> {
        if self.statement.epoch() != set.epoch() {
            return Err(CertificateError::WrongEpoch {
                certificate: self.statement.epoch(),
                set: set.epoch(),
            });
        }
        let digest = self.statement.digest(domain);
        let mut weight = U256::ZERO;
        for signer in &self.signatures {
            let operator = signer.operator;
            let member = set
                .get(operator)
                .ok_or(CertificateError::NotAnOperator(operator))?;
            let found = recover(signer, digest)
                .map_err(|error| CertificateError::Signature { operator, error })?;
            if found != member.signing_key {
                return Err(CertificateError::WrongKey {
                    operator,
                    expected: member.signing_key,
                    found,
                });
            }
            weight = weight.saturating_add(member.weight);
        }
        if weight < set.threshold() {
            return Err(CertificateError::BelowThreshold {
                weight,
                threshold: set.threshold(),
            });
        }
        Ok(weight)
    }

    /// abi.encode(address[] operators, bytes[] signatures, uint32 epoch): the second argument
    /// of `isValidSignature` (EIP-1271).
    #[must_use]
    pub fn signature_data(&self) -> Vec<u8> {
        let operators: Vec<Address> = self.signatures.iter().map(|s| s.operator).collect();
        let bytes = |s: &SignerSignature| Bytes::copy_from_slice(s.signature.as_bytes());
        let signatures: Vec<Bytes> = self.signatures.iter().map(bytes).collect();
        (operators, signatures, self.statement.epoch().0).abi_encode_params()
    }
}

impl From<&Certificate> for wire::Certificate {
    fn from(certificate: &Certificate) -> Self {
        let signer = |s: &SignerSignature| wire::SignerSignature {
            operator: s.operator.to_vec(),
            signature: s.signature.as_bytes().to_vec(),
        };
        Self {
            statement: Some((&certificate.statement).into()),
            signatures: certificate.signatures.iter().map(signer).collect(),
        }
    }
}

impl TryFrom<&wire::Certificate> for Certificate {
    type Error = WireError;

    fn try_from(message: &wire::Certificate) -> Result<Self, WireError> {
        if message.signatures.is_empty() || message.signatures.len() > limits::MAX_SIGNERS {
            return Err(WireError::new("signatures", "must be 1 to 500"));
        }
        let signer = |s: &wire::SignerSignature| {
            Ok(SignerSignature {
                operator: address("operator", &s.operator)?,
                signature: Signature::parse(&s.signature)
                    .map_err(|_| WireError::new("signature", "is malformed"))?,
            })
        };
        let signatures = message
            .signatures
            .iter()
            .map(signer)
            .collect::<Result<Vec<_>, _>>()?;
        if !signatures.is_sorted_by(|a, b| a.operator < b.operator) {
            return Err(WireError::new("signatures", "must ascend by operator"));
        }
        Ok(Self {
            statement: present("statement", message.statement.as_ref())?.try_into()?,
            signatures,
        })
    }
}

#[cfg(test)]
mod tests;
