//! Passwords and secret keys in memory: wiped when dropped, never printed.

use std::fmt;

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use super::{KeyError, KeyKind};

/// Opens a key file. Never empty.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// # Errors
    /// [`KeyError::EmptyPassword`].
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = Zeroizing::new(text.into());
        if text.is_empty() {
            return Err(KeyError::EmptyPassword);
        }
        Ok(Self(text))
    }

    /// The bytes that go into the key derivation.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// The 32 secret bytes of a key of any kind.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// These bytes, and no check of them: what they must be depends on the kind of key.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new one from the system's generator.
    ///
    /// # Errors
    /// What the system says where it has none.
    pub fn random() -> Result<Self, String> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        OsRng
            .try_fill_bytes(bytes.as_mut_slice())
            .map_err(|error| error.to_string())?;
        Ok(Self(bytes))
    }

    /// Reads 64 hexadecimal digits, with or without `0x`; for Ed25519 kinds also the JSON array
    /// of 64 numbers (secret, then public key) that SVM wallets write.
    ///
    /// # Errors
    /// [`KeyError::Secret`], without the text.
    pub fn parse(kind: KeyKind, text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let wrong = |problem| KeyError::Secret { kind, problem };
        if text.starts_with('[') && kind != KeyKind::Signing {
            let bytes: Zeroizing<Vec<u8>> = serde_json::from_str(text)
                .map(Zeroizing::new)
                .map_err(|_| wrong("an array must hold 64 numbers from 0 to 255"))?;
            let seed = bytes.get(..32).filter(|_| bytes.len() == 64);
            return seed
                .and_then(|seed| <[u8; 32]>::try_from(seed).ok())
                .map(Self::new)
                .ok_or_else(|| wrong("an array must hold 64 numbers from 0 to 255"));
        }
        let mut bytes = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(
            text.strip_prefix("0x").unwrap_or(text),
            bytes.as_mut_slice(),
        )
        .map_err(|_| wrong("give 64 hexadecimal digits, with or without 0x"))?;
        Ok(Self(bytes))
    }

    /// The secret itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
