//! The verbs: what a node asks of a chain, whatever the chain is.

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use quorate_proto::{
    Address, At, B256, Epoch, EpochSchedule, Operator, OperatorSet, ReadBasis, U256,
};

mod block_numbers;
mod certificate;
mod error;
mod events;
mod log;
mod providers;

pub use block_numbers::{BlockNumbers, BlockNumbersError};
pub use certificate::{CertificateCheck, Rejection};
pub use error::ChainError;
pub use events::{
    KnownTransfers, MAX_WANTED, MalformedTransfer, PauseState, SeenClosing, SeenTransfer,
    TransferPage, TransferReader, missing_nonces,
};
pub(crate) use log::PendingReplyNote;
pub use log::{MAX_REPLIES, MAX_REPLY_DETAIL, ProviderReply, QueryKind, ReadLog, ReplyKind};
pub use providers::{ProviderHealth, ProviderStatus, Providers, RequestOutcome};

/// A block, as a quorum of providers sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its time, seconds since the Unix epoch.
    pub timestamp: u64,
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} ({})", self.number, self.hash)
    }
}

/// What was read, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The value that held at `block`.
    pub value: U256,
    /// The block that was asked about.
    pub block: BlockRef,
    /// The final block whose state was read; not below `block`.
    pub read_at: BlockRef,
    /// Whether value and time were proven, or are the word of a quorum of providers.
    pub basis: ReadBasis,
}

/// Reads what users stored on one chain. Only final blocks are ever visible through it.
pub trait StateReader: Send + Sync + 'static {
    /// The chain that this reads.
    fn chain_id(&self) -> u64;

    /// The newest block known to be final; `None` until the chain has one and was heard of.
    fn final_head(&self) -> Option<BlockRef>;

    /// How long ago the providers last agreed on the final head; `None` if never.
    fn agreed_ago(&self) -> Option<Duration>;

    /// Who is asked, and how each of them fares; empty where there are no providers.
    fn providers(&self) -> Providers {
        Providers::default()
    }

    /// Why nothing is read there, whatever its providers say; `None` where nothing stands in the way.
    fn problem(&self) -> Option<String> {
        None
    }

    /// The block that `at` names.
    ///
    /// # Errors
    /// [`ChainError::NotFinal`] while a later block could still change the answer.
    fn locate(&self, at: At) -> BoxFuture<'_, Result<BlockRef, ChainError>>;

    /// The value of `user`'s `key` as of `block`. What providers say on the way goes into `log`.
    ///
    /// # Errors
    /// [`ChainError::NotFinal`] for a block above the final head, after having looked for a newer
    /// head; [`ChainError::NoHistory`] and [`ChainError::BeforeFirstEntry`] where there is no value.
    fn read<'a>(
        &'a self,
        user: Address,
        key: U256,
        block: u64,
        log: &'a ReadLog,
    ) -> BoxFuture<'a, Result<Reading, ChainError>>;

    /// Reads something that was stored lately, or what no user stored where nothing was; whether there was
    /// something.
    ///
    /// # Errors
    /// Why users would get no answers.
    fn try_out(&self) -> BoxFuture<'_, Result<bool, ChainError>> {
        Box::pin(std::future::ready(Ok(false)))
    }
}

/// An operator joined or left the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Who.
    pub operator: Address,
    /// Joined (`true`) or left.
    pub registered: bool,
    /// Block of the event.
    pub block_number: u64,
    /// Position of the event in its block.
    pub log_index: u64,
}

/// How long stake stays within reach of the judge after a set was fixed in which it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// At least so many blocks of the home chain.
    pub blocks: u64,
    /// And at least so many seconds.
    pub seconds: u64,
    /// Seconds for which certificates of the set hold: less, so that there is time to judge.
    pub certificate_lifetime: u64,
}

/// What sort of chain it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainFamily {
    /// Ethereum and what works like it.
    Evm,
    /// Solana and what works like it.
    Svm,
    /// Cardano.
    Cardano,
}

