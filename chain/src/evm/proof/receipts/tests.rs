use alloy::consensus::proofs::calculate_receipt_root;
use alloy::consensus::{
    Eip658Value, Receipt, ReceiptEnvelope, ReceiptWithBloom, RlpEncodableReceipt, TxReceipt, TxType,
};
use alloy::primitives::keccak256;
use alloy::trie::root::ordered_trie_root_encoded;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const TYPES_OF_ETHEREUM: [TxType; 5] = [
    TxType::Legacy,
    TxType::Eip2930,
    TxType::Eip1559,
    TxType::Eip4844,
    TxType::Eip7702,
];

type Inner = ReceiptWithBloom<Receipt<Log>>;

fn log(seed: u8) -> Log {
    let topics = (0..seed % 5).map(|at| keccak256([seed, at])).collect();
    let data = vec![seed; usize::from(seed % 70)];
    Log::new(Address::repeat_byte(seed), topics, data.into()).expect("a log")
}

fn receipt(status: Eip658Value, gas: u64, logs: &[u8]) -> Inner {
    Receipt {
        status,
        cumulative_gas_used: gas,
        logs: logs.iter().copied().map(log).collect(),
    }
    .with_bloom()
}

/// As a provider shows it.
fn shown(kind: u8, inner: &Inner, number: usize, first_log: usize) -> Value {
    let logs = inner.logs().iter().zip(first_log..);
    let logs: Vec<Value> = logs
        .map(|(log, index)| {
            json!({
                "address": log.address, "topics": log.topics(), "data": log.data.data,
                "logIndex": format!("{index:#x}"), "removed": false,
            })
        })
        .collect();
    let mut shown = json!({
        "type": format!("{kind:#x}"),
        "cumulativeGasUsed": format!("{:#x}", inner.cumulative_gas_used()),
        "logsBloom": inner.logs_bloom,
        "logs": logs,
        "blockHash": B256::repeat_byte(0xbb),
        "transactionHash": keccak256(number.to_be_bytes()),
        "transactionIndex": format!("{number:#x}"),
        "gasUsed": "0x5208",
    });
    match inner.receipt.status {
        Eip658Value::Eip658(done) => shown["status"] = json!(if done { "0x1" } else { "0x0" }),
        Eip658Value::PostState(root) => shown["root"] = json!(root),
    }
    shown
}

/// A block of receipts of these types, as it is shown, and its root as alloy has it.
fn block(of: &[(TxType, bool, Vec<u8>)]) -> (Vec<Value>, B256) {
    let (mut all, mut envelopes, mut logs) = (Vec::new(), Vec::new(), 0);
    for (number, (kind, status, seeds)) in of.iter().enumerate() {
        let inner = receipt((*status).into(), 21_000 * (number as u64 + 1), seeds);
        all.push(shown(*kind as u8, &inner, number, logs));
        logs += seeds.len();
        envelopes.push(ReceiptEnvelope::from_typed(*kind, inner.receipt));
    }
    (all, calculate_receipt_root(&envelopes))
}

fn usual() -> (Vec<Value>, B256) {
    let kinds = TYPES_OF_ETHEREUM.iter().zip(1_u8..);
    let of: Vec<_> = kinds
        .map(|(kind, seed)| (*kind, seed != 3, vec![seed, seed + 100]))
        .collect();
    block(&of)
}

fn proven(receipts: &[Value], root: B256) -> Result<Vec<ProvenLog>, String> {
    let read: Vec<RpcReceipt> =
        serde_json::from_str(&json!(receipts).to_string()).map_err(|error| error.to_string())?;
    prove(read, root).map_err(|flaw| flaw.to_string())
}

/// The four fields of a receipt and more, in a list, behind its type.
fn list(kind: u8, inner: &Inner, more: &[u64]) -> Vec<u8> {
    let mut plain = Vec::new();
    inner
        .receipt
        .rlp_encode_with_bloom(&inner.logs_bloom, &mut plain);
    let items = rlp::Header::decode_bytes(&mut plain.as_slice(), true).expect("a list");
    let mut items = items.to_vec();
    more.iter().for_each(|more| more.encode(&mut items));
    let mut whole = vec![kind];
    let payload_length = items.len();
    rlp::Header {
        list: true,
        payload_length,
    }
    .encode(&mut whole);
    whole.extend(items);
    whole
}

