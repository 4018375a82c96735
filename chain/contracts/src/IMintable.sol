// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title What a bridge needs of a token that it makes and burns
/// @dev Both revert where they fail; the bridge looks at nothing that they return.
interface IMintable {
    /// @notice Makes `amount` for `to`. For the bridge.
    function mint(address to, uint256 amount) external;

    /// @notice Burns `amount` of what `from` has allowed the caller to take.
    function burnFrom(address from, uint256 amount) external;
}
