//! Updates for subscribers: those that they missed, then each as soon as it is written.
//!
//! Subscribers read the store, so none of them holds up another task or costs memory while it is slow.

use quorate_proto::{Address, RegistryErrorCode, wire};
use quorate_storage::{Page, StoreError, schema};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Services;
use crate::network::rpc::refuse;

/// Updates that wait for a subscriber.
const QUEUE: usize = 64;

pub(super) type UpdateStream = ReceiverStream<Result<wire::StateUpdate, Status>>;

impl Services {
    pub(super) fn subscribe(
        &self,
        request: &wire::SubscribeRequest,
    ) -> Result<UpdateStream, Status> {
        self.check_network(&request.network)?;
        let newest = self.members()?.newest();
        self.check_kept(request.after, *newest.borrow())?;
        let (updates, stream) = mpsc::channel(QUEUE);
        let (services, after) = (self.clone(), request.after);
        tokio::spawn(async move {
            if let Err(status) = services.follow(after, newest, &updates).await {
                let _ = updates.send(Err(status)).await;
            }
        });
        Ok(ReceiverStream::new(stream))
    }

    /// Where the registry lost its disk, its numbers begin anew, and the caller's are not its own.
    fn check_kept(&self, after: u64, newest: u64) -> Result<(), Status> {
        let oldest = self.scan(Page::first(1))?.first().map(|u| u.sequence);
        let next = after.saturating_add(1);
        let kept = oldest.is_some_and(|oldest| next >= oldest) || (oldest.is_none() && after == 0);
        if kept && after <= newest {
            return Ok(());
        }
        let text =
            "these updates are not kept here any more; sync the state, and subscribe after it";
        Err(refuse(RegistryErrorCode::Gone, text))
    }

    async fn follow(
        &self,
        mut after: u64,
        mut newest: watch::Receiver<u64>,
        updates: &mpsc::Sender<Result<wire::StateUpdate, Status>>,
    ) -> Result<(), Status> {
        loop {
            newest.borrow_and_update();
            let page = self.scan(Page::first(QUEUE).after(after))?;
            if page
                .first()
                .is_some_and(|u| u.sequence != after.saturating_add(1))
            {
                self.check_kept(after, u64::MAX)?;
            }
            for mut update in page {
                after = update.sequence;
                self.complete(&mut update);
                if updates.send(Ok(update)).await.is_err() {
                    return Ok(());
                }
            }
            if *newest.borrow() > after {
                continue;
            }
            tokio::select! {
                changed = newest.changed() => if changed.is_err() {
                    return Ok(());
                },
                () = updates.closed() => return Ok(()),
            }
        }
    }

    fn scan(&self, page: Page<u64>) -> Result<Vec<wire::StateUpdate>, Status> {
        let failed = |error: StoreError| refuse(RegistryErrorCode::Unavailable, error.to_string());
        let rows = self.0.parts.store.scan(schema::UPDATES, &(), page);
        let rows = rows.map_err(failed)?.rows;
        Ok(rows.into_iter().map(|(_, update)| update).collect())
    }

    /// Bindings are kept once, not with each update: the newest one is told.
    fn complete(&self, update: &mut wire::StateUpdate) {
        let Some(state) = &mut update.operator else {
            return;
        };
        let Ok(operator) = Address::try_from(state.operator.as_slice()) else {
            return;
        };
        if !is_bound(state) {
            return;
        }
        if let Some(binding) = self.0.parts.bindings.of(operator) {
            state.addresses = self.addresses_of(&binding.peer_key);
            state.binding = Some((&binding).into());
        }
    }
}

/// Whether a peer speaks for the operator: always but before its join and after its exit.
fn is_bound(state: &wire::OperatorState) -> bool {
    let gone = state.status() == wire::OperatorStatus::Unactive
        && state.cause() == wire::LifecycleCause::Deregistered;
    state.status() != wire::OperatorStatus::WaitingJoin && !gone
}
