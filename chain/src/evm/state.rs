//! Users' state on an EVM chain.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, U256};
use futures::future::{BoxFuture, FutureExt, try_join_all};
use quorate_proto::ReadBasis;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::client::Basis;
use super::revert::read_error;
use super::timestamps::{Step, TimestampSearch};
use super::{EvmClient, EvmConfig};
use crate::{At, BlockRef, ChainError, ReadLog, Reading, StateReader};

mod interface {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    alloy::sol! {
        struct History { uint256 value; uint64 blockNumber; uint48 timestamp; }
        function getHistoryAtBlock(address user, uint256 key, uint256 blockNumber) external view returns (History memory);
    }
}

/// The state manager of an EVM chain.
///
/// A past value is read from the state after the final head, not after the block in question: the
/// contract keeps the history, so the providers need not be archive nodes. They must keep the
/// state of the final head, though: where that is far below the newest block, as on some layer 2
/// chains, plain full nodes do not.
pub struct EvmChain {
    client: Arc<EvmClient>,
    state_manager: Address,
}

impl EvmChain {
    /// Reads through a client that others may share.
    #[must_use]
    pub const fn new(client: Arc<EvmClient>, state_manager: Address) -> Self {
        Self {
            client,
            state_manager,
        }
    }

    /// Connects a client of its own.
    ///
    /// # Errors
    /// As [`EvmClient::connect`].
    pub async fn connect(config: EvmConfig, state_manager: Address) -> Result<Self, ChainError> {
        Ok(Self::new(EvmClient::connect(config).await?, state_manager))
    }

    /// The client, for its status and to share it.
    #[must_use]
    pub const fn client(&self) -> &Arc<EvmClient> {
        &self.client
    }

    /// Follows the chain until `token` is cancelled. Once per client is enough.
    ///
    /// # Errors
    /// As [`EvmClient::run`].
    pub async fn run(self: Arc<Self>, token: CancellationToken) -> Result<(), ChainError> {
        Arc::clone(&self.client).run(token).await
    }

    /// Follows the final head.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<BlockRef>> {
        self.client.subscribe()
    }

    /// How often a block that was final left the chain.
    #[must_use]
    pub fn finality_violations(&self) -> u64 {
        self.client.finality_violations()
    }

    async fn locate_at(&self, at: At) -> Result<BlockRef, ChainError> {
        match at {
            At::Block(number) => {
                let basis = self.client.basis(at, |head| head.number >= number).await?;
                let block = self
                    .client
                    .header(basis, number, &ReadLog::default())
                    .await?;
                self.client.still_valid(basis, block)
            }
            At::Timestamp(seconds) => {
                // Certain only once a final block is later.
                let basis = self
                    .client
                    .basis(at, |head| head.timestamp > seconds)
                    .await?;
                let block = self.search(basis, seconds).await?;
                self.client.still_valid(basis, block)
            }
        }
    }

    async fn search(&self, basis: Basis, seconds: u64) -> Result<BlockRef, ChainError> {
        let mut search = TimestampSearch::new(seconds, basis.head);
        let log = ReadLog::default();
        loop {
            match search.next() {
                Step::Found(block) => return Ok(block),
                Step::TooEarly(first) => {
                    return Err(ChainError::TimestampTooEarly {
                        asked: seconds,
                        first,
                    });
                }
                Step::Probe(numbers) => {
                    let probes = numbers
                        .into_iter()
                        .map(|n| self.client.header(basis, n, &log));
                    for block in try_join_all(probes).await? {
                        search.observe(block);
                    }
                }
            }
        }
    }

    async fn read_at(
        &self,
        user: Address,
        key: U256,
        number: u64,
        log: &ReadLog,
    ) -> Result<Reading, ChainError> {
        let client = &self.client;
        let basis = client
            .basis(At::Block(number), |head| head.number >= number)
            .await?;
        log.reads_at(basis.head);
        let (value, block) = tokio::try_join!(
            self.value(basis, user, key, number, log),
            client.header(basis, number, log)
        )?;
        let reading = Reading {
            value,
            block,
            read_at: basis.head,
            basis: ReadBasis::Vote,
        };
        client.still_valid(basis, reading)
    }

    async fn value(
        &self,
        basis: Basis,
        user: Address,
        key: U256,
        number: u64,
        log: &ReadLog,
    ) -> Result<U256, ChainError> {
        let call = interface::getHistoryAtBlockCall {
            user,
            key,
            blockNumber: U256::from(number),
        };
        let entry = self
            .client
            .call_noting(self.state_manager, &call, basis.head.hash, log)
            .await
            .map_err(|error| match error {
                ChainError::Reverted { data } => read_error(data),
                other => other,
            })?;
        if entry.blockNumber > number {
            return Err(ChainError::Malformed {
                what: "history entry",
                detail: format!("of block {} in answer to block {number}", entry.blockNumber),
            });
        }
        Ok(entry.value)
    }
}

impl StateReader for EvmChain {
    fn chain_id(&self) -> u64 {
        self.client.chain_id()
    }

    fn final_head(&self) -> Option<BlockRef> {
        self.client.final_head()
    }

    fn agreed_ago(&self) -> Option<Duration> {
        self.client.agreed_ago()
    }

    fn locate(&self, at: At) -> BoxFuture<'_, Result<BlockRef, ChainError>> {
        self.locate_at(at).boxed()
    }

    fn read<'a>(
        &'a self,
        user: Address,
        key: U256,
        block: u64,
        log: &'a ReadLog,
    ) -> BoxFuture<'a, Result<Reading, ChainError>> {
        self.read_at(user, key, block, log).boxed()
    }
}
