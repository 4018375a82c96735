use std::collections::BTreeMap;

use alloy::primitives::U256;
use alloy::rlp::encode;
use alloy::trie::nodes::{BranchNode, ExtensionNode, LeafNode};
use alloy::trie::proof::{ProofRetainer, verify_proof};
use alloy::trie::{HashBuilder, TrieMask};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// A trie of these entries by hashed key: its root, and the proof of `key`.
fn trie(entries: &BTreeMap<B256, Vec<u8>>, key: B256) -> (B256, Vec<Bytes>) {
    let target = Nibbles::unpack(key);
    let retainer = ProofRetainer::new(vec![target]);
    let mut builder = HashBuilder::default().with_proof_retainer(retainer);
    for (key, value) in entries {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes().matching_nodes_sorted(&target);
    (root, nodes.into_iter().map(|(_, node)| node).collect())
}

fn entries() -> impl Strategy<Value = BTreeMap<B256, Vec<u8>>> {
    let key = any::<[u8; 32]>().prop_map(|mut key| {
        // Long common beginnings make extensions, and deep branches.
        for byte in &mut key[..28] {
            *byte &= 0x10;
        }
        B256::from(key)
    });
    let value = any::<[u8; 32]>().prop_map(|value| encode(U256::from_be_bytes(value)));
    btree_map(key, value, 1..40)
}

proptest! {
    #[test]
    fn what_is_there_is_proven_and_what_is_not_is_proven_not_to_be(
        entries in entries(), at in any::<Index>(), other in any::<[u8; 32]>(),
    ) {
        let there = *at.get(&entries.keys().copied().collect::<Vec<_>>());
        for key in [there, B256::from(other)] {
            let (root, nodes) = trie(&entries, key);
            let expected = entries.get(&key).cloned();
            prop_assert_eq!(prove(root, key, &nodes), Ok(expected.clone()));
            // The library says the same.
            let path = Nibbles::unpack(key);
            prop_assert!(verify_proof(root, path, expected, &nodes).is_ok());
        }
    }

    #[test]
    fn no_damage_proves_anything_else(
        entries in entries(), at in any::<Index>(), node in any::<Index>(), byte in any::<Index>(),
        value in any::<u8>(), kind in 0..6,
    ) {
        let key = *at.get(&entries.keys().copied().collect::<Vec<_>>());
        let (root, good) = trie(&entries, key);
        let mut nodes = good.clone();
        let node = node.index(nodes.len());
        match kind {
            0 => {
                let mut bytes = nodes[node].to_vec();
                let byte = byte.index(bytes.len());
                bytes[byte] = value;
                nodes[node] = bytes.into();
            }
            1 => nodes[node] = nodes[node].slice(..byte.index(nodes[node].len())),
            2 => nodes.truncate(node),
            3 => nodes.swap(0, node),
            4 => drop(nodes.remove(node)),
            _ => nodes.push(nodes[node].clone()),
        }
        if nodes != good {
            prop_assert!(prove(root, key, &nodes).is_err());
        }
    }

    /// A prover that chooses the root can make any nodes belong together.
    #[test]
    fn hostile_nodes_never_panic(nodes in vec(vec(any::<u8>(), 0..80), 0..6), key in any::<[u8; 32]>()) {
        let nodes: Vec<Bytes> = nodes.into_iter().map(Bytes::from).collect();
        let root = nodes.first().map_or(B256::ZERO, keccak256);
        let _ = prove(root, key.into(), &nodes);
    }

    #[test]
    fn hostile_tries_never_panic(
        parts in vec((0..3_u8, vec(0..16_u8, 0..64)), 1..8), key in any::<[u8; 32]>(),
    ) {
        let (root, nodes) = chain(&parts);
        let _ = prove(root, key.into(), &nodes);
    }
}

/// Nodes that belong together, the last one first made: each holds the hash of the next, or it.
fn chain(parts: &[(u8, Vec<u8>)]) -> (B256, Vec<Bytes>) {
    let mut child = RlpNode::word_rlp(&B256::repeat_byte(1));
    let mut nodes = Vec::new();
    for (kind, nibbles) in parts {
        let path = Nibbles::from_nibbles(nibbles);
        let node = match kind {
            0 => encode(LeafNode::new(path, vec![1])),
            1 => encode(ExtensionNode::new(path, child)),
            _ => {
                let place = nibbles.first().copied().unwrap_or_default();
                encode(BranchNode::new(vec![child], TrieMask::new(1 << place)))
            }
        };
        child = RlpNode::from_rlp(&node);
        if node.len() >= 32 {
            nodes.push(Bytes::from(node));
        }
    }
    nodes.reverse();
    (nodes.first().map_or(B256::ZERO, keccak256), nodes)
}

/// The reason for a walk of our own: a path of more than 64 nibbles.
#[test]
fn paths_that_no_key_has_are_refused() {
    let parts = [(0, vec![0; 60]), (1, vec![0; 40]), (1, vec![0; 40])];
    let (root, nodes) = chain(&parts);
    assert_eq!(prove(root, B256::ZERO, &nodes), Err(Flaw::Malformed(1)));
    let short = chain(&[(0, vec![0; 63])]);
    assert_eq!(
        prove(short.0, B256::ZERO, &short.1),
        Err(Flaw::Malformed(0))
    );
}

#[test]
fn bounds_hold() {
    let key = B256::ZERO;
    let many = vec![Bytes::from(vec![0x80]); MAX_NODES + 1];
    assert_eq!(prove(EMPTY_ROOT_HASH, key, &many), Err(Flaw::TooMany));
    let long = Bytes::from(vec![0; MAX_NODE + 1]);
    let root = keccak256(&long);
    assert_eq!(prove(root, key, &[long]), Err(Flaw::TooLong(0)));
    // The longest node there is: a branch of sixteen hashes.
    let hash = RlpNode::word_rlp(&B256::repeat_byte(1));
    let branch = encode(BranchNode::new(vec![hash; 16], TrieMask::new(u16::MAX)));
    assert_eq!(branch.len(), MAX_NODE);
}

/// Some clients go on with empty nodes where the key is found to be absent.
#[test]
fn empty_nodes_behind_the_end_say_nothing() {
    let (one, other) = (B256::repeat_byte(5), B256::repeat_byte(0x15));
    let value = encode(U256::from(7));
    let entries = BTreeMap::from([
        (one, value.clone()),
        (B256::repeat_byte(0x25), value.clone()),
    ]);
    for (key, expected) in [(one, Some(value)), (other, None)] {
        let (root, good) = trie(&entries, key);
        for empty in [&[][..], &[0x80]] {
            let with = |at: usize| {
                let mut nodes = good.clone();
                nodes.insert(at, Bytes::from_static(empty));
                nodes
            };
            let mut nodes = with(good.len());
            assert_eq!(prove(root, key, &nodes), Ok(expected.clone()));
            nodes.push(Bytes::new());
            assert_eq!(prove(root, key, &nodes), Ok(expected.clone()));
            nodes.push(good[0].clone());
            assert_eq!(prove(root, key, &nodes), Err(Flaw::Excess));
            assert_eq!(prove(root, key, &with(0)), Err(Flaw::Hash(0)));
        }
        let mut longer = good.clone();
        let last = longer.pop().expect("a node");
        longer.push([last.as_ref(), &[0]].concat().into());
        assert!(prove(root, key, &longer).is_err(), "bytes behind the end");
    }
}

#[test]
fn an_empty_trie_holds_nothing() {
    let key = B256::repeat_byte(5);
    let node = |bytes: &'static [u8]| Bytes::from_static(bytes);
    let nothing: [&[Bytes]; 4] = [
        &[],
        &[node(&[0x80])],
        &[node(&[])],
        &[node(&[0x80]), node(&[])],
    ];
    for nodes in nothing {
        assert_eq!(prove(EMPTY_ROOT_HASH, key, nodes), Ok(None));
        assert!(
            prove(B256::repeat_byte(1), key, nodes).is_err(),
            "of another root"
        );
    }
    let (_, some) = trie(&BTreeMap::from([(key, vec![1])]), key);
    assert_eq!(prove(EMPTY_ROOT_HASH, key, &some), Err(Flaw::Hash(0)));
}
