//! Keys of local networks: made from a number, so that every run has the same. Never use them
//! where there is anything to lose.

use quorate_proto::SecretKey;
use sha2::{Digest, Sha256};

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
