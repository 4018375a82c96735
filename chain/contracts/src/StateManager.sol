// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Key/value pairs with history
/// @notice Anybody stores values under their own address; what was stored stays readable as of any later block.
/// @dev The block of an entry is `block.number`. Where that is a block of another chain, deploy {ArbStateManager}.
contract StateManager {
    /// @notice One value and since when it holds.
    struct History {
        uint256 value;
        uint64 blockNumber;
        uint48 timestamp;
    }

    /// @notice One write of a batch.
    struct SetValueParams {
        uint256 key;
        uint256 value;
    }

    /// @notice Most writes in one call of {batchSetValues}.
    uint256 public constant MAX_BATCH_SIZE = 100;

    /// @dev Slot 0, for readers of storage proofs. Blocks within an array are strictly ascending, so entry i is
    /// the truth at block B exactly if its block is <= B and there is no entry i + 1 or its block is > B.
    mapping(address user => mapping(uint256 key => History[])) private _histories;

    /// @notice `user` set `key` to `value`. Emitted for every write, also for those that a later write in the same
    /// block replaces.
    event HistoryCommitted(address indexed user, uint256 key, uint256 value, uint256 timestamp, uint256 blockNumber);

    /// @notice The key was never written.
    error NoHistory();
    /// @notice The key was first written after the block or time asked for.
    error BeforeFirstEntry();
    /// @notice There are not that many entries.
    error IndexOutOfBounds();
    /// @notice More than {MAX_BATCH_SIZE} writes.
    error BatchTooLarge();

    /// @notice Stores `value` under the caller's `key`.
    /// @param key Any number.
    /// @param value Any number.
    function setValue(uint256 key, uint256 value) external {
        _set(key, value);
    }

    /// @notice Stores several values, in order.
    /// @param params Keys and values; at most {MAX_BATCH_SIZE}.
    function batchSetValues(SetValueParams[] calldata params) external {
        if (params.length > MAX_BATCH_SIZE) revert BatchTooLarge();
        for (uint256 i; i < params.length; ++i) {
            _set(params[i].key, params[i].value);
        }
    }

    /// @notice The last entry with a block number not above `blockNumber`.
    function getHistoryAtBlock(
        address user,
        uint256 key,
        uint256 blockNumber
    ) external view returns (History memory) {
        History[] storage history = _written(user, key);
        uint256 low;
        uint256 high = history.length;
        while (low < high) {
            uint256 middle = Math.average(low, high);
            if (history[middle].blockNumber > blockNumber) high = middle;
            else low = middle + 1;
        }
        return _lastOf(history, low);
    }

    /// @notice The last entry with a timestamp not above `timestamp`.
    function getHistoryAtTimestamp(
        address user,
        uint256 key,
        uint256 timestamp
    ) external view returns (History memory) {
        History[] storage history = _written(user, key);
        uint256 low;
        uint256 high = history.length;
        while (low < high) {
            uint256 middle = Math.average(low, high);
            if (history[middle].timestamp > timestamp) high = middle;
            else low = middle + 1;
        }
        return _lastOf(history, low);
    }

    /// @notice Number of entries of a key; 0 if it was never written.
    function getHistoryCount(address user, uint256 key) external view returns (uint256) {
        return _histories[user][key].length;
    }

    /// @notice Entry number `index` of a key, oldest first.
    function getHistoryAt(address user, uint256 key, uint256 index) external view returns (History memory) {
        History[] storage history = _histories[user][key];
        if (index >= history.length) revert IndexOutOfBounds();
        return history[index];
    }

    /// @dev The number that users of this chain know the present block by.
    function _blockNumber() internal view virtual returns (uint64) {
        return uint64(block.number);
    }

    function _set(uint256 key, uint256 value) private {
        History[] storage history = _histories[msg.sender][key];
        uint256 length = history.length;
        uint64 number = _blockNumber();
        // One entry per block: a proof of entry i then needs nothing but the block of entry i + 1. Where several blocks of
        // a chain share a number, each has its own time.
        bool isSame = length != 0 && history[length - 1].blockNumber == number;
        if (isSame && history[length - 1].timestamp == block.timestamp) {
            history[length - 1].value = value;
        } else {
            history.push(History(value, number, uint48(block.timestamp)));
        }
        emit HistoryCommitted(msg.sender, key, value, block.timestamp, number);
    }

    function _written(address user, uint256 key) private view returns (History[] storage history) {
        history = _histories[user][key];
        if (history.length == 0) revert NoHistory();
    }

    /// @dev `count` entries are not later than what was asked for.
    function _lastOf(History[] storage history, uint256 count) private view returns (History memory) {
        if (count == 0) revert BeforeFirstEntry();
        return history[count - 1];
    }
}
