//! Looking after the providers: chain id, height, lag, and whether they know the same final block.

use std::convert::Infallible;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{MissedTickBehavior, interval};

use super::super::calls::Header;
use super::super::provider::Provider;
use super::{EvmClient, lock};
use crate::BlockRef;

/// How often every provider is checked: three requests to each, beside the polls.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Checks of which one also tries what is needed of a provider: every 30 s, and each while one is unfit.
const PROBE_ROUNDS: u64 = 6;

/// Rounds after which a provider must have what k of them had: 15 s, in which blocks reach anybody
/// who is well.
const LAG_ROUNDS: usize = 3;

impl EvmClient {
    pub(super) async fn keep_checking(&self) -> Infallible {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 0_u64.. {
            ticks.tick().await;
            let mut providers = self.pool.providers().iter();
            let is_due = round % PROBE_ROUNDS == 0 || providers.any(Provider::is_unfit);
            self.check(is_due).await;
        }
        std::future::pending().await
    }

    /// Checks all providers once, at the same time, also for what is needed of them where it is known what
    /// is final; takes 8 s at most.
    pub async fn examine(&self) {
        self.check(true).await;
    }

    async fn check(&self, probes: bool) {
        let head = self.final_head();
        let looks = self
            .pool
            .providers()
            .iter()
            .map(|provider| look(provider, head));
        let found = join_all(looks).await;
        self.compare_heights(&found);
        self.compare_hashes(&found);
        if let Some(head) = head.filter(|_| probes) {
            self.probe(head).await;
        }
    }

    async fn probe(&self, head: BlockRef) {
        let known = self.headers().get(head.number);
        let root = known.filter(|known| known.block == head);
        let root = root.and_then(|known| known.state_root);
        for need in self.needs() {
            let usable = self.pool.providers().iter();
            let usable = usable.filter(|provider| provider.is_verified());
            join_all(usable.map(|provider| provider.probe(need, head, root))).await;
        }
    }

    fn compare_heights(&self, found: &[Look]) {
        let mut heights: Vec<u64> = found.iter().filter_map(|look| look.height).collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        let reference = heights.get(self.pool.rule().required() - 1).copied();
        let earlier = self.remember_height(reference);
        for (provider, look) in self.pool.providers().iter().zip(found) {
            let lag = reference
                .zip(look.height)
                .map(|(reference, own)| reference.saturating_sub(own));
            let lagging = look
                .height
                .zip(earlier)
                .is_some_and(|(own, earlier)| own < earlier);
            provider.compared(lag, lagging);
        }
    }

    /// What k providers had some rounds ago.
    fn remember_height(&self, reference: Option<u64>) -> Option<u64> {
        let mut heights = lock(&self.heights);
        let earlier = heights
            .front()
            .copied()
            .filter(|_| heights.len() == LAG_ROUNDS);
        heights.extend(reference);
        if heights.len() > LAG_ROUNDS {
            heights.pop_front();
        }
        earlier
    }

    /// Where enough agree on a block, whoever has another one at that height is wrong.
    fn compare_hashes(&self, found: &[Look]) {
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
                provider.contradicted(&format!("has {said} where the quorum has {truth}"));
            }
        }
    }
}

/// What one provider said in a check.
struct Look {
    height: Option<u64>,
    /// The block at the height of the final head.
    header: Option<Header>,
}

async fn look(provider: &Provider, head: Option<BlockRef>) -> Look {
    provider.verify().await;
    if !provider.is_verified() {
        provider.compared(None, false);
        return Look {
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
    let (height, header) = tokio::join!(provider.look(), header);
    Look { height, header }
}
