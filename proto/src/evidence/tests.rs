#![allow(
    clippy::arithmetic_side_effects,
    reason = "tests panic on overflow, as they should"
)]

use std::collections::HashMap;

use alloy_primitives::{B256, U256};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::fixtures::{domain, operator, secret};
use crate::{EpochUpdate, Operator, Refusal, RefusalCode, SecretKey, StateProof, threshold_of};

/// Epochs in which the operators below serve.
const EPOCHS: u32 = 4;
const OPERATORS: u8 = 3;

fn value(epoch: u32, key: u64, value: u64) -> Statement {
    Statement::StateProof(StateProof {
        user: Address::repeat_byte(0xee),
        chain_id: 1,
        block_number: 12_345,
        timestamp: 1_700_000_000,
        epoch: Epoch(epoch),
        key: U256::from(key),
        value: U256::from(value),
    })
}

fn next_set(epoch: u32, hash: u8) -> Statement {
    Statement::EpochUpdate(EpochUpdate {
        epoch: Epoch(epoch),
        next_epoch: Epoch(EPOCHS + 1),
        set_hash: B256::repeat_byte(hash),
    })
}

/// The key that operator `number` has in the fixtures, or another one of its own.
fn key_of(number: u8, renewed: bool) -> SecretKey {
    secret(if renewed { number + 0x40 } else { number })
}

fn response(number: u8, key: &SecretKey, statement: Statement) -> Response {
    let signature = key.sign(statement.digest(&domain())).unwrap();
    Response {
        operator: operator(number),
        statement,
        outcome: Outcome::Signed(signature),
        basis: ReadBasis::Unspecified,
    }
}

fn signed(number: u8, statement: Statement) -> Response {
    response(number, &key_of(number, false), statement)
}

fn refused(number: u8, key: &SecretKey, statement: Statement) -> Response {
    let digest = statement.refusal_digest(&domain(), RefusalCode::Conflict);
    Response {
        operator: operator(number),
        statement,
        outcome: Outcome::Refused(Refusal {
            code: RefusalCode::Conflict,
            detail: String::new(),
            signature: key.sign(digest).unwrap(),
        }),
        basis: ReadBasis::Unspecified,
    }
}

/// All operators; which of them has its other key is said by `renewed`.
fn set_of(epoch: Epoch, renewed: impl Fn(u8) -> bool) -> OperatorSet {
    let member = |number: u8| Operator {
        address: operator(number),
        signing_key: key_of(number, renewed(number)).address(),
        ed25519_key: None,
        weight: U256::from(10),
    };
    let total = U256::from(10 * u32::from(OPERATORS));
    let members = (1..=OPERATORS).map(member).collect();
    OperatorSet::new(epoch, members, total, threshold_of(total)).unwrap()
}

fn plain(epoch: Epoch) -> Option<OperatorSet> {
    (1..=EPOCHS)
        .contains(&epoch.0)
        .then(|| set_of(epoch, |_| false))
}

fn judged(a: &Response, b: &Response) -> Result<(), EvidenceError> {
    EquivocationEvidence::between(a, b, &domain())?.verify(&domain(), plain)
}

#[test]
fn two_facts_for_one_slot_are_evidence() {
    for (first, second) in [
        (value(1, 1, 7), value(1, 1, 8)),
        (value(1, 1, 7), value(3, 1, 8)),
        (next_set(1, 7), next_set(1, 8)),
        (next_set(1, 7), next_set(2, 8)),
    ] {
        let (a, b) = (signed(2, first), signed(2, second));
        assert_eq!(judged(&a, &b), Ok(()));
        let evidence = EquivocationEvidence::between(&a, &b, &domain()).unwrap();
        let reversed = EquivocationEvidence::between(&b, &a, &domain());
        assert_eq!(reversed, Ok(evidence));
        assert_eq!(evidence.operator(), operator(2));
        assert_eq!(evidence.signing_key(), secret(2).address());
        assert_eq!(evidence.slot(), first.slot());
        let [lower, higher] = evidence.responses();
        assert!(lower.statement.fact() < higher.statement.fact());
        assert!([lower.clone(), higher.clone()].contains(&a) && [lower, higher].contains(&b));
    }
}

#[test]
fn timestamps_are_part_of_the_fact() {
    let Statement::StateProof(proof) = value(1, 1, 7) else {
        panic!("a state proof");
    };
    let later = Statement::StateProof(StateProof {
        timestamp: proof.timestamp + 1,
        ..proof
    });
    assert_eq!(
        judged(&signed(1, value(1, 1, 7)), &signed(1, later)),
        Ok(())
    );
}

