//! Transfers that a bridge's contract on an EVM chain sent.
//!
//! # Design Decisions
//!
//! `eth_getLogs` is proven by nothing, so it only tells in which blocks to look. The receipts of such a block are:
//! they have the root that its header has, which has the hash on which a quorum agrees. So a made-up event costs
//! its provider its name, and one that is left out is found where any other provider names it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use alloy::primitives::{Address, B256};
use alloy::sol_types::{SolCall, SolEvent};
use futures::future::{BoxFuture, FutureExt, join_all};
use quorate_proto::{ReadBasis, Route, Transfer, U256};
use tokio::sync::watch;

use self::naming::{EventFilter, Named};
use super::EvmClient;
use super::abi::bridge::{
    TransferClosed, TransferSent, closedAtCall, pausedCall, sentCountCall, sequenceCall,
};
use super::client::HeadSnapshot;
use super::proof::receipts::ProvenLog;
use crate::config::ChainClient;
use crate::lookup::{GenerationalCache, Ranges};
use crate::{
    At, BlockRef, ChainError, MAX_WANTED, MalformedTransfer, PauseState, Providers, ReadLog,
    SeenTransfer, TransferPage, TransferReader,
};

mod decode;
mod naming;
mod proving;

/// Ranges of one page: 100,000 blocks where they are taken 10,000 at a time, and enough refusals to come from
/// there to a single block.
const MAX_RANGES: usize = 16;

/// Blocks of one page whose receipts are fetched: 128 MB where a block has half a megabyte of them.
const MAX_BLOCKS: usize = 256;

/// Transfers of one page, to which its last blocks may add: half a megabyte.
const MAX_TRANSFERS: usize = 1_024;

/// Blocks whose receipts are fetched at once: 16 MiB of text at most each, and as much when they are read.
const AT_ONCE: usize = 4;

/// Blocks of one generation of which the events of a contract are remembered; few blocks have several.
const REMEMBERED: usize = 128;

/// What was proven, by block and contract.
type KnownEvents = GenerationalCache<(B256, Address), Arc<[ProvenLog]>>;

/// Reads transfers through a client that others may share.
pub struct EvmTransfers {
    client: Arc<EvmClient>,
    proven: Mutex<KnownEvents>,
    /// Blocks of a range that was taken lately.
    span: AtomicU64,
}

impl EvmTransfers {
    /// Nothing is asked before the client is connected or runs.
    #[must_use]
    pub fn new(client: Arc<EvmClient>) -> Self {
        Self {
            client,
            proven: Mutex::new(GenerationalCache::new(REMEMBERED)),
            span: AtomicU64::new(u64::MAX),
        }
    }

    /// The client, for its status and to share it.
    #[must_use]
    pub const fn client(&self) -> &Arc<EvmClient> {
        &self.client
    }

    async fn page(
        &self,
        contract: B256,
        (from, to): (u64, u64),
        log: &ReadLog,
    ) -> Result<TransferPage, ChainError> {
        let filter = &EventFilter {
            contract: address_of(contract)?,
            topics: vec![vec![
                TransferSent::SIGNATURE_HASH,
                TransferClosed::SIGNATURE_HASH,
            ]],
        };
        let (snapshot, end) = self.up_to(to, log).await?;
        let mut page = OpenPage::from(from);
        let mut ranges = Ranges::with_span(from, to, self.span.load(Ordering::Relaxed));
        // What stops a page that has got somewhere is met again by the next one.
        let mut problem = None;
        for _ in 0..MAX_RANGES {
            let Some((first, last)) = ranges.current().filter(|_| !page.is_full()) else {
                break;
            };
            let question = |_, provider| filter.ask(provider, (first, last), end);
            match self.client.pool().gather(question).await {
                Ok(said) => {
                    let named = Named::new(filter, said);
                    match self.fill(&mut page, snapshot, named, log).await {
                        Ok(true) => page.page.next = last.saturating_add(1),
                        Ok(false) => break,
                        Err(error) => {
                            problem = Some(error);
                            break;
                        }
                    }
                    ranges.done();
                    self.span.store(ranges.span(), Ordering::Relaxed);
                }
                Err(none) => {
                    let factor = none.shrink_factor();
                    problem = Some(none.into());
                    if !factor.is_some_and(|factor| ranges.shrink(factor)) {
                        break;
                    }
                }
            }
        }
        match problem {
            Some(problem) if page.page.next == from => return Err(problem),
            _ => log.rests_on(ReadBasis::Proof),
        }
        self.client.still_valid(snapshot, page.page)
    }

