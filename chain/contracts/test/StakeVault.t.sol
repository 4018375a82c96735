// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import {EpochManager} from "../src/EpochManager.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {IWeightSource} from "../src/IWeightSource.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {Fixture} from "./support/Fixture.sol";

contract StakeVaultTest is Fixture {
    uint64 internal constant REACH_SECONDS = REACH * BLOCK_SECONDS;

    StakeVault internal vault;
    Operator internal op;
    address internal delegator = address(0xde1e6a70);

    receive() external payable {}

    function setUp() public override {
        super.setUp();
        vault = new StakeVault(epochs, _afterNext(), REACH, REACH_SECONDS);
        registry = new StakeRegistry(epochs, vault, MINIMUM, decider, directory);
        op = _operator(1);
        vm.deal(delegator, 100 ether);
    }

    function test_depositBeforeRegistration() public {
        vault.deposit{value: 3 ether}(op.account);
        _register(op);
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, 1), 3 ether);
    }

    function test_depositAfterRegistration() public {
        vault.deposit{value: 3 ether}(op.account);
        _register(op);
        vm.expectEmit(address(vault));
        emit StakeVault.Deposited(delegator, op.account, 2 ether);
        vm.prank(delegator);
        vault.deposit{value: 2 ether}(op.account);

        vm.assertEq(vault.weightOf(op.account), 5 ether);
        vm.assertEq(vault.delegation(address(this), op.account), 3 ether);
        vm.assertEq(vault.delegation(delegator, op.account), 2 ether);
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, 0), 0);
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, 1), 5 ether);
        vm.assertEq(address(vault).balance, 5 ether);
    }

    function test_withdraws() public {
        vault.deposit{value: 3 ether}(op.account);
        _register(op);
        _goTo(4, 0);
        uint64 unlockBlock = GENESIS + 4 * LENGTH + REACH;
        uint64 unlockTime = _timeOf(unlockBlock);
        vm.expectEmit(address(vault));
        emit StakeVault.WithdrawalQueued(1, address(this), op.account, 1 ether, unlockBlock, unlockTime);
        uint256 id = vault.queueWithdrawal(op.account, 1 ether);
        vm.assertEq(id, 1);
        vm.assertEq(vault.withdrawalCount(), 1);
        vm.assertEq(vault.getWithdrawal(id).amount, 1 ether);

        vm.assertEq(vault.weightOf(op.account), 2 ether);
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, 4), 3 ether);
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, 5), 2 ether);

        uint256 balance = address(this).balance;
        _rollTo(unlockBlock);
        vm.expectEmit(address(vault));
        emit StakeVault.WithdrawalCompleted(id, address(this), 1 ether);
        vault.completeWithdrawal(id);
        vm.assertEq(address(this).balance, balance + 1 ether);
        vm.assertEq(address(vault).balance, 2 ether);
        vm.assertEq(vault.getWithdrawal(id).amount, 0);
    }

    function test_bothBlockAndTimeMustHaveCome() public {
        vault.deposit{value: 3 ether}(op.account);
        _goTo(4, LENGTH - 1);
        uint256 id = vault.queueWithdrawal(op.account, 1 ether);
        uint64 unlockBlock = uint64(vm.getBlockNumber()) + REACH;
        uint64 unlockTime = _timeOf(unlockBlock);
        bytes memory reason = abi.encodeWithSelector(
            StakeVault.WithdrawalLocked.selector,
            unlockBlock,
            unlockTime
        );
        // One block too early, though the time has long come.
        vm.roll(unlockBlock - 1);
        vm.warp(unlockTime + 1_000_000);
        vm.expectRevert(reason);
        vault.completeWithdrawal(id);
        // One second too early, though the block has long come.
        vm.roll(unlockBlock + 1_000_000);
        vm.warp(unlockTime - 1);
        vm.expectRevert(reason);
        vault.completeWithdrawal(id);
        vm.roll(unlockBlock);
        vm.warp(unlockTime);
        vault.completeWithdrawal(id);
    }

    function test_paysOnce() public {
        vault.deposit{value: 3 ether}(op.account);
        uint256 id = vault.queueWithdrawal(op.account, 1 ether);
        _goTo(4, 0);
        vault.completeWithdrawal(id);
        vm.expectRevert(StakeVault.UnknownWithdrawal.selector);
        vault.completeWithdrawal(id);
    }

    function test_paysTheDepositorOnly() public {
        vault.deposit{value: 3 ether}(op.account);
        uint256 id = vault.queueWithdrawal(op.account, 1 ether);
        _goTo(4, 0);
        vm.startPrank(delegator);
        vm.expectRevert(StakeVault.UnknownWithdrawal.selector);
        vault.completeWithdrawal(id);
        vm.expectRevert(StakeVault.UnknownWithdrawal.selector);
        vault.completeWithdrawal(id + 1);
        vm.expectRevert(StakeVault.InsufficientStake.selector);
        vault.queueWithdrawal(op.account, 1);
        vm.stopPrank();
    }

    function test_refusesMoreThanWasStaked() public {
        vault.deposit{value: 3 ether}(op.account);
        vm.expectRevert(StakeVault.InsufficientStake.selector);
        vault.queueWithdrawal(op.account, 3 ether + 1);
        vm.expectRevert(StakeVault.InsufficientStake.selector);
        vault.queueWithdrawal(_operator(2).account, 1);
        vault.queueWithdrawal(op.account, 2 ether);
        vm.expectRevert(StakeVault.InsufficientStake.selector);
        vault.queueWithdrawal(op.account, 1 ether + 1);
    }

    function test_refusesZeros() public {
        vm.expectRevert(StakeVault.ZeroAmount.selector);
        vault.deposit(op.account);
        vm.expectRevert(StakeVault.ZeroOperator.selector);
        vault.deposit{value: 1}(address(0));
        vm.expectRevert(StakeVault.ZeroAmount.selector);
        vault.queueWithdrawal(op.account, 0);
    }

    function test_receiversCannotReenter() public {
        Reentrant thief = new Reentrant{value: 2 ether}(vault, op.account);
        vault.deposit{value: 10 ether}(op.account);
        thief.queue();
        _goTo(4, 0);
        thief.complete();
        vm.assertEq(address(thief).balance, 1 ether);
        vm.assertEq(thief.refused(), 3);
    }

    // Wiring

    function test_whatItPromises() public view {
        vm.assertEq(vault.registry(), address(registry));
        vm.assertEq(vault.withdrawalBlocks(), REACH);
        vm.assertEq(vault.withdrawalSeconds(), REACH_SECONDS);
        vm.assertEq(vault.freezeBlocks(), REACH);
        // Weights never lapse: the registry is told of every change.
        vm.assertEq(vault.freshEpochs(), 0);
    }

    function test_refusesDelaysThatAreTooShort() public {
        uint64 least = 2 * (LENGTH + GRACE);
        vm.expectRevert(StakeVault.InvalidVault.selector);
        new StakeVault(epochs, address(registry), least - 1, REACH_SECONDS);
        vm.expectRevert(StakeVault.InvalidVault.selector);
        new StakeVault(epochs, address(registry), 0, REACH_SECONDS);
        vm.expectRevert(StakeVault.InvalidVault.selector);
        new StakeVault(epochs, address(registry), least, 0);
        vm.expectRevert(StakeVault.InvalidVault.selector);
        new StakeVault(epochs, address(0), least, 1);
        new StakeVault(epochs, address(registry), least, 1);
    }

    function test_theRegistryRefusesAVaultOfAnotherOne() public {
        StakeVault other = new StakeVault(epochs, address(0xbad), REACH, REACH_SECONDS);
        vm.expectRevert(IStakeRegistry.WrongSource.selector);
        new StakeRegistry(epochs, other, MINIMUM, decider, directory);
        // Also where there is a registry already: its judge could not freeze for two.
        vm.expectRevert(IStakeRegistry.WrongSource.selector);
        new StakeRegistry(epochs, vault, MINIMUM, decider, directory);
    }

    /// @dev By the registry's own schedule, whatever the vault was told.
    function test_theRegistryRefusesADelayThatIsTooShortForIt() public {
        EpochManager shorter = new EpochManager(LENGTH / 2, GRACE);
        uint64 least = 2 * (LENGTH / 2 + GRACE);
        StakeVault other = new StakeVault(shorter, _afterNext(), least, REACH_SECONDS);
        vm.expectRevert(IStakeRegistry.DelayTooShort.selector);
        new StakeRegistry(epochs, other, MINIMUM, decider, directory);
    }

    /// @dev Before its registry is there, it takes nothing.
    function test_withoutRegistryItTakesNothing() public {
        StakeVault early = new StakeVault(epochs, address(0xbad), REACH, REACH_SECONDS);
        vm.expectRevert();
        early.deposit{value: 1}(op.account);
        vm.expectRevert();
        early.freeze(op.account);
        vm.assertEq(address(early).balance, 0);
    }

    // Freezes

    function test_onlyTheJudgeFreezes() public {
        address[3] memory others = [address(this), address(registry), op.account];
        for (uint256 i; i < 3; ++i) {
            vm.startPrank(others[i]);
            vm.expectRevert(IWeightSource.NotJudge.selector);
            vault.freeze(op.account);
            vm.expectRevert(IWeightSource.NotJudge.selector);
            vault.unfreeze(op.account, 0);
            vm.stopPrank();
        }
        vm.prank(address(registry.judge()));
        vault.freeze(op.account);
    }

    function test_whatIsNotFrozenIsNotCut() public {
        vm.startPrank(address(registry.judge()));
        vm.expectRevert(IWeightSource.NotFrozen.selector);
        vault.unfreeze(op.account, 1);
        vault.freeze(op.account);
        vm.expectRevert(IWeightSource.TooMuch.selector);
        vault.unfreeze(op.account, 10_001);
        vault.unfreeze(op.account, 10_000);
        vm.expectRevert(IWeightSource.NotFrozen.selector);
        vault.unfreeze(op.account, 1);
        vm.stopPrank();
    }

    function test_freezingAgainChangesNothingUntilItIsOver() public {
        vm.startPrank(address(registry.judge()));
        uint64 since = uint64(vm.getBlockNumber());
        vault.freeze(op.account);
        _rollTo(since + REACH - 1);
        vault.freeze(op.account);
        vm.assertEq(vault.frozenSince(op.account), since);
        _rollTo(since + REACH);
        vm.assertEq(vault.frozenSince(op.account), 0);
        vault.freeze(op.account);
        vm.assertEq(vault.frozenSince(op.account), since + REACH);
        vm.stopPrank();
    }

    function test_aFreezeThatIsOverCutsNothing() public {
        vault.deposit{value: 3 ether}(op.account);
        vm.startPrank(address(registry.judge()));
        vault.freeze(op.account);
        _rollTo(uint64(vm.getBlockNumber()) + REACH);
        vm.expectEmit(address(vault));
        emit StakeVault.Unfrozen(op.account, 0, 3 ether);
        vault.unfreeze(op.account, 10_000);
        vm.stopPrank();
        vm.assertEq(vault.delegation(address(this), op.account), 3 ether);
    }
}

/// @notice Tries to enter the vault again while being paid.
contract Reentrant {
    StakeVault private immutable _vault;
    address private immutable _operator;
    uint256 public refused;

    constructor(StakeVault vault, address operator) payable {
        (_vault, _operator) = (vault, operator);
        vault.deposit{value: msg.value}(operator);
    }

    receive() external payable {
        _try(abi.encodeCall(_vault.completeWithdrawal, (1)), 0);
        _try(abi.encodeCall(_vault.queueWithdrawal, (_operator, 1)), 0);
        _try(abi.encodeCall(_vault.deposit, (_operator)), 1);
    }

    function queue() external {
        _vault.queueWithdrawal(_operator, 1 ether);
    }

    function complete() external {
        _vault.completeWithdrawal(1);
    }

    function _try(bytes memory data, uint256 value) private {
        (bool success, bytes memory reason) = address(_vault).call{value: value}(data);
        if (!success && bytes4(reason) == ReentrancyGuard.ReentrancyGuardReentrantCall.selector) ++refused;
    }
}
