// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";

import {IMintable} from "./IMintable.sol";

/// @title A token of another chain
/// @notice Its holders can take it back over the bridge. What is burned without the bridge stays locked there for ever.
contract BridgedToken is ERC20Burnable, IMintable {
    /// @notice Who alone makes it.
    address public immutable bridge;
    uint8 private immutable _decimals;

    /// @notice Only the bridge may do this.
    error NotBridge();

    /// @param name Name of the token.
    /// @param symbol Symbol of the token.
    /// @param decimals_ Decimals of the token.
    /// @param minter The bridge.
    constructor(string memory name, string memory symbol, uint8 decimals_, address minter) ERC20(name, symbol) {
        (_decimals, bridge) = (decimals_, minter);
    }

    /// @inheritdoc IMintable
    function mint(address to, uint256 amount) external {
        if (msg.sender != bridge) revert NotBridge();
        _mint(to, amount);
    }

    /// @inheritdoc IMintable
    function burnFrom(address from, uint256 amount) public override(ERC20Burnable, IMintable) {
        super.burnFrom(from, amount);
    }

    /// @notice Decimals of the token.
    function decimals() public view override returns (uint8) {
        return _decimals;
    }
}
