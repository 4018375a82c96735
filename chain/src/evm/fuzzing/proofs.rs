//! Proofs of a state that is known, and of states that a prover made up.

use std::sync::LazyLock;

use alloy::primitives::{Address, B256, Bytes, U256, hex, keccak256};
use alloy::trie::proof::verify_proof;
use alloy::trie::{EMPTY_ROOT_HASH, Nibbles};
use serde_json::Value;

use super::super::proof::trie::{Flaw, MAX_NODES, prove};
use super::super::{block_roots, prove_slots};

const PROOFS: &str = include_str!("../proof/fixtures/proofs.json");
const HEADERS: &str = include_str!("../proof/fixtures/headers.json");

/// Stands in a node for the hash of the node behind it.
const LINK: [u8; 32] = [0xee; 32];

/// What is true of a chain that a node of another make has run.
struct Truth {
    root: B256,
    contract: Address,
    /// Addresses without a contract.
    others: Vec<Address>,
    /// Slots, and what they hold.
    slots: Vec<(Vec<U256>, Vec<U256>)>,
    /// Hashes of headers, and the state roots in them.
    headers: Vec<(B256, B256)>,
}

static TRUTH: LazyLock<Truth> = LazyLock::new(|| {
    let all: Value = serde_json::from_str(PROOFS).expect("JSON");
    let headers: Vec<Value> = serde_json::from_str(HEADERS).expect("JSON");
    let headers = headers.iter().map(|entry| &entry["block"]);
    let headers = headers.chain([&all["head"]]);
    Truth {
        root: read(&all["head"]["stateRoot"]),
        contract: read(&all["state_manager"]),
        others: vec![Address::repeat_byte(9), read(&all["user"])],
        slots: all["cases"]
            .as_array()
            .expect("cases")
            .iter()
            .map(|case| (read(&case["slots"]), read(&case["values"])))
            .collect(),
        headers: headers
            .map(|block| (read(&block["hash"]), read(&block["stateRoot"])))
            .collect(),
    }
});

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("a value of the fixtures")
}

/// Answers of `eth_getProof`, and headers of blocks: under a root or a hash that is known, nothing but
/// the truth is proven.
pub fn proof(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let truth = &*TRUTH;
    for (slots, values) in &truth.slots {
        match prove_slots(text, truth.root, truth.contract, slots) {
            Ok(found) => assert_eq!(found.as_ref(), Some(values), "nothing but the truth"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        for other in &truth.others {
            let found = prove_slots(text, truth.root, *other, slots);
            assert!(!matches!(found, Ok(Some(_))), "no contract is there");
        }
    }
    for (hash, root) in &truth.headers {
        let found = block_roots(text, *hash).map(|roots| roots.state);
        assert!(found.is_none_or(|found| found == *root), "one root");
    }
    made_up(text);
}

/// A prover that chooses the root can prove what it likes, but not two things of one slot.
fn made_up(text: &str) {
    let Some(root) = own_root(text) else {
        return;
    };
    let contract = TRUTH.contract;
    for (slots, _) in &TRUTH.slots {
        let Ok(Some(values)) = prove_slots(text, root, contract, slots) else {
            continue;
        };
        assert_eq!(values.len(), slots.len(), "a value for each slot");
        let again = prove_slots(text, root, contract, slots);
        assert_eq!(again, Ok(Some(values)));
        let other = prove_slots(text, keccak256(root), contract, slots);
        assert!(other.is_err(), "under its own root only");
    }
}

/// The root that the answer's first node of the account is of.
fn own_root(text: &str) -> Option<B256> {
    let answer: Value = serde_json::from_str(text).ok()?;
    let node = answer.get("accountProof")?.get(0)?.as_str()?;
    hex::decode(node).ok().map(keccak256)
}

/// Nodes that are linked by their hashes, whatever is in them: a key, then each node behind its length
/// in two bytes.
pub fn trie(bytes: &[u8]) {
    let Some((key, rest)) = bytes.split_first_chunk::<32>() else {
        return;
    };
    let (key, nodes) = (B256::from(*key), linked(nodes_of(rest)));
    let Some((last, before)) = nodes.split_last() else {
        return;
    };
    let root = keccak256(&nodes[0]);
    let Ok(found) = prove(root, key, &nodes) else {
        return;
    };
    assert!(nodes.len() <= MAX_NODES);
    if root == EMPTY_ROOT_HASH {
        assert_eq!(found, None, "nothing is in an empty trie");
        return;
    }
    assert_eq!(
        prove(root, key, before),
        Err(Flaw::Incomplete),
        "every node is needed"
    );
    let more = [nodes.as_slice(), std::slice::from_ref(last)].concat();
    assert!(prove(root, key, &more).is_err(), "and no other");
    assert!(prove(keccak256(root), key, &nodes).is_err(), "one root");
    if found.is_some() {
        let absent = verify_proof(root, Nibbles::unpack(key), None, &nodes);
        assert!(absent.is_err(), "the library proves the opposite");
    }
}

fn nodes_of(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut nodes = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (node, rest) = rest.split_at(length);
        nodes.push(node.to_vec());
        bytes = rest;
    }
    nodes
}

/// The nodes with the hash of the next one where its place is, from the last to the first.
fn linked(nodes: Vec<Vec<u8>>) -> Vec<Bytes> {
    let mut done: Vec<Bytes> = Vec::with_capacity(nodes.len());
    for mut node in nodes.into_iter().rev() {
        let place = node.windows(LINK.len()).position(|part| part == LINK);
        if let (Some(next), Some(place)) = (done.last(), place) {
            node[place..place + LINK.len()].copy_from_slice(keccak256(next).as_slice());
        }
        done.push(node.into());
    }
    done.reverse();
    done
}
