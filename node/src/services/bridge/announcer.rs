//! Has every transfer that was seen certified.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_proto::{Statement, StatementKind as _, Transfer};
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
        self.starter.keep(&set, &open);
        metrics::gauge!("quorate_bridge_transfers_open")
            .set(u32::try_from(open.len()).unwrap_or(u32::MAX));
        Ok(!open.is_empty())
    }
}
