use quorate_proto::store::{TaskRef, TimelineRow};
use quorate_proto::{Epoch, StateProof};
use quorate_storage::{Batch, Durability, EngineKind, Identity};

use super::*;
use crate::tasks::recorder::event;

fn id(prefix: &str) -> TaskId {
    let digits = format!("{prefix:0<64}");
    digits.parse().expect("hexadecimal")
}

fn store(dir: &tempfile::TempDir) -> Store {
    let engine: EngineKind = "sled".parse().expect("an engine");
    let identity = Identity::new("31337-5fbd");
    Store::open(dir.path().join("store"), engine, &identity).expect("a store")
}

fn record() -> TaskRecord {
    let proof = StateProof {
        user: Address::repeat_byte(1),
        chain_id: 10,
        block_number: 5,
        timestamp: 6,
        epoch: Epoch(7),
        key: U256::from(8),
        value: U256::from(9),
    };
    TaskRecord {
        statement: Some((&Statement::StateProof(proof)).into()),
        created_ms: 5,
        ..TaskRecord::default()
    }
}

#[test]
fn the_beginning_of_an_id_finds_its_tasks() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(&dir);
    let mut batch = Batch::new();
    for prefix in ["0000", "abcd1", "abcd2", "abce", "ffff"] {
        batch.put(schema::TASKS, &id(prefix).0.0, &record());
    }
    // Another table beside it is none of its business.
    let other = TaskRef {
        task_id: vec![1; 32],
    };
    batch.put(schema::QUESTIONS, &(id("abcd3").0.0, 1), &other);
    store.write(&batch, Durability::Buffered).expect("written");
    for (text, found) in [
        ("0000", &["0000"] as &[&str]),
        ("abcd", &["abcd1", "abcd2"]),
        ("0xABCD", &["abcd1", "abcd2"]),
        ("abcd2", &["abcd2"]),
        ("abcd3", &[]),
        ("ffff", &["ffff"]),
        ("fffff", &[]),
    ] {
        let prefix = Prefix::parse(text).expect(text);
        let ids: Vec<TaskId> = found.iter().map(|prefix| id(prefix)).collect();
        assert_eq!(
            beginning_with(&store, &prefix, 5).expect("read"),
            ids,
            "{text}"
        );
    }
    let prefix = Prefix::parse("abcd").expect("digits");
    assert_eq!(beginning_with(&store, &prefix, 1).expect("read").len(), 1);
}

#[test]
fn prefixes_have_four_to_sixty_four_digits() {
    for text in [
        "",
        "0x",
        "abc",
        "0xabc",
        "abcg",
        "0xabcd ",
        &"a".repeat(65),
        "äbcd",
    ] {
        assert_eq!(Prefix::parse(text), None, "{text}");
    }
    let whole = "c8".repeat(32);
    assert_eq!(
        Prefix::parse(&whole).and_then(|p| p.whole()),
        whole.parse().ok()
    );
    assert_eq!(Prefix::parse("c8c8").and_then(|p| p.whole()), None);
}

#[test]
fn a_timeline_is_gathered_from_its_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = store(&dir);
    let statement = statement_of(&record()).expect("a statement");
    let task = statement.task_id();
    let me = Some(Address::repeat_byte(3));
    assert_eq!(gather(&store, me, task).expect("read"), None);
    let row = |at_micros, kind, cut| TimelineRow {
        events: vec![quorate_proto::wire::TimelineEvent {
            at_micros,
            kind: Some(kind),
        }],
        cut,
    };
    let mut failed = record();
    failed.failure = "ä".repeat(2_000);
    let mut batch = Batch::new();
    batch.put(schema::TASKS, &task.0.0, &failed);
    let second = row(9_000, event::asked(1), 2);
    batch.put(schema::TIMELINES, &(task.0.0, 9_000), &second);
    let first = row(5_000, event::opened(None, false), 1);
    batch.put(schema::TIMELINES, &(task.0.0, 5_000), &first);
    batch.put(schema::TIMELINES, &(id("ff").0.0, 1), &first);
    store.write(&batch, Durability::Buffered).expect("written");
    let reply = gather(&store, me, task).expect("read").expect("known");
    let times: Vec<u64> = reply.events.iter().map(|event| event.at_micros).collect();
    assert_eq!((times.as_slice(), reply.cut), (&[5_000, 9_000][..], 3));
    assert_eq!(reply.failure.len(), limits::MAX_FAILURE_BYTES);
    assert_eq!(reply.node_operator, [3; 20]);
    // Without its set it is told without weights.
    assert!(reply.threshold.is_empty() && reply.operators.is_empty());
    let domain = Domain::new(31_337, Address::repeat_byte(9));
    let told = explain(&store, &domain, me, task)
        .expect("read")
        .expect("known");
    assert_eq!(told.events[1].after_ms, 4.0);
}
