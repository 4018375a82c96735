// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Signatures by a secp256k1 key
/// @notice Keys only. What a contract answers for a key (EIP-1271), also by code that the key delegated to (EIP-7702),
/// can change from block to block: it would count in certificates and convict nobody.
library Signatures {
    /// @notice Half the order of secp256k1: the largest s that counts as low.
    uint256 internal constant MAX_S = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @notice Whether `signature` is `key`'s on `digest`: r, s and v in 65 bytes with low s and v of 27 or 28. The zero
    /// key signs nothing.
    /// @dev The precompile itself refuses every other v, and then leaves the output as it was: zero.
    function isSignedBy(address key, bytes32 digest, bytes calldata signature) internal view returns (bool valid) {
        if (signature.length != 65) return false;
        assembly ("memory-safe") {
            let s := calldataload(add(signature.offset, 32))
            let input := mload(0x40)
            mstore(input, digest)
            mstore(add(input, 32), byte(0, calldataload(add(signature.offset, 64))))
            mstore(add(input, 64), calldataload(signature.offset))
            mstore(add(input, 96), s)
            mstore(0, 0)
            pop(staticcall(gas(), 1, input, 128, 0, 32))
            let signer := mload(0)
            // The upper 96 bits of `key` are undefined here.
            let same := iszero(shl(96, xor(signer, key)))
            valid := and(gt(signer, 0), and(same, iszero(gt(s, MAX_S))))
        }
    }
}
