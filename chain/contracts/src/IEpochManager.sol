// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Epoch schedule of the home chain
/// @notice Divides the blocks of the home chain into epochs of equal length.
/// @dev The schedule is fixed for ever: users may cache {genesisBlock}, {epochLength} and {gracePeriod}.
interface IEpochManager {
    /// @notice Block 0 of epoch 0.
    function genesisBlock() external view returns (uint64);

    /// @notice Blocks per epoch.
    function epochLength() external view returns (uint64);

    /// @notice Last blocks of an epoch in which changes skip the next epoch and count from the one after.
    function gracePeriod() external view returns (uint64);

    /// @notice Epoch of the current block.
    function getCurrentEpoch() external view returns (uint32);

    /// @notice First epoch in which a change made in block `blockNumber` counts.
    /// @param blockNumber Absolute block number, not below the genesis block.
    function getEffectiveEpochForBlock(uint64 blockNumber) external view returns (uint32);

    /// @notice Absolute block numbers of an epoch.
    /// @param epoch Epoch number.
    /// @return start First block.
    /// @return graceStart First block of the grace period; equal to `end` when there is none.
    /// @return end First block of the next epoch.
    function getEpochInterval(uint32 epoch) external view returns (uint64 start, uint64 graceStart, uint64 end);
}
