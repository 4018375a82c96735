//! Epochs of 100 blocks from block 0, the last 20 of them grace. Four operators of equal weight.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test panics where it overflows"
)]

mod properties;
mod witnesses;

use std::collections::BTreeSet;

use quorate_proto::{EpochSchedule, TaskId};

use super::*;
use crate::fixtures::{at, operator, set_of};
use LifecycleCause as Cause;
use OperatorStatus::{Active, Suspended, Unactive, WaitingActive, WaitingJoin};

const SCHEDULE: EpochSchedule = EpochSchedule {
    genesis: 0,
    length: 100,
    grace: 20,
};

const MANUAL: Policy = Policy {
    misses: 5,
    reinstatement: Reinstatement::Manual,
};

const NEXT_EPOCH: Policy = Policy {
    misses: 5,
    reinstatement: Reinstatement::NextEpoch,
};

fn registered(number: u8, block: u64) -> Input {
    Input::Registered {
        operator: operator(number),
        log: LogPosition { block, index: 0 },
        active_epoch: SCHEDULE.effective_epoch(block),
    }
}

fn deregistered(number: u8, block: u64) -> Input {
    Input::Deregistered {
        operator: operator(number),
        log: LogPosition { block, index: 0 },
        exit_epoch: SCHEDULE.effective_epoch(block),
    }
}

fn joined(number: u8, sequence: u64) -> Input {
    Input::Joined {
        operator: operator(number),
        peer_key: [number; 32],
        sequence,
        counts: false,
    }
}

/// An epoch in which operators 1, 2 and so on have these weights.
fn began(epoch: u32, weights: &[u64]) -> Input {
    Input::EpochBegan {
        set: set_of(epoch, weights),
        block: u64::from(epoch) * 100,
    }
}

/// Four operators are asked in epoch `epoch`; these sign, none refuses.
fn closed(epoch: u32, began: u64, signed: &[u8]) -> Input {
    Input::TaskClosed(ClosedTask {
        task: TaskId(B256::repeat_byte(7)),
        began: at(began),
        asked: set_of(epoch, &[1, 1, 1, 1]),
        signed: signed.iter().map(|n| operator(*n)).collect(),
        refused: BTreeSet::new(),
    })
}

fn reinstated(number: u8) -> Input {
    Input::Reinstated {
        operator: operator(number),
        by: "Ada".to_owned(),
    }
}

/// What the event log gets, shortly.
type Said = (Option<OperatorStatus>, OperatorStatus, Cause);

fn said(outputs: &[Output]) -> Vec<Said> {
    let said = |output: &Output| match output {
        Output::Transition(t) => Some((t.from, t.to, t.cause)),
        Output::Keep(_) | Output::Bound { .. } => None,
    };
    outputs.iter().filter_map(said).collect()
}

fn tell(machine: &mut Membership, millis: u64, input: Input) -> Vec<Said> {
    let outputs = machine.handle(at(millis), input.clone());
    said(&outputs.unwrap_or_else(|refused| panic!("{input:?} is refused: {refused}")))
}

fn status(machine: &Membership, number: u8) -> (OperatorStatus, Cause) {
    let member = machine.get(operator(number)).expect("a member");
    (member.status, member.cause)
}

/// In epoch 1 four operators are active since 1 s.
fn four(policy: Policy) -> Membership {
    let mut machine = Membership::new(policy);
    for number in 1..=4 {
        tell(&mut machine, 0, registered(number, u64::from(number)));
        tell(&mut machine, 0, joined(number, 1));
    }
    tell(&mut machine, 1_000, began(1, &[1, 1, 1, 1]));
    machine
}

/// The first three answer, the fourth is silent.
fn misses(machine: &mut Membership, epoch: u32, count: u64) -> Vec<Said> {
    let task = |n| tell(machine, 5_000 + n, closed(epoch, 2_000, &[1, 2, 3]));
    (0..count).flat_map(task).collect()
}

