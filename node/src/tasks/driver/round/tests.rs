use quorate_proto::{
    B256, Epoch, Operator, ReadBasis, Refusal, RefusalCode, SecretKey, Signature, SignerSignature,
    StateProof, U256,
};
use quorate_storage::{EngineKind, Store, WriterGuard};

use super::*;
use crate::fixtures;

struct Scene {
    ledger: RoundBatch,
    store: Store,
    _guard: WriterGuard,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let (store, folder) = fixtures::store(EngineKind::RocksDb);
        let (writes, guard) = WriteQueue::new(store.clone()).unwrap();
        let inventory = TaskInventory::open(&store).unwrap();
        Self {
            ledger: RoundBatch::new(writes, inventory),
            store,
            _guard: guard,
            _folder: folder,
        }
    }

    /// Writes the round; in how many parts.
    async fn commit(&mut self) -> usize {
        let acks = self.ledger.commit().await;
        let parts = acks.len();
        for ack in acks {
            ack.await.unwrap();
        }
        parts
    }

    fn counted(&mut self, response: &Response) {
        self.ledger.counted(response, None, 0, false).unwrap();
    }
}

fn signature() -> Signature {
    let key = SecretKey::from_bytes(&[1; 32]).unwrap();
    key.sign(B256::repeat_byte(1)).unwrap()
}

fn operator(number: u8) -> Address {
    Address::repeat_byte(number)
}

/// One operator, which certifies alone.
fn set() -> OperatorSet {
    let weight = U256::from(10);
    let member = Operator {
        address: operator(1),
        signing_key: operator(101),
        weight,
    };
    OperatorSet::new(Epoch(1), vec![member], weight, 0).unwrap()
}

/// A question, and an answer to it.
fn says(question: u64, value: u64) -> Statement {
    Statement::StateProof(StateProof {
        user: Address::repeat_byte(9),
        chain_id: 1,
        block_number: question,
        timestamp: 1_700_000_000,
        epoch: Epoch(1),
        key: U256::from(1),
        value: U256::from(value),
    })
}

fn signed(number: u8, statement: Statement, signature: Signature) -> Response {
    Response {
        operator: operator(number),
        statement,
        outcome: Outcome::Signed(signature),
        basis: ReadBasis::Unspecified,
    }
}

fn refused(number: u8, statement: Statement, signature: Signature) -> Response {
    let refusal = Refusal {
        code: RefusalCode::NotFinal,
        detail: "x".repeat(quorate_proto::limits::MAX_DETAIL_BYTES),
        signature,
    };
    Response {
        outcome: Outcome::Refused(refusal),
        ..signed(number, statement, signature)
    }
}

#[tokio::test]
async fn a_round_that_is_larger_than_a_batch_is_written_in_parts() {
    const RESPONSES: u64 = 10_000;
    let mut scene = Scene::new();
    let signature = signature();
    for question in 0..RESPONSES {
        scene.counted(&refused(2, says(question, 7), signature));
    }
    let parts = scene.commit().await;
    assert!(parts > 2, "{parts} parts of 2 MiB and less");
    let responses = scene.store.rows(schema::RESPONSES, &()).count() as u64;
    let index = scene.store.rows(schema::TASK_INDEX, &()).count() as u64;
    assert_eq!((responses, index), (RESPONSES, RESPONSES));
    assert_eq!(scene.commit().await, 0, "nothing is left");
}

#[tokio::test]
async fn two_facts_that_come_in_one_round_are_a_contradiction() {
    let (mut scene, signature, set) = (Scene::new(), signature(), set());
    let (task, rival) = (says(1, 7), says(1, 8));
    let signer = SignerSignature {
        operator: operator(1),
        signature,
    };
    let certificate = Certificate::fewest(task.clone(), &set, [signer].into_iter()).unwrap();
    scene.ledger.opened(&task, None, Some(&set)).unwrap();
    scene.ledger.certified(&certificate, Some(&set), 0).unwrap();
    scene.commit().await;
    let first = signed(2, task.clone(), signature);
    let second = signed(2, rival.clone(), signature);
    let late =
        |ledger: &mut RoundBatch| ledger.late_response(task.task_id(), &first, &set).unwrap();
    assert!(late(&mut scene.ledger));
    assert!(!late(&mut scene.ledger), "the first one stands");
    scene.ledger.opened(&rival, None, Some(&set)).unwrap();
    scene.counted(&second);
    for step in ["in the batch", "on its way", "on disk"] {
        let earlier = scene.ledger.contradiction(&second).unwrap();
        assert_eq!(earlier.as_ref(), Some(&first), "{step}");
        let earlier = scene.ledger.contradiction(&first).unwrap();
        assert_eq!(earlier.as_ref(), Some(&second), "{step}");
        match step {
            "in the batch" => drop(scene.ledger.commit().await),
            _ => scene.store.flush().unwrap(),
        }
    }
    for same in [
        signed(3, rival, signature),
        signed(2, says(2, 8), signature),
    ] {
        assert_eq!(scene.ledger.contradiction(&same).unwrap(), None);
    }
}

/// Three operators, all of which must sign.
fn set_of_three() -> OperatorSet {
    let weight = U256::from(10);
    let member = |number| Operator {
        address: operator(number),
        signing_key: operator(100 + number),
        weight,
    };
    let total = U256::from(30);
    let members = (1..=3).map(member).collect();
    OperatorSet::new(Epoch(1), members, total, 0).unwrap()
}

