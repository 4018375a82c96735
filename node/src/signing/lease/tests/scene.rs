//! Starts on a store, a home chain and peers that the tests describe.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures::future::{BoxFuture, ready};
use quorate_chain::{BlockRef, ChainEntry, ChainError, Registration, Withdrawal};
use quorate_proto::store::LogOrigin;
use quorate_proto::{Epoch, EpochSchedule, Operator, OperatorSet, SecretKey, U256};
use quorate_storage::{EngineKind, Identity, Import, Store, WriteQueue, WriterGuard};
use tokio::task::JoinHandle;

use super::super::*;
use crate::home::EpochView;
use crate::keys::{KeyStore, LocalSigner, Secret};

/// The epoch that the home chain is in, and the sequence that the store knows.
pub(super) const EPOCH: u32 = 3;
pub(super) const BASE: u64 = 1_000;
/// Epochs have ten blocks, and a block ten seconds.
pub(super) const LENGTH: u64 = 10;
/// Ahead of all clocks, so that sequences are what the tests say.
pub(super) const GENESIS_TIME: u64 = 4_000_000_000;
pub(super) const REACH: Withdrawal = Withdrawal {
    blocks: 20,
    seconds: 200,
    certificate_lifetime: 150,
};

pub(super) fn domain() -> Domain {
    Domain::new(31_337, Address::repeat_byte(7))
}

pub(super) fn operator() -> Address {
    Address::repeat_byte(1)
}

pub(super) fn secret(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

pub(super) fn own_key() -> SecretKey {
    secret(1)
}

/// A registry on which the operator had these keys, each from an epoch on.
pub(super) struct Chain(Vec<(u32, u8)>);

pub(super) type Reading<'a, T> = BoxFuture<'a, Result<T, ChainError>>;

pub(super) fn says<'a, T: Send + 'a>(value: T) -> Reading<'a, T> {
    Box::pin(ready(Ok(value)))
}

impl HomeReader for Chain {
    fn chain_id(&self) -> u64 {
        31_337
    }

    fn registry(&self) -> Address {
        domain().registry()
    }

    fn final_head(&self) -> Option<BlockRef> {
        None
    }

    fn refresh(&self) -> Reading<'_, BlockRef> {
        Box::pin(ready(Err(ChainError::NoHistory)))
    }

    fn schedule(&self) -> Reading<'_, EpochSchedule> {
        says(EpochSchedule {
            genesis: 0,
            length: LENGTH,
            grace: 2,
        })
    }

    fn registrations(&self, _: u64, _: u64) -> Reading<'_, Vec<Registration>> {
        says(Vec::new())
    }

    fn operator_set(&self, _: Epoch, _: B256) -> Reading<'_, OperatorSet> {
        Box::pin(ready(Err(ChainError::NoHistory)))
    }

    fn members<'a>(&'a self, _: Epoch, _: &'a [Address], _: B256) -> Reading<'a, OperatorSet> {
        Box::pin(ready(Err(ChainError::NoHistory)))
    }

    fn is_within_reach(&self, _: Epoch, _: B256) -> Reading<'_, bool> {
        says(true)
    }

    fn chain_entry(&self, _: u32) -> Reading<'_, Option<ChainEntry>> {
        says(None)
    }

    fn operator(&self, epoch: Epoch, address: Address, _: B256) -> Reading<'_, Operator> {
        let begun = self.0.iter().rfind(|(from, _)| *from <= epoch.0);
        says(Operator {
            address,
            signing_key: begun.map_or(Address::ZERO, |(_, key)| secret(*key).address()),
            weight: U256::from(1),
        })
    }

    fn withdrawal(&self) -> Reading<'_, Withdrawal> {
        says(REACH)
    }

    fn minimum_weight(&self) -> Reading<'_, U256> {
        says(U256::from(1))
    }

    fn block_time(&self, number: u64) -> Reading<'_, u64> {
        says(time_of(number))
    }
}

