#![allow(
    clippy::arithmetic_side_effects,
    reason = "tests panic on overflow, as they should"
)]

mod properties;

use alloy_primitives::{B256, U256};
use prost::Message as _;

use super::*;
use crate::fixtures::{
    domain, evidence_across_keys, evidence_of_an_unknown_kind, next_set as later_set, operator,
    renewed_secret, secret, set as first_set,
};
use crate::{
    EpochUpdate, Operator, ReadBasis, Refusal, RefusalCode, SecretKey, StateProof, Statement,
};

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
        time: 1_700_000_000,
    })
}

/// The key that operator `number` has in the fixtures, or another one of its own.
fn key_of(number: u8, renewed: bool) -> SecretKey {
    match renewed {
        true => renewed_secret(number),
        false => secret(number),
    }
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
        weight: U256::from(10),
    };
    let total = U256::from(10 * u32::from(OPERATORS));
    let members = (1..=OPERATORS).map(member).collect();
    OperatorSet::new(epoch, members, total, 0).unwrap()
}

fn plain(epoch: Epoch) -> Option<OperatorSet> {
    (1..=EPOCHS)
        .contains(&epoch.0)
        .then(|| set_of(epoch, |_| false))
}

fn judged(a: &Response, b: &Response) -> Result<(), EvidenceError> {
    EquivocationEvidence::between(a, b)?.verify(&domain(), plain)
}

#[test]
fn two_facts_for_one_slot_are_evidence() {
    for (first, second) in [
        (value(1, 1, 7), value(1, 1, 8)),
        (value(1, 1, 7), value(3, 1, 8)),
        (next_set(1, 7), next_set(1, 8)),
        (next_set(1, 7), next_set(2, 8)),
    ] {
        let (a, b) = (signed(2, first.clone()), signed(2, second.clone()));
        assert_eq!(judged(&a, &b), Ok(()));
        let evidence = EquivocationEvidence::between(&a, &b).unwrap();
        let reversed = EquivocationEvidence::between(&b, &a);
        assert_eq!(reversed, Ok(evidence.clone()));
        assert_eq!(evidence.operator(), operator(2));
        assert_eq!(evidence.slot(), first.slot());
        let [lower, higher] = evidence.attestations();
        assert!(lower.attestation().fact < higher.attestation().fact);
        let statements = [lower, higher].map(|signed| signed.statement().unwrap().clone());
        assert!(statements.contains(&first) && statements.contains(&second));
        assert_eq!(evidence.epochs(), statements.map(|s| s.epoch()));
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
    let other_key = |epoch| EvidenceError::WrongKey {
        epoch: Epoch(epoch),
        expected: secret(2).address(),
        found: renewed.address(),
    };
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
        (response(2, &renewed, value(2, 1, 8)), other_key(2)),
        (response(2, &renewed, value(1, 1, 8)), other_key(1)),
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
    let evidence =
        EquivocationEvidence::between(&signed(2, value(1, 1, 7)), &signed(2, value(2, 1, 8)))
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
        OperatorSet::new(epoch, members.collect(), U256::from(20), 0).unwrap()
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
        OperatorSet::new(epoch, members, U256::from(30), 0).unwrap()
    };
    assert!(matches!(
        verify(&shared),
        Err(EvidenceError::SharedKey { .. })
    ));
}

#[test]
fn a_new_key_is_the_same_operator() {
    let sets = |epoch: Epoch| {
        [first_set(), later_set()]
            .into_iter()
            .find(|s| s.epoch() == epoch)
    };
    let evidence = evidence_across_keys();
    assert_eq!(evidence.verify(&domain(), sets), Ok(()));
    let keys = [secret(4), renewed_secret(4), secret(2)].map(|key| key.address());
    let signed = keys.map(|key| evidence.is_signed_by(key, &domain()));
    assert_eq!(signed, [true, true, false]);
    // Each key counts in its own epoch only.
    let one_key = |_| Some(first_set());
    assert!(evidence.verify(&domain(), one_key).is_err());
    let [a, b] = [(1, 8, false), (2, 7, true)]
        .map(|(epoch, belief, renewed)| response(2, &key_of(2, renewed), value(epoch, 1, belief)));
    let evidence = EquivocationEvidence::between(&a, &b).unwrap();
    let changed = |from: u32| {
        move |epoch: Epoch| Some(set_of(epoch, |number| number == 2 && epoch.0 >= from))
    };
    assert_eq!(evidence.verify(&domain(), changed(2)), Ok(()));
    for from in [1, 3] {
        let verdict = evidence.verify(&domain(), changed(from));
        assert!(matches!(verdict, Err(EvidenceError::WrongKey { .. })));
    }
}