/// Then its answers are the same as everywhere, and no comparison would ever bring a certificate.
#[tokio::test]
async fn the_last_signature_that_comes_late_makes_the_certificate() {
    for flushed in [false, true] {
        let (mut scene, signature, set) = (Scene::new(), signature(), set_of_three());
        let task = says(1, 7);
        let id = task.task_id();
        scene.ledger.opened(&task, None, Some(&set)).unwrap();
        scene.counted(&signed(1, task.clone(), signature));
        scene.commit().await;
        let mut record = scene.store.get(schema::TASKS, &id.0.0).unwrap().unwrap();
        record.set_status(TaskStatus::Expired);
        record.ended_ms = 1;
        record.failure = "too few".into();
        scene.ledger.batch().put(schema::TASKS, &id.0.0, &record);
        if flushed {
            scene.commit().await;
        }
        // The first of two again: one operator counts once.
        for (number, certified) in [(2, false), (1, false), (3, true)] {
            let late = signed(number, task.clone(), signature);
            scene.ledger.late_response(id, &late, &set).unwrap();
            let certificate = scene.ledger.certificate(id).unwrap();
            assert_eq!(certificate.is_some(), certified, "operator {number}");
        }
        scene.commit().await;
        let record = scene.store.get(schema::TASKS, &id.0.0).unwrap().unwrap();
        let stored = scene.store.get(schema::CERTIFICATES, &id.0.0).unwrap();
        assert!(stored.is_some());
        if flushed {
            assert_eq!(record.status(), TaskStatus::Completed);
            assert_eq!(record.failure, "");
        }
    }
}

/// A round may be cut between the last signature and what came of it.
#[tokio::test]
async fn what_was_signed_before_a_crash_is_certified_after_it() {
    let (mut scene, signature, set) = (Scene::new(), signature(), Arc::new(set_of_three()));
    let (enough, too_few) = (says(1, 7), says(2, 7));
    for task in [&enough, &too_few] {
        scene.ledger.opened(task, None, Some(&set)).unwrap();
    }
    for number in 1..=3 {
        scene.counted(&signed(number, enough.clone(), signature));
    }
    scene.counted(&signed(1, too_few.clone(), signature));
    scene.commit().await;
    let (writes, _guard) = WriteQueue::new(scene.store.clone()).unwrap();
    let inventory = TaskInventory::open(&scene.store).unwrap();
    scene.ledger = RoundBatch::new(writes, inventory);
    let set_of = |_| Ok(Some(set.clone()));
    scene.ledger.close_interrupted(set_of).unwrap();
    scene.commit().await;
    for (task, status) in [
        (enough, TaskStatus::Completed),
        (too_few, TaskStatus::Expired),
    ] {
        let key = task.task_id().0.0;
        let record = scene.store.get(schema::TASKS, &key).unwrap().unwrap();
        let certificate = scene.store.get(schema::CERTIFICATES, &key).unwrap();
        assert_eq!(record.status(), status);
        assert!(record.ended_ms > 0);
        assert_eq!(certificate.is_some(), status == TaskStatus::Completed);
    }
}

#[tokio::test]
async fn what_is_on_disk_is_not_kept_beside_it() {
    let (mut scene, signature, set) = (Scene::new(), signature(), set());
    let signer = SignerSignature {
        operator: operator(1),
        signature,
    };
    let statement = says(1, 7);
    let certificate = Certificate::fewest(statement.clone(), &set, [signer].into_iter()).unwrap();
    scene.counted(&signed(1, statement, signature));
    scene.ledger.certified(&certificate, None, 0).unwrap();
    let kept = |ledger: &RoundBatch| {
        let certificates = &ledger.certificates;
        (ledger.signatures.is_empty(), certificates.is_empty())
    };
    assert_eq!(kept(&scene.ledger), (false, false));
    scene.commit().await;
    assert_eq!(kept(&scene.ledger), (true, true));
}

/// The task that it answers was not known as a rival when the open one opened: no operator had signed it.
#[tokio::test]
async fn a_late_signature_contradicts_a_task_that_is_open() {
    let (mut scene, signature, set) = (Scene::new(), signature(), set());
    let (over, open) = (says(1, 7), says(1, 8));
    scene.ledger.opened(&over, None, Some(&set)).unwrap();
    scene.commit().await;
    scene.ledger.rivals = ConflictingTasks::default();
    scene.ledger.opened(&open, None, Some(&set)).unwrap();
    let late = signed(2, over.clone(), signature);
    let is_first = scene.ledger.late_response(over.task_id(), &late, &set);
    assert!(is_first.unwrap());
    scene.commit().await;
    let second = signed(2, open, signature);
    let earlier = scene.ledger.contradiction(&second).unwrap();
    assert_eq!(earlier, Some(late));
}

/// However many tasks of other chains came after it, and after a restart: a vote would do otherwise.
#[tokio::test]
async fn a_chain_that_had_proofs_once_is_known_by_a_mark_of_its_own() {
    const OTHERS: u64 = quorate_proto::limits::MAX_OPEN_TASKS as u64 + 1;
    let mut scene = Scene::new();
    let set = Arc::new(set());
    let read = |chain, basis| ReadTrace {
        chain: Some(chain),
        basis,
        ..ReadTrace::default()
    };
    let first = says(1, 7);
    scene.ledger.opened(&first, None, Some(&set)).unwrap();
    let proof = read(1, ReadBasis::Proof);
    scene.ledger.observed(first.task_id(), &proof).unwrap();
    scene.commit().await;
    for question in 2..2 + OTHERS {
        let Statement::StateProof(mut other) = says(question, 7) else {
            panic!("a state proof")
        };
        other.chain_id = 2;
        let other = Statement::StateProof(other);
        scene.ledger.opened(&other, None, Some(&set)).unwrap();
        let vote = read(2, ReadBasis::Vote);
        scene.ledger.observed(other.task_id(), &vote).unwrap();
    }
    scene.commit().await;
    let proven = crate::tasks::driver::proven_chains(&scene.store).unwrap();
    assert_eq!(proven, std::collections::HashSet::from([1]));
}
