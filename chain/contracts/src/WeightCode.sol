// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Weights in 64 bits
/// @notice mantissa * 2^exponent, 56 bits of mantissa above 8 bits of exponent, and only if that is exact.
/// @dev Leaves room for signing key and epoch in the same word, which halves the storage reads of a certificate check.
/// Every number below 2^56 is exact, and so is any amount of coins with few significant digits. Others are marked
/// {WIDE} and kept beside.
library WeightCode {
    /// @notice Stands for a weight that has no exact code.
    uint64 internal constant WIDE = type(uint64).max;

    uint256 private constant MANTISSA_BITS = 56;

    /// @notice The code of `weight`, or {WIDE}.
    function encode(uint256 weight) internal pure returns (uint64) {
        uint256 bits = weight == 0 ? 0 : Math.log2(weight) + 1;
        uint256 exponent = bits > MANTISSA_BITS ? bits - MANTISSA_BITS : 0;
        uint256 mantissa = weight >> exponent;
        if (mantissa << exponent != weight) return WIDE;
        return uint64((mantissa << 8) | exponent);
    }

    /// @notice The weight of a code other than {WIDE}.
    function decode(uint64 code) internal pure returns (uint256) {
        return (uint256(code) >> 8) << (code & 0xff);
    }
}
