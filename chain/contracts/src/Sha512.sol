// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title SHA-512 (FIPS 180-4)
library Sha512 {
    uint256 private constant BLOCK = 128;
    uint256 private constant WORD = 0xffffffffffffffff;

    /// @dev The 80 round constants, 8 bytes each.
    bytes private constant ROUND_CONSTANTS =
        hex"428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc"
        hex"3956c25bf348b53859f111f1b605d019923f82a4af194f9bab1c5ed5da6d8118"
        hex"d807aa98a303024212835b0145706fbe243185be4ee4b28c550c7dc3d5ffb4e2"
        hex"72be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235c19bf174cf692694"
        hex"e49b69c19ef14ad2efbe4786384f25e30fc19dc68b8cd5b5240ca1cc77ac9c65"
        hex"2de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5"
        hex"983e5152ee66dfaba831c66d2db43210b00327c898fb213fbf597fc7beef0ee4"
        hex"c6e00bf33da88fc2d5a79147930aa72506ca6351e003826f142929670a0e6e70"
        hex"27b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed53380d139d95b3df"
        hex"650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353b"
        hex"a2bfe8a14cf10364a81a664bbc423001c24b8b70d0f89791c76c51a30654be30"
        hex"d192e819d6ef5218d69906245565a910f40e35855771202a106aa07032bbd1b8"
        hex"19a4c116b8d2d0c81e376c085141ab532748774cdf8eeb9934b0bcb5e19b48a8"
        hex"391c0cb3c5c95a634ed8aa4ae3418acb5b9cca4f7763e373682e6ff3d6b2b8a3"
        hex"748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec"
        hex"90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532b"
        hex"ca273eceea26619cd186b8c721c0c207eada7dd6cde0eb1ef57d4f7fee6ed178"
        hex"06f067aa72176fba0a637dc5a2c898a6113f9804bef90dae1b710b35131c471b"
        hex"28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc431d67c49c100d4c"
        hex"4cc5d4becb3e42b6597f299cfc657e2a5fcb6fab3ad6faec6c44198c4a475817";

    /// @notice The digest of `data`.
    /// @return high Its first 32 bytes.
    /// @return low Its last 32 bytes.
    function hash(bytes memory data) internal pure returns (bytes32 high, bytes32 low) {
        bytes memory padded = _pad(data);
        bytes memory constants = ROUND_CONSTANTS;
        uint256[80] memory schedule;
        uint256[8] memory state = [
            uint256(0x6a09e667f3bcc908),
            0xbb67ae8584caa73b,
            0x3c6ef372fe94f82b,
            0xa54ff53a5f1d36f1,
            0x510e527fade682d1,
            0x9b05688c2b3e6c1f,
            0x1f83d9abfb41bd6b,
            0x5be0cd19137e2179
        ];
        for (uint256 offset; offset < padded.length; offset += BLOCK) {
            _expand(schedule, padded, offset);
            _compress(state, schedule, constants);
        }
        high = bytes32((state[0] << 192) | (state[1] << 128) | (state[2] << 64) | state[3]);
        low = bytes32((state[4] << 192) | (state[5] << 128) | (state[6] << 64) | state[7]);
    }

    /// @dev One bit, zeros, and the length in bits as 128-bit number.
    function _pad(bytes memory data) private pure returns (bytes memory padded) {
        uint256 length = data.length;
        padded = new bytes(((length + 16) / BLOCK + 1) * BLOCK);
        uint256 last = padded.length;
        assembly ("memory-safe") {
            let start := add(padded, 32)
            mcopy(start, add(data, 32), length)
            mstore8(add(start, length), 0x80)
            let tail := add(padded, last)
            mstore(tail, or(mload(tail), shl(3, length)))
        }
    }

    /// @dev In the functions below a 64-bit word `x` is doubled to `x * (2^64 + 1)` so that a rotation is one shift;
    /// what that leaves above bit 63 is masked off once, at the end of a sum.
    function _expand(uint256[80] memory schedule, bytes memory padded, uint256 offset) private pure {
        assembly ("memory-safe") {
            let source := add(add(padded, 32), offset)
            let target := schedule
            for { let end := add(target, 512) } lt(target, end) { target := add(target, 32) } {
                mstore(target, shr(192, mload(source)))
                source := add(source, 8)
            }
            for { let end := add(schedule, 2560) } lt(target, end) { target := add(target, 32) } {
                let x := mload(sub(target, 480))
                let xx := or(x, shl(64, x))
                let sum := and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), WORD)
                x := mload(sub(target, 64))
                xx := or(x, shl(64, x))
                sum := add(sum, and(xor(xor(shr(19, xx), shr(61, xx)), shr(6, x)), WORD))
                sum := add(sum, add(mload(sub(target, 512)), mload(sub(target, 224))))
                mstore(target, and(sum, WORD))
            }
        }
    }

    function _compress(uint256[8] memory state, uint256[80] memory schedule, bytes memory constants) private pure {
        assembly ("memory-safe") {
            let a := mload(state)
            let b := mload(add(state, 32))
            let c := mload(add(state, 64))
            let d := mload(add(state, 96))
            let e := mload(add(state, 128))
            let f := mload(add(state, 160))
            let g := mload(add(state, 192))
            let h := mload(add(state, 224))
            for { let i := 0 } lt(i, 80) { i := add(i, 1) } {
                let x := or(e, shl(64, e))
                h := add(h, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), WORD))
                h := add(h, xor(g, and(e, xor(f, g))))
                h := add(h, shr(192, mload(add(add(constants, 32), shl(3, i)))))
                h := add(h, mload(add(schedule, shl(5, i))))

                x := or(a, shl(64, a))
                x := and(xor(xor(shr(28, x), shr(34, x)), shr(39, x)), WORD)
                x := add(add(x, h), or(and(a, b), and(c, or(a, b))))

                let next := and(add(d, h), WORD)
                h := g
                g := f
                f := e
                e := next
                d := c
                c := b
                b := a
                a := and(x, WORD)
            }
            mstore(state, and(add(mload(state), a), WORD))
            mstore(add(state, 32), and(add(mload(add(state, 32)), b), WORD))
            mstore(add(state, 64), and(add(mload(add(state, 64)), c), WORD))
            mstore(add(state, 96), and(add(mload(add(state, 96)), d), WORD))
            mstore(add(state, 128), and(add(mload(add(state, 128)), e), WORD))
            mstore(add(state, 160), and(add(mload(add(state, 160)), f), WORD))
            mstore(add(state, 192), and(add(mload(add(state, 192)), g), WORD))
            mstore(add(state, 224), and(add(mload(add(state, 224)), h), WORD))
        }
    }
}
