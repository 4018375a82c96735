//! Responses to JSON-RPC requests, down to what is in them.

use alloy::primitives::{Address, B256, Bytes, FixedBytes, U64, U256};
use alloy::sol_types::SolCall;
use alloy::transports::http::reqwest::StatusCode;
use alloy::trie::EMPTY_ROOT_HASH;
use quorate_proto::{Epoch, EpochSchedule};
use serde_json::value::RawValue;

use super::super::abi::certificates::isValidSignatureCall;
use super::super::abi::epochs::getEpochIntervalCall;
use super::super::abi::registry;
use super::super::abi::state_manager::getHistoryAtBlockCall;
use super::super::block_roots;
use super::super::calls::{CallOutcome, Header, Log};
use super::super::certificate::rejection;
use super::super::errors::{classify, read_error};
use super::super::home::schedule_of;
use super::super::operator_set::set_of;
use super::super::proof::answer::ProofAnswer;
use super::super::proof::receipts::{RpcReceipt, prove};
use super::super::provider::call_outcome;
use super::super::registrations;
use crate::ChainError;
use crate::rpc::{BatchOutcome, ProviderError, RpcResult, RpcUrl, SentBatch, decode};

/// Stands in the provider's URL, and nowhere else unless a provider repeats it.
const SECRET: &str = "topsecret0123";

/// Statuses and numbers of calls with which a body is read.
const WAYS: [(u16, usize); 5] = [(200, 1), (200, 3), (400, 3), (429, 1), (502, 1)];

/// Characters of a text about an answer: what is cut, and words around it.
const LONGEST_TEXT: usize = 300;

/// The registry and the blocks whose events are asked for.
const REGISTRY: Address = Address::repeat_byte(0x77);
const BLOCKS: (u64, u64) = (5, 9);

/// Bodies of responses.
pub fn rpc_answer(bytes: &[u8]) {
    let url: RpcUrl = format!("https://rpc.example.org/v3/{SECRET}")
        .parse()
        .expect("a URL");
    for (status, count) in WAYS {
        let code = StatusCode::from_u16(status).expect("a status");
        let batch = SentBatch {
            url: &url,
            classify,
            count,
        };
        match batch.read(code, bytes) {
            BatchOutcome::Answers(answers) => {
                assert_eq!(answers.len(), count, "one for each call");
                assert!(
                    count > 1 || answers[0].is_some(),
                    "one call is never too many"
                );
                answers
                    .into_iter()
                    .flatten()
                    .for_each(|one| check(one, &url));
            }
            BatchOutcome::Failed(failure) => told(&failure),
        }
    }
}

/// What is wrong is told in a line, without secrets.
fn told(failure: &ProviderError) {
    let text = failure.to_string();
    assert!(!text.contains(SECRET), "a secret is told");
    assert!(text.chars().count() <= LONGEST_TEXT, "a long text");
    assert!(!text.chars().any(char::is_control), "more than a line");
    let _ = (failure.is_answer(), failure.reply_kind(), failure.outcome());
    let _ = failure.shrink_factor();
}

/// An answer is read in every way, as any question may get any answer.
fn check(answer: RpcResult, url: &RpcUrl) {
    match call_outcome(answer.clone(), url) {
        Ok(CallOutcome::Returned(data)) => returned(&data),
        Ok(CallOutcome::Reverted(data)) => reverted(&data),
        Err(failure) => told(&failure),
    }
    let Ok(answer) = answer else {
        return;
    };
    let answer = answer.as_ref();
    let _ = told_or(decode::<U64>(answer, url));
    let _ = told_or(decode::<U256>(answer, url));
    if let Some(Some(header)) = told_or(Header::read(answer, url)) {
        check_header(answer, &header);
    }
    if let Some(logs) = told_or(decode::<Vec<Log>>(answer, url)) {
        check_logs(&logs);
    }
    if let Some(receipts) = told_or(decode::<Vec<RpcReceipt>>(answer, url)) {
        check_receipts(receipts);
    }
    let proof = ProofAnswer::read(answer.get(), 4);
    let _ = told_or(proof.map_err(|problem| ProviderError::malformed(url.scrub(&problem))));
}

