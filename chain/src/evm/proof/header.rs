//! The state root of a block whose hash is known.

use alloy::consensus;
use alloy::primitives::B256;

/// The state root in the header that `json` describes, if all its fields together have this hash.
///
/// `None` where they have not, or not all are there: the chain has header fields that are not known
/// here, or the provider leaves some out, or it lies. Fields that are of no header, such as the
/// list of transactions, do not matter.
pub(in crate::evm) fn state_root(json: &str, hash: B256) -> Option<B256> {
    let header: consensus::Header = serde_json::from_str(json).ok()?;
    (header.hash_slow() == hash).then_some(header.state_root)
}

#[cfg(test)]
mod tests;
