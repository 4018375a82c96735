use std::{io, path::PathBuf, sync::Arc};

use crate::{EngineKind, SigningEntry};

/// Everything that can go wrong with the store. Cloneable, because one failed commit answers many
/// callers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    // -- refused to open: change a setting
    // -------------------------------------------------------------------
    /// Another process has the store open.
    #[error(
        "store {} is locked by another process; stop it or choose another --data-dir",
        path.display()
    )]
    Locked {
        /// The folder asked for.
        path: PathBuf,
    },
    /// The store was written under another layout.
    #[error(
        "store {} has schema version {found} and was made by {}, this build reads version {known}; {}",
        path.display(),
        maker(made_by),
        schema_cure(*found, *known)
    )]
    UnknownSchema {
        /// The folder asked for.
        path: PathBuf,
        /// The version it was written with.
        found: u32,
        /// Version of the program that made it; empty where it does not say.
        made_by: String,
        /// The only version this build reads.
        known: u32,
    },
    /// The store holds another network's history.
    #[error(
        "store {} belongs to network {found:?}, this node is configured for {configured:?}; \
         choose another --data-dir or correct the network settings",
        path.display()
    )]
    OtherNetwork {
        /// The folder asked for.
        path: PathBuf,
        /// The network whose data it holds.
        found: String,
        /// The network asked for.
        configured: String,
    },
    /// The store was created by the other engine.
    #[error(
        "store {} was created by the {found} engine, {configured} was asked for; \
         set the storage engine to {found} or choose another --data-dir",
        path.display()
    )]
    OtherEngine {
        /// The folder asked for.
        path: PathBuf,
        /// The engine that created it.
        found: EngineKind,
        /// The engine asked for.
        configured: EngineKind,
    },

    /// There is no store to open.
    #[error("there is no store in {}; name the folder of one", path.display())]
    Missing {
        /// The folder asked for.
        path: PathBuf,
    },
    /// The operator must not sign with this log, or not in this process or with this key.
    #[error(
        "the signing log of operator 0x{operator} may not be signed with in this process and with this \
         key; import the log, or make another key"
    )]
    LogNotWhole {
        /// The operator in hex.
        operator: String,
    },

    // -- the disk: act, then start again
    // ---------------------------------------------------------------------
    /// The disk, or the quota on it, is full.
    #[error(
        "{context}: no space left; free space on the disk of the --data-dir, then restart the node"
    )]
    NoSpace {
        /// What was being done.
        context: String,
    },
    /// The operating system or the engine failed.
    #[error(
        "{context}: {reason}; check the disk and the permissions of the --data-dir, then restart \
         the node"
    )]
    Io {
        /// What was being done.
        context: String,
        /// What the system said.
        reason: String,
    },
    /// Stored bytes are not what was written.
    #[error(
        "corrupt data in table {table}, key {key}: {reason}; restore the --data-dir from a copy. \
         An operator that starts with an empty one has forgotten what it signed"
    )]
    Corrupt {
        /// Table, or the engine's name when it cannot tell which.
        table: String,
        /// Key in hex, empty when unknown.
        key: String,
        /// What is wrong with it.
        reason: String,
    },

    // -- this write: the caller's matter
    // ---------------------------------------------------------------------
    /// One batch is larger than the store takes.
    #[error("a batch of {bytes} bytes exceeds the limit of {limit}; split it")]
    TooLarge {
        /// Size of the batch.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A bounded queue has no room; what is in it will leave.
    #[error("the {what} is full (limit {limit}); try again when earlier writes are done")]
    QueueFull {
        /// Which queue.
        what: &'static str,
        /// Its limit.
        limit: usize,
    },
    /// Another fact holds the slot: signing this one would be equivocation.
    #[error(transparent)]
    Conflict(Box<Conflict>),

    // -- the store takes no writes any more
    // ------------------------------------------------------------------
    /// The writer was closed in good order.
    #[error("the store is closing and takes no more writes")]
    Closed,
    /// An earlier write failed, so what is on disk is uncertain and nothing is written until a
    /// restart.
    #[error(
        "the store stopped writing after a failure ({cause}); mend the cause and restart the node"
    )]
    Stopped {
        /// The first failure.
        cause: Arc<StoreError>,
    },
}

/// Two facts for one slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "refusing to sign task {}: slot {} of this operator holds another fact, {} for task {} in epoch {} with key 0x{}",
    hex(&asked.task),
    hex(&asked.slot),
    if *committed { "signed" } else { "being signed" },
    hex(&recorded.task),
    recorded.epoch,
    hex(&recorded.key)
)]
pub struct Conflict {
    /// What was to be signed.
    pub asked: SigningEntry,
    /// What holds the slot.
    pub recorded: SigningEntry,
    /// Whether the holder is on disk, or a reservation not yet committed.
    pub committed: bool,
}

impl StoreError {
    /// Whether the same call can succeed later in this process, with nothing changed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::QueueFull { .. })
    }

    /// Sorts what an engine said in words; `context` names what was being done.
    pub(crate) fn from_text(context: impl Into<String>, reason: impl Into<String>) -> Self {
        let (context, reason) = (context.into(), reason.into());
        if reason.contains("No space left") || reason.contains("Disk quota exceeded") {
            return Self::NoSpace { context };
        }
        Self::Io { context, reason }
    }

    pub(crate) fn from_io(context: impl Into<String>, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace {
                context: context.into(),
            },
            _ => Self::from_text(context, error.to_string()),
        }
    }

    pub(crate) fn corrupt(table: &str, key: &[u8], reason: impl Into<String>) -> Self {
        Self::Corrupt {
            table: table.to_owned(),
            key: hex(key),
            reason: reason.into(),
        }
    }

    /// The refusal that follows this failure; a refusal stays itself, so that the first cause is
    /// kept.
    pub(crate) fn stopped_by(self) -> Self {
        match self {
            Self::Stopped { .. } => self,
            cause => Self::Stopped {
                cause: Arc::new(cause),
            },
        }
    }
}

fn maker(made_by: &str) -> String {
    match made_by {
        "" => "an unknown version of the program".to_owned(),
        version => format!("version {version} of the program"),
    }
}

fn schema_cure(found: u32, known: u32) -> &'static str {
    if found > known {
        "it is of a later build: run that build"
    } else {
        "it is of an earlier build and is not brought forward: run that build for that network, and name \
         another --data-dir for the network of this one"
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
