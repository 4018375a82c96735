use quorate_storage::{Durability, EngineKind, Identity};

use super::*;
use quorate_proto::B256;

const EPOCH: Epoch = Epoch(3);

fn store(dir: &std::path::Path) -> Store {
    let identity = Identity {
        network: "1-test".into(),
    };
    Store::open(dir, EngineKind::RocksDb, &identity).unwrap()
}

fn task(number: u64) -> TaskId {
    TaskId(quorate_proto::keccak256(number.to_be_bytes()))
}

fn sign(holdings: &Holdings, number: u64, member: usize) -> Batch {
    let mut batch = Batch::new();
    let noted = holdings.note(&mut batch, (EPOCH, task(number)), 5, |state| {
        state.sign(member);
    });
    noted.unwrap();
    batch
}

fn all(holdings: &Holdings) -> Vec<(TaskId, TaskState)> {
    let last = TaskId(B256::repeat_byte(0xff));
    let (rows, more) = holdings.range(EPOCH, None, last, 10_000).unwrap();
    assert!(!more);
    rows
}

#[test]
fn what_is_in_memory_is_what_a_restart_finds() {
    let dir = tempfile::tempdir().unwrap();
    let expected = {
        let store = store(dir.path());
        let holdings = Holdings::open(&store).unwrap();
        for number in 0..1_500 {
            for member in 0..usize::try_from(number % 4).unwrap() {
                let batch = sign(&holdings, number, member);
                store.write(&batch, Durability::Buffered).unwrap();
            }
        }
        // Known, and answered by nobody.
        let mut batch = Batch::new();
        let unanswered = (EPOCH, task(9_999));
        holdings.note(&mut batch, unanswered, 5, |_| {}).unwrap();
        holdings.remove(&mut batch, EPOCH, task(7)).unwrap();
        store.write(&batch, Durability::Buffered).unwrap();
        (
            holdings.summary(Epoch(0), 9),
            holdings.buckets(EPOCH),
            all(&holdings),
        )
    };
    let store = store(dir.path());
    let holdings = Holdings::open(&store).unwrap();
    let found = (
        holdings.summary(Epoch(0), 9),
        holdings.buckets(EPOCH),
        all(&holdings),
    );
    assert_eq!(found, expected);
    let (summary, _, rows) = found;
    assert_eq!(summary.len(), 1);
    assert_eq!(summary[0].1, holdings.of_epoch(EPOCH));
    // 375 of 1,500 have no signature, and one of the others was removed.
    assert_eq!((rows.len(), summary[0].1.tasks), (1_124, 1_124));
    assert_eq!(holdings.state(EPOCH, task(7)).unwrap(), None);
    let unanswered = holdings.state(EPOCH, task(9_999)).unwrap();
    assert_eq!(unanswered, Some(TaskState::nothing(5)));
}

#[test]
fn what_is_not_written_yet_is_known_and_not_read_from_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let holdings = Holdings::open(&store).unwrap();
    let first = sign(&holdings, 1, 0);
    let second = sign(&holdings, 1, 4);
    let state = holdings.state(EPOCH, task(1)).unwrap().unwrap();
    assert!(state.signed.has(0) && state.signed.has(4));
    assert!(!holdings.is_written(EPOCH, task(1)).unwrap());
    store.write(&first, Durability::Buffered).unwrap();
    assert!(!holdings.is_written(EPOCH, task(1)).unwrap());
    store.write(&second, Durability::Buffered).unwrap();
    assert!(holdings.is_written(EPOCH, task(1)).unwrap());
    assert!(holdings.is_written(EPOCH, task(2)).unwrap());
    assert!(sign(&holdings, 1, 4).is_empty(), "nothing new");
}

#[test]
fn ranges_are_cut_and_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let holdings = Holdings::open(&store).unwrap();
    for number in 0..100 {
        store
            .write(&sign(&holdings, number, 1), Durability::Buffered)
            .unwrap();
    }
    let last = TaskId(B256::repeat_byte(0xff));
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let (rows, more) = holdings.range(EPOCH, after, last, 7).unwrap();
        assert!(rows.len() <= 7);
        after = rows.last().map(|(task, _)| *task);
        found.extend(rows);
        if !more {
            break;
        }
    }
    assert_eq!(found, all(&holdings));
    assert_eq!(found.len(), 100);
    let (few, more) = holdings.range(EPOCH, None, found[3].0, 100).unwrap();
    assert_eq!((few.as_slice(), more), (&found[..4], false));
    assert!(
        holdings
            .range(Epoch(4), None, last, 9)
            .unwrap()
            .0
            .is_empty()
    );
}
