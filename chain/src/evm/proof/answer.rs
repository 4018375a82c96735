//! What `eth_getProof` answers (EIP-1186), and what of it holds.

use alloy::consensus::TrieAccount;
use alloy::consensus::constants::KECCAK_EMPTY;
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::rlp::{Decodable, decode_exact};
use serde::Deserialize;

use super::trie::{Flaw, MAX_NODE, MAX_NODES, prove};

/// Bytes of one proof in an answer: 65 nodes of 532 bytes in hexadecimal digits, and nobody has tries
/// that are half as deep, which leaves room for everything around them.
const MAX_PROOF: usize = 2 * MAX_NODES * MAX_NODE;

/// An answer that can be read. Nothing in it is true yet.
///
/// What else it says of account and slots (balance, value …) is left unread: the nodes say it too.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::evm) struct ProofAnswer {
    account_proof: Vec<Bytes>,
    storage_proof: Vec<StorageProof>,
}

#[derive(Clone, Debug, Deserialize)]
struct StorageProof {
    proof: Vec<Bytes>,
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

    /// The proofs of the slots at these places of the `asked` ones; none where the answer has another
    /// number of them, which no caller takes.
    pub(in crate::evm) fn part(&self, asked: usize, places: &[usize]) -> Self {
        let proofs = match self.storage_proof.len() == asked {
            true => &self.storage_proof[..],
            false => &[],
        };
        let shown = places.iter().filter_map(|place| proofs.get(*place));
        Self {
            account_proof: self.account_proof.clone(),
            storage_proof: shown.cloned().collect(),
        }
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
        let pairs = slots.iter().zip(&self.storage_proof);
        pairs.enumerate().map(value).collect()
    }
}

fn decode<T: Decodable>(found: &[u8]) -> Result<T, Flaw> {
    decode_exact(found).map_err(|_| Flaw::Value)
}

#[cfg(test)]
mod tests;
