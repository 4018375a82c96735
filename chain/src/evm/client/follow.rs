//! Following the chain: polls, new heads, and final blocks that leave it.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use alloy::primitives::B256;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::super::calls::Header;
use super::super::provider::EvmProvider;
use super::{EvmClient, lock};
use crate::priority::for_all;
use crate::{BlockRef, ChainError};

/// Least time between the starts of two polls, for all callers together: 20 polls per second and provider,
/// however many users ask for blocks that do not exist yet.
const MIN_POLL_SPACING: Duration = Duration::from_millis(50);

impl EvmClient {
    pub(super) async fn keep_polling(&self) -> Infallible {
        let mut ticks = interval(self.poll_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut well = true;
        loop {
            ticks.tick().await;
            let result = self.poll().await;
            if let (true, Err(problem)) = (well, &result) {
                tracing::warn!(chain = self.chain_id, %problem, "final head is not known");
            }
            if !well && result.is_ok() {
                tracing::info!(chain = self.chain_id, "final head is known again");
            }
            well = result.is_ok();
        }
    }

    /// Looks for a newer final head. Callers that come while one is looked for share the next
    /// poll: the one under way may have begun before the block they hope for.
    pub(super) async fn poll(&self) -> Result<(), ChainError> {
        let seen = self.polls_started.load(Ordering::SeqCst);
        let mut last = self.last_poll.lock().await;
        if last.number > seen {
            return last.result.clone();
        }
        if let Some(started) = last.started {
            sleep_until(started + MIN_POLL_SPACING).await;
        }
        let number = self.polls_started.fetch_add(1, Ordering::SeqCst) + 1;
        last.started = Some(Instant::now());
        let result = for_all(self.look()).await;
        last.number = number;
        last.result = result.clone();
        result
    }

    async fn look(&self) -> Result<(), ChainError> {
        if let Some(new) = self.pool.final_head(self.finality).await? {
            self.follow(new).await?;
        }
        *lock(&self.last_success) = Some(Instant::now());
        Ok(())
    }

    async fn follow(&self, new: Header) -> Result<(), ChainError> {
        let Some(old) = self.final_head() else {
            self.advance(&new);
            return Ok(());
        };
        if let Some(other) = self.replaced(old, &new).await? {
            self.violated(old, other, &new);
        } else if new.number() > old.number {
            self.advance(&new);
        }
        Ok(())
    }

    /// What is in the chain in place of `old`, if it is no longer there.
    async fn replaced(&self, old: BlockRef, new: &Header) -> Result<Option<B256>, ChainError> {
        if old.number.checked_add(1) == Some(new.number()) && new.parent_hash() == old.hash {
            return Ok(None);
        }
        let now = match new.number() {
            height if height == old.number => Ok(*new),
            height if height > old.number => {
                let question =
                    |_, provider| EvmProvider::header_below(provider, old.number, new.block());
                self.pool.ask(question).await
            }
            _ => {
                let question = |_, provider| EvmProvider::header(provider, old.number);
                self.pool.ask(question).await
            }
        };
        match now {
            Ok(now) => Ok(Some(now.hash()).filter(|hash| *hash != old.hash)),
            // Providers that lag behind cannot know; there is no newer head to take over either.
            Err(_) if new.number() < old.number => Ok(None),
            Err(none) => Err(none.into()),
        }
    }

    fn advance(&self, head: &Header) {
        let mut headers = self.headers();
        let generation = headers.generation();
        headers.insert(generation, head.into());
        self.head.send_replace(Some(head.block()));
    }

    fn violated(&self, old: BlockRef, other: B256, new: &Header) {
        let mut headers = self.headers();
        headers.clear();
        tracing::error!(
            chain = self.chain_id, was = %old, is = %other, violations = headers.generation(),
            "a final block left the chain: the finality rule is too weak, or the providers lie"
        );
        let generation = headers.generation();
        headers.insert(generation, new.into());
        self.head.send_replace(Some(new.block()));
    }
}
