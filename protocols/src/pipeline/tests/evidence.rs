//! Two facts for one slot, signed by one operator.

use super::*;

#[test]
fn two_facts_for_one_slot_are_equivocation() {
    let (first, second) = (signed(2, keyed(1, 1, 7)), signed(2, keyed(1, 1, 8)));
    let mut node = operator_one();
    tell(&mut node, 0, heard(first.clone()));
    let outputs = tell(&mut node, 1, heard(second.clone()));
    assert_eq!(names(&outputs), ["opened", "equivocation", "counted"]);
    assert_eq!(outputs[1], Output::Equivocation(first, second));
}

#[test]
fn equivocation_across_an_epoch_turn_is_found() {
    let mut node = operator_one();
    let next = |response| Input::Heard {
        response,
        set: set_of(2, &[1, 1, 1, 1]),
    };
    tell(&mut node, 0, heard(signed(2, keyed(1, 1, 7))));
    let outputs = tell(&mut node, 1, next(signed(2, keyed(2, 1, 8))));
    assert_eq!(names(&outputs), ["opened", "equivocation", "counted"]);
    let outputs = tell(&mut node, 2, next(signed(3, keyed(2, 1, 7))));
    assert_eq!(names(&outputs), ["opened", "counted"]);
}

#[test]
fn what_is_no_equivocation() {
    let first = signed(2, keyed(1, 1, 7));
    for (other, why) in [
        (signed(3, keyed(1, 1, 8)), "another operator"),
        (signed(2, keyed(1, 2, 8)), "another slot"),
        (signed(2, keyed(2, 1, 7)), "the same fact in another epoch"),
        (
            refused(2, keyed(1, 1, 8), RefusalCode::Conflict),
            "a refusal",
        ),
    ] {
        let mut node = operator_one();
        tell(&mut node, 0, heard(first.clone()));
        let outputs = tell(&mut node, 1, heard(other));
        assert_eq!(names(&outputs), ["opened", "counted"], "{why}");
    }
}
