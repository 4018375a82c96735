//! One EVM chain as a quorum of its providers sees it: the final head and blocks below it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::primitives::{Address, B256};
use alloy::sol_types::SolCall;
use futures::future::{BoxFuture, FutureExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::calls::CallOutcome;
use super::headers::{HeaderCache, KnownBlock};
use super::probe::Need;
use super::proof::BlockRoots;
use super::provider::EvmProvider;
use super::{EvmSettings, EvmSubmitter, EvmTransfers, Reads};
use crate::config::{ChainClient, ChainConfig};
use crate::providers::{HeightWindow, Provider, labels};
use crate::quorum::{Polls, Pool};
use crate::rpc::http_client;
use crate::{
    At, BlockRef, ChainError, Finality, ProviderStatus, Providers, QueryKind, ReadLog, Submitter,
    TransferReader,
};

mod check;
mod follow;
mod proven;

/// One EVM chain and its providers. Knows the final head while [`Self::run`] runs, and looks for
/// a newer one when a block above it is asked for.
pub struct EvmClient {
    chain_id: u64,
    finality: Finality,
    pool: Pool<EvmProvider>,
    head: watch::Sender<Option<BlockRef>>,
    settings: EvmSettings,
    headers: Mutex<HeaderCache>,
    /// Something of this chain was proven, so it can be.
    proven: AtomicBool,
    polls: Polls,
    heights: Mutex<HeightWindow>,
    needs: Mutex<Vec<Need>>,
}

/// How a chain fares, for people.
#[derive(Clone, Debug)]
pub struct EvmStatus {
    /// The newest final block.
    pub final_head: Option<BlockRef>,
    /// How long ago a quorum of providers last agreed on it; `None` if never.
    pub agreed_ago: Option<Duration>,
    /// How often a block that was final left the chain.
    pub finality_violations: u64,
    /// Every configured provider.
    pub providers: Vec<ProviderStatus>,
}

/// The final head that an answer is based on. Void once a final block has left the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadSnapshot {
    pub head: BlockRef,
    /// Of the head, where its header came along.
    roots: Option<BlockRoots>,
    generation: u64,
}

impl EvmClient {
    /// A client that has asked every provider: see [`ChainClient::connect`].
    ///
    /// # Errors
    /// [`ChainError::Settings`] for settings that make no sense.
    pub async fn connected(
        config: &ChainConfig,
        settings: EvmSettings,
    ) -> Result<Arc<Self>, ChainError> {
        let client = Self::over(config, settings)?;
        client.connect().await;
        Ok(client)
    }

    /// A client that has asked no provider anything: none counts before it is connected or runs.
    ///
    /// # Errors
    /// [`ChainError::Settings`] for settings that make no sense.
    pub fn over(config: &ChainConfig, settings: EvmSettings) -> Result<Arc<Self>, ChainError> {
        let rule = config.rule()?;
        let http = http_client()?;
        let labels = labels(&config.rpc);
        let providers = config.rpc.iter().cloned().zip(labels);
        let provider =
            |(provider, label)| EvmProvider::new(http.clone(), provider, label, config.chain_id);
        Ok(Arc::new(Self {
            chain_id: config.chain_id,
            finality: config.finality,
            settings,
            pool: Pool::new(providers.map(provider).collect(), rule),
            head: watch::Sender::new(None),
            headers: Mutex::default(),
            proven: AtomicBool::new(false),
            polls: Polls::new(config.chain_id, config.poll_interval),
            heights: Mutex::default(),
            needs: Mutex::default(),
        }))
    }

    /// Follows the chain until `token` is cancelled.
    ///
    /// # Errors
    /// None: what providers say, or do not say, is a matter of their health and never the end.
    pub async fn run(self: Arc<Self>, token: CancellationToken) -> Result<(), ChainError> {
        let polls = self.polls.keep_polling(|| self.poll());
        let checks = self.pool.keep_checking(|probes| self.check(probes));
        let tasks = async { tokio::join!(polls, checks) };
        token.run_until_cancelled(tasks).await;
        Ok(())
    }

    /// The chain that this follows.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The newest block known to be final.
    #[must_use]
    pub fn final_head(&self) -> Option<BlockRef> {
        *self.head.borrow()
    }

