//! The verbs of sending: what a delivery asks of a chain, whatever the chain is.
//!
//! # Design Decisions
//!
//! What providers say of a transaction is a hint: they word refusals each in their own way, and one that did not
//! answer may have passed it on. Whether it got through is for the chain to say: by its receipt, by the number that
//! the account goes on with, and by the contract's own record of what was delivered.

use std::sync::Arc;

use alloy::primitives::Bytes;
use futures::future::BoxFuture;
use quorate_proto::{B256, U256};

use crate::{BridgeSender, ChainError, ChainFamily, Providers};

/// An account that pays for transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// Transactions of it that are in the chain: the number of the next one.
    pub mined: u64,
    /// The same with those that wait.
    pub pending: u64,
    /// What it holds of the native coin.
    pub balance: U256,
}

/// What a transaction should pay per unit of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeQuote {
    /// What the next block takes of all.
    pub base: u128,
    /// What is paid on top of that: low, usual and high in the blocks of late; zero where they were not full.
    pub tips: [u128; 3],
}

/// A call of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractCall {
    /// Which it is, for people.
    pub name: &'static str,
    /// Who calls; no account in particular if `None`.
    pub from: Option<B256>,
    /// The contract, left-padded where it is an EVM address, as for all of these.
    pub contract: B256,
    /// With what.
    pub data: Bytes,
    /// Native coin that goes along.
    pub value: U256,
}

/// A transaction before it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDraft {
    /// Who signs it, and pays.
    pub sender: B256,
    /// Its number among those of its sender, where the chain counts them.
    pub nonce: u64,
    /// The contract.
    pub contract: B256,
    /// With what it is called.
    pub data: Bytes,
    /// Native coin that goes along.
    pub value: U256,
    /// Most gas that it may use.
    pub gas: u64,
    /// Most that it pays per unit of gas, in all.
    pub max_fee: u128,
    /// Most of that beyond what the block takes of all.
    pub tip: u128,
}

/// A transaction without signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedTransaction {
    /// What is signed: a digest of 32 bytes, or a message that is hashed by signing it.
    pub payload: Bytes,
    /// The last height at which it can be executed, where it has one.
    pub valid_until: Option<u64>,
}

/// A transaction as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// What the chain calls it: a hash of 32 bytes, or a signature of 64.
    pub id: Bytes,
    /// Who signed it, and pays.
    pub sender: B256,
    /// Its bytes.
    pub raw: Bytes,
}

/// What became of handing a transaction to the providers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Broadcast {
    /// Those that took it; one is enough.
    pub accepted: Vec<Arc<str>>,
    /// Those that did not, with what each of them says: to be shown, never to be decided by. Also one that is known
    /// already, or mined, is refused. Ask the chain.
    pub hints: Vec<String>,
    /// Whether one of them said so itself: not where none answered.
    pub is_refused: bool,
}

impl Broadcast {
    /// Whether it is on its way. If not, it may be all the same.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        !self.accepted.is_empty()
    }
}

/// A transaction that is in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Height of its block.
    pub block: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Whether it did what it should; if not, it cost its fee and did nothing.
    pub succeeded: bool,
    /// What it used.
    pub gas_used: u64,
    /// Whether it stays.
    pub is_final: bool,
}

/// Sends to one chain. What it reads is of the newest block, and may change.
///
/// Everything ends within 3 s: 2 s for the providers, and what it takes to compare them.
pub trait Submitter: BridgeSender + Send + Sync + 'static {
    /// The chain that this sends to.
    fn chain_id(&self) -> u64;

    /// What sort of chain it is: whose keys sign there, and how transactions are kept from being executed twice.
    fn family(&self) -> ChainFamily;

    /// Who is asked, and how each of them fares.
    fn providers(&self) -> Providers;

    /// The newest block's height: the highest that a quorum reaches.
    fn height(&self) -> BoxFuture<'_, Result<u64, ChainError>>;

    /// How an account stands: each number is the highest that a quorum reaches, so that one provider alone can
    /// neither pull it ahead nor hold it back.
    fn account(&self, address: B256) -> BoxFuture<'_, Result<AccountState, ChainError>>;

    /// What to pay: each number is the highest that a quorum reaches.
    fn fees(&self) -> BoxFuture<'_, Result<FeeQuote, ChainError>>;

    /// How much gas a call takes now.
    ///
    /// # Errors
    /// [`ChainError::Reverted`] where a quorum says that it would revert: see [`ChainError::revert_selector`].
    fn estimate<'a>(&'a self, call: &'a ContractCall) -> BoxFuture<'a, Result<u64, ChainError>>;

    /// What a contract answers, as a quorum says: its own record of what was delivered, say.
    ///
    /// # Errors
    /// As [`Self::estimate`].
    fn call<'a>(&'a self, call: &'a ContractCall) -> BoxFuture<'a, Result<Bytes, ChainError>>;

    /// What is to be signed of a transaction.
    ///
    /// # Errors
    /// [`ChainError::Settings`] for a contract that is no address there.
    fn prepare<'a>(
        &'a self,
        draft: &'a TransactionDraft,
    ) -> BoxFuture<'a, Result<UnsignedTransaction, ChainError>>;

    /// The transaction with the signature of [`UnsignedTransaction::payload`].
    ///
    /// # Errors
    /// [`ChainError::Malformed`] for a signature that is of no key.
    fn complete(
        &self,
        draft: &TransactionDraft,
        unsigned: &UnsignedTransaction,
        signature: &[u8],
    ) -> Result<SignedTransaction, ChainError>;

    /// Hands a transaction to all providers. May be done again with the same one.
    fn broadcast<'a>(&'a self, transaction: &'a SignedTransaction) -> BoxFuture<'a, Broadcast>;

    /// Where a transaction is, by its id, as a quorum says; `None` where a quorum does not have it.
    fn receipt<'a>(&'a self, id: &'a [u8]) -> BoxFuture<'a, Result<Option<Inclusion>, ChainError>>;
}
