use std::collections::BTreeSet;
use std::time::Instant;

use quorate_proto::store::Cursor;
use quorate_proto::{LogPosition, Operator, OperatorStatus, TaskId, U256, wire};
use quorate_storage::{EngineKind, Identity, Page, WriterGuard};

use super::*;
use crate::settings::{Reloadable, fixed};

/// A registry that can be killed and started again.
struct Scene {
    folder: tempfile::TempDir,
    store: Store,
    handle: MembersHandle,
    task: tokio::task::JoinHandle<Result<(), NodeError>>,
    writer: WriterGuard,
}

impl Scene {
    fn start() -> Self {
        Self::on(tempfile::tempdir().unwrap())
    }

    fn on(folder: tempfile::TempDir) -> Self {
        let identity = Identity {
            network: "31337-0x07".into(),
        };
        let store = Store::open(folder.path(), EngineKind::Sled, &identity).unwrap();
        let (writes, writer) = WriteQueue::new(store.clone()).unwrap();
        let (members, handle) =
            Members::open(&store, writes, fixed(Reloadable::default())).unwrap();
        let task = tokio::spawn(members.run(CancellationToken::new()));
        Self {
            folder,
            store,
            handle,
            task,
            writer,
        }
    }

    /// Nothing in memory survives.
    async fn restart(self) -> Self {
        self.task.abort();
        let _ = self.task.await;
        let writer = self.writer;
        tokio::task::spawn_blocking(move || writer.close().unwrap())
            .await
            .unwrap();
        drop((self.handle, self.store));
        Self::on(self.folder)
    }

    async fn status(&self, number: u64) -> Option<OperatorStatus> {
        let member = self.handle.member(operator(number)).await;
        member.map(|member| member.status)
    }

    fn log(&self) -> Vec<wire::LifecycleEvent> {
        let rows = self.store.rows(schema::EVENTS, &());
        rows.map(|row| row.unwrap().1).collect()
    }

    fn updates(&self) -> Vec<u64> {
        let rows = self.store.rows(schema::UPDATES, &());
        rows.map(|row| row.unwrap().0).collect()
    }
}

fn operator(number: u64) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

fn registered(number: u64, block: u64, index: u32) -> Input {
    Input::Registered {
        operator: operator(number),
        log: LogPosition { block, index },
        active_epoch: Epoch(1),
    }
}

fn joined(number: u64) -> Input {
    Input::Joined {
        operator: operator(number),
        peer_key: [7; 32],
        sequence: 1,
        counts: true,
    }
}

fn set(epoch: u32, numbers: &[u64]) -> Arc<OperatorSet> {
    let member = |number: &u64| Operator {
        address: operator(*number),
        signing_key: operator(*number),
        weight: U256::from(10),
    };
    let total = U256::from(10 * numbers.len());
    let members = numbers.iter().map(member).collect();
    Arc::new(OperatorSet::new(Epoch(epoch), members, total, 0).unwrap())
}

fn cursor(block: u64) -> Batch {
    let mut batch = Batch::new();
    let cursor = Cursor {
        block_number: block,
        block_hash: Vec::new(),
    };
    batch.put(schema::CURSORS, "members", &cursor);
    batch
}

fn silent(asked: &Arc<OperatorSet>, signers: &[u64], number: u8) -> ClosedTask {
    ClosedTask {
        task: TaskId(B256::repeat_byte(number)),
        began: clock::now(),
        asked: asked.clone(),
        signed: signers.iter().map(|n| operator(*n)).collect(),
        refused: BTreeSet::new(),
    }
}

#[tokio::test]
async fn a_life_survives_restarts_with_its_events_told_once() {
    let mut scene = Scene::start();
    let told = |upto: u64| (1..=upto).map(|n| registered(n, 10 * n, 0)).collect();
    scene.handle.chain(told(3), cursor(35)).await;
    scene = scene.restart().await;
    // The reader may have lost its place, but never the membership task.
    scene.handle.chain(told(4), cursor(45)).await;
    assert_eq!(scene.log().len(), 4);
    for number in 1..=4 {
        scene.handle.tell(joined(number)).await.unwrap().unwrap();
    }
    scene.handle.epoch_began(set(1, &[1, 2, 3, 4]), 50).await;
    scene = scene.restart().await;
    scene.handle.epoch_began(set(1, &[1, 2, 3, 4]), 51).await;
    assert_eq!(scene.status(4).await, Some(OperatorStatus::Active));
    let events = scene.log();
    assert_eq!(events.len(), 12);
    let numbers: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    let updates = scene.updates();
    assert_eq!(updates, (1..=updates.len() as u64).collect::<Vec<_>>());
    assert_eq!(*scene.handle.newest().borrow(), updates.len() as u64);
}