    /// What is final, and the block at `to`.
    async fn up_to(&self, to: u64, log: &ReadLog) -> Result<(HeadSnapshot, BlockRef), ChainError> {
        let is_final = |head: &BlockRef| head.number >= to;
        let snapshot = self.client.snapshot(At::Block(to), is_final).await?;
        log.reads_at(snapshot.head);
        let known = self.client.agreed(snapshot, to, log).await?;
        Ok((snapshot, known.block))
    }

    /// Adds the transfers of the blocks that were named, as many as fit; whether these were all.
    async fn fill(
        &self,
        page: &mut OpenPage,
        snapshot: HeadSnapshot,
        mut named: Named<'_>,
        log: &ReadLog,
    ) -> Result<bool, ChainError> {
        while !page.is_full() {
            let numbers = named.next(AT_ONCE);
            let Some(last) = numbers.last() else {
                return Ok(true);
            };
            page.blocks += numbers.len();
            for found in self
                .events(snapshot, &numbers, named.contract(), log)
                .await?
            {
                named.compare(self.client.pool(), found.block, &found.events, true);
                for event in found.events.iter() {
                    self.add(&mut page.page, found.block, event);
                }
            }
            page.page.next = last.saturating_add(1);
        }
        Ok(false)
    }

    fn add(&self, page: &mut TransferPage, block: BlockRef, event: &ProvenLog) {
        match self.read(block, event) {
            None => page.closings.extend(decode::closing(event)),
            Some(Ok(transfer)) => page.transfers.push(transfer),
            Some(Err(malformed)) => {
                let (chain, why) = (self.client.chain_id(), &malformed.why);
                tracing::warn!(chain, %block, log_index = malformed.log_index, why, "event is no transfer");
                page.malformed.push(malformed);
            }
        }
    }

    fn read(
        &self,
        block: BlockRef,
        event: &ProvenLog,
    ) -> Option<Result<SeenTransfer, MalformedTransfer>> {
        let contract = event.log.address.into_word();
        decode::transfer((self.client.chain_id(), contract), block, event)
    }

    async fn search(
        &self,
        contract: B256,
        (route, nonces): (B256, &[u64]),
        (from, to): (u64, u64),
        log: &ReadLog,
    ) -> Result<Vec<SeenTransfer>, ChainError> {
        let nonces = &nonces[..nonces.len().min(MAX_WANTED)];
        if nonces.is_empty() {
            // To providers an empty list means any.
            return Ok(Vec::new());
        }
        let filter = &EventFilter {
            contract: address_of(contract)?,
            topics: vec![
                vec![TransferSent::SIGNATURE_HASH],
                vec![route],
                nonces
                    .iter()
                    .map(|nonce| U256::from(*nonce).into())
                    .collect(),
            ],
        };
        let (snapshot, end) = self.up_to(to, log).await?;
        let pool = self.client.pool();
        let search = |provider| filter.search(provider, (from, to), end, nonces.len());
        let (mut said, mut failures) = (Vec::new(), Vec::new());
        let searches = pool.providers().iter().map(search);
        for (index, found) in join_all(searches).await.into_iter().enumerate() {
            match found {
                Ok(logs) => said.push((index, logs)),
                Err(error) => failures.push((index, error)),
            }
        }
        if said.is_empty() {
            return Err(pool.unanswered(Vec::new(), failures));
        }
        let mut named = Named::new(filter, said);
        let mut found = BTreeMap::new();
        loop {
            let numbers = named.next(AT_ONCE);
            if numbers.is_empty() {
                break;
            }
            for events in self
                .events(snapshot, &numbers, filter.contract, log)
                .await?
            {
                named.compare(pool, events.block, &events.events, false);
                let read = events
                    .events
                    .iter()
                    .filter_map(|event| self.read(events.block, event));
                let wanted = read.filter_map(Result::ok).filter(|transfer| {
                    transfer.transfer.route.id() == route
                        && nonces.contains(&transfer.transfer.nonce)
                });
                found.extend(wanted.map(|transfer| (transfer.transfer.nonce, transfer)));
            }
        }
        log.rests_on(ReadBasis::Proof);
        self.client
            .still_valid(snapshot, found.into_values().collect())
    }

