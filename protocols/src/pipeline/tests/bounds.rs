//! Limits, and what must hold whatever comes in.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "tests panic on overflow, as they should"
)]

use proptest::prelude::*;

use super::*;

/// So much that the share of new tasks is out of the way.
const PLENTY: Totals = Totals {
    messages: 1_000_000,
    entries: 1_000_000,
    tasks: 1_000_000,
};

fn by(author: u8, statement: Statement) -> Input {
    Input::Announced {
        author: operator(author),
        statement,
        attempt: 0,
        set: set(),
    }
}

/// Every operator has announced its share.
fn crowded() -> Pipeline {
    let mut node = operator_one().with_totals(PLENTY);
    let share = u64::try_from(room::share(&set(), operator(1))).unwrap();
    for author in 1..=4 {
        for number in 0..share {
            let s = keyed(1, 10_000 * u64::from(author) + number, 7);
            tell(&mut node, 0, by(author, s));
        }
    }
    assert_eq!(node.open_tasks(), room::FOREIGN_TASKS);
    node
}

#[test]
fn a_full_node_refuses_more_tasks_and_says_so() {
    let mut node = crowded();
    let s = keyed(1, 1_000_000, 7);
    for input in [
        announced(0, s.clone()),
        heard(signed(2, s.clone())),
        learned(s.clone()),
    ] {
        assert_eq!(node.handle(at(1), input), Err(Refused::TooManyTasks));
    }
    for number in 0..u64::try_from(room::OWN_TASKS).unwrap() {
        tell(&mut node, 1, ask(ALICE, keyed(1, 2_000_000 + number, 7)));
    }
    assert_eq!(node.open_tasks(), limits::MAX_OPEN_TASKS);
    assert_eq!(
        node.handle(at(1), ask(ALICE, s.clone())),
        Err(Refused::TooManyTasks)
    );
    assert!(Refused::TooManyTasks.to_string().contains("8192"));
    assert!(node.report(s.task_id()).is_none());
    // What is under way goes on.
    let known = keyed(1, 20_005, 7);
    assert_eq!(names(&tell(&mut node, 2, agree(known.clone()))), ["attest"]);
    assert_eq!(names(&tell(&mut node, 2, ask(ALICE, known))), ["progress"]);
    // A task that ends makes room.
    tell(&mut node, 3, learned(keyed(1, 20_006, 7)));
    tell(&mut node, 3_000, Input::Wake);
    tell(&mut node, 3_000, announced(0, s));
}

#[test]
fn one_operators_junk_takes_no_place_of_another() {
    let mut node = operator_one();
    let mut open = 0;
    let refused = loop {
        // Half of it announced, half of it signed at once.
        let s = keyed(1, open, 666);
        let input = if open % 2 == 0 {
            by(3, s)
        } else {
            heard(signed(3, s))
        };
        match node.handle(at(0), input) {
            Ok(_) => open += 1,
            Err(refused) => break refused,
        }
    };
    let most = room::share(&set(), operator(3));
    assert_eq!(most, room::FOREIGN_TASKS / 4);
    let author = operator(3);
    assert_eq!(refused, Refused::TooManyOfAuthor { author, most });
    assert_eq!(node.open_tasks(), most);
    // Others and the own users do not notice.
    let (theirs, ours) = (keyed(1, 1_000_000, 7), keyed(1, 1_000_001, 7));
    assert_eq!(
        names(&tell(&mut node, 1, by(2, theirs))),
        ["opened", "observe"]
    );
    assert_eq!(
        names(&tell(&mut node, 1, ask(ALICE, ours))),
        ["opened", "announce", "attest", "progress"]
    );
    // What is certified counts against no operator.
    tell(&mut node, 2, learned(keyed(1, 0, 666)));
    tell(&mut node, 2, by(3, keyed(1, 2_000_000, 7)));
    // Nor what a user here asks for.
    tell(&mut node, 3, ask(BOB, keyed(1, 2, 666)));
    tell(&mut node, 3, by(3, keyed(1, 2_000_001, 7)));
    let refused = node.handle(at(3), by(3, keyed(1, 2_000_002, 7)));
    assert_eq!(refused, Err(Refused::TooManyOfAuthor { author, most }));
}