#[tokio::test]
async fn five_misses_suspend_over_a_restart_and_a_word_reinstates() {
    let mut scene = Scene::start();
    let told = (1..=4).map(|n| registered(n, n, 0)).collect();
    scene.handle.chain(told, cursor(5)).await;
    for number in 1..=4 {
        scene.handle.tell(joined(number)).await.unwrap().unwrap();
    }
    let asked = set(1, &[1, 2, 3, 4]);
    scene.handle.epoch_began(asked.clone(), 20).await;
    for number in 0..5 {
        if number == 3 {
            // Closed tasks are told without waiting for what comes of it.
            assert_eq!(scene.status(4).await, Some(OperatorStatus::Active));
            scene = scene.restart().await;
            scene.handle.epoch_began(asked.clone(), 21).await;
        }
        scene.handle.closed(silent(&asked, &[1, 2, 3], number));
    }
    assert_eq!(scene.status(4).await, Some(OperatorStatus::Suspended));
    let hash = scene.handle.roll().await.state_hash;
    let by = || Input::Reinstated {
        operator: operator(4),
        by: "a test".into(),
    };
    scene.handle.tell(by()).await.unwrap().unwrap();
    assert_eq!(scene.status(4).await, Some(OperatorStatus::Active));
    assert_ne!(scene.handle.roll().await.state_hash, hash);
    let again = scene.handle.tell(by()).await.unwrap();
    assert_eq!(again, Err(Refused::NotSuspended(operator(4))));
    scene = scene.restart().await;
    let note = scene.log().last().map(|event| event.note.clone());
    assert_eq!(note.as_deref(), Some("a test"));
}

#[tokio::test]
async fn events_come_in_pages_of_all_or_of_one() {
    let scene = Scene::start();
    let told = (1..=5).map(|n| registered(n, n, 0)).collect();
    scene.handle.chain(told, cursor(5)).await;
    for number in 1..=5 {
        scene.handle.tell(joined(number)).await.unwrap().unwrap();
    }
    let mut filter = EventFilter {
        operator: None,
        behind: None,
        newest_first: true,
        limit: 4,
    };
    let numbers = |filter| {
        let page = events(&scene.store, filter).unwrap();
        let numbers: Vec<u64> = page.events.iter().map(|event| event.sequence).collect();
        (numbers, page.more)
    };
    assert_eq!(numbers(filter), (vec![10, 9, 8, 7], true));
    filter.behind = Some(7);
    assert_eq!(numbers(filter), (vec![6, 5, 4, 3], true));
    filter.behind = Some(3);
    assert_eq!(numbers(filter), (vec![2, 1], false));
    filter.operator = Some(operator(2));
    assert_eq!(numbers(filter), (vec![2], false));
    filter.behind = None;
    assert_eq!(numbers(filter), (vec![7, 2], false));
    filter.newest_first = false;
    assert_eq!(numbers(filter), (vec![2, 7], false));
}

/// The backfill of a large network, too: its updates are cut to what is kept.
#[tokio::test]
async fn ten_thousand_operators_are_ready_within_two_seconds() {
    const MANY: u64 = 10_000;
    let mut scene = Scene::start();
    for first in (1..=MANY).step_by(1_000) {
        let told = (first..first + 1_000).map(|n| registered(n, n, 0));
        scene.handle.chain(told.collect(), cursor(first)).await;
    }
    let first = 1;
    for number in first..=100 {
        scene.handle.tell(joined(number)).await.unwrap().unwrap();
    }
    let everybody: Vec<u64> = (1..=500).collect();
    scene.handle.epoch_began(set(1, &everybody), MANY).await;
    scene.handle.epoch_began(set(2, &everybody), MANY).await;
    let before = scene.handle.roll().await;
    scene = scene.restart().await;
    let begin = Instant::now();
    scene = scene.restart().await;
    let after = scene.handle.roll().await;
    let took = begin.elapsed();
    assert_eq!(after.members.len(), MANY as usize);
    assert_eq!(after.members, before.members);
    assert_eq!(after.state_hash, before.state_hash);
    assert!(scene.updates().len() as u64 <= member_store::KEPT_UPDATES);
    assert!(took < Duration::from_secs(2), "{took:?}");
    let newest = scene.store.scan(schema::EVENTS, &(), Page::newest(1));
    assert_eq!(newest.unwrap().rows[0].0, MANY + 200);
}

#[tokio::test]
async fn attendance_closes_a_window_once_with_those_that_answered_in_it() {
    let mut attendance = Attendance::default();
    let asked = set(1, &[1, 2]);
    let task = |number| TaskId(B256::repeat_byte(number));
    let start = clock::now();
    attendance.opened(start, task(1), asked.clone());
    attendance.opened(start.plus_millis(1), task(2), asked.clone());
    attendance.opened(start.plus_millis(500), task(1), asked);
    assert!(attendance.close(start.plus_millis(2_999)).is_empty());
    let closes = start.plus_millis(3_000);
    assert_eq!(attendance.next_wake(), Some(closes));
    let closed = attendance.close(closes);
    assert_eq!(closed.len(), 1);
    assert_eq!((closed[0].task, closed[0].began), (task(1), start));
    assert!(attendance.close(closes).is_empty());
    assert_eq!(attendance.close(closes.plus_millis(1)).len(), 1);
    assert_eq!(attendance.next_wake(), None);
}
