use quorate_proto::{Address, B256, Operator, Timestamp, limits};
use quorate_storage::{EngineKind, WriterGuard};

use super::*;
use crate::fixtures::{self, ListedHome};
use crate::registry::members::Members;
use crate::settings::{Reloadable, fixed};

fn operator(number: u8) -> Operator {
    Operator {
        address: Address::repeat_byte(number),
        signing_key: Address::repeat_byte(number),
        weight: U256::from(10),
    }
}

/// Operators 1 and 2 registered at blocks 1 and 2; the head is in epoch 2.
fn chain() -> ListedHome {
    ListedHome::new(
        25,
        vec![operator(1), operator(2)],
        &[(1, 1, true), (2, 2, true)],
    )
}

struct Scene {
    home: Home,
    handle: HomeHandle,
    follower: HomeFollower,
    chain: Arc<ListedHome>,
    store: Store,
    ended: mpsc::Receiver<Epoch>,
    _kept: (tempfile::TempDir, WriterGuard),
}

impl Scene {
    async fn start(registry: bool) -> Self {
        let (store, folder) = fixtures::store(EngineKind::Sled);
        let (writes, writer) = WriteQueue::new(store.clone()).unwrap();
        let members = registry.then(|| {
            let opened = Members::open(&store, writes.clone(), fixed(Reloadable::default()));
            let (task, members) = opened.unwrap();
            tokio::spawn(task.run(CancellationToken::new()));
            members
        });
        let parts = HomeParts {
            store: store.clone(),
            writes,
            members,
        };
        let chain = Arc::new(chain());
        let (ended_tx, ended) = mpsc::channel(4);
        let (home, handle) = Home::new(chain.clone(), Duration::from_secs(60), parts, ended_tx);
        let follower = home.recall(chain.schedule().await.unwrap()).unwrap();
        Self {
            home,
            handle,
            follower,
            chain,
            store,
            ended,
            _kept: (folder, writer),
        }
    }

    async fn step(&mut self) -> Result<(), NodeError> {
        self.home.step(&mut self.follower).await
    }

    fn kept(&self) -> usize {
        let epochs = [1, 2].into_iter();
        let kept = epochs.filter_map(|epoch| self.store.get(schema::SETS, &epoch).unwrap());
        kept.count()
    }
}

#[tokio::test]
async fn a_set_that_lacks_operators_is_neither_used_nor_kept() {
    for registry in [false, true] {
        let mut scene = Scene::start(registry).await;
        scene.chain.hide(1);
        for _ in 0..2 {
            let error = scene.step().await.expect_err("one is missing");
            let NodeError::Chain(error) = error else {
                panic!("{error}");
            };
            assert!(error.is_retryable(), "{error}");
            let expected = ChainError::MissingOperators {
                epoch: Epoch(1),
                known: U256::from(10),
                total: U256::from(20),
            };
            assert_eq!(error, expected);
            assert!(scene.handle.view().sets().is_empty());
            assert_eq!(scene.kept(), 0);
        }
        scene.chain.hide(0);
        scene.step().await.expect("whole sets");
        let set = scene.handle.view().current.expect("a set");
        assert_eq!((set.epoch(), set.members().len()), (Epoch(2), 2));
        assert_eq!(scene.kept(), 2);
    }
}

#[tokio::test]
async fn a_set_ends_by_the_clock_while_the_home_chain_cannot_be_read() {
    let mut scene = Scene::start(false).await;
    // Epoch 1 turned to epoch 2 longer ago than its tasks may take.
    let long_ago = Timestamp(clock::now().0 - 2 * limits::EPOCH_GRACE_MS * 1_000);
    let machine = &mut scene.follower.machine;
    for epoch in [1, 2] {
        machine.handle(long_ago, Input::Final(epoch * 10));
        let set = scene
            .chain
            .operator_set(Epoch(epoch as u32), B256::ZERO)
            .await;
        machine.handle(long_ago, Input::Loaded(Arc::new(set.unwrap())));
    }
    scene.chain.set_down(true);
    scene.step().await.expect_err("nothing can be read");
    let ended = [scene.ended.try_recv(), scene.ended.try_recv()];
    assert_eq!(ended, [Ok(Epoch(0)), Ok(Epoch(1))]);
    let view = scene.handle.view();
    let epochs: Vec<Epoch> = view.sets().iter().map(|set| set.epoch()).collect();
    assert_eq!(epochs, [Epoch(2)]);
    let wake = scene.follower.machine.next_wake();
    assert_eq!(wake, None, "there is nothing to hurry for");
}

/// Before the set of the present epoch is in use, the one before it is there to finish its tasks.
#[tokio::test]
async fn what_the_machine_wants_is_done_in_its_order() {
    let mut scene = Scene::start(false).await;
    scene.step().await.expect("sets");
    scene.chain.set_height(30);
    scene.step().await.expect("the next epoch");
    let view = scene.handle.view();
    assert_eq!(view.current.as_ref().map(|set| set.epoch()), Some(Epoch(3)));
    let epochs: Vec<Epoch> = view.sets().iter().map(|set| set.epoch()).collect();
    assert_eq!(epochs, [Epoch(1), Epoch(2), Epoch(3)]);
}
