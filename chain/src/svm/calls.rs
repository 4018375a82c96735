//! The few JSON-RPC methods that are used, typed. All is asked at the commitment "finalized".

use alloy::primitives::B256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::PublicKey;
use crate::BlockRef;
use crate::rpc::{Call, ProviderError, RpcUrl, decode};

/// Entries of one page of signatures: the most that providers send.
pub(super) const MAX_SIGNATURES: usize = 1_000;

/// The part of a block that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) block: BlockRef,
    /// Slot and hash of the block before it.
    pub(super) parent: (u64, B256),
}

/// The first bytes of an account at a slot, as a provider says.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// The state of which slot that is.
    pub(super) slot: u64,
    /// Who may write the account, and what it holds; `None` where there is none.
    pub(super) held: Option<(PublicKey, Vec<u8>)>,
}

/// A transaction, by the signature that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Signature(pub(super) [u8; 64]);

/// A transaction that names an account.
#[derive(Deserialize)]
pub(super) struct SignatureEntry {
    #[serde(deserialize_with = "signature")]
    pub(super) signature: Signature,
    pub(super) slot: u64,
    #[serde(default)]
    err: Option<Value>,
}

/// A transaction as `getTransaction` shows it.
#[derive(Deserialize)]
pub(super) struct Transaction {
    pub(super) slot: u64,
    transaction: Envelope,
    pub(super) meta: Meta,
}

#[derive(Deserialize)]
struct Envelope {
    message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    account_keys: Vec<PublicKey>,
    instructions: Vec<Instruction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    #[serde(default)]
    err: Option<Value>,
    /// What was logged; one entry may hold line breaks.
    #[serde(default)]
    pub(super) log_messages: Option<Vec<String>>,
    #[serde(default)]
    inner_instructions: Option<Vec<InnerInstructions>>,
    #[serde(default)]
    loaded_addresses: Option<LoadedAddresses>,
}

#[derive(Deserialize)]
struct InnerInstructions {
    index: usize,
    instructions: Vec<Instruction>,
}

#[derive(Default, Deserialize)]
struct LoadedAddresses {
    writable: Vec<PublicKey>,
    readonly: Vec<PublicKey>,
}

/// An instruction, with places among the transaction's accounts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instruction {
    program_id_index: usize,
    accounts: Vec<usize>,
    /// Base58.
    data: String,
}

impl SignatureEntry {
    pub(super) const fn has_failed(&self) -> bool {
        self.err.is_some()
    }
}

impl Transaction {
    pub(super) const fn has_failed(&self) -> bool {
        self.meta.err.is_some()
    }

    /// All instructions in the order in which they began, inner ones behind those that called them.
    pub(super) fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        let inner = |index: usize| {
            let lists = self.meta.inner_instructions.iter().flatten();
            let of_it = lists.filter(move |list| list.index == index);
            of_it.flat_map(|list| &list.instructions)
        };
        let outer = self.transaction.message.instructions.iter().enumerate();
        outer.flat_map(move |(index, outer)| std::iter::once(outer).chain(inner(index)))
    }

    /// The account at this place: those of the message, then those that lookup tables add.
    fn account(&self, index: usize) -> Option<PublicKey> {
        let loaded = self.meta.loaded_addresses.iter();
        let loaded = loaded.flat_map(|loaded| loaded.writable.iter().chain(&loaded.readonly));
        let keys = self.transaction.message.account_keys.iter().chain(loaded);
        keys.copied().nth(index)
    }
}

impl Instruction {
    pub(super) fn program(&self, of: &Transaction) -> Option<PublicKey> {
        of.account(self.program_id_index)
    }

    /// Its account with this number.
    pub(super) fn account(&self, number: usize, of: &Transaction) -> Option<PublicKey> {
        of.account(*self.accounts.get(number)?)
    }

    pub(super) fn data(&self) -> Option<Vec<u8>> {
        bs58::decode(&self.data).into_vec().ok()
    }
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&bs58::encode(self.0).into_string())
    }
}

fn signature<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Signature, D::Error> {
    let text = String::deserialize(from)?;
    let mut bytes = [0; 64];
    match bs58::decode(&text).onto(&mut bytes) {
        Ok(64) => Ok(Signature(bytes)),
        _ => Err(serde::de::Error::custom("no signature of 64 bytes")),
    }
}

fn call(method: &'static str, params: &Value) -> Call {
    Call {
        method,
        params: params.to_string(),
    }
}

pub(super) fn genesis_hash() -> Call {
    call("getGenesisHash", &json!([]))
}