pub(super) fn time_of(block: u64) -> u64 {
    GENESIS_TIME + 10 * block
}

/// The sets of these epochs, in which the operator has these keys; the home chain is at this block.
pub(super) fn view(block: u64, sets: &[(u32, u8)]) -> EpochView {
    let set = |(epoch, key): &(u32, u8)| {
        let member = Operator {
            address: operator(),
            signing_key: secret(*key).address(),
            weight: U256::from(1),
        };
        let set = OperatorSet::new(Epoch(*epoch), vec![member], U256::from(1), 1);
        Arc::new(set.unwrap())
    };
    let sets: Vec<_> = sets.iter().map(set).collect();
    let epoch = Epoch(u32::try_from(block / LENGTH).unwrap());
    let current = sets.iter().find(|set| set.epoch() == epoch).cloned();
    let mut view = EpochView::of(sets);
    view.current = current;
    view.head = Some(BlockRef {
        number: block,
        hash: B256::ZERO,
        timestamp: time_of(block),
    });
    view
}

pub(super) fn presence(key: &SecretKey, sequence: u64) -> Presence {
    let instance = B256::repeat_byte(9);
    let digest = Presence::digest(&domain(), operator(), instance, sequence);
    Presence {
        operator: operator(),
        instance,
        sequence,
        signature: key.sign(digest).unwrap(),
    }
}

pub(super) fn binding(key: &SecretKey, peer: u8, sequence: u64) -> PeerBinding {
    let peer_key = [peer; 32];
    let digest = PeerBinding::digest(&domain(), operator(), peer_key, sequence);
    PeerBinding {
        operator: operator(),
        peer_key,
        sequence,
        signature: key.sign(digest).unwrap(),
    }
}

/// What a start finds.
#[derive(Clone)]
pub(super) struct Start {
    /// The key that it signs with.
    pub(super) key: u8,
    /// It was made on this machine, and has signed nothing.
    pub(super) noted: bool,
    /// Of the log in the store, which holds what key 1 signed; `None` where it knows nothing.
    pub(super) origin: Option<LogOrigin>,
    pub(super) restored: bool,
    /// A whole log of key 1 was imported, which goes up to this second.
    pub(super) imported: Option<u64>,
    /// What the home chain has for the operator, from which epoch on.
    pub(super) keys: Vec<(u32, u8)>,
    /// The sets that are live.
    pub(super) sets: Vec<(u32, u8)>,
    pub(super) accept_risk: bool,
    /// What a peer answers, round by round.
    pub(super) told: Vec<Option<Presence>>,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            key: 1,
            noted: false,
            origin: None,
            restored: false,
            imported: None,
            keys: Vec::new(),
            sets: vec![(EPOCH, 1)],
            accept_risk: false,
            told: Vec::new(),
        }
    }
}

pub(super) fn whole() -> Start {
    Start {
        origin: Some(LogOrigin::NewOperator),
        ..Start::default()
    }
}

/// What a start finds beside the store.
pub(super) struct More {
    pub(super) note: Option<NewKey>,
    pub(super) view: EpochView,
    /// The clock, in milliseconds.
    pub(super) sequence: u64,
    /// For how long it listens.
    pub(super) listen: Duration,
}

pub(super) struct Scene {
    pub(super) task: JoinHandle<Result<(), NodeError>>,
    pub(super) lease: LeaseHandle,
    pub(super) heard: mpsc::Sender<PeerBinding>,
    pub(super) queue: WriteQueue,
    pub(super) token: CancellationToken,
    pub(super) binding: PeerBinding,
    pub(super) view: watch::Sender<EpochView>,
    pub(super) kept: (tempfile::TempDir, WriterGuard),
}

