//! How a failed call says why: a `RegistryError` in the details of its status, in the form that
//! `grpc-status-details-bin` has everywhere (`google.rpc.Status`).

use prost::Message;
use quorate_proto::{RegistryErrorCode, wire};
use quorate_protocols::membership::Refused;
use tonic::{Code, Status};

/// Under which the error stands among the details.
const TYPE_URL: &str = "type.googleapis.com/quorate.v1.RegistryError";

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// The status of a call that failed.
pub(crate) fn refuse(code: RegistryErrorCode, message: impl Into<String>) -> Status {
    let message = message.into();
    let error = wire::RegistryError {
        code: code.into(),
        message: message.clone(),
        retryable: code.is_retryable(),
    };
    let grpc = grpc_code(code);
    let details = RpcStatus {
        code: grpc.into(),
        message: message.clone(),
        details: vec![Any {
            type_url: TYPE_URL.into(),
            value: error.encode_to_vec(),
        }],
    };
    Status::with_details(grpc, message, details.encode_to_vec().into())
}

/// What the membership machine refused.
pub(crate) fn refused(refused: Refused) -> Status {
    let code = match refused {
        Refused::UnknownOperator(_) => RegistryErrorCode::UnknownOperator,
        Refused::Deregistered(_) | Refused::NotSuspended(_) => RegistryErrorCode::WrongStatus,
        Refused::StaleJoin { .. } => RegistryErrorCode::StaleJoin,
        Refused::TooManyMembers => RegistryErrorCode::Overloaded,
    };
    refuse(code, refused.to_string())
}

/// The error in a status, where there is one.
pub(crate) fn explain(status: &Status) -> Option<wire::RegistryError> {
    let details = RpcStatus::decode(status.details()).ok()?.details;
    let ours = details.iter().find(|any| any.type_url == TYPE_URL)?;
    wire::RegistryError::decode(ours.value.as_slice()).ok()
}

/// What went wrong, for people.
pub(crate) fn report(status: &Status) -> String {
    match (explain(status), status.code()) {
        (Some(error), _) => error.message,
        (None, Code::Unavailable | Code::Unknown | Code::Cancelled) => {
            use std::error::Error as _;
            let cause = status.source().map(|cause| format!(": {cause}"));
            format!("out of reach{}", cause.unwrap_or_default())
        }
        (None, code) => format!("{code:?}: {}", status.message()),
    }
}

const fn grpc_code(code: RegistryErrorCode) -> Code {
    match code {
        RegistryErrorCode::Unspecified => Code::Unknown,
        RegistryErrorCode::Invalid => Code::InvalidArgument,
        RegistryErrorCode::WrongNetwork | RegistryErrorCode::WrongStatus => {
            Code::FailedPrecondition
        }
        RegistryErrorCode::UnknownOperator => Code::NotFound,
        RegistryErrorCode::WrongKey => Code::PermissionDenied,
        RegistryErrorCode::BadSignature => Code::Unauthenticated,
        RegistryErrorCode::StaleChallenge => Code::Aborted,
        RegistryErrorCode::StaleJoin => Code::AlreadyExists,
        RegistryErrorCode::TooManyFailures | RegistryErrorCode::Overloaded => {
            Code::ResourceExhausted
        }
        RegistryErrorCode::Gone => Code::OutOfRange,
        RegistryErrorCode::Unavailable => Code::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_comes_back_from_its_status() {
        let status = refuse(RegistryErrorCode::StaleChallenge, "ask again");
        assert_eq!(status.code(), Code::Aborted);
        let error = explain(&status).expect("an error");
        assert_eq!(error.code(), RegistryErrorCode::StaleChallenge);
        assert!(error.retryable);
        assert_eq!(report(&status), "ask again");
        assert_eq!(explain(&Status::unimplemented("no")), None);
    }
}
