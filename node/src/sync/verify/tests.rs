use quorate_proto::{
    Address, B256, Operator, Refusal, RefusalCode, SecretKey, StateProof, Statement, U256,
};
use quorate_storage::{Batch, Durability, EngineKind, Identity, Store};

use super::*;

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

fn operator(number: u8) -> Address {
    Address::repeat_byte(number)
}

fn domain() -> Domain {
    Domain::new(1, Address::repeat_byte(7))
}

/// Four operators of equal weight: three certify.
fn set() -> OperatorSet {
    let member = |number| Operator {
        address: operator(number),
        signing_key: key(number).address(),
        weight: U256::from(10),
    };
    let members = (1..=4).map(member).collect();
    OperatorSet::new(Epoch(1), members, U256::from(40), 0).unwrap()
}

fn statement(number: u64) -> Statement {
    Statement::StateProof(StateProof {
        user: Address::repeat_byte(9),
        chain_id: 1,
        block_number: number,
        timestamp: 1_700_000_000,
        epoch: Epoch(1),
        key: U256::from(1),
        value: U256::from(2),
    })
}

fn signed(number: u8, statement: &Statement) -> Outcome {
    Outcome::Signed(key(number).sign(statement.digest(&domain())).unwrap())
}

fn refused(number: u8, statement: &Statement) -> Outcome {
    let code = RefusalCode::NotFinal;
    let digest = statement.refusal_digest(&domain(), code);
    Outcome::Refused(Refusal {
        code,
        detail: "later".into(),
        signature: key(number).sign(digest).unwrap(),
    })
}

fn item(statement: Statement, answers: Vec<(usize, Outcome)>) -> wire::SyncItem {
    (&SyncItem {
        statement,
        created_ms: 1,
        answers,
    })
        .into()
}

/// Some tasks, ascending by id, each signed by operators 1 and 2.
fn items(count: u64) -> Vec<wire::SyncItem> {
    let mut statements: Vec<Statement> = (0..count).map(statement).collect();
    statements.sort_by_key(Statement::task_id);
    let both = |s: &Statement| vec![(0, signed(1, s)), (1, signed(2, s))];
    statements
        .iter()
        .map(|s| item(s.clone(), both(s)))
        .collect()
}

struct Fixture {
    work: Verifier,
    store: Store,
    _dir: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity {
        network: "1-test".into(),
    };
    let store = Store::open(dir.path(), EngineKind::RocksDb, &identity).unwrap();
    let work = Verifier {
        peer: PeerId::random(),
        epoch: Epoch(1),
        set: Arc::new(set()),
        domain: domain(),
        inventory: TaskInventory::open(&store).unwrap(),
        allowance: Arc::default(),
        now: Timestamp(1_000_000),
    };
    Fixture {
        work,
        store,
        _dir: dir,
    }
}

fn everything() -> RequestedItems {
    RequestedItems::Range {
        after: None,
        until: TaskId(B256::repeat_byte(0xff)),
    }
}

fn fault(result: Result<VerifiedItems, AskError>) -> String {
    match result {
        Err(AskError::Fault(text)) => text,
        other => panic!("a fault was expected, not {other:?}"),
    }
}

#[test]
fn good_items_are_taken_with_all_that_is_new() {
    let Fixture { work, store, _dir } = fixture();
    let items = items(5);
    let VerifiedItems { taken, last, .. } = work.verify(&items, &everything()).unwrap();
    assert_eq!(taken.len(), 5);
    assert!(
        taken
            .iter()
            .all(|task| task.responses.len() == 2 && !task.is_known)
    );
    assert_eq!(last, Some(taken[4].statement.task_id()));
    // Of the first one everything is known, of the second one signature is not.
    let mut batch = Batch::new();
    for (task, members) in taken.iter().zip([&[0, 1, 3][..], &[1]]) {
        let name = (Epoch(1), task.statement.task_id());
        let noted = work.inventory.note(&mut batch, name, 4, |state| {
            for member in members {
                state.sign(*member);
            }
        });
        noted.unwrap();
    }
    store.write(&batch, Durability::Buffered).unwrap();
    let VerifiedItems { taken, .. } = work.verify(&items, &everything()).unwrap();
    assert_eq!(taken.len(), 4);
    assert_eq!((taken[0].responses.len(), taken[0].is_known), (1, true));
    assert_eq!(taken[0].responses[0].operator, operator(1));
}

