// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

import {Attestations} from "./Attestations.sol";
import {Certificates} from "./Certificates.sol";
import {IQuorumRegistry} from "./IQuorumRegistry.sol";

/// @notice At block `blockNumber` of chain `chainId`, `user`'s `key` in the state manager there had `value`.
/// `timestamp` is that block's time; `epoch` is the home chain's epoch whose set says so. Which contract of that chain
/// was read is written in the home chain's {ChainDirectory}.
struct StateProof {
    address user;
    uint32 chainId;
    uint64 blockNumber;
    uint48 timestamp;
    uint32 epoch;
    uint256 key;
    uint256 value;
}

/// @title Check of state proofs
library StateProofs {
    /// @dev First byte of a slot's preimage.
    uint8 private constant KIND = 1;

    /// @notice The certificate is by the set of another epoch than the proof names.
    error EpochMismatch(uint32 proofEpoch, uint32 certificateEpoch);
    /// @notice The certificate is more than the allowed number of epochs behind `newest`.
    error CertificateTooOld(uint32 epoch, uint32 newest);
    /// @notice The registry did not accept the certificate.
    error CertificateRejected();

    /// @notice What operators sign.
    function digest(IQuorumRegistry registry, StateProof memory proof) internal view returns (bytes32) {
        return Attestations.digest(registry.domainSeparator(), proof.epoch, slot(proof), fact(proof));
    }

    /// @notice Reverts unless `certificate` proves `proof`, holds now, and is of an epoch not more than `maxAge` before
    /// the registry's newest one.
    /// @param maxAge In epochs; 0 for the newest alone. Whatever is allowed here, the registry refuses certificates whose
    /// stake can be gone. The age of the value is another matter: that is `proof.timestamp`.
    function verify(
        IQuorumRegistry registry,
        StateProof memory proof,
        bytes calldata certificate,
        uint32 maxAge
    ) internal view {
        uint32 newest = registry.newestEpoch();
        if (uint256(proof.epoch) + maxAge < newest) revert CertificateTooOld(proof.epoch, newest);
        _requireEpoch(proof, certificate);
        if (registry.isValidSignature(digest(registry, proof), certificate) != IERC1271.isValidSignature.selector) {
            revert CertificateRejected();
        }
    }

    /// @notice Until when `certificate` proves `proof`, in Unix seconds; reverts if it does not. Looks at no clock, so the
    /// validation of an account may call it and hand on what it returns.
    function validUntil(
        IQuorumRegistry registry,
        StateProof memory proof,
        bytes calldata certificate
    ) internal view returns (uint64) {
        _requireEpoch(proof, certificate);
        return registry.validUntil(digest(registry, proof), certificate);
    }

    /// @notice Name of the question that `proof` answers: one truth only, whatever the epoch.
    function slot(StateProof memory proof) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(KIND, proof.chainId, proof.user, proof.key, proof.blockNumber));
    }

    /// @notice Name of the answer: two of them for one slot contradict each other.
    function fact(StateProof memory proof) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(slot(proof), uint64(proof.timestamp), proof.value));
    }

    /// @notice Name of the task that asked for `proof`.
    function taskId(StateProof memory proof) internal pure returns (bytes32) {
        return
            keccak256(
                abi.encodePacked(
                    proof.user,
                    proof.chainId,
                    proof.blockNumber,
                    proof.timestamp,
                    proof.epoch,
                    proof.key,
                    proof.value
                )
            );
    }

    /// @dev Otherwise the set of an old epoch could sign for a new one.
    function _requireEpoch(StateProof memory proof, bytes calldata certificate) private pure {
        uint32 epoch = Certificates.epochOf(certificate);
        if (epoch != proof.epoch) revert EpochMismatch(proof.epoch, epoch);
    }
}
