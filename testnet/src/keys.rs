//! Keys of local networks: made from a number, so that every run has the same. Never use them
//! where there is anything to lose.

use quorate_proto::{B256, PeerSecret, SecretKey};
use sha2::{Digest, Sha256};

/// Number of the first relayer's keys.
pub(crate) const RELAYER_KEYS: usize = 2_000;

/// The account that pays for what a relayer sends to SVM chains: the Ed25519 key with the bytes of its signing key.
pub(crate) fn svm_account(number: usize) -> B256 {
    let secret = OperatorKeys::of(RELAYER_KEYS + number).signing.to_bytes();
    PeerSecret::from_bytes(&secret).public().into()
}

/// The keys of one node.
#[derive(Clone)]
pub struct OperatorKeys {
    /// secp256k1 signing key.
    pub signing: SecretKey,
    /// Secret of the peer identity.
    pub peer: [u8; 32],
}

impl OperatorKeys {
    /// The keys of the node with this number.
    ///
    /// # Panics
    /// Never for numbers that have been tried: a hash that is no secret key has a chance of
    /// 2^-128.
    #[must_use]
    pub fn of(number: usize) -> Self {
        let secret = |kind: &str| -> [u8; 32] {
            Sha256::digest(format!("quorate local network, node {number}, {kind}")).into()
        };
        Self {
            signing: SecretKey::from_bytes(&secret("signing")).expect("a hash below the order"),
            peer: secret("peer"),
        }
    }
}
