#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test panics where it overflows"
)]

use alloy_primitives::{U256, b256};
use proptest::prelude::*;

use super::*;
use crate::fixtures::{domain, epoch_update, proof, statement};

/// A change of one field: its name, the changed proof, and whether it asks another question.
type Change = (&'static str, StateProof, bool);

fn changes() -> [Change; 7] {
    let p = proof();
    let user = Address::repeat_byte(1);
    let block_number = p.block_number + 1;
    [
        ("user", StateProof { user, ..p }, true),
        ("chain", StateProof { chain_id: 257, ..p }, true),
        ("block", StateProof { block_number, ..p }, true),
        (
            "key",
            StateProof {
                key: U256::from(2),
                ..p
            },
            true,
        ),
        ("timestamp", StateProof { timestamp: 1, ..p }, false),
        (
            "epoch",
            StateProof {
                epoch: Epoch(2),
                ..p
            },
            false,
        ),
        (
            "value",
            StateProof {
                value: U256::from(101),
                ..p
            },
            false,
        ),
    ]
}

#[test]
fn the_published_task_id() {
    assert_eq!(
        proof().task_id().0,
        b256!("b380c8c72b9bb9eb5cd5a55104de558a2dfba3ec76b6ef2aabfc22a9bc14c66f")
    );
    assert_eq!(statement().task_id(), proof().task_id());
}

#[test]
fn every_field_is_in_the_task_id_and_under_the_signatures() {
    let (before, domain) = (statement(), domain());
    for (field, after, _) in changes() {
        let after = Statement::StateProof(after);
        assert_ne!(before.task_id(), after.task_id(), "{field}");
        assert_ne!(before.digest(&domain), after.digest(&domain), "{field}");
        let refusal = |s: &Statement| s.refusal_digest(&domain, RefusalCode::NoEntry);
        assert_ne!(refusal(&before), refusal(&after), "{field}");
    }
}

#[test]
fn the_slot_is_the_question_and_the_fact_its_answer() {
    let before = statement();
    for (field, after, other_question) in changes() {
        let after = Statement::StateProof(after);
        assert_eq!(
            before.slot() != after.slot(),
            other_question,
            "slot, {field}"
        );
        assert_eq!(
            before.fact() != after.fact(),
            field != "epoch",
            "fact, {field}"
        );
    }
}

#[test]
fn chain_ids_are_not_cut() {
    // The field's first implementation cut chain and block to one byte.
    for chain_id in [257, 0x0001_0001, 0x0100_0001] {
        let other = StateProof {
            chain_id,
            ..proof()
        };
        assert_ne!(proof().task_id(), other.task_id(), "{chain_id}");
    }
    for bit in 8..64 {
        let block_number = proof().block_number ^ (1 << bit);
        let other = StateProof {
            block_number,
            ..proof()
        };
        assert_ne!(proof().task_id(), other.task_id(), "bit {bit}");
    }
}

#[test]
fn the_time_of_a_fact_is_that_of_its_chain() {
    assert_eq!(statement().fact_time(), proof().timestamp);
    let update = epoch_update();
    assert_eq!(Statement::EpochUpdate(update).fact_time(), update.time);
}

#[test]
fn the_refusal_code_is_signed() {
    let digest = |code| statement().refusal_digest(&domain(), code);
    assert_ne!(digest(RefusalCode::NoEntry), digest(RefusalCode::NotFinal));
}

#[test]
fn accessors_name_the_set_and_the_chain() {
    let (epoch, chain_id) = (Epoch(9), u32::MAX);
    let statement = Statement::StateProof(StateProof {
        epoch,
        chain_id,
        ..proof()
    });
    assert_eq!(statement.epoch(), epoch);
    assert_eq!(statement.subject(), Subject::Chain(0xffff_ffff));
    assert_eq!(
        statement.state_proof().map(|proof| proof.epoch),
        Some(epoch)
    );
    let update = Statement::EpochUpdate(epoch_update());
    assert_eq!(update.epoch(), Epoch(1));
    assert_eq!(update.subject(), Subject::HomeChain);
    assert_eq!(update.state_proof(), None);
}

#[test]
fn malformed_fields_are_named() {
    let valid = || match wire::Statement::from(&statement()).kind.unwrap() {
        wire::statement::Kind::StateProof(proof) => proof,
        other => panic!("{other:?}"),
    };
    let over = 1 << 48;
    for (expected, message) in [
        (
            "user must have 20 bytes",
            wire::StateProof {
                user: vec![1; 32],
                ..valid()
            },
        ),
        (
            "key must have 32 bytes",
            wire::StateProof {
                key: vec![1],
                ..valid()
            },
        ),
        (
            "value must have 32 bytes",
            wire::StateProof {
                value: vec![],
                ..valid()
            },
        ),
        (
            "timestamp must fit 48 bits",
            wire::StateProof {
                timestamp: over,
                ..valid()
            },
        ),
    ] {
        let error = StateProof::try_from(&message).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let empty = Statement::try_from(&wire::Statement { kind: None }).unwrap_err();
    assert_eq!(empty.to_string(), "statement is missing");
    let last = wire::StateProof {
        timestamp: over - 1,
        ..valid()
    };
    assert!(StateProof::try_from(&last).is_ok());
}

/// Proofs that are often equal in a field: only the whole decides.
fn close_proof() -> impl Strategy<Value = StateProof> {
    let bytes = (
        0_u8..2,
        0_u32..3,
        0_u64..2,
        0_u64..2,
        0_u32..2,
        0_u8..2,
        0_u8..2,
    );
    bytes.prop_map(|(user, chain, block, time, epoch, key, value)| StateProof {
        user: Address::with_last_byte(user),
        chain_id: chain * 256 + 1,
        block_number: block << 40,
        timestamp: time << 40,
        epoch: Epoch(epoch << 16),
        key: U256::from(key) << 200,
        value: U256::from(value),
    })
}

proptest! {
    #[test]
    fn two_statements_share_a_hash_only_if_they_are_one(a in close_proof(), b in close_proof()) {
        let same = a == b;
        let (a, b) = (Statement::StateProof(a), Statement::StateProof(b));
        prop_assert_eq!(a.task_id() == b.task_id(), same);
        prop_assert_eq!(a.digest(&domain()) == b.digest(&domain()), same);
        prop_assert!(a.fact() != b.fact() || a.slot() == b.slot());
    }
}
