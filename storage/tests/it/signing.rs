use std::collections::HashMap;

use futures::FutureExt;
use proptest::{collection::vec, prelude::*};
use quorate_storage::{
    Batch, EngineKind, Outdated, Reservation, SigningEntry, SigningLog, StoreError, Verdict,
    WriteQueue, WriterGuard,
    schema::{CURSORS, TASKS},
};

use crate::{
    double::Double,
    support::{cursor, fresh, id, on_both_engines, open, task},
};

on_both_engines!(
    one_fact_per_slot_for_ever,
    the_log_is_the_operators_whatever_its_key,
    the_newest_epoch_is_kept,
    outdated_entries_go_and_all_others_stay,
    concurrent_callers_agree_on_one_fact
);

const OPERATOR: [u8; 20] = [9; 20];
const KEY: [u8; 20] = [7; 20];
const NEXT_KEY: [u8; 20] = [8; 20];

/// `fact` for `slot` in `epoch`; the digest is another one in every epoch.
fn entry(slot: u8, fact: u8, epoch: u32) -> SigningEntry {
    let mut digest = id(fact);
    digest[..4].copy_from_slice(&epoch.to_be_bytes());
    SigningEntry {
        operator: OPERATOR,
        key: KEY,
        slot: id(slot),
        fact: id(fact),
        digest,
        task: digest,
        epoch,
        time_ms: 1,
    }
}

fn log_on(double: &Double) -> (SigningLog, WriteQueue, WriterGuard) {
    let (queue, guard) = WriteQueue::new(double.store()).unwrap();
    (queue.signing_log(), queue, guard)
}

fn sign(log: &SigningLog, entry: SigningEntry) -> Result<(), StoreError> {
    let permits = log.reserve(entry)?.commit(Batch::new()).wait()?;
    assert_eq!(permits.len(), 1);
    assert_eq!(permits[0].entry(), &entry);
    assert_eq!(
        (permits[0].key(), permits[0].digest()),
        (&entry.key, &entry.digest)
    );
    Ok(())
}

fn is_conflict<T>(result: Result<T, StoreError>, committed: bool) -> bool {
    matches!(result, Err(StoreError::Conflict(found)) if found.committed == committed)
}

fn one_fact_per_slot_for_ever(kind: EngineKind) {
    let (dir, store) = fresh(kind);
    let (queue, guard) = WriteQueue::new(store).unwrap();
    let log = queue.signing_log();
    assert_eq!(log.check(&entry(1, 1, 1)), Ok(Verdict::Fresh));
    sign(&log, entry(1, 1, 1)).unwrap();
    sign(&log, entry(1, 1, 2)).unwrap();
    assert!(is_conflict(sign(&log, entry(1, 2, 3)), true));
    sign(&log, entry(2, 2, 3)).unwrap();
    let of_another = SigningEntry {
        operator: [8; 20],
        ..entry(1, 2, 3)
    };
    sign(&log, of_another).unwrap();
    guard.close().unwrap();
    drop((queue, log));

    let (queue, _guard) = WriteQueue::new(open(dir.path(), kind)).unwrap();
    let log = queue.signing_log();
    assert_eq!(
        log.check(&entry(1, 1, 9)),
        Ok(Verdict::Same {
            recorded: entry(1, 1, 2)
        })
    );
    assert_eq!(log.recorded(&OPERATOR, &id(1)), Ok(Some(entry(1, 1, 2))));
    let Ok(Verdict::Conflict(conflict)) = log.check(&entry(1, 9, 9)) else {
        panic!("no conflict")
    };
    assert_eq!(
        (conflict.asked, conflict.recorded),
        (entry(1, 9, 9), entry(1, 1, 2))
    );
    assert!(is_conflict(log.reserve(entry(1, 9, 9)), true));
    let mine: Vec<_> = log.signed_by(&OPERATOR).map(Result::unwrap).collect();
    assert_eq!(mine, [entry(1, 1, 2), entry(2, 2, 3)]);
}

