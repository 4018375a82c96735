//! Looking after the providers: chain id, height, lag, and whether they know the same final block.

use std::convert::Infallible;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{MissedTickBehavior, interval};

use super::super::calls::Header;
use super::super::provider::EvmProvider;
use super::{EvmClient, lock};
use crate::BlockRef;
use crate::providers::Provider;

/// How often every provider is checked: three requests to each, beside the polls.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Checks of which one also tries what is needed of a provider: every 30 s, and each while one is unfit.
const PROBE_ROUNDS: u64 = 6;

impl EvmClient {
    pub(super) async fn keep_checking(&self) -> Infallible {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 0_u64.. {
            ticks.tick().await;
            let mut providers = self.pool.neutral();
            let is_due = round % PROBE_ROUNDS == 0 || providers.any(Provider::is_unfit);
            self.check(is_due).await;
        }
        std::future::pending().await
    }

    /// Checks all providers once, at the same time; those that serve the chain also for what is needed of them.
    pub(super) async fn check(&self, probes: bool) {
        let head = self.final_head();
        let looks = self
            .pool
            .providers()
            .iter()
            .map(|provider| look(provider, head));
        let found = join_all(looks).await;
        let heights = found.iter().map(|look| look.height);
        let heights = self.pool.neutral().zip(heights);
        lock(&self.heights).compare(self.pool.rule().required(), heights);
        self.compare_hashes(&found);
        if let Some(head) = head.filter(|_| probes) {
            self.probe(head).await;
        }
    }

    async fn probe(&self, head: BlockRef) {
        let known = self.headers().get(head.number);
        let root = known.filter(|known| known.block == head);
        let root = root.and_then(|known| Some(known.roots?.state));
        for need in self.needs() {
            let usable = self.pool.providers().iter();
            let usable = usable.filter(|provider| provider.as_ref().is_verified());
            join_all(usable.map(|provider| provider.probe(need, head, root))).await;
        }
    }

    /// Where enough agree on a block, those that have another one at that height are wrong.
    fn compare_hashes(&self, found: &[CheckReport]) {
        let headers = || {
            found
                .iter()
                .enumerate()
                .filter_map(|(at, look)| Some((at, look.header?)))
        };
        let agreed = headers().find(|(_, header)| {
            let same = headers().filter(|(_, other)| other == header);
            let by: Vec<usize> = same.map(|(at, _)| at).collect();
            self.pool.rule().suffices(&by)
        });
        let Some((_, agreed)) = agreed else {
            return;
        };
        for (at, header) in headers().filter(|(_, header)| *header != agreed) {
            if let Some(provider) = self.pool.providers().get(at) {
                let (said, truth) = (header.block(), agreed.block());
                provider
                    .as_ref()
                    .contradicted(&format!("has {said} where the quorum has {truth}"));
            }
        }
    }
}

/// What one provider said in a check.
struct CheckReport {
    height: Option<u64>,
    /// The block at the height of the final head.
    header: Option<Header>,
}

async fn look(provider: &EvmProvider, head: Option<BlockRef>) -> CheckReport {
    provider.verify().await;
    if !provider.as_ref().is_verified() {
        provider.as_ref().compared(None, false);
        return CheckReport {
            height: None,
            header: None,
        };
    }
    let header = async {
        match head {
            Some(head) => provider.header(head.number).await.ok(),
            None => None,
        }
    };
    let (height, header) = tokio::join!(provider.report(), header);
    CheckReport { height, header }
}
