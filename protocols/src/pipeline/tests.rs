//! Four operators of weight 1, so three signatures certify. This node is operator 1.

mod bounds;
mod doubts;
mod evidence;
mod stragglers;

use quorate_proto::{Epoch, RefusalCode};

use super::*;
use crate::fixtures::{at, certificate, keyed, operator, refused, set_of, signed, statement};

const ALICE: ClientId = ClientId(1);
const BOB: ClientId = ClientId(2);

fn operator_one() -> Pipeline {
    Pipeline::new(Some(operator(1)), Times::default())
}

fn spectator() -> Pipeline {
    Pipeline::new(None, Times::default())
}

fn set() -> Arc<OperatorSet> {
    set_of(1, &[1, 1, 1, 1])
}

fn ask(client: ClientId, statement: Statement) -> Input {
    Input::Ask {
        client,
        statement,
        set: set(),
    }
}

fn announced(attempt: u32, statement: Statement) -> Input {
    Input::Announced {
        author: operator(2),
        statement,
        attempt,
        set: set(),
    }
}

fn heard(response: Response) -> Input {
    Input::Heard {
        response,
        set: set(),
    }
}

fn learned(statement: Statement) -> Input {
    Input::Learned {
        certificate: certificate(statement, &[2, 3, 4]),
        set: set(),
    }
}

fn agree(statement: Statement) -> Input {
    Input::Observed(statement.task_id(), Verdict::Agree)
}

fn disagree(statement: Statement, code: RefusalCode) -> Input {
    let verdict = Verdict::Refuse(code, code.describe().to_owned());
    Input::Observed(statement.task_id(), verdict)
}

/// Names outputs, so that a story fits on a line each.
fn names(outputs: &[Output]) -> Vec<&'static str> {
    let name = |output: &Output| match output {
        Output::Opened { .. } => "opened",
        Output::Observe(_) => "observe",
        Output::Attest(_) => "attest",
        Output::Refuse(..) => "refuse",
        Output::Announce(..) => "announce",
        Output::Respond(_) => "respond",
        Output::Counted { late: false, .. } => "counted",
        Output::Counted { late: true, .. } => "counted late",
        Output::Progress(..) => "progress",
        Output::Certified {
            publish: true,
            learned: false,
            ..
        } => "certified, publish",
        Output::Certified { publish: true, .. } => "learned, publish",
        Output::Certified { learned: false, .. } => "certified",
        Output::Certified { .. } => "learned",
        Output::Answer(..) => "answer",
        Output::Ended { .. } => "ended",
        Output::Equivocation(..) => "equivocation",
    };
    outputs.iter().map(name).collect()
}

fn tell(pipeline: &mut Pipeline, millis: u64, input: Input) -> Vec<Output> {
    pipeline.handle(at(millis), input).unwrap()
}

/// Plays a story: when, what comes in, what comes out.
fn play(pipeline: &mut Pipeline, story: Vec<(u64, Input, &[&str])>) {
    for (millis, input, expected) in story {
        let outputs = tell(pipeline, millis, input.clone());
        assert_eq!(names(&outputs), expected, "{input:?} after {millis} ms");
    }
}

#[test]
fn a_question_becomes_a_certificate() {
    let s = statement(7);
    let mut node = operator_one();
    play(
        &mut node,
        vec![
            (
                0,
                ask(ALICE, s.clone()),
                &["opened", "announce", "attest", "progress"],
            ),
            (
                1,
                Input::Answered(signed(1, s.clone())),
                &["respond", "counted", "progress"],
            ),
            (9, heard(signed(3, s.clone())), &["counted", "progress"]),
        ],
    );
    let outputs = tell(&mut node, 11, heard(signed(4, s.clone())));
    let expected = Output::Certified {
        certificate: certificate(s.clone(), &[1, 3, 4]),
        clients: vec![ALICE],
        publish: true,
        learned: false,
        after_micros: 11_000,
    };
    assert_eq!(outputs[1], expected);
    play(
        &mut node,
        vec![
            (12, heard(signed(2, s)), &["counted late"]),
            (2_999, Input::Wake, &[]),
            (3_000, Input::Wake, &[]),
        ],
    );
    assert_eq!((node.open_tasks(), node.next_wake()), (0, None));
}

