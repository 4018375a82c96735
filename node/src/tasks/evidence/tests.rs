use quorate_proto::store::OperatorSetRecord;
use quorate_proto::{
    Attestation, B256, Operator, Outcome, ReadBasis, SecretKey, SignedAttestation, SlotId,
    StateProof, Statement, U256,
};
use quorate_storage::{Durability, EngineKind};

use super::*;
use crate::fixtures;

const EPOCH: Epoch = Epoch(4);

struct Scene {
    store: Store,
    domain: Domain,
    view: EpochView,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let (store, folder) = fixtures::store(EngineKind::Sled);
        Self {
            store,
            domain: Domain::new(31_337, Address::repeat_byte(0xaa)),
            view: EpochView::of(vec![Arc::new(set(EPOCH))]),
            _folder: folder,
        }
    }

    fn book(&self) -> EvidenceStore {
        EvidenceStore::open(self.store.clone(), self.domain).unwrap()
    }

    fn signed(&self, number: u8, epoch: Epoch, key: u64, value: u64) -> Response {
        let statement = Statement::StateProof(StateProof {
            user: Address::repeat_byte(9),
            chain_id: 1,
            block_number: 100,
            timestamp: 1_700_000_000,
            epoch,
            key: U256::from(key),
            value: U256::from(value),
        });
        let signature = secret(number).sign(statement.digest(&self.domain)).unwrap();
        Response {
            operator: Address::repeat_byte(number),
            statement,
            outcome: Outcome::Signed(signature),
            basis: ReadBasis::Unspecified,
        }
    }

    fn evidence(&self, number: u8, key: u64) -> EquivocationEvidence {
        let (a, b) = (
            self.signed(number, EPOCH, key, 1),
            self.signed(number, EPOCH, key, 2),
        );
        EquivocationEvidence::between(&a, &b).unwrap()
    }

    fn keep(&self, book: &EvidenceStore, input: Input, by: Option<Address>) -> usize {
        let mut batch = Batch::new();
        let publish = write(book.take(input).unwrap(), by, &mut batch);
        self.store.write(&batch, Durability::Buffered).unwrap();
        publish.len()
    }
}

