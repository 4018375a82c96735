//! In which blocks providers say that events are.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256};

use super::super::calls::Log;
use super::super::proof::receipts::ProvenLog;
use super::super::provider::EvmProvider;
use crate::BlockRef;
use crate::lookup::Ranges;
use crate::quorum::Pool;
use crate::rpc::ProviderError;

/// Ranges that one provider is asked about in one search: 640,000 blocks where it takes 10,000 at a time.
const MAX_SEARCHES: usize = 64;

/// Which events are looked for.
pub(super) struct EventFilter {
    pub(super) contract: Address,
    /// What each topic may be; where none is given, any.
    pub(super) topics: Vec<Vec<B256>>,
}

impl EventFilter {
    fn takes(&self, contract: Address, topics: &[B256]) -> bool {
        let fits = |(at, allowed): (usize, &Vec<B256>)| {
            topics.get(at).is_some_and(|topic| allowed.contains(topic))
        };
        contract == self.contract && self.topics.iter().enumerate().all(fits)
    }

    /// The events that a provider names in these blocks.
    pub(super) async fn ask(
        &self,
        provider: &EvmProvider,
        (from, to): (u64, u64),
        above: BlockRef,
    ) -> Result<Vec<Log>, ProviderError> {
        let logs = provider
            .logs(self.contract, &self.topics, (from, to), above)
            .await?;
        let asked_for = |log: &Log| {
            self.takes(log.address, &log.topics)
                && (from..=to).contains(&log.block_number.to())
                && log.removed != Some(true)
        };
        match logs.iter().all(asked_for) {
            true => Ok(logs),
            false => Err(ProviderError::malformed(
                "an event that was not asked for, or of a removed block",
            )),
        }
    }

    /// As [`Self::ask`], in ranges that the provider takes, until as many are found as there can be.
    pub(super) async fn search(
        &self,
        provider: &EvmProvider,
        (from, to): (u64, u64),
        above: BlockRef,
        most: usize,
    ) -> Result<Vec<Log>, ProviderError> {
        let (mut ranges, mut found) = (Ranges::new(from, to), Vec::new());
        for _ in 0..MAX_SEARCHES {
            let Some(range) = ranges.current() else {
                break;
            };
            match self.ask(provider, range, above).await {
                Ok(logs) => {
                    found.extend(logs);
                    ranges.done();
                }
                Err(error) => {
                    let factor = error.shrink_factor();
                    if factor.is_some_and(|factor| ranges.shrink(factor)) {
                        continue;
                    }
                    return match found.is_empty() {
                        true => Err(error),
                        false => Ok(found),
                    };
                }
            }
            match found.len() {
                many if many > most => return Err(ProviderError::malformed("events twice")),
                all if all == most => break,
                _ => {}
            }
        }
        Ok(found)
    }
}

/// What several providers named.
pub(super) struct Named<'a> {
    filter: &'a EventFilter,
    /// By their index.
    said: Vec<(usize, Vec<Log>)>,
    /// Blocks below it were looked at.
    next: u64,
    liars: BTreeSet<usize>,
}

impl<'a> Named<'a> {
    pub(super) const fn new(filter: &'a EventFilter, said: Vec<(usize, Vec<Log>)>) -> Self {
        Self {
            filter,
            said,
            next: 0,
            liars: BTreeSet::new(),
        }
    }

    pub(super) const fn contract(&self) -> Address {
        self.filter.contract
    }

    /// The lowest blocks, so many at most, that were not looked at and that a provider names that has not lied: who
    /// makes events up costs the receipts of few blocks.
    pub(super) fn next(&mut self, count: usize) -> Vec<u64> {
        let believed = self.said.iter();
        let believed = believed.filter(|(provider, _)| !self.liars.contains(provider));
        let blocks = believed.flat_map(|(_, logs)| logs.iter().map(|log| log.block_number.to()));
        let blocks: BTreeSet<u64> = blocks.filter(|number| *number >= self.next).collect();
        let lowest: Vec<u64> = blocks.into_iter().take(count).collect();
        if let Some(last) = lowest.last() {
            self.next = last.saturating_add(1);
        }
        lowest
    }

    /// Names providers whose word about a block does not fit its events: of those that make some up, and where
    /// they were asked for the `whole` of it, of those that leave some out.
    pub(super) fn compare(
        &mut self,
        pool: &Pool<EvmProvider>,
        block: BlockRef,
        events: &[ProvenLog],
        whole: bool,
    ) {
        let is = |said: &Log, proven: &ProvenLog| {
            proven.log.topics() == said.topics && proven.log.data.data == said.data
        };
        let asked_for = |event: &&ProvenLog| {
            let log = &event.log;
            self.filter.takes(log.address, log.topics())
        };
        for (index, logs) in &self.said {
            let said = || {
                let of_block = |log: &&Log| log.block_number.to::<u64>() == block.number;
                logs.iter().filter(of_block)
            };
            let provider = pool.neutral().nth(*index);
            if said().any(|said| !events.iter().any(|event| is(said, event))) {
                self.liars.insert(*index);
                let what = format!("names an event of {block} that its receipts do not have");
                let lie = ProviderError::FalseProof(what);
                if let Some(provider) = provider {
                    provider.tried_to_prove(Some(&lie));
                }
            }
            let mut missing = events.iter().filter(asked_for);
            if whole && missing.any(|event| !said().any(|said| is(said, event))) {
                let what = format!("leaves out an event of {block}");
                if let Some(provider) = provider {
                    provider.contradicted(&what);
                }
            }
        }
    }
}
