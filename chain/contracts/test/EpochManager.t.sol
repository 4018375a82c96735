// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochManager} from "../src/EpochManager.sol";
import {Vm} from "./support/Vm.sol";

contract EpochManagerTest {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    uint64 internal constant GENESIS = 7_654_321;

    EpochManager internal epochs;

    function setUp() public {
        vm.roll(GENESIS);
        epochs = new EpochManager(45_000, 6_400);
    }

    function test_settings() public view {
        vm.assertEq(epochs.genesisBlock(), GENESIS);
        vm.assertEq(epochs.epochLength(), 45_000);
        vm.assertEq(epochs.gracePeriod(), 6_400);
        vm.assertEq(epochs.getCurrentEpoch(), 0);
    }

    function test_effectiveEpochVectors() public view {
        vm.assertEq(epochs.getEffectiveEpochForBlock(GENESIS + 22_500), 1);
        vm.assertEq(epochs.getEffectiveEpochForBlock(GENESIS + 45_000 - 3_200), 2);
        vm.assertEq(epochs.getEffectiveEpochForBlock(GENESIS + 5 * 45_000 + 22_500), 6);
    }

    function test_intervalVector() public view {
        (uint64 start, uint64 graceStart, uint64 end) = epochs.getEpochInterval(5);
        vm.assertEq(start, GENESIS + 225_000);
        vm.assertEq(graceStart, GENESIS + 263_600);
        vm.assertEq(end, GENESIS + 270_000);
    }

    function test_effectiveEpochAtTheEdges() public view {
        vm.assertEq(epochs.getEffectiveEpochForBlock(GENESIS), 1);
        vm.assertEq(epochs.getEffectiveEpochForBlock(GENESIS + 38_599), 1);
        vm.assertEq(epochs.getEffectiveEpochForBlock(GENESIS + 38_600), 2);
        vm.assertEq(epochs.getEffectiveEpochForBlock(GENESIS + 44_999), 2);
        vm.assertEq(epochs.getEffectiveEpochForBlock(GENESIS + 45_000), 2);
    }

    function test_currentEpochChangesAtTheEnd() public {
        (, , uint64 end) = epochs.getEpochInterval(3);
        vm.roll(end - 1);
        vm.assertEq(epochs.getCurrentEpoch(), 3);
        vm.roll(end);
        vm.assertEq(epochs.getCurrentEpoch(), 4);
    }

    function test_noGracePeriod() public {
        EpochManager strict = new EpochManager(10, 0);
        vm.assertEq(strict.getEffectiveEpochForBlock(GENESIS + 9), 1);
        (, uint64 graceStart, uint64 end) = strict.getEpochInterval(0);
        vm.assertEq(graceStart, end);
    }

    function test_refusesBadSchedules() public {
        vm.expectRevert(EpochManager.InvalidSchedule.selector);
        new EpochManager(0, 0);
        vm.expectRevert(EpochManager.InvalidSchedule.selector);
        new EpochManager(10, 10);
    }

    function test_refusesBlocksBeforeGenesis() public {
        vm.expectRevert(EpochManager.BeforeGenesis.selector);
        epochs.getEffectiveEpochForBlock(GENESIS - 1);
    }

    function test_refusesEpochNumbersBeyond32Bits() public {
        EpochManager fast = new EpochManager(1, 0);
        vm.expectRevert();
        fast.getEffectiveEpochForBlock(type(uint64).max);
    }

    function testFuzz_scheduleIsConsistent(uint64 length, uint64 grace, uint64 offset) public {
        length = 1 + (length % 1_000_000);
        grace = grace % length;
        offset = offset % 1_000_000_000;
        EpochManager any = new EpochManager(length, grace);

        vm.roll(GENESIS + offset);
        uint32 epoch = any.getCurrentEpoch();
        (uint64 start, uint64 graceStart, uint64 end) = any.getEpochInterval(epoch);
        vm.assertTrue(start <= block.number && block.number < end);
        vm.assertEq(end - start, length);
        vm.assertEq(end - graceStart, grace);
        uint32 expected = block.number >= graceStart ? epoch + 2 : epoch + 1;
        vm.assertEq(any.getEffectiveEpochForBlock(GENESIS + offset), expected);
    }
}
