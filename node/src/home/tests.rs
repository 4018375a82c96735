use quorate_proto::Operator;
use quorate_protocols::membership::Policy;
use quorate_storage::{EngineKind, WriterGuard};

use super::*;
use crate::fixtures::{self, ListedHome};
use crate::members::Members;

fn operator(number: u8) -> Operator {
    Operator {
        address: Address::repeat_byte(number),
        signing_key: Address::repeat_byte(number),
        ed25519_key: None,
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
    follower: Follower,
    chain: Arc<ListedHome>,
    store: Store,
    _kept: (tempfile::TempDir, WriterGuard),
}

impl Scene {
    async fn start(registry: bool) -> Self {
        let (store, folder) = fixtures::store(EngineKind::Sled);
        let (writes, writer) = WriteQueue::new(store.clone()).unwrap();
        let members = registry.then(|| {
            let opened = Members::open(&store, writes.clone(), Policy::default());
            let (task, members) = opened.unwrap();
            tokio::spawn(task.run(CancellationToken::new()));
            members
        });
        let parts = HomeParts {
            store: store.clone(),
            writes,
            members,
            introducer: None,
        };
        let chain = Arc::new(chain());
        let (ended, _) = mpsc::channel(1);
        let (home, handle) = Home::new(chain.clone(), Duration::from_secs(60), parts, ended);
        let follower = home.recall(chain.schedule().await.unwrap()).unwrap();
        Self {
            home,
            handle,
            follower,
            chain,
            store,
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
        let reads = scene.chain.reads();
        assert_eq!(reads, 2, "not everything is read every second");

        // Later, all is read once more.
        scene.chain.hide(0);
        scene.follower.thorough = Instant::now().checked_sub(THOROUGH_EVERY);
        scene.step().await.expect("whole sets");
        let set = scene.handle.view().current.expect("a set");
        assert_eq!((set.epoch(), set.members().len()), (Epoch(2), 2));
        assert_eq!(scene.kept(), 2);
    }
}
