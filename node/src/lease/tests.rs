use std::collections::VecDeque;
use std::sync::Mutex;

use futures::future::{BoxFuture, ready};
use quorate_chain::{BlockRef, ChainError, Registration};
use quorate_proto::store::LogOrigin;
use quorate_proto::{Epoch, EpochSchedule, Operator, OperatorSet, SecretKey, U256, threshold_of};
use quorate_storage::{EngineKind, Identity, Store, WriteQueue, WriterGuard};
use tokio::task::JoinHandle;

use super::*;
use crate::home::EpochView;
use crate::keys::LocalSigner;

/// The epoch that the home chain is in, and the sequence that the store knows.
const EPOCH: u32 = 3;
const BASE: u64 = 1_000;

fn domain() -> Domain {
    Domain::new(31_337, Address::repeat_byte(7))
}

fn operator() -> Address {
    Address::repeat_byte(1)
}

fn own_key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32]).unwrap()
}

/// A registry on which the operator had this key from this epoch on.
struct Chain(Option<u32>);

type Reading<'a, T> = BoxFuture<'a, Result<T, ChainError>>;

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
        Box::pin(ready(Err(ChainError::NoHistory)))
    }

    fn registrations(&self, _: u64, _: u64) -> Reading<'_, Vec<Registration>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn operator_set<'a>(&'a self, _: Epoch, _: &'a [Address], _: B256) -> Reading<'a, OperatorSet> {
        Box::pin(ready(Err(ChainError::NoHistory)))
    }

    fn operator(&self, epoch: Epoch, address: Address, _: B256) -> Reading<'_, Operator> {
        let counts = self.0.is_some_and(|from| epoch.0 >= from);
        let signing_key = match counts {
            true => own_key().address(),
            false => Address::ZERO,
        };
        Box::pin(ready(Ok(Operator {
            address,
            signing_key,
            ed25519_key: None,
            weight: U256::from(1),
        })))
    }

    fn minimum_weight(&self) -> Reading<'_, U256> {
        Box::pin(ready(Ok(U256::from(1))))
    }
}

fn view() -> EpochView {
    let member = Operator {
        address: operator(),
        signing_key: own_key().address(),
        ed25519_key: None,
        weight: U256::from(1),
    };
    let total = U256::from(1);
    let set = OperatorSet::new(Epoch(EPOCH), vec![member], total, threshold_of(total)).unwrap();
    let head = BlockRef {
        number: 1,
        hash: B256::ZERO,
        timestamp: 1,
    };
    let mut view = EpochView::of(vec![Arc::new(set)]);
    view.head = Some(head);
    view
}

fn presence(key: &SecretKey, sequence: u64) -> Presence {
    let instance = B256::repeat_byte(9);
    let digest = Presence::digest(&domain(), operator(), instance, sequence);
    Presence {
        operator: operator(),
        instance,
        sequence,
        signature: key.sign(digest).unwrap(),
    }
}

