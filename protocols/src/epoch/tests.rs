//! Epochs of 100 blocks from block 1000, the last 20 of them grace.

use proptest::prelude::*;

use super::*;
use crate::fixtures::{at, set_of};

const SCHEDULE: EpochSchedule = EpochSchedule {
    genesis: 1_000,
    length: 100,
    grace: 20,
};

fn loaded(epoch: u32) -> Input {
    Input::Loaded(set_of(epoch, &[1, 1, 1, 1]))
}

fn load(epoch: u32) -> Output {
    Output::Load(Epoch(epoch))
}

fn began(epoch: u32) -> Output {
    Output::Began(Epoch(epoch))
}

fn ended(epoch: u32) -> Output {
    Output::Ended(Epoch(epoch))
}

/// A machine in epoch 0 at block 1000.
fn begun() -> EpochMachine {
    let mut machine = EpochMachine::new(SCHEDULE);
    machine.handle(at(0), Input::Final(1_000));
    machine.handle(at(0), loaded(0));
    machine
}

fn known(machine: &EpochMachine) -> Vec<u32> {
    machine.sets().map(|set| set.epoch().0).collect()
}

#[test]
fn a_story_of_two_turns() {
    let grace = limits::EPOCH_GRACE_MS;
    let mut machine = EpochMachine::new(SCHEDULE);
    let story: Vec<(u64, Input, Vec<Output>)> = vec![
        (0, Input::Wake, vec![]),
        (0, Input::Final(1_000), vec![load(0)]),
        (1, Input::Final(1_001), vec![load(0)]),
        (2, loaded(0), vec![began(0)]),
        (3, Input::Final(1_079), vec![]),
        (4, Input::Final(1_080), vec![load(1)]),
        (5, Input::Final(1_081), vec![load(1)]),
        (6, loaded(1), vec![]),
        (7, Input::Final(1_099), vec![]),
        (8, Input::Final(1_100), vec![began(1)]),
        (9, Input::Final(1_100), vec![]),
        (8 + grace - 1, Input::Wake, vec![]),
        (8 + grace, Input::Wake, vec![ended(0)]),
        (8 + grace, Input::Wake, vec![]),
        (50_000, Input::Final(1_199), vec![load(2)]),
        (50_001, Input::Final(1_200), vec![load(2)]),
        (50_002, loaded(2), vec![began(2)]),
        (50_002 + grace, Input::Wake, vec![ended(1)]),
    ];
    for (millis, input, expected) in story {
        let outputs = machine.handle(at(millis), input.clone());
        assert_eq!(outputs, expected, "{input:?} after {millis} ms");
    }
    assert_eq!(machine.current(), Some(Epoch(2)));
    assert_eq!(known(&machine), [2]);
    assert_eq!(machine.next_wake(), None);
}

#[test]
fn the_turn_waits_for_the_set() {
    let mut machine = begun();
    assert_eq!(machine.handle(at(0), Input::Final(1_100)), [load(1)]);
    assert_eq!(machine.current(), Some(Epoch(0)));
    assert_eq!(machine.handle(at(1), Input::Wake), [load(1)]);
    // A provider that lags does not take the turn back.
    assert_eq!(machine.handle(at(1), Input::Final(1_079)), [load(1)]);
    assert_eq!(machine.handle(at(2), loaded(1)), [began(1)]);
}

#[test]
fn both_sets_serve_around_the_turn() {
    let mut machine = begun();
    machine.handle(at(0), Input::Final(1_080));
    machine.handle(at(0), loaded(1));
    assert_eq!(machine.current(), Some(Epoch(0)));
    assert_eq!(known(&machine), [0, 1]);
    machine.handle(at(5), Input::Final(1_100));
    assert_eq!(known(&machine), [0, 1]);
    let ends = at(5 + limits::EPOCH_GRACE_MS);
    assert_eq!(machine.next_wake(), Some(ends));
    assert_eq!(machine.handle(ends, Input::Wake), [ended(0)]);
    assert!(machine.set(Epoch(0)).is_none());
    assert!(machine.set(Epoch(1)).is_some());
}

#[test]
fn epochs_are_skipped_after_a_long_silence() {
    let mut machine = begun();
    machine.handle(at(0), Input::Final(1_080));
    machine.handle(at(0), loaded(1));
    let outputs = machine.handle(at(9), Input::Final(1_550));
    assert_eq!(outputs, [load(4), load(5)]);
    assert_eq!(machine.current(), Some(Epoch(0)));
    assert_eq!(machine.handle(at(10), loaded(5)), [began(5), load(4)]);
    // Neighbours may have begun tasks in epoch 1, so it has its grace although it never was here.
    assert_eq!(known(&machine), [0, 1, 5]);
    let ends = at(10 + limits::EPOCH_GRACE_MS);
    let over = [ended(0), ended(1), ended(4)];
    assert_eq!(machine.handle(ends, Input::Wake), over);
}

