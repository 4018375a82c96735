//! A task's record on the request stream.

use quorate_proto::wire::timeline_event::Kind as Event;
use quorate_proto::wire::{self, reply, request};
use quorate_proto::{ReadBasis, RefusalCode};

use crate::fixtures::{member, operator, statement};
use crate::vectors::{Exchange, weight};

/// Somebody asks what became of a task, then follows what happens.
pub(crate) fn exchange() -> [Exchange; 4] {
    let ask = |name, id, kind| Exchange {
        name,
        kind: Ok(wire::Request {
            id,
            kind: Some(kind),
        }),
    };
    let reply = |name, id, kind| Exchange {
        name,
        kind: Err(wire::Reply {
            id,
            kind: Some(kind),
        }),
    };
    let query = wire::TimelineQuery {
        task_id: statement().task_id().0.to_vec(),
        begins_with: String::new(),
    };
    [
        ask("request_timeline", 6, request::Kind::Timeline(query)),
        reply("reply_timeline", 6, reply::Kind::Timeline(timeline())),
        ask("request_live", 7, request::Kind::Live(wire::LiveQuery {})),
        reply("reply_live", 7, reply::Kind::Live(live_events())),
    ]
}

/// One of each kind, as operator 1 saw a task that expired after its restart.
fn kinds() -> [Event; 14] {
    let answered = |number, refusal: RefusalCode, detail: &str| wire::TimelineAnswered {
        operator: operator(number).to_vec(),
        refusal: refusal.into(),
        detail: detail.to_owned(),
        late: number == 4,
        took_micros: if number == 1 { 480 } else { 0 },
    };
    [
        Event::Opened(wire::TimelineOpened {
            heard_of: operator(2).to_vec(),
            again: true,
        }),
        Event::Interrupted(wire::TimelineInterrupted {}),
        Event::Asked(wire::TimelineAsked { user: 1 }),
        Event::Announced(wire::TimelineAnnounced {
            operator: operator(1).to_vec(),
            attempt: 1,
        }),
        Event::Read(wire::TimelineRead {
            took_micros: 12_000,
            block_hash: vec![3; 32],
            basis: ReadBasis::Proof.into(),
            ..wire::TimelineRead::default()
        }),
        Event::Answered(answered(1, RefusalCode::Unspecified, "")),
        Event::Answered(answered(
            3,
            RefusalCode::NotFinal,
            "block 12345, final 12300",
        )),
        Event::Sent(wire::TimelineSent {
            item: wire::TimelineItem::AnswerAgain.into(),
        }),
        Event::Certified(wire::TimelineCertified {
            signers: 2,
            learned: true,
        }),
        Event::Delivered(wire::TimelineDelivered {
            user: 1,
            outcome: wire::TimelineOutcome::Error.into(),
        }),
        Event::Ended(wire::TimelineEnded {
            state: wire::TaskState::Expired.into(),
            signed_weight: weight(40),
            threshold: weight(67),
            missing: vec![operator(2).to_vec(), operator(4).to_vec()],
        }),
        Event::Equivocated(wire::TimelineEquivocated {
            operator: operator(2).to_vec(),
            other_task: vec![5; 32],
        }),
        Event::Declined(wire::TimelineDeclined {
            reason: wire::TimelineReason::SignerBusy.into(),
        }),
        Event::Answered(answered(4, RefusalCode::Unspecified, "")),
    ]
}

pub(crate) fn timeline_events() -> Vec<wire::TimelineEvent> {
    let times = (0..).map(|number| 1_700_000_012_345_000 + 250 * number);
    let event = |(at_micros, kind)| wire::TimelineEvent {
        at_micros,
        kind: Some(kind),
    };
    times.zip(kinds()).map(event).collect()
}

fn timeline() -> wire::TimelineReply {
    let line = |number: u8, answered, refusal: RefusalCode| wire::TimelineOperator {
        operator: operator(number).to_vec(),
        weight: member(number).weight.to_be_bytes_vec(),
        answered,
        refusal: refusal.into(),
        after_micros: if answered { 1_250 } else { 0 },
        late: number == 4,
        ..wire::TimelineOperator::default()
    };
    wire::TimelineReply {
        task_id: statement().task_id().0.to_vec(),
        statement: Some((&statement()).into()),
        state: wire::TaskState::Expired.into(),
        node_operator: operator(1).to_vec(),
        created_ms: 1_700_000_012_345,
        ended_ms: 1_700_000_027_345,
        entry: true,
        announced_by: operator(2).to_vec(),
        attempts: 2,
        read_micros: 12_000,
        read_at_block: vec![3; 32],
        failure: "weight 40 of 67 signed".to_owned(),
        threshold: weight(67),
        total_weight: weight(100),
        operators: vec![
            line(1, true, RefusalCode::Unspecified),
            line(2, false, RefusalCode::Unspecified),
            line(3, true, RefusalCode::NotFinal),
            line(4, true, RefusalCode::Unspecified),
        ],
        events: timeline_events(),
        cut: 3,
        ..wire::TimelineReply::default()
    }
}

fn live_events() -> wire::LiveEvents {
    let event = |event| wire::LiveEvent {
        task_id: statement().task_id().0.to_vec(),
        event: Some(event),
        statement: None,
    };
    let mut events: Vec<_> = timeline_events().into_iter().take(2).map(event).collect();
    events[0].statement = Some((&statement()).into());
    wire::LiveEvents { events, skipped: 7 }
}