#[test]
fn who_refuses_junk_does_not_pay_for_it() {
    let mut node = operator_one();
    let value = RefusalCode::ValueDiffers;
    let mut orphans = 0_u64;
    while node
        .handle(at(0), heard(refused(2, keyed(1, orphans, 666), value)))
        .is_ok()
    {
        orphans += 1;
    }
    assert_eq!(orphans, u64::try_from(room::ORPHANS).unwrap());
    // Operator 2 has its whole share still, and so has who announces these tasks in the end.
    let most = u64::try_from(room::share(&set(), operator(2))).unwrap();
    for number in 0..most {
        tell(&mut node, 1, by(2, keyed(1, 10_000 + number, 7)));
    }
    assert_eq!(
        names(&tell(&mut node, 1, by(3, keyed(1, 0, 666)))),
        ["observe"]
    );
    assert!(
        node.handle(at(1), heard(refused(2, keyed(1, 9_999, 666), value)))
            .is_ok()
    );
}

#[test]
fn a_node_asks_no_more_than_others_listen_to() {
    let mut node = operator_one();
    let share = Totals::default().share(&set(), operator(1)).tasks;
    let mut asked = 0;
    let mut ask_all = |node: &mut Pipeline, millis| {
        let before = asked;
        let refused = loop {
            match node.handle(at(millis), ask(ALICE, keyed(1, asked, 7))) {
                Ok(_) => asked += 1,
                Err(refused) => break refused,
            }
        };
        (asked - before, refused)
    };
    let per_second = share.per_second * 9 / 10;
    let refused = Refused::TooFast { per_second };
    assert!(refused.to_string().contains("450 new tasks a second"));
    assert_eq!(ask_all(&mut node, 0), (u64::from(share.burst / 2), refused));
    assert_eq!(ask_all(&mut node, 1_000), (u64::from(per_second), refused));
    // What is open here is no new task.
    tell(&mut node, 1_000, announced(0, keyed(1, 1_000_000, 7)));
    tell(&mut node, 1_000, ask(ALICE, keyed(1, 1_000_000, 7)));
}

#[test]
fn a_task_with_too_many_users_refuses_the_next() {
    let s = statement(7);
    let mut node = operator_one();
    let not_final = refused(1, s.clone(), RefusalCode::NotFinal);
    tell(&mut node, 0, ask(ClientId(0), s.clone()));
    for client in 1..u64::try_from(limits::MAX_TASK_CLIENTS).unwrap() {
        tell(&mut node, 0, ask(ClientId(client), s.clone()));
    }
    tell(&mut node, 1, Input::Answered(not_final));
    let refused = node.handle(at(2), ask(ALICE, s.clone()));
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
    let refused = node.handle(at(0), heard(signed(9, s.clone())));
    assert_eq!(refused, Err(Refused::Ignored(stranger)));
    assert_eq!(node.open_tasks(), 0);
    tell(&mut node, 0, heard(signed(2, s.clone())));
    let again = node.handle(at(0), heard(signed(2, s.clone())));
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
            (0, agree(s.clone()), &[]),
            (0, disagree(s.clone(), RefusalCode::NotFinal), &[]),
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
            Just(ask(client, s.clone())),
            Just(announced(attempt, s.clone())),
            Just(agree(s.clone())),
            Just(disagree(s.clone(), code)),
            Just(Input::Answered(signed(1, s.clone()))),
            Just(Input::Answered(refused(1, s.clone(), code))),
            Just(heard(signed(number, s.clone()))),
            Just(heard(refused(number, s.clone(), code))),
            Just(learned(s.clone())),
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
            prop_assert_eq!(node.room.count(), node.open_tasks(), "every task has one place");
        }
        let last = now.plus_millis(limits::TASK_DEADLINE_MS);
        while let Some(wake) = node.next_wake() {
            prop_assert!(wake <= last);
            now = now.max(wake);
            node.handle(now, Input::Wake).unwrap();
            prop_assert!(node.next_wake().is_none_or(|next| next > now));
        }
        prop_assert_eq!((node.open_tasks(), node.room.count()), (0, 0));
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
