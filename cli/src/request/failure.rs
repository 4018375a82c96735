//! Why there is no certificate: the weight that is missing, who refused, who is silent.

use quorate_node::client::{Answer, Progress, RequestFailure};
use quorate_proto::U256;
use quorate_proto::wire::{ErrorCode, RefusalCode};
use serde_json::{Value, json};

use crate::exit::NegativeAnswer;
use crate::format;
use crate::output;
use crate::table::{Facts, Table};

/// Tells a failure in full and turns it into the error that ends the program.
pub(super) fn tell(failure: &RequestFailure, as_json: bool) -> anyhow::Result<Answer> {
    if as_json {
        output::json(&as_value(failure))?;
    } else {
        let report = report(failure);
        let lines = report.trim_end();
        if !lines.is_empty() {
            output::note(format!("{lines}\n"));
        }
    }
    // Weights and names stand in the report already.
    let reason = match (failure.code, &failure.progress) {
        (ErrorCode::Expired, Some(_)) => "too little weight signed in time",
        (ErrorCode::Refused, Some(_)) => {
            "so much weight refused that the threshold is out of reach"
        }
        _ => &failure.message,
    };
    let text = format!("not certified: {reason}");
    match is_answer(failure.code) {
        true => Err(NegativeAnswer(text).into()),
        false => Err(anyhow::anyhow!(text)),
    }
}

/// Whether this is what the network has to say, not a trouble on the way.
fn is_answer(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotFinal
            | ErrorCode::NoHistory
            | ErrorCode::BeforeFirstEntry
            | ErrorCode::Expired
            | ErrorCode::Refused
            | ErrorCode::UnknownTask
            | ErrorCode::Pruned
            | ErrorCode::Pending
    )
}

fn missing_weight(progress: &Progress) -> U256 {
    progress.threshold.saturating_sub(progress.signed_weight)
}

fn report(failure: &RequestFailure) -> String {
    let mut text = String::new();
    if let Some(progress) = &failure.progress {
        let share = |weight: U256| {
            let percent = format::percent(weight, progress.total_weight);
            format!("{} ({percent})", format::amount(weight))
        };
        let mut facts = Facts::default();
        facts.add("Task", progress.task_id);
        facts.add("Epoch", progress.epoch);
        facts.add("Signed", share(progress.signed_weight));
        facts.add("Refused", share(progress.refused_weight));
        facts.add("Needed", share(progress.threshold));
        facts.add("Missing", share(missing_weight(progress)));
        text += &format!("{facts}\n");
    }
    if failure.refusals.is_empty() && failure.missing.is_empty() {
        return text;
    }
    let mut table = Table::new(&["OPERATOR", "ANSWER", "REASON", "DETAIL"]);
    for refused in &failure.refusals {
        let code = refusal_name(refused.code);
        table.row([
            refused.operator.to_string(),
            "refused".into(),
            code,
            refused.detail.clone(),
        ]);
    }
    for operator in &failure.missing {
        table.row([operator.to_string(), "none".into()]);
    }
    text + &format!("{table}\n")
}

fn as_value(failure: &RequestFailure) -> Value {
    let progress = failure.progress.as_ref().map(|progress| {
        json!({
            "task_id": progress.task_id.to_string(),
            "epoch": progress.epoch,
            "signed": progress.signed,
            "refused": progress.refused,
            "signed_weight": progress.signed_weight.to_string(),
            "refused_weight": progress.refused_weight.to_string(),
            "threshold": progress.threshold.to_string(),
            "total_weight": progress.total_weight.to_string(),
            "missing_weight": missing_weight(progress).to_string(),
            "attempt": progress.attempt,
        })
    });
    let refusals: Vec<Value> = failure
        .refusals
        .iter()
        .map(|refused| {
            json!({
                "operator": refused.operator.to_string(),
                "code": refusal_name(refused.code),
                "detail": refused.detail,
            })
        })
        .collect();
    json!({
        "error": {
            "code": plain(failure.code.as_str_name(), "ERROR_CODE_"),
            "message": failure.message,
            "retryable": failure.retryable,
        },
        "progress": progress,
        "refusals": refusals,
        "missing": failure.missing.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn refusal_name(code: RefusalCode) -> String {
    plain(code.as_str_name(), "REFUSAL_CODE_")
}

fn plain(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use quorate_node::client::Refused;
    use quorate_proto::{Address, B256, TaskId};

    use super::*;
    use crate::exit;

    fn failure() -> RequestFailure {
        RequestFailure {
            code: ErrorCode::Refused,
            message: "too much weight refused".into(),
            retryable: false,
            progress: Some(Progress {
                task_id: TaskId(B256::ZERO),
                epoch: 7,
                signed: 2,
                refused: 1,
                signed_weight: U256::from(300),
                refused_weight: U256::from(200),
                threshold: U256::from(401),
                total_weight: U256::from(600),
                attempt: 0,
            }),
            refusals: vec![Refused {
                operator: Address::repeat_byte(2),
                code: RefusalCode::ValueDiffers,
                detail: "41 here".into(),
            }],
            missing: vec![Address::repeat_byte(3)],
        }
    }

    #[test]
    fn a_failure_tells_weights_refusals_and_silence() {
        let expected = "\
Task     0x0000000000000000000000000000000000000000000000000000000000000000
Epoch    7
Signed   300 (50.0 %)
Refused  200 (33.3 %)
Needed   401 (66.8 %)
Missing  101 (16.8 %)

OPERATOR                                    ANSWER   REASON         DETAIL
0x0202020202020202020202020202020202020202  refused  value_differs  41 here
0x0303030303030303030303030303030303030303  none

";
        assert_eq!(report(&failure()), expected);
        assert_eq!(
            report(&RequestFailure {
                progress: None,
                refusals: vec![],
                missing: vec![],
                ..failure()
            }),
            ""
        );
    }

    #[test]
    fn json_has_codes_and_exact_weights() {
        let value = as_value(&failure());
        assert_eq!(value["error"]["code"], "refused");
        assert_eq!(value["progress"]["missing_weight"], "101");
        assert_eq!(value["refusals"][0]["code"], "value_differs");
    }

    #[test]
    fn answers_and_troubles_end_differently() {
        for (code, expected) in [
            (ErrorCode::Refused, exit::NO),
            (ErrorCode::Expired, exit::NO),
            (ErrorCode::NoHistory, exit::NO),
            (ErrorCode::Overloaded, exit::FAILED),
            (ErrorCode::Unavailable, exit::FAILED),
        ] {
            let told = RequestFailure {
                code,
                progress: None,
                refusals: vec![],
                missing: vec![],
                ..failure()
            };
            let error = tell(&told, false).expect_err("an error");
            assert_eq!(exit::code_of(&error), expected, "{code:?}");
        }
    }
}
