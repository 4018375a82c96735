//! Users' state on an EVM chain.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::primitives::{Address, U256};
use futures::future::{BoxFuture, FutureExt, join_all, try_join_all};
use quorate_proto::ReadBasis;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::client::HeadSnapshot;
use super::headers::KnownBlock;
use super::probe::Need;
use super::proof::history::{Cutoff, Fact, Since, Span};
use super::prover::{HistoryQuery, ProofFinding, Prover, StateAt};
use super::{EvmClient, EvmSettings, Reads};
use crate::config::{ChainClient, ChainConfig};
use crate::lookup::{SearchStep, TimestampSearch};
use crate::{
    At, BlockNumbers, BlockRef, ChainError, Providers, ReadLog, Reading, StateReader, for_user,
};

mod trial;
mod vote;

/// The state manager of an EVM chain.
///
/// A past value is read from the state after the final head, not after the block in question: the
/// contract keeps the history, so the providers need not be archive nodes. They must keep the
/// state of the final head, though: where that is far below the newest block, as on some layer 2
/// chains, plain full nodes do not.
///
/// # Design Decisions
///
/// Proofs are asked of one provider after another and checked against the state root of the head, so
/// what is read is as true as the head's hash, on which a quorum agrees. Where no provider has proofs,
/// a quorum has to say the same value. A provider that is silent may have some: an attacker who floods the
/// honest one must not get a vote of the others for it.
pub struct EvmChain {
    client: Arc<EvmClient>,
    state_manager: Address,
    prover: Prover,
    /// An entry was of the time of the chain's block with its number.
    counts_own: AtomicBool,
    /// Something that was stored, to try reads on.
    sample: Mutex<Option<(Address, U256, u64)>>,
    /// Why the last try failed.
    problem: Mutex<Option<String>>,
}

impl EvmChain {
    /// Reads through a client that others may share.
    #[must_use]
    pub fn new(client: Arc<EvmClient>, state_manager: Address) -> Self {
        client.will_need(Need::Proofs(state_manager));
        Self {
            prover: Prover::new(state_manager, client.settings().history_slot),
            client,
            state_manager,
            counts_own: AtomicBool::new(false),
            sample: Mutex::default(),
            problem: Mutex::default(),
        }
    }

    /// Connects a client of its own.
    ///
    /// # Errors
    /// As [`EvmClient::connected`].
    pub async fn connect(
        config: &ChainConfig,
        settings: EvmSettings,
        state_manager: Address,
    ) -> Result<Self, ChainError> {
        let client = EvmClient::connected(config, settings).await?;
        Ok(Self::new(client, state_manager))
    }

    /// The client, for its status and to share it.
    #[must_use]
    pub const fn client(&self) -> &Arc<EvmClient> {
        &self.client
    }

    /// Follows the chain until `token` is cancelled, proves what is in demand in each new final state before
    /// it is asked for, and tries whether anything can be read at all. Once per client is enough.
    ///
    /// # Errors
    /// As [`EvmClient::run`].
    pub async fn run(self: Arc<Self>, token: CancellationToken) -> Result<(), ChainError> {
        let following = Arc::clone(&self.client).run(token);
        tokio::select! {
            ended = following => ended,
            never = self.keep_ready() => match never {},
            never = self.keep_trying() => match never {},
        }
    }

    async fn keep_ready(&self) -> Infallible {
        let mut heads = self.client.subscribe();
        loop {
            if heads.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            let head = *heads.borrow_and_update();
            let demanded =
                head.map_or_else(Vec::new, |head| self.prover.demanded_at(self.cutoff(head)));
            let log = &ReadLog::default();
            let proofs = demanded
                .into_iter()
                .map(|entry| self.prove_ahead(entry, log));
            let proven = for_user(join_all(proofs)).await;
            let failed = proven.into_iter().find_map(Result::err);
            if let Some(error) = failed {
                // A user's read asks again.
                tracing::debug!(chain = self.client.chain_id(), %error, "not proven ahead");
            }
        }
    }

    async fn prove_ahead(&self, entry: HistoryQuery, log: &ReadLog) -> Result<(), ChainError> {
        let snapshot = self.client.snapshot(At::Block(0), |_| true).await?;
        self.prove(snapshot, entry, log).await.map(drop)
    }

