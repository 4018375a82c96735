// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title A value per epoch that carries forward
/// @notice An entry is one word: the epoch from which it holds in the upper 32 bits, 224 bits of payload below.
/// @dev The newest entry has a slot of its own, so in an epoch without pending changes a lookup reads one slot, with
/// no array length before it. At most the two epochs ahead can be pending, so a lookup of the current epoch seldom
/// looks further than one entry back.
library EpochHistory {
    /// @notice Entries in strictly ascending order of epochs; `head` is the newest, zero when there is none.
    struct Trace {
        uint256 head;
        uint256[] past;
    }

    uint256 private constant EPOCH_SHIFT = 224;

    /// @notice The epoch must not be below that of the newest entry.
    error EpochOutOfOrder();

    /// @notice The entry that holds in `epoch`; zero when the trace begins later.
    function entryAt(Trace storage self, uint32 epoch) internal view returns (uint256 entry) {
        entry = self.head;
        if (entry >> EPOCH_SHIFT > epoch) entry = _pastAt(self.past, epoch);
    }

    /// @notice Sets the payload from `epoch` on.
    function record(Trace storage self, uint32 epoch, uint224 payload) internal {
        uint256 head = self.head;
        uint256 newest = head >> EPOCH_SHIFT;
        if (newest > epoch) revert EpochOutOfOrder();
        if (newest < epoch && head != 0) self.past.push(head);
        self.head = (uint256(epoch) << EPOCH_SHIFT) | payload;
    }

    /// @notice The epoch from which an entry holds.
    function epochOf(uint256 entry) internal pure returns (uint32) {
        return uint32(entry >> EPOCH_SHIFT);
    }

    function _pastAt(uint256[] storage past, uint32 epoch) private view returns (uint256) {
        uint256 high = past.length;
        if (high == 0) return 0;
        uint256 newest = past[high - 1];
        if (newest >> EPOCH_SHIFT <= epoch) return newest;

        uint256 low;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (past[middle] >> EPOCH_SHIFT > epoch) high = middle;
            else low = middle + 1;
        }
        return low == 0 ? 0 : past[low - 1];
    }
}
