use alloy::primitives::hex;
use serde_json::{Value, json};

use super::*;
use crate::evm::proof::header::state_root;

const PROOFS: &str = include_str!("../fixtures/proofs.json");

/// What anvil answered about a state manager.
struct Answers {
    all: Value,
    root: B256,
    address: Address,
}

fn answers() -> Answers {
    let all: Value = serde_json::from_str(PROOFS).expect("JSON");
    let hash = word(&all["head"]["hash"]);
    Answers {
        root: state_root(&all["head"].to_string(), hash.into()).expect("a proven header"),
        address: all["state_manager"]
            .as_str()
            .expect("text")
            .parse()
            .expect("an address"),
        all,
    }
}

fn word(value: &Value) -> U256 {
    value.as_str().expect("text").parse().expect("a word")
}

fn words(values: &Value) -> Vec<U256> {
    values
        .as_array()
        .expect("a list")
        .iter()
        .map(word)
        .collect()
}

impl Answers {
    fn cases(&self) -> &Vec<Value> {
        self.all["cases"].as_array().expect("cases")
    }

    /// All that `answer` proves about these slots, or why it proves nothing.
    fn check(&self, answer: &Value, slots: &[U256]) -> Result<Vec<U256>, String> {
        let answer = ProofAnswer::read(&answer.to_string(), slots.len())?;
        let contract = answer
            .contract(self.root, self.address)
            .map_err(|e| e.to_string())?;
        let contract = contract.ok_or("no contract")?;
        answer.values(contract, slots).map_err(|e| e.to_string())
    }
}

#[test]
fn proofs_of_a_real_chain_hold() {
    let answers = answers();
    for case in answers.cases() {
        let slots = words(&case["slots"]);
        assert_eq!(
            answers.check(&case["answer"], &slots),
            Ok(words(&case["values"])),
            "{}",
            case["name"]
        );
    }
}

#[test]
fn that_there_is_no_contract_is_proven() {
    let answers = answers();
    for (who, address) in [
        ("nowhere", Address::repeat_byte(9)),
        (
            "person",
            answers.all["user"].as_str().unwrap().parse().unwrap(),
        ),
    ] {
        let answer = ProofAnswer::read(&answers.all[who].to_string(), 4).expect("an answer");
        assert_eq!(answer.contract(answers.root, address), Ok(None), "{who}");
        assert!(
            answer.contract(answers.root, answers.address).is_err(),
            "for another address"
        );
        assert!(
            answer.contract(B256::ZERO, address).is_err(),
            "for another root"
        );
    }
}

#[test]
fn slots_of_others_and_other_counts_are_refused() {
    let answers = answers();
    let case = &answers.cases()[0];
    let slots = words(&case["slots"]);
    let mut turned = slots.clone();
    turned.rotate_left(1);
    assert!(
        answers.check(&case["answer"], &turned).is_err(),
        "in another order"
    );
    assert!(
        answers.check(&case["answer"], &slots[1..]).is_err(),
        "more than asked for"
    );
    let mut other = case["answer"].clone();
    other["storageProof"].as_array_mut().unwrap().pop();
    assert!(
        answers.check(&other, &slots).is_err(),
        "less than asked for"
    );
    // What an answer says beside its nodes is not read at all.
    let mut said = case["answer"].clone();
    said["storageProof"][0]["value"] = json!("0x29a");
    said["storageHash"] = json!(B256::ZERO);
    assert_eq!(answers.check(&said, &slots), Ok(words(&case["values"])));
}

type Change<'a> = &'a dyn Fn(&mut Vec<Value>);

/// Every node of an answer, as a path into its JSON.
fn nodes(answer: &Value) -> Vec<String> {
    let mut paths: Vec<String> = (0..answer["accountProof"].as_array().unwrap().len())
        .map(|node| format!("/accountProof/{node}"))
        .collect();
    for (slot, proof) in answer["storageProof"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let count = proof["proof"].as_array().unwrap().len();
        paths.extend((0..count).map(|node| format!("/storageProof/{slot}/proof/{node}")));
    }
    paths
}

#[test]
fn every_changed_byte_of_every_node_is_noticed() {
    let answers = answers();
    let mut changes = 0;
    for case in answers.cases() {
        let slots = words(&case["slots"]);
        for path in nodes(&case["answer"]) {
            let mut answer = case["answer"].clone();
            let good = hex::decode(answer.pointer(&path).unwrap().as_str().unwrap()).unwrap();
            for place in 0..good.len() {
                let mut bytes = good.clone();
                bytes[place] ^= 1 << (place % 8);
                *answer.pointer_mut(&path).unwrap() = json!(hex::encode_prefixed(&bytes));
                assert!(answers.check(&answer, &slots).is_err(), "{path} {place}");
                changes += 1;
            }
            for cut in [0, 1, good.len() / 2, good.len() - 1] {
                *answer.pointer_mut(&path).unwrap() = json!(hex::encode_prefixed(&good[..cut]));
                assert!(
                    answers.check(&answer, &slots).is_err(),
                    "{path} cut to {cut}"
                );
            }
        }
    }
    assert!(changes > 10_000, "{changes}");
}

#[test]
fn nodes_left_out_added_or_moved_are_noticed() {
    let answers = answers();
    for case in answers.cases() {
        let slots = words(&case["slots"]);
        for list in ["/accountProof", "/storageProof/0/proof"] {
            let good = case["answer"].pointer(list).unwrap().as_array().unwrap();
            let with = |change: Change<'_>| {
                let (mut answer, mut nodes) = (case["answer"].clone(), good.clone());
                change(&mut nodes);
                let same = nodes == *good;
                *answer.pointer_mut(list).unwrap() = json!(nodes);
                same || answers.check(&answer, &slots).is_err()
            };
            for (place, node) in good.iter().enumerate() {
                let changes: [Change<'_>; 3] = [
                    &|nodes| drop(nodes.remove(place)),
                    &|nodes| nodes.insert(place, node.clone()),
                    &|nodes| nodes.swap(0, place),
                ];
                for change in changes {
                    assert!(with(change), "{list} {place}");
                }
            }
            assert!(with(&|nodes| nodes.clear()));
            assert!(with(&|nodes| nodes.extend(vec![good[0].clone(); 70])));
        }
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    let answers = answers();
    let text = answers.cases()[0]["answer"].to_string();
    for cut in (0..text.len()).step_by(11) {
        assert!(ProofAnswer::read(&text[..cut], 4).is_err());
    }
    for text in [
        "null",
        "[]",
        "{}",
        r#"{"accountProof":[],"storageProof":[{}]}"#,
    ] {
        assert!(ProofAnswer::read(text, 4).is_err(), "{text}");
    }
    let long = format!(
        r#"{{"accountProof":["0x{}"],"storageProof":[]}}"#,
        "00".repeat(5 * MAX_PROOF / 2)
    );
    assert!(ProofAnswer::read(&long, 4).is_err());
}
