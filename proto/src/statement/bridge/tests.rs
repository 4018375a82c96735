#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test panics where it overflows"
)]

use alloy_primitives::{Bytes, U256};

use super::*;
use crate::fixtures::{bridge_pause, transfer, transfer_closed};
use crate::statement::StatementKind as _;
use crate::{SlotId, Statement, wire};

fn changed_transfers() -> Vec<(&'static str, Transfer, bool)> {
    let was = transfer();
    let change = |change: &dyn Fn(&mut Transfer)| {
        let mut changed = was.clone();
        change(&mut changed);
        changed
    };
    vec![
        (
            "source chain",
            change(&|t| t.route.source_chain += 1 << 32),
            true,
        ),
        (
            "source contract",
            change(&|t| t.route.source_contract = B256::ZERO),
            true,
        ),
        (
            "target chain",
            change(&|t| t.route.target_chain += 1 << 32),
            true,
        ),
        (
            "target contract",
            change(&|t| t.route.target_contract = B256::ZERO),
            true,
        ),
        ("nonce", change(&|t| t.nonce += 1 << 32), true),
        ("sender", change(&|t| t.sender = B256::ZERO), false),
        (
            "receiver",
            change(&|t| t.receiver = Bytes::from(vec![0; 20])),
            false,
        ),
        (
            "longer receiver",
            change(&|t| t.receiver = [&t.receiver[..], &[0]].concat().into()),
            false,
        ),
        ("token", change(&|t| t.token = B256::ZERO), false),
        ("amount", change(&|t| t.amount += U256::from(1)), false),
        ("deadline", change(&|t| t.deadline += 1), false),
    ]
}

#[test]
fn a_transfer_is_signed_whole_and_its_number_is_the_question() {
    let was = transfer();
    for (field, changed, asks_another) in changed_transfers() {
        assert_ne!(was.fact(), changed.fact(), "{field}");
        assert_ne!(was.task_id(), changed.task_id(), "{field}");
        assert_eq!(was.slot() != changed.slot(), asks_another, "{field}");
    }
    let mut later = was.clone();
    later.epoch.0 += 1;
    assert_eq!((was.slot(), was.fact()), (later.slot(), later.fact()));
    assert_ne!(was.task_id(), later.task_id());
}

#[test]
fn the_kinds_of_one_number_are_questions_of_their_own() {
    let (sent, closed, pause) = (transfer(), transfer_closed(), bridge_pause());
    assert_eq!((sent.route, sent.nonce), (closed.route, closed.nonce));
    let slots: [SlotId; 3] = [sent.slot(), closed.slot(), pause.slot()];
    assert!(slots[0] != slots[1] && slots[1] != slots[2] && slots[0] != slots[2]);
}

#[test]
fn a_pause_is_about_one_change_of_one_bridge() {
    let was = bridge_pause();
    for (field, changed, asks_another) in [
        ("chain", BridgePause { chain_id: 7, ..was }, true),
        (
            "contract",
            BridgePause {
                contract: B256::ZERO,
                ..was
            },
            true,
        ),
        ("sequence", BridgePause { sequence: 8, ..was }, true),
        (
            "paused",
            BridgePause {
                paused: !was.paused,
                ..was
            },
            false,
        ),
        ("time", BridgePause { time: 1, ..was }, false),
    ] {
        assert_eq!(was.slot() != changed.slot(), asks_another, "{field}");
        assert_ne!(was.fact(), changed.fact(), "{field}");
    }
}

#[test]
fn votes_for_one_thing_are_one_statement_and_say_no_time() {
    let vote = BridgePause::vote(10, B256::repeat_byte(1), 3, true);
    assert_eq!((vote.epoch.0, vote.time, vote.fact_time()), (0, 0, 0));
    let named = |vote: &BridgePause| {
        vote.words()
            .fields
            .iter()
            .any(|(name, _)| *name == "Proposed")
    };
    assert!(!named(&vote));
    assert!(named(&BridgePause { time: 1, ..vote }));
}

#[test]
fn the_time_of_a_transfer_is_no_later_than_its_sending() {
    let sent = transfer();
    assert_eq!(sent.fact_time(), sent.deadline - Transfer::MAX_LIFETIME);
    let old = Transfer {
        deadline: 1,
        ..sent
    };
    assert_eq!(old.fact_time(), 0);
}

fn malformed_transfers() -> Vec<(&'static str, wire::Transfer)> {
    let with = |change: &dyn Fn(&mut wire::Transfer)| {
        let mut message = wire::Transfer::from(&transfer());
        change(&mut message);
        message
    };
    vec![
        ("nonce must not be zero", with(&|m| m.nonce = 0)),
        ("amount must not be zero", with(&|m| m.amount = vec![0; 32])),
        ("amount must have 32 bytes", with(&|m| m.amount = vec![1])),
        (
            "receiver must have 1 to 64 bytes",
            with(&|m| m.receiver.clear()),
        ),
        (
            "receiver must have 1 to 64 bytes",
            with(&|m| m.receiver = vec![1; 65]),
        ),
        (
            "sender must have 32 bytes",
            with(&|m| m.sender = vec![1; 20]),
        ),
        ("token must have 32 bytes", with(&|m| m.token = vec![1; 20])),
        ("route is missing", with(&|m| m.route = None)),
    ]
}

#[test]
fn malformed_fields_of_transfers_are_named() {
    for (expected, message) in malformed_transfers() {
        let error = Transfer::try_from(&message).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let mut longest = wire::Transfer::from(&transfer());
    longest.receiver = vec![1; 64];
    assert!(Transfer::try_from(&longest).is_ok());
}

#[test]
fn numbers_of_the_bridge_begin_at_one() {
    let mut closed = wire::TransferClosed::from(&transfer_closed());
    closed.nonce = 0;
    assert!(TransferClosed::try_from(&closed).is_err());
    let mut pause = wire::BridgePause::from(&bridge_pause());
    pause.sequence = 0;
    assert!(BridgePause::try_from(&pause).is_err());
}

#[test]
fn statements_of_the_bridge_travel_in_protobuf_and_json() {
    for statement in [
        Statement::from(transfer()),
        transfer_closed().into(),
        bridge_pause().into(),
    ] {
        let message = wire::Statement::from(&statement);
        assert_eq!(Statement::try_from(&message).as_ref(), Ok(&statement));
        let json = serde_json::to_string(&crate::StatementJson::from(&statement)).unwrap();
        let read: crate::StatementJson = serde_json::from_str(&json).unwrap();
        assert_eq!(Statement::from(&read), statement);
    }
}
