//! What must hold for any bytes from outside that this crate decodes: an operator's answers, and streams as they
//! come in.
//!
//! The fuzz targets call these functions, and the tests run them over the corpora.

mod frames;

#[cfg(test)]
#[path = "../../../fuzz/corpora.rs"]
mod corpora;

use std::fmt::Debug;

use prost::Message as _;
use quorate_proto::wire::reply::Kind as ReplyKind;
use quorate_proto::{Domain, wire};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::Timeline;
use crate::following::lines_of;
use crate::{Answer, HandedOver, HeldEvidence, Progress, RequestFailure, TransferNews};

pub use self::frames::frame;

/// A target: bytes from any sender.
pub type Check = fn(&[u8]);

/// All targets of this crate, by name.
pub const CHECKS: &[(&str, Check)] = &[("client", client), ("frame", frame)];

/// The network of the corpora.
fn domain() -> Domain {
    let registry = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
    Domain::new(31_337, registry.parse().expect("an address"))
}

/// A reply.
pub fn client(bytes: &[u8]) {
    let Ok(reply) = wire::Reply::decode(bytes) else {
        return;
    };
    match reply.kind {
        Some(ReplyKind::Progress(progress)) => drop(Progress::try_from(&progress)),
        Some(ReplyKind::Certificate(reply)) => certificate(reply),
        Some(ReplyKind::Error(error)) => {
            if let Ok(failure) = RequestFailure::try_from(&error) {
                assert_eq!(failure.refusals.len(), error.refusals.len());
                assert_eq!(failure.missing.len(), error.missing.len());
            }
        }
        Some(ReplyKind::EpochUpdate(reply)) => drop(HandedOver::try_from(&reply)),
        Some(ReplyKind::Evidence(reply)) => {
            if let Ok(held) = HeldEvidence::try_from(&reply) {
                assert_eq!(held.entries.len(), reply.entries.len());
            }
        }
        Some(ReplyKind::Timeline(reply)) => timeline(&reply),
        Some(ReplyKind::Transfer(reply)) => drop(TransferNews::try_from(&reply)),
        Some(ReplyKind::Live(live)) => {
            if let Ok(lines) = lines_of(&live, &domain()) {
                assert!(lines.len() >= live.events.len(), "a line for each event");
                lines.iter().for_each(as_json);
            }
        }
        Some(ReplyKind::Operators(_)) | None => {}
    }
}

/// What the operator says of a certificate counts less than the certificate.
fn certificate(reply: wire::CertificateReply) {
    let Ok(answer) = Answer::try_from(reply) else {
        return;
    };
    let certificate = &answer.certificate;
    assert_eq!(answer.task_id, certificate.statement().task_id());
    assert_eq!(answer.signature_data, certificate.signature_data());
    assert!(answer.read_bases.len() <= certificate.signatures().len());
}

fn timeline(reply: &wire::TimelineReply) {
    let Ok(timeline) = Timeline::read(reply, &domain()) else {
        return;
    };
    assert_eq!(timeline.events.len(), reply.events.len());
    assert_eq!(timeline.task.operators.len(), reply.operators.len());
    let in_certificate = reply.operators.iter().filter(|line| line.in_certificate);
    assert_eq!(
        timeline.task.certificate_signers.len(),
        in_certificate.count()
    );
    as_json(&timeline);
}

/// What scripts get can be read.
fn as_json<T: Serialize + DeserializeOwned + Debug>(value: &T) {
    let text = serde_json::to_string(value).expect("JSON");
    let read: Result<T, _> = serde_json::from_str(&text);
    assert!(read.is_ok(), "{read:?} of {text}");
}