#[test]
fn a_life_from_registration_to_return() {
    let mut machine = Membership::new(MANUAL);
    let all = &[1, 1, 1, 1][..];
    let story: Vec<(Input, Vec<Said>)> = vec![
        (
            registered(4, 10),
            vec![(None, WaitingJoin, Cause::Registered)],
        ),
        (began(0, &[1, 1, 1]), vec![]),
        (
            joined(4, 1),
            vec![(Some(WaitingJoin), WaitingActive, Cause::Joined)],
        ),
        (
            began(1, all),
            vec![(Some(WaitingActive), Active, Cause::EpochBegan)],
        ),
        (began(2, all), vec![]),
        (deregistered(4, 250), vec![]),
        (
            began(3, &[1, 1, 1]),
            vec![(Some(Active), Unactive, Cause::Deregistered)],
        ),
        (
            registered(4, 385),
            vec![(Some(Unactive), WaitingJoin, Cause::Registered)],
        ),
        (began(4, &[1, 1, 1]), vec![]),
        (
            joined(4, 2),
            vec![(Some(WaitingJoin), WaitingActive, Cause::Joined)],
        ),
        // Registered in the grace period of epoch 3, so it counts from epoch 5.
        (
            began(5, all),
            vec![(Some(WaitingActive), Active, Cause::EpochBegan)],
        ),
    ];
    for (millis, (input, expected)) in (0..).zip(story) {
        assert_eq!(
            tell(&mut machine, millis, input.clone()),
            expected,
            "{input:?}"
        );
    }
}

#[test]
fn who_joins_when_its_epoch_has_begun_is_active_at_once() {
    let mut machine = Membership::new(MANUAL);
    tell(&mut machine, 0, registered(1, 10));
    tell(&mut machine, 0, began(1, &[1]));
    assert_eq!(status(&machine, 1), (WaitingJoin, Cause::Registered));
    let both = [
        (Some(WaitingJoin), WaitingActive, Cause::Joined),
        (Some(WaitingActive), Active, Cause::EpochBegan),
    ];
    assert_eq!(tell(&mut machine, 0, joined(1, 1)), both);
}

#[test]
fn too_little_weight_is_shown_as_the_cause_and_passes() {
    let mut machine = four(MANUAL);
    let light = (Some(Active), Unactive, Cause::BelowMinimum);
    assert_eq!(tell(&mut machine, 0, began(2, &[1, 1, 1, 0])), [light]);
    assert_eq!(tell(&mut machine, 0, began(3, &[1, 1, 1, 0])), []);
    let heavy = (Some(Unactive), Active, Cause::EpochBegan);
    assert_eq!(tell(&mut machine, 0, began(4, &[1, 1, 1, 1])), [heavy]);
    tell(&mut machine, 0, began(5, &[1, 1, 1, 0]));
    tell(&mut machine, 0, deregistered(4, 510));
    // It is out already; the log shows that it left.
    let left = (Some(Unactive), Unactive, Cause::Deregistered);
    assert_eq!(tell(&mut machine, 0, began(6, &[1, 1, 1])), [left]);
}

#[test]
fn a_registration_while_the_exit_is_pending_cancels_it() {
    let mut machine = four(MANUAL);
    assert_eq!(tell(&mut machine, 0, deregistered(4, 150)), []);
    assert_eq!(tell(&mut machine, 0, registered(4, 160)), []);
    assert_eq!(tell(&mut machine, 0, began(2, &[1, 1, 1, 1])), []);
    assert_eq!(status(&machine, 4).0, Active);
}

#[test]
fn a_return_after_a_gap_needs_a_join_whenever_it_is_seen() {
    // Out in epoch 2 only. One registry sees each epoch, another one sleeps through it.
    for epochs in [&[2, 3][..], &[3]] {
        let mut machine = four(MANUAL);
        tell(&mut machine, 0, deregistered(4, 150));
        let early = registered(4, 185);
        tell(&mut machine, 0, early);
        let mut all = Vec::new();
        for epoch in epochs {
            all.extend(tell(&mut machine, 0, began(*epoch, &[1, 1, 1, 1])));
        }
        let expected = [
            (Some(Active), Unactive, Cause::Deregistered),
            (Some(Unactive), WaitingJoin, Cause::Registered),
        ];
        assert_eq!(all, expected, "{epochs:?}");
        assert_eq!(machine.get(operator(4)).map(|m| m.binding), Some(None));
    }
}