fn binding(key: &SecretKey, peer: u8, sequence: u64) -> PeerBinding {
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
#[derive(Default)]
struct Start {
    /// Of the log in the store; `None` where it knows nothing of the key.
    origin: Option<LogOrigin>,
    restored: bool,
    /// Since when the home chain has the key.
    counts_from: Option<u32>,
    accept_risk: bool,
    /// What a peer answers, round by round.
    told: Vec<Option<Presence>>,
}

struct Scene {
    task: JoinHandle<Result<(), NodeError>>,
    lease: LeaseHandle,
    heard: mpsc::Sender<PeerBinding>,
    signers: Signers,
    token: CancellationToken,
    binding: PeerBinding,
    _kept: (tempfile::TempDir, WriterGuard, watch::Sender<EpochView>),
}

impl Scene {
    async fn of(start: Start) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::new(domain().network().to_string());
        let store = Store::open(dir.path(), EngineKind::RocksDb, &identity).unwrap();
        let (queue, guard) = WriteQueue::new(store.clone()).unwrap();
        let (signers, key) = (queue.signers(), own_key().address().into_array());
        if let Some(origin) = start.origin {
            let noted = signers.establish(&key, origin, BASE, 1).unwrap();
            noted.await.unwrap();
        }
        if start.restored {
            store.mark_restored(5).unwrap();
        }
        let (shown, seen) = watch::channel(view());
        let (heard, hearing) = hearing();
        let token = CancellationToken::new();
        let binding = binding(&own_key(), 1, BASE + 1);
        let (mut keeper, lease) = Keeper::new(Parts {
            domain: domain(),
            signer: Arc::new(LocalSigner::new(own_key())),
            record: signers.get(&key).unwrap(),
            binding,
            signers: signers.clone(),
            claim: LogClaim {
                new_key: None,
                accept_risk: start.accept_risk,
            },
            home: HomeHandle::of(seen),
            reader: Arc::new(Chain(start.counts_from)),
            others: Others::Told(Mutex::new(VecDeque::from(start.told))),
            heard: hearing,
        });
        keeper.pace = Pace {
            check: Duration::from_millis(40),
            listen: Duration::from_millis(40),
            pause: Duration::from_millis(1),
        };
        let task = tokio::spawn(keeper.run(token.clone()));
        Self {
            task,
            lease,
            heard,
            signers,
            token,
            binding,
            _kept: (dir, guard, shown),
        }
    }

    async fn settled(&mut self) -> Standing {
        self.lease.settled().await;
        self.lease.0.borrow().clone()
    }

    fn origin(&self) -> LogOrigin {
        let key = own_key().address().into_array();
        self.signers.get(&key).unwrap().origin()
    }

    async fn ends(self) -> Result<(), NodeError> {
        self.token.cancel();
        self.task.await.unwrap()
    }
}

fn whole() -> Start {
    Start {
        origin: Some(LogOrigin::NewKey),
        ..Start::default()
    }
}

#[tokio::test]
async fn a_whole_log_and_nobody_else_give_the_lease() {
    let mut scene = Scene::of(whole()).await;
    assert_eq!(scene.settled().await, Standing::Held);
    let key = own_key().address().into_array();
    let signers = scene.signers.clone();
    let record = signers.get(&key).unwrap();
    assert!(record.sequence > scene.binding.sequence, "{record:?}");
    assert!(record.lease.is_some_and(|lease| !lease.released));
    assert_eq!(scene.lease.problem(), None);
    let lease = scene.lease.clone();
    assert!(scene.ends().await.is_ok());
    assert!(signers.get(&key).unwrap().lease.unwrap().released);
    assert!(!lease.is_held() && lease.may_publish());
}

