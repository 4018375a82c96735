// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @notice The operators of an epoch, strictly ascending, with what they sign with and weigh. An Ed25519 key is zero
/// where there is none. `threshold` is floor(2 * sum of the weights / 3) + 1.
struct OperatorSet {
    address[] operators;
    address[] signingKeys;
    bytes32[] ed25519Keys;
    uint256[] weights;
    uint256 threshold;
}

/// @notice The set of `nextEpoch` has the hash `setHash`; the set of `epoch` says so.
struct EpochUpdate {
    uint32 epoch;
    uint32 nextEpoch;
    bytes32 setHash;
}

/// @notice An epoch update under one operator's signature, in 65 bytes.
struct SignedEpochUpdate {
    EpochUpdate update;
    bytes signature;
}

/// @title Statement by which one epoch's set names a later one
library EpochUpdates {
    /// @notice EIP-712 type of {EpochUpdate}.
    bytes32 internal constant EPOCH_UPDATE_TYPEHASH =
        keccak256("EpochUpdate(uint32 epoch,uint32 nextEpoch,bytes32 setHash)");

    /// @dev First byte of a slot.
    uint8 private constant KIND = 3;

    /// @notice What operators sign.
    /// @param domainSeparator EIP-712 domain of the registry on the home chain.
    function digest(bytes32 domainSeparator, EpochUpdate memory update) internal pure returns (bytes32) {
        bytes32 content = keccak256(abi.encode(EPOCH_UPDATE_TYPEHASH, update));
        return MessageHashUtils.toTypedDataHash(domainSeparator, content);
    }

    /// @notice Name of the question that `update` answers: one truth only, whichever epoch signs it.
    function slot(EpochUpdate memory update) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(KIND, update.nextEpoch));
    }

    /// @notice Name of the answer: two of them for one slot contradict each other.
    function fact(EpochUpdate memory update) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(slot(update), update.setHash));
    }

    /// @notice Name of a set, whatever the epoch.
    function setHash(OperatorSet memory set) internal pure returns (bytes32) {
        return
            keccak256(abi.encode(set.operators, set.signingKeys, set.ed25519Keys, set.weights, set.threshold));
    }
}
