// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Certificates} from "./Certificates.sol";
import {CodeStorage} from "./CodeStorage.sol";
import {IQuorumRegistry} from "./IQuorumRegistry.sol";
import {OperatorSet} from "./OperatorSets.sol";
import {Signatures} from "./Signatures.sol";

/// @title An epoch's set as contract code
/// @notice The total weight in one word, then one word per member in ascending order of operators: signing key in the
/// upper 160 bits, weight in the lower 96. A certificate in compact form is checked against these words alone.
library SealedSets {
    uint256 private constant KEY_SHIFT = 96;

    /// @notice Stores a set that {OperatorSets-check} has passed.
    /// @param total Sum of the weights.
    function write(OperatorSet memory set, uint256 total) internal returns (address pointer) {
        uint256 count = set.operators.length;
        uint256[] memory words = new uint256[](count + 1);
        words[0] = total;
        for (uint256 i; i < count; ++i) {
            words[i + 1] = (uint256(uint160(set.signingKeys[i])) << KEY_SHIFT) | set.weights[i];
        }
        return CodeStorage.write(abi.encodePacked(words));
    }

    /// @notice Sum of all weights.
    function totalWeight(address pointer) internal view returns (uint256) {
        return CodeStorage.readAt(pointer, 0, 32);
    }

    /// @notice Signing key and weight of member number `index`.
    function memberAt(address pointer, uint256 index) internal view returns (address key, uint256 weight) {
        return _decode(CodeStorage.readAt(pointer, (index + 1) * 32, 32));
    }

    /// @notice All words: the total weight, then the members.
    function read(address pointer) internal view returns (uint256[] memory words) {
        bytes memory content = CodeStorage.read(pointer);
        assembly ("memory-safe") {
            words := content
            mstore(words, shr(5, mload(content)))
        }
    }

    /// @notice Signing key and weight of member number `index` in what {read} returned.
    function memberOf(uint256[] memory words, uint256 index) internal pure returns (address key, uint256 weight) {
        return _decode(words[index + 1]);
    }

    /// @notice Signing keys and weights of those whose bits a certificate in compact form has set.
    function signers(
        address pointer,
        bytes calldata certificate
    ) internal view returns (address[] memory keys, uint256[] memory weights) {
        uint256[] memory words = read(pointer);
        (bytes calldata bitmap, bytes calldata signatures) = Certificates.splitCompact(certificate, words.length - 1);
        keys = new address[](signatures.length / 64);
        weights = new uint256[](keys.length);
        uint256 next;
        for (uint256 i; i < words.length - 1 && next < keys.length; ++i) {
            if ((uint8(bitmap[i / 8]) >> (i % 8)) & 1 == 0) continue;
            (keys[next], weights[next]) = memberOf(words, i);
            ++next;
        }
    }

    /// @notice Signing keys and weights of all members, in ascending order of operators.
    function members(address pointer) internal view returns (address[] memory keys, uint256[] memory weights) {
        uint256[] memory words = read(pointer);
        uint256 count = words.length - 1;
        keys = new address[](count);
        weights = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            (keys[i], weights[i]) = memberOf(words, i);
        }
    }

    /// @notice Weight of those who signed `digest` by a certificate in compact form. Reverts if a signature is not by
    /// the signing key of the member that its bit stands for.
    /// @return signed Weight of the signers.
    /// @return total Weight of the whole set.
    function signedWeight(
        address pointer,
        bytes32 digest,
        bytes calldata certificate
    ) internal view returns (uint256 signed, uint256 total) {
        uint256[] memory words = read(pointer);
        (bytes calldata bitmap, bytes calldata signatures) = Certificates.splitCompact(certificate, words.length - 1);
        if (signatures.length == 0) revert IQuorumRegistry.InvalidLength();
        total = words[0];
        signed = _sum(words, digest, bitmap, signatures);
    }

    /// @dev No bit counts twice and weights have 96 bits, so sums cannot overflow. The bitmap has no bits beyond the
    /// last member, so no word outside of `words` is read. In assembly, because here 13 signers are to fit into 90,000
    /// gas; the compiler's own loop takes 150 more for each.
    function _sum(
        uint256[] memory words,
        bytes32 digest,
        bytes calldata bitmap,
        bytes calldata signatures
    ) private view returns (uint256 signed) {
        uint256 maxS = Signatures.MAX_S;
        uint256 wrong;
        uint256 used;
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, digest)
            // Position of the next signature; the bitmap ends where the first one begins.
            let next := signatures.offset
            for { let at := bitmap.offset } lt(at, signatures.offset) { at := add(at, 1) } {
                let bits := byte(0, calldataload(at))
                // Behind the length and the total, 8 words per byte of the bitmap.
                let member := add(add(words, 64), shl(8, sub(at, bitmap.offset)))
                for {} bits { bits := shr(1, bits) } {
                    if and(bits, 1) {
                        let yParityAndS := calldataload(add(next, 32))
                        let s := shr(1, shl(1, yParityAndS))
                        mstore(add(input, 32), add(27, shr(255, yParityAndS)))
                        mstore(add(input, 64), calldataload(next))
                        mstore(add(input, 96), s)
                        // A failed recovery leaves the output as it was: zero, which is nobody's key.
                        mstore(0, 0)
                        pop(staticcall(gas(), 1, input, 128, 0, 32))
                        let word := mload(member)
                        wrong := or(wrong, or(gt(s, maxS), xor(mload(0), shr(96, word))))
                        signed := add(signed, and(word, 0xffffffffffffffffffffffff))
                        next := add(next, 64)
                    }
                    member := add(member, 32)
                }
            }
            used := sub(next, signatures.offset)
        }
        if (used != signatures.length) revert Certificates.MalformedCertificate();
        if (wrong != 0) revert IQuorumRegistry.InvalidSignature();
    }

    function _decode(uint256 word) private pure returns (address key, uint256 weight) {
        return (address(uint160(word >> KEY_SHIFT)), uint96(word));
    }
}
