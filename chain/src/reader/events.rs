//! Transfers that a bridge's contract sent, and what the contract remembers of them.

use std::collections::BTreeSet;

use alloy::primitives::Bytes;
use futures::future::BoxFuture;
use quorate_proto::{B256, Route, Transfer};
use tokio::sync::watch;

use super::{BlockRef, ChainError, Providers, ReadLog};

/// Nonces that are looked for at once: providers take lists of so many topics.
pub const MAX_WANTED: usize = 64;

/// A transfer, as the event of its source contract has it, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenTransfer {
    /// What is said of it, with epoch 0: of none.
    pub transfer: Transfer,
    /// The block of its event.
    pub block: BlockRef,
    /// Place of its event among those of the block.
    pub log_index: u64,
    /// Its transaction, as a provider says: a hint, which is proven by nothing.
    pub transaction: Bytes,
}

/// The first transfers of a route, as they were read before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownTransfers {
    /// What is said of each, in the order of their nonces.
    pub facts: Vec<B256>,
    /// The block of the last of them, and its transaction.
    pub block: u64,
    /// See [`SeenTransfer::transaction`].
    pub transaction: Bytes,
}

/// An event by which a target contract closes a transfer unpaid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenClosing {
    /// The route that ends there.
    pub route: B256,
    /// Its number there.
    pub nonce: u64,
    /// Unix seconds.
    pub time: u64,
}

/// An event of the contract that is a transfer by its name only. It is not paid by anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedTransfer {
    /// The block of the event.
    pub block: BlockRef,
    /// Its place among those of the block.
    pub log_index: u64,
    /// What is wrong with it.
    pub why: String,
}

/// The transfers of some blocks. Of many blocks, or where there are many, only of the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferPage {
    /// In the order of the chain.
    pub transfers: Vec<SeenTransfer>,
    /// What was closed there, in the same order. Nothing counts these: one that all asked providers leave out is missed.
    pub closings: Vec<SeenClosing>,
    /// What was skipped, in the same order.
    pub malformed: Vec<MalformedTransfer>,
    /// The block after the last one that was read: go on from there.
    pub next: u64,
}

/// Whether a bridge's contract is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseState {
    /// How often that changed.
    pub sequence: u64,
    /// It is.
    pub paused: bool,
}

/// Of the first `count` nonces the lowest that were not seen, [`MAX_WANTED`] at most: all up to `settled` and
/// those in `seen` were.
#[must_use]
pub fn missing_nonces(settled: u64, seen: &BTreeSet<u64>, count: u64) -> Vec<u64> {
    let open = settled..count;
    let missing = open
        .map(|before| before + 1)
        .filter(|nonce| !seen.contains(nonce));
    missing.take(MAX_WANTED).collect()
}

/// Reads a bridge's contract on one chain. Only final blocks are ever visible through it, and every event is
/// proven to be one of its block.
///
/// # Design Decisions
///
/// That an event is there is proven; that none is left out is not, since events are found by what providers say
/// of many blocks. So who follows a route compares what it saw with [`Self::sent_count`], and asks for what is
/// missing by [`Self::transfers_of`]: where a provider cannot say it, the contract does.
pub trait TransferReader: Send + Sync + 'static {
    /// The chain that this reads.
    fn chain_id(&self) -> u64;

    /// The newest block known to be final; `None` until the chain has one and was heard of.
    fn final_head(&self) -> Option<BlockRef>;

    /// Follows the final head. It goes back only when a final block has left the chain.
    fn subscribe(&self) -> watch::Receiver<Option<BlockRef>>;

    /// Who is asked, and how each of them fares; empty where there are no providers.
    fn providers(&self) -> Providers {
        Providers::default()
    }

    /// Has a route followed, of whose transfers the first ones are known already: for chains where transfers are found
    /// route by route. There [`Self::transfers`] knows of no other.
    fn follow(&self, _route: &Route, _known: &KnownTransfers) {}

    /// The transfers that `contract` sent, and closed, in these blocks, both ends included, or in the first of them: see
    /// [`TransferPage::next`]. What providers say on the way goes into `log`.
    ///
    /// # Errors
    /// [`ChainError::NotFinal`] when `to_block` is above the final head; [`ChainError::NotProven`].
    fn transfers<'a>(
        &'a self,
        contract: B256,
        from_block: u64,
        to_block: u64,
        log: &'a ReadLog,
    ) -> BoxFuture<'a, Result<TransferPage, ChainError>>;

    /// Those of a route's transfers with these nonces, of which the first [`MAX_WANTED`] are looked for, that are
    /// found in these blocks: every provider is asked for itself. In the order of their nonces.
    ///
    /// # Errors
    /// As [`Self::transfers`]; [`ChainError::Unavailable`] where no provider answers at all.
    fn transfers_of<'a>(
        &'a self,
        contract: B256,
        route: B256,
        nonces: &'a [u64],
        blocks: (u64, u64),
        log: &'a ReadLog,
    ) -> BoxFuture<'a, Result<Vec<SeenTransfer>, ChainError>>;

    /// How many transfers of a route `contract` had sent at the end of this final block, of which its providers
    /// must have the state still.
    ///
    /// # Errors
    /// [`ChainError::Disagreement`] where the block is no longer in the chain.
    fn sent_count(
        &self,
        contract: B256,
        route: B256,
        at: BlockRef,
    ) -> BoxFuture<'_, Result<u64, ChainError>>;

    /// When the contract at the end of a route closed a transfer, if it had done so at the end of this final block.
    ///
    /// # Errors
    /// As [`Self::sent_count`].
    fn closed(
        &self,
        route: &Route,
        nonce: u64,
        at: BlockRef,
    ) -> BoxFuture<'_, Result<Option<u64>, ChainError>>;

    /// Whether `contract` was stopped at the end of this final block.
    ///
    /// # Errors
    /// As [`Self::sent_count`].
    fn pause_state(
        &self,
        contract: B256,
        at: BlockRef,
    ) -> BoxFuture<'_, Result<PauseState, ChainError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_nonces_are_the_lowest_that_were_not_seen() {
        let seen = BTreeSet::from([4, 6, 9]);
        assert_eq!(missing_nonces(2, &seen, 8), [3, 5, 7, 8]);
        assert_eq!(missing_nonces(8, &seen, 8), [0; 0]);
        assert_eq!(missing_nonces(u64::MAX, &seen, u64::MAX), [0; 0]);
        assert_eq!(missing_nonces(0, &seen, u64::MAX).len(), MAX_WANTED);
    }
}