fn outdated_entries_go_and_all_others_stay(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    let (queue, _guard) = WriteQueue::new(store).unwrap();
    let log = queue.signing_log();
    let late = |entry| SigningEntry {
        time_ms: 50,
        ..entry
    };
    for entry in [
        entry(1, 1, 1),
        entry(2, 1, 1),
        entry(3, 1, 5),
        late(entry(4, 1, 1)),
        entry(5, 1, 1),
    ] {
        sign(&log, entry).unwrap();
    }
    sign(&log, entry(5, 1, 6)).unwrap();
    let held = log.reserve(entry(2, 1, 7)).unwrap();
    let outdated = Outdated {
        before_epoch: 5,
        signed_before_ms: 50,
    };
    let forgotten = log.forget(&OPERATOR, outdated, None).unwrap();
    assert_eq!((forgotten.entries, forgotten.next), (1, None));
    forgotten.ack.wait().unwrap();
    assert_eq!(log.recorded(&OPERATOR, &id(1)), Ok(None));
    held.commit(Batch::new()).wait().unwrap();
    let left: Vec<_> = log.signed_by(&OPERATOR).map(Result::unwrap).collect();
    let expected = [
        entry(2, 1, 7),
        entry(3, 1, 5),
        late(entry(4, 1, 1)),
        entry(5, 1, 6),
    ];
    assert_eq!(left, expected);
    assert_eq!(log.forgotten_before(&OPERATOR), Ok(5));
    // What is gone may be signed anew.
    assert_eq!(log.check(&entry(1, 2, 8)), Ok(Verdict::Fresh));
}

/// A slot that is signed again while it is being removed keeps the new record.
#[test]
fn a_record_of_a_newer_epoch_is_never_removed() {
    let (_dir, store) = fresh(EngineKind::RocksDb);
    let (queue, _guard) = WriteQueue::new(store).unwrap();
    let log = queue.signing_log();
    for round in 1..=50 {
        sign(&log, entry(1, 1, round)).unwrap();
        let outdated = Outdated {
            before_epoch: round + 1,
            signed_before_ms: 50,
        };
        let (again, forgotten) = std::thread::scope(|scope| {
            let signing = scope.spawn(|| sign(&log, entry(1, 1, round + 1)));
            let forgotten = log.forget(&OPERATOR, outdated, None).unwrap();
            (signing.join().unwrap(), forgotten.ack.wait())
        });
        again.unwrap();
        forgotten.unwrap();
        let recorded = log.recorded(&OPERATOR, &id(1)).unwrap();
        assert_eq!(recorded, Some(entry(1, 1, round + 1)));
    }
}

fn with_next_key(entry: SigningEntry) -> SigningEntry {
    SigningEntry {
        key: NEXT_KEY,
        ..entry
    }
}

/// A change of key is no way around what was signed, neither on disk nor in this process.
fn the_log_is_the_operators_whatever_its_key(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    let (queue, _guard) = WriteQueue::new(store).unwrap();
    let log = queue.signing_log();
    sign(&log, entry(1, 1, 1)).unwrap();
    assert!(is_conflict(
        log.reserve(with_next_key(entry(1, 2, 2))),
        true
    ));
    let error = log.reserve(with_next_key(entry(1, 2, 2))).unwrap_err();
    let key = format!("0x{}", "07".repeat(20));
    assert!(error.to_string().contains(&key), "{error}");

    let held = log.reserve(entry(2, 1, 1)).unwrap();
    assert!(is_conflict(
        log.reserve(with_next_key(entry(2, 2, 2))),
        false
    ));
    drop(held);

    sign(&log, with_next_key(entry(1, 1, 2))).unwrap();
    let recorded = log.recorded(&OPERATOR, &id(1)).unwrap();
    assert_eq!(recorded, Some(with_next_key(entry(1, 1, 2))));
}

/// Tasks of the epoch before may be finished after some of the next one.
fn the_newest_epoch_is_kept(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    let (queue, _guard) = WriteQueue::new(store).unwrap();
    let log = queue.signing_log();
    let newest = with_next_key(entry(1, 1, 6));
    let recorded = || log.recorded(&OPERATOR, &id(1)).unwrap();
    sign(&log, newest).unwrap();
    sign(&log, entry(1, 1, 5)).unwrap();
    assert_eq!(recorded(), Some(newest));
    // The same where both are under way.
    let newer = with_next_key(entry(1, 1, 8));
    let (late, early) = (
        log.reserve(entry(1, 1, 7)).unwrap(),
        log.reserve(newer).unwrap(),
    );
    early.commit(Batch::new()).wait().unwrap();
    assert_eq!(late.commit(Batch::new()).wait().unwrap().len(), 1);
    assert_eq!(recorded(), Some(newer));
}