#[test]
fn an_announcement_becomes_a_response() {
    let s = statement(7);
    let mut node = operator_one();
    let outputs = tell(&mut node, 0, announced(0, s.clone()));
    let opened = Output::Opened {
        statement: s.clone(),
        announced_by: Some(operator(2)),
    };
    assert_eq!(outputs, [opened, Output::Observe(s.clone())]);
    play(
        &mut node,
        vec![
            (1, announced(0, s.clone()), &[]),
            (1, announced(1, s.clone()), &[]),
            (2, agree(s.clone()), &["attest"]),
            (2, agree(s.clone()), &[]),
            (2, announced(1, s.clone()), &[]),
            (
                3,
                Input::Answered(signed(1, s.clone())),
                &["respond", "counted"],
            ),
            (4, announced(0, s.clone()), &[]),
            (5, heard(signed(2, s.clone())), &["counted"]),
            (6, heard(signed(3, s)), &["counted", "certified"]),
        ],
    );
}

#[test]
fn a_retry_gets_the_same_signature_again() {
    let s = statement(7);
    let mut node = operator_one();
    tell(&mut node, 0, announced(0, s.clone()));
    tell(&mut node, 1, agree(s.clone()));
    tell(&mut node, 2, Input::Answered(signed(1, s.clone())));
    let again = [Output::Respond(signed(1, s.clone()))];
    assert_eq!(tell(&mut node, 3_000, announced(1, s.clone())), again);
    assert_eq!(tell(&mut node, 6_000, announced(2, s)), again);
}

#[test]
fn what_could_not_be_signed_is_read_and_signed_at_the_next_announcement() {
    let s = statement(7);
    let unsigned = || Input::Unsigned(s.task_id());
    let differs = RefusalCode::ValueDiffers;
    for (verdict, signs) in [
        (agree(s.clone()), "attest"),
        (disagree(s.clone(), differs), "refuse"),
    ] {
        let mut node = operator_one();
        play(
            &mut node,
            vec![
                (0, announced(0, s.clone()), &["opened", "observe"]),
                (1, verdict, &[signs]),
                (2, unsigned(), &[]),
                (3_000, announced(1, s.clone()), &["observe"]),
                (3_001, unsigned(), &[]),
                (3_002, agree(s.clone()), &["attest"]),
                (
                    3_003,
                    Input::Answered(signed(1, s.clone())),
                    &["respond", "counted"],
                ),
                (3_004, unsigned(), &[]),
                (6_000, announced(2, s.clone()), &["respond"]),
            ],
        );
    }
}

#[test]
fn an_entry_node_that_could_not_sign_tries_again_with_its_own_announcement() {
    let s = statement(7);
    let mut node = operator_one();
    tell(&mut node, 0, ask(ALICE, s.clone()));
    play(
        &mut node,
        vec![
            (1, Input::Unsigned(s.task_id()), &[]),
            (3_000, Input::Wake, &["announce", "observe"]),
            (3_001, agree(s.clone()), &["attest"]),
            (
                3_002,
                Input::Answered(signed(1, s.clone())),
                &["respond", "counted", "progress"],
            ),
            (6_000, Input::Wake, &["announce"]),
        ],
    );
    // Who has no weight in the epoch does not begin to sign by it, and tasks that are over stay so.
    let mut node = spectator();
    tell(&mut node, 0, announced(0, s.clone()));
    play(
        &mut node,
        vec![
            (1, Input::Unsigned(s.task_id()), &[]),
            (2, Input::Unsigned(statement(8).task_id()), &[]),
            (3_000, announced(1, s), &[]),
        ],
    );
}

