//! Asks the home chain for an operator's keys.

use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use quorate_chain::{BlockRef, ChainError, HomeReader, Withdrawal};
use quorate_proto::store::LogBeginning;
use quorate_proto::{Address, Epoch};

use super::decide::History;
use crate::clock;
use crate::home::HomeHandle;

/// Epochs of which the home chain is asked which key counted: 8 years of 6 days each. All of them
/// once in the life of a store and at most once for a key; else those since the last start.
const MAX_EPOCHS: u32 = 512;
/// Reads at a time, of 10 ms or so each.
const AT_ONCE: usize = 16;
/// Pause after a failed read of the home chain.
const RETRY: Duration = Duration::from_secs(1);

/// Where the home chain is: the epoch that has begun last, and a final block.
pub(super) type Present = (Epoch, BlockRef);

/// As soon as that is known. Never where the node ends before.
pub(super) async fn present(home: &HomeHandle) -> Present {
    let mut views = home.watch();
    loop {
        let known = views.wait_for(|view| view.current.is_some() && view.head.is_some());
        let Ok(view) = known.await.map(|view| view.clone()) else {
            return std::future::pending().await;
        };
        if let (Some(set), Some(head)) = (view.current, view.head) {
            return (set.epoch(), head);
        }
    }
}

/// Whose keys are asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) reader: &'a dyn HomeReader,
    pub(super) operator: Address,
}

impl Asked<'_> {
    /// The keys of the epochs from `first` on up to the present one; of the newest of these where they
    /// are too many.
    pub(super) async fn history(
        self,
        first: u32,
        (present, head): Present,
    ) -> Result<History, ChainError> {
        let first = first.max(present.0.saturating_sub(MAX_EPOCHS - 1));
        let keys = stream::iter(first..=present.0)
            .map(|epoch| self.key(Epoch(epoch), head))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(History { first, keys })
    }

    async fn key(self, epoch: Epoch, head: BlockRef) -> Result<Address, ChainError> {
        let member = self
            .reader
            .operator(epoch, self.operator, head.hash)
            .await?;
        Ok(member.signing_key)
    }

    /// The first of the epochs up to the present one in all of which the operator has this key: what it
    /// signed with another one was signed before. A later one where they are too many.
    async fn first_of_run(
        self,
        key: Address,
        (present, head): Present,
    ) -> Result<Option<Epoch>, ChainError> {
        let mut first = None;
        let last = present.0.saturating_sub(MAX_EPOCHS - 1);
        for epoch in (last..=present.0).rev().map(Epoch) {
            if self.key(epoch, head).await? != key {
                break;
            }
            first = Some(epoch);
        }
        Ok(first)
    }

    /// When the log's first key began to count, where it has by now.
    pub(super) async fn begin(
        self,
        mut beginning: LogBeginning,
        present: Present,
    ) -> Result<LogBeginning, ChainError> {
        let key = Address::try_from(beginning.signing_key.as_slice()).unwrap_or_default();
        let Some(epoch) = self.first_of_run(key, present).await? else {
            return Ok(beginning);
        };
        let interval = self.reader.schedule().await?.interval(epoch);
        beginning.epoch = epoch.0;
        beginning.block = interval.start;
        beginning.time = self.reader.block_time(interval.start).await?;
        beginning.seen = clock::now().millis() / 1_000;
        Ok(beginning)
    }

    pub(super) async fn withdrawal(self) -> Result<Withdrawal, ChainError> {
        self.reader.withdrawal().await
    }
}

/// Waits until a read that failed may be tried again.
pub(super) async fn pause_after(error: &ChainError) {
    tracing::warn!(%error, "the home chain is asked again for the operator's signing keys");
    tokio::time::sleep(RETRY).await;
}
