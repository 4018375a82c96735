use alloy::primitives::{b256, keccak256};
use serde_json::{Value, json};

use super::*;

const HEADERS: &str = include_str!("../fixtures/headers.json");

fn headers() -> Vec<Value> {
    let entries: Vec<Value> = serde_json::from_str(HEADERS).expect("JSON");
    entries
        .into_iter()
        .map(|entry| entry["block"].clone())
        .collect()
}

fn root_of(block: &Value) -> Option<B256> {
    let hash = serde_json::from_value(block["hash"].clone()).expect("a hash");
    roots(&block.to_string(), hash).map(|roots| roots.state)
}

#[test]
fn headers_of_every_fork_are_proven() {
    let headers = headers();
    assert_eq!(headers.len(), 9);
    for block in headers {
        let expected: B256 = serde_json::from_value(block["stateRoot"].clone()).expect("a root");
        assert_eq!(root_of(&block), Some(expected), "{block}");
        let hash = serde_json::from_value(block["hash"].clone()).expect("a hash");
        let receipts = roots(&block.to_string(), hash).map(|roots| json!(roots.receipts));
        assert_eq!(receipts.as_ref(), Some(&block["receiptsRoot"]), "{block}");
    }
}

/// Ethereum's first block, whose hash is public knowledge.
#[test]
fn the_genesis_block_of_mainnet_is_proven() {
    let empty = b256!("0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
    let block = json!({
        "parentHash": B256::ZERO,
        "sha3Uncles": keccak256([0xc0]),
        "miner": "0x0000000000000000000000000000000000000000",
        "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
        "transactionsRoot": empty,
        "receiptsRoot": empty,
        "logsBloom": format!("0x{}", "00".repeat(256)),
        "difficulty": "0x400000000",
        "number": "0x0",
        "gasLimit": "0x1388",
        "gasUsed": "0x0",
        "timestamp": "0x0",
        "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
        "mixHash": B256::ZERO,
        "nonce": "0x0000000000000042",
        "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    });
    assert!(root_of(&block).is_some());
}

/// The first block of Gnosis, as a client shows it that writes the seal by these names.
fn gnosis(step: (&str, Value), signature: &str) -> Value {
    let empty = b256!("0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
    let mut block = json!({
        "parentHash": B256::ZERO,
        "sha3Uncles": keccak256([0xc0]),
        "miner": "0x0000000000000000000000000000000000000000",
        "stateRoot": "0x40cf4430ecaa733787d1a65154a3b9efb560c95d9e324a23b97f0609b539133b",
        "transactionsRoot": empty,
        "receiptsRoot": empty,
        "logsBloom": format!("0x{}", "00".repeat(256)),
        "difficulty": "0x20000",
        "number": "0x0",
        "gasLimit": "0x989680",
        "gasUsed": "0x0",
        "timestamp": "0x0",
        "extraData": "0x",
        "hash": "0x4f1dd23188aab3a76b463e4af801b52b1248ef073c648cbdc4c9333d3da79756",
    });
    block[step.0] = step.1;
    block[signature] = json!(format!("0x{}", "00".repeat(65)));
    block
}

#[test]
fn headers_of_authorities_are_proven() {
    for (step, signature) in [
        (("auraStep", json!("0x0")), "auraSeal"),
        (("step", json!("0")), "signature"),
        (("step", json!(0)), "signature"),
    ] {
        let block = gnosis(step, signature);
        assert!(root_of(&block).is_some(), "{block}");
        for (field, other) in [
            ("stateRoot", json!(B256::ZERO)),
            ("timestamp", json!("0x1")),
            (signature, json!(format!("0x01{}", "00".repeat(64)))),
            (signature, json!(null)),
        ] {
            let mut changed = block.clone();
            changed[field] = other;
            assert_eq!(root_of(&changed), None, "{field}");
        }
    }
}

#[test]
fn a_changed_or_missing_field_proves_nothing() {
    const NOT_IN_A_HEADER: [&str; 5] = [
        "totalDifficulty",
        "size",
        "uncles",
        "transactions",
        "withdrawals",
    ];
    let mut changed = 0;
    for block in headers() {
        let fields: Vec<String> = block.as_object().expect("fields").keys().cloned().collect();
        for field in fields
            .iter()
            .filter(|f| *f != "hash" && !NOT_IN_A_HEADER.contains(&f.as_str()))
        {
            let mut without = block.clone();
            without.as_object_mut().expect("fields").remove(field);
            assert_eq!(root_of(&without), None, "without {field}");

            let text = block[field].as_str().expect("text");
            let last = if text.ends_with('1') { "2" } else { "1" };
            let mut other = block.clone();
            other[field] = match text {
                "0x" => json!("0x11"),
                text => json!(format!("{}{last}", &text[..text.len() - 1])),
            };
            assert_eq!(root_of(&other), None, "another {field}");
            changed += 1;
        }
    }
    assert!(changed > 100, "{changed}");
}

#[test]
fn fields_of_forks_to_come_prove_nothing_and_those_of_no_header_do_not_matter() {
    let block = headers().pop().expect("a header");
    let mut later = block.clone();
    later["blockAccessListHash"] = json!(B256::ZERO);
    assert_eq!(root_of(&later), None);
    let mut more = block.clone();
    more["transactions"] = json!([]);
    more["l1BlockNumber"] = json!("0x1");
    assert!(root_of(&more).is_some());
}

#[test]
fn nonsense_is_no_header() {
    let text = headers().pop().expect("a header").to_string();
    for cut in (0..text.len()).step_by(7) {
        assert_eq!(roots(&text[..cut], B256::ZERO), None);
    }
    for text in [
        "null",
        "[]",
        "{}",
        "1",
        r#"{"number":"0x1","number":"0x2"}"#,
    ] {
        assert_eq!(roots(text, B256::ZERO), None);
    }
    let twice = text.replacen(
        '{',
        r#"{"stateRoot":"0x0000000000000000000000000000000000000000000000000000000000000000","#,
        1,
    );
    assert_eq!(
        roots(&twice, B256::ZERO),
        None,
        "a field that is there twice"
    );
}
