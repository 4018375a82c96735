use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::fixtures::{operator, refused, set_of, signed, statement};

const FINAL: RefusalCode = RefusalCode::ValueDiffers;
const RETRY: RefusalCode = RefusalCode::NotFinal;

fn quorum(weights: &[u64]) -> Quorum {
    Quorum::new(statement(7), set_of(1, weights))
}

/// Signs for each operator in turn; the certificate, and after how many signatures it came.
fn sign(quorum: &mut Quorum, order: &[u8]) -> Option<(usize, Certificate)> {
    let mut found = None;
    for (index, number) in order.iter().enumerate() {
        match quorum.handle(signed(*number, statement(7))) {
            Ok(Some(Output::Certified(certificate))) => {
                assert!(found.is_none(), "certified twice");
                found = Some((index, certificate));
            }
            Ok(None) => {}
            other => panic!("{other:?}"),
        }
    }
    found.map(|(index, certificate)| (index.saturating_add(1), certificate))
}

fn signers(certificate: &Certificate) -> Vec<Address> {
    certificate
        .signatures()
        .iter()
        .map(|s| s.operator)
        .collect()
}

/// Weights, order of signing, signatures until certified, signers.
type Case<'a> = (&'a [u64], &'a [u8], Option<usize>, &'a [u8]);

#[test]
fn the_threshold_and_one_below() {
    let table: &[Case] = &[
        // 4 operators of 1: threshold 3.
        (&[1, 1, 1, 1], &[4, 2, 1], Some(3), &[1, 2, 4]),
        (&[1, 1, 1, 1], &[4, 2], None, &[]),
        // Total 9, threshold 7: equality passes, 6 does not.
        (&[4, 3, 2], &[1, 2], Some(2), &[1, 2]),
        (&[4, 3, 2], &[1, 3], None, &[]),
        // One operator is all there is.
        (&[5], &[1], Some(1), &[1]),
        // One with more than two thirds decides alone.
        (&[10, 1, 1], &[1], Some(1), &[1]),
        (&[10, 1, 1], &[2, 3], None, &[]),
        // Total 13, threshold 9: the heavy one comes late and makes the others superfluous.
        (&[1, 1, 1, 10], &[1, 2, 3, 4], Some(4), &[4]),
        // Total 14, threshold 10: the heaviest first, then one more; of equal weights the lower address.
        (&[2, 2, 2, 8], &[3, 2, 1, 4], Some(4), &[1, 4]),
        // What comes after the certificate does not change it.
        (&[2, 2, 2, 8], &[3, 4, 2, 1], Some(2), &[3, 4]),
    ];
    for (weights, order, after, expected) in table {
        let found = sign(&mut quorum(weights), order);
        let names = format!("weights {weights:?}, order {order:?}");
        assert_eq!(found.as_ref().map(|(n, _)| *n), *after, "{names}");
        let expected: Vec<Address> = expected.iter().copied().map(operator).collect();
        let chosen = found.map(|(_, certificate)| signers(&certificate));
        assert_eq!(chosen.unwrap_or_default(), expected, "{names}");
    }
}

#[test]
fn what_does_not_count() {
    let mut quorum = quorum(&[1, 1, 1, 1]);
    assert_eq!(quorum.handle(signed(1, statement(7))), Ok(None));
    let table = [
        (signed(1, statement(7)), Ignored::Duplicate),
        (refused(1, statement(7), FINAL), Ignored::Duplicate),
        (signed(1, statement(8)), Ignored::OtherStatement),
        (signed(2, statement(8)), Ignored::OtherStatement),
        (signed(9, statement(7)), Ignored::NotAMember(operator(9))),
        (
            refused(9, statement(7), FINAL),
            Ignored::NotAMember(operator(9)),
        ),
    ];
    for (response, reason) in table {
        assert_eq!(quorum.handle(response.clone()), Err(reason), "{response:?}");
    }
    assert_eq!(quorum.progress().signed, 1);
    assert_eq!(quorum.progress().refused, 0);
}

#[test]
fn a_signature_replaces_a_refusal_but_not_the_other_way() {
    let mut quorum = quorum(&[1, 1, 1, 1]);
    assert_eq!(quorum.handle(refused(1, statement(7), RETRY)), Ok(None));
    assert_eq!(
        quorum.handle(refused(1, statement(7), RETRY)),
        Err(Ignored::Duplicate)
    );
    assert_eq!(quorum.handle(refused(1, statement(7), FINAL)), Ok(None));
    assert_eq!(quorum.progress().refused_weight, U256::from(1));
    assert_eq!(quorum.refusals().len(), 1);
    assert_eq!(quorum.handle(signed(1, statement(7))), Ok(None));
    assert_eq!(quorum.progress().refused_weight, U256::ZERO);
    assert_eq!(quorum.progress().signed_weight, U256::from(1));
    assert_eq!(
        quorum.handle(refused(1, statement(7), FINAL)),
        Err(Ignored::Duplicate)
    );
    assert!(quorum.refusals().is_empty());
}

#[test]
fn only_final_refusals_make_it_unreachable() {
    let mut quorum = quorum(&[1, 1, 1, 1]);
    for number in 1..=3 {
        assert_eq!(
            quorum.handle(refused(number, statement(7), RETRY)),
            Ok(None)
        );
    }
    assert_eq!(quorum.handle(refused(1, statement(7), FINAL)), Ok(None));
    let unreachable = quorum.handle(refused(2, statement(7), FINAL));
    assert_eq!(unreachable, Ok(Some(Output::Unreachable)));
    assert!(quorum.is_unreachable());
    // One changes its mind: it can be reached again.
    assert_eq!(quorum.handle(signed(2, statement(7))), Ok(None));
    assert!(!quorum.is_unreachable());
}