#[test]
fn evidence_of_an_unknown_kind_holds() {
    let evidence = evidence_of_an_unknown_kind();
    assert_eq!(evidence.verify(&domain(), |_| Some(first_set())), Ok(()));
    assert!(
        evidence
            .attestations()
            .iter()
            .all(|s| s.statement().is_none())
    );
    let bytes = wire::EquivocationEvidence::from(&evidence).encode_to_vec();
    let message = wire::EquivocationEvidence::decode(bytes.as_slice()).unwrap();
    assert_eq!(EquivocationEvidence::try_from(&message), Ok(evidence));
}

fn without_statements(evidence: &EquivocationEvidence) -> EquivocationEvidence {
    let bare = |signed: &SignedAttestation| {
        SignedAttestation::bare(*signed.attestation(), *signed.signature())
    };
    EquivocationEvidence::new(evidence.operator(), evidence.attestations().map(bare)).unwrap()
}

#[test]
fn statements_may_be_left_out_of_evidence() {
    let pair = [7, 8].map(|belief| signed(2, value(1, 1, belief)));
    let told = EquivocationEvidence::between(&pair[0], &pair[1]).unwrap();
    let bare = without_statements(&told);
    assert_eq!(bare.verify(&domain(), plain), Ok(()));
    assert_eq!(bare.id(), told.id());
    // Whose statement is another one than what was signed is malformed.
    let mut message = wire::EquivocationEvidence::from(&told);
    let second = message.second.clone().unwrap().statement;
    message.first.as_mut().unwrap().statement = second;
    let error = EquivocationEvidence::try_from(&message).unwrap_err();
    assert_eq!(
        error.to_string(),
        "statement must have the epoch, slot and fact that are signed"
    );
}

#[test]
fn one_case_has_one_id() {
    let of = |number, a, b| {
        EquivocationEvidence::between(&signed(number, a), &signed(number, b))
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
    let evidence =
        EquivocationEvidence::between(&signed(2, value(1, 1, 7)), &signed(2, value(1, 1, 8)))
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

/// Of any two certificates that contradict each other more than a third of the weight is convicted.
#[test]
fn two_thirds_that_certify_two_answers_convict_more_than_a_third() {
    let set = first_set();
    let weight = |signers: &[&Operator]| signers.iter().map(|member| member.weight).sum::<U256>();
    let parts: Vec<Vec<&Operator>> = (0..1_u8 << set.members().len())
        .map(|bits| {
            let taken = |index: &usize| bits >> index & 1 == 1;
            (0..set.members().len())
                .filter(taken)
                .map(|index| &set.members()[index])
                .collect()
        })
        .filter(|signers: &Vec<&Operator>| weight(signers) >= set.threshold())
        .collect();
    assert!(parts.len() > 1);
    for (one, other) in parts
        .iter()
        .flat_map(|one| parts.iter().map(move |other| (one, other)))
    {
        let both: Vec<&Operator> = one
            .iter()
            .filter(|signer| other.contains(signer))
            .copied()
            .collect();
        assert!(
            weight(&both) * U256::from(3) > set.total_weight(),
            "{one:?} {other:?}"
        );
        for signer in both {
            let number = (1..=4)
                .find(|number| operator(*number) == signer.address)
                .unwrap();
            let (a, b) = (
                signed(number, value(1, 1, 7)),
                signed(number, value(1, 1, 8)),
            );
            let evidence = EquivocationEvidence::between(&a, &b).unwrap();
            assert_eq!(evidence.verify(&domain(), |_| Some(&set)), Ok(()));
        }
    }
}
