//! The short form of a certificate, for verifiers that keep the whole set.
//!
//! ```text
//! 0x01 ‖ epoch 4, big endian ‖ bitmap ceil(n / 8) ‖ per set bit, ascending: r 32 ‖ yParityAndS 32
//! ```
//!
//! Bit `i` of the bitmap is bit `i mod 8`, least significant first, of byte `i / 8`; it stands for
//! member `i` of the epoch's set of `n`, ascending by operator. Signatures are those of EIP-2098.
//! Every certificate has one short form only.

use alloy_primitives::Address;

use super::{Certificate, SignerSignature};
use crate::{Epoch, Operator, OperatorSet, Signature, SignatureError, Statement};

/// First byte of the short form.
const VERSION: u8 = 1;

/// Bytes before the bitmap: version and epoch.
const HEAD: usize = 5;

/// Bytes of one signature (EIP-2098).
const SIGNATURE: usize = 64;

/// Why a certificate has no short form in a set, or bytes are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompactError {
    /// Bytes of a later version, or no short form at all.
    #[error("the short form begins with the version {VERSION}, this begins with {0}")]
    Version(u8),
    /// Statement, set and bytes are not of one epoch.
    #[error("expected epoch {expected}, the epoch of the statement, found {found}")]
    WrongEpoch {
        /// Epoch of the statement.
        expected: Epoch,
        /// Epoch of the set, or in the bytes.
        found: Epoch,
    },
    /// The bytes end too early, or go on.
    #[error("the short form must have {expected} bytes, this has {found}")]
    Length {
        /// By the number of members, and of signers once the bitmap could be read.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// A bit for which the set has no member.
    #[error("the bitmap names signers beyond the {0} members of the set")]
    BeyondSet(usize),
    /// No operator signed.
    #[error("a certificate has at least one signer")]
    NoSigner,
    /// A signer that the set does not have.
    #[error("signer {0} is not an operator of that epoch")]
    NotAnOperator(Address),
    /// Not a signature at all.
    #[error("the signature for {operator} is malformed: {error}")]
    Signature {
        /// Whose signature it should be.
        operator: Address,
        /// What is wrong with it.
        error: SignatureError,
    },
}

impl Certificate {
    /// The short form for verifiers that know `set`, the one of the statement's epoch. Whether
    /// the certificate holds is for [`Certificate::verify`].
    ///
    /// # Errors
    /// [`CompactError`] where the set is of another epoch or does not have every signer, and where
    /// there is none.
    pub fn compact_signature_data(&self, set: &OperatorSet) -> Result<Vec<u8>, CompactError> {
        let epoch = same_epoch(&self.statement, set.epoch())?;
        let members = set.members();
        let mut bitmap = vec![0_u8; members.len().div_ceil(8)];
        for signer in &self.signatures {
            let unknown = CompactError::NotAnOperator(signer.operator);
            let index = set.position(signer.operator).ok_or(unknown)?;
            let byte = bitmap.get_mut(index / 8).ok_or(unknown)?;
            *byte |= 1 << (index % 8);
        }
        if self.signatures.is_empty() {
            return Err(CompactError::NoSigner);
        }
        let mut bytes = vec![VERSION];
        bytes.extend(epoch.0.to_be_bytes());
        bytes.extend(bitmap);
        bytes.extend(
            self.signatures
                .iter()
                .flat_map(|s| s.signature.to_compact()),
        );
        Ok(bytes)
    }

    /// Reads the short form of a certificate of `statement` by `set`. Whether it holds is for
    /// [`Certificate::verify`].
    ///
    /// # Errors
    /// [`CompactError`] for everything that is not the one short form of a certificate.
    pub fn decode_compact(
        bytes: &[u8],
        set: &OperatorSet,
        statement: Statement,
    ) -> Result<Self, CompactError> {
        same_epoch(&statement, set.epoch())?;
        let (epoch, rest) = split_head(bytes)?;
        same_epoch(&statement, epoch)?;
        let length = set.members().len().div_ceil(8);
        let (bitmap, rest) = rest
            .split_at_checked(length)
            .ok_or_else(|| short_of(HEAD.saturating_add(length), bytes))?;
        let signers = signers_of(bitmap, set.members())?;
        let length = length.saturating_add(signers.len().saturating_mul(SIGNATURE));
        let (signatures, []) = rest.as_chunks::<SIGNATURE>() else {
            return Err(short_of(HEAD.saturating_add(length), bytes));
        };
        if signatures.len() != signers.len() {
            return Err(short_of(HEAD.saturating_add(length), bytes));
        }
        let signer = |(member, signature): (&Operator, &[u8; SIGNATURE])| {
            let operator = member.address;
            Signature::from_compact(signature)
                .map(|signature| SignerSignature {
                    operator,
                    signature,
                })
                .map_err(|error| CompactError::Signature { operator, error })
        };
        let signatures = signers.into_iter().zip(signatures).map(signer);
        let signatures = signatures.collect::<Result<_, _>>()?;
        Ok(Self {
            statement,
            signatures,
        })
    }
}

fn same_epoch(statement: &Statement, found: Epoch) -> Result<Epoch, CompactError> {
    let expected = statement.epoch();
    if expected == found {
        Ok(found)
    } else {
        Err(CompactError::WrongEpoch { expected, found })
    }
}

const fn short_of(expected: usize, bytes: &[u8]) -> CompactError {
    let found = bytes.len();
    CompactError::Length { expected, found }
}

fn split_head(bytes: &[u8]) -> Result<(Epoch, &[u8]), CompactError> {
    match bytes.split_first_chunk::<HEAD>() {
        Some(([VERSION, epoch @ ..], rest)) => Ok((Epoch(u32::from_be_bytes(*epoch)), rest)),
        Some(([version, ..], _)) => Err(CompactError::Version(*version)),
        None => Err(short_of(HEAD, bytes)),
    }
}

/// The members whose bits are set.
fn signers_of<'a>(
    bitmap: &[u8],
    members: &'a [Operator],
) -> Result<Vec<&'a Operator>, CompactError> {
    let bits = bitmap
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
    let mut signers = Vec::new();
    for (index, _) in bits.enumerate().filter(|(_, set)| *set) {
        let beyond = CompactError::BeyondSet(members.len());
        signers.push(members.get(index).ok_or(beyond)?);
    }
    if signers.is_empty() {
        return Err(CompactError::NoSigner);
    }
    Ok(signers)
}

#[cfg(test)]
mod tests;
