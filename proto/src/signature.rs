//! secp256k1 signatures in the one form that contracts accept.
//!
//! libsecp256k1 recovers and signs: it is six times faster at recovery than k256, and three times
//! faster at signing. k256 holds the secret, because it wipes it.

use std::fmt;

use alloy_primitives::{Address, B256, keccak256};
use k256::ecdsa::SigningKey;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use zeroize::Zeroizing;

/// r ‖ s ‖ v, 65 bytes, v in {27, 28}, s in the lower half of the order (EIP-2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 65]);

/// Why bytes are not a signature, or not one by the expected key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not 65 bytes.
    #[error("a signature must have 65 bytes (r, s, v), this has {0}")]
    Length(usize),
    /// v is not 27 or 28.
    #[error("the last byte of a signature must be 27 or 28, this is {0}")]
    RecoveryId(u8),
    /// s is in the upper half of the curve's order, so the signature is malleable.
    #[error("s must be in the lower half of the order (EIP-2)")]
    HighS,
    /// No key could have made it.
    #[error("the signature belongs to no key")]
    Unrecoverable,
}

/// Half of the order of secp256k1, rounded down.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// The bit of a compact signature's 33rd byte that is the parity of y.
const PARITY: u8 = 0x80;

impl Signature {
    /// How long it is.
    pub const BYTES: usize = 65;

    /// Checks the form; who signed is for [`Signature::recover`].
    ///
    /// # Errors
    /// Every [`SignatureError`] but `Unrecoverable`.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let array: [u8; 65] = bytes
            .try_into()
            .map_err(|_| SignatureError::Length(bytes.len()))?;
        if !matches!(array[64], 27 | 28) {
            return Err(SignatureError::RecoveryId(array[64]));
        }
        if array[32..64] > HALF_ORDER[..] {
            return Err(SignatureError::HighS);
        }
        Ok(Self(array))
    }

    /// Address of the key that signed `digest`.
    ///
    /// # Errors
    /// `Unrecoverable` where there is no such key.
    pub fn recover(&self, digest: B256) -> Result<Address, SignatureError> {
        let id = if self.0[64] == 27 {
            RecoveryId::Zero
        } else {
            RecoveryId::One
        };
        let signature = RecoverableSignature::from_compact(&self.0[..64], id)
            .map_err(|_| SignatureError::Unrecoverable)?;
        let key = signature
            .recover_ecdsa(secp256k1::Message::from_digest(digest.0))
            .map_err(|_| SignatureError::Unrecoverable)?;
        Ok(address_of(&key.serialize_uncompressed()))
    }

    /// r ‖ yParityAndS, 64 bytes (EIP-2098): the parity of y in the highest bit, s in the others.
    #[must_use]
    pub fn to_compact(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(&self.0[..64]);
        if self.0[64] == 28 {
            bytes[32] |= PARITY;
        }
        bytes
    }

    /// Reads the 64 bytes of EIP-2098.
    ///
    /// # Errors
    /// `HighS`.
    pub fn from_compact(bytes: &[u8; 64]) -> Result<Self, SignatureError> {
        let mut array = [0; 65];
        array[..64].copy_from_slice(bytes);
        array[32] &= !PARITY;
        array[64] = if bytes[32] & PARITY == 0 { 27 } else { 28 };
        Self::parse(&array)
    }

    /// The 65 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature(0x{})", hex::encode(self.0))
    }
}

/// A secp256k1 secret key in memory. Wiped when dropped; never printed.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// # Errors
    /// `Unrecoverable` for zero and for numbers above the order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SignatureError> {
        SigningKey::from_bytes(bytes.into())
            .map(Self)
            .map_err(|_| SignatureError::Unrecoverable)
    }

    /// The secret itself, for a keystore.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes().into()
    }

    /// Address of the public key.
    #[must_use]
    pub fn address(&self) -> Address {
        let point = self.0.verifying_key().to_encoded_point(false);
        address_of(point.as_bytes())
    }

    /// Signs a digest; deterministic (RFC 6979).
    ///
    /// # Errors
    /// `Unrecoverable` where the arithmetic has no result; no digest with that effect is known.
    pub fn sign(&self, digest: B256) -> Result<Signature, SignatureError> {
        let secret: Zeroizing<[u8; 32]> = Zeroizing::new(self.0.to_bytes().into());
        let mut key = secp256k1::SecretKey::from_secret_bytes(*secret)
            .map_err(|_| SignatureError::Unrecoverable)?;
        let message = secp256k1::Message::from_digest(digest.0);
        let signature = RecoverableSignature::sign_ecdsa_recoverable(message, &key);
        key.non_secure_erase();
        let (id, compact) = signature.serialize_compact();
        let mut bytes = [0_u8; 65];
        bytes[..64].copy_from_slice(&compact);
        bytes[64] = match id {
            RecoveryId::Zero => 27,
            RecoveryId::One => 28,
            // r above the order: one digest in 2^127.
            _ => return Err(SignatureError::Unrecoverable),
        };
        Ok(Signature(bytes))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.address())
    }
}

/// Address of an uncompressed public key: the last 20 bytes of the hash of its coordinates.
fn address_of(uncompressed: &[u8]) -> Address {
    Address::from_slice(&keccak256(&uncompressed[1..])[12..])
}

#[cfg(test)]
mod tests;