/// Eight threads, each for another fact, at the same slots: each slot goes to one of them.
fn concurrent_callers_agree_on_one_fact(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    let (queue, _guard) = WriteQueue::new(store).unwrap();
    let log = queue.signing_log();
    let signed: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u8)
            .map(|fact| {
                let log = &log;
                let signs = move |slot: &u8| sign(log, entry(*slot, fact, 1)).is_ok();
                scope.spawn(move || (0..20).filter(signs).collect())
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for slot in 0..20 {
        let signers = signed.iter().filter(|slots| slots.contains(&slot)).count();
        assert_eq!(signers, 1, "slot {slot}: {signed:?}");
    }
}

#[test]
fn a_reservation_keeps_others_out_until_it_is_dropped() {
    let (log, queue, _guard) = log_on(&Double::default());
    let held = log.reserve(entry(1, 1, 1)).unwrap();
    assert!(is_conflict(log.reserve(entry(1, 2, 1)), false));
    assert!(
        is_conflict(queue.signing_log().reserve(entry(1, 2, 1)), false),
        "another handle"
    );
    let same = log.reserve(entry(1, 1, 2)).unwrap();
    drop(held);
    assert!(
        is_conflict(log.reserve(entry(1, 2, 1)), false),
        "the second holder holds"
    );
    drop(same);
    sign(&log, entry(1, 2, 1)).unwrap();
}

#[test]
fn in_a_group_the_first_wins() {
    let (log, queue, _guard) = log_on(&Double::default());
    sign(&log, entry(4, 4, 1)).unwrap();
    let group = [
        entry(1, 1, 1),
        entry(1, 2, 1),
        entry(2, 5, 1),
        entry(4, 5, 1),
        entry(1, 1, 2),
    ];
    let admission = log.admit(&group);
    let refused: Vec<_> = admission.refused.iter().map(|(place, _)| *place).collect();
    assert_eq!(refused, [1, 3]);
    assert_eq!(
        admission.reservation.entries(),
        [group[0], group[2], group[4]]
    );
    let mut beside = Batch::new();
    beside.put(CURSORS, "beside", &cursor(1));
    assert_eq!(
        admission.reservation.commit(beside).wait().unwrap().len(),
        3
    );
    assert_eq!(
        queue.store().get(CURSORS, "beside").unwrap(),
        Some(cursor(1))
    );
}

/// A permit comes after the synced write, and the slot is held all the while.
#[test]
fn no_permit_before_the_record_is_on_disk() {
    let double = Double::default();
    let (log, _queue, _guard) = log_on(&double);
    double.hold_back();
    let mut permits = log.reserve(entry(1, 1, 1)).unwrap().commit(Batch::new());
    double.until_asked(2);
    assert_eq!(double.writes()[1], (1, true), "synced");
    assert!((&mut permits).now_or_never().is_none());
    assert_eq!(log.recorded(&OPERATOR, &id(1)), Ok(None));
    assert!(is_conflict(log.reserve(entry(1, 2, 1)), false));
    double.let_pass();
    assert_eq!(permits.wait().unwrap().len(), 1);
    assert!(is_conflict(log.reserve(entry(1, 2, 1)), true));
}

/// A caller that gives up on a commit does not free the slot: the write may be on its way.
#[test]
fn a_dropped_commit_still_holds_its_slot() {
    let double = Double::default();
    let (log, _queue, guard) = log_on(&double);
    double.hold_back();
    drop(log.reserve(entry(1, 1, 1)).unwrap().commit(Batch::new()));
    assert!(is_conflict(log.reserve(entry(1, 2, 1)), false));
    double.let_pass();
    guard.close().unwrap();
    assert!(is_conflict(log.reserve(entry(1, 2, 1)), true));
}

#[test]
fn a_failed_write_gives_no_permit_and_no_further_reservation() {
    let double = Double::default();
    let (log, _queue, _guard) = log_on(&double);
    let early = log.reserve(entry(2, 1, 1)).unwrap();
    double.fail_with(StoreError::NoSpace {
        context: "write".into(),
    });
    assert!(matches!(
        sign(&log, entry(1, 1, 1)),
        Err(StoreError::NoSpace { .. })
    ));
    double.mend();
    assert!(matches!(
        log.reserve(entry(3, 1, 1)),
        Err(StoreError::Stopped { .. })
    ));
    assert!(matches!(
        early.commit(Batch::new()).wait(),
        Err(StoreError::Stopped { .. })
    ));
}

#[test]
fn a_refused_commit_frees_its_slot() {
    let (log, _queue, _guard) = log_on(&Double::default());
    let mut large = Batch::new();
    large.put(
        TASKS,
        &id(1),
        &task(&"x".repeat(quorate_storage::MAX_BATCH_BYTES)),
    );
    let refused = log.reserve(entry(1, 1, 1)).unwrap().commit(large).wait();
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
    sign(&log, entry(1, 2, 1)).unwrap();
}

#[test]
fn the_conflict_names_both_tasks() {
    let (log, _queue, _guard) = log_on(&Double::default());
    sign(&log, entry(1, 1, 1)).unwrap();
    let error = sign(&log, entry(1, 0xab, 1)).unwrap_err();
    assert!(!error.is_retryable());
    let text = error.to_string();
    assert!(
        text.contains("holds another fact, signed for task"),
        "{text}"
    );
    assert!(text.contains("abababab"), "{text}");
}

/// One step of a caller: several are under way, each with its own reservations.
#[derive(Debug, Clone)]
enum Step {
    /// Slot, fact, epoch, and whether with the next key.
    Reserve(Vec<(u8, u8, u32, bool)>),
    Drop(usize),
    Commit(usize),
    CommitAndForget(usize),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wish = (0..4_u8, 0..3_u8, 0..3_u32, any::<bool>());
    let step = prop_oneof![
        6 => vec(wish, 1..4).prop_map(Step::Reserve),
        1 => any::<usize>().prop_map(Step::Drop),
        3 => any::<usize>().prop_map(Step::Commit),
        1 => any::<usize>().prop_map(Step::CommitAndForget),
        1 => Just(Step::Restart),
    ];
    vec(step, 1..60)
}

proptest! {
    /// Whatever the order of reserving, committing, changing the key, giving up and restarting: no slot
    /// ever gets permits for two facts, and what has a permit is recorded, under its newest epoch.
    #[test]
    fn no_slot_ever_gets_two_facts(steps in steps()) {
        let double = Double::default();
        let (mut log, mut queue, mut guard) = log_on(&double);
        let mut open: Vec<Reservation> = Vec::new();
        let mut signed: HashMap<[u8; 32], ([u8; 32], u32)> = HashMap::new();
        for step in steps {
            match step {
                Step::Reserve(wishes) => {
                    let wish = |(slot, fact, epoch, changed): &(u8, u8, u32, bool)| {
                        let wish = entry(*slot, *fact, *epoch);
                        if *changed { with_next_key(wish) } else { wish }
                    };
                    let group: Vec<_> = wishes.iter().map(wish).collect();
                    open.push(log.admit(&group).reservation);
                }
                Step::Drop(pick) if !open.is_empty() => drop(open.swap_remove(pick % open.len())),
                Step::Commit(pick) if !open.is_empty() => {
                    let reservation = open.swap_remove(pick % open.len());
                    for permit in reservation.commit(Batch::new()).wait().unwrap() {
                        let SigningEntry { slot, fact, epoch, .. } = *permit.entry();
                        let (held, newest) = signed.entry(slot).or_insert((fact, epoch));
                        *newest = epoch.max(*newest);
                        prop_assert_eq!(*held, fact);
                        let recorded = log.recorded(&OPERATOR, &slot).unwrap();
                        prop_assert_eq!(recorded.map(|entry| entry.fact), Some(fact));
                        prop_assert!(recorded.is_some_and(|entry| entry.epoch >= *newest));
                    }
                }
                Step::CommitAndForget(pick) if !open.is_empty() => {
                    drop(open.swap_remove(pick % open.len()).commit(Batch::new()));
                }
                Step::Restart => {
                    open.clear();
                    guard.close().unwrap();
                    drop((log, queue));
                    (log, queue, guard) = log_on(&double);
                }
                _ => {}
            }
        }
    }
}
