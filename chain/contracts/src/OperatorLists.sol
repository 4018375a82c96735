// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CodeStorage} from "./CodeStorage.sol";

/// @title Addresses in ascending order, kept as contract code
/// @notice For registries that know their operators from nowhere else.
library OperatorLists {
    uint256 private constant SIZE = 20;

    /// @notice Stores a list.
    function write(address[] memory operators) internal returns (address pointer) {
        uint256 length = operators.length;
        // One word more: each address is written as a word, of which the next one replaces the end.
        bytes memory content = new bytes(length * SIZE + 32);
        for (uint256 i; i < length; ++i) {
            uint256 operator = uint160(operators[i]);
            assembly ("memory-safe") {
                mstore(add(add(content, 32), mul(i, SIZE)), shl(96, operator))
            }
        }
        assembly ("memory-safe") {
            mstore(content, mul(length, SIZE))
        }
        return CodeStorage.write(content);
    }

    /// @notice The whole list.
    function read(address pointer) internal view returns (address[] memory operators) {
        bytes memory content = CodeStorage.read(pointer);
        uint256 length = content.length / SIZE;
        operators = new address[](length);
        for (uint256 i; i < length; ++i) {
            address operator;
            assembly ("memory-safe") {
                // The address in the lower 20 of these 32 bytes; content or its length is before them.
                operator := and(mload(add(add(content, SIZE), mul(i, SIZE))), sub(shl(160, 1), 1))
            }
            operators[i] = operator;
        }
    }

    /// @notice Where `operator` is in the list, by binary search.
    function find(address pointer, address operator) internal view returns (bool found, uint256 index) {
        uint256 high = CodeStorage.size(pointer) / SIZE;
        while (index < high) {
            uint256 middle = (index + high) / 2;
            address candidate = address(uint160(CodeStorage.readAt(pointer, middle * SIZE, SIZE)));
            if (candidate == operator) return (true, middle);
            if (candidate > operator) high = middle;
            else index = middle + 1;
        }
    }
}
