//! Outside ledgers: what a node asks a blockchain, and the adapters that answer.
//!
//! [`StateReader`] and [`HomeReader`] are the verbs that the rest of the project uses; they know
//! no chain family. [`evm`] implements both over several JSON-RPC providers of which a quorum
//! must give the same answer. [`contracts`] has bindings for deployments and transactions, and
//! with the feature `anvil`, the module of that name starts local chains to try things on.

#[cfg(feature = "anvil")]
pub mod anvil;
pub mod contracts;
pub mod evm;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod priority;
mod reader;

pub use priority::for_user;
pub use quorate_proto::At;
pub use reader::{
    BlockRef, ChainEntry, ChainError, ChainFamily, HomeReader, MAX_WORD_DETAIL, MAX_WORDS,
    ProviderStatus, Providers, Question, ReadLog, Reading, Registration, RequestOutcome, Said,
    Standing, StateReader, Withdrawal, Word,
};
