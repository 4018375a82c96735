// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title What makes a quorum
library Thresholds {
    /// @notice Least weight above two thirds of `total`, which must be below 2^255.
    function forTotal(uint256 total) internal pure returns (uint256) {
        return (2 * total) / 3 + 1;
    }
}
