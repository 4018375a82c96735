//! Has every transfer that was seen certified.
//!
//! Every operator would begin the same task, so they take turns, by the order of their addresses, rotated by the number
//! of the transfer: see [`AnnouncementTurns`]. A transfer that its epoch did not certify is announced in the next one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quorate_proto::{Address, Epoch, OperatorSet, Statement, Transfer};
use quorate_storage::Store;
use tokio_util::sync::CancellationToken;

use super::Bridge;
use super::transfer_store::TransferKey;
use crate::home::HomeHandle;
use crate::tasks::driver::{DriverHandle, ReadTrace};
use crate::tasks::handover::{AnnouncementTurns, newest_certificate};
use crate::{NodeError, clock};

/// How often it is looked whether they were certified.
const LOOK: Duration = Duration::from_millis(250);

/// The task that announces.
pub(crate) struct Announcer {
    me: Address,
    home: HomeHandle,
    driver: DriverHandle,
    store: Store,
    bridge: Bridge,
    turns: AnnouncementTurns<(TransferKey, Epoch)>,
}

impl Announcer {
    pub(crate) fn new(
        me: Address,
        home: HomeHandle,
        driver: DriverHandle,
        store: Store,
        bridge: Bridge,
    ) -> Self {
        Self {
            me,
            home,
            driver,
            store,
            bridge,
            turns: AnnouncementTurns::default(),
        }
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
        let Some(set) = self.home.view().current else {
            return Ok(true);
        };
        let (mut certified, mut open) = (Vec::new(), BTreeSet::new());
        for (key, transfer) in self.bridge.open()? {
            let slot = Transfer::slot_of(&transfer.route, transfer.nonce);
            if newest_certificate(&self.store, slot)?.is_some() {
                certified.push(key);
                continue;
            }
            open.insert(key);
            self.announce(key, transfer, &set).await;
        }
        if !certified.is_empty() {
            self.bridge.transfers.certified(&certified).await?;
        }
        let current = set.epoch();
        self.turns
            .retain(|(key, epoch)| *epoch == current && open.contains(key));
        metrics::gauge!("quorate_bridge_transfers_open")
            .set(u32::try_from(open.len()).unwrap_or(u32::MAX));
        Ok(!open.is_empty())
    }

    /// Where it is this operator's turn. The task runs on by itself; whether it was certified is seen in the store.
    async fn announce(&mut self, key: TransferKey, transfer: Transfer, set: &Arc<OperatorSet>) {
        if set.get(self.me).is_none() {
            return;
        }
        let epoch = set.epoch();
        let rotation = transfer.nonce.wrapping_add(u64::from(epoch.0));
        if !self
            .turns
            .take(clock::now(), self.me, set, (key, epoch), rotation)
        {
            return;
        }
        tracing::debug!(%epoch, nonce = transfer.nonce, "announcing a transfer");
        let statement = Statement::Transfer(Transfer { epoch, ..transfer });
        drop(
            self.driver
                .ask(statement, set.clone(), ReadTrace::default())
                .await,
        );
    }
}
