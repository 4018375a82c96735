//! What an operator sets for one chain, and what a family of chains makes of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::providers::ProviderConfig;
use crate::quorum::QuorumRule;
use crate::rpc::RpcUrl;
use crate::{
    BlockRef, CertificateCheck, ChainEntry, ChainError, ChainFamily, Finality, HomeReader,
    Providers, StateReader, Submitter, TransferReader,
};

/// How often heads are polled unless set otherwise: well below the block time of the slower
/// chains, and one small request per provider.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Most providers of one chain. More would multiply every read, and no operator runs more.
const MAX_PROVIDERS: usize = 16;

/// Different runners among those that agree, unless set otherwise: one alone cannot lie then.
const MIN_RUNNERS: usize = 2;

/// One chain and its providers, whatever its family.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// The chain id that every provider must report.
    pub chain_id: u64,
    /// The providers, at least one, none of them twice.
    pub rpc: Vec<ProviderConfig>,
    /// How many of them must give the same answer: more than half of them, which is also what
    /// `None` stands for.
    pub quorum: Option<usize>,
    /// By how many different ones those must be run; two, or as many as there are, if `None`.
    pub min_runners: Option<usize>,
    /// When a block is final.
    pub finality: Finality,
    /// How often to look for a new head.
    pub poll_interval: Duration,
    /// Which family it is of, with the settings that only that family knows.
    pub family: Arc<dyn Family>,
}

/// A family of chains, with the settings of one chain that only the family knows.
pub trait Family: fmt::Debug + Send + Sync + 'static {
    /// Which it is.
    fn kind(&self) -> ChainFamily;

    /// The same with the settings of one chain that only the family knows; `setting` has their texts by name.
    ///
    /// # Errors
    /// All that is wrong with them.
    fn configured(
        &self,
        setting: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Arc<dyn Family>, Vec<SettingProblem>>;

    /// What the directory of chains should say of a chain with these settings, whose first block has the hash
    /// `genesis`.
    fn entry(&self, genesis: B256, state_manager: B256) -> ChainEntry;

    /// The home chain, with these two contracts. Nothing is asked before the returned client or
    /// follower does.
    ///
    /// # Errors
    /// [`ChainError::Settings`].
    fn home(
        &self,
        chain: &ChainConfig,
        registry: Address,
        epoch_manager: Address,
        halt: &CancellationToken,
    ) -> Result<Connected<dyn HomeReader>, ChainError>;

    /// A chain whose stored values are read, from this contract. Of one that `has_proofs` nothing else is good
    /// enough. Nothing is asked before the returned client or follower does.
    ///
    /// # Errors
    /// [`ChainError::Settings`].
    fn source(
        &self,
        chain: &ChainConfig,
        state_manager: Address,
        has_proofs: bool,
        halt: &CancellationToken,
    ) -> Result<Connected<dyn StateReader>, ChainError>;

    /// A chain of which only a bridge's contract is read, or to which is only sent: both through the returned
    /// client. Nothing is asked before it or the follower does.
    ///
    /// # Errors
    /// [`ChainError::Settings`].
    fn bridge(
        &self,
        _chain: &ChainConfig,
        _halt: &CancellationToken,
    ) -> Result<Connected<dyn TransferReader>, ChainError> {
        Err(ChainError::Settings {
            detail: "chains of this family have no bridges".to_owned(),
        })
    }

    /// Asks a registry itself, at the newest block, whether `certificate` is one for `digest`.
    fn verify<'a>(
        &'a self,
        rpc: &'a RpcUrl,
        registry: Address,
        digest: B256,
        certificate: &'a [u8],
    ) -> BoxFuture<'a, Result<CertificateCheck, ChainError>>;
}

/// What is wrong with one setting of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// The setting.
    pub name: &'static str,
    /// What is wrong, and what to write.
    pub text: String,
}

/// A chain that is read through its providers.
pub struct Connected<R: ?Sized> {
    /// Reads it.
    pub reader: Arc<R>,
    /// Its providers.
    pub client: Arc<dyn ChainClient>,
    /// Keeps the reader up to date, until its token is cancelled.
    pub follower: BoxFuture<'static, Result<(), ChainError>>,
}

