// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {Certificates} from "./Certificates.sol";
import {IQuorumRegistry} from "./IQuorumRegistry.sol";

/// @notice At block `blockNumber` of chain `chainId`, `user`'s `key` in the state manager there had `value`.
/// `timestamp` is that block's time; `epoch` is the home chain's epoch whose set says so.
struct StateProof {
    address user;
    uint32 chainId;
    uint64 blockNumber;
    uint48 timestamp;
    uint32 epoch;
    uint256 key;
    uint256 value;
}

/// @notice A state proof under one operator's signature, in 65 bytes.
struct SignedStateProof {
    StateProof proof;
    bytes signature;
}

/// @title Check of state proofs
library StateProofs {
    /// @notice EIP-712 type of {StateProof}.
    bytes32 internal constant STATE_PROOF_TYPEHASH =
        keccak256(
            "StateProof(address user,uint32 chainId,uint64 blockNumber,uint48 timestamp,uint32 epoch,uint256 key,uint256 value)"
        );

    /// @dev First byte of a slot.
    uint8 private constant KIND = 1;

    /// @notice The certificate is by the set of another epoch than the proof names.
    error EpochMismatch(uint32 proofEpoch, uint32 certificateEpoch);
    /// @notice The registry did not accept the certificate.
    error CertificateRejected();

    /// @notice What operators sign.
    function digest(IQuorumRegistry registry, StateProof memory proof) internal view returns (bytes32) {
        bytes32 content = keccak256(abi.encode(STATE_PROOF_TYPEHASH, proof));
        return MessageHashUtils.toTypedDataHash(registry.domainSeparator(), content);
    }

    /// @notice Reverts unless `certificate` proves `proof`. Says nothing about its age.
    function verify(IQuorumRegistry registry, StateProof memory proof, bytes calldata certificate) internal view {
        uint32 epoch = Certificates.epochOf(certificate);
        if (epoch != proof.epoch) revert EpochMismatch(proof.epoch, epoch);
        if (registry.isValidSignature(digest(registry, proof), certificate) != IERC1271.isValidSignature.selector) {
            revert CertificateRejected();
        }
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
}
