//! How an operator proves to a registry that it holds its keys: an answer to a challenge.

use alloy_primitives::{Address, B256};
use ed25519_dalek::VerifyingKey;

use crate::wire::RegistryErrorCode;
use crate::wire_error::{address, b256, present};
use crate::{
    Domain, PeerBinding, PeerSecret, ResponseError, SecretKey, Signature, SignatureError,
    WireError, limits, wire,
};

/// "I hold the keys of this operator, and the peer with this key speaks for it", in answer to a
/// challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinProof {
    /// For whom.
    pub operator: Address,
    /// Ed25519 public key of the peer.
    pub peer_key: [u8; 32],
    /// What the registry gave.
    pub challenge: B256,
    /// By the operator's signing key, over [`JoinProof::digest`].
    pub signature: Signature,
    /// The proof for the Ed25519 signing key, where one is registered.
    pub ed25519: Option<Ed25519Proof>,
}

/// Shows that an Ed25519 signing key is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ed25519Proof {
    /// The public key.
    pub key: [u8; 32],
    /// Over [`JoinProof::ed25519_message`].
    pub signature: [u8; 64],
}

/// The second step of a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// That the keys are held.
    pub proof: JoinProof,
    /// For the same operator and peer; its sequence orders joins.
    pub binding: PeerBinding,
    /// Multiaddrs under which the peer can be reached.
    pub addresses: Vec<String>,
}

/// Why a join does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// It answers another challenge than the one that is open.
    #[error("the join does not answer the open challenge; ask for a challenge and answer that")]
    StaleChallenge,
    /// Signed with a key that is not the operator's.
    #[error(
        "the join is signed by {found}, but the signing key on the home chain is {expected}; use that key, or wait until a new one is effective"
    )]
    WrongKey {
        /// What the home chain says.
        expected: Address,
        /// Who signed.
        found: Address,
    },
    /// Not a signature at all.
    #[error("the signature of the join is malformed: {0}")]
    Signature(SignatureError),
    /// Another Ed25519 key than the registered one, or none, or one where none is registered.
    #[error(
        "the join names the Ed25519 key {}, but the home chain has {}; configure that key",
        shown(.found),
        shown(.expected)
    )]
    WrongEd25519Key {
        /// What the home chain says.
        expected: Option<B256>,
        /// What the join names.
        found: Option<B256>,
    },
    /// The registered Ed25519 key did not sign this.
    #[error("the Ed25519 signature of the join is not by its key on this join")]
    Ed25519Signature,
    /// The peer binding beside the proof does not hold.
    #[error("the peer binding of the join does not hold: {0}")]
    Binding(ResponseError),
}

fn shown(key: &Option<B256>) -> String {
    key.map_or("none".to_owned(), |key| key.to_string())
}

impl JoinError {
    /// Whether whoever holds the operator's keys never causes it. Counts against the caller.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        !matches!(self, Self::StaleChallenge | Self::WrongEd25519Key { .. })
    }

    /// Whether another try, with a new challenge, may succeed.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::StaleChallenge)
    }

    /// How the registry tells it.
    #[must_use]
    pub const fn code(&self) -> RegistryErrorCode {
        match self {
            Self::StaleChallenge => RegistryErrorCode::StaleChallenge,
            Self::WrongKey { .. } | Self::WrongEd25519Key { .. } => RegistryErrorCode::WrongKey,
            Self::Binding(ResponseError::WrongKey { .. }) => RegistryErrorCode::WrongKey,
            Self::Signature(_) | Self::Ed25519Signature | Self::Binding(_) => {
                RegistryErrorCode::BadSignature
            }
        }
    }
}

impl RegistryErrorCode {
    /// Whether the same call may succeed later, or with a new challenge.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::UnknownOperator
                | Self::StaleChallenge
                | Self::TooManyFailures
                | Self::Overloaded
                | Self::Unavailable
        )
    }
}

impl JoinProof {
    /// The digest that the operator's signing key signs:
    /// `Join(address operator,bytes32 peerKey,bytes32 ed25519Key,bytes32 challenge)`, an absent
    /// Ed25519 key as zero.
    #[must_use]
    pub fn digest(
        domain: &Domain,
        operator: Address,
        peer_key: [u8; 32],
        ed25519_key: Option<[u8; 32]>,
        challenge: B256,
    ) -> B256 {
        domain.join_digest(operator, peer_key, ed25519_key, challenge)
    }

    /// The message that the Ed25519 signing key signs:
    /// `"quorate:v1:" ‖ 0xf1 ‖ home chain id (u64 LE) ‖ registry ‖ operator ‖ peer key ‖ challenge`.
    #[must_use]
    pub fn ed25519_message(
        domain: &Domain,
        operator: Address,
        peer_key: [u8; 32],
        challenge: B256,
    ) -> Vec<u8> {
        domain.ed25519_join(operator, peer_key, challenge)
    }

    /// Signs with keys in memory.
    ///
    /// # Errors
    /// As [`SecretKey::sign`].
    pub fn sign(
        domain: &Domain,
        operator: Address,
        peer_key: [u8; 32],
        challenge: B256,
        signing_key: &SecretKey,
        ed25519_key: Option<&PeerSecret>,
    ) -> Result<Self, SignatureError> {
        let public = ed25519_key.map(PeerSecret::public);
        let digest = Self::digest(domain, operator, peer_key, public, challenge);
        let message = Self::ed25519_message(domain, operator, peer_key, challenge);
        let prove = |secret: &PeerSecret| Ed25519Proof {
            key: secret.public(),
            signature: secret.sign(&message),
        };
        Ok(Self {
            operator,
            peer_key,
            challenge,
            signature: signing_key.sign(digest)?,
            ed25519: ed25519_key.map(prove),
        })
    }

