//! Messages of the sync stream.

use quorate_proto::wire::sync_answer::Kind as AnswerKind;
use quorate_proto::wire::sync_query::Kind as QueryKind;
use quorate_proto::{
    Fingerprint, RefusalCode, SyncItem, TaskState, bucket_range, keccak256, limits, wire,
};

use crate::fixtures::{certificate, refused, set, signed, statement};

/// Operators 1 and 2 signed, operator 3 refused.
pub(crate) fn state() -> TaskState {
    let mut state = TaskState::nothing(set().members().len());
    state.sign(0);
    state.sign(1);
    state.refuse(2);
    state
}

pub(crate) fn item() -> wire::SyncItem {
    let refusal = refused(3, RefusalCode::NotFinal, "block 12345, final 12300");
    let item = SyncItem {
        statement: statement(),
        created_ms: 1_700_000_012_345,
        answers: vec![
            (0, signed(1).outcome),
            (1, signed(2).outcome),
            (2, refusal.outcome),
        ],
    };
    (&item).into()
}

fn task_state() -> wire::SyncTaskState {
    wire::SyncTaskState {
        epoch: 1,
        task_id: statement().task_id().0.to_vec(),
        signed: state().signed.as_bytes().to_vec(),
        refused: state().refused.as_bytes().to_vec(),
    }
}

fn fingerprint() -> Fingerprint {
    let mut fingerprint = Fingerprint::default();
    fingerprint.add(state().hash(statement().task_id()));
    fingerprint
}

pub(crate) fn queries() -> Vec<(&'static str, wire::SyncQuery)> {
    let (after, until) = bucket_range(0xb3);
    let hash = state().hash(statement().task_id());
    let range = wire::SyncRangeQuery {
        epoch: 1,
        after: after.map(|id| id.0.to_vec()).unwrap_or_default(),
        until: until.0.to_vec(),
        have: Fingerprint::short(hash).to_vec(),
    };
    let recent = wire::SyncRecentQuery {
        instance: 1_700_000_000_000_000,
        after: 17,
    };
    let tasks = wire::SyncTasksQuery {
        tasks: vec![task_state()],
    };
    let kinds = [
        (
            "query_summary",
            QueryKind::Summary(wire::SyncSummaryQuery { first_epoch: 1 }),
        ),
        (
            "query_buckets",
            QueryKind::Buckets(wire::SyncBucketsQuery { epoch: 1 }),
        ),
        ("query_range", QueryKind::Range(range)),
        ("query_recent", QueryKind::Recent(recent)),
        ("query_tasks", QueryKind::Tasks(tasks)),
        (
            "query_set",
            QueryKind::Set(wire::EpochUpdateQuery {
                next_epoch: 1,
                by_epoch: None,
            }),
        ),
    ];
    let query = |(name, kind)| {
        let kind = Some(kind);
        (name, wire::SyncQuery { id: 3, kind })
    };
    kinds.map(query).into()
}

pub(crate) fn answers() -> Vec<(&'static str, wire::SyncAnswer)> {
    let digest = fingerprint().digest().to_vec();
    let epoch = wire::SyncEpoch {
        epoch: 1,
        tasks: 1,
        fingerprint: digest.clone(),
    };
    let summary = wire::SyncSummary {
        floor: 1,
        epochs: vec![epoch],
    };
    let mut buckets = wire::SyncBuckets {
        tasks: vec![0; quorate_proto::BUCKETS],
        fingerprints: digest,
    };
    buckets.tasks[0xb3] = 1;
    let items = wire::SyncItems {
        items: vec![item()],
        more: true,
    };
    let recent = wire::SyncRecent {
        instance: 1_700_000_000_000_000,
        next: 18,
        gap: true,
        tasks: vec![task_state()],
        more: true,
    };
    let set = wire::EpochUpdateReply {
        set: Some((&set()).into()),
        certificate: Some((&certificate(&[1, 2])).into()),
    };
    let error = wire::RequestError {
        code: wire::ErrorCode::UnknownEpoch.into(),
        message: "not kept".into(),
        ..wire::RequestError::default()
    };
    let kinds = [
        ("answer_summary", AnswerKind::Summary(summary)),
        ("answer_buckets", AnswerKind::Buckets(buckets)),
        ("answer_items", AnswerKind::Items(items)),
        ("answer_recent", AnswerKind::Recent(recent)),
        ("answer_set", AnswerKind::Set(set)),
        ("answer_error", AnswerKind::Error(error)),
    ];
    let answer = |(name, kind)| {
        let kind = Some(kind);
        (name, wire::SyncAnswer { id: 3, kind })
    };
    kinds.map(answer).into()
}

#[test]
fn the_largest_question_and_page_fit_their_frames() {
    use prost::Message as _;
    let members = limits::MAX_SIGNERS;
    let mut all = TaskState::nothing(members);
    let mut answers = Vec::new();
    for member in 0..members {
        all.sign(member);
        let refusal = refused(
            1,
            RefusalCode::NotFinal,
            &"x".repeat(limits::MAX_DETAIL_BYTES),
        );
        answers.push((member, refusal.outcome));
    }
    let state = wire::SyncTaskState {
        epoch: u32::MAX,
        signed: all.signed.as_bytes().to_vec(),
        refused: all.signed.as_bytes().to_vec(),
        ..task_state()
    };
    let tasks = wire::SyncTasksQuery {
        tasks: vec![state; limits::MAX_SYNC_TASKS],
    };
    assert!(tasks.encoded_len() < limits::MAX_SYNC_REQUEST_FRAME);
    let range = wire::SyncRangeQuery {
        have: vec![1; limits::MAX_SYNC_HAVE * Fingerprint::BYTES],
        ..wire::SyncRangeQuery::default()
    };
    assert!(range.encoded_len() + 128 < limits::MAX_SYNC_REQUEST_FRAME);
    let item = SyncItem {
        statement: statement(),
        created_ms: u64::MAX,
        answers,
    };
    let largest = wire::SyncItem::from(&item).encoded_len();
    assert!(limits::SYNC_PAGE_BYTES + largest + 1_024 < limits::MAX_SYNC_REPLY_FRAME);
}

/// The hashes of docs/wire.md, made by hand.
#[test]
fn hashes_are_as_documented() {
    let id = statement().task_id();
    let state = state();
    let by_hand = [id.0.as_slice(), &[0b11], &[0b100]].concat();
    assert_eq!(state.hash(id), keccak256(by_hand));
    let sum = [state.hash(id).as_slice(), &1_u32.to_be_bytes()].concat();
    assert_eq!(fingerprint().digest(), keccak256(sum)[..16]);
}