#[test]
fn who_starts_after_a_turn_can_finish_the_tasks_from_before() {
    let mut machine = EpochMachine::new(SCHEDULE);
    let outputs = machine.handle(at(0), Input::Final(1_201));
    assert_eq!(outputs, [load(1), load(2)]);
    assert_eq!(machine.handle(at(1), loaded(2)), [began(2), load(1)]);
    assert_eq!(machine.handle(at(2), loaded(1)), []);
    assert_eq!(known(&machine), [1, 2]);
    let ends = at(1 + limits::EPOCH_GRACE_MS);
    assert_eq!(machine.handle(ends, Input::Wake), [ended(1)]);
}

#[test]
fn a_set_from_before_that_never_comes_is_not_wanted_for_ever() {
    let mut machine = EpochMachine::new(SCHEDULE);
    machine.handle(at(0), Input::Final(1_201));
    machine.handle(at(1), loaded(2));
    let ends = at(1 + limits::EPOCH_GRACE_MS);
    assert_eq!(machine.handle(ends, Input::Final(1_202)), [ended(1)]);
    assert_eq!(machine.handle(ends, loaded(1)), []);
    assert_eq!(known(&machine), [2]);
}

#[test]
fn a_block_that_goes_back_changes_nothing() {
    let mut machine = begun();
    machine.handle(at(0), Input::Final(1_080));
    machine.handle(at(0), loaded(1));
    machine.handle(at(1), Input::Final(1_105));
    assert_eq!(machine.handle(at(2), Input::Final(1_099)), []);
    assert_eq!(machine.handle(at(2), Input::Final(3)), []);
    assert_eq!(machine.current(), Some(Epoch(1)));
}

#[test]
fn a_set_of_an_old_epoch_is_ignored() {
    let mut machine = EpochMachine::new(SCHEDULE);
    machine.handle(at(0), Input::Final(1_350));
    machine.handle(at(0), loaded(3));
    assert_eq!(machine.handle(at(1), loaded(1)), [load(2)]);
    assert_eq!(known(&machine), [3]);
}

#[test]
fn the_first_set_of_an_epoch_stays() {
    let mut machine = begun();
    machine.handle(at(1), Input::Loaded(set_of(0, &[9])));
    assert_eq!(machine.set(Epoch(0)).map(|s| s.members().len()), Some(4));
}

#[test]
fn a_start_in_the_grace_period_loads_all_that_are_in_use() {
    let mut machine = EpochMachine::new(SCHEDULE);
    let outputs = machine.handle(at(0), Input::Final(1_290));
    assert_eq!(outputs, [load(1), load(2), load(3)]);
    assert_eq!(machine.handle(at(1), loaded(3)), [load(1), load(2)]);
    assert_eq!(machine.handle(at(2), loaded(2)), [began(2), load(1)]);
    assert_eq!(machine.handle(at(3), loaded(1)), []);
}

#[test]
fn without_grace_the_set_is_loaded_at_the_turn() {
    let mut machine = EpochMachine::new(EpochSchedule {
        grace: 0,
        ..SCHEDULE
    });
    machine.handle(at(0), Input::Final(1_000));
    machine.handle(at(0), loaded(0));
    assert_eq!(machine.handle(at(1), Input::Final(1_099)), []);
    assert_eq!(machine.handle(at(2), Input::Final(1_100)), [load(1)]);
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => (900_u64..2_200).prop_map(Input::Final),
        4 => (0_u32..13).prop_map(loaded),
        1 => Just(Input::Wake),
    ]
}

proptest! {
    /// Whatever comes in whatever order: epochs only go forward, the set of the current one is
    /// there, and the machine never asks to be woken in the past.
    #[test]
    fn epochs_only_go_forward(inputs in prop::collection::vec((0_u64..20_000, any_input()), 1..80)) {
        let mut machine = EpochMachine::new(SCHEDULE);
        let (mut now, mut last, mut over) = (at(0), None, Vec::new());
        for (pause, input) in inputs {
            now = now.plus_millis(pause);
            for output in machine.handle(now, input) {
                match output {
                    Output::Began(epoch) => {
                        prop_assert!(Some(epoch) > last);
                        last = Some(epoch);
                    }
                    Output::Ended(epoch) => {
                        prop_assert!(Some(epoch) < last && !over.contains(&epoch));
                        over.push(epoch);
                    }
                    Output::Load(epoch) => prop_assert!(machine.set(epoch).is_none()),
                }
            }
            prop_assert_eq!(machine.current(), last);
            prop_assert!(last.is_none_or(|epoch| machine.set(epoch).is_some()));
            prop_assert!(over.iter().all(|epoch| machine.set(*epoch).is_none()));
            prop_assert!(machine.next_wake().is_none_or(|wake| wake > now));
        }
    }
}
