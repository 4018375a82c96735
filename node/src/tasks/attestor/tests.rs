use quorate_proto::{Epoch, SecretKey, StateProof, U256};
use quorate_storage::{WriteQueue, WriterGuard};
use tokio::sync::watch;

use super::*;
use crate::fuzzing::{memory, scene};
use crate::home::{EpochView, HomeHandle};
use crate::keys::LocalSigner;
use crate::signing::lease::young::{Young, Youth};

/// When the key of a young log began to count.
const SINCE: u64 = 1_700_000_000;

fn statement(epoch: u32, timestamp: u64, value: u64) -> Statement {
    Statement::StateProof(StateProof {
        user: Address::repeat_byte(1),
        chain_id: 1,
        block_number: timestamp,
        timestamp,
        epoch: Epoch(epoch),
        key: U256::from(1),
        value: U256::from(value),
    })
}

fn store() -> (WriteQueue, WriterGuard) {
    let store = memory::store(scene::domain().network().as_str());
    WriteQueue::new(store).unwrap()
}

fn attestor(queue: &WriteQueue, key: u8, youth: Youth) -> Attestor {
    let (_, view) = watch::channel(EpochView::default());
    let signer = LocalSigner::new(SecretKey::from_bytes(&[key; 32]).unwrap());
    let (attestor, _) = Attestor::new(
        queue.signing_log(),
        Arc::new(signer),
        SignatureCache::default(),
        scene::operator(1),
        scene::domain(),
        Readiness::default(),
        LeaseHandle::held(youth, HomeHandle::of(view)),
    );
    attestor
}

/// What is answered to a statement: nothing but a code and its detail where it is refused.
async fn answer(attestor: &Attestor, statement: Statement) -> Option<(RefusalCode, String)> {
    let job = Job::Attest(statement, ReadBasis::Proof);
    let mut events = attestor.answer(vec![job]).await.unwrap();
    let Some(Event::Answered(response)) = events.pop() else {
        panic!("no answer")
    };
    assert!(events.is_empty());
    match response.outcome {
        Outcome::Signed(_) => None,
        Outcome::Refused(refusal) => Some((refusal.code, refusal.detail)),
    }
}

/// The operator gave its word, not one of its keys.
#[tokio::test]
async fn a_second_fact_is_refused_with_another_key_too() {
    let (queue, _guard) = store();
    let (first, second) = (
        attestor(&queue, 1, Youth::Over),
        attestor(&queue, 2, Youth::Over),
    );
    assert_eq!(answer(&first, statement(1, SINCE, 5)).await, None);
    for (attestor, epoch) in [(&first, 1), (&first, 2), (&second, 2)] {
        let (code, detail) = answer(attestor, statement(epoch, SINCE, 6)).await.unwrap();
        assert_eq!(code, RefusalCode::Conflict);
        assert!(detail.contains("holds another fact"), "{detail}");
    }
    assert_eq!(answer(&second, statement(2, SINCE, 5)).await, None);
    let slot = statement(2, SINCE, 5).slot().0.0;
    let operator = scene::operator(1).into_array();
    let recorded = queue.signing_log().recorded(&operator, &slot).unwrap();
    let recorded = recorded.unwrap();
    let key = SecretKey::from_bytes(&[2; 32]).unwrap().address();
    assert_eq!((recorded.epoch, recorded.key), (2, key.into_array()));
}

#[tokio::test]
async fn a_young_log_refuses_old_facts_and_says_until_when() {
    let (queue, _guard) = store();
    let until = SigningMoment {
        block: 77,
        time: SINCE + 600,
    };
    let young = Youth::Young(Young {
        since: SINCE,
        until,
    });
    let young = attestor(&queue, 1, young);
    let (code, detail) = answer(&young, statement(1, SINCE, 5)).await.unwrap();
    assert_eq!(code, RefusalCode::CannotSign);
    assert!(detail.contains(&until.to_string()), "{detail}");
    assert!(detail.len() < limits::MAX_DETAIL_BYTES, "{detail}");
    let fresh = statement(1, SINCE + MARGIN_S + 1, 5);
    assert_eq!(answer(&young, fresh.clone()).await, None);

    let unborn = attestor(&queue, 1, Youth::Unborn);
    let (code, detail) = answer(&unborn, fresh).await.unwrap();
    assert_eq!(code, RefusalCode::CannotSign);
    assert!(detail.contains("has not begun"), "{detail}");
    // Of what was refused nothing is recorded.
    let slot = statement(1, SINCE, 5).slot().0.0;
    let operator = scene::operator(1).into_array();
    assert_eq!(queue.signing_log().recorded(&operator, &slot), Ok(None));
}

/// A signer over the network, that is done with any signature when all three are asked for.
struct Remote {
    local: LocalSigner,
    all: tokio::sync::Barrier,
}

impl Signer for Remote {
    fn address(&self) -> Address {
        self.local.address()
    }

    fn sign(
        &self,
        digest: quorate_proto::B256,
    ) -> futures::future::BoxFuture<'_, Result<Signature, SignerError>> {
        Box::pin(async move {
            self.all.wait().await;
            self.local.sign(digest).await
        })
    }
}

#[tokio::test]
async fn signatures_of_a_group_are_asked_for_at_once() {
    let (queue, _guard) = store();
    let mut attestor = attestor(&queue, 1, Youth::Over);
    attestor.signer = Arc::new(Remote {
        local: LocalSigner::new(SecretKey::from_bytes(&[1; 32]).unwrap()),
        all: tokio::sync::Barrier::new(3),
    });
    let job = |time| Job::Attest(statement(1, time, 5), ReadBasis::Proof);
    let jobs = (0..3).map(|number| job(SINCE + number)).collect();
    let deadline = std::time::Duration::from_secs(10);
    let answers = tokio::time::timeout(deadline, attestor.answer(jobs)).await;
    let answers = answers.expect("one after the other").unwrap();
    let is_answer = |event: &Event| matches!(event, Event::Answered(_));
    assert_eq!(answers.iter().filter(|event| is_answer(event)).count(), 3);
}
