//! The few JSON-RPC methods that are used, typed.

use alloy::primitives::{Address, B256, Bytes, U64, U256, hex};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::proof::{self, BlockRoots};
use crate::BlockRef;
use crate::rpc::{Call, ProviderError, RpcUrl, decode};

/// The part of a block header that matters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
    /// Where the rest of the header is there too, and all of it has this hash.
    #[serde(skip)]
    roots: Option<BlockRoots>,
}

/// Two providers say the same also where only one sends enough to prove it.
impl PartialEq for Header {
    fn eq(&self, other: &Self) -> bool {
        let said = |h: &Self| (h.number, h.hash, h.parent_hash, h.timestamp);
        said(self) == said(other)
    }
}

impl Header {
    /// Reads a block, and looks whether its fields have its hash.
    pub(super) fn read(answer: &RawValue, url: &RpcUrl) -> Result<Option<Self>, ProviderError> {
        let header: Option<Self> = decode(answer, url)?;
        Ok(header.map(|header| Self {
            roots: proof::block_roots(answer.get(), header.hash),
            ..header
        }))
    }

    /// What the block commits to, if all that is said of it has its hash.
    pub(super) const fn roots(&self) -> Option<BlockRoots> {
        self.roots
    }

    pub(super) fn number(&self) -> u64 {
        self.number.to()
    }

    pub(super) const fn hash(&self) -> B256 {
        self.hash
    }

    pub(super) const fn parent_hash(&self) -> B256 {
        self.parent_hash
    }

    pub(super) fn block(&self) -> BlockRef {
        BlockRef {
            number: self.number.to(),
            hash: self.hash,
            timestamp: self.timestamp.to(),
        }
    }
}

/// One event, as `eth_getLogs` has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    pub address: Address,
    pub topics: Vec<B256>,
    pub block_number: U64,
    pub log_index: U64,
    #[serde(default)]
    pub data: Bytes,
    #[serde(default)]
    pub removed: Option<bool>,
}

/// How a call of a contract ended. Both ends are answers.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum CallOutcome {
    Returned(Bytes),
    Reverted(Bytes),
}

impl CallOutcome {
    /// Whether no honest provider could say one where the other is true: some leave out with which data a
    /// contract reverted.
    pub(super) fn contradicts(&self, truth: &Self) -> bool {
        match (self, truth) {
            (Self::Reverted(data), Self::Reverted(other)) => !data.is_empty() && !other.is_empty(),
            _ => true,
        }
    }
}

impl std::fmt::Debug for CallOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Returned(data) => data.fmt(f),
            Self::Reverted(data) => write!(f, "revert {data}"),
        }
    }
}

pub(super) fn chain_id() -> Call {
    Call {
        method: "eth_chainId",
        params: "[]".to_owned(),
    }
}

pub(super) fn syncing() -> Call {
    Call {
        method: "eth_syncing",
        params: "[]".to_owned(),
    }
}

pub(super) fn block_number() -> Call {
    Call {
        method: "eth_blockNumber",
        params: "[]".to_owned(),
    }
}

/// The block at this height.
pub(super) fn block_at(number: u64) -> Call {
    block(&format!("{number:#x}"))
}

