//! What comes after the end of a task.

use super::*;

/// A task that this node signed and that was certified, closed after its window.
fn certified_and_closed(s: Statement) -> Pipeline {
    let mut node = operator_one();
    tell(&mut node, 0, announced(0, s.clone()));
    tell(&mut node, 1, agree(s.clone()));
    tell(&mut node, 2, Input::Answered(signed(1, s.clone())));
    tell(&mut node, 3, heard(signed(2, s.clone())));
    tell(&mut node, 4, heard(signed(3, s)));
    tell(&mut node, 3_000, Input::Wake);
    assert_eq!(node.open_tasks(), 0);
    node
}

#[test]
fn a_certified_task_is_not_opened_again() {
    let s = statement(7);
    let mut node = certified_and_closed(s.clone());
    play(
        &mut node,
        vec![
            (3_001, heard(signed(4, s.clone())), &[]),
            (
                3_002,
                heard(refused(4, s.clone(), RefusalCode::NotFinal)),
                &[],
            ),
            (3_003, learned(s.clone()), &[]),
            (3_004, agree(s.clone()), &[]),
            (3_005, Input::Answered(signed(1, s)), &["respond"]),
        ],
    );
    assert_eq!((node.open_tasks(), node.next_wake()), (0, None));
}

#[test]
fn who_still_collects_gets_the_signature_once_more() {
    let s = statement(7);
    let mut node = certified_and_closed(s.clone());
    for attempt in [0, 1] {
        let outputs = tell(&mut node, 3_001, announced(attempt, s.clone()));
        assert_eq!(outputs, [Output::Respond(signed(1, s.clone()))]);
    }
    assert_eq!(node.open_tasks(), 0);
}

#[test]
fn without_a_signature_there_is_nothing_to_send() {
    let s = statement(7);
    let mut node = spectator();
    tell(&mut node, 0, learned(s.clone()));
    tell(&mut node, 3_000, Input::Wake);
    assert_eq!(tell(&mut node, 3_001, announced(1, s)), []);
    assert_eq!(node.open_tasks(), 0);
}

#[test]
fn a_failed_task_is_not_opened_by_its_last_responses() {
    let s = statement(7);
    let differs = RefusalCode::ValueDiffers;
    let mut node = operator_one();
    tell(&mut node, 0, ask(ALICE, s.clone()));
    tell(&mut node, 1, Input::Answered(signed(1, s.clone())));
    play(
        &mut node,
        vec![
            (
                8,
                heard(refused(2, s.clone(), differs)),
                &["counted", "progress"],
            ),
            (
                9,
                heard(refused(3, s.clone(), differs)),
                &["counted", "ended"],
            ),
            (9, heard(refused(4, s.clone(), differs)), &[]),
            (9, heard(signed(4, s.clone())), &[]),
            // The user tries once more.
            (
                20,
                ask(ALICE, s.clone()),
                &["opened", "announce", "attest", "progress"],
            ),
            (30, heard(signed(4, s)), &["counted", "progress"]),
        ],
    );
}

#[test]
fn an_expired_task_may_be_announced_and_certified_again() {
    let s = statement(7);
    for (input, expected) in [
        (announced(0, s.clone()), &["opened", "observe"][..]),
        (learned(s.clone()), &["opened", "learned"]),
        (heard(signed(2, s.clone())), &[]),
    ] {
        let mut node = operator_one();
        tell(&mut node, 0, heard(signed(3, s.clone())));
        for millis in [3_000, 6_000, 9_000, 12_000, 15_000] {
            tell(&mut node, millis, Input::Wake);
        }
        assert_eq!(node.open_tasks(), 0);
        let outputs = tell(&mut node, 15_001, input);
        assert_eq!(names(&outputs), expected);
    }
}

#[test]
fn the_memory_fades() {
    let s = statement(7);
    let mut node = certified_and_closed(s.clone());
    assert_eq!(tell(&mut node, 17_999, heard(signed(4, s.clone()))), []);
    let outputs = tell(&mut node, 18_000, heard(signed(4, s)));
    assert_eq!(names(&outputs), ["opened", "counted"]);
}

#[test]
fn the_memory_is_bounded() {
    let over = |certified| recent::Over {
        certified,
        signed: None,
    };
    let task = |key| keyed(1, key, 7).task_id();
    let mut recent = Recent::new(15_000);
    for key in 0..u64::try_from(recent::MAX_RECENT_TASKS).unwrap() {
        recent.insert(at(0), task(key), over(false));
    }
    // The oldest ends once more, so it is the newest now and the next one makes room.
    recent.insert(at(1), task(0), over(true));
    recent.insert(at(1), task(1_000_000), over(false));
    assert!(recent.get(at(1), task(0)).is_some_and(|o| o.certified));
    assert!(recent.get(at(1), task(1)).is_none());
    assert!(recent.get(at(1), task(2)).is_some());
    recent.remove(task(2));
    assert!(recent.get(at(1), task(2)).is_none());
    assert!(recent.get(at(15_000), task(3)).is_none());
    assert!(recent.get(at(15_000), task(0)).is_some());
    assert!(recent.get(at(15_001), task(0)).is_none());
}