/// The providers of a chain, whatever is read there.
pub trait ChainClient: Send + Sync + 'static {
    /// Asks every provider for its chain and polls once. Providers that are down or serve another
    /// chain do not fail this: they count as a "no" until the follower has heard otherwise. The operator of a
    /// provider must not be able to stop a node.
    fn connect(&self) -> BoxFuture<'_, ()>;

    /// Checks all providers once, at the same time, also for what is needed of them where it is known what
    /// is final; takes 8 s at most.
    fn examine(&self) -> BoxFuture<'_, ()>;

    /// Looks for a newer final head now and answers the one known then.
    ///
    /// # Errors
    /// [`ChainError::NotFinal`] while nothing is final.
    fn refresh(&self) -> BoxFuture<'_, Result<BlockRef, ChainError>>;

    /// The providers, when they suffice, and how each of them fares.
    fn providers(&self) -> Providers;

    /// Reads bridges of the chain through the same providers, where the family has any.
    fn transfers(self: Arc<Self>) -> Option<Arc<dyn TransferReader>> {
        None
    }

    /// Sends to the chain through the same providers, where the family can.
    fn submitter(self: Arc<Self>) -> Option<Arc<dyn Submitter>> {
        None
    }
}

impl ChainConfig {
    /// Without labels, with a quorum of more than half and the usual poll interval.
    #[must_use]
    pub fn new(
        chain_id: u64,
        rpc: Vec<RpcUrl>,
        finality: Finality,
        family: Arc<dyn Family>,
    ) -> Self {
        Self {
            chain_id,
            rpc: rpc.into_iter().map(ProviderConfig::from).collect(),
            quorum: None,
            min_runners: None,
            finality,
            poll_interval: POLL_INTERVAL,
            family,
        }
    }

    /// See [`Family::home`].
    ///
    /// # Errors
    /// [`ChainError::Settings`].
    pub fn open_home(
        &self,
        registry: Address,
        epoch_manager: Address,
        halt: &CancellationToken,
    ) -> Result<Connected<dyn HomeReader>, ChainError> {
        self.family.home(self, registry, epoch_manager, halt)
    }

    /// See [`Family::source`].
    ///
    /// # Errors
    /// [`ChainError::Settings`].
    pub fn open(
        &self,
        state_manager: Address,
        has_proofs: bool,
        halt: &CancellationToken,
    ) -> Result<Connected<dyn StateReader>, ChainError> {
        self.family.source(self, state_manager, has_proofs, halt)
    }

    /// The chain for bridges alone.
    ///
    /// # Errors
    /// [`ChainError::Settings`].
    pub fn open_bridge(
        &self,
        halt: &CancellationToken,
    ) -> Result<Connected<dyn TransferReader>, ChainError> {
        self.family.bridge(self, halt)
    }

