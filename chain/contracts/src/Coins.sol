// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";

import {Mode} from "./BridgeTokens.sol";
import {IBridge} from "./IBridge.sol";
import {IMintable} from "./IMintable.sol";

/// @title Tokens and native coin, taken and paid
library Coins {
    using SafeERC20 for IERC20;

    /// @notice Takes `amount` from the caller; zero as `token` is native coin.
    function take(address token, Mode mode, uint256 amount) internal {
        if (msg.value != (token == address(0) ? amount : 0)) revert IBridge.WrongValue();
        if (token == address(0)) return;
        if (mode == Mode.Mint) return IMintable(token).burnFrom(msg.sender, amount);
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert IBridge.ReceivedLess(received);
    }

    /// @notice Pays `amount` to `to`, which gets all gas there is.
    function pay(address token, Mode mode, address to, uint256 amount) internal {
        if (token == address(0)) return Address.sendValue(payable(to), amount);
        if (mode == Mode.Mint) return IMintable(token).mint(to, amount);
        IERC20(token).safeTransfer(to, amount);
    }
}
