// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import {EpochManager} from "../src/EpochManager.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {Fixture} from "./support/Fixture.sol";

contract StakeVaultTest is Fixture {
    uint64 internal constant DELAY = 50;

    StakeVault internal vault;
    Operator internal op;
    address internal delegator = address(0xde1e6a70);

    receive() external payable {}

    function setUp() public override {
        vm.roll(GENESIS);
        epochs = new EpochManager(LENGTH, GRACE);
        vault = new StakeVault(epochs, DELAY);
        registry = new StakeRegistry(epochs, vault, MINIMUM);
        vault.setRegistry(registry);
        op = _operator(1);
        vm.deal(delegator, 100 ether);
    }

    function test_depositBeforeRegistration() public {
        vault.deposit{value: 3 ether}(op.account);
        _register(op);
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, 1), 3 ether);
    }

    function test_depositAfterRegistration() public {
        _register(op);
        vm.expectEmit(address(vault));
        emit StakeVault.Deposited(address(this), op.account, 3 ether);
        vault.deposit{value: 3 ether}(op.account);
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
        _register(op);
        vault.deposit{value: 3 ether}(op.account);
        _goTo(4, 0);
        uint64 unlockBlock = GENESIS + 5 * LENGTH + GRACE;
        vm.expectEmit(address(vault));
        emit StakeVault.WithdrawalQueued(1, address(this), op.account, 1 ether, unlockBlock);
        uint256 id = vault.queueWithdrawal(op.account, 1 ether);
        vm.assertEq(id, 1);
        vm.assertEq(vault.withdrawalCount(), 1);
        vm.assertEq(vault.getWithdrawal(id).amount, 1 ether);

        vm.assertEq(vault.weightOf(op.account), 2 ether);
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, 4), 3 ether);
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, 5), 2 ether);

        uint256 balance = address(this).balance;
        vm.roll(unlockBlock);
        vm.expectEmit(address(vault));
        emit StakeVault.WithdrawalCompleted(id, address(this), 1 ether);
        vault.completeWithdrawal(id);
        vm.assertEq(address(this).balance, balance + 1 ether);
        vm.assertEq(address(vault).balance, 2 ether);
        vm.assertEq(vault.getWithdrawal(id).amount, 0);
    }

    function test_stakeStaysUntilItsWeightStopsSigning() public {
        vault.deposit{value: 3 ether}(op.account);
        // In the grace period: effective two epochs on, and the delay has long passed by then.
        _goTo(4, LENGTH - GRACE);
        uint256 id = vault.queueWithdrawal(op.account, 1 ether);
        uint64 unlockBlock = GENESIS + 6 * LENGTH + GRACE;
        vm.roll(unlockBlock - 1);
        vm.expectRevert(abi.encodeWithSelector(StakeVault.WithdrawalLocked.selector, unlockBlock));
        vault.completeWithdrawal(id);
        vm.roll(unlockBlock);
        vault.completeWithdrawal(id);
    }

    function test_aLongDelayCounts() public {
        StakeVault slow = new StakeVault(epochs, 10 * LENGTH);
        slow.setRegistry(new StakeRegistry(epochs, slow, MINIMUM));
        slow.deposit{value: 1 ether}(op.account);
        uint256 id = slow.queueWithdrawal(op.account, 1 ether);
        _goTo(9, LENGTH - 1);
        vm.expectRevert(abi.encodeWithSelector(StakeVault.WithdrawalLocked.selector, GENESIS + 10 * LENGTH));
        slow.completeWithdrawal(id);
        _goTo(10, 0);
        slow.completeWithdrawal(id);
    }

    function test_paysOnce() public {
        vault.deposit{value: 3 ether}(op.account);
        uint256 id = vault.queueWithdrawal(op.account, 1 ether);
        _goTo(3, 0);
        vault.completeWithdrawal(id);
        vm.expectRevert(StakeVault.UnknownWithdrawal.selector);
        vault.completeWithdrawal(id);
    }

    function test_paysTheDepositorOnly() public {
        vault.deposit{value: 3 ether}(op.account);
        uint256 id = vault.queueWithdrawal(op.account, 1 ether);
        _goTo(3, 0);
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

    function test_registryIsSetOnceByTheDeployer() public {
        vm.expectRevert(StakeVault.RegistryAlreadySet.selector);
        vault.setRegistry(registry);

        StakeVault fresh = new StakeVault(epochs, DELAY);
        vm.expectRevert(StakeVault.RegistryNotSet.selector);
        fresh.deposit{value: 1}(op.account);
        vm.expectRevert(StakeVault.WrongRegistry.selector);
        fresh.setRegistry(registry);
        IStakeRegistry otherSchedule = new StakeRegistry(new EpochManager(7, 0), fresh, 0);
        vm.expectRevert(StakeVault.WrongRegistry.selector);
        fresh.setRegistry(otherSchedule);
        IStakeRegistry right = new StakeRegistry(epochs, fresh, 0);
        vm.expectRevert(StakeVault.NotDeployer.selector);
        vm.prank(delegator);
        fresh.setRegistry(right);
        vm.expectEmit(address(fresh));
        emit StakeVault.RegistrySet(address(right));
        fresh.setRegistry(right);
    }

    function test_receiversCannotReenter() public {
        Reentrant thief = new Reentrant{value: 2 ether}(vault, op.account);
        vault.deposit{value: 10 ether}(op.account);
        thief.queue();
        _goTo(3, 0);
        thief.complete();
        vm.assertEq(address(thief).balance, 1 ether);
        vm.assertEq(thief.refused(), 3);
    }

    /// @dev The vault owes what is staked and what is queued, never more than it has.
    function testFuzz_balanceCoversWhatIsOwed(uint64[6] calldata deposits, uint64[6] calldata withdrawals) public {
        uint256 staked;
        uint256 queued;
        for (uint256 i; i < 6; ++i) {
            uint256 amount = uint256(deposits[i]) + 1;
            vault.deposit{value: amount}(op.account);
            staked += amount;
            uint256 out = _bound(withdrawals[i], 1, staked);
            vault.queueWithdrawal(op.account, out);
            (staked, queued) = (staked - out, queued + out);
            vm.assertEq(vault.weightOf(op.account), staked);
            vm.assertEq(address(vault).balance, staked + queued);
        }
        _goTo(5, 0);
        for (uint256 id = 1; id <= 6; ++id) {
            vault.completeWithdrawal(id);
        }
        vm.assertEq(address(vault).balance, staked);
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
