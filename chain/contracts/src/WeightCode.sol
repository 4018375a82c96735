// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Weights in 64 bits
/// @notice mantissa * 2^exponent, 56 bits of mantissa above 8 bits of exponent. {round} gives the largest number not above
/// a weight that has a code, less by one part in 2^55 at most.
/// @dev Leaves room for signing key and epoch in the same word, which halves the storage reads of a certificate check.
/// What has no code is never a weight, so nobody can make a check dearer by a deposit of one wei.
library WeightCode {
    uint256 private constant MANTISSA_BITS = 56;

    /// @notice The largest weight with a code that is not above `weight`.
    function round(uint256 weight) internal pure returns (uint256) {
        uint256 exponent = _exponentOf(weight);
        return (weight >> exponent) << exponent;
    }

    /// @notice The code of a weight that {round} has returned.
    function encode(uint256 weight) internal pure returns (uint64) {
        uint256 exponent = _exponentOf(weight);
        return uint64(((weight >> exponent) << 8) | exponent);
    }

    /// @notice The weight of a code.
    function decode(uint64 code) internal pure returns (uint256) {
        return (uint256(code) >> 8) << (code & 0xff);
    }

    function _exponentOf(uint256 weight) private pure returns (uint256) {
        uint256 bits = weight == 0 ? 0 : Math.log2(weight) + 1;
        return bits > MANTISSA_BITS ? bits - MANTISSA_BITS : 0;
    }
}
