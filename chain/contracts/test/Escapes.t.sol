// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SignedAttestation} from "../src/Attestations.sol";
import {IEquivocationJudge, Term} from "../src/IEquivocationJudge.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {Fixture} from "./support/Fixture.sol";
import {JudgeFixture} from "./support/JudgeFixture.sol";

/// @notice What an operator may do in order not to answer for what it signed, with stake in the vault.
contract EscapesTest is JudgeFixture {
    receive() external payable {}

    function test_leavingBeforeTheReport() public {
        vm.prank(alice.account);
        registry.deregisterOperator();
        uint256 id = vault.queueWithdrawal(alice.account, STAKE);
        _goTo(3, 0);
        _convict(alice, 1);
        _settle(alice, 10_000, false);
        _goTo(9, 0);
        vault.completeWithdrawal(id);
        vm.assertEq(address(vault).balance, 3 * STAKE);
    }

    /// @dev In the block of the report, before it.
    function test_leavingAndReturningWithAnotherKey() public {
        vm.prank(alice.account);
        registry.deregisterOperator();
        Operator memory renewed = _withKey(alice, 1);
        _register(renewed);
        _convict(alice, 1);
        vm.assertTrue(registry.jailed(alice.account));
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), 0);
        vm.assertEq(registry.getOperatorSigningKeyAtEpoch(alice.account, 2), address(0));
    }

    function test_changingTheKeyTwiceInOneEpoch() public {
        _changeKey(alice, 1);
        Operator memory renewed = _changeKey(alice, 2);
        _goTo(2, 0);
        judge.judge(alice.account, _signed(alice, 1, "one"), _signed(renewed, 2, "two"));
        vm.assertTrue(registry.jailed(alice.account));
    }

    /// @dev Asked back in the first block after the set was fixed, signed in the last in which a certificate of it holds,
    /// reported in the last that counts.
    function test_askingTheStakeBackBeforeSigning() public {
        _rollTo(_fixedBlock(2));
        uint256 id = vault.queueWithdrawal(alice.account, STAKE);
        _rollTo(_fixedBlock(2) + REACH - 1);
        _convict(alice, 2);
        _rollTo(vault.getWithdrawal(id).unlockBlock);
        vm.expectRevert(_error(StakeVault.OperatorFrozen.selector, alice.account));
        vault.completeWithdrawal(id);
        _settle(alice, 10_000, false);
        vm.assertEq(vault.getWithdrawal(id).amount, 0);
    }

    /// @dev Stake that counted in one set only, by a deposit just before and a withdrawal just after it was fixed.
    function test_stakeForOneEpoch() public {
        _rollTo(_fixedBlock(2) - 1);
        vault.deposit{value: 10 ether}(alice.account);
        _rollTo(_fixedBlock(2));
        uint256 id = vault.queueWithdrawal(alice.account, 10 ether);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 1), STAKE);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), STAKE + 10 ether);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 3), STAKE);
        _goTo(3, LENGTH - 1);
        _convict(alice, 2);
        _settle(alice, 10_000, false);
        vm.assertEq(vault.getWithdrawal(id).amount, 0);
    }

    function test_stakeTooSmallToSeeLater() public {
        uint256 id = vault.queueWithdrawal(alice.account, STAKE - 1);
        _goTo(2, 0);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), 0);
        _convict(alice, 1);
        _settle(alice, 5_000, false);
        vm.assertEq(vault.getWithdrawal(id).amount, (STAKE - 1) / 2);
        // One wei is not divided in favour of who owes it.
        vm.assertEq(vault.delegation(address(this), alice.account), 0);
    }

    function test_manySmallDepositsAreCutNoLess() public {
        for (uint256 i; i < 20; ++i) {
            address depositor = address(uint160(0xde1e6a70 + i));
            vm.deal(depositor, 3);
            vm.prank(depositor);
            vault.deposit{value: 3}(alice.account);
        }
        _convict(alice, 1);
        _settle(alice, 1, false);
        for (uint256 i; i < 20; ++i) {
            vm.assertEq(vault.delegation(address(uint160(0xde1e6a70 + i)), alice.account), 2);
        }
    }

    /// @dev The key stays with the account that brought it, also after it left.
    function test_anotherAccountWithTheSameKey() public {
        vm.prank(alice.account);
        registry.deregisterOperator();
        Operator memory second = Operator(_operator(9).account, alice.secret, alice.signingKey);
        vault.deposit{value: STAKE}(second.account);
        bytes memory proof = _keyProof(second);
        vm.expectRevert(IStakeRegistry.KeyTaken.selector);
        vm.prank(second.account);
        registry.registerOperator(alice.signingKey, proof);
    }

    /// @dev Stake goes to another operator no sooner than it is out of reach here.
    function test_stakeCountsForOneOperatorAtATime() public {
        _rollTo(_fixedBlock(2));
        uint256 id = vault.queueWithdrawal(alice.account, STAKE);
        vm.expectRevert(StakeVault.InsufficientStake.selector);
        vault.queueWithdrawal(bob.account, STAKE + 1);
        _rollTo(_fixedBlock(2) + REACH - 1);
        vm.assertTrue(registry.isWithinReach(2));
        vm.expectRevert();
        vault.completeWithdrawal(id);
        _rollTo(_fixedBlock(2) + REACH);
        vm.assertFalse(registry.isWithinReach(2));
        vault.completeWithdrawal(id);
        vault.deposit{value: STAKE}(bob.account);
    }

    /// @dev Who reports itself for something small before others report it for more, has one term for both.
    function test_reportingOneself() public {
        Operator memory renewed = _changeKey(alice, 1);
        _goTo(2, 0);
        vm.prank(alice.account);
        _convict(alice, 1);
        judge.judge(alice.account, _signed(renewed, 2, "one"), _signed(renewed, 2, "two"));
        (Term memory term, ) = judge.termOf(alice.account);
        vm.assertEq(term.number, 1);
        vm.assertTrue(registry.convicted(renewed.signingKey));
    }

    /// @dev A key that is not convicted yet is worth a case of its own, also after a mild verdict and a return.
    function test_aMildVerdictIsNoneOnTheOtherKey() public {
        Operator memory renewed = _changeKey(alice, 1);
        _goTo(2, 0);
        _convict(alice, 1);
        _settle(alice, 100, true);
        _register(renewed);
        judge.judge(alice.account, _signed(renewed, 2, "one"), _signed(renewed, 2, "two"));
        vm.assertTrue(registry.jailed(alice.account));
        _settle(alice, 10_000, false);
        vm.assertEq(vault.weightOf(alice.account), 0);
    }

    /// @dev The price of the rule that a stolen key convicts once: what contradicts a convicted key is no case. But nothing
    /// that was signed until the conviction is within reach for longer than the freeze, so a decider can wait for all of it.
    function test_aConvictedKeyShieldsWhatContradictsIt() public {
        Operator memory renewed = _changeKey(alice, 1);
        _goTo(2, 0);
        _convict(alice, 1);
        SignedAttestation memory hidden = _signed(renewed, 2, "three");
        bytes memory reason = _error(IEquivocationJudge.AlreadyJudged.selector, alice.signingKey);
        _expectRefusal(reason, alice.account, _signed(alice, 1, "one"), hidden);
        uint64 end = uint64(vm.getBlockNumber()) + REACH;
        _rollTo(end - 1);
        vm.assertTrue(registry.isWithinReach(2));
        vm.assertTrue(vault.frozenSince(alice.account) != 0);
        _rollTo(end);
        vm.assertFalse(registry.isWithinReach(2));
    }
}

