// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Sha512} from "./Sha512.sol";

/// @title Ed25519 signature verification (RFC 8032, without cofactor)
/// @notice Refuses scalars not below the group order, encodings of points that are not canonical, and keys of small
/// order, for which a signature could be made without any secret.
/// @dev R is never decoded: s * B - k * A is encoded and compared with it, which leaves R one valid form.
library Ed25519 {
    /// @dev Field prime 2^255 - 19.
    uint256 private constant P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed;
    /// @dev Order of the base point.
    uint256 private constant L = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed;
    /// @dev 2^256 mod L.
    uint256 private constant R_MOD_L = 0x0ffffffffffffffffffffffffffffffec6ef5bf4737dcf70d6ec31748d98951d;
    /// @dev Curve constant d of -x^2 + y^2 = 1 + d x^2 y^2.
    uint256 private constant D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3;
    uint256 private constant TWO_D = 0x2406d9dc56dffce7198e80f2eef3d13000e0149a8283b156ebd69b9426b2f159;
    uint256 private constant SQRT_MINUS_ONE = 0x2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0;
    uint256 private constant BASE_X = 0x216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a;
    uint256 private constant BASE_Y = 0x6666666666666666666666666666666666666666666666666666666666666658;
    /// @dev y of a point of order 8; the others of that order have -y.
    uint256 private constant ORDER_8_Y = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826;

    uint256 private constant SIGN_BIT = 1 << 255;

    /// @notice Whether `signature` is `key`'s signature on `message`. Never reverts.
    /// @param key Encoded public key.
    /// @param message What was signed, not hashed.
    /// @param signature R and s, 64 bytes.
    function verify(bytes32 key, bytes memory message, bytes calldata signature) internal view returns (bool) {
        if (signature.length != 64) return false;
        bytes32 r = bytes32(signature[:32]);
        uint256 s = _reverse(uint256(bytes32(signature[32:])));
        if (s >= L) return false;
        (bool valid, uint256 x, uint256 y) = _decode(key);
        if (!valid || _isOfSmallOrder(y)) return false;

        uint256 k = _challenge(r, key, message);
        return _encodedDifference(s, k, x, y) == r;
    }

    /// @dev SHA-512 of R, key and message as a little-endian number, mod L.
    function _challenge(bytes32 r, bytes32 key, bytes memory message) private pure returns (uint256) {
        (bytes32 first, bytes32 second) = Sha512.hash(abi.encodePacked(r, key, message));
        uint256 low = _reverse(uint256(first));
        uint256 high = _reverse(uint256(second));
        return addmod(low, mulmod(high, R_MOD_L, L), L);
    }

    /// @dev RFC 8032, 5.1.3.
    function _decode(bytes32 encoded) private view returns (bool valid, uint256 x, uint256 y) {
        y = _reverse(uint256(encoded));
        uint256 sign = y >> 255;
        y &= ~SIGN_BIT;
        if (y >= P) return (false, 0, 0);

        uint256 yy = mulmod(y, y, P);
        uint256 u = addmod(yy, P - 1, P);
        uint256 v = addmod(mulmod(D, yy, P), 1, P);
        // Candidate root of u / v: u v^3 (u v^7)^((p - 5) / 8).
        uint256 uv3 = mulmod(u, mulmod(v, mulmod(v, v, P), P), P);
        uint256 uv7 = mulmod(uv3, mulmod(mulmod(v, v, P), mulmod(v, v, P), P), P);
        x = mulmod(uv3, _power(uv7, (P - 5) / 8), P);
        uint256 vxx = mulmod(v, mulmod(x, x, P), P);
        if (vxx != u) {
            if (addmod(vxx, u, P) != 0) return (false, 0, 0);
            x = mulmod(x, SQRT_MINUS_ONE, P);
        }
        if (x == 0 && sign == 1) return (false, 0, 0);
        if (x & 1 != sign) x = P - x;
        return (true, x, y);
    }

    function _isOfSmallOrder(uint256 y) private pure returns (bool) {
        return y <= 1 || y == P - 1 || y == ORDER_8_Y || y == P - ORDER_8_Y;
    }

    /// @dev Encoding of s * B - k * (x, y).
    function _encodedDifference(uint256 s, uint256 k, uint256 x, uint256 y) private view returns (bytes32) {
        (uint256 resultX, uint256 resultY, uint256 resultZ) = _sumOfProducts(s, k, _table(P - x, y));
        uint256 inverse = _power(resultZ, P - 2);
        uint256 sign = mulmod(resultX, inverse, P) & 1;
        return bytes32(_reverse(mulmod(resultY, inverse, P) | (sign << 255)));
    }

    /// @dev Base point, (x, y), and their sum.
    function _table(uint256 x, uint256 y) private pure returns (uint256[12] memory table) {
        _store(table, 0, BASE_X, BASE_Y, 1, mulmod(BASE_X, BASE_Y, P));
        _store(table, 4, x, y, 1, mulmod(x, y, P));
        // Affine addition; on this curve the formula has no exceptions.
        uint256 a = mulmod(BASE_X, y, P);
        uint256 b = mulmod(x, BASE_Y, P);
        uint256 numeratorX = addmod(a, b, P);
        uint256 numeratorY = addmod(mulmod(BASE_Y, y, P), mulmod(BASE_X, x, P), P);
        uint256 product = mulmod(D, mulmod(a, b, P), P);
        uint256 plus = addmod(1, product, P);
        uint256 minus = addmod(1, P - product, P);
        _store(
            table,
            8,
            mulmod(numeratorX, minus, P),
            mulmod(numeratorY, plus, P),
            mulmod(plus, minus, P),
            mulmod(numeratorX, numeratorY, P)
        );
    }

    /// @dev Extended coordinates in the form that an addition needs: y - x, y + x, 2 z, 2 d t.
    function _store(uint256[12] memory table, uint256 index, uint256 x, uint256 y, uint256 z, uint256 t) private pure {
        table[index] = addmod(y, P - x, P);
        table[index + 1] = addmod(y, x, P);
        table[index + 2] = addmod(z, z, P);
        table[index + 3] = mulmod(TWO_D, t, P);
    }

    /// @dev s times the first point of `table` plus k times its second, both bits at a time, in extended coordinates;
    /// s and k are below 2^253. Sums of two reduced numbers fit a word and need no reduction of their own.
    function _sumOfProducts(
        uint256 s,
        uint256 k,
        uint256[12] memory table
    ) private pure returns (uint256 x, uint256 y, uint256 z) {
        y = 1;
        z = 1;
        assembly ("memory-safe") {
            let p := P
            for { let i := 253 } i {} {
                i := sub(i, 1)
                let a := mulmod(x, x, p)
                let b := mulmod(y, y, p)
                let h := add(a, b)
                let g := add(a, sub(p, b))
                let f := mulmod(z, z, p)
                f := addmod(g, add(f, f), p)
                let e := add(x, y)
                e := addmod(h, sub(p, mulmod(e, e, p)), p)
                x := mulmod(e, f, p)
                y := mulmod(g, h, p)
                z := mulmod(f, g, p)

                let entry := or(and(shr(i, s), 1), shl(1, and(shr(i, k), 1)))
                if entry {
                    entry := add(table, shl(7, sub(entry, 1)))
                    a := mulmod(add(y, sub(p, x)), mload(entry), p)
                    b := mulmod(add(x, y), mload(add(entry, 32)), p)
                    let c := mulmod(mulmod(e, h, p), mload(add(entry, 96)), p)
                    let d := mulmod(z, mload(add(entry, 64)), p)
                    e := add(b, sub(p, a))
                    f := add(d, sub(p, c))
                    g := add(d, c)
                    h := add(b, a)
                    x := mulmod(e, f, p)
                    y := mulmod(g, h, p)
                    z := mulmod(f, g, p)
                }
            }
        }
    }

    function _power(uint256 base, uint256 exponent) private view returns (uint256 result) {
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, 32)
            mstore(add(input, 32), 32)
            mstore(add(input, 64), 32)
            mstore(add(input, 96), base)
            mstore(add(input, 128), exponent)
            mstore(add(input, 160), P)
            // The precompile fails on lack of gas only, and then so does everything after it.
            if iszero(staticcall(gas(), 5, input, 192, 0, 32)) { revert(0, 0) }
            result := mload(0)
        }
    }

    /// @dev Little-endian numbers to and fro.
    function _reverse(uint256 v) private pure returns (uint256) {
        uint256 mask = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
        v = ((v >> 8) & mask) | ((v & mask) << 8);
        mask = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
        v = ((v >> 16) & mask) | ((v & mask) << 16);
        mask = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
        v = ((v >> 32) & mask) | ((v & mask) << 32);
        mask = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
        v = ((v >> 64) & mask) | ((v & mask) << 64);
        return (v >> 128) | (v << 128);
    }
}
