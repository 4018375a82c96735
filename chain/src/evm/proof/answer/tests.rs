use alloy::primitives::hex;
use serde_json::{Value, json};

use super::*;
use crate::evm::proof::block_roots;

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
        root: block_roots(&all["head"].to_string(), hash.into())
            .expect("a proven header")
            .state,
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
    let others: Vec<U256> = slots.iter().map(|slot| slot + U256::ONE).collect();
    assert!(
        answers.check(&case["answer"], &others).is_err(),
        "of other slots"
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

/// Calls `change` with the key of each slot, and the slot.
fn rename(answer: &mut Value, slots: &[U256], change: impl Fn(&mut Value, U256)) {
    let proofs = answer["storageProof"].as_array_mut().unwrap();
    for (shown, slot) in proofs.iter_mut().zip(slots) {
        change(&mut shown["key"], *slot);
    }
}

#[test]
fn proofs_come_in_any_order_and_keys_in_any_form() {
    type Form = fn(&mut Value, U256);
    let forms: [Form; 6] = [
        |key, slot| *key = json!(format!("{slot:#x}")),
        |key, slot| *key = json!(format!("{slot:#066x}")),
        |key, slot| *key = json!(format!("0x{slot:X}")),
        |key, slot| *key = json!(format!("0X00{slot:X}")),
        |key, slot| *key = json!(format!("0x0{slot:x}")),
        |_, _| {},
    ];
    // Without a key that can be read, the place says which slot it is.
    let nameless: [Form; 5] = [
        |key, _| *key = json!(null),
        |key, _| *key = json!(7),
        |key, slot| *key = json!(keccak256(slot.to_be_bytes::<32>())),
        |key, slot| *key = json!(slot.to_string()),
        |key, _| *key = json!("0x"),
    ];
    let answers = answers();
    for case in answers.cases() {
        let slots = words(&case["slots"]);
        let expected = Ok(words(&case["values"]));
        for form in forms.into_iter().chain(nameless) {
            let mut answer = case["answer"].clone();
            rename(&mut answer, &slots, form);
            assert_eq!(answers.check(&answer, &slots), expected, "{answer}");
        }
        for form in forms {
            let mut answer = case["answer"].clone();
            rename(&mut answer, &slots, form);
            answer["storageProof"].as_array_mut().unwrap().reverse();
            assert_eq!(answers.check(&answer, &slots), expected, "{answer}");
            let read = ProofAnswer::read(&answer.to_string(), slots.len()).expect("an answer");
            let last = read.part(&slots, &[slots.len() - 1]);
            let contract = read
                .contract(answers.root, answers.address)
                .expect("it holds");
            let found = last.values(contract.expect("a contract"), &slots[slots.len() - 1..]);
            assert_eq!(
                found.ok().as_deref(),
                expected.as_ref().ok().map(|all| &all[all.len() - 1..])
            );
        }
    }
}

#[test]
fn nothing_in_place_of_nodes_is_no_damage() {
    let answers = answers();
    for case in answers.cases() {
        let slots = words(&case["slots"]);
        for more in [
            vec!["0x"],
            vec!["0x", "0x"],
            vec!["0x80"],
            vec!["0x80", "0x"],
        ] {
            let mut answer = case["answer"].clone();
            let mut lists = vec![answer["accountProof"].take()];
            let proofs = answer["storageProof"].as_array_mut().unwrap();
            lists.extend(proofs.iter_mut().map(|shown| shown["proof"].take()));
            for list in &mut lists {
                list.as_array_mut()
                    .unwrap()
                    .extend(more.iter().map(|node| json!(node)));
            }
            let mut lists = lists.into_iter();
            let account = lists.next().unwrap();
            for (shown, list) in proofs.iter_mut().zip(lists) {
                shown["proof"] = list;
            }
            answer["accountProof"] = account;
            assert_eq!(answers.check(&answer, &slots), Ok(words(&case["values"])));
        }
    }
    let mut nowhere = answers.all["nowhere"].clone();
    nowhere["storageProof"] = json!(null);
    let read = ProofAnswer::read(&nowhere.to_string(), 4).expect("an answer");
    assert_eq!(
        read.contract(answers.root, Address::repeat_byte(9)),
        Ok(None)
    );
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
