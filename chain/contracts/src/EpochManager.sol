// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IEpochManager} from "./IEpochManager.sol";

/// @title Epoch schedule that starts with its deployment
/// @notice Nobody owns it and nothing in it can change.
contract EpochManager is IEpochManager {
    using SafeCast for uint256;

    /// @inheritdoc IEpochManager
    uint64 public immutable genesisBlock;
    /// @inheritdoc IEpochManager
    uint64 public immutable epochLength;
    /// @inheritdoc IEpochManager
    uint64 public immutable gracePeriod;

    /// @notice The grace period must be shorter than the epoch, and the epoch not empty.
    error InvalidSchedule();
    /// @notice There is no epoch before the genesis block.
    error BeforeGenesis();

    /// @param length Blocks per epoch.
    /// @param grace Blocks at the end of each epoch in which changes wait for one epoch more; may be 0.
    constructor(uint64 length, uint64 grace) {
        if (grace >= length) revert InvalidSchedule();
        genesisBlock = block.number.toUint64();
        epochLength = length;
        gracePeriod = grace;
    }

    /// @inheritdoc IEpochManager
    function getCurrentEpoch() external view returns (uint32) {
        return _epochOf(block.number.toUint64());
    }

    /// @inheritdoc IEpochManager
    function getEffectiveEpochForBlock(uint64 blockNumber) external view returns (uint32) {
        uint32 epoch = _epochOf(blockNumber);
        uint256 blocksLeft = epochLength - (blockNumber - genesisBlock) % epochLength;
        return blocksLeft <= gracePeriod ? epoch + 2 : epoch + 1;
    }

    /// @inheritdoc IEpochManager
    function getEpochInterval(uint32 epoch) external view returns (uint64 start, uint64 graceStart, uint64 end) {
        start = (genesisBlock + uint256(epoch) * epochLength).toUint64();
        end = (uint256(start) + epochLength).toUint64();
        graceStart = end - gracePeriod;
    }

    function _epochOf(uint64 blockNumber) private view returns (uint32) {
        if (blockNumber < genesisBlock) revert BeforeGenesis();
        return uint256((blockNumber - genesisBlock) / epochLength).toUint32();
    }
}
