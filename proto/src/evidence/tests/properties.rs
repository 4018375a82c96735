//! Who keeps a signing log is never accused, and who does not is convicted.

use std::collections::HashMap;

use alloy_primitives::B256;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

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

    /// Operators believe what liars tell them, change their minds and their keys; each keeps to its one
    /// signing log. Nothing that an accuser can put together from what they said accuses anyone.
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
            let entry = log.entry((operator(number), statement.slot())).or_insert(statement.fact());
            said.push(match *entry == statement.fact() {
                true => response(number, &key, statement),
                false => refused(number, &key, statement),
            });
        }
        for (index, a) in said.iter().enumerate() {
            for b in &said[index + 1..] {
                prop_assert!(EquivocationEvidence::between(a, b).is_err());
                let (Outcome::Signed(first), Outcome::Signed(second)) = (&a.outcome, &b.outcome) else {
                    continue;
                };
                let pair = [(a, first), (b, second)]
                    .map(|(r, signature)| SignedAttestation::of(r.statement.clone(), *signature));
                for number in 1..=OPERATORS {
                    let forged = EquivocationEvidence::new(operator(number), pair.clone());
                    let verdict = forged.clone().and_then(|forged| forged.verify(&domain(), set));
                    prop_assert!(verdict.is_err(), "{forged:?}");
                }
            }
        }
    }

    /// Who does not keep to it is convicted by any two of its contradictions, whichever keys it had.
    #[test]
    fn who_signs_two_facts_is_convicted(
        number in 1..=OPERATORS,
        keys in vec(any::<bool>(), EPOCHS as usize),
        epochs in (1..=EPOCHS, 1..=EPOCHS),
        question in 0..3_u64,
        beliefs in (0..3_u64, 0..3_u64),
    ) {
        prop_assume!(beliefs.0 != beliefs.1);
        let renewed = |epoch: Epoch| keys[epoch.0 as usize - 1];
        let said = |epoch, belief| {
            let key = key_of(number, renewed(Epoch(epoch)));
            response(number, &key, statement_of((number, epoch, question, belief)))
        };
        let (a, b) = (said(epochs.0, beliefs.0), said(epochs.1, beliefs.1));
        let sets = |epoch: Epoch| Some(set_of(epoch, |n| n == number && renewed(epoch)));
        let evidence = EquivocationEvidence::between(&a, &b).unwrap();
        prop_assert_eq!(evidence.verify(&domain(), sets), Ok(()));
    }

    /// Whatever is changed in it, it convicts no operator, unless the change says nothing.
    #[test]
    fn changed_evidence_convicts_nobody(place: prop::sample::Index, flip in 1..=u8::MAX) {
        let evidence = EquivocationEvidence::between(
            &signed(2, value(1, 1, 7)),
            &signed(2, value(2, 1, 8)),
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
            prop_assert!(!convicts || without_statements(&changed) == without_statements(&evidence));
        }
    }
}
