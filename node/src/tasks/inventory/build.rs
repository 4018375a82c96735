//! Makes the index of a store that is from before there was one.

use quorate_proto::store::{Cursor, TaskRecord};
use quorate_proto::{OperatorSet, Outcome, Response, Statement, TaskState};
use quorate_storage::{Batch, Durability, Page, Store, schema};

use crate::NodeError;

/// Row of the cursors that says that the index covers all tasks.
const DONE: &str = "task-index";
/// Tasks that are indexed with one batch, at 150 bytes each.
const AT_ONCE: usize = 512;

pub(super) fn build(store: &Store) -> Result<(), NodeError> {
    if store.get(schema::CURSORS, DONE)?.is_some() {
        return Ok(());
    }
    let mut page = Some(Page::first(AT_ONCE));
    let mut count = 0;
    while let Some(this) = page.take() {
        let rows = store.scan(schema::TASKS, &(), this)?;
        let mut batch = Batch::new();
        for (id, record) in &rows.rows {
            index(store, &mut batch, id, record)?;
        }
        count += rows.rows.len();
        page = rows.next.map(|key| Page::first(AT_ONCE).after(key));
        if page.is_none() {
            batch.put(schema::CURSORS, DONE, &Cursor::default());
        }
        store.write(&batch, Durability::Buffered)?;
        if page.is_some() {
            tracing::info!(tasks = count, "indexing the tasks of an older store");
        }
    }
    Ok(())
}

fn index(
    store: &Store,
    batch: &mut Batch,
    id: &[u8; 32],
    record: &TaskRecord,
) -> Result<(), NodeError> {
    let Some(message) = &record.statement else {
        return Ok(());
    };
    let epoch = Statement::try_from(message)
        .map_err(NodeError::damaged)?
        .epoch();
    let set = store.get(schema::SETS, &epoch.0)?;
    let set = set.as_ref().map(OperatorSet::try_from).transpose();
    let mut state = TaskState::default();
    if let Some(set) = set.map_err(NodeError::damaged)? {
        state = state_of(store, &set, id)?;
    }
    batch.put(schema::TASK_INDEX, &(epoch.0, *id), &(&state).into());
    Ok(())
}

fn state_of(store: &Store, set: &OperatorSet, id: &[u8; 32]) -> Result<TaskState, NodeError> {
    let mut state = TaskState::nothing(set.members().len());
    for row in store.rows(schema::RESPONSES, id) {
        let Some(message) = row?.1.response else {
            continue;
        };
        let response = Response::try_from(&message).map_err(NodeError::damaged)?;
        if let Some(member) = set.position(response.operator) {
            match response.outcome {
                Outcome::Signed(_) => state.sign(member),
                Outcome::Refused(_) => state.refuse(member),
            };
        }
    }
    if let Some(certificate) = store.get(schema::CERTIFICATES, id)? {
        for signer in crate::tasks::records::decode(&certificate)?.signatures() {
            if let Some(member) = set.position(signer.operator) {
                state.sign(member);
            }
        }
    }
    Ok(state)
}
