// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {StakeRegistry} from "../../src/StakeRegistry.sol";
import {StakeVault} from "../../src/StakeVault.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

/// @notice Does what operators, the judge and anybody can do at a registry, in any order and at any time.
abstract contract Actor is RegistryFixture {
    uint256 internal constant OPERATORS = 5;
    uint256 internal constant LOOK_BACK = 20;

    Operator[] internal ops;
    uint256 private _keys;

    /// @dev Weights of the newest fixed epoch when last looked at; they must never change again.
    uint32 private _fixedEpoch;
    uint256[OPERATORS] private _fixedWeights;
    uint256 private _fixedTotal;

    constructor() {
        Operator[] memory made = _operators(OPERATORS);
        for (uint256 i; i < OPERATORS; ++i) {
            ops.push(made[i]);
        }
    }

    function setUp() public override {}

    /// @dev Blocks come slower or faster than they should.
    function pass(uint8 blocks, uint16 time) external {
        vm.roll(block.number + 1 + (blocks % (2 * LENGTH)));
        vm.warp(block.timestamp + 1 + (time % (4 * LENGTH * BLOCK_SECONDS)));
        _remember();
    }

    function join(uint8 who) external {
        Operator memory op = ops[who % OPERATORS];
        if (registry.operatorRegistered(op.account) || registry.jailed(op.account)) return;
        if (registry.weightSource().weightOf(op.account) < registry.minimumWeight()) return;
        if (registry.convicted(op.signingKey)) _newKey(who % OPERATORS);
        _register(ops[who % OPERATORS]);
    }

    function exit(uint8 who) external {
        Operator memory op = ops[who % OPERATORS];
        if (registry.operatorRegistered(op.account)) _deregister(op);
    }

    function rotate(uint8 who) external {
        Operator memory op = ops[who % OPERATORS];
        if (!registry.operatorRegistered(op.account)) return;
        _newKey(who % OPERATORS);
        _rotate(op, ops[who % OPERATORS].secret);
    }

    function convict(uint8 who) external {
        if (who % 4 == 0) _jail(ops[(who / 4) % OPERATORS]);
    }

    function readmit(uint8 who) external {
        _release(ops[who % OPERATORS]);
    }

    function refresh(uint8 who) external {
        _refresh(ops[who % OPERATORS]);
    }

    /// @dev Those that weigh something are the whole set.
    function sealPresent() external {
        uint32 epoch = registry.newestEpoch();
        if (registry.sealedSet(epoch) != address(0) || registry.getTotalWeightAtEpoch(epoch) == 0) return;
        uint256 members;
        for (uint256 i; i < OPERATORS; ++i) {
            if (registry.getOperatorWeightAtEpoch(ops[i].account, epoch) != 0) members |= 1 << i;
        }
        registry.sealEpoch(epoch, _accounts(_chosen(ops, members)));
    }

    function assertSums() external view {
        uint32 last = registry.newestEpoch() + 4;
        for (uint256 epoch = last > LOOK_BACK ? last - LOOK_BACK : 0; epoch <= last; ++epoch) {
            uint256 sum;
            uint256 count;
            for (uint256 i; i < OPERATORS; ++i) {
                uint256 weight = registry.getOperatorWeightAtEpoch(ops[i].account, uint32(epoch));
                sum += weight;
                count += weight == 0 ? 0 : 1;
            }
            vm.assertEq(registry.getTotalWeightAtEpoch(uint32(epoch)), sum);
            vm.assertTrue(count <= OPERATORS);
        }
    }

    function assertSetsAreWhole() external view {
        _assertAllWhole();
    }

    function assertFixed() external view {
        for (uint256 i; i < OPERATORS; ++i) {
            vm.assertEq(registry.getOperatorWeightAtEpoch(ops[i].account, _fixedEpoch), _fixedWeights[i]);
        }
        vm.assertEq(registry.getTotalWeightAtEpoch(_fixedEpoch), _fixedTotal);
    }

    function _newKey(uint256 who) private {
        uint256 secret = uint256(keccak256(abi.encode("another", ++_keys)));
        (ops[who].secret, ops[who].signingKey) = (secret, vm.addr(secret));
    }

    function _remember() private {
        _fixedEpoch = epochs.getEffectiveEpochForBlock(uint64(block.number)) - 1;
        for (uint256 i; i < OPERATORS; ++i) {
            _fixedWeights[i] = registry.getOperatorWeightAtEpoch(ops[i].account, _fixedEpoch);
        }
        _fixedTotal = registry.getTotalWeightAtEpoch(_fixedEpoch);
    }
}

/// @notice With stake, which the registry is told of.
contract StakingActor is Actor {
    uint256 internal constant DEPOSIT_LIMIT = 1 ether;

    StakeVault public vault;
    uint256 public queued;

    receive() external payable {}

    constructor() payable {
        _deploy(0);
        vault = new StakeVault(epochs, _afterNext(), REACH, REACH * BLOCK_SECONDS);
        registry = new StakeRegistry(epochs, vault, DEPOSIT_LIMIT / 10, decider, directory);
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
        if (withdrawal.amount == 0 || !_isUnlocked(withdrawal)) return;
        vault.completeWithdrawal(id);
        queued -= withdrawal.amount;
    }

    /// @dev Not a block or second later than needed.
    function passToUnlock(uint256 id) external {
        uint256 count = vault.withdrawalCount();
        if (count == 0) return;
        StakeVault.Withdrawal memory withdrawal = vault.getWithdrawal(_bound(id, 1, count));
        if (withdrawal.unlockBlock > block.number) vm.roll(withdrawal.unlockBlock);
        if (withdrawal.unlockTime > block.timestamp) vm.warp(withdrawal.unlockTime);
    }

    function assertVaultIsSolvent() external view {
        uint256 staked;
        for (uint256 i; i < OPERATORS; ++i) {
            staked += vault.weightOf(ops[i].account);
        }
        vm.assertEq(address(vault).balance, staked + queued);
    }

    /// @dev In every set that can still be judged, each operator's weight is staked or locked yet.
    function assertWeightWithinReachIsBacked() external view {
        uint256[OPERATORS] memory reachable;
        for (uint256 i; i < OPERATORS; ++i) {
            reachable[i] = vault.weightOf(ops[i].account);
        }
        for (uint256 id = 1; id <= vault.withdrawalCount(); ++id) {
            StakeVault.Withdrawal memory withdrawal = vault.getWithdrawal(id);
            if (_isUnlocked(withdrawal)) continue;
            for (uint256 i; i < OPERATORS; ++i) {
                if (ops[i].account == withdrawal.operator) reachable[i] += withdrawal.amount;
            }
        }
        uint256 last = registry.newestEpoch();
        for (uint256 epoch = last > LOOK_BACK ? last - LOOK_BACK : 0; epoch <= last; ++epoch) {
            if (!registry.isWithinReach(uint32(epoch))) continue;
            for (uint256 i; i < OPERATORS; ++i) {
                uint256 weight = registry.getOperatorWeightAtEpoch(ops[i].account, uint32(epoch));
                vm.assertTrue(weight <= reachable[i]);
            }
        }
    }

    function _isUnlocked(StakeVault.Withdrawal memory withdrawal) private view returns (bool) {
        return block.number >= withdrawal.unlockBlock && block.timestamp >= withdrawal.unlockTime;
    }
}

/// @notice With weights that nobody tells of, and that count for two epochs after they were read.
contract FreshActor is Actor {
    constructor() {
        _deploy(2);
    }

    function weigh(uint8 who, uint16 weight) external {
        weights.set(ops[who % OPERATORS].account, weight % (20 * MINIMUM));
    }
}
