//! Signing logs as files: `docs/operations.md` has the format.
//!
//! A file may have a million entries, so neither side holds it in memory. An import reads it twice:
//! the first time nothing is written and everything is checked, the second time the entries are added
//! in batches, and that a log is whole is noted with the last of them. Additions do no harm, so an
//! import that was cut short is simply done again.

mod export;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod import;
mod inspect;
mod read;

use quorate_proto::Address;
use quorate_storage::StoreError;
use serde::{Deserialize, Serialize};

pub use export::export;
pub use import::import;
pub use inspect::{inspect, metadata};

/// What the files say that they are.
pub const FORMAT: &str = "quorate-signing-log";
/// The version that is written. The one before it is read as well: it has nothing removed.
pub const VERSION: u32 = 3;
const OLDEST_VERSION: u32 = 2;
/// Entries between two reports of progress.
pub const STRIDE: u64 = 10_000;

/// The head of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// EIP-155 id of the network's home chain.
    pub home_chain_id: u64,
    /// Address of its stake registry.
    pub registry: String,
    /// Whose log it is.
    pub operator: String,
    /// Its keys whose signatures the log holds, the newest last.
    pub signing_keys: Vec<String>,
    /// The newest epoch up to which the home chain had no other keys for the operator.
    pub seen_epoch: u32,
    /// Newest sequence of a binding or presence that the log stands behind.
    pub sequence: u64,
    /// Whether the log held all that the operator had signed until then, as far as its store knew.
    pub complete: bool,
    /// The key with which a log begins that lacks what other keys signed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins_with: Option<String>,
    /// What was signed in epochs before this one may have been removed: the stake behind it is out of reach.
    #[serde(default)]
    pub forgotten_before: u32,
    /// When the file was made, in Unix milliseconds.
    pub exported_ms: u64,
    /// Version of the program that made it.
    pub program: String,
}

/// What was signed for one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEntry {
    /// What may have one truth only, 32 bytes.
    pub slot: String,
    /// The truth: hash of the statement without its epoch, 32 bytes.
    pub fact: String,
    /// What was signed for it in the newest epoch that signed it, 32 bytes.
    pub digest: String,
    /// The task that this answered, 32 bytes.
    pub task: String,
    /// With which key, 20 bytes.
    pub signing_key: String,
    /// That epoch.
    pub epoch: u32,
    /// When, in Unix milliseconds.
    pub time_ms: u64,
}

/// What a file holds, or what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSummary {
    /// Whose log it is.
    pub operator: String,
    /// As in [`Metadata`].
    pub signing_keys: Vec<String>,
    /// As in [`Metadata`].
    pub sequence: u64,
    /// As in [`Metadata`].
    pub complete: bool,
    /// As in [`Metadata`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins_with: Option<String>,
    /// Entries in the file.
    pub entries: u64,
    /// Those that were added; imports only.
    pub added: u64,
    /// Whether the store lets the operator sign now, be it only what is young; imports only.
    pub usable: bool,
}

impl LogSummary {
    fn of(metadata: &Metadata) -> Self {
        Self {
            operator: metadata.operator.clone(),
            signing_keys: metadata.signing_keys.clone(),
            sequence: metadata.sequence,
            complete: metadata.complete,
            begins_with: metadata.begins_with.clone(),
            entries: 0,
            added: 0,
            usable: false,
        }
    }
}

/// Why a log was not exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be read or written.
    #[error("the signing log file: {0}")]
    Io(#[from] std::io::Error),
    /// The file is no signing log, or a damaged one.
    #[error("the file is no signing log that can be imported: {0}; nothing was changed")]
    Malformed(String),
    /// The file is of a later version.
    #[error(
        "the file has version {found} of the format, this program reads {VERSION}; \
         export it with a program of this version; nothing was changed"
    )]
    Version {
        /// What the file says.
        found: u32,
    },
    /// The file is of another network.
    #[error(
        "the file is of network {found}, the store of {expected}; \
         name the right file, or the right --data-dir; nothing was changed"
    )]
    Network {
        /// What the file says.
        found: String,
        /// Of the store.
        expected: String,
    },
    /// The file is of another operator.
    #[error(
        "the file is the log of operator {found}, not of {expected}; \
         name the right file, or the right --operator; nothing was changed"
    )]
    Operator {
        /// Whose log it is.
        found: Address,
        /// Whose was to be imported.
        expected: Address,
    },
    /// Two facts for one slot.
    #[error(
        "{0}. The operator has signed two facts, or one of the two logs is wrong; nothing was changed. \
         Find out which one is right before anything is signed with either"
    )]
    Conflict(Box<Clash>),
}

/// An entry of a file that contradicts the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "operator {operator}, slot {slot}: the file has fact {found} (task {found_task}, epoch {found_epoch}), \
     the store has {recorded} (task {recorded_task}, epoch {recorded_epoch})"
)]
#[allow(missing_docs)]
pub struct Clash {
    pub operator: Address,
    pub slot: String,
    pub found: String,
    pub found_task: String,
    pub found_epoch: u32,
    pub recorded: String,
    pub recorded_task: String,
    pub recorded_epoch: u32,
}

fn text(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

#[cfg(test)]
mod tests;