#[test]
fn every_refusal_code_is_final_or_not() {
    for code in (1..=10).map(|number| RefusalCode::try_from(number).unwrap()) {
        let mut quorum = quorum(&[1]);
        let output = quorum.handle(refused(1, statement(7), code)).unwrap();
        assert_eq!(output.is_none(), code.is_retryable(), "{code:?}");
    }
}

#[test]
fn the_report_names_everybody() {
    let mut quorum = quorum(&[1, 2, 3, 4]);
    quorum.handle(signed(2, statement(7))).unwrap();
    quorum.handle(refused(3, statement(7), FINAL)).unwrap();
    assert_eq!(quorum.missing(), [operator(1), operator(4)]);
    let expected = Progress {
        signed: 1,
        refused: 1,
        signed_weight: U256::from(2),
        refused_weight: U256::from(3),
        threshold: U256::from(7),
        total_weight: U256::from(10),
    };
    assert_eq!(quorum.progress(), expected);
    let refusals = quorum.refusals();
    assert_eq!(
        (refusals[0].operator, refusals[0].code),
        (operator(3), FINAL)
    );
    assert!(quorum.answer(operator(2)).is_some() && quorum.answer(operator(1)).is_none());
    assert!(!quorum.is_certified());
    quorum.handle(signed(4, statement(7))).unwrap();
    assert!(!quorum.is_certified() && !quorum.is_complete());
    quorum.handle(signed(3, statement(7))).unwrap();
    assert!(quorum.is_certified() && !quorum.is_complete());
    quorum.handle(signed(1, statement(7))).unwrap();
    assert!(quorum.is_complete());
}

/// What an operator says, in the order in which it arrives.
fn any_answers() -> impl Strategy<Value = (Vec<u64>, Vec<(Index, u8)>)> {
    let weights = prop::collection::vec(0_u64..50, 1..20);
    (
        weights,
        prop::collection::vec((any::<Index>(), 0_u8..4), 0..60),
    )
}

proptest! {
    /// Any order of any answers gives one certificate, and exactly when the signed weight
    /// reaches the threshold; its signers ascend, suffice, and none of them is superfluous.
    #[test]
    fn certified_if_and_only_if_the_weight_suffices((weights, answers) in any_answers()) {
        let set = set_of(1, &weights);
        let mut quorum = Quorum::new(statement(7), set.clone());
        let mut signed_weight = U256::ZERO;
        let mut have_signed = Vec::new();
        let mut certified = false;
        for (index, what) in answers {
            let number = u8::try_from(index.index(weights.len())).unwrap().saturating_add(1);
            let member = set.get(operator(number)).is_some();
            let response = match what {
                0 => refused(number, statement(7), FINAL),
                1 => refused(number, statement(7), RETRY),
                _ => signed(number, statement(7)),
            };
            if what > 1 && member && !have_signed.contains(&number) {
                have_signed.push(number);
                signed_weight = signed_weight.saturating_add(set.weight_of(operator(number)));
            }
            if let Ok(Some(Output::Certified(certificate))) = quorum.handle(response) {
                prop_assert!(!certified, "certified twice");
                certified = true;
                let signers = signers(&certificate);
                prop_assert!(signers.is_sorted_by(|a, b| a < b));
                prop_assert!(signers.iter().all(|s| set.get(*s).is_some()));
                let sum = |all: &[Address]| all.iter().fold(U256::ZERO, |w, s| w.saturating_add(set.weight_of(*s)));
                prop_assert!(sum(&signers) >= set.threshold());
                let lightest = signers.iter().map(|s| set.weight_of(*s)).min().unwrap();
                prop_assert!(sum(&signers).saturating_sub(lightest) < set.threshold());
            }
            prop_assert_eq!(certified, signed_weight >= set.threshold());
            prop_assert_eq!(quorum.is_certified(), certified);
            prop_assert_eq!(quorum.progress().signed_weight, signed_weight);
        }
    }

    /// The running sums are those of the answers that count.
    #[test]
    fn the_sums_follow_the_answers((weights, answers) in any_answers()) {
        let set = set_of(1, &weights);
        let mut quorum = Quorum::new(statement(7), set.clone());
        for (index, what) in answers {
            let number = u8::try_from(index.index(weights.len())).unwrap().saturating_add(1);
            let code = [FINAL, RETRY, RefusalCode::NoEntry][usize::from(what % 3)];
            let response = if what == 3 { signed(number, statement(7)) } else { refused(number, statement(7), code) };
            let _ = quorum.handle(response);
            let refusals = quorum.refusals();
            let weigh = |keep: &dyn Fn(&RefusalReport) -> bool| refusals.iter().filter(|r| keep(r))
                .fold(U256::ZERO, |sum, r| sum.saturating_add(set.weight_of(r.operator)));
            let lost = weigh(&|r| !r.code.is_retryable());
            prop_assert_eq!(quorum.progress().refused_weight, weigh(&|_| true));
            let reachable = set.total_weight().saturating_sub(lost) >= set.threshold();
            prop_assert_eq!(quorum.is_unreachable(), !reachable && !quorum.is_certified());
        }
    }
}
