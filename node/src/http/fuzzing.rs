//! What must hold for anything that stands in the address of a page.

use std::sync::LazyLock;

use axum::extract::Query;
use axum::http::Uri;
use quorate_proto::store::TaskRecord;
use quorate_proto::{EvidenceId, TaskId, limits};
use quorate_storage::{Batch, Durability, Store, schema};

use super::{evidence, registry, tasks};
use crate::fuzzing::{memory, scene};
use crate::tasks::explain::{Prefix, beginning_with};

/// Blocks of the tasks that the store has.
const TASKS: u64 = 64;

/// A store with some tasks, among them the first and the last that there can be.
static STORE: LazyLock<(Store, Vec<TaskId>)> = LazyLock::new(|| {
    let mut ids: Vec<TaskId> = (0..TASKS).map(|n| scene::statement(n).task_id()).collect();
    ids.extend([[0; 32], [0xff; 32]].map(|id| TaskId(id.into())));
    ids.sort();
    let store = memory::store(scene::domain().network().as_str());
    let mut batch = Batch::new();
    for id in &ids {
        batch.put(schema::TASKS, &id.0.0, &TaskRecord::default());
    }
    let written = store.write(&batch, Durability::Buffered);
    written.expect("into memory");
    (store, ids)
});

/// What stands behind the question mark, and names of tasks and evidence.
pub fn http_query(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    task_id(text);
    if let Ok(id) = text.parse::<EvidenceId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Ok(page) = format!("/page?{text}").parse::<Uri>() {
        query(&page);
    }
}

/// A beginning of an id finds the tasks whose ids begin so.
fn task_id(text: &str) {
    let Some(prefix) = Prefix::parse(text) else {
        return assert!(
            text.parse::<TaskId>().is_err(),
            "a whole id is its own beginning"
        );
    };
    assert_eq!(prefix.whole(), text.parse().ok(), "a whole id is one id");
    let (store, ids) = &*STORE;
    let digits = text.strip_prefix("0x").unwrap_or(text).to_lowercase();
    let begins = |id: &&TaskId| id.to_string()[2..].starts_with(&digits);
    let expected: Vec<TaskId> = ids.iter().filter(begins).copied().collect();
    let found = beginning_with(store, &prefix, ids.len()).expect("a store that is read");
    assert_eq!(found, expected);
}

fn query(page: &Uri) {
    if let Ok(Query(listing)) = Query::<tasks::TaskQuery>::try_from_uri(page) {
        assert!(listing.limit() <= tasks::MAX_TASKS_SHOWN);
    }
    if let Ok(Query(listing)) = Query::<evidence::EvidenceQuery>::try_from_uri(page) {
        match listing.wanted() {
            Ok((_, _, limit)) => assert!((1..=limits::MAX_EVIDENCE_PAGE).contains(&limit)),
            Err(text) => assert!(!text.is_empty()),
        }
    }
    if let Ok(Query(listing)) = Query::<registry::EventQuery>::try_from_uri(page) {
        assert!((1..=limits::MAX_PAGE).contains(&listing.filter().limit));
    }
    let _ = Query::<registry::Reason>::try_from_uri(page);
    let _ = Query::<super::admin::BackupTarget>::try_from_uri(page);
    let _ = Query::<super::admin::Selection>::try_from_uri(page);
}
