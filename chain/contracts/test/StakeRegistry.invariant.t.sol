// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {StakeRegistry} from "../src/StakeRegistry.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {EpochManager} from "../src/EpochManager.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice Does what operators and delegators can do, in any order and at any time.
contract Actor is Fixture {
    uint256 internal constant OPERATORS = 5;
    uint256 internal constant DEPOSIT_LIMIT = 1 ether;

    StakeVault public vault;
    Operator[] internal ops;
    uint256 public queued;

    /// @dev Weights of the newest epoch that had begun when last looked at; they must never change again.
    uint32 public frozenEpoch;
    uint256[OPERATORS] internal _frozenWeights;
    uint256 internal _frozenTotal;

    receive() external payable {}

    constructor() payable {
        vm.roll(GENESIS);
        epochs = new EpochManager(LENGTH, GRACE);
        vault = new StakeVault(epochs, 30);
        registry = new StakeRegistry(epochs, vault, DEPOSIT_LIMIT / 10);
        vault.setRegistry(registry);
        Operator[] memory made = _operators(OPERATORS);
        for (uint256 i; i < OPERATORS; ++i) {
            ops.push(made[i]);
        }
    }

    function setUp() public override {}

    function pass(uint8 blocks) external {
        vm.roll(vm.getBlockNumber() + 1 + (blocks % (2 * LENGTH)));
        _freeze();
    }

    function join(uint8 who) external {
        Operator memory op = ops[who % OPERATORS];
        if (!registry.operatorRegistered(op.account)) _register(op);
    }

    function exit(uint8 who) external {
        Operator memory op = ops[who % OPERATORS];
        if (!registry.operatorRegistered(op.account)) return;
        vm.prank(op.account);
        registry.deregisterOperator();
    }

    function deposit(uint8 who, uint256 amount) external {
        vault.deposit{value: _bound(amount, 1, DEPOSIT_LIMIT)}(ops[who % OPERATORS].account);
    }

    function withdraw(uint8 who, uint256 amount) external {
        address operator = ops[who % OPERATORS].account;
        uint256 staked = vault.delegation(address(this), operator);
        if (staked == 0) return;
        amount = _bound(amount, 1, staked);
        vault.queueWithdrawal(operator, amount);
        queued += amount;
    }

    function complete(uint256 id) external {
        uint256 count = vault.withdrawalCount();
        if (count == 0) return;
        id = _bound(id, 1, count);
        StakeVault.Withdrawal memory withdrawal = vault.getWithdrawal(id);
        if (withdrawal.amount == 0 || withdrawal.unlockBlock > vm.getBlockNumber()) return;
        vault.completeWithdrawal(id);
        queued -= withdrawal.amount;
    }

    function refresh(uint8 who) external {
        _refresh(ops[who % OPERATORS]);
    }

    function _freeze() private {
        frozenEpoch = epochs.getCurrentEpoch();
        for (uint256 i; i < OPERATORS; ++i) {
            _frozenWeights[i] = registry.getOperatorWeightAtEpoch(ops[i].account, frozenEpoch);
        }
        _frozenTotal = registry.getTotalWeightAtEpoch(frozenEpoch);
    }

    function sumAt(uint32 epoch) external view returns (uint256 sum) {
        for (uint256 i; i < OPERATORS; ++i) {
            sum += registry.getOperatorWeightAtEpoch(ops[i].account, epoch);
        }
    }

    function totalAt(uint32 epoch) external view returns (uint256) {
        return registry.getTotalWeightAtEpoch(epoch);
    }

    function currentEpoch() external view returns (uint32) {
        return epochs.getCurrentEpoch();
    }

    function assertFrozen() external view {
        for (uint256 i; i < OPERATORS; ++i) {
            vm.assertEq(registry.getOperatorWeightAtEpoch(ops[i].account, frozenEpoch), _frozenWeights[i]);
        }
        vm.assertEq(registry.getTotalWeightAtEpoch(frozenEpoch), _frozenTotal);
    }

    function assertVaultIsSolvent() external view {
        uint256 staked;
        for (uint256 i; i < OPERATORS; ++i) {
            staked += vault.weightOf(ops[i].account);
        }
        vm.assertEq(address(vault).balance, staked + queued);
    }

    /// @dev Nobody's weight in a begun epoch is more than what is staked or still locked.
    function assertWeightIsBacked() external view {
        vm.assertTrue(registry.getTotalWeightAtEpoch(epochs.getCurrentEpoch()) <= address(vault).balance);
    }
}

contract StakeRegistryInvariantTest is Fixture {
    Actor internal actor;

    function setUp() public override {
        actor = new Actor{value: 1_000_000 ether}();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actor);
    }

    function invariant_weightsSumUpToTheTotalInEveryEpoch() external view {
        uint32 last = actor.currentEpoch() + 3;
        for (uint32 epoch = last > 20 ? last - 20 : 0; epoch <= last; ++epoch) {
            vm.assertEq(actor.sumAt(epoch), actor.totalAt(epoch));
        }
    }

    function invariant_begunEpochsNeverChange() external view {
        actor.assertFrozen();
    }

    function invariant_vaultHoldsWhatItOwes() external view {
        actor.assertVaultIsSolvent();
    }

    function invariant_weightThatSignsIsBacked() external view {
        actor.assertWeightIsBacked();
    }
}