#[test]
fn what_does_not_hold_is_a_fault() {
    let Fixture { work, _dir, .. } = fixture();
    let good = statement(1);
    let other = Statement::StateProof(StateProof {
        epoch: Epoch(2),
        ..*good.state_proof().unwrap()
    });
    let cases: [(&str, Vec<(usize, Outcome)>); 5] = [
        ("another operator's signature", vec![(0, signed(2, &good))]),
        (
            "over another statement",
            vec![(0, signed(1, &statement(2)))],
        ),
        ("a stranger's signature", vec![(1, signed(9, &good))]),
        ("no such member", vec![(4, signed(1, &good))]),
        ("another operator's refusal", vec![(2, refused(1, &good))]),
    ];
    for (name, answers) in cases {
        let result = work.verify(&[item(good.clone(), answers)], &everything());
        assert!(
            matches!(result, Err(AskError::Fault(_))),
            "{name}: {result:?}"
        );
    }
    let of_other = item(other.clone(), vec![(0, signed(1, &other))]);
    fault(work.verify(&[of_other], &everything()));
    let good = item(
        good.clone(),
        vec![(0, signed(1, &good)), (2, refused(3, &good))],
    );
    let VerifiedItems { taken, .. } = work.verify(&[good], &everything()).unwrap();
    assert_eq!(taken[0].responses.len(), 2);
}

#[test]
fn only_what_was_asked_for_in_order_and_once() {
    let Fixture { work, _dir, .. } = fixture();
    let items = items(3);
    let ids: Vec<TaskId> = items
        .iter()
        .map(|m| SyncItem::try_from(m).unwrap().statement.task_id())
        .collect();
    let backwards: Vec<_> = items.iter().rev().cloned().collect();
    let twice = [items[0].clone(), items[0].clone()];
    let outside = RequestedItems::Range {
        after: Some(ids[0]),
        until: ids[2],
    };
    let below = RequestedItems::Range {
        after: None,
        until: ids[1],
    };
    let these = || RequestedItems::These(HashSet::from([ids[0], ids[1]]));
    fault(work.verify(&backwards, &everything()));
    fault(work.verify(&twice, &everything()));
    fault(work.verify(&items, &outside));
    fault(work.verify(&items, &below));
    fault(work.verify(&items, &these()));
    fault(work.verify(&twice, &these()));
    assert_eq!(
        work.verify(&backwards[1..], &these()).unwrap().taken.len(),
        2
    );
}

#[test]
fn a_peer_brings_only_so_much_that_nobody_has_certified() {
    let Fixture { work, _dir, .. } = fixture();
    for _ in 0..MAX_UNCERTIFIED {
        assert!(work.allowance.take(work.now, work.peer));
    }
    let lonely = item(statement(1), vec![(0, signed(1, &statement(1)))]);
    let brought = work
        .verify(std::slice::from_ref(&lonely), &everything())
        .unwrap();
    assert!(brought.taken.is_empty());
    assert_eq!(brought.left_out, 1);
    let all = (0..3).zip(1..);
    let all = all.map(|(member, number)| (member, signed(number, &statement(1))));
    let certified = item(statement(1), all.collect());
    let VerifiedItems { taken, .. } = work.verify(&[certified], &everything()).unwrap();
    assert_eq!(taken.len(), 1, "with a certificate as many as there are");
    let later = work.now.plus_millis(ALLOWANCE_MS);
    let work = Verifier { now: later, ..work };
    assert_eq!(
        work.verify(&[lonely], &everything()).unwrap().taken.len(),
        1
    );
}