#[test]
fn an_exit_before_the_first_epoch_leaves_nothing() {
    let mut machine = Membership::new(MANUAL);
    tell(&mut machine, 0, began(0, &[1]));
    tell(&mut machine, 0, registered(4, 10));
    tell(&mut machine, 0, joined(4, 1));
    let left = (Some(WaitingActive), Unactive, Cause::Deregistered);
    assert_eq!(tell(&mut machine, 0, deregistered(4, 20)), [left]);
    let refused = machine.handle(at(0), joined(4, 2));
    assert_eq!(refused, Err(Refused::Deregistered(operator(4))));
}

#[test]
fn five_misses_suspend_until_the_registry_reinstates() {
    let mut machine = four(MANUAL);
    assert_eq!(misses(&mut machine, 1, 4), []);
    let suspended = (Some(Active), Suspended, Cause::Missed);
    assert_eq!(misses(&mut machine, 1, 1), [suspended]);
    assert_eq!(misses(&mut machine, 1, 10), []);
    assert_eq!(machine.get(operator(4)).map(|m| m.misses), Some(5));
    assert_eq!(tell(&mut machine, 0, began(2, &[1, 1, 1, 1])), []);
    assert_eq!(status(&machine, 4), (Suspended, Cause::Missed));
    let outputs = machine
        .handle(at(9_000), reinstated(4))
        .expect("reinstated");
    let [Output::Keep(kept), Output::Transition(transition)] = outputs.as_slice() else {
        panic!("{outputs:?}");
    };
    assert_eq!((kept.misses, kept.status), (0, Active));
    assert_eq!((transition.note.as_str(), transition.block), ("Ada", 200));
    let again = machine.handle(at(9_001), reinstated(4));
    assert_eq!(again, Err(Refused::NotSuspended(operator(4))));
    let stranger = machine.handle(at(9_001), reinstated(9));
    assert_eq!(stranger, Err(Refused::UnknownOperator(operator(9))));
}

#[test]
fn the_next_epoch_forgives_where_it_may() {
    let mut machine = four(NEXT_EPOCH);
    misses(&mut machine, 1, 5);
    assert_eq!(status(&machine, 4), (Suspended, Cause::Missed));
    let forgiven = (Some(Suspended), Active, Cause::EpochBegan);
    assert_eq!(
        tell(&mut machine, 6_000, began(2, &[1, 1, 1, 1])),
        [forgiven]
    );
    let miss = |machine: &mut Membership, n| {
        let task = |_| tell(machine, 8_000, closed(2, 7_000, &[1, 2, 3]));
        (0..n).flat_map(task).count()
    };
    assert_eq!(miss(&mut machine, 4), 0);
    tell(&mut machine, 9_000, began(3, &[1, 1, 1, 1]));
    assert_eq!(miss(&mut machine, 4), 0);
    assert_eq!(miss(&mut machine, 1), 1);
}

#[test]
fn good_answers_are_counted_apart() {
    let mut machine = four(MANUAL);
    misses(&mut machine, 1, 4);
    for _ in 0..100 {
        tell(&mut machine, 5_000, closed(1, 2_000, &[2, 3, 4]));
    }
    let fourth = machine.get(operator(4)).expect("a member");
    assert_eq!((fourth.misses, fourth.successful_responses), (4, 100));
    assert_eq!(status(&machine, 1), (Suspended, Cause::Missed));
    assert_eq!(misses(&mut machine, 1, 1).len(), 1);
    assert_eq!(status(&machine, 4), (Suspended, Cause::Missed));
}

#[test]
fn a_registry_that_is_cut_off_blames_nobody() {
    let mut machine = four(MANUAL);
    for signed in [&[][..], &[1], &[1, 2]] {
        for _ in 0..9 {
            assert_eq!(tell(&mut machine, 5_000, closed(1, 2_000, signed)), []);
        }
    }
    assert!(machine.members().all(|m| m.misses == 0));
    assert!(machine.members().all(|m| m.successful_responses == 0));
}

