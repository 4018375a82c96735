use std::{thread, time::Duration};

use futures::{FutureExt, executor::block_on, future::join_all};
use quorate_storage::{
    Ack, Batch, Durability, EngineKind, MAX_BATCH_BYTES, MAX_GROUP_BYTES, MAX_QUEUED,
    MAX_QUEUED_BYTES, StoreError, WriteQueue,
    schema::{CURSORS, TASKS},
};

use crate::{
    double::Double,
    support::{cursor, fresh, id, numbered, on_both_engines, open, task},
};

on_both_engines!(
    all_submitters_are_answered_in_order,
    closing_writes_what_is_queued
);

fn set(name: &str, number: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put(CURSORS, name, &cursor(number));
    batch
}

fn all_submitters_are_answered_in_order(kind: EngineKind) {
    let (dir, store) = fresh(kind);
    let (queue, guard) = WriteQueue::new(store).unwrap();
    thread::scope(|scope| {
        for writer in 0..32_u64 {
            let queue = &queue;
            scope.spawn(move || {
                // Several of one writer are under way together; the last one must win.
                let name = writer.to_string();
                for round in 0..10 {
                    let acks = (0..5).map(|step| {
                        let mut batch = set(&name, round * 5 + step);
                        batch.put(
                            TASKS,
                            &numbered(writer * 1_000 + round * 5 + step),
                            &task(&name),
                        );
                        let synced = step % 2 == 0;
                        let how = if synced {
                            Durability::Synced
                        } else {
                            Durability::Buffered
                        };
                        queue.submit(batch, how)
                    });
                    let acks: Vec<_> = acks.collect();
                    assert!(block_on(join_all(acks)).into_iter().all(|ack| ack.is_ok()));
                    let now = queue.store().get(CURSORS, name.as_str()).unwrap();
                    assert_eq!(now, Some(cursor(round * 5 + 4)));
                }
            });
        }
    });
    let stats = queue.stats();
    assert_eq!(stats.batches, 32 * 50);
    assert!(
        stats.commits < stats.batches,
        "nothing was grouped: {stats:?}"
    );
    guard.close().unwrap();
    drop(queue);
    let store = open(dir.path(), kind);
    assert_eq!(store.rows(TASKS, &()).count(), 32 * 50);
    assert!((0..32).all(|w| store.get(CURSORS, w.to_string().as_str()) == Ok(Some(cursor(49)))));
}

fn closing_writes_what_is_queued(kind: EngineKind) {
    let (dir, store) = fresh(kind);
    let (queue, guard) = WriteQueue::new(store).unwrap();
    let acks: Vec<_> = (0..100)
        .map(|number| queue.submit(set("last", number), Durability::Buffered))
        .collect();
    guard.close().unwrap();
    assert!(acks.into_iter().all(|ack| ack.wait().is_ok()));
    assert_eq!(
        queue.submit(set("last", 100), Durability::Buffered).wait(),
        Err(StoreError::Closed)
    );
    drop(queue);
    assert_eq!(
        open(dir.path(), kind).get(CURSORS, "last").unwrap(),
        Some(cursor(99))
    );
}

/// What gathers while a commit is under way goes out together, synced once if any wants it.
#[test]
fn what_gathers_goes_out_together() {
    let double = Double::default();
    let (queue, guard) = WriteQueue::new(double.store()).unwrap();
    double.hold_back();
    let first = queue.submit(set("first", 1), Durability::Buffered);
    double.until_asked(2);
    let later: Vec<_> = (0..10)
        .map(|number| {
            let how = if number == 5 {
                Durability::Synced
            } else {
                Durability::Buffered
            };
            queue.submit(set("later", number), how)
        })
        .collect();
    assert_eq!(queue.stats().queued, 10);
    double.let_pass();
    assert_eq!(first.wait(), Ok(()));
    assert!(later.into_iter().all(|ack| ack.wait().is_ok()));
    // The first write is the identity of the new store.
    assert_eq!(double.writes(), [(1, true), (1, false), (10, true)]);
    assert_eq!(
        queue.store().get(CURSORS, "later").unwrap(),
        Some(cursor(9))
    );
    let stats = queue.stats();
    assert_eq!(
        (stats.batches, stats.commits, stats.syncs, stats.queued),
        (11, 2, 1, 0)
    );
    guard.close().unwrap();
}