/// What the directory of chains says of one: the same for every operator, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainEntry {
    /// What sort of chain it is.
    pub family: ChainFamily,
    /// Whose blocks its contracts count.
    pub block_numbers: BlockNumbers,
    /// Hash of its first block.
    pub genesis: B256,
    /// The contract whose values are attested, left-padded where it is an EVM address.
    pub state_manager: B256,
    /// Storage slot of its histories, on EVM chains.
    pub history_slot: U256,
}

/// Reads the registry of operators on the home chain. Everything is read at final blocks.
pub trait HomeReader: Send + Sync + 'static {
    /// The home chain.
    fn chain_id(&self) -> u64;

    /// The registry's address.
    fn registry(&self) -> Address;

    /// The newest block known to be final; `None` until the chain has one and was heard of.
    fn final_head(&self) -> Option<BlockRef>;

    /// Who is asked, and how each of them fares; empty where there are no providers.
    fn providers(&self) -> Providers {
        Providers::default()
    }

    /// Looks for a newer final head now and answers the one known then.
    ///
    /// # Errors
    /// [`ChainError::NotFinal`] while nothing is final.
    fn refresh(&self) -> BoxFuture<'_, Result<BlockRef, ChainError>>;

    /// How blocks make epochs. Read once, then answered from memory: the schedule never changes.
    fn schedule(&self) -> BoxFuture<'_, Result<EpochSchedule, ChainError>>;

    /// All joins and exits in these blocks, both ends included, in the order in which they happened.
    ///
    /// # Errors
    /// [`ChainError::NotFinal`] when `to_block` is above the final head.
    fn registrations(
        &self,
        from_block: u64,
        to_block: u64,
    ) -> BoxFuture<'_, Result<Vec<Registration>, ChainError>>;

    /// The set of `epoch`, as the state after block `at` knows it: the present one, the one before it or one
    /// that is coming. It is for use only where [`OperatorSet::is_whole`]: of older epochs members may be
    /// missing, and sets that are not fixed yet may still change.
    fn operator_set(
        &self,
        epoch: Epoch,
        at: B256,
    ) -> BoxFuture<'_, Result<OperatorSet, ChainError>>;

    /// The set of `epoch`, made of those of `operators` that have weight in it: any epoch, for a caller that knows
    /// who its members were. It is for use only where [`OperatorSet::is_whole`].
    fn members<'a>(
        &'a self,
        epoch: Epoch,
        operators: &'a [Address],
        at: B256,
    ) -> BoxFuture<'a, Result<OperatorSet, ChainError>>;

    /// Keys and weight of one operator in `epoch`, as the state after block `at` knows them; its
    /// signing key is zero where it has none.
    fn operator(
        &self,
        epoch: Epoch,
        operator: Address,
        at: B256,
    ) -> BoxFuture<'_, Result<Operator, ChainError>>;

    /// How long stake stays within reach. Read once, then answered from memory: it never changes.
    fn withdrawal(&self) -> BoxFuture<'_, Result<Withdrawal, ChainError>>;

    /// Whether the judge still reaches the stake behind signatures of `epoch`, as the state after block `at` says.
    fn is_within_reach(&self, epoch: Epoch, at: B256) -> BoxFuture<'_, Result<bool, ChainError>>;

    /// What the home chain's directory says of a chain; `None` where it does not name it.
    fn chain_entry(&self, chain_id: u32) -> BoxFuture<'_, Result<Option<ChainEntry>, ChainError>>;

    /// Weights below this count as zero.
    fn minimum_weight(&self) -> BoxFuture<'_, Result<U256, ChainError>>;

    /// The timestamp of this block, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`ChainError::NotFinal`] for a block above the final head.
    fn block_time(&self, number: u64) -> BoxFuture<'_, Result<u64, ChainError>>;
}