/// `block` is a tag or a hexadecimal number.
pub(super) fn block(block: &str) -> Call {
    Call {
        method: "eth_getBlockByNumber",
        params: format!(r#"["{block}",false]"#),
    }
}

/// A call against the state after the block with this hash, which must be in the chain still.
pub(super) fn eth_call(to: Address, data: &[u8], at: B256) -> Call {
    let data = hex::encode_prefixed(data);
    Call {
        method: "eth_call",
        params: format!(
            r#"[{{"to":"{to:#x}","data":"{data}"}},{{"blockHash":"{at:#x}","requireCanonical":true}}]"#
        ),
    }
}

/// A call against the newest state. Never for what is signed.
pub(super) fn eth_call_latest(to: Address, data: &[u8]) -> Call {
    let data = hex::encode_prefixed(data);
    Call {
        method: "eth_call",
        params: format!(r#"[{{"to":"{to:#x}","data":"{data}"}},"latest"]"#),
    }
}

/// The call that `call` (JSON) is, against the newest state.
pub(super) fn run(call: &str) -> Call {
    Call {
        method: "eth_call",
        params: format!(r#"[{call},"latest"]"#),
    }
}

/// What gas the call that `call` (JSON) is would take.
pub(super) fn estimate(call: &str) -> Call {
    Call {
        method: "eth_estimateGas",
        params: format!("[{call}]"),
    }
}

/// How many transactions an account has sent, as of the block with this tag.
pub(super) fn transaction_count(of: Address, tag: &str) -> Call {
    Call {
        method: "eth_getTransactionCount",
        params: format!(r#"["{of:#x}","{tag}"]"#),
    }
}

/// What an account holds now.
pub(super) fn balance(of: Address) -> Call {
    Call {
        method: "eth_getBalance",
        params: format!(r#"["{of:#x}","latest"]"#),
    }
}

/// Fees of the last 20 blocks: what a tenth, a half and nine tenths of their gas paid at most beyond the base fee.
pub(super) fn fee_history() -> Call {
    Call {
        method: "eth_feeHistory",
        params: r#"["0x14","latest",[10,50,90]]"#.to_owned(),
    }
}

/// Hands over a transaction.
pub(super) fn send(raw: &Bytes) -> Call {
    Call {
        method: "eth_sendRawTransaction",
        params: format!(r#"["{raw}"]"#),
    }
}

/// The code at an address now.
pub(super) fn code(address: Address) -> Call {
    Call {
        method: "eth_getCode",
        params: format!(r#"["{address:#x}","latest"]"#),
    }
}

/// Events of one contract, each topic of which is one of those that `topics` has at its place, in these blocks.
pub(super) fn logs(address: Address, topics: &[Vec<B256>], from: u64, to: u64) -> Call {
    let topic = |topic: &B256| format!("\"{topic:#x}\"");
    let one_of = |topics: &Vec<B256>| {
        let topics: Vec<String> = topics.iter().map(topic).collect();
        format!("[{}]", topics.join(","))
    };
    let topics: Vec<String> = topics.iter().map(one_of).collect();
    let topics = topics.join(",");
    Call {
        method: "eth_getLogs",
        params: format!(
            r#"[{{"address":"{address:#x}","topics":[{topics}],"fromBlock":"{from:#x}","toBlock":"{to:#x}"}}]"#
        ),
    }
}

/// All receipts of the block with this hash.
pub(super) fn block_receipts(block: B256) -> Call {
    Call {
        method: "eth_getBlockReceipts",
        params: format!(r#"["{block:#x}"]"#),
    }
}

/// The block with this hash, with the hashes of its transactions.
pub(super) fn block_of_hash(block: B256) -> Call {
    Call {
        method: "eth_getBlockByHash",
        params: format!(r#"["{block:#x}",false]"#),
    }
}

/// The receipt of a transaction.
pub(super) fn receipt(transaction: B256) -> Call {
    Call {
        method: "eth_getTransactionReceipt",
        params: format!(r#"["{transaction:#x}"]"#),
    }
}

/// Proofs of an account and of slots of its storage, in the state after the block with this hash.
pub(super) fn proof(of: Address, slots: &[U256], at: B256) -> Call {
    let slots: Vec<String> = slots
        .iter()
        .map(|slot| format!("\"{slot:#066x}\""))
        .collect();
    let slots = slots.join(",");
    Call {
        method: "eth_getProof",
        params: format!(
            r#"["{of:#x}",[{slots}],{{"blockHash":"{at:#x}","requireCanonical":true}}]"#
        ),
    }
}

/// One word of a contract's storage in the state after the block with this hash.
pub(super) fn storage_at(of: Address, slot: U256, at: B256) -> Call {
    Call {
        method: "eth_getStorageAt",
        params: format!(
            r#"["{of:#x}","{slot:#066x}",{{"blockHash":"{at:#x}","requireCanonical":true}}]"#
        ),
    }
}

/// Blocks that come while the one before is being executed.
const AT_HEAD: u64 = 4;

/// Whether an answer of `eth_syncing` says that blocks are missing. Some clients describe how far they
/// are also where that is the end, as while they index transactions.
pub(super) fn is_behind(answer: &RawValue) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Progress {
        current_block: U64,
        highest_block: U64,
    }
    if matches!(answer.get(), "false" | "null") {
        return false;
    }
    let Ok(progress) = serde_json::from_str::<Progress>(answer.get()) else {
        return true;
    };
    let missing = progress
        .highest_block
        .saturating_sub(progress.current_block);
    missing > U64::from(AT_HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_behind_takes_a_long_answer_at_the_head_for_no() {
        let table = [
            ("false", false),
            ("null", false),
            ("true", true),
            (r#"{"currentBlock":"0x10","highestBlock":"0x10"}"#, false),
            (r#"{"currentBlock":"0xe","highestBlock":"0x10"}"#, false),
            (r#"{"currentBlock":"0x12","highestBlock":"0x10"}"#, false),
            (
                r#"{"currentBlock":16,"highestBlock":16,"stages":[]}"#,
                false,
            ),
            (r#"{"currentBlock":"0x1","highestBlock":"0x9"}"#, true),
            (r#"{"currentBlock":"0x1"}"#, true),
            (r#"{"batchSeen":9,"batchProcessed":7}"#, true),
        ];
        for (answer, expected) in table {
            let raw = RawValue::from_string(answer.to_owned()).expect("JSON");
            assert_eq!(is_behind(&raw), expected, "{answer}");
        }
    }
}
