use super::super::errors::classify;
use super::*;
use crate::rpc::{ErrorClass, PendingReply, RpcError};

type Heard = PendingReply<ProofAnswer>;

fn waiting(of: u8, slots: &[u64]) -> (QueuedProof, Heard) {
    let (reply, part) = pending();
    let waiting = QueuedProof {
        of: Address::repeat_byte(of),
        at: B256::repeat_byte(7),
        slots: slots.iter().copied().map(U256::from).collect(),
        reply,
    };
    (waiting, part)
}

/// An answer whose proof of the slot in each place is one node: the slot's number.
fn answer(slots: &[U256]) -> ProofAnswer {
    let proofs: Vec<String> = slots
        .iter()
        .map(|slot| format!(r#"{{"proof":["0x{:02x}"]}}"#, slot.to::<u8>()))
        .collect();
    let text = format!(
        r#"{{"accountProof":[],"storageProof":[{}]}}"#,
        proofs.join(",")
    );
    ProofAnswer::read(&text, slots.len()).expect("an answer")
}

async fn heard(part: Heard) -> Result<ProofAnswer, ProviderError> {
    wait(Ok(part)).await
}

fn numbers(part: Result<ProofAnswer, ProviderError>) -> Vec<u8> {
    let part = part.expect("a part");
    part.nodes().map(|node| node[0]).collect()
}

#[tokio::test]
async fn each_gets_its_own_slots_in_its_own_order() {
    let (first, first_part) = waiting(1, &[5, 6]);
    let (second, second_part) = waiting(1, &[7, 5, 8]);
    let mut request = ProofRequest::of(first);
    assert!(request.join(second, 64).is_none());
    assert_eq!(request.slots, [5, 6, 7, 8].map(U256::from), "each once");
    let shown = answer(&request.slots);
    request.hand_out(&shown);
    assert_eq!(numbers(heard(first_part).await), [5, 6]);
    assert_eq!(numbers(heard(second_part).await), [7, 5, 8]);
}

#[tokio::test]
async fn an_answer_with_too_few_proofs_is_nobodys() {
    let (first, part) = waiting(1, &[5, 6]);
    let request = ProofRequest::of(first);
    let shown = answer(&[U256::from(5)]);
    request.hand_out(&shown);
    assert!(numbers(heard(part).await).is_empty());
}

#[test]
fn other_contracts_and_what_is_too_much_wait() {
    let mut request = ProofRequest::of(waiting(1, &[1, 2, 3]).0);
    let (other, _) = waiting(2, &[1]);
    assert!(request.join(other, 64).is_some(), "another contract");
    assert!(
        request.join(waiting(1, &[4]).0, 3).is_some(),
        "a fourth slot"
    );
    assert!(
        request.join(waiting(1, &[2, 1]).0, 3).is_none(),
        "known ones"
    );
    assert_eq!(request.members.len(), 2);
}

#[test]
fn who_is_put_back_wants_what_it_wanted() {
    let mut request = ProofRequest::of(waiting(1, &[1, 2]).0);
    assert!(request.join(waiting(1, &[3, 2]).0, 64).is_none());
    let slots: Vec<_> = request
        .into_members()
        .map(|waiting| waiting.slots)
        .collect();
    assert_eq!(slots, [[1, 2].map(U256::from), [3, 2].map(U256::from)]);
}

#[test]
fn only_refusals_of_the_call_itself_shrink_it() {
    let rpc = |code, message: &str| {
        let mut error = RpcError {
            code,
            message: message.to_owned(),
            data: None,
            class: ErrorClass::Other,
        };
        error.class = classify(&error);
        ProviderError::Rpc(error)
    };
    let table = [
        (rpc(-32_602, "too many keys"), false),
        (rpc(-32_000, "too many keys"), true),
        (ProviderError::Http(413), true),
        (ProviderError::Http(429), false),
        (rpc(-32_005, "slow down"), false),
        (ProviderError::Timeout(2_000), false),
        (ProviderError::NoProofs(PROOF_METHOD), false),
        (rpc(-32_000, "header not found"), false),
    ];
    for (error, expected) in table {
        assert_eq!(may_be_too_many(&error), expected, "{error}");
    }
}
