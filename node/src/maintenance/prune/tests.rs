use quorate_proto::store::{Cursor, Empty, ResponseRecord, TaskRef};
use quorate_proto::{Address, B256, EpochUpdate, StateProof, U256, wire};
use quorate_storage::{EngineKind, Identity};

use super::*;
use crate::settings::{Reloadable, Retention, fixed};

/// A store with answered tasks of epochs 1 to 4: 30 each, and the update to the next epoch.
struct Fixture {
    store: Store,
    writes: WriteQueue,
    inventory: TaskInventory,
    _writer: quorate_storage::WriterGuard,
    _dir: tempfile::TempDir,
}

fn proof(epoch: u32, key: u64) -> Statement {
    Statement::StateProof(StateProof {
        user: Address::repeat_byte(9),
        chain_id: 1,
        block_number: 7,
        timestamp: 1_700_000_000,
        epoch: Epoch(epoch),
        key: U256::from(key),
        value: U256::from(1),
    })
}

fn update(epoch: u32) -> Statement {
    Statement::EpochUpdate(EpochUpdate {
        epoch: Epoch(epoch),
        next_epoch: Epoch(epoch + 1),
        set_hash: B256::repeat_byte(3),
        time: 1_700_000_000,
    })
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity {
            network: "1-test".into(),
        };
        let store = Store::open(dir.path(), EngineKind::RocksDb, &identity).unwrap();
        let inventory = TaskInventory::open(&store).unwrap();
        let (writes, writer) = WriteQueue::new(store.clone()).unwrap();
        let fixture = Self {
            store,
            writes,
            inventory,
            _writer: writer,
            _dir: dir,
        };
        for epoch in 1..=4 {
            (0..30).for_each(|key| fixture.put(&proof(epoch, key)));
            fixture.put(&update(epoch));
        }
        fixture
    }

    /// Everything that a completed task has, each row with what is known by its key alone.
    fn put(&self, statement: &Statement) {
        let (id, epoch) = (statement.task_id(), statement.epoch());
        let mut batch = Batch::new();
        let record = TaskRecord {
            statement: Some(statement.into()),
            created_ms: 5,
            ..TaskRecord::default()
        };
        batch.put(schema::TASKS, &id.0.0, &record);
        batch.put(schema::TASK_TIMES, &(5, id.0.0), &Empty {});
        for operator in 1..=3 {
            let key = (id.0.0, [operator; 20]);
            batch.put(schema::RESPONSES, &key, &ResponseRecord::default());
        }
        let certificate = wire::Certificate::default();
        batch.put(schema::CERTIFICATES, &id.0.0, &certificate);
        let question = (statement.slot().0.0, epoch.0);
        let answer = TaskRef {
            task_id: id.0.to_vec(),
        };
        batch.put(schema::QUESTIONS, &question, &answer);
        let task = (epoch, id);
        let noted = self.inventory.note(&mut batch, task, 3, |state| {
            state.sign(1);
        });
        noted.unwrap();
        self.store.write(&batch, Durability::Buffered).unwrap();
    }

    fn pruner(&self) -> Pruner {
        let (_view, views) = tokio::sync::watch::channel(crate::home::EpochView::default());
        let home = HomeHandle::of(views);
        let live = fixed(Reloadable {
            retention: Retention::epochs(2).unwrap(),
            ..Reloadable::default()
        });
        Pruner::new(live, home, self.writes.clone(), self.inventory.clone()).0
    }

    /// Rows of a task in all tables.
    fn rows(&self, statement: &Statement) -> usize {
        let (id, epoch) = (statement.task_id().0.0, statement.epoch().0);
        let slot = statement.slot().0.0;
        let get = |found: bool| usize::from(found);
        get(self.store.get(schema::TASKS, &id).unwrap().is_some())
            + get(self.store.get(schema::CERTIFICATES, &id).unwrap().is_some())
            + get(self
                .store
                .get(schema::QUESTIONS, &(slot, epoch))
                .unwrap()
                .is_some())
            + get(self
                .store
                .get(schema::TASK_TIMES, &(5, id))
                .unwrap()
                .is_some())
            + get(self
                .store
                .get(schema::TASK_INDEX, &(epoch, id))
                .unwrap()
                .is_some())
            + self.store.rows(schema::RESPONSES, &id).count()
    }

    fn mark(&self, statement: &Statement) -> Option<Epoch> {
        was_pruned(&self.store, statement.task_id()).unwrap()
    }
}

const WHOLE: usize = 8;

#[tokio::test]
async fn tasks_of_old_epochs_go_whole_and_leave_a_mark() {
    let fixture = Fixture::new();
    let cursor = Cursor::default();
    let mut other = Batch::new();
    other.put(schema::CURSORS, "registrations", &cursor);
    fixture.store.write(&other, Durability::Buffered).unwrap();
    fixture.pruner().prune(Epoch(3)).await.unwrap();
    for epoch in 1..=4 {
        for key in 0..30 {
            let task = proof(epoch, key);
            let (rows, mark) = if epoch < 3 {
                (0, Some(Epoch(epoch)))
            } else {
                (WHOLE, None)
            };
            assert_eq!((fixture.rows(&task), fixture.mark(&task)), (rows, mark));
        }
        assert_eq!(
            fixture.rows(&update(epoch)),
            WHOLE,
            "other chains follow it"
        );
    }
    let left = fixture.inventory.summary(Epoch(0), 9);
    let tasks: Vec<(u32, u32)> = left.iter().map(|(e, all)| (e.0, all.tasks)).collect();
    assert_eq!(tasks, [(1, 1), (2, 1), (3, 31), (4, 31)]);
    assert!(
        fixture
            .store
            .get(schema::CURSORS, "registrations")
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_kill_between_two_batches_leaves_whole_tasks_and_the_rest_goes_later() {
    let fixture = Fixture::new();
    let pruner = fixture.pruner();
    let (batch, count, next) = pruner.next_batch(Epoch(3), None).await.unwrap();
    assert!(count > 0 && count <= AT_ONCE && next.is_some());
    fixture.store.write(&batch, Durability::Buffered).unwrap();
    let mut gone = 0;
    for key in 0..30 {
        let task = proof(1, key);
        let rows = fixture.rows(&task);
        assert!(rows == WHOLE || (rows == 0 && fixture.mark(&task).is_some()));
        gone += usize::from(rows == 0);
    }
    assert!(gone > 0);
    // The next run finds in the store what the first one left.
    let inventory = TaskInventory::open(&fixture.store).unwrap();
    let again = Fixture {
        inventory,
        ..fixture
    };
    again.pruner().prune(Epoch(3)).await.unwrap();
    again.pruner().prune(Epoch(3)).await.unwrap();
    assert!((1..3).all(|epoch| (0..30).all(|key| again.rows(&proof(epoch, key)) == 0)));
    assert!((0..30).all(|key| again.rows(&proof(3, key)) == WHOLE));
}

#[test]
fn retention_counts_back_from_the_current_epoch() {
    let eight: Retention = "8".parse().unwrap();
    assert_eq!(eight, Retention::USUAL);
    assert_eq!(eight.floor(Epoch(100)), Epoch(92));
    assert_eq!(eight.floor(Epoch(3)), Epoch(0));
    for all in ["all", "0"] {
        let all: Retention = all.parse().unwrap();
        assert_eq!(all.floor(Epoch(100)), Epoch(0));
    }
    for bad in ["1", "-1", "some"] {
        assert!(bad.parse::<Retention>().is_err(), "{bad}");
    }
}
