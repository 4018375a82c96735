// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Attestations} from "./Attestations.sol";

/// @notice The set of `nextEpoch` has the hash `setHash` and was fixed at `time`; the set of `epoch` says so.
/// @dev `time` is that of the first block of the grace period before `nextEpoch`, in Unix seconds: stake that counts in
/// the set could not be withdrawn before.
struct EpochUpdate {
    uint32 epoch;
    uint32 nextEpoch;
    uint64 time;
    bytes32 setHash;
}

/// @title Statement by which one epoch's set names a later one
library EpochUpdates {
    /// @dev First byte of a slot's preimage.
    uint8 private constant KIND = 3;

    /// @notice What operators sign.
    /// @param domainSeparator EIP-712 domain of the registry on the home chain.
    function digest(bytes32 domainSeparator, EpochUpdate memory update) internal pure returns (bytes32) {
        return Attestations.digest(domainSeparator, update.epoch, slot(update), fact(update));
    }

    /// @notice Name of the question that `update` answers: one truth only, whichever epoch signs it.
    function slot(EpochUpdate memory update) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(KIND, update.nextEpoch));
    }

    /// @notice Name of the answer: two of them for one slot contradict each other.
    function fact(EpochUpdate memory update) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(slot(update), update.setHash, update.time));
    }
}