    /// Follows the final head. It goes back only when a final block has left the chain.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<BlockRef>> {
        self.head.subscribe()
    }

    /// How often a block that was final left the chain. Not zero means that the finality rule is
    /// too weak for this chain, or that a quorum of providers changed its mind.
    #[must_use]
    pub fn finality_violations(&self) -> u64 {
        self.headers().generation()
    }

    /// How long ago a quorum of providers last agreed on the final head; `None` if never.
    #[must_use]
    pub fn agreed_ago(&self) -> Option<Duration> {
        self.polls.agreed_ago()
    }

    /// How the chain fares.
    #[must_use]
    pub fn status(&self) -> EvmStatus {
        EvmStatus {
            final_head: self.final_head(),
            agreed_ago: self.agreed_ago(),
            finality_violations: self.finality_violations(),
            providers: self.pool.neutral().map(Provider::status).collect(),
        }
    }

    /// From now on it is tried whether providers serve this, too.
    pub(super) fn will_need(&self, need: Need) {
        lock(&self.needs).push(need);
    }

    /// What providers are asked for: where a vote takes the place of proofs, calls.
    fn needs(&self) -> Vec<Need> {
        let mut providers = self.pool.neutral();
        let votes = self.settings.reads == Reads::Vote
            || self.may_vote() && providers.all(|provider| provider.proofs().has_no_proofs());
        let needs = lock(&self.needs);
        let need = |need: &Need| match *need {
            Need::Proofs(contract) if votes => Need::Calls(contract),
            need => need,
        };
        needs.iter().map(need).collect()
    }

    fn needs_proofs(&self) -> bool {
        let needs = self.needs();
        !needs.is_empty() && needs.iter().all(|need| matches!(need, Need::Proofs(_)))
    }

    pub(super) const fn pool(&self) -> &Pool<EvmProvider> {
        &self.pool
    }

    pub(super) const fn settings(&self) -> EvmSettings {
        self.settings
    }

    /// This chain has proofs, as was seen before. From now on only a proof is good enough, whatever
    /// all providers say, unless [`Reads::Vote`] is set.
    pub fn expect_proofs(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// Whether a vote may take the place of a proof that no provider offers: all of them saying so is
    /// no evidence of it where there were proofs before.
    pub(super) fn may_vote(&self) -> bool {
        self.settings.reads == Reads::Auto && !self.proven.load(Ordering::Relaxed)
    }

    pub(super) fn not_final(&self, asked: At) -> ChainError {
        ChainError::NotFinal {
            asked,
            final_block: self.final_head().map(|head| head.number),
        }
    }

    /// A final head for which `enough` holds, after a poll if need be.
    pub(super) async fn snapshot(
        &self,
        asked: At,
        enough: impl Fn(&BlockRef) -> bool,
    ) -> Result<HeadSnapshot, ChainError> {
        if let Some(snapshot) = self
            .present_snapshot()
            .filter(|snapshot| enough(&snapshot.head))
        {
            return Ok(snapshot);
        }
        self.poll().await?;
        self.present_snapshot()
            .filter(|snapshot| enough(&snapshot.head))
            .ok_or_else(|| self.not_final(asked))
    }

    fn present_snapshot(&self) -> Option<HeadSnapshot> {
        // Under the lock of the headers, as a violation changes both.
        let mut headers = self.headers();
        let head = self.final_head()?;
        let known = headers.get(head.number).filter(|known| known.block == head);
        Some(HeadSnapshot {
            head,
            roots: known.and_then(|known| known.roots),
            generation: headers.generation(),
        })
    }

    /// Passes `answer` on unless a final block left the chain while it was made.
    pub(super) fn still_valid<T>(
        &self,
        snapshot: HeadSnapshot,
        answer: T,
    ) -> Result<T, ChainError> {
        if self.headers().generation() == snapshot.generation {
            return Ok(answer);
        }
        Err(ChainError::Disagreement {
            detail: format!("{} was final and is no longer in the chain", snapshot.head),
        })
    }

    /// The block at this height, which must not be above the head of `snapshot`: with its roots,
    /// unless this chain is read by vote.
    pub(super) async fn header(
        &self,
        snapshot: HeadSnapshot,
        number: u64,
        log: &ReadLog,
    ) -> Result<KnownBlock, ChainError> {
        let agreed = self.agreed(snapshot, number, log).await?;
        if agreed.roots.is_some() || agreed.is_unprovable {
            return Ok(agreed);
        }
        let known = self.prove(snapshot, agreed, log).await?;
        self.headers().insert(snapshot.generation, known);
        Ok(known)
    }

    /// As [`Self::header`], with its roots only where they came along. Those count who have
    /// the head of `snapshot`: a height alone does not say of which fork.
    pub(super) async fn agreed(
        &self,
        snapshot: HeadSnapshot,
        number: u64,
        log: &ReadLog,
    ) -> Result<KnownBlock, ChainError> {
        let (block, roots) = (snapshot.head, snapshot.roots);
        if number == block.number {
            return Ok(KnownBlock {
                block,
                roots,
                is_unprovable: false,
            });
        }
        if let Some(known) = self.headers().get(number) {
            return Ok(known);
        }
        let question = |_, provider| EvmProvider::header_below(provider, number, block);
        let header = self
            .pool
            .ask_noting(log, QueryKind::Header, question, |_, _| true);
        let known = KnownBlock::from(&header.await?);
        self.headers().insert(snapshot.generation, known);
        Ok(known)
    }

    /// The block at this height in whatever chain a quorum is on: good enough to compare with.
    pub(super) async fn block_of(
        &self,
        number: u64,
        log: &ReadLog,
    ) -> Result<BlockRef, ChainError> {
        if let Some(known) = self.headers().get(number) {
            return Ok(known.block);
        }
        let question = |_, provider| EvmProvider::header(provider, number);
        let header = self
            .pool
            .ask_noting(log, QueryKind::Header, question, |_, _| true);
        Ok(header.await?.block())
    }

    /// Calls a contract at the state after block `at`.
    pub(super) async fn call<C: SolCall>(
        &self,
        contract: Address,
        call: &C,
        at: B256,
    ) -> Result<C::Return, ChainError> {
        let log = ReadLog::default();
        self.call_noting(contract, call, at, &log).await
    }

    /// As [`Self::call`], noting what providers say.
    pub(super) async fn call_noting<C: SolCall>(
        &self,
        contract: Address,
        call: &C,
        at: B256,
        log: &ReadLog,
    ) -> Result<C::Return, ChainError> {
        let data = call.abi_encode();
        let question = |_, provider| EvmProvider::eth_call(provider, contract, &data, at);
        let ended = self
            .pool
            .ask_noting(log, QueryKind::Value, question, CallOutcome::contradicts);
        match ended.await? {
            CallOutcome::Returned(data) if data.is_empty() => Err(self.missing(contract).await),
            CallOutcome::Returned(data) => {
                C::abi_decode_returns_validate(&data).map_err(|problem| ChainError::Malformed {
                    what: C::SIGNATURE,
                    detail: format!("{contract} answers {data}: {problem}"),
                })
            }
            CallOutcome::Reverted(data) => Err(ChainError::Reverted {
                contract: contract.to_string(),
                call: C::SIGNATURE,
                data,
            }),
        }
    }

    /// Why there is no contract at this address in the final state.
    pub(super) async fn missing(&self, address: Address) -> ChainError {
        match self
            .pool
            .ask_unpinned(|_, provider| provider.has_code(address))
            .await
        {
            Ok(true) => ChainError::ContractNotFinal { address },
            Ok(false) => ChainError::NoContract { address },
            Err(none) => none.into(),
        }
    }

    fn headers(&self) -> MutexGuard<'_, HeaderCache> {
        lock(&self.headers)
    }
}

impl ChainClient for EvmClient {
    fn connect(&self) -> BoxFuture<'_, ()> {
        async {
            self.check(true).await;
            if let Err(problem) = self.poll().await {
                tracing::warn!(chain = self.chain_id, %problem, "chain is not reachable yet");
            }
        }
        .boxed()
    }

    fn examine(&self) -> BoxFuture<'_, ()> {
        self.check(true).boxed()
    }

    fn refresh(&self) -> BoxFuture<'_, Result<BlockRef, ChainError>> {
        async {
            self.poll().await?;
            self.final_head()
                .ok_or_else(|| self.not_final(At::Block(0)))
        }
        .boxed()
    }

    /// Where something is proven, one provider that has proofs is enough: those that are unfit have a say about
    /// blocks beside it.
    fn providers(&self) -> Providers {
        self.pool.status(self.needs_proofs())
    }

    fn transfers(self: Arc<Self>) -> Option<Arc<dyn TransferReader>> {
        Some(Arc::new(EvmTransfers::new(self)))
    }

    fn submitter(self: Arc<Self>) -> Option<Arc<dyn Submitter>> {
        Some(Arc::new(EvmSubmitter::new(self)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
