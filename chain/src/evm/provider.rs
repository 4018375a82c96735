//! One JSON-RPC provider: the connection, which chain it serves, and how it fares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::transports::http::reqwest::Client;
use serde_json::value::RawValue;

use self::standing::{Chain, Facts};
use super::batcher::Batcher;
use super::calls::{self, Ended, Header, Log, decode};
use super::gatherer::Gatherer;
use super::proof::answer::ProofAnswer;
use super::rpc::{Answer, Call, Failure};
use super::shown::Shown;
use super::{ProviderConfig, RpcUrl};
use crate::{BlockRef, ProviderStatus, Standing};

mod figures;
mod probe;
mod standing;

pub(super) use figures::Figures;
pub(super) use probe::Need;

/// One JSON-RPC provider. Its answers count only once it has shown that it serves the right chain.
pub(super) struct Provider {
    batcher: Batcher,
    gatherer: Gatherer,
    chain_id: u64,
    /// Without secrets, and different from those of the other providers.
    label: String,
    /// For errors and records: with who runs it, where that was set.
    name: Arc<str>,
    config: ProviderConfig,
    facts: Mutex<Facts>,
    shown: Shown,
}

impl Provider {
    /// `label` tells it from others of the same host.
    pub(super) fn new(http: Client, config: ProviderConfig, label: String, chain_id: u64) -> Self {
        let name = match &config.by {
            Some(by) => format!("{label} ({})", by.trim()),
            None => label.clone(),
        };
        let batcher = Batcher::new(http, config.url.clone());
        Self {
            gatherer: Gatherer::new(batcher.clone()),
            batcher,
            chain_id,
            label,
            name: name.into(),
            config,
            facts: Mutex::new(Facts::new(Instant::now())),
            shown: Shown::default(),
        }
    }

    pub(super) fn url(&self) -> &RpcUrl {
        self.batcher.url()
    }

    /// For errors and records: which one, and who runs it where that was set.
    pub(super) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks anew at how it fares, and says so where that changed.
    pub(super) fn judge(&self) -> Standing {
        let (standing, before) = self.facts().judge(Instant::now(), &self.batcher.figures());
        let (provider, chain) = (&self.label, self.chain_id);
        match (standing, before) {
            (_, None) => {}
            (Standing::Ok, Some(Standing::Unknown)) => {
                tracing::debug!(%provider, chain, "provider serves this chain");
            }
            (Standing::Ok, Some(before)) => {
                tracing::info!(%provider, chain, %before, "provider is well again");
            }
            (standing, Some(_)) => {
                let problem = self.problem(standing).unwrap_or_default();
                tracing::warn!(%provider, chain, %standing, %problem, "provider does not count");
            }
        }
        standing
    }

    /// Why it is not well, in a sentence about it.
    fn problem(&self, standing: Standing) -> Option<String> {
        let facts = self.facts();
        let last = || self.batcher.figures().last().map(|last| last.text.clone());
        match (standing, facts.chain) {
            (Standing::WrongChain, Chain::Wrong(found)) => {
                Some(Failure::WrongChain(found).to_string())
            }
            (Standing::Contradicts, _) => {
                facts.contradiction.as_ref().map(|(_, what)| what.clone())
            }
            (Standing::Syncing, _) => Some(Failure::Syncing.to_string()),
            (Standing::Unfit, _) => facts.unfit(),
            (Standing::Lagging, _) => Some(format!("is {} blocks behind", facts.lag.unwrap_or(0))),
            (Standing::Unknown, _) => Some(Failure::Unverified.to_string()),
            (Standing::Ok | Standing::WrongChain, _) => facts.poll_problem(),
            (Standing::Failing | Standing::Hanging | Standing::RateLimited, _) => {
                last().or_else(|| facts.poll_problem())
            }
        }
    }

    pub(super) fn status(&self) -> ProviderStatus {
        let standing = self.judge();
        let problem = self.shown.lie(Instant::now()).or(self.problem(standing));
        let now = Instant::now();
        let (facts, figures) = (self.facts(), self.batcher.figures());
        let age = |at: Instant| now.saturating_duration_since(at);
        let failed = figures.last().map(|last| (last.text.clone(), age(last.at)));
        let contradicted = facts.contradiction.as_ref();
        let contradicted = contradicted.map(|(at, what)| (what.clone(), age(*at)));
        let (asked, failures) = figures.lately(now);
        ProviderStatus {
            provider: self.label.clone(),
            by: self.config.runner(),
            client: self.config.client.clone(),
            standing,
            since: facts.since(now),
            problem,
            last_error: failed
                .into_iter()
                .chain(contradicted)
                .min_by_key(|(_, age)| *age),
            height: facts.height,
            lag: facts.lag,
            requests: figures.counts(),
            contradictions: facts.contradictions,
            lies: self.shown.lies(),
            error_rate: (asked > 0).then(|| f64::from(failures) / f64::from(asked)),
            latency_p50: figures.percentile(50),
            latency_p99: figures.percentile(99),
        }
    }

