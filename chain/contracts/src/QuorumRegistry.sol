// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

import {Certificates} from "./Certificates.sol";
import {IQuorumRegistry} from "./IQuorumRegistry.sol";
import {SealedSets} from "./SealedSets.sol";
import {Thresholds} from "./Thresholds.sol";

/// @title The check of certificates, wherever the sets come from
abstract contract QuorumRegistry is IQuorumRegistry {
    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 digest, bytes calldata signatureData) external view returns (bytes4) {
        _requireQuorum(digest, signatureData);
        return IERC1271.isValidSignature.selector;
    }

    /// @inheritdoc IQuorumRegistry
    function sealedMembers(
        uint32 epoch
    ) external view returns (address[] memory signingKeys, uint256[] memory weights) {
        return SealedSets.members(_requireSealed(epoch));
    }

    /// @inheritdoc IQuorumRegistry
    function sealedSet(uint32 epoch) public view virtual returns (address);

    /// @inheritdoc IQuorumRegistry
    function getThresholdStake(uint32 epoch) public view virtual returns (uint256);

    /// @dev Reverts with {InvalidEpoch} unless certificates of `epoch` can be accepted now.
    function _requireEpoch(uint32 epoch) internal view virtual;

    /// @dev Weight of `operators` in `epoch`; both arrays are equally long and not empty. Reverts unless operators are
    /// strictly ascending and each one's signing key of that epoch signed `digest`.
    function _signedWeight(
        bytes32 digest,
        address[] calldata operators,
        bytes[] calldata signatures,
        uint32 epoch
    ) internal view virtual returns (uint256);

    /// @dev Reverts unless a quorum of the certificate's epoch signed `digest`.
    function _requireQuorum(bytes32 digest, bytes calldata certificate) internal view {
        (bool isCompact, uint32 epoch) = Certificates.header(certificate);
        _requireEpoch(epoch);
        uint256 signed;
        uint256 threshold;
        if (isCompact) {
            uint256 total;
            (signed, total) = SealedSets.signedWeight(_requireSealed(epoch), digest, certificate);
            threshold = Thresholds.forTotal(total);
        } else {
            (address[] calldata operators, bytes[] calldata signatures) = Certificates.split(certificate);
            if (operators.length != signatures.length) revert LengthMismatch();
            if (operators.length == 0) revert InvalidLength();
            signed = _signedWeight(digest, operators, signatures, epoch);
            threshold = getThresholdStake(epoch);
        }
        if (signed < threshold) revert InsufficientSignedStake();
    }

    function _requireSealed(uint32 epoch) private view returns (address pointer) {
        pointer = sealedSet(epoch);
        if (pointer == address(0)) revert SetNotSealed(epoch);
    }
}
