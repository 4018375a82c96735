use quorate_proto::store::{Empty, TaskRecord, TaskRef};
use quorate_proto::{Address, Epoch, StateProof, U256};
use quorate_storage::{Batch, Durability, EngineKind};

use super::*;
use crate::fixtures;

struct Scene {
    store: Store,
    rivals: ConflictingTasks,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let (store, folder) = fixtures::store(EngineKind::Sled);
        Self {
            store,
            rivals: ConflictingTasks::default(),
            _folder: folder,
        }
    }

    /// A task that ended here, certified or not.
    fn ended(&self, statement: &Statement, certified: bool) {
        let (id, slot) = (statement.task_id().0.0, statement.slot().0.0);
        let record = TaskRecord {
            statement: Some(statement.into()),
            ..TaskRecord::default()
        };
        let mut batch = Batch::new();
        batch.put(schema::TASKS, &id, &record);
        if certified {
            let answer = TaskRef {
                task_id: id.to_vec(),
            };
            batch.put(schema::QUESTIONS, &(slot, statement.epoch().0), &answer);
        } else {
            batch.put(schema::UNCERTIFIED, &(slot, id), &Empty {});
        }
        self.store.write(&batch, Durability::Buffered).unwrap();
    }

    fn open(&mut self, statement: &Statement) {
        self.rivals.opened(&self.store, statement, &[]).unwrap();
    }

    fn of(&self, statement: &Statement) -> Vec<TaskId> {
        let mut rivals = self.rivals.of(&self.store, statement).unwrap();
        rivals.sort();
        rivals
    }
}

fn says(epoch: u32, value: u64) -> Statement {
    Statement::StateProof(StateProof {
        user: Address::repeat_byte(9),
        chain_id: 1,
        block_number: 100,
        timestamp: 1_700_000_000,
        epoch: Epoch(epoch),
        key: U256::from(1),
        value: U256::from(value),
    })
}

fn ids(statements: &[Statement]) -> Vec<TaskId> {
    let mut ids: Vec<TaskId> = statements.iter().map(Statement::task_id).collect();
    ids.sort();
    ids
}

#[test]
fn tasks_that_agree_are_no_rivals() {
    let mut scene = Scene::new();
    scene.ended(&says(1, 7), true);
    scene.ended(&says(2, 7), false);
    for statement in [says(3, 7), says(1, 7)] {
        scene.open(&statement);
        assert!(scene.of(&statement).is_empty());
    }
    assert!(scene.of(&says(4, 7)).is_empty(), "not open here");
}

#[test]
fn who_differs_from_certificates_meets_all_of_them() {
    let mut scene = Scene::new();
    let truth = [says(1, 7), says(2, 7), says(3, 7)];
    for statement in &truth {
        scene.ended(statement, true);
    }
    let lie = says(3, 8);
    assert_eq!(scene.of(&lie), ids(&truth));
    scene.open(&lie);
    assert_eq!(scene.of(&lie), ids(&truth));
}

#[test]
fn a_lie_that_nobody_certified_is_found_again() {
    let mut scene = Scene::new();
    let lies = [says(1, 8), says(2, 9)];
    for lie in &lies {
        scene.ended(lie, false);
    }
    let truth = says(2, 7);
    scene.open(&truth);
    assert_eq!(scene.of(&truth), ids(&lies));
    assert_eq!(scene.of(&lies[0]), ids(&[lies[1].clone(), truth]));
}

#[test]
fn tasks_that_are_open_together_know_each_other() {
    let mut scene = Scene::new();
    let (first, second, third) = (says(1, 7), says(1, 8), says(2, 7));
    for statement in [&first, &second, &third, &second] {
        scene.open(statement);
    }
    assert_eq!(scene.of(&first), ids(std::slice::from_ref(&second)));
    assert_eq!(scene.of(&second), ids(&[first, third.clone()]));
    assert_eq!(scene.of(&third), ids(&[second]));
}

#[test]
fn a_task_that_is_over_meets_those_that_are_open() {
    let mut scene = Scene::new();
    let (open, over, other) = (says(1, 7), says(1, 8), says(2, 8));
    scene.open(&open);
    assert_eq!(
        scene.of(&over),
        ids(std::slice::from_ref(&open)),
        "not open here"
    );
    scene.rivals.met(&over);
    scene.rivals.met(&over);
    assert_eq!(scene.of(&open), ids(std::slice::from_ref(&over)));
    let unwritten = [over.task_id(), other.task_id()];
    let late = says(3, 7);
    scene
        .rivals
        .opened(&scene.store, &late, &unwritten)
        .unwrap();
    assert_eq!(scene.of(&late), ids(&[over, other]));
}

#[test]
fn closed_tasks_are_forgotten() {
    let mut scene = Scene::new();
    let open = says(1_000, 7);
    for epoch in 0..100 {
        scene.open(&says(epoch, 7));
        scene.rivals.sweep(|_| true);
    }
    scene.open(&open);
    for epoch in 200..400 {
        scene.open(&says(epoch, 7));
        scene.rivals.sweep(|task| task == open.task_id());
    }
    assert!(scene.rivals.rivals.len() < 2 * SWEEP);
    assert!(scene.rivals.rivals.contains_key(&open.task_id()));
    let tracked: usize = scene.rivals.open.values().map(Vec::len).sum();
    assert_eq!(tracked, scene.rivals.rivals.len());
}
