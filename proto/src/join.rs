//! How an operator proves to a registry that it holds its signing key: an answer to a challenge.

use alloy_primitives::{Address, B256};

use crate::wire::RegistryErrorCode;
use crate::wire_error::{address, b256, present};
use crate::{
    Domain, PeerBinding, ResponseError, SecretKey, Signature, SignatureError, WireError, limits,
    wire,
};

/// "I hold the signing key of this operator, and the peer with this key speaks for it", in answer to a
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
}

/// The second step of a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// That the key is held.
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
    /// The peer binding beside the proof does not hold.
    #[error("the peer binding of the join does not hold: {0}")]
    Binding(ResponseError),
}

impl JoinError {
    /// Whether the holder of the operator's signing key never causes it. Counts against the caller.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        !matches!(self, Self::StaleChallenge)
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
            Self::WrongKey { .. } | Self::Binding(ResponseError::WrongKey { .. }) => {
                RegistryErrorCode::WrongKey
            }
            Self::Signature(_) | Self::Binding(_) => RegistryErrorCode::BadSignature,
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
    /// `Join(address operator,bytes32 peerKey,bytes32 challenge)`.
    #[must_use]
    pub fn digest(domain: &Domain, operator: Address, peer_key: [u8; 32], challenge: B256) -> B256 {
        domain.join_digest(operator, peer_key, challenge)
    }

    /// Signs with a key in memory.
    ///
    /// # Errors
    /// As [`SecretKey::sign`].
    pub fn sign(
        domain: &Domain,
        operator: Address,
        peer_key: [u8; 32],
        challenge: B256,
        signing_key: &SecretKey,
    ) -> Result<Self, SignatureError> {
        let digest = Self::digest(domain, operator, peer_key, challenge);
        Ok(Self {
            operator,
            peer_key,
            challenge,
            signature: signing_key.sign(digest)?,
        })
    }

    /// Checks that it answers `challenge` and was made with the key that the home chain has for the
    /// operator.
    ///
    /// # Errors
    /// [`JoinError`] names the first thing that is wrong.
    pub fn verify(
        &self,
        signing_key: Address,
        domain: &Domain,
        challenge: B256,
    ) -> Result<(), JoinError> {
        if self.challenge != challenge {
            return Err(JoinError::StaleChallenge);
        }
        let digest = Self::digest(domain, self.operator, self.peer_key, challenge);
        let found = self.signature.recover(digest);
        let found = found.map_err(JoinError::Signature)?;
        if found != signing_key {
            let expected = signing_key;
            return Err(JoinError::WrongKey { expected, found });
        }
        Ok(())
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
        domain: &Domain,
        challenge: B256,
    ) -> Result<(), JoinError> {
        self.proof.verify(signing_key, domain, challenge)?;
        self.binding
            .verify(signing_key, domain)
            .map_err(JoinError::Binding)
    }
}

impl From<&JoinProof> for wire::JoinProof {
    fn from(proof: &JoinProof) -> Self {
        Self {
            operator: proof.operator.to_vec(),
            peer_key: proof.peer_key.to_vec(),
            challenge: proof.challenge.to_vec(),
            signature: proof.signature.as_bytes().to_vec(),
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
        })
    }
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
