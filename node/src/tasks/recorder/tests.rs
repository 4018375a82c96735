use quorate_proto::wire::{TimelineAnswered, TimelineEnded, TimelineOutcome, TimelineReason};
use quorate_proto::{Address, B256};

use super::*;

const ROOM: usize = 1 << 20;

fn task(number: u8) -> TaskId {
    TaskId(B256::repeat_byte(number))
}

fn at(millis: u64) -> Timestamp {
    Timestamp(1_000_000 + millis * 1_000)
}

fn opened() -> Kind {
    event::opened(None, false)
}

fn answer(number: usize, detail: &str) -> Kind {
    Kind::Answered(TimelineAnswered {
        operator: Address::left_padding_from(&number.to_be_bytes()).to_vec(),
        refusal: i32::from(!detail.is_empty()),
        detail: detail.into(),
        ..TimelineAnswered::default()
    })
}

fn certified() -> Kind {
    Kind::Certified(quorate_proto::wire::TimelineCertified::default())
}

fn ended(missing: usize) -> Kind {
    Kind::Ended(TimelineEnded {
        missing: vec![vec![7; 20]; missing],
        ..TimelineEnded::default()
    })
}

/// Time, what happens then (`None`: the rows that are due), and the events in each row.
type Step = (u64, Option<Kind>, &'static [usize]);

fn play(recorder: &mut Recorder, steps: Vec<Step>) {
    for (number, (millis, kind, rows)) in steps.into_iter().enumerate() {
        if let Some(kind) = kind {
            recorder.note(at(millis), task(1), kind);
            continue;
        }
        let written = recorder.rows(at(millis), ROOM);
        let written: Vec<usize> = written.iter().map(|row| row.row.events.len()).collect();
        assert_eq!(written, rows, "step {number}");
    }
}

#[test]
fn a_usual_task_makes_three_rows() {
    let mut recorder = Recorder::default();
    play(
        &mut recorder,
        vec![
            (0, Some(opened()), &[]),
            (0, Some(event::asked(1)), &[]),
            (0, Some(event::announced(Address::ZERO, 0)), &[]),
            (0, None, &[3]),
            (2, Some(answer(1, "")), &[]),
            (2, None, &[]),
            (5, Some(answer(2, "")), &[]),
            (6, Some(answer(3, "")), &[]),
            (6, Some(certified()), &[]),
            (6, None, &[4]),
            (
                7,
                Some(event::delivered(1, TimelineOutcome::Certificate)),
                &[],
            ),
            (9, Some(answer(4, "")), &[]),
            (9, None, &[]),
            (256, None, &[]),
            (257, None, &[2]),
        ],
    );
    assert_eq!(recorder.next_wake(), Some(at(257 + LINGER_MS)));
    play(&mut recorder, vec![(257 + LINGER_MS, None, &[])]);
    assert!(!recorder.knows(task(1)) && recorder.next_wake().is_none());
}

#[test]
fn an_open_task_is_never_forgotten() {
    let mut recorder = Recorder::default();
    play(
        &mut recorder,
        vec![
            (0, Some(opened()), &[]),
            (0, None, &[1]),
            (60_000, None, &[]),
            (60_000, Some(ended(2)), &[]),
            (60_000, None, &[1]),
        ],
    );
    assert!(recorder.knows(task(1)));
}

#[test]
fn rows_keep_their_order_and_their_keys_ascend() {
    let mut recorder = Recorder::default();
    // The clock was ahead when the earlier rows were written.
    let last = Timestamp(at(500).0);
    let held = ResumedTask {
        last,
        ..ResumedTask::default()
    };
    recorder.resume(at(0), task(1), held);
    recorder.note(at(1), task(1), event::opened(None, true));
    let first = recorder.rows(at(1), ROOM).remove(0);
    recorder.note(at(1), task(1), certified());
    let second = recorder.rows(at(1), ROOM).remove(0);
    assert_eq!((first.at.0, second.at.0), (last.0 + 1, last.0 + 2));
}

#[test]
fn what_does_not_fit_the_round_is_written_in_the_next() {
    let mut recorder = Recorder::default();
    for number in 0..10 {
        recorder.note(at(0), task(number), opened());
    }
    let one = framed_len(&TimelineEvent {
        at_micros: at(0).0,
        kind: Some(opened()),
    });
    let rows = recorder.rows(at(0), 4 * one);
    assert_eq!(rows.len(), 4);
    assert_eq!(recorder.rows(at(0), 0), []);
    assert!(recorder.next_wake() <= Some(at(0)));
    assert_eq!(recorder.rows(at(0), ROOM).len(), 6);
}

#[test]
fn a_record_has_bounds_and_counts_what_it_leaves_out() {
    let table: [(&str, usize, usize); 3] = [
        ("short", 4, MAX_TIMELINE_EVENTS),
        ("reasons", 256, MAX_TIMELINE_EVENTS),
        ("few", 256, 100),
    ];
    for (name, detail, count) in table {
        let mut recorder = Recorder::default();
        recorder.note(at(0), task(1), opened());
        for number in 0..count {
            recorder.note(at(1), task(1), answer(number, &"x".repeat(detail)));
        }
        recorder.note(at(2), task(1), ended(500));
        let row = recorder.rows(at(2), ROOM).remove(0).row;
        assert!(row.events.len() <= MAX_TIMELINE_EVENTS, "{name}");
        assert!(
            row.encoded_len() <= MAX_TIMELINE_BYTES,
            "{name}: {}",
            row.encoded_len()
        );
        assert_eq!(row.events.len() + row.cut as usize, count + 2, "{name}");
        // How it ended is always told, with every operator that was missing.
        let last = row.events.last().and_then(|event| event.kind.clone());
        assert_eq!(last, Some(ended(500)), "{name}");
        assert_eq!(row.cut > 0, count > 100, "{name}: {}", row.cut);
        assert!(row.events.len() > count * 3 / 4, "{name}: {}", row.cut);
    }
}

#[test]
fn five_hundred_operators_fit_although_all_of_them_refuse_and_then_sign() {
    let mut recorder = Recorder::default();
    recorder.note(at(0), task(1), opened());
    for number in 0..1_000 {
        recorder.note(at(1), task(1), answer(number % 500, ""));
    }
    recorder.note(at(2), task(1), ended(0));
    let row = recorder.rows(at(2), ROOM).remove(0).row;
    assert_eq!((row.cut, row.events.len()), (0, 1_002));
}

#[test]
fn a_record_that_is_full_stays_full_after_it_was_forgotten() {
    let mut recorder = Recorder::default();
    let held = ResumedTask {
        events: MAX_TIMELINE_EVENTS,
        bytes: 100,
        last: at(0),
    };
    recorder.resume(at(1), task(1), held);
    recorder.note(at(1), task(1), answer(1, ""));
    let rows = recorder.rows(at(1 + WRITE_AFTER_MS), ROOM);
    assert_eq!((rows[0].row.events.len(), rows[0].row.cut), (0, 1));
}

#[test]
fn users_have_numbers_and_leave_once() {
    let mut recorder = Recorder::default();
    let (alice, bob) = (ClientId(70), ClientId(71));
    assert_eq!(recorder.user_asks(task(1), alice), None);
    recorder.note(at(0), task(1), opened());
    assert_eq!(recorder.user_asks(task(1), alice), Some(1));
    assert_eq!(recorder.user_asks(task(1), alice), None);
    assert_eq!(recorder.user_asks(task(1), bob), Some(2));
    assert_eq!(recorder.user_leaves(task(1), alice), Some(1));
    assert_eq!(recorder.user_leaves(task(1), alice), None);
    assert_eq!(recorder.user_leaves(task(1), bob), Some(2));
    assert_eq!(recorder.user_leaves(task(2), bob), None);
}

#[test]
fn the_own_answer_takes_its_time() {
    let mut recorder = Recorder::default();
    recorder.decides(at(0), task(1));
    assert_eq!(recorder.decided(at(5), task(1)), 0);
    recorder.note(at(0), task(1), opened());
    recorder.decides(at(1), task(1));
    assert_eq!(recorder.decided(at(5), task(1)), 4_000);
    assert_eq!(recorder.decided(at(6), task(1)), 0);
}

#[test]
fn what_came_without_a_beginning_is_forgotten() {
    let mut recorder = Recorder::default();
    recorder.note(at(0), task(1), event::declined(TimelineReason::SignerBusy));
    assert_eq!(recorder.rows(at(WRITE_AFTER_MS), ROOM).len(), 1);
    recorder.rows(at(WRITE_AFTER_MS + LINGER_MS), ROOM);
    assert!(!recorder.knows(task(1)));
}

#[test]
fn many_that_ended_are_forgotten_at_once() {
    let mut recorder = Recorder::default();
    let id = |number: usize| TaskId(B256::left_padding_from(&number.to_be_bytes()));
    for number in 0..MAX_TRACKS + 100 {
        recorder.note(at(0), id(number), certified());
    }
    while !recorder.rows(at(0), ROOM).is_empty() {}
    recorder.rows(at(1), ROOM);
    assert!(
        recorder.tracks.len() <= MAX_TRACKS,
        "{}",
        recorder.tracks.len()
    );
    recorder.rows(at(LINGER_MS + 1), ROOM);
    assert!(recorder.tracks.is_empty() && recorder.due.is_empty());
}
