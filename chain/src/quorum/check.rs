//! Looking after the providers: which chain they serve, how high they are, and whether they know the same final block.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use tokio::time::{MissedTickBehavior, interval};

use super::{FinalHead, Pool};
use crate::BlockRef;
use crate::providers::{HeightWindow, Provider};

/// How often every provider is checked: three requests to each, beside the polls.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Checks of which one also tries what is needed of a provider: every 30 s, and each while one is unfit.
const PROBE_ROUNDS: u64 = 6;

/// A provider that can be asked how it fares.
pub trait Checkable: FinalHead {
    /// Asks which chain it serves, and remembers that.
    fn verify(&self) -> BoxFuture<'_, ()>;

    /// Asks how high it is, and what else its family tells of its state; the height.
    fn report(&self) -> BoxFuture<'_, Option<u64>>;
}

/// What one provider said in a check.
struct CheckReport<H> {
    height: Option<u64>,
    /// The block at the height of the final head.
    header: Option<H>,
}

impl<P: Checkable> Pool<P> {
    /// Checks for ever; `check` is told whether it is time to try what is needed of the providers, too.
    pub async fn keep_checking<Q>(&self, check: impl Fn(bool) -> Q) -> Infallible
    where
        Q: Future<Output = ()>,
    {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 0_u64.. {
            ticks.tick().await;
            let mut providers = self.neutral();
            let is_due = round % PROBE_ROUNDS == 0 || providers.any(Provider::is_unfit);
            check(is_due).await;
        }
        std::future::pending().await
    }

    /// Checks all providers once, at the same time, and notes in `heights` how high they are; the block that enough
    /// have at the height of the final head.
    pub async fn check(
        &self,
        head: Option<BlockRef>,
        heights: &Mutex<HeightWindow>,
    ) -> Option<P::Header> {
        let looks = self.providers().iter().map(|provider| look(provider, head));
        let found = join_all(looks).await;
        let said = found.iter().map(|look| look.height);
        heights
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .compare(self.rule().required(), self.neutral().zip(said));
        self.compare_hashes(&found)
    }

    /// Where enough agree on a block, those that have another one at that height are wrong.
    fn compare_hashes(&self, found: &[CheckReport<P::Header>]) -> Option<P::Header> {
        let headers = || {
            found
                .iter()
                .enumerate()
                .filter_map(|(at, look)| Some((at, look.header?)))
        };
        let (_, agreed) = headers().find(|(_, header)| {
            let same = headers().filter(|(_, other)| other == header);
            let by: Vec<usize> = same.map(|(at, _)| at).collect();
            self.rule().suffices(&by)
        })?;
        for (at, header) in headers().filter(|(_, header)| *header != agreed) {
            if let Some(provider) = self.providers().get(at) {
                let (said, truth) = (P::block(&header), P::block(&agreed));
                provider
                    .as_ref()
                    .contradicted(&format!("has {said} where the quorum has {truth}"));
            }
        }
        Some(agreed)
    }
}

async fn look<P: Checkable>(provider: &P, head: Option<BlockRef>) -> CheckReport<P::Header> {
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
            Some(head) => provider.describe(head.number).await.ok(),
            None => None,
        }
    };
    let (height, header) = tokio::join!(provider.report(), header);
    CheckReport { height, header }
}
