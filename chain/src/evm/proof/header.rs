//! The roots of a block whose hash is known.

use alloy::consensus;
use alloy::primitives::{B256, Bytes, U256, keccak256};
use alloy::rlp::{self, Encodable};
use serde_json::{Map, Value, json};

/// What a header commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRoots {
    /// Root of the state after the block.
    pub state: B256,
    /// Root of the receipts of its transactions.
    pub receipts: B256,
}

impl From<&consensus::Header> for BlockRoots {
    fn from(header: &consensus::Header) -> Self {
        Self {
            state: header.state_root,
            receipts: header.receipts_root,
        }
    }
}

/// The roots in the header that `json` describes, if all its fields together have this hash.
///
/// `None` where they have not, or not all are there: the chain has header fields that are not known
/// here, or the provider leaves some out, or it lies. Fields that are of no header, such as the
/// list of transactions, do not matter.
pub(in crate::evm) fn roots(json: &str, hash: B256) -> Option<BlockRoots> {
    if let Ok(header) = serde_json::from_str::<consensus::Header>(json) {
        return (header.hash_slow() == hash).then(|| BlockRoots::from(&header));
    }
    sealed_by_authorities(json, hash)
}

/// Items of a header before its seal, and bytes of the usual seal: a word and eight bytes.
const BEFORE_SEAL: usize = 13;
const USUAL_SEAL: usize = 33 + 9;

/// The same of headers from the time of a chain's proof of authority (Aura, as on Gnosis before the merge),
/// where a step and a signature are in place of `mixHash` and `nonce`.
fn sealed_by_authorities(json: &str, hash: B256) -> Option<BlockRoots> {
    let mut fields: Map<String, Value> = serde_json::from_str(json).ok()?;
    let seal = authority_seal(&fields)?;
    fields.insert("mixHash".to_owned(), json!(B256::ZERO));
    fields.insert("nonce".to_owned(), json!("0x0000000000000000"));
    let header: consensus::Header = serde_json::from_value(Value::Object(fields)).ok()?;
    let encoded = rlp::encode(&header);
    let items = rlp::Header::decode_bytes(&mut encoded.as_slice(), true).ok()?;
    let mut rest = items;
    for _ in 0..BEFORE_SEAL {
        rlp::Header::decode_bytes(&mut rest, false).ok()?;
    }
    let (before, after) = (
        items.get(..items.len() - rest.len())?,
        rest.get(USUAL_SEAL..)?,
    );
    let payload = [before, &seal, after].concat();
    let mut sealed = Vec::new();
    let list = rlp::Header {
        list: true,
        payload_length: payload.len(),
    };
    list.encode(&mut sealed);
    sealed.extend(payload);
    (keccak256(sealed) == hash).then(|| BlockRoots::from(&header))
}

/// Step and signature, encoded; clients name them differently.
fn authority_seal(fields: &Map<String, Value>) -> Option<Vec<u8>> {
    let field = |names: [&str; 2]| names.iter().find_map(|name| fields.get(*name));
    let (step, signature) = (
        field(["auraStep", "step"])?,
        field(["auraSeal", "signature"])?,
    );
    let step: U256 = serde_json::from_value(step.clone()).ok()?;
    let signature: Bytes = serde_json::from_value(signature.clone()).ok()?;
    let mut seal = rlp::encode(step);
    signature.encode(&mut seal);
    Some(seal)
}

#[cfg(test)]
mod tests;
