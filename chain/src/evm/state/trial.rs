//! Tries on the state manager what users will ask about, before they do.

use std::convert::Infallible;
use std::time::Duration;

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolEvent;
use tokio::time::sleep;

use super::super::abi::state_manager::HistoryCommitted;
use super::super::calls::Log;
use super::{EvmChain, lock};
use crate::{At, BlockRef, ChainError, QueryKind, ReadLog};

/// Between two trials while all is well.
const EVERY: Duration = Duration::from_secs(30);

/// The same after one that failed.
const AGAIN: Duration = Duration::from_secs(5);

/// Blocks in which an entry is looked for, first few: many providers take no more than the second.
const REACHES: [u64; 3] = [100, 1_000, 10_000];

/// Something that a user stored, and the block in which that was.
type Sample = (Address, U256, u64);

impl EvmChain {
    pub(super) async fn keep_trying(&self) -> Infallible {
        let mut heads = self.client.subscribe();
        // Never fails: the sender is ours.
        let _ = heads.wait_for(Option::is_some).await;
        let mut failed = false;
        loop {
            let problem = self.read_sample().await.err();
            // A moment's failure is no state of things.
            let told = problem
                .as_ref()
                .filter(|error| failed || !error.is_retryable());
            *lock(&self.problem) = told.map(|error| self.describe(error));
            failed = problem.is_some();
            sleep(if failed { AGAIN } else { EVERY }).await;
        }
    }

    fn describe(&self, error: &ChainError) -> String {
        let (chain, contract) = (self.client.chain_id(), self.state_manager);
        format!("nothing can be read of the state manager {contract} of chain {chain}: {error}")
    }

    /// As [`crate::StateReader::try_out`]; without an entry a wrong slot of the mapping does not show.
    pub(super) async fn read_sample(&self) -> Result<bool, ChainError> {
        let head = self.client.snapshot(At::Block(0), |_| true).await?.head;
        let sample = self.sample(head).await;
        let (user, key, block) = sample.unwrap_or((Address::ZERO, U256::ZERO, head.number));
        let log = ReadLog::default();
        match self.read_at(user, key, block, &log).await {
            Err(error) if !error.is_absence() => {
                // Maybe the provider that named it was wrong: another one next time.
                *lock(&self.sample) = None;
                Err(error)
            }
            _ => Ok(sample.is_some() || self.prover.fits()),
        }
    }

    /// The newest entry that one of the providers knows of. No provider is believed: it is read afterwards.
    async fn sample(&self, head: BlockRef) -> Option<Sample> {
        let known = *lock(&self.sample);
        if known.is_some() {
            return known;
        }
        for reach in REACHES {
            let from = head.number.saturating_sub(reach);
            let found = self.sample_since(from, head).await;
            *lock(&self.sample) = found;
            if found.is_some() || from == 0 {
                return found;
            }
        }
        None
    }

    async fn sample_since(&self, from: u64, head: BlockRef) -> Option<Sample> {
        let (contract, topics) = (self.state_manager, [vec![HistoryCommitted::SIGNATURE_HASH]]);
        let range = (from, head.number);
        let (pool, log) = (self.client.pool(), ReadLog::default());
        let logs = pool.first(&log, QueryKind::Value, |provider| {
            provider.logs(contract, &topics, range, head)
        });
        let is_ours = |log: &Log| {
            log.address == contract
                && log.topics.first() == Some(&HistoryCommitted::SIGNATURE_HASH)
                && (from..=head.number).contains(&log.block_number.to())
        };
        let last = logs.await.ok()?.into_iter().rfind(is_ours)?;
        let event = HistoryCommitted::decode_raw_log(last.topics, &last.data).ok()?;
        Some((event.user, event.key, last.block_number.to()))
    }
}