#[test]
fn a_group_is_bounded_in_bytes() {
    let double = Double::default();
    let (queue, guard) = WriteQueue::new(double.store()).unwrap();
    double.hold_back();
    let mut acks = vec![queue.submit(set("first", 1), Durability::Buffered)];
    double.until_asked(2);
    for number in 0..5 {
        let mut batch = Batch::new();
        batch.put(
            TASKS,
            &id(number),
            &task(&"x".repeat(MAX_GROUP_BYTES / 2 - 300)),
        );
        acks.push(queue.submit(batch, Durability::Buffered));
    }
    // Four make two groups and a bit less than the queue holds; the fifth finds no room.
    double.let_pass();
    let refused = acks.pop().unwrap().wait();
    assert!(refused.is_ok() || refused.is_err_and(|e| e.is_retryable()));
    assert!(acks.into_iter().all(|ack| ack.wait().is_ok()));
    assert!(
        double.writes().iter().all(|(ops, _)| *ops <= 3),
        "{:?}",
        double.writes()
    );
    guard.close().unwrap();
}

#[test]
fn a_full_queue_says_so() {
    let double = Double::default();
    let (queue, guard) = WriteQueue::new(double.store()).unwrap();
    double.hold_back();
    let first = queue.submit(set("first", 1), Durability::Buffered);
    double.until_asked(2);
    let acks: Vec<_> = (0..MAX_QUEUED)
        .map(|n| queue.submit(set("n", n as u64), Durability::Buffered))
        .collect();
    let refusal = queue
        .submit(set("n", 0), Durability::Buffered)
        .wait()
        .unwrap_err();
    assert_eq!(
        refusal,
        StoreError::QueueFull {
            what: "write queue",
            limit: MAX_QUEUED
        }
    );
    double.let_pass();
    assert!(first.wait().is_ok() && acks.into_iter().all(|ack| ack.wait().is_ok()));

    let before = double.writes().len();
    double.hold_back();
    let first = queue.submit(set("first", 1), Durability::Buffered);
    double.until_asked(before + 1);
    let large = || {
        let mut batch = Batch::new();
        batch.put(TASKS, &id(1), &task(&"x".repeat(MAX_BATCH_BYTES - 300)));
        queue.submit(batch, Durability::Buffered)
    };
    let fit = MAX_QUEUED_BYTES / MAX_BATCH_BYTES;
    let acks: Vec<_> = (0..fit).map(|_| large()).collect();
    let refusal = large().wait().unwrap_err();
    assert!(refusal.is_retryable(), "{refusal}");
    double.let_pass();
    assert!(first.wait().is_ok() && acks.into_iter().all(|ack| ack.wait().is_ok()));
    guard.close().unwrap();
}

/// A queue whose writer stands still and which takes no batch of this size any more; and what it took.
fn full(double: &Double, queue: &WriteQueue) -> Vec<Ack> {
    double.hold_back();
    let asked = double.writes().len();
    let mut acks = vec![queue.submit(set("first", 1), Durability::Buffered)];
    double.until_asked(asked + 1);
    while acks.len() <= MAX_QUEUED_BYTES / MAX_BATCH_BYTES {
        acks.push(queue.submit(large(0), Durability::Buffered));
    }
    acks
}

fn large(number: u64) -> Batch {
    let mut batch = set("last", number);
    let rest = MAX_BATCH_BYTES - batch.bytes() - 300;
    batch.put(TASKS, &id(1), &task(&"x".repeat(rest)));
    batch
}

/// A disk that is slower than what comes makes its writers wait, and refuses none of them.
#[test]
fn who_waits_for_its_turn_is_written_in_order() {
    let double = Double::default();
    let (queue, guard) = WriteQueue::new(double.store()).unwrap();
    let acks = full(&double, &queue);
    let refused = queue.submit(large(1), Durability::Buffered).wait();
    assert!(refused.unwrap_err().is_retryable());
    let written = async {
        let mut acks = Vec::new();
        for number in 1..20 {
            acks.push(
                queue
                    .submit_in_turn(large(number), Durability::Buffered)
                    .await,
            );
        }
        join_all(acks).await
    };
    let mut written = Box::pin(written);
    assert_eq!(written.as_mut().now_or_never(), None);
    let mut dropped = Box::pin(queue.write(large(99), Durability::Buffered));
    assert_eq!(dropped.as_mut().now_or_never(), None);
    drop(dropped);
    assert_eq!(queue.stats().queued, acks.len() - 1);
    double.let_pass();
    assert!(block_on(written).iter().all(Result::is_ok));
    assert!(acks.into_iter().all(|ack| ack.wait().is_ok()));
    assert_eq!(
        queue.store().get(CURSORS, "last").unwrap(),
        Some(cursor(19))
    );
    guard.close().unwrap();
}

