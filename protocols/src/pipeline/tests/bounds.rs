//! Limits, and what must hold whatever comes in.

use proptest::prelude::*;

use super::*;

fn full() -> Pipeline {
    let mut node = operator_one();
    for key in 0..u64::try_from(limits::MAX_OPEN_TASKS).unwrap() {
        tell(&mut node, 0, announced(0, keyed(1, key, 7)));
    }
    node
}

#[test]
fn a_full_node_refuses_more_tasks_and_says_so() {
    let mut node = full();
    let s = keyed(1, 1_000_000, 7);
    for input in [
        ask(ALICE, s),
        announced(0, s),
        heard(signed(2, s)),
        learned(s),
    ] {
        assert_eq!(node.handle(at(1), input), Err(Refused::TooManyTasks));
    }
    assert!(Refused::TooManyTasks.to_string().contains("8192"));
    assert!(node.report(s.task_id()).is_none());
    // What is under way goes on.
    let known = keyed(1, 5, 7);
    assert_eq!(names(&tell(&mut node, 2, agree(known))), ["attest"]);
    assert_eq!(names(&tell(&mut node, 2, ask(ALICE, known))), ["progress"]);
    // A task that ends makes room.
    tell(&mut node, 3, learned(keyed(1, 6, 7)));
    tell(&mut node, 3_000, Input::Wake);
    tell(&mut node, 3_000, ask(ALICE, s));
}

#[test]
fn a_task_with_too_many_users_refuses_the_next() {
    let s = statement(7);
    let mut node = operator_one();
    let not_final = refused(1, s, RefusalCode::NotFinal);
    tell(&mut node, 0, ask(ClientId(0), s));
    for client in 1..u64::try_from(limits::MAX_TASK_CLIENTS).unwrap() {
        tell(&mut node, 0, ask(ClientId(client), s));
    }
    tell(&mut node, 1, Input::Answered(not_final));
    let refused = node.handle(at(2), ask(ALICE, s));
    assert_eq!(refused, Err(Refused::TooManyClients));
    assert!(Refused::TooManyClients.to_string().contains("256"));
    // The refused question did not swallow this node's own turn to sign.
    let outputs = tell(&mut node, 3_000, Input::Wake);
    assert_eq!(names(&outputs), ["announce", "observe"]);
    // Who leaves makes room.
    tell(&mut node, 3_000, Input::Left(ClientId(7), s.task_id()));
    tell(&mut node, 3_000, ask(ALICE, s));
}

#[test]
fn what_does_not_count_is_refused_with_its_reason() {
    let s = statement(7);
    let mut node = operator_one();
    let stranger = Ignored::NotAMember(operator(9));
    let refused = node.handle(at(0), heard(signed(9, s)));
    assert_eq!(refused, Err(Refused::Ignored(stranger)));
    assert_eq!(node.open_tasks(), 0);
    tell(&mut node, 0, heard(signed(2, s)));
    let again = node.handle(at(0), heard(signed(2, s)));
    assert_eq!(again, Err(Refused::Ignored(Ignored::Duplicate)));
    let refused = node.handle(at(0), heard(signed(9, s)));
    assert_eq!(refused, Err(Refused::Ignored(stranger)));
}

#[test]
fn reports_about_unknown_tasks_are_harmless() {
    let s = statement(7);
    let mut node = operator_one();
    play(
        &mut node,
        vec![
            (0, agree(s), &[]),
            (0, disagree(s, RefusalCode::NotFinal), &[]),
            (0, Input::Left(ALICE, s.task_id()), &[]),
            (0, Input::EpochEnded(Epoch(1)), &[]),
            (0, Input::Wake, &[]),
            (0, Input::Answered(signed(1, s)), &["respond"]),
        ],
    );
    assert_eq!(node.open_tasks(), 0);
}

fn any_input() -> impl Strategy<Value = Input> {
    let what = (1_u64..4, 7_u64..9).prop_map(|(key, value)| keyed(1, key, value));
    let client = (0_u64..3).prop_map(ClientId);
    let code = prop_oneof![Just(RefusalCode::NotFinal), Just(RefusalCode::ValueDiffers)];
    (what, client, 1_u8..6, 0_u32..4, code).prop_flat_map(|(s, client, number, attempt, code)| {
        prop_oneof![
            Just(ask(client, s)),
            Just(announced(attempt, s)),
            Just(agree(s)),
            Just(disagree(s, code)),
            Just(Input::Answered(signed(1, s))),
            Just(Input::Answered(refused(1, s, code))),
            Just(heard(signed(number, s))),
            Just(heard(refused(number, s, code))),
            Just(learned(s)),
            Just(Input::Left(client, s.task_id())),
            Just(Input::EpochEnded(Epoch(1))),
            Just(Input::Wake),
            Just(Input::Wake),
        ]
    })
}

proptest! {
    /// Whatever comes in: a woken machine never wants to be woken again at once, a refused input
    /// changes nothing, and left alone every task is gone after its deadline.
    #[test]
    fn it_never_spins_and_never_leaks(
        inputs in prop::collection::vec((0_u64..2_000, any_input()), 1..120),
    ) {
        let mut node = operator_one();
        let mut now = at(0);
        for (pause, input) in inputs {
            now = now.plus_millis(pause);
            let before = (node.open_tasks(), node.next_wake());
            let woken = matches!(input, Input::Wake);
            if node.handle(now, input).is_err() {
                prop_assert_eq!(before, (node.open_tasks(), node.next_wake()));
            }
            prop_assert!(!woken || node.next_wake().is_none_or(|wake| wake > now));
        }
        let last = now.plus_millis(limits::TASK_DEADLINE_MS);
        while let Some(wake) = node.next_wake() {
            prop_assert!(wake <= last);
            now = now.max(wake);
            node.handle(now, Input::Wake).unwrap();
            prop_assert!(node.next_wake().is_none_or(|next| next > now));
        }
        prop_assert_eq!(node.open_tasks(), 0);
    }

    /// Between two openings a task is certified or ended at most once, and never both.
    #[test]
    fn a_task_ends_once(
        inputs in prop::collection::vec((0_u64..2_000, any_input()), 1..120),
    ) {
        let mut node = operator_one();
        let mut now = at(0);
        let mut over = HashMap::new();
        for (pause, input) in inputs {
            now = now.plus_millis(pause);
            for output in node.handle(now, input).unwrap_or_default() {
                match output {
                    Output::Opened { statement, .. } => {
                        prop_assert_ne!(over.insert(statement.task_id(), false), Some(false));
                    }
                    Output::Certified { certificate, .. } => {
                        let task = certificate.statement().task_id();
                        prop_assert_eq!(over.insert(task, true), Some(false));
                    }
                    Output::Ended { report, .. } => {
                        prop_assert_eq!(over.insert(report.task, true), Some(false));
                    }
                    _ => {}
                }
            }
        }
    }
}
