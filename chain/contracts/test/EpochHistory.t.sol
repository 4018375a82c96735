// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochHistory} from "../src/EpochHistory.sol";
import {WeightCode} from "../src/WeightCode.sol";
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

    function testFuzz_exactWeightCodes(uint56 mantissa, uint8 exponent) public pure {
        uint256 weight = uint256(mantissa) << (exponent % 201);
        uint64 code = WeightCode.encode(weight);
        vm.assertTrue(code != WeightCode.WIDE);
        vm.assertEq(WeightCode.decode(code), weight);
    }

    function testFuzz_otherWeightsAreWide(uint256 weight) public pure {
        uint64 code = WeightCode.encode(weight);
        if (code != WeightCode.WIDE) vm.assertEq(WeightCode.decode(code), weight);
        else vm.assertTrue(weight >= 1 << 56);
    }

    function test_weightCodeEdges() public pure {
        uint256[7] memory exact = [
            uint256(0),
            1,
            (1 << 56) - 1,
            1 << 56,
            1 << 255,
            ((1 << 56) - 1) << 200,
            32_000_000 ether
        ];
        for (uint256 i; i < exact.length; ++i) {
            vm.assertEq(WeightCode.decode(WeightCode.encode(exact[i])), exact[i]);
        }
        vm.assertEq(WeightCode.encode((1 << 56) + 1), WeightCode.WIDE);
        vm.assertEq(WeightCode.encode(type(uint256).max), WeightCode.WIDE);
    }

    function _payloadAt(uint32 epoch) private view returns (uint256) {
        return uint224(_trace.entryAt(epoch));
    }
}
