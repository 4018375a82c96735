// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochHistory} from "../src/EpochHistory.sol";
import {Vm} from "./support/Vm.sol";

contract EpochHistoryTest {
    using EpochHistory for EpochHistory.Trace;

    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    EpochHistory.Trace private _trace;

    function record(uint32 epoch, uint224 payload) external {
        _trace.record(epoch, payload);
    }

    function test_emptyTraceIsZero() public view {
        vm.assertEq(_trace.entryAt(0), 0);
        vm.assertEq(_trace.entryAt(type(uint32).max), 0);
    }

    function test_refusesThePast() public {
        _trace.record(5, 1);
        vm.expectRevert(EpochHistory.EpochOutOfOrder.selector);
        this.record(4, 1);
    }

    function test_zeroIsAValueToo() public {
        _trace.record(5, 1);
        _trace.record(7, 0);
        _trace.record(9, 2);
        vm.assertEq(_payloadAt(4), 0);
        vm.assertEq(_payloadAt(6), 1);
        vm.assertEq(_payloadAt(8), 0);
        vm.assertEq(_payloadAt(9), 2);
    }

    function test_entriesTellSinceWhenTheyHold() public {
        _trace.record(5, type(uint224).max);
        _trace.record(7, 0);
        vm.assertEq(EpochHistory.epochOf(_trace.entryAt(4)), 0);
        vm.assertEq(EpochHistory.epochOf(_trace.entryAt(6)), 5);
        vm.assertEq(EpochHistory.epochOf(_trace.entryAt(type(uint32).max)), 7);
    }

    /// @dev Against an array with one value per epoch.
    function testFuzz_carriesForward(uint8[40] calldata steps, uint224[40] calldata values) public {
        uint224[64] memory expected;
        uint32 epoch;
        for (uint256 i; i < steps.length; ++i) {
            epoch += steps[i] % 3;
            if (epoch >= expected.length) break;
            _trace.record(epoch, values[i]);
            for (uint256 later = epoch; later < expected.length; ++later) {
                expected[later] = values[i];
            }
        }
        for (uint32 i; i < expected.length; ++i) {
            vm.assertEq(_payloadAt(i), expected[i]);
        }
    }

    function _payloadAt(uint32 epoch) private view returns (uint256) {
        return uint224(_trace.entryAt(epoch));
    }
}
