// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Attestations} from "../src/Attestations.sol";
import {EpochUpdate, EpochUpdates} from "../src/EpochUpdates.sol";
import {StateProof, StateProofs} from "../src/StateProofs.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice What operators sign, for every kind of statement.
contract AttestationsTest is Fixture {
    function testFuzz_digestIsEip712(bytes32 domain, uint32 epoch, bytes32 slot, bytes32 fact) public pure {
        bytes32 typehash = keccak256("Attestation(uint32 epoch,bytes32 slot,bytes32 fact)");
        bytes32 content = keccak256(abi.encode(typehash, epoch, slot, fact));
        bytes32 expected = keccak256(abi.encodePacked(hex"1901", domain, content));
        vm.assertEq(Attestations.digest(domain, epoch, slot, fact), expected);
    }

    function testFuzz_everyPartIsSigned(uint32 epoch, bytes32 slot, bytes32 fact, bytes32 domain) public pure {
        bytes32 digest = Attestations.digest(domain, epoch, slot, fact);
        bytes32 other = bytes32(uint256(1));
        vm.assertTrue(digest != Attestations.digest(domain ^ other, epoch, slot, fact));
        vm.assertTrue(digest != Attestations.digest(domain, epoch ^ 1, slot, fact));
        vm.assertTrue(digest != Attestations.digest(domain, epoch, slot ^ other, fact));
        vm.assertTrue(digest != Attestations.digest(domain, epoch, slot, fact ^ other));
        vm.assertTrue(slot == fact || digest != Attestations.digest(domain, epoch, fact, slot));
    }

    /// @dev One type for all: whoever knows slot and fact needs not know the kind.
    function testFuzz_stateProofsAreAttestations(StateProof memory proof) public view {
        bytes32 slot = keccak256(abi.encodePacked(uint8(1), proof.chainId, proof.user, proof.key, proof.blockNumber));
        bytes32 fact = keccak256(abi.encodePacked(slot, uint64(proof.timestamp), proof.value));
        vm.assertEq(StateProofs.slot(proof), slot);
        vm.assertEq(StateProofs.fact(proof), fact);
        bytes32 expected = _attestationDigest(_domainSeparator(registry), proof.epoch, slot, fact);
        vm.assertEq(StateProofs.digest(registry, proof), expected);
    }

    function testFuzz_epochUpdatesAreAttestations(bytes32 domain, EpochUpdate memory update) public pure {
        bytes32 slot = keccak256(abi.encodePacked(uint8(3), update.nextEpoch));
        bytes32 fact = keccak256(abi.encodePacked(slot, update.setHash, update.time));
        vm.assertEq(EpochUpdates.slot(update), slot);
        vm.assertEq(EpochUpdates.fact(update), fact);
        vm.assertEq(EpochUpdates.digest(domain, update), _attestationDigest(domain, update.epoch, slot, fact));
    }

    /// @dev A set has one time: with another one it is another answer, and whoever gives both is convicted.
    function testFuzz_theTimeOfASetIsPartOfItsFact(EpochUpdate memory update) public pure {
        EpochUpdate memory other = EpochUpdate(update.epoch, update.nextEpoch, update.time ^ 1, update.setHash);
        vm.assertEq(EpochUpdates.slot(other), EpochUpdates.slot(update));
        vm.assertTrue(EpochUpdates.fact(other) != EpochUpdates.fact(update));
    }

    /// @dev Whichever epoch signs, so those who sign twice in different epochs contradict themselves too.
    function testFuzz_theSigningEpochIsNoPartOfSlotAndFact(EpochUpdate memory update, StateProof memory proof) public pure {
        EpochUpdate memory later = EpochUpdate(update.epoch ^ 1, update.nextEpoch, update.time, update.setHash);
        vm.assertEq(EpochUpdates.slot(later), EpochUpdates.slot(update));
        vm.assertEq(EpochUpdates.fact(later), EpochUpdates.fact(update));
        (bytes32 slot, bytes32 fact) = (StateProofs.slot(proof), StateProofs.fact(proof));
        proof.epoch ^= 1;
        vm.assertEq(StateProofs.slot(proof), slot);
        vm.assertEq(StateProofs.fact(proof), fact);
    }
}
