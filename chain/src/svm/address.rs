//! Names of accounts: 32 bytes, written in base58.

use std::fmt;
use std::str::FromStr;

use alloy::primitives::B256;
use curve25519_dalek::edwards::CompressedEdwardsY;
use serde::{Deserialize, Deserializer, de};
use sha2::{Digest, Sha256};

/// What is hashed behind the seeds and the program of a derived address.
const DERIVED: &[u8] = b"ProgramDerivedAddress";

/// An account, a program or a hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub B256);

/// A text that names no account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the base58 of 32 bytes")]
pub struct PublicKeyError(String);

impl PublicKey {
    /// The address that a program has for these seeds, and the byte that makes it one; `None` for seeds that are too
    /// long or too many.
    #[must_use]
    pub fn derive(seeds: &[&[u8]], program: Self) -> Option<(Self, u8)> {
        const MAX_SEEDS: usize = 15;
        const MAX_SEED: usize = 32;
        if seeds.len() > MAX_SEEDS || seeds.iter().any(|seed| seed.len() > MAX_SEED) {
            return None;
        }
        let address = |bump: u8| {
            let mut hash = Sha256::new();
            seeds.iter().for_each(|seed| hash.update(seed));
            hash.update([bump]);
            hash.update(program.0);
            hash.update(DERIVED);
            B256::from(<[u8; 32]>::from(hash.finalize()))
        };
        // One that nobody has a key for is no point of the curve.
        let is_free = |address: &B256| CompressedEdwardsY(address.0).decompress().is_none();
        (0..=u8::MAX).rev().find_map(|bump| {
            let found = address(bump);
            is_free(&found).then_some((Self(found), bump))
        })
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let mut bytes = B256::ZERO;
        match bs58::decode(text).onto(&mut bytes.0) {
            Ok(32) => Ok(Self(bytes)),
            _ => Err(PublicKeyError(text.chars().take(64).collect())),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&bs58::encode(self.0).into_string())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "F7mhpQAE3umJYrBitUHJChiQbEbUFmQRac85uyCW5aKn";

    #[test]
    fn keys_read_as_they_are_written() {
        let key: PublicKey = PROGRAM.parse().expect("a key");
        let hex = "0xd1bfa604b5dc68adb868be96a0dac50da61e18030533aedd0036a8bdd95cd535";
        assert_eq!(key.0.to_string(), hex);
        assert_eq!(key.to_string(), PROGRAM);
        for text in ["", "0", "l", &PROGRAM[4..], &format!("{PROGRAM}1")] {
            assert!(text.parse::<PublicKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn derived_addresses_are_those_of_the_runtime() {
        let program = PROGRAM.parse().expect("a key");
        let (address, bump) = PublicKey::derive(&[b"receiver_state"], program).expect("an address");
        assert_eq!(
            (address.to_string().as_str(), bump),
            ("g9iCXQEY7SeY2SpxKEFE7SNiEshCrMS5aoyBjNUGLuy", 255)
        );
        assert_eq!(PublicKey::derive(&[&[0; 33]], program), None);
    }
}
