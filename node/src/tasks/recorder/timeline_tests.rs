//! What is recorded, as it is told.

use quorate_client::api::{EventKind, Timeline};
use quorate_proto::wire::timeline_event::Kind;
use quorate_proto::wire::{self, RefusalCode, TaskState, TimelineReply};
use quorate_proto::{Address, Domain, Epoch, StateProof, Statement, U256};

use super::event;

fn statement() -> Statement {
    Statement::StateProof(StateProof {
        user: Address::repeat_byte(1),
        chain_id: 10,
        block_number: 5,
        timestamp: 6,
        epoch: Epoch(7),
        key: U256::from(8),
        value: U256::from(9),
    })
}

fn operator(number: u8) -> Address {
    Address::repeat_byte(number)
}

fn domain() -> Domain {
    Domain::new(31_337, Address::repeat_byte(9))
}

fn at(at_micros: u64, kind: Kind) -> wire::TimelineEvent {
    wire::TimelineEvent {
        at_micros,
        kind: Some(kind),
    }
}

fn line(number: u8, weight: u64, answered: bool, refusal: RefusalCode) -> wire::TimelineOperator {
    wire::TimelineOperator {
        operator: operator(number).to_vec(),
        weight: U256::from(weight).to_be_bytes_vec(),
        answered,
        refusal: refusal.into(),
        after_micros: 1_500,
        ..wire::TimelineOperator::default()
    }
}

/// Begun twice: the second time counts.
fn reply() -> TimelineReply {
    let answer = |number: u8| {
        Kind::Answered(wire::TimelineAnswered {
            operator: operator(number).to_vec(),
            ..wire::TimelineAnswered::default()
        })
    };
    TimelineReply {
        task_id: statement().task_id().0.to_vec(),
        statement: Some((&statement()).into()),
        state: TaskState::Expired.into(),
        node_operator: operator(1).to_vec(),
        created_ms: 2,
        threshold: U256::from(67).to_be_bytes_vec(),
        total_weight: U256::from(100).to_be_bytes_vec(),
        operators: vec![
            line(1, 40, true, RefusalCode::Unspecified),
            line(2, 30, true, RefusalCode::NotFinal),
            line(3, 30, false, RefusalCode::Unspecified),
        ],
        events: vec![
            at(1_000, event::opened(None, false)),
            at(1_500, answer(2)),
            at(2_000, event::opened(Some(operator(3)), true)),
            at(2_250, event::announced(operator(2), 1)),
            at(3_500, answer(1)),
        ],
        cut: 3,
        ..TimelineReply::default()
    }
}

#[test]
fn times_count_from_the_last_beginning() {
    let timeline = Timeline::read(&reply(), &domain()).expect("well formed");
    let after: Vec<f64> = timeline.events.iter().map(|event| event.after_ms).collect();
    assert_eq!(after, [-1.0, -0.5, 0.0, 0.25, 1.5]);
    let seen: Vec<Option<f64>> = timeline.task.operators.iter().map(|o| o.seen_ms).collect();
    assert_eq!(seen, [Some(1.5), Some(0.25), Some(0.0)]);
    assert_eq!(timeline.cut, 3);
}

#[test]
fn weights_are_added_up() {
    let task = Timeline::read(&reply(), &domain())
        .expect("well formed")
        .task;
    assert_eq!(
        (task.signed_weight.as_str(), task.refused_weight.as_str()),
        ("40", "30")
    );
    assert_eq!(task.missing_weight.as_deref(), Some("27"));
    let outcomes: Vec<&str> = task.operators.iter().map(|o| o.outcome.as_str()).collect();
    assert_eq!(outcomes, ["signed", "refused", "missing"]);
    assert_eq!(
        task.operators[1].code.as_deref(),
        Some("block not final yet")
    );
}

#[test]
fn a_timeline_survives_its_json() {
    let timeline = Timeline::read(&reply(), &domain()).expect("well formed");
    let json = serde_json::to_value(&timeline).expect("JSON");
    assert_eq!(json["status"], "expired");
    assert_eq!(json["events"][3]["event"], "announced");
    assert_eq!(json["events"][3]["attempt"], 1);
    let back: Timeline = serde_json::from_value(json).expect("a timeline");
    assert_eq!(back.events, timeline.events);
    assert_eq!(back.task.operators.len(), 3);
}

#[test]
fn malformed_replies_are_told_by_their_field() {
    type Spoil = fn(&mut TimelineReply);
    let table: [(&str, Spoil); 6] = [
        ("statement", |reply| reply.statement = None),
        ("task_id", |reply| reply.task_id[0] ^= 1),
        ("operator", |reply| reply.node_operator = vec![1; 19]),
        ("threshold", |reply| reply.threshold = vec![1]),
        ("weight", |reply| reply.operators[0].weight = vec![1; 33]),
        ("operator", |reply| {
            reply
                .events
                .push(at(1, Kind::Announced(wire::TimelineAnnounced::default())));
        }),
    ];
    for (field, spoil) in table {
        let mut reply = reply();
        spoil(&mut reply);
        let error = Timeline::read(&reply, &domain()).expect_err(field);
        assert!(error.to_string().starts_with(field), "{error}");
    }
}

#[test]
fn what_a_later_version_tells_is_shown_as_unknown() {
    let mut reply = reply();
    reply.events.push(wire::TimelineEvent {
        at_micros: 9_000,
        kind: None,
    });
    reply.operators[0].refusal = 77;
    let timeline = Timeline::read(&reply, &domain()).expect("well formed");
    let last = timeline.events.last().map(|event| event.what.clone());
    assert_eq!(last, Some(EventKind::Unknown {}));
    assert_eq!(timeline.task.operators[0].outcome, "refused");
}
