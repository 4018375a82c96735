//! Makes items of what the store has.

use std::collections::{BTreeMap, HashSet};

use prost::Message as _;
use quorate_proto::{
    Certificate, Epoch, Fingerprint, OperatorSet, Outcome, Response, Statement, SyncItem, TaskId,
    TaskState, limits, wire,
};
use quorate_storage::{Store, schema};

use crate::NodeError;
use crate::tasks::inventory::TaskInventory;

/// Rows of the index that are read at once.
const ROWS: usize = 512;

/// What the asker of a range does not have, up to a page.
pub(super) fn of_range(
    store: &Store,
    inventory: &TaskInventory,
    set: &OperatorSet,
    (mut after, until): (Option<TaskId>, TaskId),
    have: &HashSet<[u8; Fingerprint::BYTES]>,
) -> Result<wire::SyncItems, NodeError> {
    let mut reply = wire::SyncItems::default();
    let mut bytes = 0;
    loop {
        let (rows, more) = inventory.range(set.epoch(), after, until, ROWS)?;
        for (task, state) in rows {
            after = Some(task);
            if have.contains(&Fingerprint::short(state.hash(task))) {
                continue;
            }
            let nothing = TaskState::default();
            if let Some(item) = item(store, set, task, &nothing)? {
                bytes += item.encoded_len();
                reply.items.push(item);
            }
            if bytes >= limits::SYNC_PAGE_BYTES {
                reply.more = true;
                return Ok(reply);
            }
        }
        if !more {
            return Ok(reply);
        }
    }
}

/// A task with the answers that `known` lacks; `None` where there are none.
pub(super) fn item(
    store: &Store,
    set: &OperatorSet,
    task: TaskId,
    known: &TaskState,
) -> Result<Option<wire::SyncItem>, NodeError> {
    let Some(record) = store.get(schema::TASKS, &task.0.0)? else {
        return Ok(None);
    };
    let Some(message) = &record.statement else {
        return Ok(None);
    };
    let statement = Statement::try_from(message).map_err(NodeError::damaged)?;
    let mut answers = BTreeMap::new();
    for row in store.rows(schema::RESPONSES, &task.0.0) {
        let Some(message) = row?.1.response else {
            continue;
        };
        let response = Response::try_from(&message).map_err(NodeError::damaged)?;
        if let Some(member) = set.position(response.operator) {
            answers.insert(member, response.outcome);
        }
    }
    // Of some signers only the certificate has come.
    if let Some(certificate) = store.get(schema::CERTIFICATES, &task.0.0)? {
        add_signers(
            set,
            &crate::tasks::records::decode(&certificate)?,
            &mut answers,
        );
    }
    answers.retain(|member, outcome| match outcome {
        Outcome::Signed(_) => !known.signed.has(*member),
        Outcome::Refused(_) => !known.signed.has(*member) && !known.refused.has(*member),
    });
    if answers.is_empty() {
        return Ok(None);
    }
    let (signed, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|(_, outcome)| matches!(outcome, Outcome::Signed(_)));
    let item = SyncItem {
        statement,
        created_ms: record.created_ms,
        answers: signed.into_iter().chain(refused).collect(),
    };
    Ok(Some((&item).into()))
}

fn add_signers(
    set: &OperatorSet,
    certificate: &Certificate,
    answers: &mut BTreeMap<usize, Outcome>,
) {
    for signer in certificate.signatures() {
        if let Some(member) = set.position(signer.operator) {
            answers.insert(member, Outcome::Signed(signer.signature));
        }
    }
}

/// Tasks that a peer asked for by their ids.
pub(super) fn of_tasks(
    store: &Store,
    sets: &crate::home::set_history::Sets,
    asked: &[wire::SyncTaskState],
) -> Result<wire::SyncItems, NodeError> {
    let mut reply = wire::SyncItems::default();
    let mut bytes = 0;
    for wanted in asked.iter().take(limits::MAX_SYNC_TASKS) {
        let task = TaskId::try_from(wanted.task_id.as_slice());
        let known = TaskState::try_from(wanted);
        let (Ok(task), Ok(known)) = (task, known) else {
            continue;
        };
        let Some(set) = sets.of(Epoch(wanted.epoch))? else {
            continue;
        };
        if let Some(item) = item(store, &set, task, &known)? {
            bytes += item.encoded_len();
            reply.items.push(item);
        }
        if bytes >= limits::SYNC_PAGE_BYTES {
            reply.more = true;
            break;
        }
    }
    Ok(reply)
}
