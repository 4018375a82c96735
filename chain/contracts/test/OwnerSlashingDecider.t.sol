// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {IEquivocationJudge} from "../src/IEquivocationJudge.sol";
import {Verdict} from "../src/ISlashingDecider.sol";
import {OwnerSlashingDecider} from "../src/OwnerSlashingDecider.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {JudgeFixture} from "./support/JudgeFixture.sol";

contract OwnerSlashingDeciderTest is JudgeFixture {
    function test_onlyTheOwnerDecides() public {
        _convict(alice, 1);
        vm.expectRevert(_error(Ownable.OwnableUnauthorizedAccount.selector, bob.account));
        vm.prank(bob.account);
        decider.decide(judge, alice.account, 1, 0, true);

        decider.transferOwnership(bob.account);
        vm.prank(bob.account);
        decider.acceptOwnership();
        vm.expectRevert(_error(Ownable.OwnableUnauthorizedAccount.selector, address(this)));
        decider.decide(judge, alice.account, 1, 0, true);
        vm.prank(bob.account);
        decider.decide(judge, alice.account, 1, 0, true);
    }

    function test_aVerdictIsFinal() public {
        _convict(alice, 1);
        vm.expectEmit(address(decider));
        emit OwnerSlashingDecider.Decided(judge, alice.account, 1, 5_000, true);
        decider.decide(judge, alice.account, 1, 5_000, true);
        vm.expectRevert(OwnerSlashingDecider.AlreadyDecided.selector);
        decider.decide(judge, alice.account, 1, 5_000, true);
        vm.expectRevert(OwnerSlashingDecider.AlreadyDecided.selector);
        decider.decide(judge, alice.account, 1, 0, false);
        Verdict memory verdict = _verdictFor(judge, alice, 1);
        vm.assertTrue(verdict.decided && verdict.readmitted);
        vm.assertEq(verdict.slashedBips, 5_000);
    }

    function test_atMostAll() public {
        _convict(alice, 1);
        vm.expectRevert(OwnerSlashingDecider.TooMuch.selector);
        decider.decide(judge, alice.account, 1, 10_001, false);
        decider.decide(judge, alice.account, 1, 10_000, false);
        vm.assertEq(decider.ALL(), 10_000);
    }

    function test_nothingIsDecidedInAdvance() public {
        bytes memory reason = _error(OwnerSlashingDecider.TermNotOpen.selector);
        vm.expectRevert(reason);
        decider.decide(judge, alice.account, 0, 0, true);
        vm.expectRevert(reason);
        decider.decide(judge, alice.account, 1, 0, true);
        _convict(alice, 1);
        vm.expectRevert(reason);
        decider.decide(judge, alice.account, 0, 0, true);
        vm.expectRevert(reason);
        decider.decide(judge, alice.account, 2, 0, true);
        vm.expectRevert(reason);
        decider.decide(judge, bob.account, 1, 0, true);
        vm.assertFalse(_verdictFor(judge, alice, 1).decided);
    }

    function test_nothingIsTakenAfterwards() public {
        _convict(alice, 1);
        _convict(bob, 1);
        _settle(alice, 0, false);
        vm.expectRevert(OwnerSlashingDecider.AlreadyDecided.selector);
        decider.decide(judge, alice.account, 1, 0, true);
        // The last block in which it can be carried out is the last one in which it is taken.
        _rollTo(GENESIS + LENGTH + REACH);
        vm.expectRevert(OwnerSlashingDecider.TermNotOpen.selector);
        decider.decide(judge, bob.account, 1, 1, true);
        _rollTo(GENESIS + LENGTH + REACH - 1);
        decider.decide(judge, bob.account, 1, 10_000, true);
        judge.settle(bob.account);
        vm.assertEq(vault.weightOf(bob.account), 0);
    }

    /// @dev A decider that was silent for too long must not keep somebody out for ever.
    function test_readmitsAfterwards() public {
        _convict(alice, 1);
        _rollTo(GENESIS + LENGTH + 3 * REACH);
        _settle(alice, 0, true);
        vm.assertFalse(registry.jailed(alice.account));
        vm.assertEq(vault.weightOf(alice.account), STAKE);
        vm.expectRevert(OwnerSlashingDecider.TermNotOpen.selector);
        decider.decide(judge, bob.account, 0, 0, true);
    }

    /// @dev What was said to one judge is nothing to another one.
    function test_oneServesSeveralJudges() public {
        IEquivocationJudge first = judge;
        StakeVault firstVault = vault;
        _convict(alice, 1);
        vault = new StakeVault(epochs, _afterNext(), REACH, REACH * BLOCK_SECONDS);
        registry = new StakeRegistry(epochs, vault, MINIMUM, decider, directory);
        judge = registry.judge();
        _enter(alice);
        _goTo(2, 0);
        vm.expectRevert(OwnerSlashingDecider.TermNotOpen.selector);
        decider.decide(judge, alice.account, 1, 0, true);
        _convict(alice, 2);

        decider.decide(first, alice.account, 1, 10_000, false);
        vm.assertTrue(_verdictFor(first, alice, 1).decided);
        vm.assertFalse(_verdictFor(judge, alice, 1).decided);
        _goTo(3, 0);
        vm.expectRevert(IEquivocationJudge.Undecided.selector);
        judge.settle(alice.account);
        first.settle(alice.account);
        vm.assertEq(firstVault.weightOf(alice.account), 0);
        vm.assertEq(vault.weightOf(alice.account), STAKE);
    }

    function _verdictFor(IEquivocationJudge asker, Operator memory op, uint64 term) private returns (Verdict memory) {
        vm.prank(address(asker));
        return decider.verdictOn(op.account, term);
    }
}
