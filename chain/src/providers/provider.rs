//! One provider, whatever chain it serves: who it is, which chain it has shown, and how it fares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::health::{Observations, ServedChain};
use super::{ProofRecord, ProviderConfig, UnmetNeed};
use crate::rpc::{ProviderError, RequestStats, RpcUrl};
use crate::{ProviderHealth, ProviderStatus};

/// One provider. Its answers count only once it has shown that it serves the right chain.
pub struct Provider {
    chain_id: u64,
    /// Without secrets, and different from those of the other providers.
    label: String,
    /// For errors and records: with who runs it, where that was set.
    name: Arc<str>,
    config: ProviderConfig,
    stats: Arc<Mutex<RequestStats>>,
    observed: Mutex<Observations>,
    proofs: ProofRecord,
}

impl Provider {
    /// `label` tells it from others of the same host: see [`labels`].
    #[must_use]
    pub fn new(config: ProviderConfig, label: String, chain_id: u64) -> Self {
        let name = match &config.by {
            Some(by) => format!("{label} ({})", by.trim()),
            None => label.clone(),
        };
        Self {
            chain_id,
            label,
            name: name.into(),
            config,
            stats: Arc::default(),
            observed: Mutex::new(Observations::new(Instant::now())),
            proofs: ProofRecord::default(),
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn url(&self) -> &RpcUrl {
        &self.config.url
    }

    /// For errors and records: which one, and who runs it where that was set.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where its connection counts requests.
    #[must_use]
    pub const fn stats(&self) -> &Arc<Mutex<RequestStats>> {
        &self.stats
    }

    /// What it showed of proofs.
    #[must_use]
    pub const fn proofs(&self) -> &ProofRecord {
        &self.proofs
    }

    fn observed(&self) -> MutexGuard<'_, Observations> {
        lock(&self.observed)
    }

    /// Looks anew at how it fares, and logs where that changed.
    fn assess(&self) -> ProviderHealth {
        let (health, before) = self.observed().assess(Instant::now(), &lock(&self.stats));
        let (provider, chain) = (&self.label, self.chain_id);
        match (health, before) {
            (_, None) => {}
            (ProviderHealth::Ok, Some(ProviderHealth::Unknown)) => {
                tracing::debug!(%provider, chain, "provider serves this chain");
            }
            (ProviderHealth::Ok, Some(before)) => {
                tracing::info!(%provider, chain, %before, "provider is well again");
            }
            (standing, Some(_)) => {
                let problem = self.problem(standing).unwrap_or_default();
                tracing::warn!(%provider, chain, %standing, %problem, "provider does not count");
            }
        }
        health
    }

    /// Why it is not well, in a sentence about it.
    fn problem(&self, health: ProviderHealth) -> Option<String> {
        let observed = self.observed();
        let last = || lock(&self.stats).last().map(|last| last.text.clone());
        match (health, &observed.chain) {
            (ProviderHealth::WrongChain, ServedChain::Wrong(found)) => {
                Some(ProviderError::WrongChain(found.clone()).to_string())
            }
            (ProviderHealth::Contradicts, _) => observed
                .contradiction
                .as_ref()
                .map(|(_, what)| what.clone()),
            (ProviderHealth::Syncing, _) => Some(ProviderError::Syncing.to_string()),
            (ProviderHealth::Unfit, _) => observed.unfit(),
            (ProviderHealth::Lagging, _) => {
                Some(format!("is {} blocks behind", observed.lag.unwrap_or(0)))
            }
            (ProviderHealth::Unknown, _) => Some(ProviderError::Unverified.to_string()),
            (ProviderHealth::Ok | ProviderHealth::WrongChain, _) => observed.poll_problem(),
            (
                ProviderHealth::Failing | ProviderHealth::Hanging | ProviderHealth::RateLimited,
                _,
            ) => last().or_else(|| observed.poll_problem()),
        }
    }

    /// How it fares, for people and alerts.
    #[must_use]
    pub fn status(&self) -> ProviderStatus {
        let health = self.assess();
        let problem = self
            .proofs
            .recent_lie(Instant::now())
            .or(self.problem(health));
        let now = Instant::now();
        let (observed, stats) = (self.observed(), lock(&self.stats));
        let age = |at: Instant| now.saturating_duration_since(at);
        let failed = stats.last().map(|last| (last.text.clone(), age(last.at)));
        let contradicted = observed.contradiction.as_ref();
        let contradicted = contradicted.map(|(at, what)| (what.clone(), age(*at)));
        let (asked, failures) = stats.lately(now);
        ProviderStatus {
            provider: self.label.clone(),
            by: self.config.runner(),
            client: self.config.client.clone(),
            health,
            since: observed.since(now),
            problem,
            last_error: failed
                .into_iter()
                .chain(contradicted)
                .min_by_key(|(_, age)| *age),
            height: observed.height,
            lag: observed.lag,
            requests: stats.counts(),
            contradictions: observed.contradictions,
            lies: self.proofs.lies(),
            error_rate: (asked > 0).then(|| f64::from(failures) / f64::from(asked)),
            latency_p50: stats.percentile(50),
            latency_p99: stats.percentile(99),
        }
    }

    /// Whether it lacks what is needed of it.
    #[must_use]
    pub fn is_unfit(&self) -> bool {
        self.observed().unfit().is_some()
    }

    /// Whether it has shown that it serves the right chain.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.observed().chain == ServedChain::Right
    }

