//! Why a node ends.

use std::net::SocketAddr;

use quorate_chain::ChainError;
use quorate_proto::Address;
use quorate_storage::StoreError;

use crate::keys::SignerError;
use crate::network::NetworkError;

/// Why a node ended, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The store cannot be opened, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A chain cannot be read in the way that is configured.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The network cannot be set up.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The signing key is out of reach.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// HTTP cannot be served.
    #[error("cannot serve HTTP on {address}: {reason}; choose another --http address, or \"off\"")]
    Http {
        /// As configured.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// Settings that do not fit each other.
    #[error("{0}")]
    Settings(String),
    /// A record in the store is damaged.
    #[error("{reason}; the store is damaged: restore it from a copy")]
    Stored {
        /// Which one, and how.
        reason: String,
    },
    /// Another process signs for the same operator, with this key or another one.
    #[error("signing key {key} is in use: {reason}")]
    KeyInUse {
        /// Its address.
        key: Address,
        /// Who, and what to do.
        reason: String,
    },
    /// A task ended that should not have.
    #[error("the task {name} ended unexpectedly; this is a defect, please report it")]
    TaskEnded {
        /// Which one.
        name: &'static str,
    },
    /// A task panicked.
    #[error("a task panicked: {reason}; this is a defect, please report it")]
    Panic {
        /// What it said.
        reason: String,
    },
    /// Anything else that should not happen.
    #[error("{reason}; this is a defect, please report it")]
    Internal {
        /// What happened.
        reason: String,
    },
}

impl NodeError {
    /// A record of the store that cannot be read.
    pub(crate) fn damaged(error: quorate_proto::WireError) -> Self {
        Self::Stored {
            reason: format!("a stored record is damaged: {error}"),
        }
    }
}