    /// Checks that it answers `challenge` and was made with the keys that the home chain has for
    /// the operator.
    ///
    /// # Errors
    /// [`JoinError`] names the first thing that is wrong.
    pub fn verify(
        &self,
        signing_key: Address,
        ed25519_key: Option<[u8; 32]>,
        domain: &Domain,
        challenge: B256,
    ) -> Result<(), JoinError> {
        if self.challenge != challenge {
            return Err(JoinError::StaleChallenge);
        }
        let named = self.ed25519.map(|proof| proof.key);
        let digest = Self::digest(domain, self.operator, self.peer_key, named, challenge);
        let found = self.signature.recover(digest);
        let found = found.map_err(JoinError::Signature)?;
        if found != signing_key {
            let expected = signing_key;
            return Err(JoinError::WrongKey { expected, found });
        }
        if named != ed25519_key {
            return Err(JoinError::WrongEd25519Key {
                expected: ed25519_key.map(B256::from),
                found: named.map(B256::from),
            });
        }
        let message = Self::ed25519_message(domain, self.operator, self.peer_key, challenge);
        self.ed25519.map_or(Ok(()), |proof| proof.verify(&message))
    }
}

impl Ed25519Proof {
    fn verify(&self, message: &[u8]) -> Result<(), JoinError> {
        let signature = ed25519_dalek::Signature::from_bytes(&self.signature);
        VerifyingKey::from_bytes(&self.key)
            .and_then(|key| key.verify_strict(message, &signature))
            .map_err(|_| JoinError::Ed25519Signature)
    }
}

impl JoinRequest {
    /// Checks the proof, and that the binding was made with the same key.
    ///
    /// # Errors
    /// [`JoinError`] names the first thing that is wrong.
    pub fn verify(
        &self,
        signing_key: Address,
        ed25519_key: Option<[u8; 32]>,
        domain: &Domain,
        challenge: B256,
    ) -> Result<(), JoinError> {
        self.proof
            .verify(signing_key, ed25519_key, domain, challenge)?;
        self.binding
            .verify(signing_key, domain)
            .map_err(JoinError::Binding)
    }
}

impl From<&JoinProof> for wire::JoinProof {
    fn from(proof: &JoinProof) -> Self {
        let ed25519 = proof.ed25519;
        Self {
            operator: proof.operator.to_vec(),
            peer_key: proof.peer_key.to_vec(),
            ed25519_key: ed25519.map(|e| e.key.to_vec()).unwrap_or_default(),
            challenge: proof.challenge.to_vec(),
            signature: proof.signature.as_bytes().to_vec(),
            ed25519_signature: ed25519.map(|e| e.signature.to_vec()).unwrap_or_default(),
        }
    }
}

impl TryFrom<&wire::JoinProof> for JoinProof {
    type Error = WireError;

    fn try_from(message: &wire::JoinProof) -> Result<Self, WireError> {
        Ok(Self {
            operator: address("operator", &message.operator)?,
            peer_key: b256("peer_key", &message.peer_key)?.0,
            challenge: b256("challenge", &message.challenge)?,
            signature: Signature::parse(&message.signature)
                .map_err(|_| WireError::new("signature", "is malformed"))?,
            ed25519: ed25519_proof(&message.ed25519_key, &message.ed25519_signature)?,
        })
    }
}

/// Key and signature are both there, or both not.
fn ed25519_proof(key: &[u8], signature: &[u8]) -> Result<Option<Ed25519Proof>, WireError> {
    if key.is_empty() && signature.is_empty() {
        return Ok(None);
    }
    let length = WireError::new("ed25519_signature", "must have 64 bytes");
    Ok(Some(Ed25519Proof {
        key: b256("ed25519_key", key)?.0,
        signature: signature.try_into().map_err(|_| length)?,
    }))
}

impl From<&JoinRequest> for wire::JoinRequest {
    fn from(request: &JoinRequest) -> Self {
        Self {
            proof: Some((&request.proof).into()),
            binding: Some((&request.binding).into()),
            addresses: request.addresses.clone(),
        }
    }
}

impl TryFrom<&wire::JoinRequest> for JoinRequest {
    type Error = WireError;

    fn try_from(message: &wire::JoinRequest) -> Result<Self, WireError> {
        let proof: JoinProof = present("proof", message.proof.as_ref())?.try_into()?;
        let binding: PeerBinding = present("binding", message.binding.as_ref())?.try_into()?;
        if (binding.operator, binding.peer_key) != (proof.operator, proof.peer_key) {
            let problem = "must be for the operator and the peer of the proof";
            return Err(WireError::new("binding", problem));
        }
        let too_long = |address: &String| address.len() > limits::MAX_ADDRESS_BYTES;
        if message.addresses.len() > limits::MAX_ADDRESSES || message.addresses.iter().any(too_long)
        {
            let problem = "must be at most 8 of at most 256 bytes each";
            return Err(WireError::new("addresses", problem));
        }
        Ok(Self {
            proof,
            binding,
            addresses: message.addresses.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
