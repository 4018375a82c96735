// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Code that stops where it looks at what it should not
library Opcodes {
    bytes1 private constant GAS = 0x5a;
    bytes1 private constant INVALID = 0xfe;

    /// @notice `code` in which every instruction that ERC-7562 forbids while an account is validated is an invalid one:
    /// TIMESTAMP, NUMBER, and all else that depends on the block; GAS where no call follows.
    function withoutForbidden(bytes memory code) internal pure returns (bytes memory left) {
        left = bytes.concat(code);
        for (uint256 i; i < code.length; ++i) {
            uint8 opcode = uint8(code[i]);
            if (opcode >= 0x60 && opcode <= 0x7f) i += opcode - 0x5f;
            else if (_isForbidden(opcode)) left[i] = INVALID;
            else if (code[i] == GAS && !_isCall(code[i + 1])) left[i] = INVALID;
        }
    }

    function _isForbidden(uint8 opcode) private pure returns (bool) {
        bool isOfBlock = opcode >= 0x40 && opcode <= 0x4a && opcode != 0x46; // CHAINID is no secret
        bool isOfCaller = opcode == 0x31 || opcode == 0x32 || opcode == 0x3a; // BALANCE, ORIGIN, GASPRICE
        return isOfBlock || isOfCaller || opcode == 0xf0 || opcode == 0xf5 || opcode == 0xff;
    }

    function _isCall(bytes1 opcode) private pure returns (bool) {
        return opcode == 0xf1 || opcode == 0xf2 || opcode == 0xf4 || opcode == 0xfa;
    }
}
