// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochManager} from "../src/EpochManager.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {FakeWeights} from "./support/Fixture.sol";
import {RegistryFixture} from "./support/RegistryFixture.sol";

/// @notice What a registry may be made of, which times it notes, and how long evidence counts.
contract RegistryTimesTest is RegistryFixture {
    uint32 internal constant EPOCH = 3;
    uint64 internal constant REACH_SECONDS = REACH * BLOCK_SECONDS;
    bytes32 internal constant DIGEST = keccak256("digest");

    Operator[] internal ops;

    function setUp() public override {
        super.setUp();
        _join();
    }

    // What a registry is made of

    function test_refusesTheSourceOfAnotherRegistry() public {
        _refuseRegistry(address(0xdead), REACH, REACH_SECONDS, MINIMUM, IStakeRegistry.WrongSource.selector);
        _refuseRegistry(address(registry), REACH, REACH_SECONDS, MINIMUM, IStakeRegistry.WrongSource.selector);
    }

    function test_refusesAZeroMinimum() public {
        _refuseRegistry(_afterNext(), REACH, REACH_SECONDS, 0, IStakeRegistry.ZeroMinimum.selector);
    }

    /// @dev Sets would certify, or be judged, when nothing stands behind them any more.
    function test_refusesDelaysBelowTwoEpochsAndTwoGracePeriods() public {
        uint64 least = 2 * (LENGTH + GRACE);
        bytes4 tooShort = IStakeRegistry.DelayTooShort.selector;
        _refuseRegistry(_afterNext(), least - 1, REACH_SECONDS, MINIMUM, tooShort);
        _refuseRegistry(_afterNext(), 0, REACH_SECONDS, MINIMUM, tooShort);
        _refuseRegistry(_afterNext(), least, 0, MINIMUM, tooShort);
        weights = new FakeWeights(_afterNext(), least, 1, 0);
        registry = new StakeRegistry(epochs, weights, MINIMUM, decider, directory);
        // Three quarters of 240 blocks are 180, of which one epoch and two grace periods take 140.
        vm.assertEq(registry.maxAge(), 0);
        vm.assertEq(registry.certificateLifetime(), 1);
    }

    function test_limitsFollowFromTheDelay() public view {
        vm.assertEq(registry.certificateLifetime(), LIFETIME_SECONDS);
        // (300 - 20) / 100 - 1
        vm.assertEq(registry.maxAge(), 1);
    }

    /// @dev The last quarter is for evidence, rounded in its favour nowhere by more than a block or second.
    function testFuzz_limitsFollowFromTheDelay(uint16 length, uint16 grace, uint32 more, uint32 time) public {
        uint256 l = 1 + uint256(length);
        uint256 g = grace % l;
        uint256 delay = 2 * (l + g) + more;
        epochs = new EpochManager(uint64(l), uint64(g));
        weights = new FakeWeights(_afterNext(), uint64(delay), uint64(time) + 1, 0);
        registry = new StakeRegistry(epochs, weights, MINIMUM, decider, directory);

        uint256 lifetime = delay - delay / 4;
        uint256 age = registry.maxAge();
        // The last block of an epoch is so far from the one in which the set `age` epochs before was fixed.
        vm.assertTrue((age + 1) * l - 1 + g <= lifetime);
        vm.assertTrue((age + 2) * l + g > lifetime);
        uint256 left = uint256(time) + 1 - registry.certificateLifetime();
        vm.assertEq(left, (uint256(time) + 1) / 4);
    }

    // Noted times

    function test_theFirstChangeSinceASetWasFixedNotesTheTime() public {
        for (uint256 kind; kind < 7; ++kind) {
            setUp();
            _rollTo(_fixedBlock(EPOCH) - 1);
            _change(kind == 4 ? 6 : kind);
            _expectUnknown(EPOCH);
            setUp();
            _rollTo(_fixedBlock(EPOCH) + 7);
            _change(kind);
            vm.assertEq(_validUntil(EPOCH), _timeOf(_fixedBlock(EPOCH) + 7) + LIFETIME_SECONDS);
            // What follows does not make the set look fresher.
            _rollTo(_fixedBlock(EPOCH + 1) - 1);
            registry.noteEpoch();
            registry.updateOperators(new address[](0));
            vm.assertEq(_validUntil(EPOCH), _timeOf(_fixedBlock(EPOCH) + 7) + LIFETIME_SECONDS);
        }
    }

    function test_notesTheNewestFixedSet() public {
        _rollTo(_fixedBlock(EPOCH) - 1);
        vm.assertEq(registry.noteEpoch(), EPOCH - 1);
        _rollTo(_fixedBlock(EPOCH));
        vm.assertEq(registry.noteEpoch(), EPOCH);
        vm.assertEq(_validUntil(EPOCH), _fixedAt(EPOCH) + LIFETIME_SECONDS);
        vm.prank(address(0xcafe));
        vm.assertEq(registry.noteEpoch(), EPOCH);
        _goTo(EPOCH, LENGTH - GRACE - 1);
        vm.assertEq(registry.noteEpoch(), EPOCH);
    }

    // Evidence

    function test_stakeIsWithinReachForTheDelayInBlocks() public {
        _rollTo(_fixedBlock(EPOCH));
        registry.noteEpoch();
        vm.roll(_fixedBlock(EPOCH) + REACH - 1);
        vm.warp(_fixedAt(EPOCH) + 100 * REACH_SECONDS);
        vm.assertTrue(registry.isWithinReach(EPOCH));
        vm.roll(_fixedBlock(EPOCH) + REACH);
        vm.assertFalse(registry.isWithinReach(EPOCH));
    }

    function test_stakeIsWithinReachForTheDelayInSeconds() public {
        _rollTo(_fixedBlock(EPOCH) + 7);
        registry.noteEpoch();
        uint64 noted = _timeOf(_fixedBlock(EPOCH) + 7);
        vm.roll(_fixedBlock(EPOCH) + 100 * REACH);
        vm.warp(noted + REACH_SECONDS - 1);
        vm.assertTrue(registry.isWithinReach(EPOCH));
        vm.warp(noted + REACH_SECONDS);
        vm.assertFalse(registry.isWithinReach(EPOCH));
    }

    /// @dev The source tells of every request, so while nobody called, none was made.
    function test_stakeThatNobodyAskedForStaysWithinReach() public {
        _rollTo(_fixedBlock(EPOCH) + 100 * REACH);
        vm.assertTrue(registry.isWithinReach(EPOCH));
        registry.noteEpoch();
        uint64 noted = uint64(block.timestamp);
        vm.roll(block.number + REACH);
        vm.warp(noted + REACH_SECONDS - 1);
        vm.assertTrue(registry.isWithinReach(EPOCH));
        vm.warp(noted + REACH_SECONDS);
        vm.assertFalse(registry.isWithinReach(EPOCH));
    }

    /// @dev Such a source tells of nothing, so a time that was noted for a later set says nothing about this one.
    function test_stakeThatNobodyTellsOfIsNotWithinReachForEver() public {
        _deploy(3);
        _join();
        _rollTo(_fixedBlock(EPOCH) + REACH - 1);
        vm.assertTrue(registry.isWithinReach(EPOCH));
        _rollTo(_fixedBlock(EPOCH) + REACH);
        vm.assertFalse(registry.isWithinReach(EPOCH));
        registry.noteEpoch();
        vm.assertFalse(registry.isWithinReach(EPOCH));
    }

    function test_aNotedTimeCountsWhoeverTells() public {
        _deploy(3);
        _join();
        _rollTo(_fixedBlock(EPOCH) + 7);
        registry.noteEpoch();
        vm.roll(_fixedBlock(EPOCH) + 100 * REACH);
        vm.warp(_timeOf(_fixedBlock(EPOCH) + 7) + REACH_SECONDS - 1);
        vm.assertTrue(registry.isWithinReach(EPOCH));
        vm.warp(_timeOf(_fixedBlock(EPOCH) + 7) + REACH_SECONDS);
        vm.assertFalse(registry.isWithinReach(EPOCH));
    }

    function _join() private {
        delete ops;
        Operator[] memory made = _operators(3);
        for (uint256 i; i < 3; ++i) {
            ops.push(made[i]);
            _registerWithWeight(made[i], 100);
        }
    }

    /// @dev Every call that changes something; number 4 seals `EPOCH`.
    function _change(uint256 kind) private {
        Operator memory op = ops[0];
        if (kind == 0) _registerWithWeight(_operator(77), 100);
        else if (kind == 1) _rotate(op, 99);
        else if (kind == 2) _deregister(op);
        else if (kind == 3) _jail(_operator(77));
        else if (kind == 4) registry.sealEpoch(EPOCH, _accounts(ops));
        else if (kind == 5) registry.updateOperators(new address[](0));
        else registry.noteEpoch();
    }

    function _validUntil(uint32 epoch) private view returns (uint64) {
        return registry.validUntil(DIGEST, _certificate(ops, DIGEST, epoch));
    }

    function _expectUnknown(uint32 epoch) private {
        bytes memory listed = _certificate(ops, DIGEST, epoch);
        vm.expectRevert(abi.encodeWithSelector(IQuorumRegistry.EpochTimeUnknown.selector, epoch));
        registry.validUntil(DIGEST, listed);
    }

    function _refuseRegistry(address target, uint64 blocks, uint64 time, uint256 minimum, bytes4 selector) private {
        FakeWeights source = new FakeWeights(target, blocks, time, 0);
        vm.expectRevert(selector);
        new StakeRegistry(epochs, source, minimum, decider, directory);
    }
}
