use quorate_proto::{Operator, U256};

use super::*;

fn set(epoch: u32, members: u8) -> Arc<OperatorSet> {
    let member = |number: u8| Operator {
        address: Address::repeat_byte(number),
        signing_key: Address::repeat_byte(number),
        weight: U256::from(10),
    };
    let total = U256::from(10 * u64::from(members));
    let members = (1..=members).map(member).collect();
    let set = OperatorSet::new(Epoch(epoch), members, total, fixed_at(epoch));
    Arc::new(set.expect("a set"))
}

fn fixed_at(epoch: u32) -> u64 {
    1_700_000_000 + u64::from(epoch) * 3_600
}

fn at_ms(ms: u64) -> Timestamp {
    Timestamp(0).plus_millis(ms)
}

#[test]
fn every_operator_has_a_turn_of_its_own_and_the_first_one_changes() {
    for epoch in 0..9 {
        let set = set(epoch, 4);
        let rank = |number| rank_of(Address::repeat_byte(number), &set, epoch.into());
        let mut ranks: Vec<u64> = (1..=4).map(rank).collect();
        let first = ranks.iter().position(|rank| *rank == 0);
        assert_eq!(first, Some(epoch as usize % 4));
        ranks.sort_unstable();
        assert_eq!(ranks, [0, 1, 2, 3]);
        assert_eq!(rank(9), 4, "a stranger comes last");
    }
}

#[test]
fn turns_come_two_seconds_apart_and_round_again() {
    let set = set(4, 4);
    let mut turns = AnnouncementTurns::default();
    let second = Address::repeat_byte(2);
    assert!(!turns.take(at_ms(0), second, &set, 7, 4));
    assert_eq!(turns.next_wake(), Some(at_ms(STEP_MS)));
    assert!(!turns.take(at_ms(STEP_MS - 1), second, &set, 7, 4));
    assert!(turns.take(at_ms(STEP_MS), second, &set, 7, 4));
    assert!(!turns.take(at_ms(STEP_MS + 1), second, &set, 7, 4));
    assert_eq!(turns.next_wake(), Some(at_ms(STEP_MS + ROUND_MS)));
    assert!(turns.take(at_ms(STEP_MS + ROUND_MS), second, &set, 7, 4));
}

#[test]
fn in_a_large_set_a_round_is_as_long_as_all_turns() {
    let set = set(0, 100);
    let mut turns = AnnouncementTurns::default();
    let first = Address::repeat_byte(1);
    assert!(turns.take(at_ms(0), first, &set, 7, 0));
    assert_eq!(turns.next_wake(), Some(at_ms(100 * STEP_MS)));
}

#[test]
fn what_is_over_is_forgotten_and_named() {
    let mut turns = AnnouncementTurns::default();
    turns.take(at_ms(0), Address::repeat_byte(1), &set(0, 1), 7, 0);
    turns.take(at_ms(0), Address::repeat_byte(1), &set(1, 1), 8, 1);
    assert_eq!(turns.retain(|key| *key == 8), [7]);
    assert_eq!(turns.retain(|_| false), [8]);
    assert_eq!(turns.next_wake(), None);
}

#[test]
fn sets_hand_over_to_the_epoch_after_theirs_only() {
    let view = EpochView::of(vec![set(3, 2), set(5, 2), set(6, 3)]);
    let pairs: Vec<_> = hand_overs(&view).collect();
    let [(by, update)] = pairs.as_slice() else {
        panic!("one pair: {pairs:?}");
    };
    assert_eq!((by.epoch(), update.epoch), (Epoch(5), Epoch(5)));
    assert_eq!(update.next_epoch, Epoch(6));
    assert_eq!(update.set_hash, set(6, 3).hash());
    assert_eq!(update.time, fixed_at(6));
}

#[test]
fn a_set_that_lacks_members_is_not_handed_over_to() {
    let whole = EpochView::of(vec![set(1, 4), set(2, 3)]);
    assert_eq!(hand_overs(&whole).count(), 1);
    let total = U256::from(40);
    let members = set(2, 3).members().to_vec();
    let lacking = OperatorSet::new(Epoch(2), members, total, 0);
    let lacking = EpochView::of(vec![set(1, 4), Arc::new(lacking.expect("a set"))]);
    assert_eq!(hand_overs(&lacking).count(), 0);
}

#[test]
fn who_has_left_the_set_shows_no_hand_over() {
    let (me, view) = (Address::repeat_byte(3), EpochView::of(vec![set(5, 3)]));
    assert_eq!(shown(&view, me, Some(Epoch(6))), Some(Epoch(6)));
    assert_eq!(shown(&view, me, None), None, "as it was");
    let left = EpochView::of(vec![set(5, 3), set(6, 2)]);
    for certified in [None, Some(Epoch(6))] {
        assert_eq!(shown(&left, me, certified), Some(Epoch(0)));
    }
    assert_eq!(shown(&EpochView::default(), me, None), None);
}
