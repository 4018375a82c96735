//! Has every transfer that was seen certified, and every one that was closed at its target.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quorate_proto::{OperatorSet, SlotId, Statement, StatementKind as _, Transfer, TransferClosed};
use tokio_util::sync::CancellationToken;

use super::Bridge;
use super::turns::{First, TaskStarter};
use crate::NodeError;

/// How often it is looked whether they were certified.
const LOOK: Duration = Duration::from_millis(250);

/// The task that announces.
pub(crate) struct Announcer {
    starter: TaskStarter,
    bridge: Bridge,
}

impl Announcer {
    pub(crate) const fn new(starter: TaskStarter, bridge: Bridge) -> Self {
        Self { starter, bridge }
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut changes = self.bridge.transfers.watch();
        loop {
            changes.borrow_and_update();
            let open = self.look().await?;
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(LOOK), if open => {}
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    /// Announces what is due, and crosses out what is certified. Whether something is open.
    async fn look(&mut self) -> Result<bool, NodeError> {
        let Some(set) = self.starter.set() else {
            return Ok(true);
        };
        let (mut certified, mut open) = (Vec::new(), BTreeSet::new());
        for (key, transfer) in self.bridge.open()? {
            let slot = transfer.slot();
            if self.starter.certificate(slot)?.is_some() {
                certified.push(key);
                continue;
            }
            open.insert(slot);
            let nonce = transfer.nonce;
            let statement = Statement::Transfer(Transfer {
                epoch: set.epoch(),
                ..transfer
            });
            self.starter
                .announce(statement, &set, nonce, First::ByTurn)
                .await;
        }
        if !certified.is_empty() {
            self.bridge.transfers.certified(&certified).await?;
        }
        metrics::gauge!("quorate_bridge_transfers_open")
            .set(u32::try_from(open.len()).unwrap_or(u32::MAX));
        self.look_at_closings(&set, &mut open).await?;
        self.starter.keep(&set, &open);
        Ok(!open.is_empty())
    }

    async fn look_at_closings(
        &mut self,
        set: &Arc<OperatorSet>,
        open: &mut BTreeSet<SlotId>,
    ) -> Result<(), NodeError> {
        let mut ended = Vec::new();
        for closed in self.bridge.open_closings()? {
            let slot = closed.slot();
            if self.starter.certificate(slot)?.is_some() {
                ended.push(closed);
                continue;
            }
            open.insert(slot);
            let statement = Statement::TransferClosed(TransferClosed {
                epoch: set.epoch(),
                ..closed
            });
            self.starter
                .announce(statement, set, closed.nonce, First::ByTurn)
                .await;
        }
        match ended.is_empty() {
            true => Ok(()),
            false => self.bridge.transfers.ended(&ended).await,
        }
    }
}

#[cfg(test)]
mod tests;
