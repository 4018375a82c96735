// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SignedAttestation} from "../src/Attestations.sol";
import {Term} from "../src/IEquivocationJudge.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {JudgeFixture} from "./support/JudgeFixture.sol";

/// @notice Depositors, operators, reporters and the decider, in any order and at any time.
contract Crowd is JudgeFixture {
    uint256 internal constant DEPOSITORS = 4;
    uint256 internal constant OPERATORS = 3;

    Operator[] internal _ops;
    uint256 internal _keys;
    uint256 public paid;
    uint256 public received;
    /// @dev Cuts so far, so that a test can tell whether there were any.
    uint256 public cuts;

    constructor() payable {
        super.setUp();
        _ops.push(alice);
        _ops.push(bob);
        _ops.push(carol);
        received = OPERATORS * STAKE;
    }

    function setUp() public override {}

    receive() external payable {}

    function pass(uint8 blocks, uint16 secs) external {
        vm.roll(vm.getBlockNumber() + 1 + blocks);
        vm.warp(block.timestamp + secs);
    }

    function deposit(uint8 depositor, uint8 who, uint64 amount) external {
        address operator = _ops[who % OPERATORS].account;
        if (vault.frozenSince(operator) != 0) return;
        // Small ones too, for what is lost by rounding.
        uint256 value = amount % 3 == 0 ? uint256(amount % 100) + 1 : uint256(amount) + 1;
        vm.deal(_depositor(depositor), value);
        vm.prank(_depositor(depositor));
        vault.deposit{value: value}(operator);
        received += value;
    }

    function withdraw(uint8 depositor, uint8 who, uint256 amount) external {
        address operator = _ops[who % OPERATORS].account;
        uint256 staked = vault.delegation(_depositor(depositor), operator);
        if (staked == 0) return;
        vm.prank(_depositor(depositor));
        vault.queueWithdrawal(operator, amount % 2 == 0 ? staked : _bound(amount, 1, staked));
    }

    function complete(uint256 id) external {
        uint256 count = vault.withdrawalCount();
        if (count == 0) return;
        id = _bound(id, 1, count);
        StakeVault.Withdrawal memory withdrawal = vault.getWithdrawal(id);
        bool isOpen = vm.getBlockNumber() >= withdrawal.unlockBlock && block.timestamp >= withdrawal.unlockTime;
        if (withdrawal.depositor == address(0) || !isOpen) return;
        vm.prank(withdrawal.depositor);
        try vault.completeWithdrawal(id) {
            paid += withdrawal.amount;
        } catch (bytes memory reason) {
            vm.assertEq(bytes4(reason), StakeVault.OperatorFrozen.selector);
        }
    }

    /// @dev With whatever key the operator has now.
    function convict(uint8 who) external {
        Operator memory op = _ops[who % OPERATORS];
        uint32 epoch = epochs.getCurrentEpoch();
        if (registry.getOperatorSigningKeyAtEpoch(op.account, epoch) != op.signingKey) return;
        if (registry.getOperatorWeightAtEpoch(op.account, epoch) == 0 || registry.convicted(op.signingKey)) return;
        judge.judge(op.account, _signed(op, epoch, "one"), _signed(op, epoch, "two"));
    }

    /// @dev Mostly for a share, at times for all or nothing.
    function decide(uint8 who, uint16 bips) external {
        address operator = _ops[who % OPERATORS].account;
        (Term memory term, bool isOpen) = judge.termOf(operator);
        if (!isOpen) return;
        try decider.decide(judge, operator, term.number, bips % 10_001, true) {} catch {}
    }

    function settle(uint8 who) external {
        address operator = _ops[who % OPERATORS].account;
        uint256 before = vault.weightOf(operator);
        try judge.settle(operator) {} catch {}
        if (vault.weightOf(operator) < before) ++cuts;
    }

    function join(uint8 who) external {
        Operator storage op = _ops[who % OPERATORS];
        if (registry.jailed(op.account) || registry.operatorRegistered(op.account)) return;
        if (vault.weightOf(op.account) < MINIMUM) return;
        Operator memory renewed = _withKey(op, ++_keys);
        _register(renewed);
        (op.secret, op.signingKey) = (renewed.secret, renewed.signingKey);
    }

    /// @dev What is staked to an operator by all together, which is never more than it weighs.
    function stakedTo(uint256 who) public view returns (uint256 sum) {
        address operator = _ops[who].account;
        sum = vault.delegation(address(this), operator);
        for (uint256 i; i < DEPOSITORS; ++i) {
            sum += vault.delegation(_depositor(i), operator);
        }
    }

    function assertNothingIsOwedTwice() external view {
        uint256 owed;
        for (uint256 i; i < OPERATORS; ++i) {
            uint256 weight = vault.weightOf(_ops[i].account);
            vm.assertTrue(stakedTo(i) <= weight);
            owed += weight;
        }
        for (uint256 id = 1; id <= vault.withdrawalCount(); ++id) {
            owed += vault.getWithdrawal(id).amount;
        }
        vm.assertTrue(owed <= address(vault).balance);
        vm.assertEq(address(vault).balance + paid, received);
    }

    /// @dev Whoever is frozen is in no newest set, so a cut need not be told to the registry.
    function assertTheFrozenAreOut() external view {
        uint32 epoch = epochs.getEffectiveEpochForBlock(uint64(vm.getBlockNumber()));
        for (uint256 i; i < OPERATORS; ++i) {
            address operator = _ops[i].account;
            (, bool isOpen) = judge.termOf(operator);
            vm.assertTrue(isOpen == (vault.frozenSince(operator) != 0));
            uint256 weight = registry.getOperatorWeightAtEpoch(operator, epoch);
            if (isOpen) vm.assertTrue(registry.jailed(operator));
            if (registry.jailed(operator)) vm.assertEq(weight, 0);
            vm.assertTrue(weight <= vault.weightOf(operator));
        }
    }

    function _depositor(uint256 number) private pure returns (address) {
        return address(uint160(0xde1e6a70 + (number % DEPOSITORS)));
    }
}

