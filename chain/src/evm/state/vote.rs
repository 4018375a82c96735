//! What the contract itself says, by the word of a quorum.

use alloy::primitives::U256;

use super::super::client::Basis;
use super::super::proof::history::{Cutoff, Since, Span};
use super::super::prover::Entry;
use super::super::revert::read_error;
use super::{EvmChain, Held};
use crate::{BlockRef, ChainError, ReadLog};

pub(in super::super) mod interface {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    alloy::sol! {
        struct History { uint256 value; uint64 blockNumber; uint48 timestamp; }
        function getHistoryAtBlock(address user, uint256 key, uint256 blockNumber) external view returns (History memory);
    }
}

impl EvmChain {
    /// What a quorum says that the contract says. By time it is not asked: deployed contracts do not agree
    /// on what that means.
    pub(super) async fn vote(
        &self,
        basis: Basis,
        entry: Entry,
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
        let history = match self.history(basis, entry, block, log).await {
            // On a chain whose own numbers are lower than those that its contracts count, every entry is later.
            Err(ChainError::BeforeFirstEntry) => {
                if let Ok(last) = self.history(basis, entry, u64::MAX, log).await {
                    self.check_entry(basis, since(&last), log).await?;
                }
                return Err(ChainError::BeforeFirstEntry);
            }
            history => history?,
        };
        let from = since(&history);
        self.check_entry(basis, from, log).await?;
        let span = Span {
            from: Some(from),
            until: None,
        };
        Ok((Ok(history.value), span))
    }

    /// Whether an entry is of a block of this chain, and of its time.
    async fn check_entry(
        &self,
        basis: Basis,
        entry: Since,
        log: &ReadLog,
    ) -> Result<(), ChainError> {
        is_known(entry, basis)?;
        is_of(
            entry,
            self.client.agreed(basis, entry.block, log).await?.block,
        )
    }

    /// The last entry that is not later than a block, as a quorum says that the contract says.
    pub(super) async fn history(
        &self,
        basis: Basis,
        entry: Entry,
        block: u64,
        log: &ReadLog,
    ) -> Result<interface::History, ChainError> {
        let call = interface::getHistoryAtBlockCall {
            user: entry.user,
            key: entry.key,
            blockNumber: U256::from(block),
        };
        let at = basis.head.hash;
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

pub(super) fn is_known(entry: Since, basis: Basis) -> Result<(), ChainError> {
    match entry.block > basis.head.number {
        true => Err(ChainError::OtherBlocks {
            detail: entry.is_ahead_of(basis.head.number),
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

fn since(history: &interface::History) -> Since {
    Since {
        block: history.blockNumber,
        time: history.timestamp.to(),
    }
}
