//! How complete this node's store is, and what is not kept any more.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use quorate_proto::{Epoch, TaskId, limits};

use super::{HttpContext, failure};
use crate::api::{SyncEpoch, SyncReport};
use crate::maintenance::prune::was_pruned;

pub(super) async fn sync(State(facts): State<Arc<HttpContext>>) -> Json<SyncReport> {
    // Of older ones only the updates from epoch to epoch are left.
    let floor = facts.node.inventory.floor();
    let mut epochs = facts.node.inventory.summary(floor, usize::MAX);
    let first = epochs.len().saturating_sub(limits::MAX_SYNC_EPOCHS);
    let epochs = epochs.drain(first..);
    let line = |(epoch, all): (Epoch, quorate_proto::Fingerprint)| SyncEpoch {
        epoch: epoch.0,
        tasks: all.tasks,
        fingerprint: hex::encode(all.digest()),
    };
    Json(SyncReport {
        floor: floor.0,
        pruned: facts.retention.pruned(),
        epochs: epochs.map(line).collect(),
        ..facts.sync.report()
    })
}

/// A task that the store does not have: gone, or never seen.
pub(super) fn no_task(facts: &HttpContext, id: TaskId, unknown: &str) -> Response {
    match was_pruned(&facts.node.store, id) {
        Ok(Some(epoch)) => {
            let text = pruned_text(id, epoch, facts.node.inventory.floor());
            failure(StatusCode::GONE, &text)
        }
        Ok(None) => failure(StatusCode::NOT_FOUND, unknown),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// The same words on the request stream. The floor may not be known yet.
pub(crate) fn pruned_text(id: TaskId, epoch: Epoch, floor: Epoch) -> String {
    let floor = floor.max(epoch.next());
    format!(
        "task {id} was pruned: it is of epoch {epoch}, and tasks before epoch {floor} are not kept \
         here; ask an operator that keeps them longer"
    )
}
