#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test panics where it overflows"
)]

use proptest::prelude::*;

use super::*;
use crate::fixtures::{member, operator, set};

fn build(members: Vec<Operator>, threshold: u64) -> Result<OperatorSet, SetError> {
    let total = U256::from(100);
    OperatorSet::new(Epoch(1), members, total, U256::from(threshold))
}

#[test]
fn members_ascend_by_operator_and_are_found() {
    let set = build([3, 1, 4, 2].map(member).to_vec(), 67).unwrap();
    assert_eq!(set, crate::fixtures::set());
    assert_eq!(set.members(), [1, 2, 3, 4].map(member));
    assert_eq!(set.get(operator(3)), Some(&member(3)));
    assert_eq!(set.weight_of(operator(3)), U256::from(20));
    assert_eq!(set.get(operator(5)), None);
    assert_eq!(set.weight_of(operator(5)), U256::ZERO);
    assert_eq!(set.epoch(), Epoch(1));
    assert_eq!(set.total_weight(), U256::from(100));
    assert_eq!(set.threshold(), U256::from(67));
}

#[test]
fn who_has_no_weight_is_no_member() {
    let idle = Operator {
        weight: U256::ZERO,
        ..member(2)
    };
    // Left out before duplicates are looked for: an operator that left may be listed again.
    let set = build(vec![member(1), idle, member(2)], 67).unwrap();
    assert_eq!(set.members(), [member(1), member(2)]);
}

#[test]
fn a_set_has_no_operator_twice_and_a_threshold() {
    let again = Operator {
        weight: U256::from(1),
        ..member(1)
    };
    let duplicate = build(vec![member(1), member(2), again], 67);
    assert_eq!(duplicate, Err(SetError::Duplicate(operator(1))));
    assert_eq!(
        build(vec![member(1)], 0),
        Err(SetError::NoThreshold(Epoch(1)))
    );
    assert!(build(vec![], 1).unwrap().members().is_empty());
}

#[test]
fn the_stored_form_is_checked_when_read() {
    let record = || OperatorSetRecord::from(&set());
    assert_eq!(OperatorSet::try_from(&record()), Ok(set()));
    let with = |change: fn(&mut OperatorSetRecord)| {
        let mut record = record();
        change(&mut record);
        OperatorSet::try_from(&record).unwrap_err().to_string()
    };
    assert_eq!(
        with(|r| r.members[1] = r.members[0].clone()),
        "members do not make a set"
    );
    assert_eq!(
        with(|r| r.threshold = vec![0; 32]),
        "members do not make a set"
    );
    assert_eq!(
        with(|r| r.threshold = vec![]),
        "threshold must have 32 bytes"
    );
    assert_eq!(
        with(|r| r.total_weight = vec![1]),
        "total_weight must have 32 bytes"
    );
    assert_eq!(
        with(|r| r.members[0].operator = vec![]),
        "operator must have 20 bytes"
    );
    assert_eq!(
        with(|r| r.members[0].signing_key.clear()),
        "signing_key must have 20 bytes"
    );
    assert_eq!(
        with(|r| r.members[0].ed25519_key = vec![1]),
        "ed25519_key must have 32 bytes"
    );
    assert_eq!(
        with(|r| r.members[0].weight.clear()),
        "weight must have 32 bytes"
    );
}

#[test]
fn threshold_of_small_totals() {
    for total in 0_u64..=100_000 {
        let expected = U256::from(2 * total / 3 + 1);
        assert_eq!(threshold_of(U256::from(total)), expected, "{total}");
    }
}

#[test]
fn threshold_near_the_largest_total() {
    // 2t/3 for t = 2^256 - 1 - i, in 512 bits.
    for i in 0_u64..1_000 {
        let total = U256::MAX - U256::from(i);
        let wide = alloy_primitives::U512::from(total);
        let expected = wide * alloy_primitives::U512::from(2) / alloy_primitives::U512::from(3);
        let expected = U256::from(expected) + U256::from(1);
        assert_eq!(threshold_of(total), expected, "MAX - {i}");
    }
}

proptest! {
    #[test]
    fn a_threshold_is_more_than_two_thirds_and_never_more_than_all(limbs: [u64; 4]) {
        let total = U256::from_limbs(limbs);
        prop_assume!(!total.is_zero());
        let threshold = alloy_primitives::U512::from(threshold_of(total));
        let total = alloy_primitives::U512::from(total);
        let (two, three) = (alloy_primitives::U512::from(2), alloy_primitives::U512::from(3));
        prop_assert!(threshold * three > total * two);
        prop_assert!((threshold - alloy_primitives::U512::from(1)) * three <= total * two);
        prop_assert!(threshold <= total);
    }
}

#[test]
fn a_set_comes_back_from_a_reply() {
    let list = crate::wire::OperatorList::from(&set());
    assert_eq!(OperatorSet::try_from(&list), Ok(set()));
    let short = crate::wire::OperatorList {
        total_weight: vec![1],
        ..list
    };
    assert!(OperatorSet::try_from(&short).is_err());
}
