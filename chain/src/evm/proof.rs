//! Proofs of state: pure decoding and verification, apart from the client that asks for them.
//!
//! What k providers agree on is the hash of a block. From there on no provider is believed: [`header`]
//! ties the roots of state and receipts to that hash, [`answer`] ties storage to the one by the nodes of
//! [`trie`], [`history`] says which slots show the entry that counts at a block, and [`receipts`] ties all
//! events of the block to the other.

use alloy::primitives::{Address, B256, U256};

pub use header::BlockRoots;

pub(super) mod answer;
pub(super) mod header;
pub(super) mod history;
pub(super) mod receipts;
pub(super) mod trie;

/// Why an answer proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProofError(String);

/// The roots of the block with this hash, if the fields of `header` (JSON, as
/// `eth_getBlockByNumber` has it) together have that hash.
#[must_use]
pub fn block_roots(header: &str, hash: B256) -> Option<BlockRoots> {
    header::roots(header, hash)
}

/// What `answer` (JSON, as `eth_getProof` has it) proves about these slots of a contract in the state
/// with this root, in their order; `None` where it proves that there is no contract.
///
/// # Errors
/// [`ProofError`] says which node is not what it should be.
pub fn prove_slots(
    answer: &str,
    state_root: B256,
    contract: Address,
    slots: &[U256],
) -> Result<Option<Vec<U256>>, ProofError> {
    let answer = answer::ProofAnswer::read(answer, slots.len()).map_err(ProofError)?;
    let forged = |forged: answer::Forged| ProofError(forged.to_string());
    match answer.contract(state_root, contract).map_err(forged)? {
        Some(contract) => answer.values(contract, slots).map(Some).map_err(forged),
        None => Ok(None),
    }
}
