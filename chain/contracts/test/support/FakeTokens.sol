// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A token with whatever habits a test wants.
contract FakeToken is ERC20("Fake", "FAKE") {
    /// @dev Of every 100 units, so many do not arrive.
    uint256 public fee;
    bool public returnsFalse;
    bool public reverts;
    /// @dev What is called on every transfer, as an ERC-777 hook is, by whom it concerns.
    Hook public hook;

    error Refused();

    function make(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setFee(uint256 percent) external {
        fee = percent;
    }

    function setReturnsFalse(bool does) external {
        returnsFalse = does;
    }

    function setReverts(bool does) external {
        reverts = does;
    }

    function setHook(Hook target) external {
        hook = target;
    }

    /// @dev As a token that takes from the bridge what it holds.
    function seize(address from, uint256 amount) external {
        _burn(from, amount);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return !returnsFalse && super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return !returnsFalse && super.transferFrom(from, to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (reverts) revert Refused();
        if (from == address(0) || to == address(0)) return super._update(from, to, amount);
        uint256 lost = (amount * fee) / 100;
        super._update(from, to, amount - lost);
        if (lost > 0) super._update(from, address(0), lost);
        if (address(hook) != address(0)) hook.moved();
    }
}

/// @notice Calls what it was told to, once, whenever coin or a token moves to it, and does not mind what comes of it.
contract Hook {
    address public target;
    bytes public data;
    bool public succeeded;
    bytes public answer;
    bool public refuses;

    error NoCoin();

    function arm(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function setRefuses(bool does) external {
        refuses = does;
    }

    /// @dev Whatever a test wants this account to do.
    function act(address target_, uint256 value, bytes calldata data_) external payable {
        (bool success, bytes memory reason) = target_.call{value: value}(data_);
        if (success) return;
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }

    function moved() public {
        if (target == address(0)) return;
        address called = target;
        target = address(0);
        (succeeded, answer) = called.call(data);
    }

    receive() external payable {
        if (refuses) revert NoCoin();
        moved();
    }
}
