//! Why a request got no answer, in the words of the wire.

use quorate_chain::ChainError;
use quorate_proto::wire;
use quorate_protocols::quorum::Progress;
use quorate_protocols::task::{Report, Status};

use crate::NodeError;

/// The last reply to a request that got no answer.
pub(in crate::requests) type Failure = Box<wire::RequestError>;

pub(in crate::requests) fn error(
    code: wire::ErrorCode,
    retryable: bool,
    message: impl Into<String>,
) -> Failure {
    Box::new(wire::RequestError {
        code: code.into(),
        message: message.into(),
        retryable,
        ..wire::RequestError::default()
    })
}

pub(in crate::requests) fn invalid(message: impl Into<String>) -> Failure {
    error(wire::ErrorCode::Invalid, false, message)
}

pub(in crate::requests) fn overloaded(message: impl Into<String>) -> Failure {
    error(wire::ErrorCode::Overloaded, true, message)
}

pub(in crate::requests) fn unavailable(message: impl Into<String>) -> Failure {
    error(wire::ErrorCode::Unavailable, true, message)
}

pub(in crate::requests) fn store_error(cause: quorate_storage::StoreError) -> Failure {
    tracing::error!(error = %NodeError::from(cause), "request not answered");
    unavailable("this operator's store failed; ask another operator")
}

pub(in crate::requests) fn chain_error(cause: &ChainError) -> Failure {
    let code = match cause {
        ChainError::NotFinal { .. } => wire::ErrorCode::NotFinal,
        ChainError::NoHistory => wire::ErrorCode::NoHistory,
        ChainError::BeforeFirstEntry => wire::ErrorCode::BeforeFirstEntry,
        ChainError::TimestampTooEarly { .. } => wire::ErrorCode::Invalid,
        ChainError::NotListed { .. } | ChainError::OtherBlocks { .. } => {
            wire::ErrorCode::ChainUnsupported
        }
        _ => wire::ErrorCode::ChainUnavailable,
    };
    error(code, cause.is_retryable(), cause.to_string())
}

pub(in crate::requests) fn ended(report: &Report) -> Failure {
    // Only refusals that no retry changes make a task fail.
    let (code, retryable) = match report.status {
        Status::Failed => (wire::ErrorCode::Refused, false),
        _ => (wire::ErrorCode::Expired, true),
    };
    let refusal = |r: &quorate_protocols::quorum::RefusalReport| wire::RefusalReport {
        operator: r.operator.to_vec(),
        code: r.code.into(),
        detail: r.detail.clone(),
    };
    Box::new(wire::RequestError {
        progress: Some(progress_of(report)),
        refusals: report.refusals.iter().map(refusal).collect(),
        missing: report
            .missing
            .iter()
            .map(|operator| operator.to_vec())
            .collect(),
        ..*error(code, retryable, crate::tasks::records::failure_of(report))
    })
}

pub(in crate::requests) fn progress_of(report: &Report) -> wire::Progress {
    let Progress {
        signed,
        refused,
        signed_weight,
        refused_weight,
        threshold,
        total_weight,
    } = report.progress;
    wire::Progress {
        task_id: report.task.0.to_vec(),
        epoch: report.statement.epoch().0,
        signed,
        refused,
        signed_weight: signed_weight.to_be_bytes_vec(),
        refused_weight: refused_weight.to_be_bytes_vec(),
        threshold: threshold.to_be_bytes_vec(),
        total_weight: total_weight.to_be_bytes_vec(),
        attempt: report.attempt,
    }
}
