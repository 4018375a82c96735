//! The events of a block whose receipts root is known.
//!
//! # Design Decisions
//!
//! The trie is built anew from all receipts: that also shows that none is left out, where a proof of one
//! receipt would show no more than that one is there. Places are counted and not believed. The hashes of
//! transactions are in no receipt, so they are hints.

use alloy::primitives::{Address, B256, Bloom, Bytes, Log, U64, logs_bloom};
use alloy::rlp::{self, Encodable};
use alloy::trie::EMPTY_ROOT_HASH;
use alloy::trie::root::ordered_trie_root_with_encoder;
use serde::Deserialize;

/// Of a deposit on OP chains, whose receipts may have two fields more.
const DEPOSIT: u8 = 0x7e;

/// Other types whose receipts are a type byte and the four usual fields: Ethereum's, and those of Arbitrum.
const TYPES: [u8; 12] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x64, 0x65, 0x66, 0x68, 0x69, 0x6a, 0x78,
];

/// A receipt, as RPC shows it. Nothing in it is true yet, and what no root covers is left unread.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::evm) struct RpcReceipt {
    #[serde(default, rename = "type")]
    kind: Option<U64>,
    /// State after the transaction, which receipts before Byzantium have in place of a status.
    #[serde(default)]
    root: Option<Bytes>,
    #[serde(default)]
    status: Option<U64>,
    cumulative_gas_used: U64,
    #[serde(default)]
    logs_bloom: Option<Bloom>,
    logs: Vec<RpcReceiptLog>,
    #[serde(default)]
    block_hash: Option<B256>,
    transaction_hash: B256,
    #[serde(default)]
    transaction_index: Option<U64>,
    #[serde(default)]
    deposit_nonce: Option<U64>,
    #[serde(default)]
    deposit_receipt_version: Option<U64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RpcReceiptLog {
    address: Address,
    topics: Vec<B256>,
    #[serde(default)]
    data: Bytes,
    #[serde(default)]
    log_index: Option<U64>,
}

/// An event of a block, at its place there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::evm) struct ProvenLog {
    /// Its place among the events of the block.
    pub(in crate::evm) index: u64,
    /// Of its transaction, as a provider says.
    pub(in crate::evm) transaction: B256,
    pub(in crate::evm) log: Log,
}

/// Why receipts prove nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::evm) enum ReceiptFlaw {
    #[error("receipt {0} has neither a status nor a state root")]
    Outcome(usize),
    #[error("receipt {0} says that it is at another place")]
    Place(usize),
    #[error("receipt {0} has type {1}, whose form is not known here")]
    Type(usize, u64),
    #[error("the bloom of receipt {0} is not that of its events")]
    Bloom(usize),
    #[error("there are none where the block has some")]
    Absent,
    #[error("the receipts have not the root of the block")]
    Root,
}

impl ReceiptFlaw {
    /// No honest provider shows that.
    pub(in crate::evm) const fn is_lie(self) -> bool {
        matches!(self, Self::Bloom(_) | Self::Root)
    }
}

impl RpcReceipt {
    /// Of which block it is, where it says so.
    pub(in crate::evm) const fn block(&self) -> Option<B256> {
        self.block_hash
    }
}

/// All events of the block whose receipts have this root, in their order, if `receipts` are all its receipts.
pub(in crate::evm) fn prove(
    receipts: Vec<RpcReceipt>,
    root: B256,
) -> Result<Vec<ProvenLog>, ReceiptFlaw> {
    let mut encoded = Vec::with_capacity(receipts.len());
    let (mut found, mut unknown) = (Vec::new(), None);
    for (number, receipt) in receipts.into_iter().enumerate() {
        let kind = receipt.kind.map_or(0, |kind| kind.to::<u64>());
        let known = u8::try_from(kind).ok();
        if known.is_none_or(|kind| kind != DEPOSIT && !TYPES.contains(&kind)) {
            unknown = unknown.or(Some(ReceiptFlaw::Type(number, kind)));
        }
        let kind = known.ok_or(ReceiptFlaw::Type(number, kind))?;
        receipt.check_places(number, found.len())?;
        let (transaction, (fields, logs)) = (receipt.transaction_hash, receipt.fields(number)?);
        encoded.push(typed(kind, &fields));
        for log in logs {
            let index = found.len() as u64;
            found.push(ProvenLog {
                index,
                transaction,
                log,
            });
        }
    }
    if encoded.is_empty() && root != EMPTY_ROOT_HASH {
        // What clients answer that have not kept them.
        return Err(ReceiptFlaw::Absent);
    }
    let built = ordered_trie_root_with_encoder(&encoded, |receipt, out| out.extend(receipt));
    match built == root {
        true => Ok(found),
        false => Err(unknown.unwrap_or(ReceiptFlaw::Root)),
    }
}

impl RpcReceipt {
    /// Whether it is the receipt with this number, after so many events of those before.
    fn check_places(&self, number: usize, events: usize) -> Result<(), ReceiptFlaw> {
        let is = |said: Option<U64>, place: usize| said.is_none_or(|said| said == U64::from(place));
        let logs = self.logs.iter().zip(events..);
        let fits = is(self.transaction_index, number)
            && logs
                .into_iter()
                .all(|(log, place)| is(log.log_index, place));
        fits.then_some(()).ok_or(ReceiptFlaw::Place(number))
    }

    /// Its fields, encoded one after the other, and its events.
    fn fields(self, number: usize) -> Result<(Vec<u8>, Vec<Log>), ReceiptFlaw> {
        let mut fields = Vec::new();
        match (self.root.filter(|root| !root.is_empty()), self.status) {
            (Some(root), _) if root.len() == B256::len_bytes() => root.encode(&mut fields),
            (None, Some(status)) if status <= U64::from(1) => status.encode(&mut fields),
            _ => return Err(ReceiptFlaw::Outcome(number)),
        }
        let log = |log: RpcReceiptLog| Log::new(log.address, log.topics, log.data);
        // More than four topics is no event.
        let logs: Option<Vec<Log>> = self.logs.into_iter().map(log).collect();
        let logs = logs.ok_or(ReceiptFlaw::Root)?;
        let bloom = logs_bloom(&logs);
        if self.logs_bloom.is_some_and(|said| said != bloom) {
            return Err(ReceiptFlaw::Bloom(number));
        }
        self.cumulative_gas_used.encode(&mut fields);
        bloom.encode(&mut fields);
        logs.encode(&mut fields);
        // Those of before Canyon have a nonce that no root covers.
        let is_deposit = self.kind == Some(U64::from(DEPOSIT));
        if let (true, Some(nonce), Some(version)) =
            (is_deposit, self.deposit_nonce, self.deposit_receipt_version)
        {
            nonce.encode(&mut fields);
            version.encode(&mut fields);
        }
        Ok((fields, logs))
    }
}

/// A receipt with these fields, as its trie has it.
fn typed(kind: u8, fields: &[u8]) -> Vec<u8> {
    let header = rlp::Header {
        list: true,
        payload_length: fields.len(),
    };
    let mut receipt = Vec::with_capacity(1 + header.length() + fields.len());
    receipt.extend((kind != 0).then_some(kind));
    header.encode(&mut receipt);
    receipt.extend_from_slice(fields);
    receipt
}

#[cfg(test)]
mod tests;
