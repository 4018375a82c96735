//! What a key is for.

use std::fmt;
use std::str::FromStr;

use libp2p::identity::Keypair;
use quorate_proto::{PeerSecret, SecretKey};
use serde::{Deserialize, Serialize};

use super::{KeyError, Secret};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// secp256k1: signs statements for EVM chains, or pays for transactions.
    Signing,
    /// Ed25519: pays for transactions on SVM chains.
    Ed25519,
    /// Ed25519: the identity of a node in the mesh.
    Peer,
}

impl KeyKind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Signing, Self::Ed25519, Self::Peer];

    /// The word in file names and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Ed25519 => "ed25519",
            Self::Peer => "peer",
        }
    }

    /// The public part as it is shown: an address, a public key in hexadecimal, a peer id.
    pub(super) fn public_of(self, secret: &Secret) -> Result<String, KeyError> {
        let problem = |problem: &'static str| KeyError::Secret {
            kind: self,
            problem: problem.into(),
        };
        match self {
            Self::Signing => SecretKey::from_bytes(secret.bytes())
                .map(|key| key.address().to_string())
                .map_err(|_| problem("it is zero or above the order of secp256k1")),
            Self::Ed25519 => {
                let public = PeerSecret::from_bytes(secret.bytes()).public();
                Ok(format!("0x{}", hex::encode(public)))
            }
            Self::Peer => {
                let mut bytes = *secret.bytes();
                Keypair::ed25519_from_bytes(&mut bytes)
                    .map(|pair| pair.public().to_peer_id().to_string())
                    .map_err(|_| problem("it is no Ed25519 secret"))
            }
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for KeyKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| format!("unknown kind of key {text:?}: use signing, ed25519 or peer"))
    }
}
