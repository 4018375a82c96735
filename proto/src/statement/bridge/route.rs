//! The way from one bridge contract to another.

use alloy_primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};

use crate::wire_error::b256;
use crate::{SlotId, WireError, wire};

/// From a contract on one chain to one on another. Chains are named as in the directory of chains; contracts of
/// EVM chains are left-padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Where transfers are sent.
    pub source_chain: u64,
    /// The contract that takes them in.
    pub source_contract: B256,
    /// Where they are paid out.
    pub target_chain: u64,
    /// The contract that pays.
    pub target_contract: B256,
}

/// A route in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteJson {
    /// Id of the source chain.
    pub source_chain: u64,
    /// Contract there.
    pub source_contract: B256,
    /// Id of the target chain.
    pub target_chain: u64,
    /// Contract there.
    pub target_contract: B256,
}

impl Route {
    /// keccak256(source chain 8 ‖ source contract 32 ‖ target chain 8 ‖ target contract 32).
    #[must_use]
    pub fn id(&self) -> B256 {
        let mut packed = Vec::with_capacity(8 + 32 + 8 + 32);
        packed.extend(self.source_chain.to_be_bytes());
        packed.extend(self.source_contract);
        packed.extend(self.target_chain.to_be_bytes());
        packed.extend(self.target_contract);
        keccak256(packed)
    }

    /// keccak256(kind 1 ‖ route 32 ‖ nonce 8): one of its nonces, as a kind of statement asks about it.
    pub(super) fn slot(&self, kind: u8, nonce: u64) -> SlotId {
        let preimage = [&[kind][..], self.id().as_slice(), &nonce.to_be_bytes()].concat();
        SlotId(keccak256(preimage))
    }

    /// As people read it.
    pub(super) fn words(&self) -> String {
        format!("chain {} to chain {}", self.source_chain, self.target_chain)
    }
}

impl From<&Route> for RouteJson {
    fn from(route: &Route) -> Self {
        let Route {
            source_chain,
            source_contract,
            target_chain,
            target_contract,
        } = *route;
        Self {
            source_chain,
            source_contract,
            target_chain,
            target_contract,
        }
    }
}

impl From<&RouteJson> for Route {
    fn from(json: &RouteJson) -> Self {
        let RouteJson {
            source_chain,
            source_contract,
            target_chain,
            target_contract,
        } = *json;
        Self {
            source_chain,
            source_contract,
            target_chain,
            target_contract,
        }
    }
}

impl From<&Route> for wire::Route {
    fn from(route: &Route) -> Self {
        Self {
            source_chain: route.source_chain,
            source_contract: route.source_contract.to_vec(),
            target_chain: route.target_chain,
            target_contract: route.target_contract.to_vec(),
        }
    }
}

impl TryFrom<&wire::Route> for Route {
    type Error = WireError;

    fn try_from(message: &wire::Route) -> Result<Self, WireError> {
        Ok(Self {
            source_chain: message.source_chain,
            source_contract: b256("source_contract", &message.source_contract)?,
            target_chain: message.target_chain,
            target_contract: b256("target_contract", &message.target_contract)?,
        })
    }
}
