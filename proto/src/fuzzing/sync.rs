//! What nodes that catch up ask and hear.

use super::certified::{check_certificate, check_response};
use super::members::check_list;
use super::{read, set, stable};
use crate::wire::sync_answer::Kind as AnswerKind;
use crate::wire::sync_query::Kind as QueryKind;
use crate::{Address, Certificate, Fingerprint, SyncItem, TaskState, limits, wire};

/// Bits of whole bytes for the most signers.
const MAX_MEMBERS: usize = limits::MAX_OPERATORS.div_ceil(8) * 8;

/// An odd first byte is a question, an even one an answer.
pub fn sync(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    if choice % 2 == 1 {
        let query = stable::<wire::SyncQuery>(rest);
        if let Some(QueryKind::Tasks(query)) = query.and_then(|query| query.kind) {
            query.tasks.iter().for_each(check_state);
        }
        return;
    }
    match stable::<wire::SyncAnswer>(rest).and_then(|answer| answer.kind) {
        Some(AnswerKind::Items(items)) => items.items.iter().for_each(check_item),
        Some(AnswerKind::Recent(recent)) => recent.tasks.iter().for_each(check_state),
        Some(AnswerKind::Set(reply)) => {
            reply.set.iter().for_each(check_list);
            let certificate = reply.certificate.as_ref();
            let certificate = certificate.and_then(read::<wire::Certificate, Certificate>);
            certificate.iter().for_each(check_certificate);
        }
        Some(AnswerKind::Summary(summary)) => {
            for epoch in &summary.epochs {
                let parsed = Fingerprint::parse(&epoch.fingerprint);
                assert_eq!(
                    parsed.is_ok(),
                    epoch.fingerprint.len() == Fingerprint::BYTES
                );
            }
        }
        _ => {}
    }
}

fn check_state(message: &wire::SyncTaskState) {
    let Ok(state) = TaskState::try_from(message) else {
        return;
    };
    assert!(state.signed.iter().all(|member| member < MAX_MEMBERS));
    assert_eq!(state.signed.iter().count(), state.signed.count());
    let members = state.signed.as_bytes().len() * 8;
    let Some(members) = (0..=members).rev().find(|members| state.fits(*members)) else {
        return;
    };
    let mut both = state.clone();
    both.merge(&state);
    assert_eq!(both, state, "merging with itself changes nothing");
    assert!(!state.lacks(&state));
    let mut all = TaskState::nothing(members);
    assert_eq!(all.lacks(&state), !state.is_empty());
    all.merge(&state);
    assert_eq!(all, state, "what is taken over is what was there");
}

fn check_item(message: &wire::SyncItem) {
    let Ok(item) = SyncItem::try_from(message) else {
        return;
    };
    assert!(!item.answers.is_empty());
    assert!(
        item.answers.iter().all(|(member, _)| *member < MAX_MEMBERS),
        "nobody beyond a set"
    );
    let again = SyncItem::try_from(&wire::SyncItem::from(&item));
    assert_eq!(again.as_ref(), Ok(&item), "decode(encode(x)) is x");
    if let Ok(responses) = item.responses(set()) {
        assert_eq!(responses.len(), item.answers.len());
        let mut operators: Vec<Address> = responses.iter().map(|r| r.operator).collect();
        operators.sort();
        operators.dedup();
        assert_eq!(operators.len(), responses.len(), "nobody answers twice");
        responses.iter().for_each(check_response);
    }
}
