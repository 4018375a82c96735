//! What several registries make of one operator.

use super::*;

fn serving() -> Membership {
    let mut machine = Membership::new(MANUAL);
    for number in 1..=4 {
        machine.handle(at(0), registered(number, 1)).unwrap();
        machine.handle(at(1), joined(number, 1)).unwrap();
    }
    machine.handle(at(2), began(1, &[10, 10, 10, 10])).unwrap();
    machine
}

fn witnessed(misses: &[u32], registries: usize) -> Input {
    Input::Witnessed {
        operator: operator(4),
        misses: misses.to_vec(),
        registries,
    }
}

fn after(machine: &mut Membership, misses: &[u32], registries: usize) -> (u32, OperatorStatus) {
    machine
        .handle(at(3), witnessed(misses, registries))
        .unwrap();
    let member = machine.get(operator(4)).unwrap();
    (member.misses, member.status)
}

#[test]
fn most_registries_suspend_and_reinstate() {
    let mut machine = serving();
    assert_eq!(after(&mut machine, &[5, 7], 3), (5, Suspended));
    let cause = machine.get(operator(4)).unwrap().cause;
    assert_eq!(cause, Cause::Missed);
    assert_eq!(after(&mut machine, &[0, 5], 3), (5, Suspended));
    assert_eq!(after(&mut machine, &[0, 0], 3), (0, Active));
    let cause = machine.get(operator(4)).unwrap().cause;
    assert_eq!(cause, Cause::Reinstated);
}

#[test]
fn a_minority_changes_nothing() {
    for (misses, registries) in [
        (&[99_u32][..], 2),
        (&[99, 0], 3),
        (&[99], 3),
        (&[99, 99], 4),
        (&[99, 99], 5),
        (&[99, 99, 0, 0], 5),
        (&[], 1),
        (&[], 0),
    ] {
        let mut machine = serving();
        assert_eq!(
            after(&mut machine, misses, registries),
            (0, Active),
            "{misses:?}"
        );
    }
}

#[test]
fn nothing_is_said_of_who_does_not_serve() {
    let mut machine = serving();
    machine.handle(at(3), deregistered(4, 110)).unwrap();
    machine.handle(at(4), began(2, &[10, 10, 10])).unwrap();
    assert_eq!(after(&mut machine, &[9, 9], 3), (0, Unactive));
    let strangers = Input::Witnessed {
        operator: operator(9),
        misses: vec![5, 5],
        registries: 3,
    };
    assert_eq!(machine.handle(at(5), strangers), Ok(Vec::new()));
}
