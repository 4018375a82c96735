// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {IEquivocationJudge} from "../src/IEquivocationJudge.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {OwnerSlashingDecider} from "../src/OwnerSlashingDecider.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {StateProof, StateProofs} from "../src/StateProofs.sol";
import {JudgeFixture} from "./support/JudgeFixture.sol";

/// @notice What becomes of a jailed operator and its stake.
contract JailTest is JudgeFixture {
    address internal delegator = address(0xde1e6a70);

    receive() external payable {}

    function setUp() public override {
        super.setUp();
        vm.deal(delegator, 10 ether);
        vm.prank(delegator);
        vault.deposit{value: 1 ether}(alice.account);
    }

    function _convict() private {
        _judge(alice, _proof(1, 7), _proof(1, 8));
    }

    function test_judgedOncePerSlot() public {
        _convict();
        bytes32 id = keccak256(abi.encodePacked(StateProofs.slot(_proof(1, 7)), alice.account));
        bytes memory reason = abi.encodeWithSelector(IEquivocationJudge.AlreadyJudged.selector, id);
        _expectRefusal(reason, alice, _proof(1, 7), _proof(1, 8));
        _expectRefusal(reason, alice, _proof(1, 9), _proof(1, 8));
        // Another operator about the same slot is another case.
        _judge(bob, _proof(1, 7), _proof(1, 8));
        vm.assertEq(judge.terms(alice.account), 1);
        vm.assertEq(judge.terms(bob.account), 1);
    }

    function test_oneTermCoversAllThatIsProvenUntilItsVerdict() public {
        _convict();
        for (uint64 i = 1; i < 4; ++i) {
            _judgeAnother(i);
        }
        vm.assertEq(judge.terms(alice.account), 1);
        decider.decide(alice.account, 1, 0, true);
        judge.settle(alice.account);
        _judgeAnother(4);
        vm.assertEq(judge.terms(alice.account), 2);
        // The old verdict says nothing about the new term.
        vm.expectRevert(IEquivocationJudge.Undecided.selector);
        judge.settle(alice.account);
    }

    /// @dev For another slot than {_convict}.
    function _judgeAnother(uint64 number) private {
        (StateProof memory first, StateProof memory second) = (_proof(1, 7), _proof(1, 8));
        (first.blockNumber, second.blockNumber) = (number, number);
        _judge(alice, first, second);
    }

    function test_aJailedOperatorStaysOut() public {
        _convict();
        (bytes memory proof, bytes memory edProof) = (_signingKeyProof(alice), _ed25519Proof(alice));
        vm.startPrank(alice.account);
        vm.expectRevert(IStakeRegistry.Jailed.selector);
        registry.registerOperator(alice.signingKey, proof, alice.ed25519Key, edProof);
        vm.expectRevert(IStakeRegistry.NotRegistered.selector);
        registry.updateSigningKey(alice.signingKey, proof);
        vm.expectRevert(IStakeRegistry.NotRegistered.selector);
        registry.deregisterOperator();
        vm.stopPrank();
        _refresh(alice);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), 0);
    }

    function test_frozenStakeStays() public {
        uint256 early = vault.queueWithdrawal(alice.account, 1 ether);
        uint64 unlockBlock = vault.getWithdrawal(early).unlockBlock;
        _goTo(2, 0);
        uint256 late = vault.queueWithdrawal(alice.account, 0.5 ether);
        vm.roll(unlockBlock);
        _convict();
        // It was unlocked, so it stood behind nothing any more.
        vault.completeWithdrawal(early);
        bytes memory reason = abi.encodeWithSelector(StakeVault.OperatorFrozen.selector, alice.account);
        vm.expectRevert(reason);
        vault.deposit{value: 1}(alice.account);
        vm.expectRevert(reason);
        vault.queueWithdrawal(alice.account, 1);
        _goTo(9, 0);
        vm.expectRevert(reason);
        vault.completeWithdrawal(late);
        vault.deposit{value: 1}(bob.account);
        vault.queueWithdrawal(bob.account, 1);
    }

    function test_releaseGivesAllBack() public {
        _convict();
        vm.expectRevert(IEquivocationJudge.Undecided.selector);
        judge.settle(alice.account);
        decider.decide(alice.account, 1, 0, true);
        vm.expectEmit(address(judge));
        emit IEquivocationJudge.TermEnded(alice.account, 1, 0, true);
        vm.expectEmit(address(vault));
        emit StakeVault.Unfrozen(alice.account, 0, 4 ether);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorReleased(alice.account);
        judge.settle(alice.account);
        vm.expectRevert(IEquivocationJudge.NoTerm.selector);
        judge.settle(alice.account);

        vm.assertEq(vault.delegation(delegator, alice.account), 1 ether);
        vm.assertEq(vault.weightOf(alice.account), 4 ether);
        _register(alice);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), 4 ether);
    }

    function test_aSlashCutsAllWhoStandBehindIt() public {
        uint256 id = vault.queueWithdrawal(alice.account, 1 ether);
        _convict();
        decider.decide(alice.account, 1, 2_500, false);
        judge.settle(alice.account);

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
    }

    function test_whatIsStakedLaterIsNotCutForIt() public {
        _convict();
        decider.decide(alice.account, 1, 10_000, true);
        judge.settle(alice.account);
        vm.assertEq(vault.weightOf(alice.account), 0);
        vm.prank(delegator);
        vault.deposit{value: 2 ether}(alice.account);
        vm.assertEq(vault.delegation(delegator, alice.account), 2 ether);
        vm.assertEq(vault.delegation(address(this), alice.account), 0);
        vm.assertEq(vault.weightOf(alice.account), 2 ether);
    }

    function test_verdictsAreTheOwnersAndFinal() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, bob.account));
        vm.prank(bob.account);
        decider.decide(alice.account, 1, 0, true);
        vm.expectRevert(OwnerSlashingDecider.TooMuch.selector);
        decider.decide(alice.account, 1, 10_001, true);
        vm.expectEmit(address(decider));
        emit OwnerSlashingDecider.Decided(alice.account, 1, 5_000, true);
        decider.decide(alice.account, 1, 5_000, true);
        vm.expectRevert(OwnerSlashingDecider.AlreadyDecided.selector);
        decider.decide(alice.account, 1, 0, true);
        // A verdict alone reaches nobody.
        vm.expectRevert(IEquivocationJudge.NoTerm.selector);
        judge.settle(alice.account);
    }

    /// @dev Whatever is cut, and however often, the vault can pay all that it owes.
    function testFuzz_theVaultStaysSolvent(uint64[5] calldata stakes, uint16[3] calldata bips) public {
        uint256 paid = 4 ether;
        for (uint256 i; i < 5; ++i) {
            address depositor = address(uint160(1000 + i));
            vm.deal(depositor, uint256(stakes[i]) + 1);
            vm.prank(depositor);
            vault.deposit{value: uint256(stakes[i]) + 1}(alice.account);
            paid += uint256(stakes[i]) + 1;
        }
        for (uint64 round; round < 3; ++round) {
            _judgeAnother(round);
            decider.decide(alice.account, round + 1, uint16(_bound(bips[round], 0, 10_000)), true);
            judge.settle(alice.account);
            address depositor = address(uint160(1000 + round));
            uint256 left = vault.delegation(depositor, alice.account);
            if (left > 1) {
                vm.prank(depositor);
                vault.queueWithdrawal(alice.account, left / 2);
            }
        }
        uint256 owed = vault.delegation(address(this), alice.account) + vault.delegation(delegator, alice.account);
        for (uint256 i; i < 5; ++i) {
            owed += vault.delegation(address(uint160(1000 + i)), alice.account);
        }
        vm.assertTrue(owed <= vault.weightOf(alice.account));
        for (uint256 id = 1; id <= vault.withdrawalCount(); ++id) {
            owed += vault.getWithdrawal(id).amount;
        }
        vm.assertTrue(owed <= paid);
        vm.assertEq(address(vault).balance, paid + 2 * STAKE);
    }
}
