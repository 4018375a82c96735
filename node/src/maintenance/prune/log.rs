//! Removes from the signing log what can convict no more.
//!
//! # Design Decisions
//!
//! The registry says which epochs' stake the judge still reaches; a provider that lies about it must not
//! make an operator forget what it signed lately, so what was signed within the time of a withdrawal, and within two
//! weeks, by this node's clock stays as well. Facts about old blocks go on being signed: each such signature makes its
//! record one of a new epoch.

use std::sync::Arc;
use std::time::Duration;

use quorate_chain::{ChainError, HomeReader};
use quorate_proto::{Address, Epoch};
use quorate_storage::{Outdated, SigningLog, StoreError, WriteQueue};
use tokio_util::sync::CancellationToken;

use super::{COMPACT_LEAST, PAUSE};
use crate::NodeError;
use crate::clock;
use crate::home::HomeHandle;

/// When a home chain that did not answer is asked again.
const RETRY: Duration = Duration::from_secs(60);

/// Epochs that are looked up in one pass; an operator that was pruned never has more of them behind it.
const EPOCHS_AT_ONCE: u32 = 64;
/// What was signed within this time stays, whatever the home chain says: providers that lie about epochs and
/// times must not make an operator forget what it may be convicted for. As long as stake is locked with the
/// usual sources of weight.
const LEAST_KEPT_MS: u64 = 14 * 24 * 60 * 60 * 1_000;

/// The task that removes outdated entries of an operator's log, once in each epoch.
pub(crate) struct LogPruner {
    pub(crate) operator: Address,
    pub(crate) reader: Arc<dyn HomeReader>,
    pub(crate) home: HomeHandle,
    pub(crate) writes: WriteQueue,
}

impl LogPruner {
    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(crate) async fn run(self, token: CancellationToken) -> Result<(), NodeError> {
        match token.run_until_cancelled(self.keep_pruning()).await {
            Some(Err(error)) => Err(error),
            Some(Ok(())) | None => Ok(()),
        }
    }

    async fn keep_pruning(&self) -> Result<(), NodeError> {
        let mut views = self.home.watch();
        let mut done = None;
        loop {
            let present = views.borrow_and_update().current.clone();
            let present = present.map(|set| set.epoch());
            if let Some(present) = present.filter(|present| done != Some(*present)) {
                let log = self.writes.signing_log();
                let known = log.forgotten_before(&self.operator.into_array())?;
                match self.outdated(known, present).await {
                    Ok(outdated) => {
                        self.forget(outdated).await?;
                        done = Some(present);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "which signatures can convict no more is asked again");
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                }
            }
            if views.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// What is out of reach of the judge while `present` is the present epoch; of epochs before `known` all is.
    async fn outdated(&self, known: u32, present: Epoch) -> Result<Outdated, ChainError> {
        let head = self.reader.refresh().await?;
        let reach = self.reader.withdrawal().await?.seconds;
        // One by one: where weights come from elsewhere, a later epoch may be out of reach before an earlier one.
        let mut before = known.min(present.0);
        for _ in 0..EPOCHS_AT_ONCE {
            let within = || self.reader.is_within_reach(Epoch(before), head.hash);
            if before >= present.0 || within().await? {
                break;
            }
            before += 1;
        }
        let kept_ms = reach.saturating_mul(1_000).max(LEAST_KEPT_MS);
        Ok(Outdated {
            before_epoch: before,
            signed_before_ms: clock::now().millis().saturating_sub(kept_ms),
        })
    }

    async fn forget(&self, outdated: Outdated) -> Result<(), NodeError> {
        let operator = self.operator.into_array();
        let (mut after, mut count) = (None, 0);
        loop {
            let log = self.writes.signing_log();
            let work = move || SigningLog::forget(&log, &operator, outdated, after);
            let forgotten = tokio::task::spawn_blocking(work).await;
            let forgotten = forgotten.map_err(|panic| NodeError::Panic {
                reason: panic.to_string(),
            })??;
            match forgotten.ack.await {
                Ok(()) => {
                    count += forgotten.entries;
                    after = forgotten.next;
                    if after.is_none() {
                        break;
                    }
                }
                // The disk has more to do just now: the same ones again.
                Err(StoreError::QueueFull { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(PAUSE).await;
        }
        metrics::counter!("quorate_pruned_signatures_total").increment(count);
        if count >= COMPACT_LEAST {
            let log = self.writes.signing_log();
            let done = tokio::task::spawn_blocking(move || log.compact()).await;
            done.map_err(|panic| NodeError::Panic {
                reason: panic.to_string(),
            })??;
        }
        if count > 0 {
            let before = outdated.before_epoch;
            tracing::info!(
                entries = count,
                epochs_before = before,
                "signatures pruned that can convict no more"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::{OperatorSet, U256};
    use quorate_storage::{Batch, EngineKind, SigningEntry};

    use super::*;
    use crate::fixtures::{ListedHome, store};
    use crate::home::EpochView;

    const OPERATOR: Address = Address::repeat_byte(9);

    fn entry(slot: u8, epoch: u32, time_ms: u64) -> SigningEntry {
        SigningEntry {
            operator: OPERATOR.into_array(),
            key: [7; 20],
            slot: [slot; 32],
            fact: [1; 32],
            digest: [2; 32],
            task: [3; 32],
            epoch,
            time_ms,
        }
    }

    fn view_of(epoch: u32) -> EpochView {
        let set = OperatorSet::new(Epoch(epoch), Vec::new(), U256::ZERO, 0);
        EpochView::of(vec![Arc::new(set.unwrap())])
    }

    #[tokio::test]
    async fn signatures_go_when_neither_the_judge_nor_the_clock_reaches_them() {
        let (store, _folder) = store(EngineKind::RocksDb);
        let (writes, _guard) = WriteQueue::new(store).unwrap();
        let log = writes.signing_log();
        // The last one was signed just now, whatever the providers say of its epoch.
        let recent = entry(4, 1, clock::now().millis());
        for entry in [entry(1, 1, 1), entry(2, 4, 1), entry(3, 5, 1), recent] {
            log.reserve(entry)
                .unwrap()
                .commit(Batch::new())
                .await
                .unwrap();
        }
        let home = Arc::new(ListedHome::new(100, Vec::new(), &[]));
        home.reach_from(5);
        let (view, views) = tokio::sync::watch::channel(view_of(9));
        let pruner = LogPruner {
            operator: OPERATOR,
            reader: home.clone(),
            home: HomeHandle::of(views),
            writes: writes.clone(),
        };
        let token = CancellationToken::new();
        let running = tokio::spawn(pruner.run(token.clone()));
        let left = || {
            let operator = OPERATOR.into_array();
            let rows = log.signed_by(&operator);
            rows.map(|row| row.unwrap().slot[0]).collect::<Vec<_>>()
        };
        let until = async |expected: &[u8]| {
            let wait = async {
                while left() != expected {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
            assert!(waited.is_ok(), "{:?} are left", left());
        };
        until(&[3, 4]).await;
        assert_eq!(log.forgotten_before(&OPERATOR.into_array()), Ok(5));
        home.reach_from(6);
        view.send_replace(view_of(10));
        until(&[4]).await;
        token.cancel();
        running.await.unwrap().unwrap();
    }
}
