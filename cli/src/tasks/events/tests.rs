use quorate_node::api::{OperatorReport, TaskReport, TimelineEvent};

use super::*;

fn operator(number: u8) -> String {
    format!("0x{}", hex::encode([number; 20]))
}

fn member(number: u8, weight: &str) -> OperatorReport {
    OperatorReport {
        operator: operator(number),
        weight: Some(weight.into()),
        outcome: "missing".into(),
        code: None,
        detail: None,
        after_ms: None,
        late: false,
        seen_ms: None,
        read_basis: None,
    }
}

fn timeline(events: Vec<(f64, EventKind)>) -> Timeline {
    let task = TaskReport {
        task_id: "0xb380".into(),
        status: "expired".into(),
        failure: None,
        statement: super::super::tests::update(),
        created_ms: 1,
        ended_ms: None,
        entry: true,
        announced_by: None,
        attempts: 2,
        read_ms: None,
        read_at_block: None,
        read_at_number: None,
        read_basis: None,
        providers: Vec::new(),
        certified_ms: None,
        signed_weight: "40".into(),
        refused_weight: "30".into(),
        threshold: Some("67".into()),
        total_weight: Some("100".into()),
        missing_weight: Some("27".into()),
        operators: vec![member(1, "40"), member(2, "30"), member(3, "30")],
        certificate_signers: Vec::new(),
    };
    let event = |(after_ms, what)| TimelineEvent { after_ms, what };
    Timeline {
        task,
        node_operator: Some(operator(1)),
        events: events.into_iter().map(event).collect(),
        cut: 0,
    }
}

fn answered(number: u8, refusal: Option<&str>, late: bool, took_ms: Option<f64>) -> EventKind {
    EventKind::Answered {
        operator: operator(number),
        signed: refusal.is_none(),
        refusal: refusal.map(Into::into),
        detail: refusal.map(|_| "why".into()),
        late,
        took_ms,
    }
}

#[test]
fn a_timeline_has_a_line_for_every_event() {
    let announced = |attempt| EventKind::Announced {
        operator: operator(1),
        attempt,
    };
    let opened = |again| EventKind::Opened {
        heard_of: None,
        again,
    };
    let read = EventKind::Read {
        took_ms: 1.25,
        at_block: Some("0xb10c".into()),
        basis: Some("proof".into()),
        refusal: None,
        detail: None,
    };
    let ended = EventKind::Ended {
        status: "expired".into(),
        signed_weight: "40".into(),
        threshold: "67".into(),
        missing: vec![operator(3)],
    };
    let gone = EventKind::Delivered {
        user: 1,
        outcome: "gone".into(),
    };
    let shown = table(&timeline(vec![
        (-60_000.0, opened(false)),
        (-59_999.0, answered(2, None, false, None)),
        (-50_000.0, EventKind::Interrupted {}),
        (0.0, opened(true)),
        (0.0, EventKind::Asked { user: 1 }),
        (0.0, announced(0)),
        (0.0, read),
        (0.75, answered(1, None, false, Some(0.5))),
        (12.4, answered(2, Some("block not final yet"), false, None)),
        (3_000.0, announced(1)),
        (15_000.0, ended),
        (15_000.1, gone),
        (15_204.0, answered(3, None, true, None)),
    ]));
    let expected = "
       MS  EVENT        OPERATOR                       SIGNED
-60000.00  opened                                              begun by this node
-59999.00  signed       0x02020202…020202              30.0 %
-50000.00  interrupted                                         the node was restarted
    +0.00  opened                                              begun by this node; it was here before
    +0.00  asked                                               by user 1
    +0.00  announced    0x01010101…010101 (this node)
    +0.00  read                                                the same, in 1.25 ms at block 0xb10c, by proof
    +0.75  signed       0x01010101…010101 (this node)  40.0 %  decided, recorded and signed in 0.50 ms
   +12.40  refused      0x02020202…020202                      block not final yet: why
 +3000.00  announced    0x01010101…010101 (this node)          asks again, attempt 1
+15000.00  expired                                             40 signed, 67 needed; no answer from 0x03030303…030303
+15000.10  delivered                                           nothing: user 1 went away
+15204.00  signed       0x03030303…030303              70.0 %  late

";
    assert_eq!(format!("\n{shown}"), expected);
}

#[test]
fn what_was_left_out_is_counted() {
    let mut cut = timeline(vec![(0.0, EventKind::Unknown {})]);
    cut.cut = 7;
    assert!(table(&cut).ends_with("7 more were left out: the record was full\n\n"));
    assert_eq!(table(&timeline(Vec::new())), "");
}

#[test]
fn every_event_has_words() {
    let heard_of = Some(operator(2));
    let again = false;
    let heard = EventKind::Opened { heard_of, again };
    let table: [(EventKind, &str, &str); 7] = [
        (heard, "opened", "first heard of it"),
        (
            EventKind::Certified {
                signers: 1,
                learned: true,
            },
            "certified",
            "by 1 signature, learned from another operator",
        ),
        (
            EventKind::Sent {
                item: "result".into(),
            },
            "published",
            "the certificate, for those that missed answers",
        ),
        (
            EventKind::Equivocated {
                operator: operator(2),
                other_task: "0xee".into(),
            },
            "equivocated",
            "signed another fact for this slot, in task 0xee",
        ),
        (
            EventKind::Declined {
                reason: "signer_busy".into(),
            },
            "left out",
            "the own answer: too much waits to be signed",
        ),
        (
            EventKind::Delivered {
                user: 2,
                outcome: "certificate".into(),
            },
            "delivered",
            "the certificate to user 2",
        ),
        (
            EventKind::Read {
                took_ms: 2_500.0,
                at_block: None,
                basis: None,
                refusal: Some("its chain providers failed".into()),
                detail: Some("a.example.org: no answer".into()),
            },
            "read",
            "its chain providers failed, in 2.50 s: a.example.org: no answer",
        ),
    ];
    for (what, event, text) in table {
        let words = words(&what, None);
        assert_eq!((words.event, words.text.as_str()), (event, text));
    }
}
