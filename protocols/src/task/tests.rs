use quorate_proto::RefusalCode;

use super::*;
use crate::fixtures::{at, certificate, operator, refused, set_of, signed, statement};

fn task(entry: bool) -> Task {
    Task::new(
        at(0),
        statement(7),
        set_of(1, &[1, 1, 1, 1]),
        Times::default(),
        entry,
    )
}

fn certify(task: &mut Task) -> Vec<Output> {
    (1..=3)
        .flat_map(|number| task.count(signed(number, statement(7))).unwrap())
        .collect()
}

/// Wakes the task whenever it wants, until it closes: when it was and what came out.
fn live(task: &mut Task) -> Vec<(u64, Vec<Output>)> {
    let mut story = Vec::new();
    loop {
        assert!(story.len() < 100, "never ends");
        let now = task.next_wake();
        let outputs = task.wake(now);
        let over = outputs.contains(&Output::Close);
        story.push((now.micros_since(at(0)) / 1_000, outputs));
        if over {
            return story;
        }
        assert!(task.next_wake() > now, "wants to be woken in the past");
    }
}

#[test]
fn the_entry_node_asks_three_times_more() {
    let mut task = task(true);
    let expired = vec![Output::Ended(Status::Expired), Output::Close];
    let story = [
        (3_000, vec![Output::Announce(1)]),
        (6_000, vec![Output::Announce(2)]),
        (9_000, vec![Output::Announce(3)]),
        (12_000, vec![]),
        (15_000, expired),
    ];
    assert_eq!(live(&mut task), story);
    assert_eq!(task.report().attempt, 3);
    assert_eq!(task.report().status, Status::Expired);
    assert_eq!(task.report().missing.len(), 4);
}

#[test]
fn the_others_only_wait() {
    let story = live(&mut task(false));
    let times: Vec<u64> = story.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [3_000, 6_000, 9_000, 12_000, 15_000]);
    assert!(story[..4].iter().all(|(_, outputs)| outputs.is_empty()));
    assert_eq!(story[4].1, [Output::Ended(Status::Expired), Output::Close]);
}

#[test]
fn waking_too_early_does_nothing() {
    let mut task = task(true);
    assert_eq!(task.wake(at(2_999)), []);
    assert_eq!(task.next_wake(), at(3_000));
}

#[test]
fn waking_late_moves_the_windows() {
    let mut task = task(true);
    assert_eq!(task.wake(at(8_000)), [Output::Announce(1)]);
    assert_eq!(task.next_wake(), at(11_000));
    assert_eq!(task.wake(at(13_000)), [Output::Announce(2)]);
    assert_eq!(task.next_wake(), at(15_000));
    assert_eq!(
        task.wake(at(60_000)),
        [Output::Ended(Status::Expired), Output::Close]
    );
}

#[test]
fn times_that_make_no_sense_are_bounded() {
    // window, deadline, first wake, end
    for (window, deadline, first, end) in [(0, 10, 1, 10), (20, 10, 10, 10), (0, 0, 1, 1)] {
        let times = Times { window, deadline };
        let set = set_of(1, &[1]);
        let mut task = Task::new(at(0), statement(7), set, times, false);
        assert_eq!(task.next_wake(), at(first), "{times:?}");
        assert_eq!(live(&mut task).last().unwrap().0, end, "{times:?}");
    }
}

#[test]
fn a_certified_task_closes_when_its_window_ends() {
    let mut task = task(true);
    let outputs = certify(&mut task);
    assert_eq!(
        outputs,
        [Output::Certified(certificate(statement(7), &[1, 2, 3]))]
    );
    assert_eq!(task.status(), Status::Certified);
    assert_eq!(task.wake(at(2_999)), []);
    assert_eq!(task.wake(at(3_000)), [Output::Close]);
}

#[test]
fn certified_in_a_later_window_it_closes_with_that_one() {
    let mut task = task(true);
    task.wake(at(3_000));
    certify(&mut task);
    assert_eq!(task.next_wake(), at(6_000));
    assert_eq!(task.wake(at(6_000)), [Output::Close]);
}

#[test]
fn a_late_response_counts_but_changes_nothing() {
    let mut task = task(true);
    certify(&mut task);
    let before = task.certificate().cloned();
    assert_eq!(task.count(signed(4, statement(7))), Ok(vec![]));
    assert_eq!(task.report().progress.signed, 4);
    assert_eq!(task.certificate().cloned(), before);
    assert_eq!(task.count(signed(4, statement(7))), Err(Ignored::Duplicate));
}

#[test]
fn only_the_entry_node_gives_up_early() {
    for (entry, outputs) in [
        (true, vec![Output::Ended(Status::Failed), Output::Close]),
        (false, vec![]),
    ] {
        let mut task = task(entry);
        let code = RefusalCode::ValueDiffers;
        assert_eq!(task.count(refused(1, statement(7), code)), Ok(vec![]));
        assert_eq!(
            task.count(refused(2, statement(7), code)),
            Ok(outputs),
            "entry {entry}"
        );
    }
}

#[test]
fn a_hopeless_task_fails_as_soon_as_somebody_waits_for_it() {
    let mut task = task(false);
    for number in 1..=2 {
        let refusal = refused(number, statement(7), RefusalCode::NoEntry);
        assert_eq!(task.count(refusal), Ok(vec![]));
    }
    let failed = [Output::Ended(Status::Failed), Output::Close];
    assert_eq!(task.become_entry(), failed);
    assert!(task.is_entry());
}

#[test]
fn whoever_joins_asks_from_the_next_window_on() {
    let mut task = task(false);
    assert_eq!(task.wake(at(3_000)), []);
    assert_eq!(task.become_entry(), []);
    assert_eq!(task.wake(at(6_000)), [Output::Announce(1)]);
}

#[test]
fn a_learned_certificate_ends_it_once() {
    let mut task = task(true);
    let learned = certificate(statement(7), &[2, 3, 4]);
    assert_eq!(
        task.learn(learned.clone()),
        [Output::Certified(learned.clone())]
    );
    assert_eq!(task.learn(learned.clone()), []);
    assert_eq!(certify(&mut task), []);
    assert_eq!(task.certificate(), Some(&learned));
}

#[test]
fn only_signatures_are_signed() {
    let mut task = task(true);
    task.count(signed(1, statement(7))).unwrap();
    task.count(refused(2, statement(7), RefusalCode::NotFinal))
        .unwrap();
    assert!(task.signed_by(operator(1)).is_some());
    assert!(task.signed_by(operator(2)).is_none());
    assert!(task.signed_by(operator(3)).is_none());
}
