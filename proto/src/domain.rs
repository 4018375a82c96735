//! Which network a signature belongs to.

use std::fmt;

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::{SolStruct, eip712_domain};

/// The EIP-712 domain of a network: its home chain and its stake registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    home_chain_id: u64,
    registry: Address,
    separator: B256,
}

impl Domain {
    /// The domain `{name "Quorate", version "1", chainId, verifyingContract}`.
    #[must_use]
    pub fn new(home_chain_id: u64, registry: Address) -> Self {
        let domain = eip712_domain! {
            name: "Quorate",
            version: "1",
            chain_id: home_chain_id,
            verifying_contract: registry,
        };
        Self {
            home_chain_id,
            registry,
            separator: domain.separator(),
        }
    }

    /// EIP-155 id of the home chain.
    #[must_use]
    pub const fn home_chain_id(&self) -> u64 {
        self.home_chain_id
    }

    /// The stake registry that verifies this network's signatures.
    #[must_use]
    pub const fn registry(&self) -> Address {
        self.registry
    }

    /// The EIP-712 domain separator.
    #[must_use]
    pub const fn separator(&self) -> B256 {
        self.separator
    }

    /// The network that this domain makes.
    #[must_use]
    pub fn network(&self) -> NetworkId {
        NetworkId(format!("{}-{:x}", self.home_chain_id, self.registry))
    }

    /// keccak256(0x1901 ‖ separator ‖ hashStruct), EIP-712.
    pub(crate) fn digest(&self, value: &impl SolStruct) -> B256 {
        let mut preimage = [0_u8; 66];
        preimage[0] = 0x19;
        preimage[1] = 0x01;
        preimage[2..34].copy_from_slice(self.separator.as_slice());
        preimage[34..].copy_from_slice(value.eip712_hash_struct().as_slice());
        keccak256(preimage)
    }

    /// The digest by which a signing key proves at registration that it is held by `operator`:
    /// `OperatorRegistration(address operator,address signingKey)`.
    #[must_use]
    pub fn registration_digest(&self, operator: Address, signing_key: Address) -> B256 {
        self.digest(&sol::OperatorRegistration {
            operator,
            signingKey: signing_key,
        })
    }

    pub(crate) fn join_digest(
        &self,
        operator: Address,
        peer_key: [u8; 32],
        challenge: B256,
    ) -> B256 {
        self.digest(&sol::Join {
            operator,
            peerKey: peer_key.into(),
            challenge,
        })
    }

    pub(crate) fn presence_digest(&self, operator: Address, instance: B256, sequence: u64) -> B256 {
        self.digest(&sol::Presence {
            operator,
            instance,
            sequence,
        })
    }

    pub(crate) fn binding_digest(&self, operator: Address, peer_key: B256, sequence: u64) -> B256 {
        self.digest(&sol::PeerBinding {
            operator,
            peerKey: peer_key,
            sequence,
        })
    }
}

/// Names a network in topics and protocols: `<home chain id>-<registry in lower-case hex>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NetworkId(String);

impl NetworkId {
    /// The gossipsub topic for messages of a kind.
    #[must_use]
    pub fn topic(&self, kind: Kind) -> String {
        format!("/quorate/{}/{}/1", self.0, kind.name())
    }

    /// The protocol name of a stream, such as `request`.
    #[must_use]
    pub fn protocol(&self, stream: &str) -> String {
        format!("/quorate/{}/{stream}/1", self.0)
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Kind of a gossip topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Announcements of tasks by entry operators.
    Task,
    /// Signatures and refusals.
    Response,
    /// Certificates.
    Result,
    /// Proofs of equivocation.
    Evidence,
    /// Announcements, answers and certificates of the bridge's statements.
    Bridge,
}

impl Kind {
    /// All kinds that a node subscribes to.
    pub const ALL: [Self; 5] = [
        Self::Task,
        Self::Response,
        Self::Result,
        Self::Evidence,
        Self::Bridge,
    ];

    /// The word in the topic.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Response => "response",
            Self::Result => "result",
            Self::Evidence => "evidence",
            Self::Bridge => "bridge",
        }
    }
}

mod sol {
    alloy_sol_types::sol! {
        struct OperatorRegistration {
            address operator;
            address signingKey;
        }
        struct Join {
            address operator;
            bytes32 peerKey;
            bytes32 challenge;
        }
        struct PeerBinding {
            address operator;
            bytes32 peerKey;
            uint64 sequence;
        }
        struct Presence {
            address operator;
            bytes32 instance;
            uint64 sequence;
        }
    }
}

#[cfg(test)]
mod tests;