#[test]
fn a_retry_asks_again_only_what_may_change() {
    // A refusal, and what a retry brings about.
    for (code, retry) in [
        (RefusalCode::NotFinal, "observe"),
        (RefusalCode::ChainUnavailable, "observe"),
        (RefusalCode::ValueDiffers, "respond"),
        (RefusalCode::Conflict, "respond"),
    ] {
        let s = statement(7);
        let mut node = operator_one();
        play(
            &mut node,
            vec![
                (0, announced(0, s.clone()), &["opened", "observe"]),
                (1, disagree(s.clone(), code), &["refuse"]),
                (1, disagree(s.clone(), code), &[]),
                (
                    2,
                    Input::Answered(refused(1, s.clone(), code)),
                    &["respond", "counted"],
                ),
                (3, announced(0, s.clone()), &[]),
                (3_000, announced(1, s), &[retry]),
            ],
        );
    }
}

#[test]
fn a_refusal_may_turn_into_a_signature() {
    let s = statement(7);
    let code = RefusalCode::NotFinal;
    let mut node = operator_one();
    tell(&mut node, 0, announced(0, s.clone()));
    tell(&mut node, 1, disagree(s.clone(), code));
    tell(&mut node, 2, Input::Answered(refused(1, s.clone(), code)));
    play(
        &mut node,
        vec![
            (3_000, announced(1, s.clone()), &["observe"]),
            (3_001, agree(s.clone()), &["attest"]),
            (
                3_002,
                Input::Answered(signed(1, s.clone())),
                &["respond", "counted"],
            ),
        ],
    );
    assert_eq!(node.report(s.task_id()).map(|r| r.progress.signed), Some(1));
}

#[test]
fn the_entry_node_asks_itself_again_too() {
    let s = statement(7);
    let mut node = operator_one();
    let overloaded = refused(1, s.clone(), RefusalCode::Overloaded);
    tell(&mut node, 0, ask(ALICE, s.clone()));
    tell(&mut node, 1, Input::Answered(overloaded));
    play(
        &mut node,
        vec![
            (3_000, Input::Wake, &["announce", "observe"]),
            (3_001, agree(s), &["attest"]),
        ],
    );
}

#[test]
fn users_join_a_task_and_leave_it() {
    let s = statement(7);
    let carol = ClientId(3);
    let mut node = operator_one();
    play(
        &mut node,
        vec![
            (0, announced(0, s.clone()), &["opened", "observe"]),
            // This node has read for its user, so it signs without waiting for its own read.
            (1, ask(ALICE, s.clone()), &["attest", "progress"]),
            (1, agree(s.clone()), &[]),
            (2, ask(BOB, s.clone()), &["progress"]),
            (2, ask(carol, s.clone()), &["progress"]),
            (3, Input::Left(carol, s.task_id()), &[]),
            (4, heard(signed(2, s.clone())), &["counted", "progress"]),
            (5, heard(signed(3, s.clone())), &["counted", "progress"]),
        ],
    );
    let outputs = tell(&mut node, 6, heard(signed(4, s.clone())));
    let waiting = |output: &Output| match output {
        Output::Certified { clients, .. } => Some(clients.clone()),
        _ => None,
    };
    assert_eq!(outputs.iter().find_map(waiting), Some(vec![ALICE, BOB]));
    let answer = Output::Answer(carol, certificate(s.clone(), &[2, 3, 4]));
    assert_eq!(tell(&mut node, 7, ask(carol, s)), [answer]);
}

#[test]
fn a_hopeless_task_fails_for_its_user_at_once() {
    let s = statement(7);
    let differs = RefusalCode::ValueDiffers;
    let mut node = operator_one();
    tell(&mut node, 0, announced(0, s.clone()));
    tell(&mut node, 1, heard(refused(3, s.clone(), differs)));
    tell(&mut node, 1, heard(refused(4, s.clone(), differs)));
    let outputs = tell(&mut node, 2, ask(ALICE, s));
    assert_eq!(names(&outputs), ["attest", "ended"]);
    let Some(Output::Ended { report, clients }) = outputs.last() else {
        panic!("{outputs:?}");
    };
    assert_eq!(
        (report.status, clients.as_slice()),
        (Status::Failed, &[ALICE][..])
    );
    assert_eq!(report.refusals.len(), 2);
    assert_eq!((node.open_tasks(), node.next_wake()), (0, None));
}

