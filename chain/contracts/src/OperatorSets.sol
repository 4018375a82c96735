// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IQuorumRegistry} from "./IQuorumRegistry.sol";

/// @notice The operators of an epoch, strictly ascending, with what they sign with and weigh.
struct OperatorSet {
    address[] operators;
    address[] signingKeys;
    uint256[] weights;
}

/// @title What a set may be, and its name
library OperatorSets {
    /// @notice Most members of a set. Contracts that store it, transactions that carry it, messages that tell it and
    /// the mesh that its members form all bear so many.
    uint256 internal constant MAX_MEMBERS = 500;
    /// @notice Largest weight of a member.
    uint256 internal constant MAX_WEIGHT = type(uint96).max;

    /// @notice More than {MAX_MEMBERS}.
    error TooManyMembers();
    /// @notice The operator has no weight in that epoch, so it is no member of the set.
    error ZeroWeight(address operator);
    /// @notice The operator has no signing key.
    error ZeroSigningKey(address operator);
    /// @notice The operator weighs more than {MAX_WEIGHT}.
    error WeightTooLarge(address operator);

    /// @notice Reverts unless `set` is one.
    /// @return total Sum of the weights.
    function check(OperatorSet memory set) internal pure returns (uint256 total) {
        uint256 count = set.operators.length;
        if (set.signingKeys.length != count || set.weights.length != count) revert IQuorumRegistry.LengthMismatch();
        if (count == 0) revert IQuorumRegistry.InvalidLength();
        if (count > MAX_MEMBERS) revert TooManyMembers();
        address previous;
        for (uint256 i; i < count; ++i) {
            address operator = set.operators[i];
            if (operator <= previous) revert IQuorumRegistry.NotSorted();
            previous = operator;
            uint256 weight = set.weights[i];
            if (weight == 0) revert ZeroWeight(operator);
            if (weight > MAX_WEIGHT) revert WeightTooLarge(operator);
            if (set.signingKeys[i] == address(0)) revert ZeroSigningKey(operator);
            total += weight;
        }
    }

    /// @notice Name of a set that {check} has passed, whatever the epoch: keccak256 of the number of members (4 bytes),
    /// the total weight (32 bytes) and the root of the tree of RFC 6962 over the members, with keccak256 as its hash. A
    /// leaf is 0x00, operator, signing key and weight (20, 20 and 32 bytes), so that members can be shown one by one.
    /// @param total Sum of the weights.
    function hash(OperatorSet memory set, uint256 total) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint32(set.operators.length), total, _root(_leaves(set))));
    }

    function _leaves(OperatorSet memory set) private pure returns (bytes32[] memory leaves) {
        uint256 count = set.operators.length;
        leaves = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            (address operator, address key, uint256 weight) = (set.operators[i], set.signingKeys[i], set.weights[i]);
            bytes32 leaf;
            assembly ("memory-safe") {
                let input := mload(0x40)
                // The zero byte in front, then one part over the unused end of the one before.
                mstore(input, shl(88, and(operator, 0xffffffffffffffffffffffffffffffffffffffff)))
                mstore(add(input, 21), shl(96, key))
                mstore(add(input, 41), weight)
                leaf := keccak256(input, 73)
            }
            leaves[i] = leaf;
        }
    }

    /// @dev Level by level, in place. An odd last node is carried up as it is, which gives the shape of RFC 6962.
    function _root(bytes32[] memory nodes) private pure returns (bytes32 root) {
        uint256 count = nodes.length;
        assembly ("memory-safe") {
            let first := add(nodes, 32)
            let input := mload(0x40)
            mstore8(input, 1)
            for {} gt(count, 1) {} {
                let pairs := shr(1, count)
                for { let i := 0 } lt(i, pairs) { i := add(i, 1) } {
                    let pair := add(first, shl(6, i))
                    mcopy(add(input, 1), pair, 64)
                    mstore(add(first, shl(5, i)), keccak256(input, 65))
                }
                if and(count, 1) { mstore(add(first, shl(5, pairs)), mload(add(first, shl(5, sub(count, 1))))) }
                count := add(pairs, and(count, 1))
            }
            root := mload(first)
        }
    }
}
