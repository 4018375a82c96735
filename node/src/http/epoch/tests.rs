use quorate_proto::store::TaskIndexRecord;
use quorate_proto::{Address, B256, EpochUpdate, StateProof, U256};
use quorate_storage::{Batch, Durability, EngineKind};

use super::*;

fn proof(epoch: u32, block_number: u64) -> Statement {
    Statement::StateProof(StateProof {
        epoch: Epoch(epoch),
        user: Address::repeat_byte(1),
        chain_id: 5,
        block_number,
        timestamp: 1,
        key: U256::from(1),
        value: U256::from(2),
    })
}

#[test]
fn tasks_of_an_epoch_are_counted_by_what_became_of_them() {
    let (store, _dir) = crate::fixtures::store(EngineKind::RocksDb);
    let mut batch = Batch::new();
    let mut add = |statement: Statement, status: TaskStatus| {
        let id = statement.task_id().0.0;
        let record = TaskRecord {
            statement: Some((&statement).into()),
            status: status.into(),
            ..TaskRecord::default()
        };
        batch.put(schema::TASKS, &id, &record);
        let row = (statement.epoch().0, id);
        batch.put(schema::TASK_INDEX, &row, &TaskIndexRecord::default());
    };
    for block in 0..3 {
        add(proof(4, block), TaskStatus::Completed);
    }
    add(proof(4, 3), TaskStatus::Expired);
    add(proof(4, 4), TaskStatus::Failed);
    add(proof(4, 5), TaskStatus::Pending);
    add(proof(5, 6), TaskStatus::Completed);
    let update = EpochUpdate {
        epoch: Epoch(4),
        next_epoch: Epoch(5),
        set_hash: B256::ZERO,
        time: 1,
    };
    add(Statement::EpochUpdate(update), TaskStatus::Completed);
    store.write(&batch, Durability::Buffered).unwrap();

    let counted = count(&store, Epoch(4)).unwrap();
    let certified = [("epoch_update", 1), ("state_proof", 3)];
    let expected = EpochTasks {
        certified: certified
            .map(|(kind, count)| (kind.to_owned(), count))
            .into(),
        expired: 1,
        failed: 1,
        pending: 1,
    };
    assert_eq!(counted, expected);
    assert_eq!(count(&store, Epoch(6)).unwrap(), EpochTasks::default());
}
