// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Layouts of a certificate
/// @notice Two forms, told apart by their first byte, and read where they lie in calldata: decoding into memory would
/// cost several hundred gas per signer.
///
/// ABI form (first byte 0): `abi.encode(address[] operators, bytes[] signatures, uint32 epoch)`, signatures of 65 bytes.
///
/// Compact form (first byte 1), tightly packed: 0x01, epoch (4 bytes, big endian), bitmap of the signers over the
/// epoch's members in ascending order (bit i % 8 of byte i / 8, least significant bit first, one byte per 8 members),
/// then per set bit, ascending, a signature in 64 bytes (EIP-2098).
///
/// Nothing follows in either. A certificate is still no identity: other signers make another one for the same digest.
library Certificates {
    /// @dev The first byte: of the compact form its version, of the ABI form the upper end of an offset.
    uint8 private constant ABI = 0;
    uint8 private constant COMPACT = 1;
    /// @dev Version byte and epoch.
    uint256 private constant COMPACT_HEAD = 5;
    /// @dev r, then s with the parity in its upper bit.
    uint256 private constant COMPACT_SIGNATURE = 64;
    /// @dev Offsets of the two arrays, and the epoch.
    uint256 private constant ABI_HEAD = 96;
    /// @dev The head and the lengths of the two arrays.
    uint256 private constant ABI_FIXED = 160;
    /// @dev A signer's address, the offset and the length of its signature, and 65 bytes in three words.
    uint256 private constant ABI_SIGNER = 192;

    /// @notice The bytes are no encoding of a certificate.
    error MalformedCertificate();
    /// @notice There is no form of certificate with this first byte.
    error UnknownVersion(uint8 version);

    /// @notice The epoch whose set signed a certificate of either form.
    function epochOf(bytes calldata certificate) internal pure returns (uint32 epoch) {
        (, epoch) = header(certificate);
    }

    /// @notice The form of a certificate, and the epoch whose set signed it.
    function header(bytes calldata certificate) internal pure returns (bool isCompact, uint32 epoch) {
        if (certificate.length < COMPACT_HEAD) revert MalformedCertificate();
        uint256 start = uint256(bytes32(certificate));
        uint8 version = uint8(start >> 248);
        if (version == COMPACT) return (true, uint32(start >> 216));
        if (version != ABI) revert UnknownVersion(version);

        if (certificate.length < ABI_HEAD) revert MalformedCertificate();
        uint256 word = uint256(bytes32(certificate[64:]));
        if (word > type(uint32).max) revert MalformedCertificate();
        return (false, uint32(word));
    }

    /// @notice The parts of a certificate in ABI form whose {header} was read. Its length is that of as many signers.
    function split(
        bytes calldata certificate
    ) internal pure returns (address[] calldata operators, bytes[] calldata signatures) {
        (uint256 start, uint256 length) = _array(certificate, 0);
        assembly ("memory-safe") {
            operators.offset := start
            operators.length := length
        }
        (start, length) = _array(certificate, 32);
        assembly ("memory-safe") {
            signatures.offset := start
            signatures.length := length
        }
        if (certificate.length != ABI_FIXED + operators.length * ABI_SIGNER) revert MalformedCertificate();
    }

    /// @notice The parts of a certificate in compact form whose {header} was read. `signatures` holds whole ones;
    /// whether as many as there are bits is for the caller to see.
    /// @param members Size of the epoch's set.
    function splitCompact(
        bytes calldata certificate,
        uint256 members
    ) internal pure returns (bytes calldata bitmap, bytes calldata signatures) {
        bool valid;
        assembly ("memory-safe") {
            bitmap.offset := add(certificate.offset, COMPACT_HEAD)
            bitmap.length := shr(3, add(members, 7))
            signatures.offset := add(bitmap.offset, bitmap.length)
            let end := add(certificate.offset, certificate.length)
            signatures.length := sub(end, signatures.offset)
            // The last byte of the bitmap may be used in part: 8 bits less what is beyond the set.
            let last := byte(0, calldataload(sub(signatures.offset, 1)))
            let unused := and(sub(0, members), 7)
            let clean := iszero(shr(sub(8, unused), last))
            valid := and(clean, iszero(or(gt(signatures.offset, end), mod(signatures.length, COMPACT_SIGNATURE))))
        }
        if (!valid) revert MalformedCertificate();
    }

    /// @dev Calldata position of the first element, and the number of elements, of the array whose offset is in the
    /// word at `head`. One word per element is inside `data`; what those words point to is checked by the compiler's
    /// own access code.
    function _array(bytes calldata data, uint256 head) private pure returns (uint256 start, uint256 length) {
        bool valid;
        assembly ("memory-safe") {
            let offset := calldataload(add(data.offset, head))
            let room := sub(data.length, 32)
            if iszero(gt(offset, room)) {
                length := calldataload(add(data.offset, offset))
                start := add(data.offset, add(offset, 32))
                valid := iszero(gt(length, shr(5, sub(room, offset))))
            }
        }
        if (!valid) revert MalformedCertificate();
    }
}