#[test]
fn a_refusal_is_no_miss_and_no_success() {
    let mut machine = four(MANUAL);
    for _ in 0..9 {
        let refused = Input::TaskClosed(ClosedTask {
            task: TaskId(B256::ZERO),
            began: at(2_000),
            asked: set_of(1, &[1, 1, 1, 1]),
            signed: [operator(1)].into(),
            refused: [2, 3].map(operator).into(),
        });
        tell(&mut machine, 5_000, refused);
    }
    let counts = |n| {
        machine
            .get(operator(n))
            .map(|m| (m.misses, m.successful_responses))
    };
    assert_eq!([1, 2, 3].map(counts), [Some((0, 0)); 3]);
    assert_eq!(status(&machine, 4), (Suspended, Cause::Missed));
}

#[test]
fn a_task_from_before_an_operator_was_active_does_not_count() {
    let mut machine = four(MANUAL);
    for _ in 0..9 {
        tell(&mut machine, 5_000, closed(1, 999, &[1, 2, 3]));
    }
    assert_eq!(machine.get(operator(4)).map(|m| m.misses), Some(0));
    tell(&mut machine, 5_000, closed(1, 1_000, &[1, 2, 3]));
    assert_eq!(machine.get(operator(4)).map(|m| m.misses), Some(1));
}

#[test]
fn the_last_missed_task_is_in_the_log() {
    let mut machine = four(MANUAL);
    misses(&mut machine, 1, 4);
    let outputs = machine.handle(at(6_000), closed(1, 2_000, &[1, 2, 3]));
    let outputs = outputs.expect("taken");
    let Some(Output::Transition(transition)) = outputs.last() else {
        panic!("{outputs:?}");
    };
    assert_eq!(transition.note, TaskId(B256::repeat_byte(7)).to_string());
    assert_eq!(transition.at, at(6_000));
    // What is kept comes before what is said.
    assert!(matches!(outputs.first(), Some(Output::Keep(m)) if m.status == Suspended));
}

#[test]
fn who_is_suspended_may_leave_and_begins_anew() {
    let mut machine = four(MANUAL);
    misses(&mut machine, 1, 5);
    tell(&mut machine, 0, deregistered(4, 150));
    let left = (Some(Suspended), Unactive, Cause::Deregistered);
    assert_eq!(tell(&mut machine, 0, began(2, &[1, 1, 1])), [left]);
    let member = machine.get(operator(4)).expect("a member");
    assert_eq!((member.misses, member.binding), (0, None));
}

#[test]
fn who_is_suspended_and_too_light_is_shown_as_such_when_reinstated() {
    let mut machine = four(MANUAL);
    misses(&mut machine, 1, 5);
    assert_eq!(tell(&mut machine, 0, began(2, &[1, 1, 1, 0])), []);
    let light = (Some(Suspended), Unactive, Cause::BelowMinimum);
    assert_eq!(tell(&mut machine, 0, reinstated(4)), [light]);
}

#[test]
fn a_new_join_replaces_the_old_peer() {
    let mut machine = four(MANUAL);
    let join = |peer, sequence| Input::Joined {
        operator: operator(4),
        peer_key: [peer; 32],
        sequence,
        counts: false,
    };
    assert_eq!(machine.handle(at(1), joined(4, 1)), Ok(vec![]));
    let stale = Err(Refused::StaleJoin {
        known: 1,
        sequence: 1,
    });
    assert_eq!(machine.handle(at(1), join(9, 1)), stale);
    let replaced = |outputs: &[Output]| match outputs {
        [Output::Keep(m), Output::Bound { replaced, .. }] => {
            (m.binding.map(|b| b.peer_key[0]), replaced.map(|key| key[0]))
        }
        _ => panic!("{outputs:?}"),
    };
    let outputs = machine.handle(at(2), join(9, 2)).expect("a new peer");
    assert_eq!(replaced(&outputs), (Some(9), Some(4)));
    let outputs = machine.handle(at(3), join(9, 3)).expect("the same peer");
    assert_eq!(replaced(&outputs), (Some(9), None));
    let unknown = machine.handle(at(3), joined(7, 1));
    assert_eq!(unknown, Err(Refused::UnknownOperator(operator(7))));
    assert!(unknown.is_err_and(|refused| refused.is_retryable()));
}

