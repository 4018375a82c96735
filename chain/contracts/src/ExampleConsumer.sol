// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IQuorumRegistry} from "./IQuorumRegistry.sol";
import {StateProof, StateProofs} from "./StateProofs.sol";

/// @title A dapp that uses values of other chains
/// @notice Keeps the newest proven value per chain, user and key.
contract ExampleConsumer {
    /// @notice A proven value and the block that it was read at.
    struct Known {
        uint256 value;
        uint64 blockNumber;
    }

    /// @notice Registry whose operators are trusted.
    IQuorumRegistry public immutable registry;
    /// @notice Oldest accepted certificate, in epochs before the newest one that the registry knows.
    uint32 public immutable maxAge;

    /// @notice The newest accepted value.
    mapping(uint32 chainId => mapping(address user => mapping(uint256 key => Known))) public known;

    /// @notice A proof was accepted.
    event Accepted(bytes32 indexed taskId, address indexed user, uint256 indexed key, uint256 value);

    /// @notice Certificates that old hold only in a part of an epoch: `limit` is the most.
    error AgeBeyondStake(uint32 limit);
    /// @notice A value of the same or a later block is known already.
    error NotNewer();

    /// @param quorumRegistry Registry whose operators are trusted.
    /// @param maxAgeInEpochs Oldest accepted certificate, in epochs; at most the registry's own limit.
    constructor(IQuorumRegistry quorumRegistry, uint32 maxAgeInEpochs) {
        uint32 limit = quorumRegistry.maxAge();
        if (maxAgeInEpochs > limit) revert AgeBeyondStake(limit);
        registry = quorumRegistry;
        maxAge = maxAgeInEpochs;
    }

    /// @notice Stores the proven value if it is newer than the one known.
    /// @return value The value.
    function accept(StateProof calldata proof, bytes calldata certificate) external returns (uint256 value) {
        value = check(proof, certificate);
        Known storage entry = known[proof.chainId][proof.user][proof.key];
        if (proof.blockNumber <= entry.blockNumber) revert NotNewer();
        entry.value = value;
        entry.blockNumber = proof.blockNumber;
        emit Accepted(StateProofs.taskId(proof), proof.user, proof.key, value);
    }

    /// @notice Reverts unless the certificate is recent and proves the proof.
    /// @return The proven value.
    function check(StateProof calldata proof, bytes calldata certificate) public view returns (uint256) {
        StateProofs.verify(registry, proof, certificate, maxAge);
        return proof.value;
    }
}
