// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @notice "The answer to `slot` is `fact`", under one operator's signature in 65 bytes, by the key that it has in
/// `epoch`. What slots and facts mean is for each kind of statement to say.
struct SignedAttestation {
    uint32 epoch;
    bytes32 slot;
    bytes32 fact;
    bytes signature;
}

/// @title The one thing that operators sign
/// @notice Every kind of statement is signed as this struct: a kind defines a slot (hash of the question; its preimage
/// begins with the byte of the kind) and a fact (hash of the answer). Two facts for one slot contradict each other,
/// whatever they are about, so one judge serves all kinds.
library Attestations {
    /// @notice EIP-712 type.
    bytes32 internal constant ATTESTATION_TYPEHASH =
        keccak256("Attestation(uint32 epoch,bytes32 slot,bytes32 fact)");

    /// @notice What operators sign.
    /// @param domainSeparator EIP-712 domain of the registry on the home chain.
    function digest(
        bytes32 domainSeparator,
        uint32 epoch,
        bytes32 slot,
        bytes32 fact
    ) internal pure returns (bytes32) {
        bytes32 content = keccak256(abi.encode(ATTESTATION_TYPEHASH, epoch, slot, fact));
        return MessageHashUtils.toTypedDataHash(domainSeparator, content);
    }
}