    pub(super) fn is_unfit(&self) -> bool {
        self.facts().unfit().is_some()
    }

    pub(super) fn is_verified(&self) -> bool {
        self.facts().chain == Chain::Right
    }

    /// Asks which chain it serves. One that does not answer stays what it was.
    pub(super) async fn verify(&self) {
        if let Ok(found) = self.reported_chain().await {
            self.facts().chain = match found == self.chain_id {
                true => Chain::Right,
                false => Chain::Wrong(found),
            };
        }
        self.judge();
    }

    async fn reported_chain(&self) -> Result<u64, Failure> {
        let answer = self.batcher.call(calls::chain_id()).await?;
        Ok(decode::<U64>(&answer, self.url())?.to())
    }

    /// Asks whether it is syncing, and how high it is; the height. Those that do not know the question,
    /// or have the newest block and say so at length, are not syncing.
    pub(super) async fn look(&self) -> Option<u64> {
        let syncing = self.batcher.call(calls::syncing());
        let height = self.batcher.call(calls::block_number());
        let (syncing, height) = tokio::join!(syncing, height);
        let height: Option<u64> = height
            .and_then(|answer| decode::<U64>(&answer, self.url()))
            .map(|height| height.to())
            .ok();
        let mut facts = self.facts();
        if let Ok(answer) = syncing {
            facts.syncing = calls::is_behind(&answer);
        }
        facts.height = height.or(facts.height);
        height
    }

    /// Notes how far it is behind, and whether it lacks what others have had for a while.
    pub(super) fn compared(&self, lag: Option<u64>, lagging: bool) {
        let mut facts = self.facts();
        facts.lag = lag;
        facts.lagging = lagging;
        drop(facts);
        self.judge();
    }

    /// It said something else than the quorum about what can only be one way, or sent a proof that
    /// does not verify: `what` goes on after its name.
    pub(super) fn contradicted(&self, what: &str) {
        let mut facts = self.facts();
        facts.contradiction = Some((Instant::now(), self.url().scrub(what)));
        facts.contradictions += 1;
        drop(facts);
        self.judge();
    }

    /// Remembers how its part in a poll went.
    pub(super) fn polled(&self, result: Result<(), Failure>) {
        self.facts().polled(result);
        self.judge();
    }

    async fn call(&self, call: Call) -> Answer {
        self.check_counts()?;
        self.batcher.call(call).await
    }

    /// Whether what it says about the chain counts at all.
    fn check_counts(&self) -> Result<(), Failure> {
        match *self.facts() {
            Facts {
                chain: Chain::Wrong(found),
                ..
            } => Err(Failure::WrongChain(found)),
            Facts {
                chain: Chain::Unknown,
                ..
            } => Err(Failure::Unverified),
            Facts { syncing: true, .. } => Err(Failure::Syncing),
            _ => Ok(()),
        }
    }

    /// The newest height.
    pub(super) async fn height(&self) -> Result<u64, Failure> {
        let answer = self.call(calls::block_number()).await?;
        Ok(decode::<U64>(&answer, self.url())?.to())
    }

