#![allow(
    clippy::arithmetic_side_effects,
    reason = "tests panic on overflow, as they should"
)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::fixtures::{at, keyed, operator, signed};
use quorate_proto::{Outcome, SignedAttestation, Statement};

/// Operator `number` signed two values under this key.
fn case(number: u8, key: u64) -> EquivocationEvidence {
    pair(number, [keyed(1, key, 7), keyed(1, key, 8)])
}

fn pair(number: u8, statements: [Statement; 2]) -> EquivocationEvidence {
    let pair = statements.map(|statement| {
        let Outcome::Signed(signature) = signed(number, statement.clone()).outcome else {
            panic!("a signature");
        };
        SignedAttestation::of(statement, signature)
    });
    EquivocationEvidence::new(operator(number), pair).unwrap()
}

#[test]
fn what_is_found_is_published_and_what_is_heard_is_not() {
    let mut docket = Docket::default();
    let (found, heard) = (case(1, 1), case(2, 1));
    assert_eq!(
        docket.handle(at(0), Input::Found(found.clone())),
        Ok(vec![
            Output::Keep(found.clone()),
            Output::Publish(found.clone())
        ])
    );
    assert_eq!(
        docket.handle(at(0), Input::Heard(heard.clone())),
        Ok(vec![Output::Keep(heard)])
    );
    assert_eq!(docket.len(), 2);
    assert_eq!(
        docket.get(found.id()),
        Some(&Case {
            slot: found.slot(),
            operator: operator(1),
            since: at(0)
        })
    );
}

#[test]
fn one_case_is_taken_once() {
    let mut docket = Docket::default();
    docket.handle(at(0), Input::Heard(case(1, 1))).unwrap();
    let again = pair(1, [keyed(1, 1, 8), keyed(2, 1, 9)]);
    for evidence in [case(1, 1), again] {
        for input in [Input::Heard(evidence.clone()), Input::Found(evidence)] {
            assert_eq!(docket.handle(at(1), input), Err(Ignored::Known));
        }
    }
    assert_eq!(docket.against(operator(1)).count(), 1);
}

#[test]
fn a_flood_against_one_operator_leaves_the_others_alone() {
    let mut docket = Docket::default();
    let most = MAX_PER_HOUR as u64;
    for key in 0..most {
        docket.handle(at(key), Input::Heard(case(1, key))).unwrap();
    }
    let refused = docket.handle(at(most), Input::Heard(case(1, most)));
    assert_eq!(refused, Err(Ignored::TooMany(operator(1))));
    assert!(docket.handle(at(most), Input::Heard(case(2, most))).is_ok());
    // The first of them is an hour old.
    let later = at(HOUR_MS);
    assert!(docket.handle(later, Input::Heard(case(1, most))).is_ok());
    let refused = docket.handle(later, Input::Heard(case(1, most + 1)));
    assert_eq!(refused, Err(Ignored::TooMany(operator(1))));
}

#[test]
fn a_new_case_replaces_the_oldest_of_too_many() {
    let mut docket = Docket::default();
    let most = MAX_PER_OPERATOR as u64;
    for key in 0..most {
        docket
            .handle(at(key * HOUR_MS), Input::Heard(case(1, key)))
            .unwrap();
    }
    let (oldest, newest) = (case(1, 0), case(1, most));
    assert_eq!(
        docket.handle(at(most * HOUR_MS), Input::Found(newest.clone())),
        Ok(vec![
            Output::Forget(oldest.slot(), operator(1)),
            Output::Keep(newest.clone()),
            Output::Publish(newest)
        ])
    );
    assert_eq!(docket.against(operator(1)).count(), MAX_PER_OPERATOR);
    assert_eq!(docket.get(oldest.id()), None);
}

#[test]
fn pages_ascend_by_id() {
    let mut docket = Docket::default();
    for key in 0..10 {
        docket.handle(at(0), Input::Heard(case(1, key))).unwrap();
    }
    let all: Vec<EvidenceId> = docket.after(None).map(|(id, _)| *id).collect();
    assert_eq!(all.len(), 10);
    assert!(all.is_sorted());
    let rest: Vec<EvidenceId> = docket.after(Some(all[6])).map(|(id, _)| *id).collect();
    assert_eq!(rest, all[7..]);
    docket.handle(at(1), Input::Heard(case(2, 3))).unwrap();
    let newest = docket.newest(2);
    assert_eq!(newest.len(), 2);
    assert_eq!((newest[0].operator, newest[0].since), (operator(2), at(1)));
}

proptest! {
    /// Whatever comes in whichever order, the books follow from what was kept and forgotten, and stay
    /// within their bounds.
    #[test]
    fn the_store_and_the_books_agree(
        events in vec((1..4_u8, 0..200_u64, any::<bool>(), 0..HOUR_MS), 0..400),
    ) {
        let (mut docket, mut store) = (Docket::default(), HashMap::new());
        let mut now = 0;
        for (number, key, found, pause) in events {
            now += pause;
            let evidence = case(number, key);
            let input = if found { Input::Found(evidence.clone()) } else { Input::Heard(evidence.clone()) };
            for output in docket.handle(at(now), input).unwrap_or_default() {
                match output {
                    Output::Keep(kept) => {
                        store.insert((kept.slot(), kept.operator()), at(now));
                    }
                    Output::Forget(slot, operator) => {
                        prop_assert!(store.remove(&(slot, operator)).is_some());
                    }
                    Output::Publish(published) => prop_assert!(found && published == evidence),
                }
            }
        }
        let mut restored = Docket::default();
        for ((slot, operator), since) in store {
            restored.restore(Case { slot, operator, since });
        }
        prop_assert_eq!(&restored.cases, &docket.cases);
        for number in 1..4 {
            let count = docket.against(operator(number)).count();
            prop_assert!(count <= MAX_PER_OPERATOR);
            prop_assert_eq!(count, restored.against(operator(number)).count());
        }
    }
}
