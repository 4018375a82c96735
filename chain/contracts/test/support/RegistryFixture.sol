// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {OperatorSet} from "../../src/OperatorSets.sol";
import {Fixture} from "./Fixture.sol";

/// @notice What operators do at a registry, and what must be true of its sets at any time.
abstract contract RegistryFixture is Fixture {
    function _rotate(Operator memory op, uint256 secret) internal {
        (op.secret, op.signingKey) = (secret, vm.addr(secret));
        bytes memory proof = _keyProof(op);
        vm.prank(op.account);
        registry.updateSigningKey(op.signingKey, proof);
    }

    function _deregister(Operator memory op) internal {
        vm.prank(op.account);
        registry.deregisterOperator();
    }

    /// @dev With the present key as both of the keys that contradicted each other.
    function _jail(Operator memory op) internal {
        vm.prank(address(registry.judge()));
        registry.jail(op.account, op.signingKey, op.signingKey);
    }

    function _release(Operator memory op) internal {
        vm.prank(address(registry.judge()));
        registry.release(op.account);
    }

    function _expectRegisterRevert(Operator memory op, bytes4 selector) internal {
        _expectRegisterRevert(op, abi.encodeWithSelector(selector));
    }

    function _expectRegisterRevert(Operator memory op, bytes memory reason) internal {
        bytes memory proof = _keyProof(op);
        vm.expectRevert(reason);
        vm.prank(op.account);
        registry.registerOperator(op.signingKey, proof);
    }

    function _assertOperator(Operator memory op, uint32 epoch, uint256 weight, address key) internal view {
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, epoch), weight);
        vm.assertEq(registry.getOperatorSigningKeyAtEpoch(op.account, epoch), key);
    }

    /// @dev The set that one call returns is whole: no member twice, nobody without weight, all of the total.
    function _assertWhole(uint32 epoch) internal view returns (OperatorSet memory set) {
        uint256 total;
        (set, total) = registry.getOperatorSet(epoch);
        uint256 sum;
        for (uint256 i; i < set.operators.length; ++i) {
            address operator = set.operators[i];
            vm.assertTrue(set.weights[i] != 0);
            vm.assertTrue(set.signingKeys[i] != address(0));
            vm.assertEq(set.weights[i], registry.getOperatorWeightAtEpoch(operator, epoch));
            vm.assertEq(set.signingKeys[i], registry.getOperatorSigningKeyAtEpoch(operator, epoch));
            for (uint256 j; j < i && set.operators.length < 100; ++j) {
                vm.assertTrue(set.operators[j] != operator);
            }
            sum += set.weights[i];
        }
        vm.assertEq(sum, total);
        vm.assertEq(registry.getTotalWeightAtEpoch(epoch), total);
    }

    /// @dev The epochs that a node asks for: the one before, the present one and those that changes may still fill.
    function _assertAllWhole() internal view {
        uint32 present = registry.newestEpoch();
        for (uint32 epoch = present == 0 ? 0 : present - 1; epoch <= present + 3; ++epoch) {
            _assertWhole(epoch);
        }
    }
}