#[test]
fn what_is_no_evidence() {
    let first = signed(2, value(1, 1, 7));
    let renewed = key_of(2, true);
    let table = [
        (signed(2, value(1, 2, 8)), EvidenceError::OtherSlot),
        (signed(2, next_set(1, 7)), EvidenceError::OtherSlot),
        (signed(2, value(2, 1, 7)), EvidenceError::SameFact),
        (first.clone(), EvidenceError::SameFact),
        (signed(3, value(1, 1, 8)), EvidenceError::OtherOperator),
        (
            refused(2, &key_of(2, false), value(1, 1, 8)),
            EvidenceError::Refusal,
        ),
        (
            response(2, &renewed, value(2, 1, 8)),
            EvidenceError::OtherKey {
                first: secret(2).address(),
                second: renewed.address(),
            },
        ),
        (
            signed(2, value(EPOCHS + 1, 1, 8)),
            EvidenceError::UnknownEpoch(Epoch(EPOCHS + 1)),
        ),
    ];
    for (second, expected) in table {
        assert_eq!(judged(&first, &second), Err(expected));
        assert_eq!(
            expected.is_fault(),
            !matches!(expected, EvidenceError::UnknownEpoch(_))
        );
    }
}

#[test]
fn the_sets_decide_whose_key_it_is() {
    let evidence = EquivocationEvidence::between(
        &signed(2, value(1, 1, 7)),
        &signed(2, value(2, 1, 8)),
        &domain(),
    )
    .unwrap();
    let verify = |set_of: &dyn Fn(Epoch) -> OperatorSet| {
        evidence.verify(&domain(), |epoch| Some(set_of(epoch)))
    };
    assert_eq!(verify(&|epoch| set_of(epoch, |_| false)), Ok(()));
    // Its key of epoch 2 is another one: the old key signs nothing for it there.
    let wrong = verify(&|epoch| set_of(epoch, |_| epoch.0 == 2));
    assert!(matches!(
        wrong,
        Err(EvidenceError::WrongKey {
            epoch: Epoch(2),
            ..
        })
    ));
    // It is in neither set, or in the set of another epoch.
    let without = |epoch: Epoch| {
        let members = set_of(epoch, |_| false).members().to_vec();
        let members = members.into_iter().filter(|m| m.address != operator(2));
        OperatorSet::new(epoch, members.collect(), U256::from(20), U256::from(14)).unwrap()
    };
    assert!(matches!(
        verify(&without),
        Err(EvidenceError::NotAnOperator { .. })
    ));
    let other = verify(&|_| set_of(Epoch(1), |_| false));
    assert!(matches!(
        other,
        Err(EvidenceError::NotAnOperator {
            epoch: Epoch(2),
            ..
        })
    ));
    // Two operators with one key: which of them signed cannot be told.
    let shared = |epoch: Epoch| {
        let mut members = set_of(epoch, |_| false).members().to_vec();
        members[2].signing_key = members[1].signing_key;
        OperatorSet::new(epoch, members, U256::from(30), U256::from(21)).unwrap()
    };
    assert!(matches!(
        verify(&shared),
        Err(EvidenceError::SharedKey { .. })
    ));
}

#[test]
fn one_case_has_one_id() {
    let of = |number, a, b| {
        EquivocationEvidence::between(&signed(number, a), &signed(number, b), &domain())
            .unwrap()
            .id()
    };
    let id = of(2, value(1, 1, 7), value(1, 1, 8));
    assert_eq!(id, of(2, value(2, 1, 9), value(3, 1, 8)));
    assert_ne!(id, of(3, value(1, 1, 7), value(1, 1, 8)));
    assert_ne!(id, of(2, value(1, 2, 7), value(1, 2, 8)));
    assert_eq!(
        id,
        EquivocationEvidence::id_of(value(1, 1, 0).slot(), operator(2))
    );
}

#[test]
fn only_one_form_is_read() {
    let evidence = EquivocationEvidence::between(
        &signed(2, value(1, 1, 7)),
        &signed(2, value(1, 1, 8)),
        &domain(),
    )
    .unwrap();
    let message = wire::EquivocationEvidence::from(&evidence);
    assert_eq!(EquivocationEvidence::try_from(&message), Ok(evidence));
    let swapped = wire::EquivocationEvidence {
        first: message.second.clone(),
        second: message.first.clone(),
        ..message.clone()
    };
    let error = EquivocationEvidence::try_from(&swapped).unwrap_err();
    assert_eq!(
        error.to_string(),
        "first must be the lower one of the facts"
    );
    let twice = wire::EquivocationEvidence {
        second: message.first.clone(),
        ..message.clone()
    };
    let error = EquivocationEvidence::try_from(&twice).unwrap_err();
    assert_eq!(
        error.to_string(),
        "second must be another fact for the slot of first"
    );
    // The same signature on the other half of the curve verifies under plain ECDSA, but is refused.
    let mut malleable = message;
    let signed = malleable.second.as_mut().unwrap();
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let order = U256::from_str_radix(order, 16).unwrap();
    let twin = order - U256::from_be_slice(&signed.signature[32..64]);
    signed.signature[32..64].copy_from_slice(&twin.to_be_bytes::<32>());
    signed.signature[64] = 55 - signed.signature[64];
    assert!(EquivocationEvidence::try_from(&malleable).is_err());
}

