use quorate_proto::B256;

use super::*;

fn ids(count: u8) -> Vec<TaskId> {
    (0..count)
        .map(|number| TaskId(B256::repeat_byte(number)))
        .collect()
}

/// A peer with pages of three, that has every other one of the tasks.
fn page(asked: &[TaskId]) -> (Vec<TaskId>, bool) {
    let has = |id: &&TaskId| id.0[0].is_multiple_of(2);
    let items: Vec<TaskId> = asked.iter().filter(has).take(3).copied().collect();
    let more = items.len() == 3;
    (items, more)
}

#[test]
fn tasks_beyond_a_page_are_asked_for_again() {
    let (mut asked, mut got) = (ids(20), Vec::new());
    let mut questions = 0;
    while !asked.is_empty() {
        let (items, more) = page(&asked);
        let answered = match more {
            true => Answered::UpTo(items.last().copied()),
            false => Answered::All,
        };
        got.extend(items);
        asked = behind(asked, answered).unwrap();
        questions += 1;
    }
    let all: Vec<TaskId> = ids(20).into_iter().step_by(2).collect();
    assert_eq!((got, questions), (all, 4));
}

#[test]
fn who_has_more_but_sends_nothing_lies() {
    for last in [None, Some(TaskId(B256::repeat_byte(99)))] {
        let left = behind(ids(5), Answered::UpTo(last));
        assert!(matches!(left, Err(AskError::Fault(_))), "{left:?}");
    }
}

#[test]
fn what_was_left_out_is_taken_when_its_reason_is_gone() {
    assert_eq!(again_after(0, 0), None);
    assert_eq!(again_after(0, 1), Some(COMPARE_AGAIN_MS));
    assert_eq!(again_after(1, 1), Some(verify::ALLOWANCE_MS));
}
