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
        _requireValid(digest, signatureData);
        return IERC1271.isValidSignature.selector;
    }

    /// @inheritdoc IQuorumRegistry
    function validUntil(bytes32 digest, bytes calldata signatureData) external view returns (uint64) {
        (bool isCompact, uint32 epoch) = Certificates.header(signatureData);
        uint64 expiry = _expiryOf(epoch);
        _requireQuorum(digest, signatureData, isCompact, epoch);
        return expiry;
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

    /// @dev Reverts with {InvalidEpoch} or {CertificateExpired} unless certificates of `epoch` hold now.
    function _requireLive(uint32 epoch) internal view virtual;

    /// @dev Unix seconds until which certificates of `epoch` hold, without a look at clock or height. Reverts where no
    /// set of `epoch` is known.
    function _expiryOf(uint32 epoch) internal view virtual returns (uint64);

    /// @dev Weight of `operators` in `epoch`; both arrays are equally long and not empty. Reverts unless operators are
    /// strictly ascending and each one's signing key of that epoch signed `digest`.
    function _signedWeight(
        bytes32 digest,
        address[] calldata operators,
        bytes[] calldata signatures,
        uint32 epoch
    ) internal view virtual returns (uint256);

    /// @dev Whether the weight of a signer of `epoch` may count no more, so that each has to be looked at.
    function _hasConvicts(uint32) internal view virtual returns (bool) {
        return false;
    }

    /// @dev Whether the weight of the operator with this signing key counts in `epoch` no more.
    function _isConvict(address, uint32) internal view virtual returns (bool) {
        return false;
    }

    /// @dev Reverts unless a quorum of the certificate's epoch signed `digest`, and its stake is still there.
    /// @return epoch The certificate's epoch.
    function _requireValid(bytes32 digest, bytes calldata certificate) internal view returns (uint32 epoch) {
        bool isCompact;
        (isCompact, epoch) = Certificates.header(certificate);
        _requireLive(epoch);
        _requireQuorum(digest, certificate, isCompact, epoch);
    }

    function _requireQuorum(bytes32 digest, bytes calldata certificate, bool isCompact, uint32 epoch) private view {
        uint256 signed;
        uint256 threshold;
        if (isCompact) {
            (signed, threshold) = _checkCompact(digest, certificate, epoch);
        } else {
            (address[] calldata operators, bytes[] calldata signatures) = Certificates.split(certificate);
            if (operators.length != signatures.length) revert LengthMismatch();
            if (operators.length == 0) revert InvalidLength();
            signed = _signedWeight(digest, operators, signatures, epoch);
            threshold = getThresholdStake(epoch);
        }
        if (signed < threshold) revert InsufficientSignedStake();
    }

    function _checkCompact(
        bytes32 digest,
        bytes calldata certificate,
        uint32 epoch
    ) private view returns (uint256 signed, uint256 threshold) {
        address pointer = _requireSealed(epoch);
        uint256 total;
        (signed, total) = SealedSets.signedWeight(pointer, digest, certificate);
        threshold = Thresholds.forTotal(total);
        if (_hasConvicts(epoch)) signed -= _convictedWeight(pointer, certificate, epoch);
    }

    function _convictedWeight(
        address pointer,
        bytes calldata certificate,
        uint32 epoch
    ) private view returns (uint256 convicted) {
        (address[] memory keys, uint256[] memory weights) = SealedSets.signers(pointer, certificate);
        for (uint256 i; i < keys.length; ++i) {
            if (_isConvict(keys[i], epoch)) convicted += weights[i];
        }
    }

    function _requireSealed(uint32 epoch) private view returns (address pointer) {
        pointer = sealedSet(epoch);
        if (pointer == address(0)) revert SetNotSealed(epoch);
    }
}
