// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {StakeVault} from "../src/StakeVault.sol";
import {JudgeFixture} from "./support/JudgeFixture.sol";

/// @notice Stake that counts in a set cannot be paid out while evidence about its epoch counts, however blocks and seconds
/// go by.
contract StakeReachTest is JudgeFixture {
    uint64 internal constant REACH_SECONDS = REACH * BLOCK_SECONDS;

    receive() external payable {}

    /// @dev `when` is the block in which it is asked back, `lateness` the seconds by which the chain is late there,
    /// `noteAfter` the blocks since the last set was fixed after which somebody notes that, if that is before.
    function testFuzz_paidNoSoonerThanItsLastSetAllows(uint16 when, uint32 lateness, uint8 noteAfter) public {
        uint64 queueBlock = uint64(_bound(when, GENESIS + LENGTH, GENESIS + 9 * LENGTH));
        uint32 epoch = epochs.getEffectiveEpochForBlock(queueBlock) - 1;
        uint64 fixedBlock = _fixedBlock(epoch);
        vm.assertTrue(fixedBlock <= queueBlock);
        uint64 noteBlock = fixedBlock + noteAfter;
        if (noteBlock >= fixedBlock && noteBlock <= queueBlock && noteBlock > GENESIS + LENGTH) {
            _rollTo(noteBlock);
            registry.noteEpoch();
        }
        vm.roll(queueBlock);
        vm.warp(_timeOf(queueBlock) + lateness);
        uint256 id = vault.queueWithdrawal(alice.account, STAKE);

        // That was the last set in which it counts.
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, epoch), STAKE);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, epoch + 1), 0);
        StakeVault.Withdrawal memory withdrawal = vault.getWithdrawal(id);
        vm.assertTrue(withdrawal.unlockBlock >= fixedBlock + REACH);
        vm.assertTrue(withdrawal.unlockTime >= _fixedAt(epoch) + REACH_SECONDS);
        // Whatever comes first, what is late decides.
        vm.roll(fixedBlock + REACH - 1);
        vm.warp(withdrawal.unlockTime + 1_000_000);
        _expectLocked(id, epoch);
        vm.roll(uint256(withdrawal.unlockBlock) + 1_000_000);
        vm.warp(_fixedAt(epoch) + REACH_SECONDS - 1);
        _expectLocked(id, epoch);
    }

    /// @dev At any time after it was asked back: paid out, or in reach of the judge, or neither; never both.
    function testFuzz_neverPaidWhileEvidenceCounts(
        uint8 queueAfter,
        uint16[4] calldata blocks,
        uint16[4] calldata secs,
        uint8 notes
    ) public {
        vm.roll(_fixedBlock(2) + _bound(queueAfter, 0, LENGTH - 1));
        if (notes & 1 == 1) registry.noteEpoch();
        _pass(uint256(queueAfter) % 7, secs[0]);
        uint32 epoch = epochs.getEffectiveEpochForBlock(uint64(vm.getBlockNumber())) - 1;
        uint256 id = vault.queueWithdrawal(alice.account, STAKE);
        for (uint256 i; i < 4; ++i) {
            _pass(blocks[i] % (REACH + 1), secs[i] % (REACH_SECONDS + 1));
            if ((notes >> (i + 1)) & 1 == 1) registry.noteEpoch();
            bool within = registry.isWithinReach(epoch);
            if (_isPayable(id)) {
                vm.assertFalse(within);
                return vault.completeWithdrawal(id);
            }
            if (within) continue;
            // Out of reach of the judge, so it may be free by now; it need not be.
            vm.assertTrue(vm.getBlockNumber() >= _fixedBlock(epoch) + REACH);
        }
    }

    /// @dev Where the judge came before it was unlocked, it is frozen with the rest.
    function testFuzz_evidenceThatCountsFindsTheStake(uint16 block_, uint32 second) public {
        _rollTo(_fixedBlock(2));
        uint256 id = vault.queueWithdrawal(alice.account, STAKE);
        vm.roll(vm.getBlockNumber() + _bound(block_, GRACE, 2 * REACH));
        vm.warp(block.timestamp + _bound(second, 0, 2 * REACH_SECONDS));
        if (!registry.isWithinReach(2)) return vault.completeWithdrawal(id);
        _convict(alice, 2);
        vm.roll(vm.getBlockNumber() + LENGTH);
        vm.warp(block.timestamp + REACH_SECONDS);
        decider.decide(judge, alice.account, 1, 10_000, false);
        judge.settle(alice.account);
        vm.assertEq(vault.getWithdrawal(id).amount, 0);
    }

    function _pass(uint256 blocks, uint256 secs) private {
        vm.roll(vm.getBlockNumber() + blocks);
        vm.warp(block.timestamp + secs);
    }

    function _isPayable(uint256 id) private view returns (bool) {
        StakeVault.Withdrawal memory withdrawal = vault.getWithdrawal(id);
        return vm.getBlockNumber() >= withdrawal.unlockBlock && block.timestamp >= withdrawal.unlockTime;
    }

    function _expectLocked(uint256 id, uint32 epoch) private {
        StakeVault.Withdrawal memory withdrawal = vault.getWithdrawal(id);
        vm.assertTrue(registry.isWithinReach(epoch));
        vm.expectRevert(
            abi.encodeWithSelector(
                StakeVault.WithdrawalLocked.selector,
                withdrawal.unlockBlock,
                withdrawal.unlockTime
            )
        );
        vault.completeWithdrawal(id);
    }
}
