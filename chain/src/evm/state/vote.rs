//! What the contract itself says, by the word of a quorum.

use alloy::primitives::U256;

use super::super::abi::state_manager::{History, getHistoryAtBlockCall};
use super::super::client::HeadSnapshot;
use super::super::errors::read_error;
use super::super::proof::history::{Cutoff, Since, Span};
use super::super::prover::HistoryQuery;
use super::{EvmChain, Held};
use crate::{BlockRef, ChainError, ReadLog};

impl EvmChain {
    /// What a quorum says that the contract says. By time it is not asked: deployed contracts do not agree
    /// on what that means.
    pub(super) async fn vote(
        &self,
        snapshot: HeadSnapshot,
        entry: HistoryQuery,
        log: &ReadLog,
    ) -> Result<Held, ChainError> {
        let Cutoff::Block(block) = entry.at else {
            return Err(ChainError::Settings {
                detail: format!(
                    "chain {} counts the blocks of its parent chain, so its values can be read by proof only; give it \
                     providers with eth_getProof, and do not set reads = \"vote\"",
                    self.client.chain_id()
                ),
            });
        };
        let history = match self.history(snapshot, entry, block, log).await {
            // On a chain whose own numbers are lower than those that its contracts count, every entry is later.
            Err(ChainError::BeforeFirstEntry) => {
                if let Ok(last) = self.history(snapshot, entry, u64::MAX, log).await {
                    self.check_entry(snapshot, since(&last), log).await?;
                }
                return Err(ChainError::BeforeFirstEntry);
            }
            history => history?,
        };
        let from = since(&history);
        self.check_entry(snapshot, from, log).await?;
        let span = Span {
            from: Some(from),
            until: None,
        };
        Ok((Ok(history.value), span))
    }

    /// Whether an entry is of a block of this chain, and of its time.
    async fn check_entry(
        &self,
        snapshot: HeadSnapshot,
        entry: Since,
        log: &ReadLog,
    ) -> Result<(), ChainError> {
        is_known(entry, snapshot)?;
        is_of(
            entry,
            self.client.agreed(snapshot, entry.block, log).await?.block,
        )
    }

    /// The last entry that is not later than a block, as a quorum says that the contract says.
    pub(super) async fn history(
        &self,
        snapshot: HeadSnapshot,
        entry: HistoryQuery,
        block: u64,
        log: &ReadLog,
    ) -> Result<History, ChainError> {
        let call = getHistoryAtBlockCall {
            user: entry.user,
            key: entry.key,
            blockNumber: U256::from(block),
        };
        let at = snapshot.head.hash;
        let said = self.client.call_noting(self.state_manager, &call, at, log);
        let history = said.await.map_err(read_error)?;
        if history.blockNumber > block {
            return Err(ChainError::Malformed {
                what: "history entry",
                detail: format!(
                    "of block {} in answer to block {block}",
                    history.blockNumber
                ),
            });
        }
        Ok(history)
    }
}

pub(super) fn is_known(entry: Since, snapshot: HeadSnapshot) -> Result<(), ChainError> {
    match entry.block > snapshot.head.number {
        true => Err(ChainError::OtherBlocks {
            detail: entry.is_ahead_of(snapshot.head.number),
        }),
        false => Ok(()),
    }
}

/// Whether an entry is of the time of the block with its number.
pub(super) fn is_of(entry: Since, block: BlockRef) -> Result<(), ChainError> {
    match block.timestamp == entry.time {
        true => Ok(()),
        false => Err(ChainError::OtherBlocks {
            detail: format!(
                "{block} is of time {}, but the contract made the entry of that number at {}",
                block.timestamp, entry.time
            ),
        }),
    }
}

fn since(history: &History) -> Since {
    Since {
        block: history.blockNumber,
        time: history.timestamp.to(),
    }
}