fn secret(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

fn set(epoch: Epoch) -> OperatorSet {
    let member = |number: u8| Operator {
        address: Address::repeat_byte(number),
        signing_key: secret(number).address(),
        weight: U256::from(10),
    };
    let total = U256::from(30);
    let members = (1..=3).map(member).collect();
    OperatorSet::new(epoch, members, total, 0).unwrap()
}

#[test]
fn what_is_kept_is_there_after_a_restart() {
    let scene = Scene::new();
    let book = scene.book();
    let (found, heard) = (scene.evidence(1, 1), scene.evidence(2, 1));
    let author = Address::repeat_byte(3);
    assert_eq!(scene.keep(&book, Input::Found(found.clone()), None), 1);
    assert_eq!(
        scene.keep(&book, Input::Heard(heard.clone()), Some(author)),
        0
    );
    for book in [book, scene.book()] {
        assert_eq!(book.len(), 2);
        let entry = book.get(found.id()).unwrap().unwrap();
        assert_eq!((entry.evidence, entry.heard_from), (found.clone(), None));
        let entry = book.get(heard.id()).unwrap().unwrap();
        assert_eq!(
            (entry.evidence, entry.heard_from),
            (heard.clone(), Some(author))
        );
        let mut newest = book.newest(9).unwrap();
        newest.sort_by_key(EquivocationEvidence::operator);
        assert_eq!(newest, [found.clone(), heard.clone()]);
        assert_eq!(book.newest(1).unwrap().len(), 1);
        assert_eq!(book.admits(&found), Err(Ignored::Known));
        assert_eq!(book.admits(&scene.evidence(1, 2)), Ok(()));
        assert_eq!(
            [1, 2, 3].map(|n| {
                let key = secret(1).address();
                book.against(Address::repeat_byte(n), key).unwrap()
            }),
            [1, 0, 0],
            "the second one has another key"
        );
    }
}

#[test]
fn pages_go_through_all_of_it_once() {
    let scene = Scene::new();
    let book = scene.book();
    for key in 0..5 {
        scene.keep(&book, Input::Found(scene.evidence(1, key)), None);
    }
    scene.keep(&book, Input::Found(scene.evidence(2, 0)), None);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let (entries, more) = book.page(after, Some(Address::repeat_byte(1)), 2).unwrap();
        seen.extend(entries.iter().map(|entry| entry.evidence.id()));
        after = seen.last().copied();
        if !more {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted());
    assert_eq!(book.page(None, None, 9).unwrap().0.len(), 6);
}

#[test]
fn a_past_epoch_is_checked_with_the_set_that_was_kept() {
    let scene = Scene::new();
    let book = scene.book();
    let past = Epoch(2);
    let (old, new) = (scene.signed(1, past, 1, 1), scene.signed(1, EPOCH, 1, 2));
    let verdict = book.between(&scene.view, &old, &new);
    assert_eq!(verdict, Err(EvidenceError::UnknownEpoch(past)));
    let mut batch = Batch::new();
    batch.put(schema::SETS, &past.0, &OperatorSetRecord::from(&set(past)));
    scene.store.write(&batch, Durability::Buffered).unwrap();
    let evidence = book.between(&scene.view, &old, &new).unwrap().unwrap();
    // Once it is known, its signatures are not looked at again.
    book.take(Input::Found(evidence)).unwrap();
    assert_eq!(book.between(&scene.view, &old, &new), Ok(None));
}

#[test]
fn a_new_key_does_not_hide_what_the_old_one_signed() {
    let scene = Scene::new();
    let book = scene.book();
    let past = Epoch(2);
    let renewed = {
        let mut members = set(past).members().to_vec();
        members[0].signing_key = secret(9).address();
        OperatorSet::new(past, members, U256::from(30), 0).unwrap()
    };
    let mut batch = Batch::new();
    batch.put(schema::SETS, &past.0, &OperatorSetRecord::from(&renewed));
    scene.store.write(&batch, Durability::Buffered).unwrap();
    let old = Response {
        operator: Address::repeat_byte(1),
        ..scene.signed(9, past, 1, 1)
    };
    let new = scene.signed(1, EPOCH, 1, 2);
    let evidence = book.between(&scene.view, &old, &new).unwrap().unwrap();
    assert_eq!(scene.keep(&book, Input::Found(evidence), None), 1);
    let keys = [1, 9, 2].map(|n| secret(n).address());
    let counts = keys.map(|key| book.against(Address::repeat_byte(1), key).unwrap());
    assert_eq!(counts, [1, 1, 0]);
}

#[test]
fn a_kind_that_is_not_known_here_is_kept_and_given_out() {
    let scene = Scene::new();
    let book = scene.book();
    let pair = [1, 2].map(|fact| {
        let attestation = Attestation {
            epoch: EPOCH,
            slot: SlotId(B256::repeat_byte(0x7f)),
            fact: B256::repeat_byte(fact),
        };
        let signature = secret(1).sign(attestation.digest(&scene.domain)).unwrap();
        SignedAttestation::bare(attestation, signature)
    });
    let heard = EquivocationEvidence::new(Address::repeat_byte(1), pair).unwrap();
    assert_eq!(book.verify(&scene.view, &heard), Ok(()));
    scene.keep(
        &book,
        Input::Heard(heard.clone()),
        Some(Address::repeat_byte(2)),
    );
    let entry = scene.book().get(heard.id()).unwrap().unwrap();
    assert_eq!(entry.evidence, heard);
    let report = entry.report(&scene.domain);
    assert_eq!((report.first.epoch, report.first.statement), (4, None));
}
