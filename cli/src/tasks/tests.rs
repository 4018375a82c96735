use quorate_node::api::{SaidByProvider, StatementReport};
use quorate_proto::{Address, B256, Epoch, EpochUpdate, StateProof, Statement, U256};

use super::*;

fn stated(statement: impl Into<Statement>) -> StatementReport {
    StatementReport {
        statement: (&statement.into()).into(),
        digest: "0xd1".into(),
    }
}

/// A hand-over to epoch 8.
pub(super) fn update() -> StatementReport {
    stated(EpochUpdate {
        epoch: Epoch(7),
        next_epoch: Epoch(8),
        set_hash: B256::repeat_byte(0x5e),
        time: 1_700_000_000,
    })
}

fn operator(address: &str, outcome: &str, after_ms: Option<f64>) -> OperatorReport {
    OperatorReport {
        operator: address.into(),
        weight: Some("200".into()),
        outcome: outcome.into(),
        code: None,
        detail: None,
        after_ms,
        late: false,
        seen_ms: after_ms,
        read_basis: (outcome == "signed").then(|| "proof".into()),
    }
}

fn provider(name: &str, question: &str, answer: &str, ms: f64) -> SaidByProvider {
    SaidByProvider {
        provider: name.into(),
        question: question.into(),
        answer: answer.into(),
        detail: (answer != "good").then(|| "node 2 is not the one".into()),
        ms,
    }
}

fn report() -> TaskReport {
    let refused = OperatorReport {
        code: Some("value_differs".into()),
        detail: Some("41 here".into()),
        ..operator("0x22", "refused", Some(12.4))
    };
    let late = OperatorReport {
        late: true,
        ..operator("0x44", "signed", Some(1_204.0))
    };
    TaskReport {
        task_id: "0xb380".into(),
        status: "completed".into(),
        failure: None,
        statement: stated(StateProof {
            chain_id: 31338,
            user: Address::repeat_byte(0x12),
            key: U256::from(1),
            value: U256::from(100),
            block_number: 12_345,
            timestamp: 1_700_000_000,
            epoch: Epoch(7),
        }),
        created_ms: 1_700_000_060_042,
        ended_ms: Some(1_700_000_060_072),
        entry: false,
        announced_by: Some("0x55".into()),
        attempts: 1,
        read_ms: Some(3.25),
        read_at_block: Some("0xb10c".into()),
        read_at_number: Some(12_400),
        read_basis: Some("proof".into()),
        providers: vec![
            provider("https://a.example", "proof", "a false proof", 1.25),
            provider("https://b.example", "header", "good", 1.5),
        ],
        certified_ms: Some(29.6),
        signed_weight: "800".into(),
        refused_weight: "200".into(),
        threshold: Some("801".into()),
        total_weight: Some("1200".into()),
        missing_weight: Some("1".into()),
        operators: vec![
            operator("0x11", "missing", None),
            refused,
            operator("0x33", "signed", Some(29.6)),
            late,
            operator("0x55", "signed", Some(2.0)),
        ],
        certificate_signers: vec!["0x33".into(), "0x55".into()],
    }
}

/// Of a node that recorded nothing more.
fn render(report: &TaskReport) -> String {
    super::render(&Timeline {
        task: report.clone(),
        node_operator: None,
        events: Vec::new(),
        cut: 0,
    })
}

#[test]
fn an_explanation_tells_everything_in_order() {
    let expected = "\
Task        0xb380
Statement   on chain 31338, 0x1212121212121212121212121212121212121212 had stored 100 under key 1 at block 12345
True since  2023-11-14 22:13:20 UTC
Epoch       7
Digest      0xd1
Status      completed, certified after 30 ms
First seen  2023-11-14 22:14:20.042 UTC, announced by 0x55
Announced   1 time
Own read    3.25 ms at block 12400 (0xb10c), proven

PROVIDER           ASKED FOR  SAID             AFTER  DETAIL
https://a.example  proof      a false proof  1.25 ms  node 2 is not the one
https://b.example  header     good           1.50 ms

OPERATOR  WEIGHT   SHARE  OUTCOME       READ      SEEN    AFTER  CERTIFICATE  REASON
0x55         200  16.6 %  signed        proof  2.00 ms  2.00 ms  in it
0x33         200  16.6 %  signed        proof    30 ms    30 ms  in it
0x44         200  16.6 %  signed, late  proof   1.20 s   1.20 s
0x22         200  16.6 %  refused                12 ms    12 ms               value_differs: 41 here
0x11         200  16.6 %  missing

Signed   800 (66.6 %)
Refused  200 (16.6 %)
Needed   801 (66.7 %)
Missing  1 (0.0 %)
Total    1 200
";
    assert_eq!(render(&report()), expected);
}

#[test]
fn a_failed_task_says_why() {
    let report = TaskReport {
        status: "expired".into(),
        failure: Some("too few answered".into()),
        certified_ms: None,
        ended_ms: Some(1_700_000_075_042),
        ..report()
    };
    assert_eq!(status(&report), "expired after 15.00 s");
    let report = TaskReport {
        status: "failed".into(),
        ..report
    };
    assert_eq!(status(&report), "failed after 15.00 s: too few answered");
}

#[test]
fn a_lost_set_leaves_weights_out() {
    let mut report = TaskReport {
        total_weight: None,
        threshold: None,
        missing_weight: None,
        ..report()
    };
    report
        .operators
        .iter_mut()
        .for_each(|operator| operator.weight = None);
    let text = render(&report);
    assert!(text.contains("\nOPERATOR  OUTCOME "), "{text}");
    assert!(text.ends_with("Signed   800\nRefused  200\n"), "{text}");
}

#[test]
fn tasks_stand_in_a_table() {
    let line = |status: &str, certified_ms| TaskLine {
        task_id: "0xb380".into(),
        status: status.into(),
        created_ms: 1_700_000_060_042,
        certified_ms,
        kind: "state_proof".into(),
        chain_id: Some(31338),
        block_number: Some(12),
        next_epoch: None,
        epoch: 7,
    };
    let expected = "\
FIRST SEEN                   STATUS     AFTER  CHAIN  BLOCK  EPOCH  TASK
2023-11-14 22:14:20.042 UTC  completed  30 ms  31338     12      7  0xb380
2023-11-14 22:14:20.042 UTC  pending           31338     12      7  0xb380
";
    let lines = [line("completed", Some(29.6)), line("pending", None)];
    assert_eq!(task_table(&lines).to_string(), expected);
    let update = TaskLine {
        kind: "epoch_update".into(),
        chain_id: None,
        block_number: None,
        next_epoch: Some(8),
        ..line("pending", None)
    };
    let expected = "\
FIRST SEEN                   STATUS   NEXT  EPOCH  TASK
2023-11-14 22:14:20.042 UTC  pending     8      7  0xb380
";
    assert_eq!(task_table(&[update]).to_string(), expected);
}

#[test]
fn a_hand_over_is_told_in_words() {
    let report = TaskReport {
        statement: update(),
        entry: true,
        ..report()
    };
    let text = render(&report);
    assert!(
        text.contains("the operators of epoch 8 are the set 0x5e5e5e"),
        "{text}"
    );
    assert!(text.contains("announced by this node"), "{text}");
}