/// The newest slot that is final.
pub(super) fn slot() -> Call {
    call("getSlot", &json!([{"commitment": "finalized"}]))
}

/// The block of a slot, without its transactions.
pub(super) fn block(slot: u64) -> Call {
    let options = json!({
        "commitment": "finalized", "transactionDetails": "none", "rewards": false,
        "maxSupportedTransactionVersion": 0,
    });
    call("getBlock", &json!([slot, options]))
}

/// Reads the block of a slot; `None` where there is none yet.
pub(super) fn read_block(
    slot: u64,
    answer: &RawValue,
    url: &RpcUrl,
) -> Result<Option<Block>, ProviderError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shown {
        blockhash: PublicKey,
        previous_blockhash: PublicKey,
        parent_slot: u64,
        block_time: Option<u64>,
    }
    let Some(shown) = decode::<Option<Shown>>(answer, url)? else {
        return Ok(None);
    };
    let unknown = || ProviderError::Unknown(format!("the time of slot {slot}"));
    Ok(Some(Block {
        block: BlockRef {
            number: slot,
            hash: shown.blockhash.0,
            timestamp: shown.block_time.ok_or_else(unknown)?,
        },
        parent: (shown.parent_slot, shown.previous_blockhash.0),
    }))
}

/// The first bytes of an account, in the state of this slot or a later one.
pub(super) fn account(address: PublicKey, length: usize, min_slot: u64) -> Call {
    let options = json!({
        "commitment": "finalized", "encoding": "base64", "minContextSlot": min_slot,
        "dataSlice": {"offset": 0, "length": length},
    });
    call("getAccountInfo", &json!([address.to_string(), options]))
}

/// Reads an account of which so many bytes were asked for.
pub(super) fn read_account(
    length: usize,
    answer: &RawValue,
    url: &RpcUrl,
) -> Result<Account, ProviderError> {
    #[derive(Deserialize)]
    struct Shown {
        context: Context,
        value: Option<Held>,
    }
    #[derive(Deserialize)]
    struct Context {
        slot: u64,
    }
    #[derive(Deserialize)]
    struct Held {
        owner: PublicKey,
        data: (String, String),
    }
    let shown: Shown = decode(answer, url)?;
    let held = |held: Held| match (STANDARD.decode(&held.data.0), held.data.1.as_str()) {
        (Ok(bytes), "base64") if bytes.len() <= length => Ok((held.owner, bytes)),
        _ => Err(ProviderError::malformed(
            "the data of an account that is no base64 of the length that was asked for",
        )),
    };
    Ok(Account {
        slot: shown.context.slot,
        held: shown.value.map(held).transpose()?,
    })
}

/// Transactions that name an account, newest first: those before one, and not from another on.
pub(super) fn signatures(
    address: PublicKey,
    before: Option<Signature>,
    until: Option<Signature>,
) -> Call {
    let mut options = json!({"commitment": "finalized", "limit": MAX_SIGNATURES});
    for (name, end) in [("before", before), ("until", until)] {
        if let Some(end) = end {
            options[name] = json!(end.to_string());
        }
    }
    call(
        "getSignaturesForAddress",
        &json!([address.to_string(), options]),
    )
}

pub(super) fn transaction(signature: Signature) -> Call {
    let options = json!({
        "commitment": "finalized", "encoding": "json", "maxSupportedTransactionVersion": 0,
    });
    call("getTransaction", &json!([signature.to_string(), options]))
}

/// What became of transactions, however old.
pub(super) fn statuses(signatures: &[Signature]) -> Call {
    let signatures: Vec<String> = signatures.iter().map(ToString::to_string).collect();
    let options = json!({"searchTransactionHistory": true});
    call("getSignatureStatuses", &json!([signatures, options]))
}

/// The slots of so many transactions.
pub(super) fn read_statuses(
    count: usize,
    answer: &RawValue,
    url: &RpcUrl,
) -> Result<Vec<u64>, ProviderError> {
    #[derive(Deserialize)]
    struct Shown {
        value: Vec<Option<Status>>,
    }
    #[derive(Deserialize)]
    struct Status {
        slot: u64,
    }
    let shown = decode::<Shown>(answer, url)?.value;
    let slots: Option<Vec<u64>> = shown.into_iter().map(|status| Some(status?.slot)).collect();
    slots
        .filter(|slots| slots.len() == count)
        .ok_or_else(|| ProviderError::Unknown("where a transaction is".to_owned()))
}