#[test]
fn who_waits_for_its_turn_hears_of_the_end() {
    let too_large = || {
        let mut batch = Batch::new();
        batch.put(TASKS, &id(1), &task(&"x".repeat(MAX_BATCH_BYTES)));
        batch
    };
    let double = Double::default();
    let (queue, guard) = WriteQueue::new(double.store()).unwrap();
    let acks = full(&double, &queue);
    let never = queue
        .write(too_large(), Durability::Buffered)
        .now_or_never();
    assert!(matches!(never, Some(Err(StoreError::TooLarge { .. }))));
    let mut waiting = Box::pin(queue.write(large(1), Durability::Buffered));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    double.fail_with(StoreError::Io {
        context: "write".into(),
        reason: "broken".into(),
    });
    double.let_pass();
    assert!(matches!(block_on(waiting), Err(StoreError::Stopped { .. })));
    assert!(acks.into_iter().all(|ack| ack.wait().is_err()));
    assert!(guard.close().is_err());

    let double = Double::default();
    let (queue, guard) = WriteQueue::new(double.store()).unwrap();
    guard.close().unwrap();
    let closed = block_on(queue.write(set("late", 1), Durability::Buffered));
    assert_eq!(closed, Err(StoreError::Closed));
}

#[test]
fn a_dropped_future_does_not_undo_the_write() {
    let double = Double::default();
    let (queue, guard) = WriteQueue::new(double.store()).unwrap();
    drop(queue.submit(set("kept", 1), Durability::Synced));
    guard.close().unwrap();
    assert_eq!(queue.store().get(CURSORS, "kept").unwrap(), Some(cursor(1)));
}

/// After the first failure nothing is written any more, even if the disk has recovered.
#[test]
fn the_first_failure_is_the_last_write() {
    let double = Double::default();
    let (queue, guard) = WriteQueue::new(double.store()).unwrap();
    let failure = queue.failure();
    assert_eq!(queue.failed(), None);
    assert_eq!(failure.clone().now_or_never(), None);
    let full = StoreError::NoSpace {
        context: "write (double)".into(),
    };
    double.fail_with(full.clone());
    assert_eq!(
        queue.submit(set("a", 1), Durability::Synced).wait(),
        Err(full.clone())
    );
    double.mend();
    let stopped = StoreError::Stopped {
        cause: full.clone().into(),
    };
    for _ in 0..3 {
        let refused = queue.submit(set("a", 2), Durability::Buffered).wait();
        assert_eq!(refused, Err(stopped.clone()));
        assert_eq!(
            queue.store().write(&set("a", 2), Durability::Synced),
            Err(stopped.clone())
        );
    }
    assert!(
        stopped
            .to_string()
            .contains("no space left; free space on the disk"),
        "{stopped}"
    );
    assert_eq!(queue.failed(), Some(full.clone()));
    assert_eq!(block_on(failure), Some(full));
    assert_eq!(
        queue.store().get(CURSORS, "a").unwrap(),
        None,
        "reads go on"
    );
    assert_eq!(double.writes().len(), 2);
    assert_eq!(guard.close(), Err(stopped));
}

#[test]
fn all_of_a_failed_group_are_told() {
    let double = Double::default();
    let (queue, _guard) = WriteQueue::new(double.store()).unwrap();
    double.hold_back();
    let first = queue.submit(set("a", 1), Durability::Synced);
    double.until_asked(2);
    let waiting: Vec<_> = (0..5)
        .map(|number| queue.submit(set("b", number), Durability::Synced))
        .collect();
    double.fail_with(StoreError::Io {
        context: "write".into(),
        reason: "broken".into(),
    });
    double.let_pass();
    assert!(matches!(first.wait(), Err(StoreError::Io { .. })));
    for ack in waiting {
        assert!(matches!(ack.wait(), Err(StoreError::Stopped { .. })));
    }
}

#[test]
fn a_panic_of_the_engine_is_a_failure() {
    let double = Double::default();
    let (queue, _guard) = WriteQueue::new(double.store()).unwrap();
    double.panic();
    let failure = queue
        .submit(set("a", 1), Durability::Synced)
        .wait()
        .unwrap_err();
    assert!(
        failure.to_string().contains("the double panics as told"),
        "{failure}"
    );
    let refused = queue.submit(set("a", 1), Durability::Synced).wait();
    assert!(matches!(refused, Err(StoreError::Stopped { .. })));
}

#[test]
fn the_failure_watch_ends_with_the_store() {
    let double = Double::default();
    let (queue, guard) = WriteQueue::new(double.store()).unwrap();
    let failure = queue.failure();
    guard.close().unwrap();
    thread::sleep(Duration::from_millis(1));
    drop(queue);
    assert_eq!(block_on(failure), None);
}
