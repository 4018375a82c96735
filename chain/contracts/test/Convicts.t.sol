// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {RegistryFixture} from "./support/RegistryFixture.sol";

/// @notice What a conviction means at the registry. Four operators of 25 in epoch 1, of which three are a quorum.
contract ConvictsTest is RegistryFixture {
    uint32 internal constant EPOCH = 1;
    bytes32 internal constant DIGEST = keccak256("digest");

    Operator[] internal ops;

    function setUp() public override {
        super.setUp();
        Operator[] memory made = _operators(4);
        for (uint256 i; i < 4; ++i) {
            ops.push(made[i]);
            _registerWithWeight(made[i], 25);
        }
        _goTo(EPOCH, 0);
        registry.sealEpoch(EPOCH, _accounts(made));
    }

    function test_onlyTheJudgeConvicts() public {
        vm.expectRevert(IStakeRegistry.NotJudge.selector);
        registry.jail(ops[0].account, ops[0].signingKey, ops[0].signingKey);
        vm.expectRevert(IStakeRegistry.NotJudge.selector);
        registry.release(ops[0].account);
    }

    function test_aConvictLeavesTheSetAndStaysOut() public {
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorJailed(ops[0].account, EPOCH + 1);
        _jail(ops[0]);
        vm.assertTrue(registry.jailed(ops[0].account));
        vm.assertFalse(registry.operatorRegistered(ops[0].account));
        _assertOperator(ops[0], EPOCH, 25, ops[0].signingKey);
        _assertOperator(ops[0], EPOCH + 1, 0, address(0));
        vm.assertEq(registry.getTotalWeightAtEpoch(EPOCH), 100);
        vm.assertEq(registry.getTotalWeightAtEpoch(EPOCH + 1), 75);
        _assertAllWhole();

        Operator memory fresh = ops[0];
        (fresh.secret, fresh.signingKey) = (99, vm.addr(99));
        _expectRegisterRevert(fresh, IStakeRegistry.Jailed.selector);
        _setWeight(fresh, 1000);
        vm.assertEq(registry.getTotalWeightAtEpoch(EPOCH + 1), 75);
        _release(fresh);
        vm.assertFalse(registry.jailed(fresh.account));
        _register(fresh);
        _assertOperator(fresh, EPOCH + 1, 1000, vm.addr(99));
    }

    function test_aConvictCountsNotInTheEpochThatIsFixedEither() public {
        _goTo(EPOCH, LENGTH - GRACE);
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
        _jail(ops[0]);
        vm.assertEq(registry.barredUntil(ops[0].account), EPOCH + 2);
        _goTo(EPOCH + 1, 0);
        _refuse(0x7, EPOCH + 1);
        _check(0xe, EPOCH + 1);
        vm.assertEq(registry.getTotalWeightAtEpoch(EPOCH + 1), 100);
    }

    function test_whoHadLeftIsConvictedToo() public {
        _deregister(ops[0]);
        _jail(ops[0]);
        vm.assertTrue(registry.jailed(ops[0].account));
        _refuse(0x7, EPOCH);
        _assertAllWhole();
    }

    /// @dev What a readmitted operator signed before its conviction stays worthless, what it signs afterwards counts.
    function test_aReadmittedOperatorCountsFromItsReturnOn() public {
        _jail(ops[0]);
        _release(ops[0]);
        (ops[0].secret, ops[0].signingKey) = (99, vm.addr(99));
        _register(ops[0]);
        _goTo(EPOCH + 1, 0);
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
        _check(0x7, EPOCH + 1);
        ops[0] = _operatorOf(ops[0].account);
        _refuse(0x7, EPOCH);
    }

    function test_anotherConvictionBarsMore() public {
        _jail(ops[0]);
        vm.assertEq(registry.barredUntil(ops[0].account), EPOCH + 1);
        _goTo(EPOCH + 4, 0);
        _jail(ops[0]);
        vm.assertEq(registry.barredUntil(ops[0].account), EPOCH + 5);
    }

    /// @dev One of the first four, as it was in the beginning.
    function _operatorOf(address account) private pure returns (Operator memory found) {
        for (uint256 i; i < 4; ++i) {
            found = _operator(i);
            if (found.account == account) return found;
        }
    }

    /// @dev In both forms.
    function _check(uint256 signers, uint32 epoch) private view {
        registry.isValidSignature(DIGEST, _certificate(_chosen(ops, signers), DIGEST, epoch));
        registry.isValidSignature(DIGEST, _compact(ops, signers, DIGEST, epoch));
    }

    function _refuse(uint256 signers, uint32 epoch) private {
        bytes memory listed = _certificate(_chosen(ops, signers), DIGEST, epoch);
        bytes memory compact = _compact(ops, signers, DIGEST, epoch);
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        registry.isValidSignature(DIGEST, listed);
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        registry.isValidSignature(DIGEST, compact);
    }
}
