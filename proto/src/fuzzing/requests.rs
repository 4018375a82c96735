//! What users and operators say to each other.

use prost::Message as _;

use super::certified::{check_certificate, check_evidence};
use super::members::check_list;
use super::{read, stable};
use crate::wire::reply::Kind;
use crate::{Certificate, EquivocationEvidence, Statement, Transfer, wire};

/// Questions of users.
pub fn request(bytes: &[u8]) {
    if let Some(request) = stable::<wire::Request>(bytes) {
        // A stream may carry several.
        let framed = request.encode_length_delimited_to_vec();
        let again = wire::Request::decode_length_delimited(framed.as_slice());
        assert_eq!(again.as_ref(), Ok(&request));
    }
}

/// Answers of operators.
pub fn reply(bytes: &[u8]) {
    let Some(reply) = stable::<wire::Reply>(bytes) else {
        return;
    };
    match reply.kind {
        Some(Kind::Certificate(reply)) => certified(reply.certificate.as_ref()),
        Some(Kind::Operators(list)) => check_list(&list),
        Some(Kind::EpochUpdate(reply)) => {
            reply.set.iter().for_each(check_list);
            certified(reply.certificate.as_ref());
        }
        Some(Kind::Evidence(reply)) => {
            let held = reply.entries.iter().filter_map(|e| e.evidence.as_ref());
            held.filter_map(read::<wire::EquivocationEvidence, EquivocationEvidence>)
                .for_each(|evidence| check_evidence(&evidence));
        }
        Some(Kind::Transfer(reply)) => {
            let transfer = reply.transfer.as_ref();
            transfer.and_then(read::<wire::Transfer, Transfer>);
            certified(reply.certificate.as_ref());
        }
        Some(Kind::Timeline(reply)) => {
            let statement = reply.statement.as_ref();
            statement.and_then(read::<wire::Statement, Statement>);
        }
        Some(Kind::Live(live)) => {
            for event in &live.events {
                let statement = event.statement.as_ref();
                statement.and_then(read::<wire::Statement, Statement>);
            }
        }
        Some(Kind::Progress(_) | Kind::Error(_)) | None => {}
    }
}

fn certified(message: Option<&wire::Certificate>) {
    let certificate = message.and_then(read::<wire::Certificate, Certificate>);
    certificate.iter().for_each(check_certificate);
}
