// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title What a certificate is checked against
/// @notice The part of the stake registry that a consumer of certificates needs.
/// @dev `isValidSignature(digest, abi.encode(address[] operators, bytes[] signatures, uint32 epoch))` answers
/// 0x1626ba7e or reverts with one of the errors below.
interface IQuorumRegistry is IERC1271 {
    /// @notice The certificate's epoch has not begun.
    error InvalidEpoch();
    /// @notice Not as many signatures as operators.
    error LengthMismatch();
    /// @notice No operator at all.
    error InvalidLength();
    /// @notice Operators are not strictly ascending.
    error NotSorted();
    /// @notice A signature is not by its operator's signing key of that epoch.
    error InvalidSignature();
    /// @notice The signers' weight is below the threshold of that epoch.
    error InsufficientSignedStake();

    /// @notice EIP-712 domain under which operators sign.
    function domainSeparator() external view returns (bytes32);

    /// @notice Newest epoch whose certificates are accepted: on the home chain the present one.
    function newestEpoch() external view returns (uint32);

    /// @notice Sum of all weights in `epoch`.
    function getTotalWeightAtEpoch(uint32 epoch) external view returns (uint256);

    /// @notice Least weight that makes a certificate of `epoch`: floor(2 * total / 3) + 1.
    function getThresholdStake(uint32 epoch) external view returns (uint256);

    /// @notice Weight of `operator` in `epoch`.
    function getOperatorWeightAtEpoch(address operator, uint32 epoch) external view returns (uint256);

    /// @notice Signing key of `operator` in `epoch`; zero if it is not in that epoch's set.
    function getOperatorSigningKeyAtEpoch(address operator, uint32 epoch) external view returns (address);
}