    /// The block with this tag; `None` where it has none.
    pub(super) async fn tagged(&self, tag: &str) -> Result<Option<Header>, Failure> {
        match self.call(calls::block(tag)).await {
            Ok(answer) => self.read_header(&answer),
            Err(failure) if failure.is_missing() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The block at this height.
    pub(super) async fn header(&self, number: u64) -> Result<Header, Failure> {
        let answer = self.call(calls::block_at(number)).await?;
        self.header_at(number, &answer)
    }

    /// The block at this height in the chain that `above` is part of.
    pub(super) async fn header_below(
        &self,
        number: u64,
        above: BlockRef,
    ) -> Result<Header, Failure> {
        let answer = self.call_where(above, calls::block_at(number)).await?;
        self.header_at(number, &answer)
    }

    /// As [`Self::call`], of something that names no chain: the answer counts only where it shows
    /// `block` in the same request. That is asked first, so that whoever changes forks in between
    /// has changed to the chain of `block`.
    async fn call_where(&self, block: BlockRef, call: Call) -> Answer {
        self.check_counts()?;
        let shows = calls::block_at(block.number);
        let (shown, answer) = self.batcher.call_both(shows, call).await;
        let shown = self.header_at(block.number, &shown?)?;
        if shown.hash() != block.hash {
            return Err(Failure::Unknown(block.to_string()));
        }
        answer
    }

    fn header_at(&self, number: u64, answer: &RawValue) -> Result<Header, Failure> {
        match self.read_header(answer)? {
            None => Err(Failure::Unknown(format!("block {number}"))),
            Some(header) if header.number() == number => Ok(header),
            Some(header) => Err(Failure::Malformed(format!(
                "block {} in place of {number}",
                header.number()
            ))),
        }
    }

    fn read_header(&self, answer: &RawValue) -> Result<Option<Header>, Failure> {
        let header = Header::read(answer, self.url())?;
        if let Some(header) = header {
            let proven = header.state_root().is_some();
            self.shown.header(header.number(), proven);
        }
        Ok(header)
    }

    /// The state root of the block with this number and hash, proven by the rest of its header.
    pub(super) async fn state_root(&self, number: u64, hash: B256) -> Result<B256, Failure> {
        let header = self.header(number).await?;
        if header.hash() != hash {
            return Err(Failure::Unknown(format!("block {hash}")));
        }
        header.state_root().ok_or(Failure::NoHeader)
    }

    /// What it showed of proofs.
    pub(super) const fn shown(&self) -> &Shown {
        &self.shown
    }

    /// It was asked to prove something; what came of it is remembered, and a lie told.
    pub(super) fn tried_to_prove(&self, failure: Option<&Failure>) {
        match failure {
            None => self.shown.proved(),
            Some(problem) => {
                if matches!(problem, Failure::False(_)) {
                    self.contradicted(&problem.to_string());
                }
                if self.shown.failed(problem, Instant::now()) {
                    tracing::warn!(provider = %self.name(), chain = self.chain_id, %problem, "provider lies");
                }
            }
        }
    }

    /// Proofs of these slots of a contract in the state after block `at`; not checked yet.
    pub(super) async fn proof(
        &self,
        of: Address,
        slots: &[U256],
        at: B256,
    ) -> Result<ProofAnswer, Failure> {
        self.check_counts()?;
        self.gatherer.prove(of, slots, at).await
    }

    /// A word of a contract's storage in the state after block `at`, as it says.
    pub(super) async fn word(&self, of: Address, slot: U256, at: B256) -> Result<U256, Failure> {
        let answer = self.call(calls::storage_at(of, slot, at)).await?;
        decode(&answer, self.url())
    }

    /// Calls a contract at the state after block `at`.
    pub(super) async fn eth_call(
        &self,
        to: Address,
        data: &[u8],
        at: B256,
    ) -> Result<Ended, Failure> {
        let answer = self.call(calls::eth_call(to, data, at)).await;
        ended(answer, self.url())
    }

    /// Calls a contract at the newest state of whatever chain this is.
    pub(super) async fn eth_call_latest(&self, to: Address, data: &[u8]) -> Result<Ended, Failure> {
        let answer = self.batcher.call(calls::eth_call_latest(to, data)).await;
        ended(answer, self.url())
    }

    /// Whether a contract lives there now, final or not.
    pub(super) async fn has_code(&self, address: Address) -> Result<bool, Failure> {
        let answer = self.call(calls::code(address)).await?;
        Ok(!decode::<Bytes>(&answer, self.url())?.is_empty())
    }

    /// Events of one contract in the chain that `above` is part of, which is not below `to`. Logs
    /// name no chain: one that lags behind answers that nothing happened.
    pub(super) async fn logs(
        &self,
        address: Address,
        topics: &[B256],
        (from, to): (u64, u64),
        above: BlockRef,
    ) -> Result<Vec<Log>, Failure> {
        let logs = calls::logs(address, topics, from, to);
        decode(&self.call_where(above, logs).await?, self.url())
    }
}

/// How a call of a contract ended, by what the provider at `url` answered.
pub(super) fn ended(answer: Answer, url: &RpcUrl) -> Result<Ended, Failure> {
    match answer {
        Ok(answer) => decode(&answer, url).map(Ended::Returned),
        Err(Failure::Rpc {
            revert: Some(data), ..
        }) => Ok(Ended::Reverted(data)),
        Err(failure) => Err(failure),
    }
}
