// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ArbStateManager, IArbSys} from "../src/ArbStateManager.sol";
import {StateManager} from "../src/StateManager.sol";
import {Vm} from "./support/Vm.sol";

/// @notice In place of Arbitrum's system contract.
contract FakeArbSys is IArbSys {
    uint256 public arbBlockNumber;

    function set(uint256 number) external {
        arbBlockNumber = number;
    }
}

contract ArbStateManagerTest {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    address internal constant ARB_SYS = address(100);

    ArbStateManager internal state;

    function setUp() public {
        state = new ArbStateManager();
        vm.etch(ARB_SYS, type(FakeArbSys).runtimeCode);
    }

    function test_entriesCarryTheChainsOwnBlocks() public {
        vm.roll(20_000_000);
        vm.warp(1000);
        FakeArbSys(ARB_SYS).set(300_000_000);
        vm.expectEmit(address(state));
        emit StateManager.HistoryCommitted(address(this), 7, 1, 1000, 300_000_000);
        state.setValue(7, 1);
        StateManager.History memory entry = state.getHistoryAt(address(this), 7, 0);
        vm.assertEq(entry.blockNumber, 300_000_000);
        vm.assertEq(entry.timestamp, 1000);

        vm.expectRevert(StateManager.BeforeFirstEntry.selector);
        state.getHistoryAtBlock(address(this), 7, 20_000_000);
        vm.assertEq(state.getHistoryAtBlock(address(this), 7, 300_000_000).value, 1);
    }

    /// @dev Many of the chain's own blocks have the number of one block of its parent.
    function test_ownBlocksAreApartInOneBlockOfTheParent() public {
        vm.roll(20_000_000);
        for (uint256 i = 1; i < 4; ++i) {
            FakeArbSys(ARB_SYS).set(100 + i);
            state.setValue(7, i);
        }
        vm.assertEq(state.getHistoryCount(address(this), 7), 3);
        vm.assertEq(state.getHistoryAtBlock(address(this), 7, 102).value, 2);
    }

    /// @dev Even where the parent's number changes within one.
    function test_theLastWriteOfAnOwnBlockWins() public {
        FakeArbSys(ARB_SYS).set(100);
        vm.roll(20_000_000);
        state.setValue(7, 1);
        vm.roll(20_000_001);
        StateManager.SetValueParams[] memory params = new StateManager.SetValueParams[](2);
        (params[0], params[1]) = (StateManager.SetValueParams(7, 2), StateManager.SetValueParams(8, 3));
        state.batchSetValues(params);
        vm.assertEq(state.getHistoryCount(address(this), 7), 1);
        vm.assertEq(state.getHistoryAtBlock(address(this), 7, 100).value, 2);
        vm.assertEq(state.getHistoryAtBlock(address(this), 8, 100).value, 3);
    }

    /// @dev Readers of storage proofs find both kinds alike.
    function test_storageLayout() public {
        FakeArbSys(ARB_SYS).set(0x1234);
        vm.warp(0x5678);
        state.setValue(7, 42);
        bytes32 length = keccak256(abi.encode(uint256(7), keccak256(abi.encode(address(this), uint256(0)))));
        uint256 first = uint256(keccak256(abi.encode(length)));
        vm.assertEq(uint256(vm.load(address(state), length)), 1);
        vm.assertEq(uint256(vm.load(address(state), bytes32(first))), 42);
        vm.assertEq(uint256(vm.load(address(state), bytes32(first + 1))), 0x1234 | (0x5678 << 64));
    }

    /// @dev On another chain it writes nothing, rather than something wrong.
    function test_elsewhereItDoesNothing() public {
        vm.etch(ARB_SYS, "");
        vm.expectRevert();
        state.setValue(7, 1);
        vm.assertEq(state.getHistoryCount(address(this), 7), 0);
    }
}
