//! Outside ledgers: what a node asks a blockchain, and the adapters that answer.
//!
//! [`StateReader`], [`HomeReader`], [`TransferReader`] and [`Submitter`] are the verbs that the rest of the
//! project uses; they know no chain family. Every family asks [`providers`] by [`rpc`], of which a [`quorum`] must give the
//! same answer, and has a module of its own for what only it knows: [`evm`], [`svm`]. A chain is a
//! [`ChainConfig`], whose [`Family`] connects it. [`contracts`] has bindings for deployments and
//! transactions, and with the feature `anvil`, the module of that name starts local chains.

#[cfg(feature = "anvil")]
pub mod anvil;
mod bridge;
mod config;
pub mod contracts;
pub mod evm;
mod families;
mod finality;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod lookup;
mod priority;
pub mod providers;
pub mod quorum;
mod reader;
pub mod rpc;
mod submit;
pub mod svm;

pub use bridge::{BridgeAction, BridgeOrder, BridgeSender, BridgeStep, CallMeaning, RecordRule};
pub use config::{ChainClient, ChainConfig, Connected, Family, SettingProblem};
pub use families::{ChainFamilyError, configure, verify_on_chain};
pub use finality::{Finality, FinalityError};
pub use priority::for_user;
pub use quorate_proto::At;
pub use reader::{
    BlockNumbers, BlockNumbersError, BlockRef, CertificateCheck, ChainEntry, ChainError,
    ChainFamily, HomeReader, KnownTransfers, MAX_REPLIES, MAX_REPLY_DETAIL, MAX_WANTED,
    MalformedTransfer, PauseState, ProviderHealth, ProviderReply, ProviderStatus, Providers,
    QueryKind, ReadLog, Reading, Registration, Rejection, ReplyKind, RequestOutcome, SeenClosing,
    SeenTransfer, StateReader, TransferPage, TransferReader, Withdrawal, missing_nonces,
};
pub use submit::{
    AccountState, Broadcast, ContractCall, FeeQuote, Inclusion, SignedTransaction, Submitter,
    TransactionDraft, UnsignedTransaction,
};