#[test]
fn receipts_of_every_type_are_proven_with_their_events() {
    let (receipts, root) = usual();
    let events = proven(&receipts, root).expect("a proof");
    let expected: Vec<Log> = (1..=5)
        .flat_map(|seed| [log(seed), log(seed + 100)])
        .collect();
    let found: Vec<Log> = events.iter().map(|event| event.log.clone()).collect();
    assert_eq!(found, expected);
    let places = events.iter().map(|event| event.index);
    assert!(places.eq(0..10));
    assert_eq!(events[9].transaction, keccak256(4_usize.to_be_bytes()));
    assert_eq!(proven(&[], EMPTY_ROOT_HASH), Ok(Vec::new()));
}

#[test]
fn receipts_of_other_chains_are_proven() {
    let inner = receipt(true.into(), 46_913, &[7]);
    let shown = |kind| shown(kind, &inner, 0, 0);
    let root = |encoded: Vec<u8>| ordered_trie_root_encoded(&[encoded]);
    for kind in [0x64, 0x65, 0x66, 0x68, 0x69, 0x6a, 0x78] {
        assert!(
            proven(&[shown(kind)], root(list(kind, &inner, &[]))).is_ok(),
            "{kind:#x}"
        );
    }
    let (regolith, canyon) = (list(0x7e, &inner, &[]), list(0x7e, &inner, &[4_012_991, 1]));
    let mut deposit = shown(0x7e);
    assert!(proven(&[deposit.clone()], root(regolith.clone())).is_ok());
    deposit["depositNonce"] = json!(format!("{:#x}", 4_012_991));
    assert!(proven(&[deposit.clone()], root(regolith)).is_ok());
    deposit["depositReceiptVersion"] = json!("0x1");
    assert!(proven(&[deposit.clone()], root(canyon.clone())).is_ok());
    for (field, other) in [
        ("depositNonce", json!("0x3d3b7e")),
        ("depositReceiptVersion", json!("0x2")),
        ("depositReceiptVersion", json!(null)),
        ("type", json!("0x2")),
    ] {
        let mut forged = deposit.clone();
        forged[field] = other;
        assert!(proven(&[forged], root(canyon.clone())).is_err(), "{field}");
    }
    // Of a form that is not known here: nobody's lie.
    let celo = shown(0x7b);
    let error = prove(
        serde_json::from_value(json!([celo])).expect("receipts"),
        root(list(0x7b, &inner, &[5])),
    );
    assert_eq!(error, Err(ReceiptFlaw::Type(0, 0x7b)));
    assert!(error.is_err_and(|flaw| !flaw.is_lie()));
}

#[test]
fn receipts_before_byzantium_have_a_state_root() {
    let inner = receipt(Eip658Value::PostState(B256::repeat_byte(3)), 21_000, &[1]);
    let root = calculate_receipt_root(&[ReceiptEnvelope::Legacy(inner.clone())]);
    let mut old = shown(0, &inner, 0, 0);
    assert!(proven(&[old.clone()], root).is_ok());
    // As some clients have it.
    old.as_object_mut().expect("fields").remove("type");
    old["status"] = json!(null);
    old.as_object_mut().expect("fields").remove("logsBloom");
    assert!(proven(&[old.clone()], root).is_ok());
    old["root"] = json!("0x");
    assert!(proven(&[old.clone()], root).is_err());
    old["status"] = json!("0x1");
    assert!(proven(&[old], root).is_err());
}

