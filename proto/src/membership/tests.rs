use super::*;
use crate::fixtures::{member_record, transition};

/// How a record is damaged, and what is said.
type Damage = (fn(&mut MembershipRecord), &'static str);

#[test]
fn the_stored_form_is_checked_when_read() {
    let record = || MembershipRecord::from(&member_record());
    assert_eq!(Member::try_from(&record()), Ok(member_record()));
    let with = |change: fn(&mut MembershipRecord)| {
        let mut record = record();
        change(&mut record);
        Member::try_from(&record).map_err(|error| error.to_string())
    };
    let table: [Damage; 7] = [
        (|r| r.operator.clear(), "operator must have 20 bytes"),
        (|r| r.status = 0, "status is not a status"),
        (|r| r.status = 6, "status is not a status"),
        (|r| r.cause = 0, "cause is not a cause"),
        (|r| r.cause = -1, "cause is not a cause"),
        (|r| r.peer_key.push(0), "peer_key must have 32 bytes"),
        (|r| r.changes.reverse(), "changes must ascend by epoch"),
    ];
    for (change, expected) in table {
        assert_eq!(with(change), Err(expected.to_owned()));
    }
    let unbound = with(|r| r.peer_key.clear()).unwrap();
    assert_eq!(unbound.binding, None);
}

#[test]
fn an_event_is_a_transition_with_a_number() {
    let event = transition().to_event(7);
    assert_eq!(event.sequence, 7);
    assert_eq!(Transition::try_from(&event), Ok(transition()));
    let new = Transition {
        from: None,
        ..transition()
    };
    assert_eq!(Transition::try_from(&new.to_event(8)), Ok(new));
    let with = |change: fn(&mut wire::LifecycleEvent)| {
        let mut event = event.clone();
        change(&mut event);
        Transition::try_from(&event).unwrap_err().to_string()
    };
    assert_eq!(with(|e| e.to = 0), "to is not a status");
    assert_eq!(with(|e| e.from = 9), "from is not a status");
    assert_eq!(with(|e| e.cause = 99), "cause is not a cause");
    assert_eq!(with(|e| e.operator.clear()), "operator must have 20 bytes");
    assert_eq!(
        with(|e| e.note = "x".repeat(257)),
        "note must have at most 256 bytes"
    );
}

#[test]
fn a_note_is_cut_where_it_does_not_fit() {
    let long = Transition {
        note: "é".repeat(200),
        ..transition()
    };
    let event = long.to_event(1);
    assert_eq!(event.note.len(), 256);
    assert!(Transition::try_from(&event).is_ok());
}

#[test]
fn every_status_and_cause_has_a_number_of_its_own() {
    let known = |number: &i32| status("status", *number).is_ok();
    assert_eq!((-1..20).filter(known).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    for number in 1..=5 {
        let back = wire::OperatorStatus::from(status("status", number).unwrap());
        assert_eq!(back as i32, number);
    }
    for number in 1..=7 {
        let back = wire::LifecycleCause::from(cause("cause", number).unwrap());
        assert_eq!(back as i32, number);
    }
    assert!(cause("cause", 8).is_err());
}

#[test]
fn a_state_tells_the_newest_registration_and_the_exit_from_it() {
    let state = |changes: &[(u32, bool)]| {
        let change = |(epoch, registered): &(u32, bool)| RegistrationChange {
            epoch: Epoch(*epoch),
            registered: *registered,
        };
        let changes = changes.iter().map(change).collect();
        let member = Member {
            changes,
            ..member_record()
        };
        let state = wire::OperatorState::from(&member);
        (state.active_epoch, state.exit_epoch)
    };
    assert_eq!(state(&[(1, true)]), (1, 0));
    assert_eq!(state(&[(1, true), (3, false)]), (1, 3));
    assert_eq!(state(&[(1, true), (3, false), (5, true)]), (5, 0));
    assert_eq!(state(&[(3, false)]), (0, 3));
}