    /// It was asked which chain it serves: the right one, or which other. One that does not answer stays what
    /// it was.
    pub fn identified<C: PartialEq + ToString>(&self, found: Result<C, ProviderError>, right: &C) {
        if let Ok(found) = found {
            self.observed().chain = match found == *right {
                true => ServedChain::Right,
                false => ServedChain::Wrong(found.to_string()),
            };
        }
        self.assess();
    }

    /// It was asked whether it is syncing, and how high it is; `None` where it did not say.
    pub fn reported(&self, syncing: Option<bool>, height: Option<u64>) {
        let mut observed = self.observed();
        observed.syncing = syncing.unwrap_or(observed.syncing);
        observed.height = height.or(observed.height);
    }

    /// Notes how far it is behind, and whether it lacks what others have had for a while.
    pub fn compared(&self, lag: Option<u64>, lagging: bool) {
        let mut observed = self.observed();
        observed.lag = lag;
        observed.lagging = lagging;
        drop(observed);
        self.assess();
    }

    /// It said something else than the quorum about what can only be one way, or sent a proof that
    /// does not verify: `what` goes on after its name.
    pub fn contradicted(&self, what: &str) {
        let mut observed = self.observed();
        observed.contradiction = Some((Instant::now(), self.url().scrub(what)));
        observed.contradictions += 1;
        drop(observed);
        self.assess();
    }

    /// Remembers how its part in a poll went.
    pub fn polled(&self, result: Result<(), ProviderError>) {
        self.observed().polled(result);
        self.assess();
    }

    /// It was tried whether it serves what is needed of it.
    pub fn probed(&self, unmet: Option<UnmetNeed>) {
        self.observed().probed(unmet);
        self.assess();
    }

    /// It was asked to prove something; what came of it is remembered, and a false proof told.
    pub fn tried_to_prove(&self, error: Option<&ProviderError>) {
        match error {
            None => self.proofs.proved(),
            Some(problem) => {
                if matches!(problem, ProviderError::FalseProof(_)) {
                    self.contradicted(&problem.to_string());
                }
                if self.proofs.failed(problem, Instant::now()) {
                    tracing::warn!(provider = %self.name(), chain = self.chain_id, %problem, "provider lies");
                }
            }
        }
    }

    /// Whether what it says about the chain counts at all.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check_counts(&self) -> Result<(), ProviderError> {
        let observed = self.observed();
        match &observed.chain {
            ServedChain::Wrong(found) => Err(ProviderError::WrongChain(found.clone())),
            ServedChain::Unknown => Err(ProviderError::Unverified),
            ServedChain::Right if observed.syncing => Err(ProviderError::Syncing),
            ServedChain::Right => Ok(()),
        }
    }
}

impl AsRef<Self> for Provider {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// What tells the providers apart: their URLs without secrets, numbered where these are the same.
#[must_use]
pub fn labels(providers: &[ProviderConfig]) -> Vec<String> {
    let shown: Vec<String> = providers.iter().map(|p| p.url.to_string()).collect();
    let label = |(index, text): (usize, &String)| {
        let same = |texts: &[String]| texts.iter().filter(|other| *other == text).count();
        match same(&shown) {
            1 => text.clone(),
            _ => format!("{text}#{}", same(&shown[..=index])),
        }
    };
    shown.iter().enumerate().map(label).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