#[tokio::test]
async fn a_log_that_may_lack_something_is_not_signed_with() {
    let cases: [(Start, &str); 3] = [
        (
            Start {
                counts_from: Some(0),
                ..Start::default()
            },
            "has no signing log of it",
        ),
        (
            Start {
                counts_from: Some(EPOCH),
                ..Start::default()
            },
            "has no signing log of it",
        ),
        (
            Start {
                restored: true,
                ..whole()
            },
            "restored from a backup",
        ),
    ];
    for (start, phrase) in cases {
        let Start {
            origin,
            restored,
            counts_from,
            ..
        } = start;
        let mut scene = Scene::of(start).await;
        let Standing::Refused(text) = scene.settled().await else {
            panic!("{phrase}")
        };
        for part in [phrase, "keys log import", "--accept-double-signing-risk"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(scene.lease.problem(), Some(text));
        assert!(!scene.lease.may_publish());
        assert!(scene.ends().await.is_ok());

        let accepted = Start {
            origin,
            restored,
            counts_from,
            accept_risk: true,
            told: Vec::new(),
        };
        let mut scene = Scene::of(accepted).await;
        assert_eq!(scene.settled().await, Standing::Held);
        assert_eq!(scene.origin(), LogOrigin::RiskAccepted);
    }
}

#[tokio::test]
async fn a_key_that_has_never_counted_has_an_empty_log() {
    for counts_from in [None, Some(EPOCH + 1)] {
        let mut scene = Scene::of(Start {
            counts_from,
            ..Start::default()
        })
        .await;
        assert_eq!(scene.settled().await, Standing::Held);
        assert_eq!(scene.origin(), LogOrigin::Unregistered);
    }
}

#[tokio::test]
async fn a_store_that_others_have_passed_is_behind() {
    let told = vec![Some(presence(&own_key(), BASE + 500))];
    let mut scene = Scene::of(Start {
        told: told.clone(),
        ..whole()
    })
    .await;
    let Standing::Refused(text) = scene.settled().await else {
        panic!("not refused")
    };
    assert!(text.contains("until 1500"), "{text}");
    let mut scene = Scene::of(Start {
        told,
        accept_risk: true,
        ..whole()
    })
    .await;
    assert_eq!(scene.settled().await, Standing::Held);
    let record = scene.signers.get(&own_key().address().into_array());
    assert!(record.unwrap().sequence > BASE + 500);
}

#[tokio::test]
async fn a_process_that_is_there_now_cannot_be_accepted() {
    for accept_risk in [false, true] {
        let told = [500, 501].map(|more| Some(presence(&own_key(), BASE + more)));
        let mut scene = Scene::of(Start {
            told: told.to_vec(),
            accept_risk,
            ..whole()
        })
        .await;
        assert!(matches!(scene.settled().await, Standing::Lost(_)));
        let error = scene.ends().await.unwrap_err();
        assert!(matches!(error, NodeError::KeyInUse { .. }), "{error}");
    }
}

/// Nobody but the holder of the key stops a node, and the key's own past does not either.
#[tokio::test]
async fn what_others_make_up_stops_nobody() {
    let stranger = SecretKey::from_bytes(&[2; 32]).unwrap();
    let own_past = presence(&own_key(), BASE);
    let of_another = Presence {
        operator: Address::repeat_byte(2),
        ..presence(&own_key(), BASE + 9)
    };
    for told in [presence(&stranger, BASE + 9), own_past, of_another] {
        let mut scene = Scene::of(Start {
            told: vec![Some(told)],
            ..whole()
        })
        .await;
        assert_eq!(scene.settled().await, Standing::Held);
        let harmless = [
            binding(&stranger, 9, BASE + 500),
            binding(&own_key(), 9, BASE),
            scene.binding,
        ];
        for binding in harmless {
            scene.heard.send(binding).await.unwrap();
        }
        // Behind those: what is foreign ends it, so they were looked at.
        assert!(scene.lease.is_held());
        scene
            .heard
            .send(binding(&own_key(), 9, BASE + 500))
            .await
            .unwrap();
        let lost = |standing: &Standing| matches!(standing, Standing::Lost(_));
        let text = scene.lease.0.wait_for(lost).await.unwrap().clone();
        assert!(
            matches!(&text, Standing::Lost(text) if text.contains("at 1500")),
            "{text:?}"
        );
        assert!(!scene.lease.may_publish());
        assert!(scene.ends().await.is_err());
    }
}

#[test]
fn a_copy_of_a_running_store_is_known_on_the_same_machine() {
    let key = own_key().address();
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let holder = holder::of_process(child.id());
    let record = |released| SignerRecord {
        lease: Some(quorate_proto::store::Lease {
            pid: child.id(),
            process: holder.clone(),
            released,
            ..Default::default()
        }),
        ..SignerRecord::default()
    };
    let error = refuse_beside_holder(key, &record(false)).unwrap_err();
    assert!(error.to_string().contains("copy of its store"), "{error}");
    assert!(refuse_beside_holder(key, &record(true)).is_ok());
    assert!(refuse_beside_holder(key, &SignerRecord::default()).is_ok());
    let left = record(false);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(refuse_beside_holder(key, &left).is_ok());
}
