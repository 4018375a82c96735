#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test panics where it overflows"
)]

use alloy_primitives::keccak256;
use proptest::prelude::*;

use super::*;
use crate::fixtures::{FIXED_AT, member, next_set, operator, set, set_hash};
use crate::limits::MAX_OPERATORS;

fn build(members: Vec<Operator>, total: u64) -> Result<OperatorSet, SetError> {
    OperatorSet::new(Epoch(1), members, U256::from(total), FIXED_AT)
}

/// So many members of weight 1.
fn many(count: usize) -> Vec<Operator> {
    let member = |n: usize| Operator {
        address: Address::left_padding_from(&n.to_be_bytes()),
        signing_key: Address::left_padding_from(&(n + 1_000).to_be_bytes()),
        weight: U256::from(1),
    };
    (1..=count).map(member).collect()
}

#[test]
fn members_ascend_by_operator_and_are_found() {
    let set = build([3, 1, 4, 2].map(member).to_vec(), 100).unwrap();
    assert_eq!(set, crate::fixtures::set());
    assert_eq!(set.members(), [1, 2, 3, 4].map(member));
    assert_eq!(set.get(operator(3)), Some(&member(3)));
    assert_eq!(set.weight_of(operator(3)), U256::from(20));
    assert_eq!(set.get(operator(5)), None);
    assert_eq!(set.weight_of(operator(5)), U256::ZERO);
    assert_eq!(set.epoch(), Epoch(1));
    assert_eq!(set.total_weight(), U256::from(100));
    assert_eq!(set.threshold(), U256::from(67));
    assert_eq!(set.fixed_at(), FIXED_AT);
}

#[test]
fn who_has_no_weight_is_no_member() {
    let idle = Operator {
        weight: U256::ZERO,
        ..member(2)
    };
    // Left out before duplicates are looked for: an operator that left may be listed again.
    let set = build(vec![member(1), idle, member(2)], 100).unwrap();
    assert_eq!(set.members(), [member(1), member(2)]);
}

#[test]
fn a_set_has_no_operator_twice() {
    let again = Operator {
        weight: U256::from(1),
        ..member(1)
    };
    let duplicate = build(vec![member(1), member(2), again], 100);
    assert_eq!(duplicate, Err(SetError::Duplicate(operator(1))));
}

#[test]
fn nobody_certifies_anything_for_an_empty_set() {
    let empty = build(vec![], 0).unwrap();
    assert!(empty.members().is_empty() && empty.is_whole());
    assert_eq!(empty.threshold(), U256::from(1));
    assert_ne!(empty.hash(), build(vec![], 1).unwrap().hash());
}

#[test]
fn a_set_is_no_larger_than_other_chains_can_take() {
    assert!(build(many(MAX_OPERATORS), 500).unwrap().is_whole());
    let count = MAX_OPERATORS + 1;
    assert_eq!(build(many(count), 501), Err(SetError::TooMany(count)));
    // Who has no weight takes no place.
    let mut members = many(count);
    members[7].weight = U256::ZERO;
    assert!(build(members, 500).is_ok());
    let heavy = |weight: U256| {
        build(
            vec![Operator {
                weight,
                ..member(1)
            }],
            100,
        )
    };
    let first_too_large = U256::from(1) << 96;
    assert!(heavy(first_too_large - U256::from(1)).is_ok());
    let error = Err(SetError::Weight(operator(1)));
    assert_eq!(heavy(first_too_large), error);
    assert_eq!(heavy(U256::MAX), error);
}

#[test]
fn lists_that_are_too_long_are_not_read() {
    let members = many(MAX_OPERATORS);
    let mut record = OperatorSetRecord::from(&build(members.clone(), 500).unwrap());
    let mut list = wire::OperatorList::from(&build(members, 500).unwrap());
    assert!(OperatorSet::try_from(&record).is_ok() && OperatorSet::try_from(&list).is_ok());
    record.members.push(MemberRecord::default());
    list.operators.push(wire::OperatorEntry::default());
    let error = OperatorSet::try_from(&record).unwrap_err().to_string();
    assert_eq!(error, "members must be at most 500");
    let error = OperatorSet::try_from(&list).unwrap_err().to_string();
    assert_eq!(error, "operators must be at most 500");
}

#[test]
fn the_hash_is_that_of_the_tree_of_rfc_6962() {
    for count in (1..=70).chain([499, MAX_OPERATORS]) {
        let set = build(many(count), 500).unwrap();
        assert_eq!(set.hash(), set_hash(&set), "{count} members");
    }
    assert_eq!(next_set().hash(), set_hash(&next_set()));
}

#[test]
fn the_hash_of_two_members_by_hand() {
    let [a, b] = [member(1), member(2)];
    let leaf = |m: Operator| {
        let weight = B256::from(m.weight);
        let key = m.signing_key;
        keccak256(
            [
                &[0],
                m.address.as_slice(),
                key.as_slice(),
                weight.as_slice(),
            ]
            .concat(),
        )
    };
    let root = keccak256([&[1], leaf(a).as_slice(), leaf(b).as_slice()].concat());
    let (count, total) = ([0, 0, 0, 2], B256::from(U256::from(100)));
    let expected = keccak256([&count, total.as_slice(), root.as_slice()].concat());
    assert_eq!(build(vec![b, a], 100).unwrap().hash(), expected);
}

/// A change of a set, and what has changed.
type Change = (&'static str, fn(&mut Vec<Operator>, &mut u64));

#[test]
fn every_field_of_a_member_is_in_the_hash() {
    let changes: [Change; 7] = [
        ("operator", |m, _| m[3].address = operator(5)),
        ("signing key", |m, _| m[1].signing_key = operator(1)),
        ("weight", |m, _| m[2].weight += U256::from(1)),
        ("total", |_, total| *total += 1),
        ("one less", |m, _| m.truncate(3)),
        ("one more", |m, _| m.extend(many(1))),
        ("keys swapped", |m, _| {
            (m[0].signing_key, m[1].signing_key) = (m[1].signing_key, m[0].signing_key);
        }),
    ];
    for (what, change) in changes {
        let (mut members, mut total) = (set().members().to_vec(), 100);
        change(&mut members, &mut total);
        assert_ne!(
            build(members, total).unwrap().hash(),
            set().hash(),
            "{what}"
        );
    }
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
