//! A chain that moves on by itself.

use std::time::Duration;

use alloy::providers::{DynProvider, Provider};
use quorate_chain::anvil::AnvilChain;
use tokio::task::JoinHandle;

/// Adds blocks to a chain until it is dropped.
pub struct Miner(JoinHandle<()>);

impl Miner {
    /// A block every `period`, or as soon after that as the chain can.
    #[must_use]
    pub fn start(chain: &AnvilChain, period: Duration) -> Self {
        let provider: DynProvider = chain.provider().clone();
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(period);
            loop {
                ticks.tick().await;
                let _: Result<(), _> = provider.raw_request("evm_mine".into(), ()).await;
            }
        }))
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        self.0.abort();
    }
}
