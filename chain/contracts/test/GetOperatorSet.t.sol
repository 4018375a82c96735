// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {OperatorSet} from "../src/OperatorSets.sol";
import {RegistryFixture} from "./support/RegistryFixture.sol";

/// @notice One call tells the whole set, without a look at events.
contract GetOperatorSetTest is RegistryFixture {
    uint256 internal constant COUNT = 6;

    Operator[] internal ops;

    function setUp() public override {
        super.setUp();
        Operator[] memory made = _operators(COUNT);
        for (uint256 i; i < COUNT; ++i) {
            ops.push(made[i]);
            weights.set(made[i].account, 10 * (i + 1));
        }
    }

    function test_nobodyIsInAnEmptySet() public view {
        (OperatorSet memory set, uint256 total) = registry.getOperatorSet(0);
        vm.assertEq(set.operators.length + set.signingKeys.length + set.weights.length + total, 0);
    }

    function test_tellsMembersKeysAndWeights() public {
        _register(ops[0]);
        _register(ops[1]);
        (OperatorSet memory set, uint256 total) = registry.getOperatorSet(1);
        vm.assertEq(total, 30);
        vm.assertEq(set.operators.length, 2);
        vm.assertEq(set.signingKeys.length, 2);
        vm.assertEq(set.weights.length, 2);
        for (uint256 i; i < 2; ++i) {
            vm.assertEq(set.operators[i], ops[i].account);
            vm.assertEq(set.signingKeys[i], ops[i].signingKey);
            vm.assertEq(set.weights[i], 10 * (i + 1));
        }
        (set, total) = registry.getOperatorSet(0);
        vm.assertEq(set.operators.length + total, 0);
    }

    /// @dev While the old set still finishes its tasks.
    function test_whoLeftIsToldInTheEpochsThatCountIt() public {
        for (uint256 i; i < COUNT; ++i) {
            _register(ops[i]);
        }
        _goTo(2, 0);
        _deregister(ops[0]);
        _jail(ops[1]);
        _setWeight(ops[2], 0);
        vm.assertEq(_assertWhole(2).operators.length, COUNT);
        vm.assertEq(_assertWhole(3).operators.length, COUNT - 3);
        _goTo(3, LENGTH - 1);
        // Others leave meanwhile, which makes the list forget.
        _deregister(ops[3]);
        _deregister(ops[4]);
        vm.assertEq(_assertWhole(2).operators.length, COUNT);
        vm.assertEq(_assertWhole(3).operators.length, COUNT - 3);
        vm.assertEq(_assertWhole(4).operators.length, COUNT - 3);
        vm.assertEq(_assertWhole(5).operators.length, COUNT - 5);
    }

    /// @dev What is missing in older epochs shows: the weights do not add up.
    function test_olderSetsShowThatTheyAreNotWhole() public {
        for (uint256 i; i < COUNT; ++i) {
            _register(ops[i]);
        }
        _goTo(2, 0);
        _deregister(ops[0]);
        _goTo(9, 0);
        _deregister(ops[1]);
        _deregister(ops[2]);
        (OperatorSet memory set, uint256 total) = registry.getOperatorSet(2);
        vm.assertEq(total, 210);
        vm.assertEq(set.operators.length, COUNT - 1);
        _assertAllWhole();
    }

    /// @dev Whatever happens, in any order.
    /// forge-config: default.fuzz.runs = 48
    function testFuzz_presentPreviousAndComingSetsAreWhole(uint24[80] calldata steps) public {
        for (uint256 i; i < steps.length; ++i) {
            uint256 step = steps[i];
            if (step % 5 == 0) _rollTo(uint64(block.number) + uint64((step >> 3) % 130));
            Operator memory op = ops[(step >> 10) % COUNT];
            uint256 kind = (step >> 14) % 5;
            if (!registry.operatorRegistered(op.account)) {
                weights.set(op.account, MINIMUM + (step >> 17));
                if (!registry.jailed(op.account)) _register(op);
            } else if (kind == 0) _deregister(op);
            else if (kind == 1) _setWeight(op, MINIMUM + (step >> 17));
            else if (kind == 2) _setWeight(op, MINIMUM - 1);
            else if (kind == 3 && i % 8 == 0) _jailByOtherKeys(op);
            else _refresh(op);
            _assertAllWhole();
        }
    }

    /// @dev So that its own key is free to be used again.
    function _jailByOtherKeys(Operator memory op) private {
        vm.prank(address(registry.judge()));
        registry.jail(op.account, address(1), address(2));
        _release(op);
    }

    /// @dev Stake that comes back after the delay must not buy a list that no node can read.
    function test_whoCameAndWentBetweenTwoSetsIsForgotten() public {
        _goTo(1, 0);
        uint32 next = 2;
        registry.getOperatorSet(next);
        uint256 before = vm.lastCallGas().gasTotalUsed;
        for (uint256 i; i < 200; ++i) {
            Operator memory op = _operator(7_000 + i);
            _registerWithWeight(op, MINIMUM);
            vm.prank(op.account);
            registry.deregisterOperator();
        }
        registry.getOperatorSet(next);
        vm.assertLt(vm.lastCallGas().gasTotalUsed, before + 50_000);
    }
}
