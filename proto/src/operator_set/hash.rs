//! The hash of an operator set: a Merkle tree, so that on another chain one member can be shown
//! without the others.

use alloy_primitives::{B256, U256, keccak256};

use super::Operator;

/// First bytes of the preimages, so that no node is a leaf.
const LEAF: u8 = 0;
const NODE: u8 = 1;

/// keccak256(number of members 4 ‖ total 32 ‖ root 32).
pub(super) fn of(members: &[Operator], total: U256) -> B256 {
    let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
    let mut preimage = count.to_be_bytes().to_vec();
    preimage.extend(total.to_be_bytes::<32>());
    preimage.extend(root(&levels(members)));
    keccak256(preimage)
}

/// keccak256(00 ‖ operator 20 ‖ signing key 20 ‖ weight 32).
fn leaf(member: &Operator) -> B256 {
    let mut preimage = vec![LEAF];
    preimage.extend(member.address);
    preimage.extend(member.signing_key);
    preimage.extend(member.weight.to_be_bytes::<32>());
    keccak256(preimage)
}

/// keccak256(01 ‖ left 32 ‖ right 32).
fn node(left: B256, right: B256) -> B256 {
    keccak256([&[NODE], left.as_slice(), right.as_slice()].concat())
}

/// From the leaves up to the root; an odd last node is carried up as it is.
pub(super) fn levels(members: &[Operator]) -> Vec<Vec<B256>> {
    let mut levels = Vec::new();
    let mut level: Vec<B256> = members.iter().map(leaf).collect();
    while level.len() > 1 {
        let pairs = level.chunks(2).map(|pair| match *pair {
            [left, right] => node(left, right),
            _ => pair.first().copied().unwrap_or_default(),
        });
        let above = pairs.collect();
        levels.push(std::mem::replace(&mut level, above));
    }
    levels.push(level);
    levels
}

/// Zero where there are no leaves.
pub(super) fn root(levels: &[Vec<B256>]) -> B256 {
    let top = levels.last().and_then(|level| level.first());
    top.copied().unwrap_or_default()
}
