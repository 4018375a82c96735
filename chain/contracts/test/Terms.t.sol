// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IEquivocationJudge, Term} from "../src/IEquivocationJudge.sol";
import {ISlashingDecider, Verdict} from "../src/ISlashingDecider.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {IWeightSource} from "../src/IWeightSource.sol";
import {OwnerSlashingDecider} from "../src/OwnerSlashingDecider.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {JudgeFixture} from "./support/JudgeFixture.sol";

/// @notice Says whatever it is told to say, on anybody and at any time.
contract Tyrant is ISlashingDecider {
    Verdict internal _verdict;
    bool internal _isSilent;

    function say(Verdict calldata verdict, bool isSilent) external {
        (_verdict, _isSilent) = (verdict, isSilent);
    }

    function verdictOn(address, uint64) external view returns (Verdict memory) {
        require(!_isSilent);
        return _verdict;
    }
}

/// @notice How a time in jail ends.
contract TermsTest is JudgeFixture {
    receive() external payable {}

    // By a verdict

    function test_noVerdictNoEnd() public {
        vm.expectRevert(IEquivocationJudge.NoTerm.selector);
        judge.settle(alice.account);
        _convict(alice, 1);
        vm.expectRevert(IEquivocationJudge.Undecided.selector);
        judge.settle(alice.account);
        _rollTo(_begin() + REACH - 1);
        vm.expectRevert(IEquivocationJudge.Undecided.selector);
        judge.settle(alice.account);
    }

    function test_aVerdictWaitsForTheLeastDelay() public {
        _convict(alice, 1);
        uint64 from = _begin() + LENGTH;
        decider.decide(judge, alice.account, 1, 10_000, true);
        bytes memory reason = _error(IEquivocationJudge.TooEarly.selector, from);
        vm.expectRevert(reason);
        judge.settle(alice.account);
        _rollTo(from - 1);
        vm.expectRevert(reason);
        judge.settle(alice.account);
        _rollTo(from);
        judge.settle(alice.account);
        vm.expectRevert(IEquivocationJudge.NoTerm.selector);
        judge.settle(alice.account);
        (Term memory term, bool isOpen) = judge.termOf(alice.account);
        vm.assertTrue(term.isSettled && !isOpen);
    }

    function test_aVerdictIsCarriedOutUntilTheFreezeIsOver() public {
        _convict(alice, 1);
        decider.decide(judge, alice.account, 1, 10_000, false);
        _rollTo(_begin() + REACH - 1);
        judge.settle(alice.account);
        vm.assertEq(vault.weightOf(alice.account), 0);
    }

    function test_oneTermCoversAllThatIsProvenUntilItsVerdict() public {
        Operator memory renewed = _changeKey(alice, 1);
        _goTo(2, 0);
        _convict(alice, 1);
        uint64 since = vault.frozenSince(alice.account);
        _goTo(2, 50);
        judge.judge(alice.account, _signed(renewed, 2, "one"), _signed(renewed, 2, "two"));
        (Term memory term, ) = judge.termOf(alice.account);
        vm.assertEq(term.number, 1);
        // Nor does the freeze last longer.
        vm.assertEq(term.openedAt, since);
        vm.assertEq(vault.frozenSince(alice.account), since);
        vm.assertTrue(registry.convicted(renewed.signingKey));
    }

    function test_aVerdictSaysNothingAboutTheNextTerm() public {
        Operator memory renewed = _changeKey(alice, 1);
        _goTo(2, 0);
        _convict(alice, 1);
        _settle(alice, 0, true);
        judge.judge(alice.account, _signed(renewed, 2, "one"), _signed(renewed, 2, "two"));
        vm.assertTrue(registry.jailed(alice.account));
        _rollTo(_begin() + LENGTH);
        vm.expectRevert(IEquivocationJudge.Undecided.selector);
        judge.settle(alice.account);
        vm.expectRevert(OwnerSlashingDecider.TermNotOpen.selector);
        decider.decide(judge, alice.account, 1, 0, true);
        _settle(alice, 5_000, false);
        vm.assertEq(vault.weightOf(alice.account), STAKE / 2);
    }

    // By itself

    function test_withoutVerdictStakeIsFreeByItself() public {
        uint256 early = vault.queueWithdrawal(alice.account, 1 ether);
        _goTo(1, 50);
        _convict(alice, 1);
        uint256 late = vault.queueWithdrawal(alice.account, 1 ether);
        uint64 end = _begin() + REACH;
        vm.assertTrue(vault.getWithdrawal(early).unlockBlock < end);
        _rollTo(end - 1);
        vm.expectRevert(_error(StakeVault.OperatorFrozen.selector, alice.account));
        vault.completeWithdrawal(early);
        _rollTo(end);
        vault.completeWithdrawal(early);
        vault.completeWithdrawal(late);
        vm.assertEq(vault.frozenSince(alice.account), 0);
        vault.deposit{value: 1}(alice.account);
        vault.queueWithdrawal(alice.account, 1 ether);
        (, bool isOpen) = judge.termOf(alice.account);
        vm.assertFalse(isOpen);
        _expectStillJailed();
    }

    function test_anEndWithoutVerdictSlashesNothing() public {
        _convict(alice, 1);
        _rollTo(_begin() + REACH);
        vm.expectRevert(OwnerSlashingDecider.TermNotOpen.selector);
        decider.decide(judge, alice.account, 1, 10_000, false);
        vm.expectRevert(IEquivocationJudge.Undecided.selector);
        judge.settle(alice.account);
        vm.assertEq(vault.frozenSince(alice.account), 0);
        vm.assertEq(vault.weightOf(alice.account), STAKE);
        _expectStillJailed();
    }

    function test_aLateVerdictSlashesNothingButReadmits() public {
        _convict(alice, 1);
        decider.decide(judge, alice.account, 1, 10_000, true);
        _rollTo(_begin() + REACH);
        vault.deposit{value: 1 ether}(alice.account);
        vm.expectEmit(address(judge));
        emit IEquivocationJudge.TermEnded(alice.account, 1, 0, true);
        judge.settle(alice.account);
        vm.assertEq(vault.weightOf(alice.account), STAKE + 1 ether);
        _register(_withKey(alice, 1));
    }

    /// @dev Who staked after a term that nobody ended, is not caught by its end.
    function test_aNewTermAfterOneThatNobodyEnded() public {
        _convict(alice, 1);
        decider.decide(judge, alice.account, 1, 0, true);
        _rollTo(_begin() + REACH);
        judge.settle(alice.account);
        Operator memory renewed = _withKey(alice, 1);
        _register(renewed);
        _goTo(7, 0);
        judge.judge(alice.account, _signed(renewed, 7, "one"), _signed(renewed, 7, "two"));
        _rollTo(_begin() + REACH);
        // Term 2 is left to itself.
        uint256 id = vault.queueWithdrawal(alice.account, 1 ether);
        _rollTo(_begin() + 10 * REACH);
        vault.completeWithdrawal(id);
        _settle(alice, 0, false);
        vm.assertEq(vault.weightOf(alice.account), STAKE - 1 ether);
    }

    // Terms in a row

    /// @dev Whatever the operator signed until it was jailed, is out of reach when its first freeze is over.
    function test_withoutReadmissionThereIsNoSecondTerm() public {
        Operator memory renewed = _changeKey(alice, 1);
        // In the last block in which the set of epoch 3, with that key, was not fixed.
        _rollTo(_fixedBlock(3) - 1);
        _changeKey(alice, 2);
        _rollTo(_fixedBlock(3));
        _convict(alice, 1);
        uint64 end = _begin() + REACH;
        _rollTo(end);
        vm.assertEq(vault.frozenSince(alice.account), 0);
        uint32[2] memory served = [uint32(2), uint32(3)];
        Operator[2] memory keys = [renewed, _withKey(alice, 2)];
        for (uint256 i; i < 2; ++i) {
            vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, served[i]), STAKE);
            _expectRefusal(
                _error(IEquivocationJudge.TooLate.selector, served[i]),
                alice.account,
                _signed(keys[i], served[i], "one"),
                _signed(keys[i], served[i], "two")
            );
        }
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 4), 0);
    }

    /// @dev Where blocks come faster than the seconds pass there can be a second term, but only as long as withdrawals
    /// are locked anyway.
    function test_fastBlocksChainTermsUntilTheSecondsAreOver() public {
        Operator memory renewed = _changeKey(alice, 1);
        _goTo(2, 0);
        _convict(alice, 1);
        uint256 id = vault.queueWithdrawal(alice.account, 1 ether);
        (uint64 unlockBlock, uint64 unlockTime) = (_begin() + REACH, vault.getWithdrawal(id).unlockTime);
        vm.roll(unlockBlock);
        vm.warp(unlockTime - 1);
        vm.expectRevert(abi.encodeWithSelector(StakeVault.WithdrawalLocked.selector, unlockBlock, unlockTime));
        vault.completeWithdrawal(id);
        judge.judge(alice.account, _signed(renewed, 2, "one"), _signed(renewed, 2, "two"));
        vm.assertEq(vault.frozenSince(alice.account), vm.getBlockNumber());
        // Both of its keys are convicted, so this was the last one.
        _rollTo(_begin() + REACH);
        vault.completeWithdrawal(id);
    }

    // Deciders that cannot be trusted

    function test_aDeciderThatDecidedInAdvanceWaitsToo() public {
        Tyrant tyrant = _underTyrant();
        tyrant.say(Verdict(true, false, 10_000), false);
        _convict(alice, 1);
        vm.expectRevert(_error(IEquivocationJudge.TooEarly.selector, _begin() + LENGTH));
        judge.settle(alice.account);
        _rollTo(_begin() + LENGTH - 1);
        vm.expectRevert(_error(IEquivocationJudge.TooEarly.selector, _begin() + LENGTH));
        judge.settle(alice.account);
        _rollTo(_begin() + LENGTH);
        judge.settle(alice.account);
        vm.assertEq(vault.weightOf(alice.account), 0);
        // It reaches nobody who was not convicted.
        vm.expectRevert(IEquivocationJudge.NoTerm.selector);
        judge.settle(bob.account);
    }

    function test_noDeciderTakesMoreThanAll() public {
        Tyrant tyrant = _underTyrant();
        tyrant.say(Verdict(true, false, 10_001), false);
        _convict(alice, 1);
        _rollTo(_begin() + LENGTH);
        vm.expectRevert(IWeightSource.TooMuch.selector);
        judge.settle(alice.account);
        _rollTo(_begin() + REACH);
        judge.settle(alice.account);
        vm.assertEq(vault.weightOf(alice.account), STAKE);
    }

    function test_aDeciderThatFailsHoldsNoStakeBack() public {
        Tyrant tyrant = _underTyrant();
        tyrant.say(Verdict(false, false, 0), true);
        _convict(alice, 1);
        uint256 id = vault.queueWithdrawal(alice.account, STAKE);
        _rollTo(_begin() + REACH);
        vm.expectRevert();
        judge.settle(alice.account);
        vault.completeWithdrawal(id);
        vm.assertEq(vault.weightOf(alice.account), 0);
    }

    /// @dev As in the fixture, with a decider that is not to be trusted.
    function _underTyrant() private returns (Tyrant tyrant) {
        _goTo(0, 0);
        tyrant = new Tyrant();
        vault = new StakeVault(epochs, _afterNext(), REACH, REACH * BLOCK_SECONDS);
        registry = new StakeRegistry(epochs, vault, MINIMUM, tyrant, directory);
        judge = registry.judge();
        _enter(alice);
        _enter(bob);
        _goTo(1, 0);
    }

    function _begin() private view returns (uint64) {
        (Term memory term, ) = judge.termOf(alice.account);
        return term.openedAt;
    }

    function _expectStillJailed() private {
        vm.assertTrue(registry.jailed(alice.account));
        Operator memory renewed = _withKey(alice, 9);
        bytes memory proof = _keyProof(renewed);
        vm.expectRevert(IStakeRegistry.Jailed.selector);
        vm.prank(alice.account);
        registry.registerOperator(renewed.signingKey, proof);
    }
}