    /// Everything that is wrong with these settings: which one, and what it should be.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ChainError> {
        self.rule().map(drop)
    }

    /// When providers suffice: k of the n that are configured, whether they work or not.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn rule(&self) -> Result<QuorumRule, ChainError> {
        let chain = self.chain_id;
        let settings = |detail: String| Err(ChainError::Settings { detail });
        let count = self.rpc.len();
        if count == 0 || count > MAX_PROVIDERS {
            return settings(format!(
                "chain {chain} has {count} RPC URLs; set 1 to {MAX_PROVIDERS}"
            ));
        }
        if self.poll_interval.is_zero() {
            return settings(format!(
                "the poll interval of chain {chain} is zero; set 1s"
            ));
        }
        for (index, provider) in self.rpc.iter().enumerate() {
            if self.rpc[..index].iter().any(|p| p.url == provider.url) {
                return settings(format!(
                    "chain {chain} has the RPC URL at {} twice, which would count twice; remove one",
                    provider.url
                ));
            }
            if let Err(problem) = provider.check() {
                return settings(problem);
            }
        }
        let least = count / 2 + 1;
        let required = self.quorum.unwrap_or(least);
        if !(least..=count).contains(&required) {
            return settings(format!(
                "the RPC quorum of chain {chain} is {required}; with {count} RPC URLs set {least} to \
                 {count}: fewer would let a minority of them decide"
            ));
        }
        self.with_runners(required)
    }

    fn with_runners(&self, required: usize) -> Result<QuorumRule, ChainError> {
        let runners: Vec<String> = self.rpc.iter().map(ProviderConfig::runner).collect();
        let mut distinct = runners.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let most = required.min(distinct.len());
        let min_runners = self.min_runners.unwrap_or(MIN_RUNNERS.min(most));
        if !(1..=most).contains(&min_runners) {
            let detail = format!(
                "chain {} wants {min_runners} different runners among {required} RPC providers that agree, and \
                 its providers are run by {}; set 1 to {most}, or say by whom each is run",
                self.chain_id,
                distinct.join(", ")
            );
            return Err(ChainError::Settings { detail });
        }
        Ok(QuorumRule::new(required, min_runners, &runners))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evm::EvmSettings;

    /// Providers as texts: host and path, and behind a blank who runs it, if that is set.
    fn config(providers: &[&str]) -> ChainConfig {
        let mut config = ChainConfig::new(
            1,
            Vec::new(),
            Finality::Finalized,
            Arc::new(EvmSettings::default()),
        );
        let provider = |text: &&str| {
            let (url, by) = text
                .split_once(' ')
                .map_or((*text, None), |(u, b)| (u, Some(b)));
            ProviderConfig {
                by: by.map(str::to_owned),
                ..format!("https://{url}")
                    .parse::<RpcUrl>()
                    .expect("a URL")
                    .into()
            }
        };
        config.rpc = providers.iter().map(provider).collect();
        config
    }

    #[test]
    fn more_than_half_and_never_fewer() {
        let table = [
            (1, None, Some(1)),
            (2, None, Some(2)),
            (3, None, Some(2)),
            (4, None, Some(3)),
            (5, None, Some(3)),
            (5, Some(5), Some(5)),
            (5, Some(3), Some(3)),
            (1, Some(1), Some(1)),
            // A minority must not decide.
            (2, Some(1), None),
            (3, Some(1), None),
            (4, Some(2), None),
            (5, Some(2), None),
            (5, Some(6), None),
            (5, Some(0), None),
            (0, None, None),
            (17, None, None),
        ];
        for (count, quorum, expected) in table {
            let urls: Vec<String> = (0..count).map(|n| format!("h{n}")).collect();
            let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
            let mut config = config(&urls);
            config.quorum = quorum;
            assert_eq!(
                config.rule().ok().map(|rule| rule.required()),
                expected,
                "{count} URLs, quorum {quorum:?}"
            );
        }
    }

    #[test]
    fn runners_are_labels_or_hosts() {
        type Row = (&'static [&'static str], Option<usize>, Option<usize>);
        let table: [Row; 11] = [
            (&["a.org"], None, Some(1)),
            (&["a.org"], Some(2), None),
            (&["a.org/1", "b.org/1"], None, Some(2)),
            // The same host is the same runner, unless a label says otherwise.
            (&["a.org/1", "a.org/2"], None, Some(1)),
            (&["a.org/1 x", "a.org/2 y"], None, Some(2)),
            (&["a.org/1 Acme", "b.org/1  acme"], None, Some(1)),
            (&["a.org/1 Acme", "b.org/1 acme"], Some(2), None),
            (&["a.org/1 b.org", "b.org/1"], Some(2), None),
            (&["a.org/1", "b.org/1"], Some(1), Some(1)),
            (&["a.org/1", "b.org/1"], Some(0), None),
            (&["a.org/1", "b.org/1"], Some(3), None),
        ];
        for (providers, set, expected) in table {
            let mut config = config(providers);
            config.min_runners = set;
            let found = config.rule().ok().map(|rule| rule.min_runners());
            assert_eq!(found, expected, "{providers:?} {set:?}");
        }
        let three = config(&["a.org/1", "b.org/1", "a.org/2"]);
        let rule = three.rule().expect("a rule");
        assert!(!rule.suffices(&[0, 2]) && rule.suffices(&[0, 1]));
    }

    #[test]
    fn one_url_is_one_provider_and_labels_are_short() {
        let twice = config(&["a.org/key", "a.org:443/key b"]);
        let error = twice.rule().expect_err("refused").to_string();
        assert!(
            error.contains("https://a.org twice") && !error.contains("key"),
            "{error}"
        );
        for label in ["", "  ", "a\nb", &"x".repeat(65)] {
            let error = config(&[&format!("a.org {label}")]).check();
            assert!(error.is_err(), "{label:?}");
        }
        let longest = format!("a.org {}", "x".repeat(64));
        assert!(config(&[&longest]).check().is_ok());
    }
}
