use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

use quorate_storage::{
    Batch, Durability, EngineKind, Store, WriteQueue,
    schema::{CURSORS, QUESTIONS, RESPONSES, TASKS},
};

use crate::support::{
    child, cursor, id, identity, numbered, on_both_engines, open, task, task_ref, told,
};

on_both_engines!(what_was_acknowledged_survives_a_kill);

/// Kills of one store in a row. `QUORATE_CRASH_ROUNDS=500` makes an evening of it.
const ROUNDS: u32 = 6;
/// Batches under way at a time, so that groups form.
const WINDOW: usize = 8;
/// Rows of one batch in each of two tables.
const ROWS: u32 = 10;

fn what_was_acknowledged_survives_a_kill(kind: EngineKind) {
    let rounds = std::env::var("QUORATE_CRASH_ROUNDS").map_or(ROUNDS, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut acked = 0;
    for round in 0..rounds {
        let last = run_until_killed(dir.path(), kind);
        acked = acked.max(last.unwrap_or(0));
        let written = check_whole(&open(dir.path(), kind));
        assert!(
            written >= acked,
            "round {round}: {acked} acknowledged, {written} there"
        );
    }
    assert!(acked > 0, "the child never came to write");
}

/// Lets a child write until a random moment, kills it, and returns its last acknowledgement.
fn run_until_killed(dir: &Path, kind: EngineKind) -> Option<u64> {
    let mut child = child(&[], "crash::write_until_killed", dir, kind)
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reader = thread::spawn(move || {
        let acks = lines.filter_map(|line| line.unwrap().strip_prefix("ack ")?.parse().ok());
        acks.last()
    });
    let nanos = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    thread::sleep(Duration::from_millis(u64::from(nanos / 1000 % 700)));
    assert_eq!(child.try_wait().unwrap(), None, "the child ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// The child: goes on where the store ends and says what it was told.
#[test]
fn write_until_killed() {
    let Some((dir, kind)) = told() else { return };
    let store = Store::open(dir, kind, &identity()).unwrap();
    let start = last_written(&store) + 1;
    let (queue, _guard) = WriteQueue::new(store).unwrap();
    let mut under_way = VecDeque::new();
    for number in start.. {
        under_way.push_back((
            number,
            queue.submit(numbered_batch(number), Durability::Synced),
        ));
        if under_way.len() == WINDOW {
            let (number, ack) = under_way.pop_front().unwrap();
            ack.wait().unwrap();
            println!("ack {number}");
        }
    }
}

/// Rows in four tables, some of them large, all of which say `number`.
fn numbered_batch(number: u64) -> Batch {
    let size = if number.is_multiple_of(7) {
        150_000
    } else {
        200
    };
    let mut batch = Batch::new();
    batch.put(
        TASKS,
        &numbered(number),
        &task(&format!("{number} {}", "x".repeat(size))),
    );
    for row in 0..ROWS {
        batch.put(QUESTIONS, &(numbered(number), row), &task_ref(number as u8));
        let operator = [row as u8; 20];
        batch.put(
            RESPONSES,
            &(numbered(number), operator),
            &Default::default(),
        );
    }
    batch.put(CURSORS, "last", &cursor(number));
    // What an earlier batch wrote goes again, so that deletes are part of it.
    batch.delete(QUESTIONS, &(numbered(number - 1), 0));
    batch
}

fn last_written(store: &Store) -> u64 {
    store
        .get(CURSORS, "last")
        .unwrap()
        .map_or(0, |cursor| cursor.block_number)
}

/// Checks that batches 1 to some number are there, each whole, and nothing else; returns it.
fn check_whole(store: &Store) -> u64 {
    let last = last_written(store);
    let tasks = store.rows(TASKS, &()).map(|row| {
        let (key, task) = row.unwrap();
        assert!(task.failure.starts_with(&format!("{} x", number_of(&key))));
        key
    });
    assert!(tasks.eq((1..=last).map(numbered)), "tasks of {last}");
    let questions = store.rows(QUESTIONS, &()).map(|row| {
        let ((key, row), task) = row.unwrap();
        assert_eq!(task.task_id, id(number_of(&key) as u8));
        (key, row)
    });
    let first_row = |number| u32::from(number < last);
    let expected = (1..=last).flat_map(|n| (first_row(n)..ROWS).map(move |row| (numbered(n), row)));
    assert!(questions.eq(expected), "questions of {last}");
    let responses = store.rows(RESPONSES, &()).map(|row| row.unwrap().0);
    let expected =
        (1..=last).flat_map(|n| (0..ROWS).map(move |row| (numbered(n), [row as u8; 20])));
    assert!(responses.eq(expected), "responses of {last}");
    last
}

fn number_of(key: &[u8; 32]) -> u64 {
    u64::from_be_bytes(key[..8].try_into().unwrap())
}
