// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IEquivocationJudge} from "../src/IEquivocationJudge.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {JudgeFixture} from "./support/JudgeFixture.sol";

/// @notice What becomes of a jailed operator, and of those who staked to it.
contract JailTest is JudgeFixture {
    address internal delegator = address(0xde1e6a70);

    receive() external payable {}

    function setUp() public override {
        super.setUp();
        vm.deal(delegator, 10 ether);
        vm.prank(delegator);
        vault.deposit{value: 1 ether}(alice.account);
    }

    function test_aJailedOperatorStaysOut() public {
        _convict(alice, 1);
        Operator memory renewed = _withKey(alice, 1);
        bytes memory proof = _keyProof(renewed);
        vm.startPrank(alice.account);
        vm.expectRevert(IStakeRegistry.Jailed.selector);
        registry.registerOperator(renewed.signingKey, proof);
        vm.expectRevert(IStakeRegistry.NotRegistered.selector);
        registry.updateSigningKey(renewed.signingKey, proof);
        vm.expectRevert(IStakeRegistry.NotRegistered.selector);
        registry.deregisterOperator();
        vm.stopPrank();
        _refresh(alice);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), 0);
    }

    function test_nothingIsStakedToAFrozenOperator() public {
        _convict(alice, 1);
        bytes memory reason = _error(StakeVault.OperatorFrozen.selector, alice.account);
        vm.expectRevert(reason);
        vault.deposit{value: 1}(alice.account);
        _rollTo(uint64(vm.getBlockNumber()) + REACH - 1);
        vm.expectRevert(reason);
        vault.deposit{value: 1}(alice.account);
        // Others go on.
        vault.deposit{value: 1}(bob.account);
        vault.queueWithdrawal(bob.account, 1);
    }

    function test_releaseGivesAllBack() public {
        _convict(alice, 1);
        decider.decide(judge, alice.account, 1, 0, true);
        _goTo(2, 0);
        vm.expectEmit(address(judge));
        emit IEquivocationJudge.TermEnded(alice.account, 1, 0, true);
        vm.expectEmit(address(vault));
        emit StakeVault.Unfrozen(alice.account, 0, 4 ether);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorReleased(alice.account);
        judge.settle(alice.account);

        vm.assertEq(vault.delegation(delegator, alice.account), 1 ether);
        vm.assertEq(vault.weightOf(alice.account), 4 ether);
        vm.assertFalse(registry.jailed(alice.account));
        _register(_withKey(alice, 1));
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), 0);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 3), 4 ether);
    }

    function test_aSlashCutsAllWhoStandBehindIt() public {
        uint256 id = vault.queueWithdrawal(alice.account, 1 ether);
        _convict(alice, 1);
        _settle(alice, 2_500, false);

        vm.assertEq(vault.weightOf(alice.account), 2.25 ether);
        vm.assertEq(vault.delegation(address(this), alice.account), 1.5 ether);
        vm.assertEq(vault.delegation(delegator, alice.account), 0.75 ether);
        vm.assertEq(vault.getWithdrawal(id).amount, 0.75 ether);
        _goTo(9, 0);
        uint256 balance = address(this).balance;
        vault.completeWithdrawal(id);
        vm.assertEq(address(this).balance, balance + 0.75 ether);
        // Not readmitted: it stays out, but its stake is free.
        vm.assertTrue(registry.jailed(alice.account));
        vm.expectRevert(StakeVault.InsufficientStake.selector);
        vault.queueWithdrawal(alice.account, 1.5 ether + 1);
        uint256 rest = vault.queueWithdrawal(alice.account, 1.5 ether);
        vm.assertEq(vault.getWithdrawal(rest).amount, 1.5 ether);
        // Nobody else was cut, and what was cut stays for ever.
        vm.assertEq(vault.weightOf(bob.account), STAKE);
        vm.assertEq(address(vault).balance, 10 ether - 0.75 ether);
    }

    // Delegators

    function test_delegatorsMayQueueWhileItIsFrozen() public {
        _convict(alice, 1);
        _rollTo(GENESIS + LENGTH + 10);
        vm.prank(delegator);
        uint256 id = vault.queueWithdrawal(alice.account, 0.4 ether);
        vm.assertEq(vault.getWithdrawal(id).unlockBlock, vm.getBlockNumber() + REACH);
        vm.assertEq(vault.getWithdrawal(id).unlockTime, block.timestamp + REACH * BLOCK_SECONDS);
        // It is cut as if it had stayed.
        _settle(alice, 5_000, false);
        vm.assertEq(vault.getWithdrawal(id).amount, 0.2 ether);
        vm.assertEq(vault.delegation(delegator, alice.account), 0.3 ether);
        vm.assertEq(vault.weightOf(alice.account), 1.8 ether);

        _rollTo(vault.getWithdrawal(id).unlockBlock);
        vm.prank(delegator);
        vault.completeWithdrawal(id);
        vm.assertEq(delegator.balance, 9.2 ether);
    }

    /// @dev It stood behind nothing any more.
    function test_whatWasUnlockedAtTheFreezeIsFree() public {
        uint256 id = vault.queueWithdrawal(alice.account, 1 ether);
        _rollTo(vault.getWithdrawal(id).unlockBlock);
        _convict(alice, 4);
        vault.completeWithdrawal(id);
    }

    function test_whatWasUnlockedAtTheFreezeIsNotCut() public {
        uint256 id = vault.queueWithdrawal(alice.account, 1 ether);
        _rollTo(vault.getWithdrawal(id).unlockBlock);
        _convict(alice, 4);
        _settle(alice, 10_000, false);
        vm.assertEq(vault.getWithdrawal(id).amount, 1 ether);
        vault.completeWithdrawal(id);
    }

    function test_oneBlockBeforeItIsCaught() public {
        uint256 id = vault.queueWithdrawal(alice.account, 1 ether);
        vm.roll(vault.getWithdrawal(id).unlockBlock - 1);
        vm.warp(vault.getWithdrawal(id).unlockTime);
        _expectCaught(id);
    }

    function test_oneSecondBeforeItIsCaught() public {
        uint256 id = vault.queueWithdrawal(alice.account, 1 ether);
        vm.roll(vault.getWithdrawal(id).unlockBlock);
        vm.warp(vault.getWithdrawal(id).unlockTime - 1);
        _expectCaught(id);
    }

    function _expectCaught(uint256 id) private {
        _convict(alice, 4);
        vm.roll(vm.getBlockNumber() + LENGTH);
        vm.warp(block.timestamp + LENGTH);
        vm.expectRevert(_error(StakeVault.OperatorFrozen.selector, alice.account));
        vault.completeWithdrawal(id);
        decider.decide(judge, alice.account, 1, 10_000, false);
        judge.settle(alice.account);
        vm.assertEq(vault.getWithdrawal(id).amount, 0);
        uint256 balance = address(this).balance;
        vault.completeWithdrawal(id);
        vm.assertEq(address(this).balance, balance);
    }

    // Who comes later

    function test_whatIsStakedAfterTheVerdictIsNotCutForIt() public {
        _convict(alice, 1);
        _settle(alice, 10_000, true);
        vm.assertEq(vault.weightOf(alice.account), 0);
        vm.prank(delegator);
        vault.deposit{value: 2 ether}(alice.account);
        vm.assertEq(vault.delegation(delegator, alice.account), 2 ether);
        vm.assertEq(vault.delegation(address(this), alice.account), 0);
        vm.assertEq(vault.weightOf(alice.account), 2 ether);
    }

    /// @dev All the stake of epoch 1 was paid out, so those of today have nothing to do with it.
    function test_oldEvidenceDoesNotReachTheDelegatorsOfToday() public {
        vm.prank(alice.account);
        registry.deregisterOperator();
        uint256 id = vault.queueWithdrawal(alice.account, STAKE);
        vm.prank(delegator);
        vault.queueWithdrawal(alice.account, 1 ether);
        _rollTo(vault.getWithdrawal(id).unlockBlock);
        vault.completeWithdrawal(id);
        vm.startPrank(delegator);
        vault.completeWithdrawal(id + 1);
        vault.deposit{value: 5 ether}(alice.account);
        vm.stopPrank();
        _register(alice);
        _goTo(6, 0);

        bytes memory reason = _error(IEquivocationJudge.TooLate.selector, 1);
        _expectRefusal(reason, alice.account, _signed(alice, 1, "one"), _signed(alice, 1, "two"));
        _expectRefusal(reason, alice.account, _signed(alice, 6, "one"), _signed(alice, 1, "two"));
        vm.assertEq(vault.frozenSince(alice.account), 0);
        vm.assertEq(vault.delegation(delegator, alice.account), 5 ether);
        // For what it signs from now on, they answer.
        _convict(alice, 6);
        _settle(alice, 10_000, false);
        vm.assertEq(vault.delegation(delegator, alice.account), 0);
    }
}
