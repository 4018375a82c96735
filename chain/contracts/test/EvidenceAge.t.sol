// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SignedAttestation} from "../src/Attestations.sol";
import {IEquivocationJudge} from "../src/IEquivocationJudge.sol";
import {JudgeFixture} from "./support/JudgeFixture.sol";

/// @notice Evidence counts exactly as long as the stake behind it is within reach: until both the blocks and the seconds
/// are over.
contract EvidenceAgeTest is JudgeFixture {
    uint64 internal constant REACH_SECONDS = REACH * BLOCK_SECONDS;

    /// @dev The set of epoch 2 is fixed, and its time noted, in the first block in which that can be.
    function setUp() public override {
        super.setUp();
        _rollTo(_fixedBlock(2));
        vm.assertEq(registry.noteEpoch(), 2);
    }

    function test_lastBlock() public {
        vm.roll(_fixedBlock(2) + REACH - 1);
        vm.warp(_fixedAt(2) + 100 * REACH_SECONDS);
        vm.assertTrue(registry.isWithinReach(2));
        _convict(alice, 2);
        vm.roll(_fixedBlock(2) + REACH);
        vm.assertFalse(registry.isWithinReach(2));
        _expectTooLate(bob, 2, 2);
    }

    function test_lastSecond() public {
        vm.roll(_fixedBlock(2) + 100 * REACH);
        vm.warp(_fixedAt(2) + REACH_SECONDS - 1);
        vm.assertTrue(registry.isWithinReach(2));
        _convict(alice, 2);
        vm.warp(_fixedAt(2) + REACH_SECONDS);
        vm.assertFalse(registry.isWithinReach(2));
        _expectTooLate(bob, 2, 2);
    }

    function test_bothSignaturesMustCount() public {
        _rollTo(_fixedBlock(3));
        registry.noteEpoch();
        _rollTo(_fixedBlock(2) + REACH);
        vm.assertTrue(registry.isWithinReach(3));
        _expectTooLate(alice, 2, 3);
        _expectTooLate(alice, 3, 2);
        _convict(alice, 3);
    }

    /// @dev No stake is asked back without the registry being told, so until then there is no hurry.
    function test_whereNobodyNotedTheTimeTheNextNoteCounts() public {
        _rollTo(_fixedBlock(9));
        vm.assertTrue(registry.isWithinReach(3));
        vm.assertFalse(registry.isWithinReach(2));
        vault.deposit{value: 1}(carol.account);
        vm.warp(block.timestamp + REACH_SECONDS - 1);
        _convict(alice, 3);
        vm.warp(block.timestamp + 1);
        _expectTooLate(bob, 3, 3);
    }

    /// @dev Later notes give no more time.
    function test_theFirstNoteCounts() public {
        _rollTo(_fixedBlock(2) + 5);
        registry.noteEpoch();
        vault.deposit{value: 1}(carol.account);
        _rollTo(_fixedBlock(2) + REACH);
        registry.noteEpoch();
        _expectTooLate(alice, 2, 2);
    }

    function _expectTooLate(Operator memory op, uint32 one, uint32 other) private {
        bytes memory reason = _error(IEquivocationJudge.TooLate.selector, one < other ? one : other);
        (SignedAttestation memory a, SignedAttestation memory b) = (_signed(op, one, "one"), _signed(op, other, "two"));
        _expectRefusal(reason, op.account, a, b);
    }
}
