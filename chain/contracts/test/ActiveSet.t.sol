// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {OperatorSet, OperatorSets} from "../src/OperatorSets.sol";
import {RegistryFixture} from "./support/RegistryFixture.sol";

/// @notice A full set: 500 members of 1000 from epoch 1 on, ascending by account.
contract ActiveSetTest is RegistryFixture {
    uint256 internal constant CAP = 500;
    uint256 internal constant HEAVY = 1000;
    /// @dev As many as fitted into the code of a set beside the members.
    uint256 internal constant DUST = 764;
    /// @dev Of an operator that is no member: each of 500 members is looked at, cold.
    uint256 internal constant REPLACEMENT_LIMIT = 2_700_000;

    Operator[] internal ops;

    function setUp() public override {
        super.setUp();
        Operator[] memory made = _operators(CAP);
        for (uint256 i; i < CAP; ++i) {
            ops.push(made[i]);
            _registerWithWeight(made[i], HEAVY);
        }
    }

    function test_isFull() public view {
        vm.assertEq(OperatorSets.MAX_MEMBERS, CAP);
        _assertSet(1, CAP, CAP * HEAVY);
        _assertSet(2, CAP, CAP * HEAVY);
    }

    /// @dev For the price of a minimum each, they would push the set beyond what can be sealed, told and signed.
    function test_dustStaysOutside() public {
        bytes memory full = abi.encodeWithSelector(IStakeRegistry.SetFull.selector, CAP);
        // Also warms all that is read again and again, or the test itself would run out of gas.
        _assertSet(1, CAP, CAP * HEAVY);
        for (uint256 i; i < DUST; ++i) {
            Operator memory dust = _operator(10_000 + i);
            weights.set(dust.account, MINIMUM + (i % 2) * (HEAVY - 1 - MINIMUM));
            _expectRegisterRevert(dust, full);
        }
        _assertSet(1, CAP, CAP * HEAVY);
        _goTo(1, 0);
        registry.sealEpoch(1, _accounts(ops));
    }

    /// @dev First come is not first served: who was there before and is lighter makes room.
    function test_dustThatWasThereBeforeMakesRoom() public {
        for (uint256 i; i < CAP; ++i) {
            _setWeight(ops[i], MINIMUM);
        }
        for (uint256 i; i < CAP; ++i) {
            _registerWithWeight(_operator(10_000 + i), HEAVY);
        }
        _assertSet(1, CAP, CAP * HEAVY);
        // It is registered yet, and gets nowhere by that.
        registry.updateOperators(_accounts(ops));
        vm.assertTrue(registry.operatorRegistered(ops[0].account));
        _assertSet(1, CAP, CAP * HEAVY);
        for (uint256 i; i < CAP; ++i) {
            vm.assertEq(registry.getOperatorWeightAtEpoch(ops[i].account, 1), 0);
        }
        _goTo(1, 0);
        registry.sealEpoch(1, _accounts(_operators(CAP, 10_000)));
    }

    function test_theHeavierReplacesTheLightest() public {
        _setWeight(ops[123], HEAVY - 1);
        Operator memory heavy = _operator(10_000);
        weights.set(heavy.account, HEAVY + 1);
        bytes memory proof = _keyProof(heavy);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorReplaced(ops[123].account, heavy.account, 1);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorWeightUpdated(ops[123].account, 1, 0);
        vm.prank(heavy.account);
        registry.registerOperator(heavy.signingKey, proof);
        _assertSet(1, CAP, CAP * HEAVY + 1);
        _assertOperator(heavy, 1, HEAVY + 1, heavy.signingKey);
        vm.assertEq(registry.getOperatorWeightAtEpoch(ops[123].account, 1), 0);
        vm.assertTrue(registry.operatorRegistered(ops[123].account));
    }

    /// @dev So that the order of transactions decides nothing.
    function test_ofTwoThatWeighTheSameTheLowerAddressWins() public {
        (Operator memory low, Operator memory high) = (_lowest(), _highest());
        weights.set(high.account, HEAVY);
        _expectRegisterRevert(high, abi.encodeWithSelector(IStakeRegistry.SetFull.selector, CAP));
        _registerWithWeight(low, HEAVY);
        _assertSet(1, CAP, CAP * HEAVY);
        _assertOperator(low, 1, HEAVY, low.signingKey);
        // Of all that weigh the least, the highest address goes.
        vm.assertEq(registry.getOperatorWeightAtEpoch(ops[CAP - 1].account, 1), 0);
        vm.assertEq(registry.getOperatorWeightAtEpoch(ops[CAP - 2].account, 1), HEAVY);
        // It does not come back against those that are left.
        _refresh(ops[CAP - 1]);
        vm.assertEq(registry.getOperatorWeightAtEpoch(ops[CAP - 1].account, 1), 0);
    }

    function test_whoWasReplacedComesBackOnceItIsHeavier() public {
        Operator memory heavy = _operator(10_000);
        _setWeight(ops[7], HEAVY - 1);
        _registerWithWeight(heavy, HEAVY + 1);
        vm.assertEq(registry.getOperatorWeightAtEpoch(ops[7].account, 1), 0);
        _goTo(3, 0);
        _setWeight(ops[7], HEAVY + 5);
        _assertOperator(ops[7], 3, 0, ops[7].signingKey);
        _assertOperator(ops[7], 4, HEAVY + 5, ops[7].signingKey);
        _assertSet(3, CAP, CAP * HEAVY + 1);
        _assertSet(4, CAP, CAP * HEAVY + 6);
        // In place of the lightest with the highest address.
        vm.assertEq(registry.getOperatorWeightAtEpoch(ops[CAP - 1].account, 3), HEAVY);
        vm.assertEq(registry.getOperatorWeightAtEpoch(ops[CAP - 1].account, 4), 0);
    }

    /// @dev A key change is no way in, nor does it lose the place of who is in.
    function test_keysChangeOutsideAndInside() public {
        Operator memory heavy = _operator(10_000);
        _setWeight(ops[7], HEAVY - 1);
        _registerWithWeight(heavy, HEAVY + 1);
        _rotate(ops[7], 99);
        _assertOperator(ops[7], 1, 0, vm.addr(99));
        _rotate(heavy, 98);
        _assertOperator(heavy, 1, HEAVY + 1, vm.addr(98));
        _assertSet(1, CAP, CAP * HEAVY + 1);
        _setWeight(ops[7], HEAVY + 2);
        _assertOperator(ops[7], 1, HEAVY + 2, vm.addr(99));
        _assertSet(1, CAP, CAP * HEAVY + 3);
    }

    function test_whoLeavesMakesRoom() public {
        _goTo(1, 0);
        _deregister(ops[0]);
        _jail(ops[1]);
        _setWeight(ops[2], MINIMUM - 1);
        _assertSet(2, CAP - 3, (CAP - 3) * HEAVY);
        for (uint256 i; i < 3; ++i) {
            _registerWithWeight(_operator(10_000 + i), MINIMUM);
        }
        _assertSet(2, CAP, (CAP - 3) * HEAVY + 3 * MINIMUM);
        Operator memory late = _operator(10_003);
        weights.set(late.account, MINIMUM - 1);
        _expectRegisterRevert(
            late,
            abi.encodeWithSelector(IStakeRegistry.InsufficientWeight.selector, MINIMUM)
        );
        // Epochs that had begun keep their sets.
        _assertSet(1, CAP, CAP * HEAVY);
    }

    /// @dev Who has not left, but was replaced, may leave and return as anybody else.
    function test_whoWasReplacedMayLeave() public {
        _setWeight(ops[7], HEAVY - 1);
        _registerWithWeight(_operator(10_000), HEAVY);
        _deregister(ops[7]);
        _assertOperator(ops[7], 1, 0, address(0));
        _assertSet(1, CAP, CAP * HEAVY);
        weights.set(ops[7].account, HEAVY + 1);
        _register(ops[7]);
        _assertSet(1, CAP, CAP * HEAVY + 1);
    }

    /// @dev More candidates than places cost those who are in it nothing, and each other one look at every member.
    function test_nothingLoopsBeyondTheMembers() public {
        uint256 first = _replacementGas(10_000);
        for (uint256 i = 1; i < 300; ++i) {
            _registerWithWeight(_operator(10_000 + i), HEAVY + i);
        }
        uint256 last = _replacementGas(20_000);
        vm.assertLt(last, first + first / 10);
        vm.assertLt(first, REPLACEMENT_LIMIT);
        vm.assertLt(last, REPLACEMENT_LIMIT);
        // A member's own changes do not look at the others at all.
        weights.set(ops[0].account, HEAVY + 1000);
        vm.cool(address(registry));
        _refresh(ops[0]);
        vm.assertLt(vm.lastCallGas().gasTotalUsed, 200_000);
        vm.cool(address(registry));
        _deregister(ops[0]);
        vm.assertLt(vm.lastCallGas().gasTotalUsed, 200_000);
    }

    /// @dev Against what it should be: the 500 heaviest, whoever was there first.
    /// forge-config: default.fuzz.runs = 4
    function testFuzz_theHeaviestWin(uint256 seed) public {
        uint256 others = 40;
        Operator[] memory all = new Operator[](CAP + others);
        for (uint256 i; i < all.length; ++i) {
            all[i] = i < CAP ? ops[i] : _operator(10_000 + i);
            seed = uint256(keccak256(abi.encode(seed)));
            // Few different weights, so that many are equal.
            uint256 weight = HEAVY - 5 + (seed % 11);
            if (i < CAP) {
                _setWeight(all[i], weight);
                continue;
            }
            weights.set(all[i].account, weight);
            bytes memory proof = _keyProof(all[i]);
            vm.prank(all[i].account);
            try registry.registerOperator(all[i].signingKey, proof) {} catch {}
            if ((seed >> 128) % 4 == 0) _rollTo(uint64(block.number) + 60);
        }
        registry.updateOperators(_accounts(all));
        _assertTheHeaviest(all, epochs.getEffectiveEpochForBlock(uint64(block.number)));
        for (uint32 epoch; epoch <= registry.newestEpoch() + 2; ++epoch) {
            uint256 members;
            for (uint256 i; i < all.length; ++i) {
                if (registry.getOperatorWeightAtEpoch(all[i].account, epoch) != 0) ++members;
            }
            vm.assertTrue(members <= CAP);
        }
        _assertAllWhole();
    }

    /// @dev No registered operator outside is before a member, in the order of weights and then of addresses.
    function _assertTheHeaviest(Operator[] memory all, uint32 epoch) private view {
        uint256 least = type(uint256).max;
        uint256 most;
        uint256 members;
        for (uint256 i; i < all.length; ++i) {
            address account = all[i].account;
            if (!registry.operatorRegistered(account)) continue;
            // Larger is better: the weight, then the lower address.
            uint256 rank = (weights.weightOf(account) << 160) | (type(uint160).max - uint160(account));
            if (registry.getOperatorWeightAtEpoch(account, epoch) != 0) {
                ++members;
                if (rank < least) least = rank;
            } else if (rank > most) {
                most = rank;
            }
        }
        vm.assertEq(members, CAP);
        vm.assertTrue(least > most);
    }

    function _replacementGas(uint256 seed) private returns (uint256) {
        Operator memory op = _operator(seed);
        weights.set(op.account, HEAVY + 100_000);
        bytes memory proof = _keyProof(op);
        vm.cool(address(registry));
        vm.prank(op.account);
        registry.registerOperator(op.signingKey, proof);
        return vm.lastCallGas().gasTotalUsed;
    }

    function _assertSet(uint32 epoch, uint256 count, uint256 total) private view {
        OperatorSet memory set = _assertWhole(epoch);
        vm.assertEq(set.operators.length, count);
        vm.assertEq(registry.getTotalWeightAtEpoch(epoch), total);
    }

    /// @dev With an address below, or above, all members'.
    function _lowest() private view returns (Operator memory made) {
        for (uint256 seed = 20_000; ; ++seed) {
            made = _operator(seed);
            if (made.account < ops[0].account) return made;
        }
    }

    function _highest() private view returns (Operator memory made) {
        for (uint256 seed = 20_000; ; ++seed) {
            made = _operator(seed);
            if (made.account > ops[CAP - 1].account) return made;
        }
    }
}
