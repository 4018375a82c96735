// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title What a certificate is checked against
/// @notice The part of the stake registry that a consumer of certificates needs. On other chains than the home chain a
/// light registry answers it.
/// @dev `isValidSignature(digest, certificate)` answers 0x1626ba7e or reverts with one of the errors below. The
/// certificate is `abi.encode(address[] operators, bytes[] signatures, uint32 epoch)`, or, if the epoch's set is
/// sealed, the compact form of {Certificates}, which costs about two thirds. Signing keys are secp256k1 keys; what a
/// contract answers by EIP-1271 counts nowhere. A certificate holds only as long as the stake of its set can be reached by
/// the judge, less a quarter of the withdrawal delay to judge in.
interface IQuorumRegistry is IERC1271 {
    /// @notice The certificate's epoch has not begun, or its set is not known here.
    error InvalidEpoch();
    /// @notice The stake behind certificates of `epoch` may have been withdrawn, or will be before a case can be judged.
    error CertificateExpired(uint32 epoch);
    /// @notice It is not known here when the set of `epoch` was fixed, so nor is until when its certificates hold.
    error EpochTimeUnknown(uint32 epoch);
    /// @notice Lists that belong together, such as operators and signatures, differ in length.
    error LengthMismatch();
    /// @notice No operator at all.
    error InvalidLength();
    /// @notice Operators are not strictly ascending.
    error NotSorted();
    /// @notice A signature is not by its operator's signing key of that epoch.
    error InvalidSignature();
    /// @notice The signers' weight is below the threshold of that epoch.
    error InsufficientSignedStake();
    /// @notice The set of `epoch` is not stored as code, so certificates in compact form cannot be checked.
    error SetNotSealed(uint32 epoch);

    /// @notice EIP-712 domain under which operators sign: that of the stake registry on the home chain.
    function domainSeparator() external view returns (bytes32);

    /// @notice Newest epoch whose certificates are accepted: on the home chain the present one.
    function newestEpoch() external view returns (uint32);

    /// @notice The same check as `isValidSignature`, without a look at clock or height, which the validation of an account
    /// (ERC-4337) may not take: the caller has to see to it that what this returns is not over.
    /// @return Unix seconds until which the certificate holds. Reverts with {EpochTimeUnknown} where that is not known.
    function validUntil(bytes32 digest, bytes calldata certificate) external view returns (uint64);

    /// @notice Seconds for which certificates of a set hold, from the time at which the set was fixed.
    function certificateLifetime() external view returns (uint64);

    /// @notice Epochs by which a certificate may lie behind {newestEpoch} and hold in every block of that epoch. Where a
    /// registry goes by time alone, as a light one does, there is no such number and this is the largest one.
    function maxAge() external view returns (uint32);

    /// @notice Contract whose code is the set of `epoch`, as written by {SealedSets}; zero if there is none.
    function sealedSet(uint32 epoch) external view returns (address);

    /// @notice The sealed set of `epoch`, in ascending order of operators: bit i of a certificate in compact form
    /// stands for number i.
    function sealedMembers(
        uint32 epoch
    ) external view returns (address[] memory signingKeys, uint256[] memory weights);

    /// @notice Sum of all weights in `epoch`.
    function getTotalWeightAtEpoch(uint32 epoch) external view returns (uint256);

    /// @notice Least weight that makes a certificate of `epoch`: floor(2 * total / 3) + 1.
    function getThresholdStake(uint32 epoch) external view returns (uint256);

    /// @notice Weight of `operator` in `epoch`.
    function getOperatorWeightAtEpoch(address operator, uint32 epoch) external view returns (uint256);

    /// @notice Signing key of `operator` in `epoch`; zero if it has none. Who has one but no weight is not in that epoch's
    /// set.
    function getOperatorSigningKeyAtEpoch(address operator, uint32 epoch) external view returns (address);
}
