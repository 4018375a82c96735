//! Has every transfer that was seen certified.
//!
//! Every operator would begin the same task, so they take turns, by the order of their addresses, rotated by the number
//! of the transfer: see [`AnnouncementTurns`]. A transfer that its epoch did not certify is announced in the next one.

use std::time::Duration;

use quorate_proto::{Address, Epoch, Statement, Transfer};
use quorate_storage::Store;
use tokio_util::sync::CancellationToken;

use super::Bridge;
use super::transfer_store::TransferKey;
use crate::home::HomeHandle;
use crate::tasks::driver::{DriverHandle, ReadTrace};
use crate::tasks::handover::{AnnouncementTurns, newest_certificate};
use crate::{NodeError, clock};

/// Transfers of a route that are looked at together; those of other routes do not wait for them.
const AT_ONCE: usize = 256;
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
        let mut open = Vec::new();
        for text in self.bridge.routes() {
            open.extend(self.bridge.transfers.open(text.route.id(), AT_ONCE)?);
        }
        let mut certified = Vec::new();
        for key in &open {
            let Some(transfer) = self.bridge.transfers.of(key)? else {
                certified.push(*key);
                continue;
            };
            let slot = Transfer::slot_of(&transfer.route, transfer.nonce);
            match newest_certificate(&self.store, slot)? {
                Some(_) => certified.push(*key),
                None => self.announce(*key, transfer).await,
            }
        }
        if !certified.is_empty() {
            self.bridge.transfers.certified(&certified).await?;
        }
        self.turns
            .retain(|(key, _)| open.contains(key) && !certified.contains(key));
        metrics::gauge!("quorate_bridge_transfers_open")
            .set(u32::try_from(open.len() - certified.len()).unwrap_or(u32::MAX));
        Ok(!open.is_empty())
    }

    /// Where it is this operator's turn. The task runs on by itself; whether it was certified is seen in the store.
    async fn announce(&mut self, key: TransferKey, transfer: Transfer) {
        let Some(set) = self.home.view().current else {
            return;
        };
        if set.get(self.me).is_none() {
            return;
        }
        let epoch = set.epoch();
        let rotation = transfer.nonce.wrapping_add(u64::from(epoch.0));
        if !self
            .turns
            .take(clock::now(), self.me, &set, (key, epoch), rotation)
        {
            return;
        }
        tracing::debug!(%epoch, nonce = transfer.nonce, "announcing a transfer");
        let statement = Statement::Transfer(Transfer { epoch, ..transfer });
        drop(self.driver.ask(statement, set, ReadTrace::default()).await);
    }
}
