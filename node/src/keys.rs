//! Keys of a node, and who holds them.
//!
//! A [`Signer`] makes signatures, wherever its key lives. [`KeyStore`] keeps keys in a folder of
//! encrypted files: Web3 keystore v3, the format of geth and foundry, for signing keys, and the
//! same container with a label for Ed25519 and peer keys.

use std::fmt;

mod container;
mod error;
mod foreign;
mod kind;
mod marker;
mod payer;
mod scrypt;
mod secret;
mod store;
mod text;

pub use container::Strength;
#[cfg(any(test, fuzzing))]
pub(crate) use container::fuzzing::check as check_container;
pub use error::KeyError;
pub use kind::KeyKind;
pub use marker::NewKey;
pub(crate) use payer::{EvmPayer, PayerKey, SvmPayer};
pub use secret::{Password, Secret};
pub use store::{KeyInfo, KeyListing, KeyStore, Saving};
pub use text::{read_text, text_of};

use futures::future::BoxFuture;
use quorate_proto::{Address, B256, SecretKey, Signature};

/// Makes signatures with an operator's signing key, wherever that key lives.
pub trait Signer: Send + Sync + 'static {
    /// Address of the signing key.
    fn address(&self) -> Address;

    /// Signs a digest.
    ///
    /// # Errors
    /// [`SignerError`] where the holder of the key is out of reach or refuses.
    fn sign(&self, digest: B256) -> BoxFuture<'_, Result<Signature, SignerError>>;
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
#[error("the signer of key {key} failed: {reason}")]
pub struct SignerError {
    /// Which key: its address.
    pub key: String,
    /// What the holder says.
    pub reason: String,
}

/// A signing key in the memory of this process.
#[derive(Clone)]
pub struct LocalSigner {
    key: SecretKey,
    address: Address,
}

impl LocalSigner {
    /// A signer for `key`.
    #[must_use]
    pub fn new(key: SecretKey) -> Self {
        let address = key.address();
        Self { key, address }
    }
}

impl Signer for LocalSigner {
    fn address(&self) -> Address {
        self.address
    }

    fn sign(&self, digest: B256) -> BoxFuture<'_, Result<Signature, SignerError>> {
        let signed = self.key.sign(digest).map_err(|error| SignerError {
            key: self.address.to_string(),
            reason: error.to_string(),
        });
        Box::pin(std::future::ready(signed))
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalSigner({})", self.address)
    }
}