/// One wish of an operator to sign: who, in which epoch, what about, and what it believes.
type Wish = (u8, u32, u64, u64);

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    vec((1..=OPERATORS, 1..=EPOCHS, 0..3_u64, 0..3_u64), 2..10)
}

fn statement_of((_, epoch, question, belief): Wish) -> Statement {
    match question {
        2 => next_set(epoch, belief.to_le_bytes()[0]),
        key => value(epoch, key, belief),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Operators believe what liars tell them, change their minds and their keys; each key keeps to
    /// its signing log. Nothing that anybody can put together from what they said accuses anyone.
    #[test]
    fn who_keeps_a_signing_log_is_never_accused(
        wishes in wishes(),
        keys in vec(any::<bool>(), usize::from(OPERATORS) * EPOCHS as usize),
    ) {
        let renewed = |number: u8, epoch: Epoch| {
            keys[usize::from(number - 1) * EPOCHS as usize + epoch.0 as usize - 1]
        };
        let set = |epoch: Epoch| {
            (1..=EPOCHS).contains(&epoch.0).then(|| set_of(epoch, |number| renewed(number, epoch)))
        };
        let mut log: HashMap<(Address, SlotId), B256> = HashMap::new();
        let mut said = Vec::new();
        for wish in wishes {
            let (statement, number) = (statement_of(wish), wish.0);
            let key = key_of(number, renewed(number, statement.epoch()));
            let entry = log.entry((key.address(), statement.slot())).or_insert(statement.fact());
            said.push(match *entry == statement.fact() {
                true => response(number, &key, statement),
                false => refused(number, &key, statement),
            });
        }
        for (index, a) in said.iter().enumerate() {
            for b in &said[index + 1..] {
                prop_assert!(EquivocationEvidence::between(a, b, &domain()).is_err());
                let (Outcome::Signed(first), Outcome::Signed(second)) = (&a.outcome, &b.outcome) else {
                    continue;
                };
                let pair = [(a, first), (b, second)].map(|(r, signature)| SignedStatement {
                    statement: r.statement,
                    signature: *signature,
                });
                for number in 1..=OPERATORS {
                    for renewed in [false, true] {
                        let key = key_of(number, renewed).address();
                        let forged = EquivocationEvidence::new(operator(number), key, pair);
                        let verdict = forged.and_then(|forged| forged.verify(&domain(), set));
                        prop_assert!(verdict.is_err(), "{forged:?}");
                    }
                }
            }
        }
    }

    /// Who does not keep to it is convicted by any two of its contradictions.
    #[test]
    fn who_signs_two_facts_is_convicted(
        number in 1..=OPERATORS,
        epochs in (1..=EPOCHS, 1..=EPOCHS),
        question in 0..3_u64,
        beliefs in (0..3_u64, 0..3_u64),
    ) {
        prop_assume!(beliefs.0 != beliefs.1);
        let a = signed(number, statement_of((number, epochs.0, question, beliefs.0)));
        let b = signed(number, statement_of((number, epochs.1, question, beliefs.1)));
        prop_assert_eq!(judged(&a, &b), Ok(()));
    }

    /// Whatever is changed in it, it convicts nobody, unless the change says nothing.
    #[test]
    fn changed_evidence_convicts_nobody(place: prop::sample::Index, flip in 1..=u8::MAX) {
        let evidence = EquivocationEvidence::between(
            &signed(2, value(1, 1, 7)),
            &signed(2, value(2, 1, 8)),
            &domain(),
        )
        .unwrap();
        let mut bytes = wire::EquivocationEvidence::from(&evidence).encode_to_vec();
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        let changed = wire::EquivocationEvidence::decode(bytes.as_slice())
            .ok()
            .and_then(|message| EquivocationEvidence::try_from(&message).ok());
        if let Some(changed) = changed {
            let convicts = changed.verify(&domain(), plain).is_ok();
            prop_assert!(!convicts || changed == evidence);
        }
    }
}