/// @notice As above, where weights come from elsewhere.
contract EscapesFromTheSetTest is Fixture {
    bytes32 internal constant SLOT = keccak256("slot");

    /// @dev The set is full, and a heavier one of the same hand takes the place of who signed.
    function test_beingReplaced() public {
        Operator[] memory ops = _operators(501);
        for (uint256 i; i < 500; ++i) {
            _registerWithWeight(ops[i], i == 250 ? MINIMUM : MINIMUM + 1);
        }
        _goTo(1, 0);
        Operator memory culprit = ops[250];
        _registerWithWeight(ops[500], MINIMUM + 1);
        _goTo(2, 0);
        vm.assertEq(registry.getOperatorWeightAtEpoch(culprit.account, 2), 0);
        vm.assertEq(registry.getOperatorWeightAtEpoch(ops[500].account, 2), MINIMUM + 1);
        _convict(culprit, 1);
        vm.assertTrue(weights.frozen(culprit.account));
        vm.assertFalse(registry.operatorRegistered(culprit.account));
        // It does not come back, however heavy it becomes.
        _setWeight(culprit, 1_000_000);
        vm.assertTrue(registry.jailed(culprit.account));
        vm.assertEq(registry.getOperatorWeightAtEpoch(culprit.account, 3), 0);
    }

    /// @dev Nobody read the weight again, so it counts no more, but it did when it signed.
    function test_lettingTheWeightLapse() public {
        _deploy(2);
        Operator memory op = _operator(1);
        _registerWithWeight(op, 100);
        _goTo(3, 0);
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, 2), 100);
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, 3), 0);
        SignedAttestation memory lapsed = _signed(op, 3, "two");
        IEquivocationJudge judge = registry.judge();
        SignedAttestation memory first = _signed(op, 2, "one");
        vm.expectRevert(abi.encodeWithSelector(IEquivocationJudge.NotAnOperator.selector, uint32(3)));
        judge.judge(op.account, first, lapsed);
        _convict(op, 2);
        vm.assertTrue(registry.jailed(op.account));
        vm.assertEq(registry.getTotalWeightAtEpoch(4), 0);
    }

    /// @dev A weight of zero is read while the source has it so, but the sets that are fixed keep theirs.
    function test_hidingTheStakeForAMoment() public {
        Operator memory op = _operator(1);
        _registerWithWeight(op, 100);
        _goTo(1, 0);
        _setWeight(op, 0);
        _convict(op, 1);
        _setWeight(op, 100);
        vm.assertTrue(registry.jailed(op.account));
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, 2), 0);
    }

    function _convict(Operator memory op, uint32 epoch) private {
        IEquivocationJudge judge = registry.judge();
        judge.judge(op.account, _signed(op, epoch, "one"), _signed(op, epoch, "two"));
    }

    function _signed(Operator memory op, uint32 epoch, bytes32 fact) private view returns (SignedAttestation memory) {
        bytes32 digest = _attestationDigest(_domainSeparator(registry), epoch, SLOT, fact);
        return SignedAttestation(epoch, SLOT, fact, _sign(op.secret, digest));
    }
}