impl Scene {
    pub(super) async fn of(start: Start) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::new(domain().network().to_string());
        let store = Store::open(dir.path().join("store"), EngineKind::RocksDb, &identity).unwrap();
        let (queue, guard) = WriteQueue::new(store.clone()).unwrap();
        if let Some(origin) = start.origin {
            let (of, key) = (operator().into_array(), own_key().address().into_array());
            let noted = queue.signers().establish(&of, &key, (origin, BASE), 1);
            noted.unwrap().await.unwrap();
        }
        if start.restored {
            store.mark_restored(5).unwrap();
        }
        if let Some(until) = start.imported {
            let import = Import {
                keys: vec![own_key().address().into_array()],
                sequence: BASE,
                whole_until_ms: Some(until * 1_000),
                seen_epoch: 1,
            };
            let noted = queue
                .signers()
                .imported(&operator().into_array(), &import, 1);
            noted.unwrap().await.unwrap();
        }
        Self::on(queue, (dir, guard), start)
    }

    /// Another start on the same store, behind what is there.
    pub(super) async fn again(self, start: Start) -> Self {
        self.token.cancel();
        self.task.await.unwrap().unwrap();
        Self::on(self.queue, self.kept, start)
    }

    pub(super) fn on(
        queue: WriteQueue,
        kept: (tempfile::TempDir, WriterGuard),
        start: Start,
    ) -> Self {
        let keys = KeyStore::open(kept.0.path());
        let note = start.noted.then(|| {
            let bytes = Secret::new([start.key; 32]);
            keys.note_unused("other", &bytes).unwrap();
            let file = keys.dir().join("other.signing.json");
            NewKey::look(&file, secret(start.key).address()).unwrap()
        });
        let more = More {
            note,
            view: view(35, &start.sets),
            sequence: BASE,
            listen: Duration::from_millis(40),
        };
        Self::with(queue, kept, start, more)
    }

    pub(super) fn with(
        queue: WriteQueue,
        kept: (tempfile::TempDir, WriterGuard),
        start: Start,
        more: More,
    ) -> Self {
        let (view, seen) = watch::channel(more.view);
        let (heard, hearing) = hearing();
        let token = CancellationToken::new();
        let key = secret(start.key);
        let record = queue.signers().get(&operator().into_array()).unwrap();
        let binding = binding(&key, 1, record.sequence.max(more.sequence) + 1);
        let (mut keeper, lease) = LeaseTask::new(LeaseParts {
            domain: domain(),
            signer: Arc::new(LocalSigner::new(key)),
            record,
            binding,
            signers: queue.signers(),
            claim: LogClaim {
                new_key: more.note,
                accept_risk: start.accept_risk,
            },
            home: HomeHandle::of(seen),
            reader: Arc::new(Chain(start.keys)),
            others: Others::Told(Mutex::new(VecDeque::from(start.told))),
            heard: hearing,
        });
        keeper.pace = AskPace {
            check: more.listen,
            listen: more.listen,
            pause: Duration::from_millis(1),
            idle: Duration::from_millis(1),
        };
        Self {
            task: tokio::spawn(keeper.run(token.clone())),
            lease,
            heard,
            queue,
            token,
            binding,
            view,
            kept,
        }
    }

    pub(super) async fn settled(&mut self) -> LeaseState {
        self.lease.settled().await;
        self.lease.standing.borrow().clone()
    }

    pub(super) async fn is_held(&mut self) {
        assert_eq!(self.settled().await, LeaseState::Held);
    }

    pub(super) async fn is_refused(&mut self) -> String {
        match self.settled().await {
            LeaseState::Refused(text) => text,
            other => panic!("{other:?}"),
        }
    }

    /// It stops signing while it runs.
    pub(super) async fn is_lost(&mut self) -> String {
        let lost = |standing: &LeaseState| matches!(standing, LeaseState::Lost(_));
        match self.lease.standing.wait_for(lost).await.unwrap().clone() {
            LeaseState::Lost(text) => text,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn record(&self) -> SignerRecord {
        self.queue.signers().get(&operator().into_array()).unwrap()
    }

    pub(super) fn origin(&self) -> LogOrigin {
        self.record().origin()
    }

    pub(super) async fn ends(self) -> Result<(), NodeError> {
        self.token.cancel();
        self.task.await.unwrap()
    }
}