#[test]
fn a_task_without_answers_expires_with_its_report() {
    let s = statement(7);
    let mut node = operator_one();
    tell(&mut node, 0, ask(ALICE, s.clone()));
    tell(&mut node, 1, Input::Answered(signed(1, s)));
    play(
        &mut node,
        vec![
            (3_000, Input::Wake, &["announce"]),
            (6_000, Input::Wake, &["announce"]),
            (9_000, Input::Wake, &["announce"]),
            (12_000, Input::Wake, &[]),
        ],
    );
    let outputs = tell(&mut node, 15_000, Input::Wake);
    let Some(Output::Ended { report, clients }) = outputs.last() else {
        panic!("{outputs:?}");
    };
    assert_eq!(
        (report.status, clients.as_slice()),
        (Status::Expired, &[ALICE][..])
    );
    assert_eq!(report.missing, [operator(2), operator(3), operator(4)]);
    assert_eq!(node.open_tasks(), 0);
}

#[test]
fn a_spectator_counts_but_neither_reads_nor_signs() {
    let s = statement(7);
    let without_stake = Pipeline::new(Some(operator(9)), Times::default());
    for mut node in [spectator(), without_stake] {
        play(
            &mut node,
            vec![
                (0, announced(0, s.clone()), &["opened"]),
                (0, agree(s.clone()), &[]),
                (0, announced(1, s.clone()), &[]),
                (1, ask(ALICE, s.clone()), &["progress"]),
                (1, heard(signed(2, s.clone())), &["counted", "progress"]),
                (2, heard(signed(3, s.clone())), &["counted", "progress"]),
                (
                    3,
                    heard(signed(4, s.clone())),
                    &["counted", "certified, publish"],
                ),
            ],
        );
    }
}

#[test]
fn a_certificate_is_learned_once() {
    let s = statement(7);
    let mut node = operator_one();
    play(
        &mut node,
        vec![
            (0, learned(s.clone()), &["opened", "learned"]),
            (1, learned(s.clone()), &[]),
            (2, announced(0, s.clone()), &["observe"]),
            (3, heard(signed(2, s.clone())), &["counted late"]),
            (4, heard(signed(3, s.clone())), &["counted late"]),
            (5, heard(signed(4, s.clone())), &["counted late"]),
            (6, ask(ALICE, s), &["attest", "answer"]),
            (3_000, Input::Wake, &[]),
        ],
    );
    assert_eq!(node.open_tasks(), 0);
}

#[test]
fn the_entry_node_publishes_what_it_learned() {
    let s = statement(7);
    let mut node = operator_one();
    tell(&mut node, 0, ask(ALICE, s.clone()));
    assert_eq!(names(&tell(&mut node, 1, learned(s))), ["learned, publish"]);
}

#[test]
fn an_epoch_ends_with_its_tasks() {
    let mut node = operator_one();
    let (pending, done, next) = (keyed(1, 1, 7), keyed(1, 2, 7), keyed(2, 1, 7));
    tell(&mut node, 0, ask(ALICE, pending.clone()));
    tell(&mut node, 0, learned(done));
    let of_next = Input::Announced {
        author: operator(2),
        statement: next.clone(),
        attempt: 0,
        set: set_of(2, &[1, 1]),
    };
    tell(&mut node, 0, of_next);
    let outputs = tell(&mut node, 5, Input::EpochEnded(Epoch(1)));
    let [Output::Ended { report, clients }] = outputs.as_slice() else {
        panic!("{outputs:?}");
    };
    assert_eq!(
        (report.task, report.status),
        (pending.task_id(), Status::Expired)
    );
    assert_eq!(clients, &[ALICE]);
    assert_eq!(node.open_tasks(), 1);
    assert!(node.report(next.task_id()).is_some());
}