    /// What a contract says at the end of a final block.
    async fn call<C: SolCall>(
        &self,
        contract: B256,
        call: C,
        at: BlockRef,
    ) -> Result<C::Return, ChainError> {
        let (contract, log) = (address_of(contract)?, ReadLog::default());
        let (snapshot, block) = self.up_to(at.number, &log).await?;
        if block != at {
            let detail = format!("{at} was final and is no longer in the chain");
            return Err(ChainError::Disagreement { detail });
        }
        let said = self.client.call(contract, &call, at.hash).await?;
        self.client.still_valid(snapshot, said)
    }
}

/// A page that is being filled, and of how many blocks receipts were fetched for it.
struct OpenPage {
    page: TransferPage,
    blocks: usize,
}

impl OpenPage {
    fn from(block: u64) -> Self {
        let page = TransferPage {
            next: block,
            ..TransferPage::default()
        };
        Self { page, blocks: 0 }
    }

    const fn is_full(&self) -> bool {
        self.blocks >= MAX_BLOCKS
            || self.page.transfers.len() + self.page.closings.len() >= MAX_TRANSFERS
    }
}

/// The address that a word stands for.
pub(super) fn address_of(contract: B256) -> Result<Address, ChainError> {
    match contract[..12] == [0; 12] {
        true => Ok(Address::from_word(contract)),
        false => Err(ChainError::Settings {
            detail: format!("{contract} is no address of an EVM chain; set 20 bytes"),
        }),
    }
}

impl TransferReader for EvmTransfers {
    fn chain_id(&self) -> u64 {
        self.client.chain_id()
    }

    fn final_head(&self) -> Option<BlockRef> {
        self.client.final_head()
    }

    fn subscribe(&self) -> watch::Receiver<Option<BlockRef>> {
        self.client.subscribe()
    }

    fn providers(&self) -> Providers {
        self.client.providers()
    }

    fn transfers<'a>(
        &'a self,
        contract: B256,
        from_block: u64,
        to_block: u64,
        log: &'a ReadLog,
    ) -> BoxFuture<'a, Result<TransferPage, ChainError>> {
        self.page(contract, (from_block, to_block), log).boxed()
    }

    fn transfers_of<'a>(
        &'a self,
        contract: B256,
        route: B256,
        nonces: &'a [u64],
        blocks: (u64, u64),
        log: &'a ReadLog,
    ) -> BoxFuture<'a, Result<Vec<SeenTransfer>, ChainError>> {
        self.search(contract, (route, nonces), blocks, log).boxed()
    }

    fn sent_count(
        &self,
        contract: B256,
        route: B256,
        at: BlockRef,
    ) -> BoxFuture<'_, Result<u64, ChainError>> {
        self.call(contract, sentCountCall { route }, at).boxed()
    }

    fn closed(
        &self,
        route: &Route,
        nonce: u64,
        at: BlockRef,
    ) -> BoxFuture<'_, Result<Option<u64>, ChainError>> {
        let (contract, slot) = (route.target_contract, Transfer::slot_of(route, nonce).0);
        async move {
            let time = self.call(contract, closedAtCall { slot }, at).await?;
            Ok((time != 0).then_some(time))
        }
        .boxed()
    }

    fn pause_state(
        &self,
        contract: B256,
        at: BlockRef,
    ) -> BoxFuture<'_, Result<PauseState, ChainError>> {
        async move {
            let sequence = self.call(contract, sequenceCall {}, at);
            let paused = self.call(contract, pausedCall {}, at);
            let (sequence, paused) = tokio::try_join!(sequence, paused)?;
            Ok(PauseState { sequence, paused })
        }
        .boxed()
    }
}
