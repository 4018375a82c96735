//! Records of a task: what is written in words, and stored certificates in their checked form.

use prost::Message as _;
use quorate_proto::{Certificate, wire};
use quorate_protocols::task::{Report, Status};

use crate::NodeError;

/// Why a task ended without certificate, naming the weight that is missing.
pub(crate) fn failure_of(report: &Report) -> String {
    let progress = &report.progress;
    let missing = progress.threshold.saturating_sub(progress.signed_weight);
    let cause = match report.status {
        Status::Failed => "the threshold cannot be reached",
        _ => "the threshold was not reached in time",
    };
    let mut reasons: Vec<String> = Vec::new();
    for refusal in &report.refusals {
        reasons.push(format!("{} {}", refusal.operator, refusal.code.describe()));
    }
    if !report.missing.is_empty() {
        let silent: Vec<String> = report.missing.iter().map(ToString::to_string).collect();
        reasons.push(format!("no answer from {}", silent.join(", ")));
    }
    format!(
        "{cause}: weight {} of {} signed, {} is needed, {missing} is missing; {}",
        progress.signed_weight,
        progress.total_weight,
        progress.threshold,
        reasons.join("; ")
    )
}

/// A stored certificate in its checked form.
pub(crate) fn decode(stored: &wire::Certificate) -> Result<Certificate, NodeError> {
    Certificate::try_from(stored).map_err(|error| NodeError::Stored {
        reason: format!(
            "a stored certificate of {} bytes is damaged: {error}",
            stored.encoded_len()
        ),
    })
}
