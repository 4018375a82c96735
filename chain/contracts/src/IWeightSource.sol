// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Where an operator's weight comes from
/// @notice The registry reads weights here and fixes them per epoch; the source only knows the present.
interface IWeightSource {
    /// @notice Present weight of `operator`; 0 if unknown.
    function weightOf(address operator) external view returns (uint256);
}