#[test]
fn a_forged_field_proves_nothing() {
    let (receipts, root) = usual();
    let forgeries: [(&str, Value); 13] = [
        ("/type", json!("0x3")),
        ("/status", json!("0x0")),
        ("/status", json!("0x2")),
        ("/status", json!(null)),
        ("/root", json!(B256::repeat_byte(1))),
        ("/cumulativeGasUsed", json!("0x1")),
        ("/logsBloom", json!(Bloom::ZERO)),
        ("/transactionIndex", json!("0x2")),
        ("/logs/0/address", json!(Address::ZERO)),
        ("/logs/0/data", json!("0x01")),
        ("/logs/0/logIndex", json!("0x3")),
        ("/logs/1/topics/0", json!(B256::ZERO)),
        ("/logs", json!([])),
    ];
    for (place, value) in forgeries {
        let mut forged = receipts.clone();
        let (parent, field) = place.rsplit_once('/').expect("a path");
        let parent = forged[1].pointer_mut(parent).expect("a place");
        match field.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[field] = value,
        }
        // What is forged with all that follows from it fails by the root.
        for with_bloom in [true, false] {
            if !with_bloom {
                forged[1]
                    .as_object_mut()
                    .expect("fields")
                    .remove("logsBloom");
            }
            if with_bloom || place != "/logsBloom" {
                assert!(proven(&forged, root).is_err(), "{place} {with_bloom}");
            }
        }
    }
    assert!(proven(&receipts, B256::ZERO).is_err());
}

#[test]
fn receipts_are_all_there_and_in_order() {
    let (receipts, root) = usual();
    let bare: Vec<Value> = receipts.iter().cloned().map(without_places).collect();
    assert!(proven(&bare, root).is_ok());
    for (first, second) in [(0, 1), (0, 4), (2, 3)] {
        let mut swapped = bare.clone();
        swapped.swap(first, second);
        assert!(proven(&swapped, root).is_err());
        let mut doubled = bare.clone();
        doubled.insert(second, bare[first].clone());
        assert!(proven(&doubled, root).is_err());
        let mut fewer = bare.clone();
        fewer.remove(second);
        assert!(proven(&fewer, root).is_err());
    }
    let absent = prove(Vec::new(), root);
    assert_eq!(absent, Err(ReceiptFlaw::Absent));
    assert!(!ReceiptFlaw::Absent.is_lie() && ReceiptFlaw::Root.is_lie());
    let twice = json!(receipts)
        .to_string()
        .replacen('{', r#"{"status":"0x0","#, 1);
    assert!(serde_json::from_str::<Vec<RpcReceipt>>(&twice).is_err());
}

fn without_places(mut receipt: Value) -> Value {
    receipt
        .as_object_mut()
        .expect("fields")
        .remove("transactionIndex");
    for log in receipt["logs"].as_array_mut().expect("logs") {
        log.as_object_mut().expect("fields").remove("logIndex");
    }
    receipt
}

fn any_receipt() -> impl Strategy<Value = (TxType, bool, Vec<u8>)> {
    let kind = (0_usize..5).prop_map(|at| TYPES_OF_ETHEREUM[at]);
    (
        kind,
        any::<bool>(),
        proptest::collection::vec(any::<u8>(), 0..4),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Up to sizes at which the keys of the trie have other lengths.
    #[test]
    fn blocks_of_any_size_are_proven(of in proptest::collection::vec(any_receipt(), 1..300)) {
        let (receipts, root) = block(&of);
        let events = proven(&receipts, root).expect("a proof");
        prop_assert_eq!(events.len(), of.iter().map(|(_, _, seeds)| seeds.len()).sum::<usize>());
    }

    #[test]
    fn a_changed_bit_of_an_event_proves_nothing(
        of in proptest::collection::vec(any_receipt(), 1..20), which: prop::sample::Index, bit: u8,
    ) {
        let (mut receipts, root) = block(&of);
        let with_logs: Vec<usize> = (0..of.len()).filter(|at| !of[*at].2.is_empty()).collect();
        prop_assume!(!with_logs.is_empty());
        let receipt = &mut receipts[*which.get(&with_logs)];
        let mut address: Address = serde_json::from_value(receipt["logs"][0]["address"].clone()).expect("one");
        address.0[usize::from(bit / 8) % 20] ^= 1 << (bit % 8);
        receipt["logs"][0]["address"] = json!(address);
        receipt["logsBloom"] = json!(null);
        prop_assert!(proven(&receipts, root).is_err());
    }
}