contract StakeVaultInvariantTest is JudgeFixture {
    Crowd internal crowd;

    function setUp() public override {
        crowd = new Crowd{value: 1_000 ether}();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(crowd);
    }

    function invariant_nothingIsOwedTwice() external view {
        crowd.assertNothingIsOwedTwice();
    }

    function invariant_theFrozenAreOut() external view {
        crowd.assertTheFrozenAreOut();
    }

    /// @dev The paths that matter can be taken.
    function test_theCrowdGetsThere() external {
        crowd.deposit(0, 0, 1_000_000);
        crowd.convict(0);
        crowd.withdraw(0, 0, 3);
        crowd.decide(0, 3_333);
        crowd.pass(uint8(LENGTH), 1_200);
        crowd.settle(0);
        vm.assertEq(crowd.cuts(), 1);
        crowd.join(0);
        crowd.pass(uint8(LENGTH), 1_200);
        crowd.convict(0);
        crowd.decide(0, 10_000);
        crowd.pass(uint8(LENGTH), 1_200);
        crowd.settle(0);
        vm.assertEq(crowd.cuts(), 2);
        for (uint256 i; i < 3; ++i) crowd.pass(200, 2_400);
        crowd.complete(1);
        vm.assertEq(crowd.paid(), 0);
        crowd.assertNothingIsOwedTwice();
        crowd.assertTheFrozenAreOut();
    }
}

/// @notice Sums of shares, cut and paid out in any order.
contract StakeVaultRoundingTest is JudgeFixture {
    receive() external payable {}

    /// @dev Whatever is cut, and however often, the vault can pay all that it owes, and then it owes nothing.
    function testFuzz_allCanBePaid(uint64[5] calldata stakes, uint16[3] calldata bips, uint8 queued) public {
        uint256 received = STAKE;
        for (uint256 i; i < 5; ++i) {
            // Wei by wei, where rounding matters most.
            uint256 value = i < 2 ? uint256(stakes[i] % 10) + 1 : uint256(stakes[i]) + 1;
            vm.deal(_depositor(i), value);
            vm.prank(_depositor(i));
            vault.deposit{value: value}(alice.account);
            received += value;
        }
        Operator memory op = alice;
        for (uint64 round; round < 3; ++round) {
            uint32 epoch = epochs.getCurrentEpoch();
            judge.judge(op.account, _signed(op, epoch, "one"), _signed(op, epoch, "two"));
            if ((queued >> round) & 1 == 1) _queueHalf(_depositor(round));
            // Not all of it: who weighs nothing is convicted of nothing more.
            _settle(op, uint16(_bound(bips[round], 0, 9_000)), true);
            if ((queued >> (round + 3)) & 1 == 1) _queueHalf(_depositor(round + 1));
            op = _withKey(alice, round);
            _register(op);
            _goTo(epochs.getEffectiveEpochForBlock(uint64(vm.getBlockNumber())), 0);
        }
        _payAll(received);
    }

    function _payAll(uint256 received) private {
        for (uint256 i; i < 5; ++i) {
            _queue(_depositor(i), vault.delegation(_depositor(i), alice.account));
        }
        _queue(address(this), vault.delegation(address(this), alice.account));
        uint256 dust = vault.weightOf(alice.account);
        vm.assertTrue(dust <= 6 * 3);
        _goTo(epochs.getCurrentEpoch() + 10, 0);
        for (uint256 id = 1; id <= vault.withdrawalCount(); ++id) {
            received -= vault.getWithdrawal(id).amount;
            vm.prank(vault.getWithdrawal(id).depositor);
            vault.completeWithdrawal(id);
        }
        vm.assertEq(address(vault).balance, received + 2 * STAKE);
    }

    function _queueHalf(address depositor) private {
        _queue(depositor, vault.delegation(depositor, alice.account) / 2);
    }

    function _queue(address depositor, uint256 amount) private {
        if (amount == 0) return;
        vm.prank(depositor);
        vault.queueWithdrawal(alice.account, amount);
    }

    function _depositor(uint256 number) private pure returns (address) {
        return address(uint160(0xde1e6a70 + number));
    }
}
