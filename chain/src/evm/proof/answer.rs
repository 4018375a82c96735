//! What `eth_getProof` answers (EIP-1186), and what of it holds.

use std::collections::HashMap;

use alloy::consensus::TrieAccount;
use alloy::consensus::constants::KECCAK_EMPTY;
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::rlp::{Decodable, decode_exact};
use serde::{Deserialize, Deserializer};

use super::trie::{Flaw, MAX_NODE, MAX_NODES, prove};

/// Bytes of one proof in an answer: 65 nodes of 532 bytes in hexadecimal digits, and no chain has tries
/// that are half as deep, which leaves room for everything around them.
const MAX_PROOF: usize = 2 * MAX_NODES * MAX_NODE;

/// An answer that can be read. Nothing in it is true yet.
///
/// What else it says of account and slots (balance, value …) is left unread: the nodes say it too.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::evm) struct ProofAnswer {
    #[serde(deserialize_with = "or_none")]
    account_proof: Vec<Bytes>,
    #[serde(deserialize_with = "or_none")]
    storage_proof: Vec<StorageProof>,
}

#[derive(Clone, Debug, Deserialize)]
struct StorageProof {
    /// Which slot it is about, as it says: with or without leading zeros, or not at all.
    #[serde(default, deserialize_with = "slot_or_none")]
    key: Option<U256>,
    #[serde(deserialize_with = "or_none")]
    proof: Vec<Bytes>,
}

/// Some clients write `null` for an empty list.
fn or_none<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// What is no number says nothing; the nodes tell anyway.
fn slot_or_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<U256>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(from)?;
    let text = value.as_ref().and_then(serde_json::Value::as_str);
    Ok(text.and_then(slot))
}

fn slot(text: &str) -> Option<U256> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    U256::from_str_radix(digits?, 16).ok()
}

/// A contract, as a state proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evm) struct Contract {
    storage_root: B256,
}

/// Why an answer proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::evm) enum Forged {
    #[error("its proof of the account: {0}")]
    Account(Flaw),
    #[error("its proof of storage slot {0}: {1}")]
    Slot(usize, Flaw),
    #[error("it has {found} storage proofs where {asked} were asked for")]
    Count {
        /// Slots that were asked for.
        asked: usize,
        /// Proofs that came.
        found: usize,
    },
}

impl ProofAnswer {
    /// Reads an answer about so many slots; the error says why it is none.
    pub(in crate::evm) fn read(json: &str, slots: usize) -> Result<Self, String> {
        let most = slots.saturating_add(1).saturating_mul(MAX_PROOF);
        if json.len() > most {
            return Err(format!("proofs of more than {most} bytes"));
        }
        serde_json::from_str(json).map_err(|problem| problem.to_string())
    }

    /// The proofs of these slots out of those of the `asked` ones; none where the answer has another number
    /// of them, which no caller takes.
    pub(in crate::evm) fn part(&self, asked: &[U256], places: &[usize]) -> Self {
        let proofs = match self.storage_proof.len() == asked.len() {
            true => self.in_order(asked),
            false => Vec::new(),
        };
        let shown = places.iter().filter_map(|place| proofs.get(*place));
        Self {
            account_proof: self.account_proof.clone(),
            storage_proof: shown.map(|shown| (*shown).clone()).collect(),
        }
    }

    /// The proof of each slot: the one that names it, or where not all are named the one at its place.
    fn in_order(&self, slots: &[U256]) -> Vec<&StorageProof> {
        let shown = self.storage_proof.iter();
        let named: HashMap<U256, &StorageProof> = shown
            .filter_map(|shown| Some((shown.key?, shown)))
            .collect();
        let by_name: Option<Vec<_>> = slots.iter().map(|slot| named.get(slot).copied()).collect();
        by_name.unwrap_or_else(|| self.storage_proof.iter().collect())
    }

    #[cfg(test)]
    pub(in crate::evm) fn nodes(&self) -> impl Iterator<Item = &Bytes> {
        self.storage_proof.iter().flat_map(|shown| &shown.proof)
    }

    /// The contract at `address` in the state with this root; `None` where provably no contract is.
    pub(in crate::evm) fn contract(
        &self,
        state_root: B256,
        address: Address,
    ) -> Result<Option<Contract>, Forged> {
        let found =
            prove(state_root, keccak256(address), &self.account_proof).map_err(Forged::Account)?;
        let Some(found) = found else {
            return Ok(None);
        };
        let account: TrieAccount = decode(&found).map_err(Forged::Account)?;
        let contract = Contract {
            storage_root: account.storage_root,
        };
        Ok((account.code_hash != KECCAK_EMPTY).then_some(contract))
    }

    /// The values of these slots of `contract`, in the order in which they were asked for.
    pub(in crate::evm) fn values(
        &self,
        contract: Contract,
        slots: &[U256],
    ) -> Result<Vec<U256>, Forged> {
        if self.storage_proof.len() != slots.len() {
            return Err(Forged::Count {
                asked: slots.len(),
                found: self.storage_proof.len(),
            });
        }
        let value = |(number, (slot, shown)): (usize, (&U256, &StorageProof))| {
            let key = keccak256(slot.to_be_bytes::<32>());
            let found = prove(contract.storage_root, key, &shown.proof);
            let value = found.and_then(|found| match found {
                None => Ok(U256::ZERO),
                Some(found) => decode(&found),
            });
            value.map_err(|flaw| Forged::Slot(number, flaw))
        };
        let pairs = slots.iter().zip(self.in_order(slots));
        pairs.enumerate().map(value).collect()
    }
}

fn decode<T: Decodable>(found: &[u8]) -> Result<T, Flaw> {
    decode_exact(found).map_err(|_| Flaw::Value)
}

#[cfg(test)]
mod tests;
