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

fn sign(inventory: &TaskInventory, number: u64, member: usize) -> Batch {
    let mut batch = Batch::new();
    let noted = inventory.note(&mut batch, (EPOCH, task(number)), 5, |state| {
        state.sign(member);
    });
    noted.unwrap();
    batch
}

fn all(inventory: &TaskInventory) -> Vec<(TaskId, TaskState)> {
    let last = TaskId(B256::repeat_byte(0xff));
    let (rows, more) = inventory.range(EPOCH, None, last, 10_000).unwrap();
    assert!(!more);
    rows
}

#[test]
fn what_is_in_memory_is_what_a_restart_finds() {
    let dir = tempfile::tempdir().unwrap();
    let expected = {
        let store = store(dir.path());
        let inventory = TaskInventory::open(&store).unwrap();
        for number in 0..1_500 {
            for member in 0..usize::try_from(number % 4).unwrap() {
                let batch = sign(&inventory, number, member);
                store.write(&batch, Durability::Buffered).unwrap();
            }
        }
        // Known, and answered by no operator.
        let mut batch = Batch::new();
        let unanswered = (EPOCH, task(9_999));
        inventory.note(&mut batch, unanswered, 5, |_| {}).unwrap();
        inventory.remove(&mut batch, EPOCH, task(7)).unwrap();
        store.write(&batch, Durability::Buffered).unwrap();
        (
            inventory.summary(Epoch(0), 9),
            inventory.buckets(EPOCH),
            all(&inventory),
        )
    };
    let store = store(dir.path());
    let inventory = TaskInventory::open(&store).unwrap();
    let found = (
        inventory.summary(Epoch(0), 9),
        inventory.buckets(EPOCH),
        all(&inventory),
    );
    assert_eq!(found, expected);
    let (summary, _, rows) = found;
    assert_eq!(summary.len(), 1);
    assert_eq!(summary[0].1, inventory.of_epoch(EPOCH));
    // 375 of 1,500 have no signature, and one of the others was removed.
    assert_eq!((rows.len(), summary[0].1.tasks), (1_124, 1_124));
    assert_eq!(inventory.state(EPOCH, task(7)).unwrap(), None);
    let unanswered = inventory.state(EPOCH, task(9_999)).unwrap();
    assert_eq!(unanswered, Some(TaskState::nothing(5)));
}

#[test]
fn what_is_not_written_yet_is_known_and_not_read_from_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let inventory = TaskInventory::open(&store).unwrap();
    let first = sign(&inventory, 1, 0);
    let second = sign(&inventory, 1, 4);
    let state = inventory.state(EPOCH, task(1)).unwrap().unwrap();
    assert!(state.signed.has(0) && state.signed.has(4));
    for batch in [first, second] {
        assert!(!inventory.is_written(task(1)));
        store.write(&batch, Durability::Buffered).unwrap();
    }
    assert!(inventory.is_written(task(1)) && inventory.is_written(task(2)));
    assert_eq!(inventory.state(EPOCH, task(1)).unwrap(), Some(state));
    assert!(sign(&inventory, 1, 4).is_empty(), "nothing new");
}

#[test]
fn ranges_are_cut_and_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let inventory = TaskInventory::open(&store).unwrap();
    for number in 0..100 {
        store
            .write(&sign(&inventory, number, 1), Durability::Buffered)
            .unwrap();
    }
    let last = TaskId(B256::repeat_byte(0xff));
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let (rows, more) = inventory.range(EPOCH, after, last, 7).unwrap();
        assert!(rows.len() <= 7);
        after = rows.last().map(|(task, _)| *task);
        found.extend(rows);
        if !more {
            break;
        }
    }
    assert_eq!(found, all(&inventory));
    assert_eq!(found.len(), 100);
    let (few, more) = inventory.range(EPOCH, None, found[3].0, 100).unwrap();
    assert_eq!((few.as_slice(), more), (&found[..4], false));
    assert!(
        inventory
            .range(Epoch(4), None, last, 9)
            .unwrap()
            .0
            .is_empty()
    );
}
