use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::{BoxFuture, FutureExt, ready};
use quorate_chain::Registration;
use quorate_proto::{B256, Operator, threshold_of};
use quorate_protocols::membership::Policy;
use quorate_storage::{EngineKind, Identity, WriterGuard};

use super::*;
use crate::members::Members;

/// In epoch 2.
const HEAD: BlockRef = BlockRef {
    number: 25,
    hash: B256::ZERO,
    timestamp: 25,
};

/// Operators 1 and 2 registered at blocks 1 and 2.
#[derive(Default)]
struct Chain {
    /// Its providers leave out the second one.
    hides: AtomicBool,
    reads: AtomicUsize,
}

type Reading<'a, T> = BoxFuture<'a, Result<T, ChainError>>;

fn operator(number: u8) -> Operator {
    Operator {
        address: Address::repeat_byte(number),
        signing_key: Address::repeat_byte(number),
        ed25519_key: None,
        weight: U256::from(10),
    }
}

fn says<'a, T: Send + 'a>(value: T) -> Reading<'a, T> {
    ready(Ok(value)).boxed()
}

impl HomeReader for Chain {
    fn chain_id(&self) -> u64 {
        31_337
    }

    fn registry(&self) -> Address {
        Address::repeat_byte(7)
    }

    fn final_head(&self) -> Option<BlockRef> {
        Some(HEAD)
    }

    fn refresh(&self) -> Reading<'_, BlockRef> {
        says(HEAD)
    }

    fn schedule(&self) -> Reading<'_, EpochSchedule> {
        says(EpochSchedule {
            genesis: 0,
            length: 10,
            grace: 2,
        })
    }

    fn registrations(&self, from: u64, _: u64) -> Reading<'_, Vec<Registration>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let shown = if self.hides.load(Ordering::SeqCst) {
            1
        } else {
            2
        };
        let event = |number| Registration {
            operator: operator(number).address,
            registered: true,
            block_number: u64::from(number),
            log_index: 0,
        };
        let events = (1..=shown).map(event);
        says(events.filter(|event| event.block_number >= from).collect())
    }

    fn operator_set<'a>(
        &'a self,
        epoch: Epoch,
        operators: &'a [Address],
        _: B256,
    ) -> Reading<'a, OperatorSet> {
        let known = [operator(1), operator(2)].into_iter();
        let members = known.filter(|member| operators.contains(&member.address));
        let total = U256::from(20);
        let set = OperatorSet::new(epoch, members.collect(), total, threshold_of(total));
        says(set.expect("a set"))
    }

    fn operator(&self, _: Epoch, _: Address, _: B256) -> Reading<'_, Operator> {
        says(operator(1))
    }

    fn minimum_weight(&self) -> Reading<'_, U256> {
        says(U256::from(1))
    }
}

struct Scene {
    home: Home,
    handle: HomeHandle,
    follower: Follower,
    chain: Arc<Chain>,
    store: Store,
    _kept: (tempfile::TempDir, WriterGuard),
}

impl Scene {
    async fn start(registry: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity {
            network: "test".into(),
        };
        let store = Store::open(folder.path(), EngineKind::Sled, &identity).unwrap();
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
        let chain = Arc::new(Chain::default());
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
        scene.chain.hides.store(true, Ordering::SeqCst);
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
        let reads = scene.chain.reads.load(Ordering::SeqCst);
        assert_eq!(reads, 2, "not everything is read every second");

        // Later, all is read once more.
        scene.chain.hides.store(false, Ordering::SeqCst);
        scene.follower.thorough = Instant::now().checked_sub(THOROUGH_EVERY);
        scene.step().await.expect("whole sets");
        let set = scene.handle.view().current.expect("a set");
        assert_eq!((set.epoch(), set.members().len()), (Epoch(2), 2));
        assert_eq!(scene.kept(), 2);
    }
}
