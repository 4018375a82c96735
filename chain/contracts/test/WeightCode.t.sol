// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {OperatorSets} from "../src/OperatorSets.sol";
import {WeightCode} from "../src/WeightCode.sol";
import {RegistryFixture} from "./support/RegistryFixture.sol";

contract WeightCodeTest is RegistryFixture {
    uint256 internal constant LARGEST_MANTISSA = (1 << 56) - 1;

    function testFuzz_whatHasACodeIsExact(uint56 mantissa, uint8 exponent) public pure {
        uint256 weight = uint256(mantissa) << (exponent % 201);
        vm.assertEq(WeightCode.round(weight), weight);
        vm.assertEq(WeightCode.decode(WeightCode.encode(weight)), weight);
    }

    function testFuzz_roundingLosesLittle(uint256 weight, uint8 shift) public pure {
        weight >>= shift;
        uint256 rounded = WeightCode.round(weight);
        vm.assertTrue(rounded <= weight);
        vm.assertTrue(weight - rounded <= weight >> 55);
        vm.assertEq(WeightCode.round(rounded), rounded);
        vm.assertEq(WeightCode.decode(WeightCode.encode(rounded)), rounded);
    }

    /// @dev Who weighs more never counts less.
    function testFuzz_roundingKeepsOrder(uint256 weight, uint256 more) public pure {
        more = more < weight ? weight : more;
        vm.assertTrue(WeightCode.round(weight) <= WeightCode.round(more));
    }

    function test_edges() public pure {
        uint256[8] memory exact = [
            uint256(0),
            1,
            LARGEST_MANTISSA,
            1 << 56,
            1 << 255,
            LARGEST_MANTISSA << 200,
            32_000_000 ether,
            LARGEST_MANTISSA << 40
        ];
        for (uint256 i; i < exact.length; ++i) {
            vm.assertEq(WeightCode.decode(WeightCode.encode(exact[i])), exact[i]);
        }
        vm.assertEq(WeightCode.round((1 << 56) + 1), 1 << 56);
        vm.assertEq(WeightCode.round(OperatorSets.MAX_WEIGHT), LARGEST_MANTISSA << 40);
        vm.assertEq(WeightCode.round(type(uint256).max), LARGEST_MANTISSA << 200);
        vm.assertEq(WeightCode.encode(0), 0);
    }

    // In the registry

    /// @dev Weights with more digits than a code has would need storage of their own and make each check dearer.
    function test_aWeiFromAStrangerChangesNothing() public {
        Operator[] memory ops = _operators(5);
        for (uint256 i; i < ops.length; ++i) {
            _registerWithWeight(ops[i], 32 ether + i * 1 ether);
        }
        _goTo(1, 0);
        bytes32 digest = keccak256("digest");
        registry.sealEpoch(1, _accounts(ops));
        bytes memory listed = _certificate(ops, digest, 1);
        bytes memory compact = _compact(ops, 31, digest, 1);
        uint256 listedGas = _gasOf(digest, listed);
        uint256 compactGas = _gasOf(digest, compact);

        uint256 total = registry.getTotalWeightAtEpoch(2);
        for (uint256 i; i < ops.length; ++i) {
            _setWeight(ops[i], 32 ether + i * 1 ether + 1);
            vm.assertEq(registry.getOperatorWeightAtEpoch(ops[i].account, 2), 32 ether + i * 1 ether);
        }
        vm.assertEq(registry.getTotalWeightAtEpoch(2), total);
        vm.assertEq(_gasOf(digest, listed), listedGas);
        vm.assertEq(_gasOf(digest, compact), compactGas);

        // In the next epoch too, and the set is the same, so its code is not paid for again.
        _goTo(2, 0);
        registry.sealEpoch(2, _accounts(ops));
        vm.assertEq(registry.sealedSet(2), registry.sealedSet(1));
        vm.assertEq(_gasOf(digest, _certificate(ops, digest, 2)), listedGas);
    }

    function _gasOf(bytes32 digest, bytes memory certificate) private returns (uint256) {
        vm.cool(address(registry));
        registry.isValidSignature(digest, certificate);
        return vm.lastCallGas().gasTotalUsed;
    }
}
