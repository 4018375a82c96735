//! What an operator sets for one chain.

use std::time::Duration;

use alloy::primitives::U256;

use super::rule::Rule;
use super::{BlockNumbers, Finality, Reads, RpcUrl};
use crate::ChainError;

/// How often heads are polled unless set otherwise: well below the block time of the slower
/// chains, and one small request per provider.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Most providers of one chain. More would multiply every read, and nobody runs more.
const MAX_PROVIDERS: usize = 16;

/// Different runners among those that agree, unless set otherwise: one alone cannot lie then.
const MIN_RUNNERS: usize = 2;

/// Characters of a label: a name or a domain.
const LONGEST_LABEL: usize = 64;

/// One EVM chain and its providers.
#[derive(Clone, Debug)]
pub struct EvmConfig {
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
    /// How values are read.
    pub reads: Reads,
    /// Storage slot of the state manager's `mapping(address => mapping(uint256 => History[]))`.
    pub history_slot: U256,
    /// Whose blocks the state manager counts.
    pub block_numbers: BlockNumbers,
}

/// One provider, and who is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Where it is.
    pub url: RpcUrl,
    /// Who runs it; the URL's host if `None`. Two providers of one runner are one voice.
    pub by: Option<String>,
    /// Which program it is, such as geth or reth; for people.
    pub client: Option<String>,
}

impl From<RpcUrl> for ProviderConfig {
    fn from(url: RpcUrl) -> Self {
        Self {
            url,
            by: None,
            client: None,
        }
    }
}

impl ProviderConfig {
    /// Who runs it.
    #[must_use]
    pub fn runner(&self) -> String {
        let label = self.by.as_deref().map(str::trim);
        label.map_or_else(|| self.url.host(), str::to_lowercase)
    }

    fn check(&self) -> Result<(), String> {
        for label in [&self.by, &self.client].into_iter().flatten() {
            let length = label.trim().chars().count();
            if !(1..=LONGEST_LABEL).contains(&length) || label.chars().any(char::is_control) {
                return Err(format!(
                    "the label {label:?} of {} must have 1 to {LONGEST_LABEL} characters",
                    self.url
                ));
            }
        }
        Ok(())
    }
}

impl EvmConfig {
    /// Without labels, with a quorum of more than half and the usual poll interval.
    #[must_use]
    pub fn new(chain_id: u64, rpc: Vec<RpcUrl>, finality: Finality) -> Self {
        Self {
            chain_id,
            rpc: rpc.into_iter().map(ProviderConfig::from).collect(),
            quorum: None,
            min_runners: None,
            finality,
            poll_interval: POLL_INTERVAL,
            reads: Reads::Auto,
            history_slot: U256::ZERO,
            block_numbers: BlockNumbers::Own,
        }
    }

    /// Everything that is wrong with these settings: which one, and what it should be.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ChainError> {
        self.rule().map(drop)
    }

    /// When providers suffice: k of the n that are configured, whether they work or not.
    pub(super) fn rule(&self) -> Result<Rule, ChainError> {
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

    fn with_runners(&self, required: usize) -> Result<Rule, ChainError> {
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
        Ok(Rule::new(required, min_runners, &runners))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Providers as texts: host and path, and behind a blank who runs it, if somebody says so.
    fn config(providers: &[&str]) -> EvmConfig {
        let mut config = EvmConfig::new(1, Vec::new(), Finality::Finalized);
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
            // The same host is the same runner, unless somebody says otherwise.
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