    /// Which entries are too late to count at this block.
    fn cutoff(&self, block: BlockRef) -> Cutoff {
        match self.client.settings().block_numbers {
            BlockNumbers::Own => Cutoff::Block(block.number),
            BlockNumbers::Parent => Cutoff::Time(block.timestamp),
        }
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
                let snapshot = self
                    .client
                    .snapshot(at, |head| head.number >= number)
                    .await?;
                let log = ReadLog::default();
                let known = self.client.header(snapshot, number, &log).await?;
                self.client.still_valid(snapshot, known.block)
            }
            At::Timestamp(seconds) => {
                // Certain only once a final block is later.
                let snapshot = self
                    .client
                    .snapshot(at, |head| head.timestamp > seconds)
                    .await?;
                let block = self.search(snapshot, seconds).await?;
                self.client.still_valid(snapshot, block)
            }
        }
    }

    async fn search(&self, snapshot: HeadSnapshot, seconds: u64) -> Result<BlockRef, ChainError> {
        let mut search = TimestampSearch::new(seconds, snapshot.head);
        let log = ReadLog::default();
        loop {
            match search.step() {
                SearchStep::Found(block) => return Ok(block),
                SearchStep::TooEarly(first) => {
                    return Err(ChainError::TimestampTooEarly {
                        asked: seconds,
                        first,
                    });
                }
                SearchStep::Probe(numbers) => {
                    let probes = numbers
                        .into_iter()
                        .map(|n| self.client.header(snapshot, n, &log));
                    for known in try_join_all(probes).await? {
                        search.observe(known.block);
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
        let (snapshot, block) = self.found(number, log).await?;
        log.reads_at(snapshot.head);
        let value = |at| self.value(snapshot, HistoryQuery { user, key, at }, log);
        let (held, known) = match block {
            Some(known) => (value(self.cutoff(known.block)).await, known),
            None => {
                let known = self.client.header(snapshot, number, log);
                let (held, known) = futures::join!(value(Cutoff::Block(number)), known);
                (held, known?)
            }
        };
        let (value, span) = held?;
        self.check_dates(snapshot, span, known.block, log).await?;
        let reading = Reading {
            value: value?,
            block: known.block,
            read_at: snapshot.head,
            basis: match known.roots {
                Some(_) => log.basis(),
                None => ReadBasis::Vote,
            },
        };
        log.rests_on(reading.basis);
        self.client.still_valid(snapshot, reading)
    }

    /// A final head that is enough for the block with this number, and that block where its time has to be
    /// known first: what counts at its end is certain only once a final block is of a later second.
    async fn found(
        &self,
        number: u64,
        log: &ReadLog,
    ) -> Result<(HeadSnapshot, Option<KnownBlock>), ChainError> {
        let (client, at) = (&self.client, At::Block(number));
        let snapshot = client.snapshot(at, |head| head.number >= number).await?;
        if client.settings().block_numbers == BlockNumbers::Own {
            return Ok((snapshot, None));
        }
        let known = client.header(snapshot, number, log).await?;
        let is_over = |head: &BlockRef| head.timestamp > known.block.timestamp;
        Ok((client.snapshot(at, is_over).await?, Some(known)))
    }

    /// Whether the time of the block is one in which the value held. Where an entry and the block share a
    /// second and not a number, the entry must be of the chain's block with its number: on chains with several
    /// blocks a second that count others, time alone does not tell which of them is first.
    async fn check_dates(
        &self,
        snapshot: HeadSnapshot,
        span: Span,
        block: BlockRef,
        log: &ReadLog,
    ) -> Result<(), ChainError> {
        if !span.may_contain(block.timestamp) {
            let time =
                |at: Option<Since>| at.map_or("no entry".to_owned(), |at| at.time.to_string());
            return Err(ChainError::OtherBlocks {
                detail: format!(
                    "{block} is of time {}, but what its number leads to held from {} to {}",
                    block.timestamp,
                    time(span.from),
                    time(span.until)
                ),
            });
        }
        let shares_second =
            |entry: &Since| entry.time == block.timestamp && entry.block != block.number;
        let doubtful = [span.from, span.until]
            .into_iter()
            .flatten()
            .find(shares_second);
        match doubtful {
            Some(entry) if self.client.settings().block_numbers == BlockNumbers::Own => {
                self.check_numbers(snapshot, entry, log).await
            }
            _ => Ok(()),
        }
    }

    /// Whether the contract counts the blocks of this chain; one entry shows it for good.
    async fn check_numbers(
        &self,
        snapshot: HeadSnapshot,
        entry: Since,
        log: &ReadLog,
    ) -> Result<(), ChainError> {
        if self.counts_own.load(Ordering::Relaxed) {
            return Ok(());
        }
        vote::is_known(entry, snapshot)?;
        vote::is_of(entry, self.client.block_of(entry.block, log).await?)?;
        self.counts_own.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// What held, and when. An absence that is not a matter of time has an open span.
    async fn value(
        &self,
        snapshot: HeadSnapshot,
        entry: HistoryQuery,
        log: &ReadLog,
    ) -> Result<Held, ChainError> {
        let (found, rests_on) = match self.prove(snapshot, entry, log).await? {
            Some(found) => {
                if matches!(found, ProofFinding::Fact(Fact::Value(..))) {
                    self.prover.asked(entry);
                }
                (
                    self.weigh(found, snapshot, entry, log).await,
                    ReadBasis::Proof,
                )
            }
            None => (self.vote(snapshot, entry, log).await, ReadBasis::Vote),
        };
        let is_known = match &found {
            Ok(_) => true,
            Err(error) => error.is_absence(),
        };
        if is_known {
            log.rests_on(rests_on);
        }
        found
    }

    /// What the final state proves; `None` where a vote has to take its place.
    async fn prove(
        &self,
        snapshot: HeadSnapshot,
        entry: HistoryQuery,
        log: &ReadLog,
    ) -> Result<Option<ProofFinding>, ChainError> {
        let client = &self.client;
        if client.settings().reads == Reads::Vote {
            return Ok(None);
        }
        let head = client.header(snapshot, snapshot.head.number, log).await?;
        let Some(root) = head.roots.map(|roots| roots.state) else {
            return Ok(None);
        };
        let none_has = || {
            let mut providers = client.pool().neutral();
            client.may_vote() && providers.all(|provider| provider.proofs().has_no_proofs())
        };
        if none_has() && !self.prover.tries_again() {
            return Ok(None);
        }
        let state = StateAt {
            block: snapshot.head,
            root,
        };
        match self.prover.read(client.pool(), state, entry, log).await {
            Ok(found) => {
                client.expect_proofs();
                Ok(Some(found))
            }
            Err(_) if none_has() => Ok(None),
            Err(failures) => Err(client.not_proven(&failures)),
        }
    }

    /// What is proven, in the terms of a question.
    async fn weigh(
        &self,
        found: ProofFinding,
        snapshot: HeadSnapshot,
        entry: HistoryQuery,
        log: &ReadLog,
    ) -> Result<Held, ChainError> {
        let address = self.state_manager;
        let misfit = |detail| Err(ChainError::Layout { address, detail });
        match found {
            ProofFinding::Fact(Fact::Value(value, span)) => Ok((Ok(value), span)),
            ProofFinding::Fact(Fact::BeforeFirstEntry(span)) => {
                Ok((Err(ChainError::BeforeFirstEntry), span))
            }
            ProofFinding::Fact(Fact::NoHistory) if self.prover.fits() => Err(ChainError::NoHistory),
            // With a wrong slot of the mapping every key looks empty, so that until an entry was
            // proven the contract is asked, too.
            ProofFinding::Fact(Fact::NoHistory) => {
                match self.history(snapshot, entry, u64::MAX, log).await {
                    Ok(_) | Err(ChainError::BeforeFirstEntry) => {
                        misfit("no entry is there where the contract itself finds one".to_owned())
                    }
                    Err(error) => Err(error),
                }
            }
            ProofFinding::NoContract => Err(self.client.missing(address).await),
            ProofFinding::Misfit(detail) => misfit(detail),
            ProofFinding::OtherBlocks(detail) => Err(ChainError::OtherBlocks { detail }),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value or its absence, and the time in which that holds.
type Held = (Result<U256, ChainError>, Span);

impl StateReader for EvmChain {
    fn chain_id(&self) -> u64 {
        self.client.chain_id()
    }

    fn providers(&self) -> Providers {
        self.client.providers()
    }

    fn final_head(&self) -> Option<BlockRef> {
        self.client.final_head()
    }

    fn agreed_ago(&self) -> Option<Duration> {
        self.client.agreed_ago()
    }

    fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
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

    fn try_out(&self) -> BoxFuture<'_, Result<bool, ChainError>> {
        self.read_sample().boxed()
    }
}
