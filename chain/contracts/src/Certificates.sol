// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Layout of a certificate
/// @notice `abi.encode(address[] operators, bytes[] signatures, uint32 epoch)`, read where it lies in calldata:
/// decoding it into memory would cost several hundred gas per signer.
library Certificates {
    /// @notice The bytes are no encoding of a certificate.
    error MalformedCertificate();

    /// @notice The parts of a certificate.
    function split(
        bytes calldata certificate
    ) internal pure returns (address[] calldata operators, bytes[] calldata signatures, uint32 epoch) {
        epoch = epochOf(certificate);
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
    }

    /// @notice The epoch whose set signed a certificate.
    function epochOf(bytes calldata certificate) internal pure returns (uint32) {
        if (certificate.length < 96) revert MalformedCertificate();
        uint256 epoch = uint256(bytes32(certificate[64:96]));
        if (epoch > type(uint32).max) revert MalformedCertificate();
        return uint32(epoch);
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