#[test]
fn events_are_taken_once_and_epochs_only_go_forward() {
    let mut machine = four(MANUAL);
    tell(&mut machine, 0, deregistered(3, 150));
    tell(&mut machine, 0, began(2, &[1, 1, 0, 1]));
    let before: Vec<Member> = machine.members().cloned().collect();
    for input in [
        registered(1, 1),
        registered(3, 3),
        deregistered(3, 150),
        deregistered(9, 1),
        began(2, &[9]),
        began(1, &[1, 1, 1, 1]),
    ] {
        assert_eq!(
            machine.handle(at(99), input.clone()),
            Ok(vec![]),
            "{input:?}"
        );
    }
    assert!(machine.members().eq(&before));
}

#[test]
fn what_was_kept_is_restored() {
    for policy in [MANUAL, NEXT_EPOCH] {
        let mut machine = four(policy);
        misses(&mut machine, 1, 5);
        tell(&mut machine, 0, deregistered(3, 150));
        let mut again = Membership::restore(policy, machine.members().cloned());
        assert_eq!(again.state_hash(), machine.state_hash());
        assert_eq!(again.epoch(), None);
        // The driver tells the epoch and the last blocks again.
        assert_eq!(again.handle(at(7_000), deregistered(3, 150)), Ok(vec![]));
        assert_eq!(again.handle(at(7_000), began(1, &[1, 1, 1, 1])), Ok(vec![]));
        assert!(again.members().eq(machine.members()));
        let next = began(2, &[1, 1, 0, 1]);
        assert_eq!(
            again.handle(at(8_000), next.clone()),
            machine.handle(at(8_000), next)
        );
    }
}

#[test]
fn an_epoch_that_was_slept_through_is_made_up_for() {
    let machine = four(MANUAL);
    let mut again = Membership::restore(MANUAL, machine.members().cloned());
    // Before the epoch is known no operator is put out.
    assert_eq!(tell(&mut again, 0, deregistered(4, 150)), []);
    let left = (Some(Active), Unactive, Cause::Deregistered);
    assert_eq!(tell(&mut again, 0, began(7, &[1, 1, 1])), [left]);
    // Nor does an operator come back by leaving twice.
    let mut again = Membership::restore(MANUAL, again.members().cloned());
    assert_eq!(tell(&mut again, 0, deregistered(4, 750)), []);
    let back = (Some(Unactive), WaitingJoin, Cause::Registered);
    assert_eq!(tell(&mut again, 0, registered(4, 760)), [back]);
}

#[test]
fn the_state_hash_is_over_what_the_chain_does_not_say() {
    let mut machine = Membership::new(MANUAL);
    assert_eq!(machine.state_hash(), keccak256([]));
    tell(&mut machine, 0, registered(2, 1));
    assert_eq!(machine.state_hash(), keccak256([]));
    tell(&mut machine, 0, joined(2, 0x0102));
    let mut bytes = vec![2; 20];
    bytes.extend([2; 32]);
    bytes.extend([0, 0, 0, 0, 0, 0, 1, 2]);
    bytes.extend([0, 0, 0, 0, 0]);
    assert_eq!(bytes.len(), 65);
    assert_eq!(machine.state_hash(), keccak256(&bytes));
    tell(&mut machine, 0, began(1, &[1, 1]));
    assert_eq!(machine.state_hash(), keccak256(&bytes));

    let mut machine = four(MANUAL);
    misses(&mut machine, 1, 5);
    let entry = |number: u8, misses, suspended| {
        [
            &[number; 52][..],
            &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, misses, suspended],
        ]
        .concat()
    };
    let all = [
        entry(1, 0, 0),
        entry(2, 0, 0),
        entry(3, 0, 0),
        entry(4, 5, 1),
    ];
    assert_eq!(machine.state_hash(), keccak256(all.concat()));
}

#[test]
fn there_is_a_limit() {
    let mut machine = four(MANUAL);
    let change = |number: usize| Address::left_padding_from(&number.to_be_bytes());
    let member = machine.get(operator(1)).cloned().expect("a member");
    let crowd = (1..=limits::MAX_MEMBERS).map(|number| Member {
        operator: change(number),
        ..member.clone()
    });
    machine = Membership::restore(MANUAL, crowd);
    let one_more = machine.handle(at(0), registered(9, 500));
    assert_eq!(one_more, Err(Refused::TooManyMembers));
    assert_eq!(machine.members().len(), limits::MAX_MEMBERS);
}