fn told_or<T>(read: Result<T, ProviderError>) -> Option<T> {
    read.inspect_err(told).ok()
}

/// Receipts prove the events of a block that has some, or none at all.
fn check_receipts(receipts: Vec<RpcReceipt>) {
    let is_empty = receipts.is_empty();
    let none = prove(receipts.clone(), EMPTY_ROOT_HASH);
    assert_eq!(none.is_ok_and(|events| events.is_empty()), is_empty);
    assert!(
        prove(receipts, B256::ZERO).is_err(),
        "no block has that root"
    );
}

/// Roots are of the block's hash, or there are none.
fn check_header(answer: &RawValue, header: &Header) {
    let block = header.block();
    assert_eq!((block.number, block.hash), (header.number(), header.hash()));
    assert_eq!(
        header.roots(),
        block_roots(answer.get(), header.hash()),
        "what is proven"
    );
}

/// Events are of the blocks that were asked for, in the order of the chain.
fn check_logs(logs: &[Log]) {
    let (first, last) = BLOCKS;
    let Some(found) = told_or(registrations::decode(REGISTRY, first, last, logs)) else {
        return;
    };
    assert_eq!(found.len(), logs.len());
    let places = found.iter().map(|r| (r.block_number, r.log_index));
    assert!(places.is_sorted(), "in the order of the chain");
    assert!(
        found
            .iter()
            .all(|r| (first..=last).contains(&r.block_number))
    );
}

/// What a contract returned, whichever function was called.
fn returned(data: &Bytes) {
    one_form::<registry::getOperatorWeightAtEpochCall>(data);
    one_form::<registry::getOperatorSigningKeyAtEpochCall>(data);
    one_form::<registry::minimumWeightCall>(data);
    one_form::<getHistoryAtBlockCall>(data);
    one_form::<getEpochIntervalCall>(data);
    let magic = isValidSignatureCall::abi_decode_returns(data);
    let prefix = data.first_chunk::<4>().map(FixedBytes::from);
    assert!(magic.is_err() || magic.ok() == prefix);
    schedule(data);
    members(data);
}

/// What is read begins with its own encoding.
fn one_form<C: SolCall>(data: &[u8]) {
    match C::abi_decode_returns_validate(data) {
        Ok(value) => assert!(data.starts_with(&C::abi_encode_returns(&value)), "one form"),
        Err(problem) => assert!(!problem.to_string().contains(SECRET)),
    }
}

/// Two epochs make a schedule that has them.
fn schedule(data: &[u8]) {
    let interval = |data: &[u8]| getEpochIntervalCall::abi_decode_returns_validate(data).ok();
    let second = data.get(96..).and_then(interval);
    let (Some(first), Some(second)) = (interval(data), second) else {
        return;
    };
    let Some(schedule) = schedule_of(&first, &second) else {
        return;
    };
    assert_eq!(schedule.interval(Epoch(0)).start, first.start);
    assert_eq!(schedule.interval(Epoch(1)).end, second.end);
    check_schedule(&schedule);
}

fn check_schedule(schedule: &EpochSchedule) {
    for block in [0, 1, schedule.genesis, u64::MAX - 1, u64::MAX] {
        let epoch = schedule.epoch_at(block);
        assert!(schedule.effective_epoch(block) >= epoch);
        let _ = schedule.interval(epoch);
    }
}

/// The members of a set, as the registry tells them.
fn members(data: &[u8]) {
    let Ok(told) = registry::getOperatorSetCall::abi_decode_returns_validate(data) else {
        return;
    };
    if let Ok(set) = set_of(Epoch(1), (told.set, told.total), 7) {
        let ascends = set.members().is_sorted_by(|a, b| a.address < b.address);
        assert!(ascends, "strictly ascending");
        assert!(set.members().iter().all(|m| !m.weight.is_zero()));
    }
}

/// What a contract reverted with, as reads and as verdicts.
fn reverted(data: &Bytes) {
    let error = ChainError::Reverted {
        contract: REGISTRY.to_string(),
        call: "f()",
        data: data.clone(),
    };
    let text = read_error(error).to_string();
    assert!(!text.is_empty());
    let text = rejection(data.clone()).to_string();
    assert!(!text.is_empty());
}
