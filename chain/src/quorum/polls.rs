//! Looking for a newer final head, again and again, and once for all who ask at the same time.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::ChainError;
use crate::priority::for_all;

/// Least time between the starts of two polls, for all callers together: 20 polls per second and provider,
/// however many users ask for blocks that do not exist yet.
const MIN_POLL_SPACING: Duration = Duration::from_millis(50);

/// The polls of one chain.
pub struct Polls {
    chain_id: u64,
    interval: Duration,
    started: AtomicU64,
    last: tokio::sync::Mutex<LastPoll>,
    last_success: Mutex<Option<Instant>>,
}

/// The poll that ended last.
struct LastPoll {
    number: u64,
    started: Option<Instant>,
    result: Result<(), ChainError>,
}

impl Polls {
    /// Those of a chain whose head is looked for this often.
    #[must_use]
    pub fn new(chain_id: u64, interval: Duration) -> Self {
        Self {
            chain_id,
            interval,
            started: AtomicU64::new(0),
            last: tokio::sync::Mutex::new(LastPoll {
                number: 0,
                started: None,
                result: Ok(()),
            }),
            last_success: Mutex::default(),
        }
    }

    /// How long ago the providers last agreed; `None` if never.
    pub fn agreed_ago(&self) -> Option<Duration> {
        let last = self.last_success.lock();
        last.unwrap_or_else(PoisonError::into_inner)
            .map(|at| at.elapsed())
    }

    /// Polls for ever; tells when that begins to fail, and when it ends to.
    pub async fn keep_polling<Q>(&self, poll: impl Fn() -> Q) -> Infallible
    where
        Q: Future<Output = Result<(), ChainError>>,
    {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut well = true;
        loop {
            ticks.tick().await;
            let result = poll().await;
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
    ///
    /// # Errors
    /// Those of `look`.
    pub async fn poll(
        &self,
        look: impl Future<Output = Result<(), ChainError>>,
    ) -> Result<(), ChainError> {
        let seen = self.started.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if last.number > seen {
            return last.result.clone();
        }
        if let Some(started) = last.started {
            sleep_until(started + MIN_POLL_SPACING).await;
        }
        let number = self.started.fetch_add(1, Ordering::SeqCst) + 1;
        last.started = Some(Instant::now());
        let result = for_all(look).await;
        if result.is_ok() {
            let now = Some(Instant::now());
            *self
                .last_success
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = now;
        }
        last.number = number;
        last.result = result.clone();
        result
    }
}
