//! Merkle Patricia tries: what a key holds under a known root.
//!
//! # Design Decisions
//!
//! Nodes are decoded by `alloy_trie`, the walk is our own. Its `verify_proof` wants to know the value
//! beforehand, and panics where nodes that belong together have paths of more than 64 nibbles in all.
//! Such a trie is easily made by a party that chooses the root, as a lone provider does.

use alloy::primitives::{B256, Bytes, keccak256};
use alloy::rlp::{Decodable, EMPTY_STRING_CODE};
use alloy::trie::nodes::{RlpNode, TrieNode};
use alloy::trie::{EMPTY_ROOT_HASH, Nibbles};

/// Nodes of one proof: a key has 64 nibbles, and every node but the last takes one of them at least.
pub(in crate::evm) const MAX_NODES: usize = 65;

/// Bytes of one node: a branch with 16 children of 33 bytes, an empty value, and its length.
pub(in crate::evm) const MAX_NODE: usize = 16 * 33 + 1 + 3;

/// Nibbles of a key.
const KEY: usize = 64;

/// First byte and length of a node's hash within its parent.
const HASH_PREFIX: u8 = 0x80 + 32;

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::evm) enum Flaw {
    #[error("more than {MAX_NODES} nodes")]
    TooMany,
    #[error("node {0} has more than {MAX_NODE} bytes")]
    TooLong(usize),
    #[error("node {0} has not the hash that it should have")]
    Hash(usize),
    #[error("node {0} is none")]
    Malformed(usize),
    #[error("it ends before the key is found")]
    Incomplete,
    #[error("it goes on where the key is found")]
    Excess,
    #[error("the value is none of its kind")]
    Value,
}

/// Where a node leads for a key.
enum Step {
    Hash(B256),
    Inline(RlpNode),
    Value(Vec<u8>),
    Nothing,
}

/// What the trie with this root holds under `key`, the hash of what is asked for; `None` where it
/// provably holds nothing.
pub(in crate::evm) fn prove(
    root: B256,
    key: B256,
    nodes: &[Bytes],
) -> Result<Option<Vec<u8>>, Flaw> {
    if nodes.len() > MAX_NODES {
        return Err(Flaw::TooMany);
    }
    // Clients differ in how they show that there is nothing, and where they stop.
    if root == EMPTY_ROOT_HASH {
        return match nodes.iter().all(is_empty) {
            true => Ok(None),
            false => Err(Flaw::Hash(0)),
        };
    }
    let mut walk = Walk {
        key: Nibbles::unpack(key),
        depth: 0,
    };
    let mut expected = root;
    for (number, node) in nodes.iter().enumerate() {
        if node.len() > MAX_NODE {
            return Err(Flaw::TooLong(number));
        }
        if keccak256(node) != expected {
            return Err(Flaw::Hash(number));
        }
        let found = match walk.through(node).ok_or(Flaw::Malformed(number))? {
            Step::Hash(hash) => {
                expected = hash;
                continue;
            }
            Step::Value(value) => Some(value),
            Step::Nothing => None,
            Step::Inline(_) => return Err(Flaw::Malformed(number)),
        };
        return match nodes.iter().skip(number + 1).all(is_empty) {
            true => Ok(found),
            false => Err(Flaw::Excess),
        };
    }
    Err(Flaw::Incomplete)
}

/// The node of an empty trie, or nothing in its place.
fn is_empty(node: &Bytes) -> bool {
    matches!(node.as_ref(), [] | [EMPTY_STRING_CODE])
}

/// The way of a key down a trie.
struct Walk {
    key: Nibbles,
    depth: usize,
}

impl Walk {
    /// Through a node and those that lie within it; `None` where it is no node that can be here.
    fn through(&mut self, node: &[u8]) -> Option<Step> {
        let mut step = self.step(node)?;
        // Ends: what lies within a node is shorter than it.
        while let Step::Inline(inner) = step {
            step = self.step(&inner)?;
        }
        Some(step)
    }

    fn step(&mut self, mut node: &[u8]) -> Option<Step> {
        let decoded = TrieNode::decode(&mut node).ok()?;
        if !node.is_empty() {
            return None;
        }
        match decoded {
            TrieNode::EmptyRoot => None,
            TrieNode::Branch(branch) => {
                let next = self.key.get(self.depth)?;
                self.depth += 1;
                if !branch.state_mask.is_bit_set(next) {
                    return Some(Step::Nothing);
                }
                let before = (0..next).filter(|i| branch.state_mask.is_bit_set(*i));
                let child = branch.stack.into_iter().nth(before.count())?;
                child_step(child)
            }
            TrieNode::Extension(extension) if extension.key.is_empty() => None,
            TrieNode::Extension(extension) => match self.follow(&extension.key)? {
                true => child_step(extension.child),
                false => Some(Step::Nothing),
            },
            TrieNode::Leaf(leaf) => match self.follow(&leaf.key)? {
                true if self.depth == KEY => Some(Step::Value(leaf.value)),
                true => None,
                false => Some(Step::Nothing),
            },
        }
    }

    /// Whether the key goes on like this; `None` where no key could.
    fn follow(&mut self, path: &Nibbles) -> Option<bool> {
        let end = self.depth + path.len();
        if end > KEY {
            return None;
        }
        let follows = self.key.slice(self.depth..end) == *path;
        self.depth = end;
        Some(follows)
    }
}

/// A child is a hash or, where that is shorter, the node itself.
fn child_step(child: RlpNode) -> Option<Step> {
    match child.split_first()? {
        (&HASH_PREFIX, hash) => B256::try_from(hash).ok().map(Step::Hash),
        _ => Some(Step::Inline(child)),
    }
}

#[cfg(test)]
mod tests;
