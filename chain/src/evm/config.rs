//! What an operator sets for one chain.

use std::time::Duration;

use alloy::primitives::U256;

use super::{Finality, Reads, RpcUrl};
use crate::ChainError;

/// How often heads are polled unless set otherwise: well below the block time of the slower
/// chains, and one small request per provider.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Most providers of one chain. More would multiply every read, and nobody runs more.
const MAX_PROVIDERS: usize = 16;

/// One EVM chain and its providers.
#[derive(Clone, Debug)]
pub struct EvmConfig {
    /// The chain id that every provider must report.
    pub chain_id: u64,
    /// The providers, at least one.
    pub rpc: Vec<RpcUrl>,
    /// How many of them must give the same answer; more than half of them if `None`.
    pub quorum: Option<usize>,
    /// When a block is final.
    pub finality: Finality,
    /// How often to look for a new head.
    pub poll_interval: Duration,
    /// How values are read.
    pub reads: Reads,
    /// Storage slot of the state manager's `mapping(address => mapping(uint256 => History[]))`.
    pub history_slot: U256,
}

impl EvmConfig {
    /// With a quorum of more than half and the usual poll interval.
    #[must_use]
    pub const fn new(chain_id: u64, rpc: Vec<RpcUrl>, finality: Finality) -> Self {
        Self {
            chain_id,
            rpc,
            quorum: None,
            finality,
            poll_interval: POLL_INTERVAL,
            reads: Reads::Auto,
            history_slot: U256::ZERO,
        }
    }

    /// k of the n providers that are configured, whether they work or not.
    pub(super) fn required(&self) -> Result<usize, ChainError> {
        let settings = |detail: String| Err(ChainError::Settings { detail });
        let count = self.rpc.len();
        if count == 0 || count > MAX_PROVIDERS {
            return settings(format!(
                "chain {} has {count} RPC URLs; set 1 to {MAX_PROVIDERS}",
                self.chain_id
            ));
        }
        if self.poll_interval.is_zero() {
            return settings(format!(
                "the poll interval of chain {} is zero; set 1s",
                self.chain_id
            ));
        }
        match self.quorum.unwrap_or(count / 2 + 1) {
            required if (1..=count).contains(&required) => Ok(required),
            required => settings(format!(
                "the RPC quorum of chain {} is {required}; with {count} RPC URLs set 1 to {count}",
                self.chain_id
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_unless_set() {
        let table = [
            (1, None, Some(1)),
            (2, None, Some(2)),
            (3, None, Some(2)),
            (4, None, Some(3)),
            (5, None, Some(3)),
            (5, Some(5), Some(5)),
            (5, Some(1), Some(1)),
            (5, Some(6), None),
            (5, Some(0), None),
            (0, None, None),
            (17, None, None),
        ];
        for (count, quorum, expected) in table {
            let url: RpcUrl = "http://localhost:8545".parse().expect("a URL");
            let mut config = EvmConfig::new(1, vec![url; count], Finality::Finalized);
            config.quorum = quorum;
            assert_eq!(
                config.required().ok(),
                expected,
                "{count} URLs, quorum {quorum:?}"
            );
        }
    }
}
