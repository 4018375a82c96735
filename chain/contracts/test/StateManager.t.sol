// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {StateManager} from "../src/StateManager.sol";
import {Vm} from "./support/Vm.sol";

contract StateManagerTest {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    StateManager internal state;

    function setUp() public {
        state = new StateManager();
    }

    function test_historyAtBlock() public {
        _write(100, 1000, 7, 1);
        _write(110, 1120, 7, 2);
        _write(200, 2200, 7, 3);

        _assertEntry(state.getHistoryAtBlock(address(this), 7, 100), 1, 100, 1000);
        _assertEntry(state.getHistoryAtBlock(address(this), 7, 109), 1, 100, 1000);
        _assertEntry(state.getHistoryAtBlock(address(this), 7, 110), 2, 110, 1120);
        _assertEntry(state.getHistoryAtBlock(address(this), 7, 199), 2, 110, 1120);
        _assertEntry(state.getHistoryAtBlock(address(this), 7, type(uint256).max), 3, 200, 2200);
    }

    function test_historyAtTimestamp() public {
        _write(100, 1000, 7, 1);
        _write(110, 1120, 7, 2);
        _write(111, 1120, 7, 3);

        _assertEntry(state.getHistoryAtTimestamp(address(this), 7, 1000), 1, 100, 1000);
        _assertEntry(state.getHistoryAtTimestamp(address(this), 7, 1119), 1, 100, 1000);
        _assertEntry(state.getHistoryAtTimestamp(address(this), 7, 1120), 3, 111, 1120);
        _assertEntry(state.getHistoryAtTimestamp(address(this), 7, type(uint256).max), 3, 111, 1120);
    }

    function test_lastWriteOfABlockWins() public {
        _write(100, 1000, 7, 1);
        _write(110, 1100, 7, 2);
        state.setValue(7, 3);
        state.setValue(7, 4);

        vm.assertEq(state.getHistoryCount(address(this), 7), 2);
        _assertEntry(state.getHistoryAtBlock(address(this), 7, 110), 4, 110, 1100);
        _assertEntry(state.getHistoryAtBlock(address(this), 7, 109), 1, 100, 1000);
    }

    function test_everyWriteIsAnEvent() public {
        vm.roll(100);
        vm.warp(1000);
        vm.expectEmit(address(state));
        emit StateManager.HistoryCommitted(address(this), 7, 1, 1000, 100);
        state.setValue(7, 1);
        vm.expectEmit(address(state));
        emit StateManager.HistoryCommitted(address(this), 7, 2, 1000, 100);
        state.setValue(7, 2);
    }

    function test_batch() public {
        StateManager.SetValueParams[] memory params = new StateManager.SetValueParams[](100);
        for (uint256 i; i < 100; ++i) {
            params[i] = StateManager.SetValueParams(i % 99, i);
        }
        state.batchSetValues(params);
        vm.assertEq(state.getHistoryAt(address(this), 1, 0).value, 1);
        vm.assertEq(state.getHistoryAt(address(this), 0, 0).value, 99);
        vm.assertEq(state.getHistoryCount(address(this), 0), 1);

        state.batchSetValues(new StateManager.SetValueParams[](0));
        vm.expectRevert(StateManager.BatchTooLarge.selector);
        state.batchSetValues(new StateManager.SetValueParams[](101));
    }

    function test_usersAndKeysAreApart() public {
        _write(100, 1000, 7, 1);
        vm.prank(address(0xbeef));
        state.setValue(7, 2);
        vm.assertEq(state.getHistoryAtBlock(address(this), 7, 100).value, 1);
        vm.assertEq(state.getHistoryAtBlock(address(0xbeef), 7, 100).value, 2);
        vm.assertEq(state.getHistoryCount(address(this), 8), 0);
    }

    function test_neverWritten() public {
        vm.expectRevert(StateManager.NoHistory.selector);
        state.getHistoryAtBlock(address(this), 7, 100);
        vm.expectRevert(StateManager.NoHistory.selector);
        state.getHistoryAtTimestamp(address(this), 7, 100);
        vm.expectRevert(StateManager.IndexOutOfBounds.selector);
        state.getHistoryAt(address(this), 7, 0);
    }

    function test_beforeTheFirstEntry() public {
        _write(100, 1000, 7, 1);
        vm.expectRevert(StateManager.BeforeFirstEntry.selector);
        state.getHistoryAtBlock(address(this), 7, 99);
        vm.expectRevert(StateManager.BeforeFirstEntry.selector);
        state.getHistoryAtTimestamp(address(this), 7, 999);
    }

    /// @dev Readers of storage proofs depend on it.
    function test_storageLayout() public {
        _write(0x1234, 0x5678, 7, 42);
        bytes32 length = keccak256(abi.encode(uint256(7), keccak256(abi.encode(address(this), uint256(0)))));
        uint256 first = uint256(keccak256(abi.encode(length)));
        vm.assertEq(uint256(vm.load(address(state), length)), 1);
        vm.assertEq(uint256(vm.load(address(state), bytes32(first))), 42);
        vm.assertEq(uint256(vm.load(address(state), bytes32(first + 1))), 0x1234 | (0x5678 << 64));
    }

    /// @dev Against the plain definition: walk back until an entry is not later than what is asked for.
    function testFuzz_lookupsMatchTheDefinition(uint8[24] calldata steps, uint16 block_, uint16 time) public {
        uint256 blockNumber = 50;
        uint256 timestamp = 500;
        for (uint256 i; i < steps.length; ++i) {
            blockNumber += steps[i] % 8;
            timestamp += steps[i] % 8 == 0 ? 0 : steps[i] / 8;
            _write(blockNumber, timestamp, 1, i);
        }
        uint256 wantedBlock = 40 + (block_ % 250);
        uint256 wantedTime = 490 + (time % 1000);
        uint256 count = state.getHistoryCount(address(this), 1);
        bool found;
        StateManager.History memory entry;
        for (uint256 i = count; i > 0 && !found; --i) {
            entry = state.getHistoryAt(address(this), 1, i - 1);
            found = entry.blockNumber <= wantedBlock;
        }
        if (!found) vm.expectRevert(StateManager.BeforeFirstEntry.selector);
        StateManager.History memory got = state.getHistoryAtBlock(address(this), 1, wantedBlock);
        if (found) _assertEntry(got, entry.value, entry.blockNumber, entry.timestamp);

        found = false;
        for (uint256 i = count; i > 0 && !found; --i) {
            entry = state.getHistoryAt(address(this), 1, i - 1);
            found = entry.timestamp <= wantedTime;
        }
        if (!found) vm.expectRevert(StateManager.BeforeFirstEntry.selector);
        got = state.getHistoryAtTimestamp(address(this), 1, wantedTime);
        if (found) _assertEntry(got, entry.value, entry.blockNumber, entry.timestamp);
    }

    function _write(uint256 blockNumber, uint256 timestamp, uint256 key, uint256 value) private {
        vm.roll(blockNumber);
        vm.warp(timestamp);
        state.setValue(key, value);
    }

    function _assertEntry(
        StateManager.History memory entry,
        uint256 value,
        uint256 blockNumber,
        uint256 timestamp
    ) private pure {
        vm.assertEq(entry.value, value);
        vm.assertEq(entry.blockNumber, blockNumber);
        vm.assertEq(entry.timestamp, timestamp);
    }

    /// @dev As on a rollup whose contracts see the number of the parent chain's block: its own blocks share one.
    function test_blocksThatShareANumberHaveAnEntryForEachTime() public {
        vm.roll(1_204);
        vm.warp(1_000);
        state.setValue(7, 100);
        vm.warp(1_008);
        state.setValue(7, 200);
        state.setValue(7, 250);
        vm.assertEq(state.getHistoryCount(address(this), 7), 2);
        vm.assertEq(state.getHistoryAtTimestamp(address(this), 7, 1_004).value, 100);
        vm.assertEq(state.getHistoryAtTimestamp(address(this), 7, 1_008).value, 250);
        vm.assertEq(state.getHistoryAtBlock(address(this), 7, 1_204).value, 250);
    }
}
