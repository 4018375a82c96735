//! Passwords and secret keys in memory: wiped when dropped, never printed.

use std::fmt;

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use super::foreign::Foreign;
use super::text::without_mark;
use super::{KeyError, KeyKind};

/// Opens a key file. Never empty.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// A byte order mark in front, as files have it, is no part of it.
    ///
    /// # Errors
    /// [`KeyError::EmptyPassword`].
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = Zeroizing::new(text.into());
        match without_mark(&text) {
            "" => Err(KeyError::EmptyPassword),
            bare => Ok(Self(Zeroizing::new(bare.to_owned()))),
        }
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

/// Hexadecimal digits without blanks around them and without 0x.
pub(super) fn digits(text: &str) -> &str {
    let text = text.trim();
    let bare = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    bare.unwrap_or(text)
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
        let text = without_mark(text).trim();
        let wrong = |problem: String| KeyError::Secret {
            kind,
            problem: problem.into(),
        };
        if text.starts_with('[') && kind != KeyKind::Signing {
            return Self::of_array(text)
                .ok_or_else(|| wrong("an array must hold 64 numbers from 0 to 255".into()));
        }
        let mut bytes = Zeroizing::new([0_u8; 32]);
        if hex::decode_to_slice(digits(text), bytes.as_mut_slice()).is_err() {
            let Foreign { what, cure } = Foreign::of_secret(text);
            return Err(wrong(format!("it is {what}; {cure}")));
        }
        Ok(Self(bytes))
    }

    fn of_array(text: &str) -> Option<Self> {
        let bytes: Zeroizing<Vec<u8>> = serde_json::from_str(text).map(Zeroizing::new).ok()?;
        let seed = bytes.get(..32).filter(|_| bytes.len() == 64)?;
        <[u8; 32]>::try_from(seed).ok().map(Self::new)
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
