//! Why a chain gave no answer, and what to do about it.

use alloy::primitives::{Address, Bytes, U256};
use quorate_proto::Epoch;

use super::At;

/// Why a chain gave no answer. Providers are named by host only: their URLs hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    // Try again: the chain or its providers may answer later.
    /// What was asked for may still change.
    #[error(
        "{asked} is not final yet ({}); ask again later",
        final_block.map_or_else(|| "nothing is".to_owned(), |number| format!("the final block is {number}"))
    )]
    NotFinal {
        /// What was asked for.
        asked: At,
        /// The newest final block.
        final_block: Option<u64>,
    },
    /// A contract lives there, but its deployment is not final yet.
    #[error("the contract at {address} is newer than the final block; ask again later")]
    ContractNotFinal {
        /// The address.
        address: Address,
    },
    /// Too few providers answered.
    #[error("too few RPC providers answered: {detail}; check the rpc setting and the providers")]
    Unavailable {
        /// Who failed, and how.
        detail: String,
    },
    /// Enough providers answered, but not the same.
    #[error("RPC providers contradict each other: {detail}; replace the one that is wrong")]
    Disagreement {
        /// What the answers were.
        detail: String,
    },
    /// Operators that hold weight are not known.
    #[error(
        "operators are missing from the set of epoch {epoch}: those that are known hold {known} of its weight of {total}; check that the registry's address is right, and the RPC providers of the home chain"
    )]
    MissingOperators {
        /// Of the set.
        epoch: Epoch,
        /// What those weigh together that are known.
        known: U256,
        /// What all weigh, as the registry says.
        total: U256,
    },

    /// It is not known yet what the home chain's directory says of the chain.
    #[error(
        "chain {chain_id} is not compared with the directory of chains yet: {detail}; ask again later"
    )]
    NotCompared {
        /// The chain.
        chain_id: u64,
        /// What is waited for.
        detail: String,
    },

    /// No provider showed a proof that holds, and a vote may not take its place.
    #[error("no provider of chain {chain_id} proves it: {detail}; {}", unproven_cure(*.have_none))]
    NotProven {
        /// The chain.
        chain_id: u64,
        /// Who failed, and how.
        detail: String,
        /// Every one of them said that it has no proofs at all.
        have_none: bool,
    },

    // The chain's answer is that there is nothing: ask for something else.
    /// The key was never written.
    #[error("this key was never written by this user; check the user, the key and the chain")]
    NoHistory,
    /// The key was first written later.
    #[error("this key had no value yet at that block; ask for a later block")]
    BeforeFirstEntry,
    /// The chain is younger than that.
    #[error("timestamp {asked} is before the chain's first block ({first}); ask for a later time")]
    TimestampTooEarly {
        /// What was asked for.
        asked: u64,
        /// Timestamp of block 0.
        first: u64,
    },

    // Settings: an operator must change something.
    /// No contract lives there.
    #[error("there is no contract at {address}; correct the address or the chain it is set for")]
    NoContract {
        /// The address.
        address: Address,
    },
    /// The storage of the state manager is another one than was thought.
    #[error(
        "the storage of {address} is not that of a state manager: {detail}; correct history_slot or state_manager of its chain"
    )]
    Layout {
        /// The contract.
        address: Address,
        /// What does not fit.
        detail: String,
    },
    /// Entries and blocks of a chain do not tell the same time: its contracts count other blocks.
    #[error(
        "the contracts of this chain count other blocks than its RPC: {detail}; where these are the blocks of its \
         parent chain, set block_numbers = \"parent\", otherwise the chain is not supported"
    )]
    OtherBlocks {
        /// What does not fit.
        detail: String,
    },
    /// The home chain's directory does not mean the chain that is configured.
    #[error("chain {chain_id} is not served: {detail}")]
    NotListed {
        /// The chain.
        chain_id: u64,
        /// What differs, and what to change.
        detail: String,
    },
    /// No transaction there can do it, now or later.
    #[error("{detail}")]
    Impossible {
        /// What, and why.
        detail: String,
    },
    /// A setting makes no sense.
    #[error("{detail}")]
    Settings {
        /// Which one, and what it should be.
        detail: String,
    },

    // Neither this program nor its settings can help it.
    /// A contract refused.
    #[error("{call} of the contract at {contract} reverted with {data}: {}", reverted_cure(.data))]
    Reverted {
        /// The contract, as its chain writes addresses.
        contract: String,
        /// What was called.
        call: &'static str,
        /// Its revert data.
        data: Bytes,
    },
    /// An answer that does not decode or contradicts itself.
    #[error("{what} makes no sense: {detail}; check the contract address and the RPC provider")]
    Malformed {
        /// The answer.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

/// Giving proofs up is no advice against silence: an attacker who floods the honest provider would have the
/// others believed.
const fn unproven_cure(have_none: bool) -> &'static str {
    match have_none {
        true => {
            "add one that has eth_getProof, or set reads = \"vote\" for this chain to believe a quorum without proof"
        }
        false => {
            "mend or replace them: what is needed is eth_getProof at the final block, and of events all receipts of their \
             block, from one of them in time"
        }
    }
}

/// A contract that lacks a function reverts without a word.
fn reverted_cure(data: &Bytes) -> &'static str {
    match data.is_empty() {
        true => "it lacks that function, or is of another make; correct the configured address",
        false => "check that the configured address is the contract it should be",
    }
}

impl ChainError {
    /// The same question may have an answer later, without a change of settings.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NotFinal { .. }
                | Self::ContractNotFinal { .. }
                | Self::Unavailable { .. }
                | Self::Disagreement { .. }
                | Self::MissingOperators { .. }
                | Self::NotCompared { .. }
                | Self::NotProven { .. }
        )
    }

    /// By which error a contract refused, where that is what happened and the error has a name.
    #[must_use]
    pub fn revert_selector(&self) -> Option<[u8; 4]> {
        match self {
            Self::Reverted { data, .. } => data.first_chunk().copied(),
            _ => None,
        }
    }

    /// The chain itself says that there is no such value: a true answer, not a failure.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::NoHistory | Self::BeforeFirstEntry | Self::TimestampTooEarly { .. }
        )
    }

    /// A setting must change.
    #[must_use]
    pub const fn is_misconfiguration(&self) -> bool {
        matches!(
            self,
            Self::NoContract { .. }
                | Self::Layout { .. }
                | Self::OtherBlocks { .. }
                | Self::NotListed { .. }
                | Self::Settings { .. }
        )
    }
}
