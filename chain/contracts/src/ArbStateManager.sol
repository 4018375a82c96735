// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {StateManager} from "./StateManager.sol";

/// @notice The part of Arbitrum's system contract that is used here.
interface IArbSys {
    /// @notice Number of the chain's own block.
    function arbBlockNumber() external view returns (uint256);
}

/// @title Key/value pairs with history, for chains of the Arbitrum kind
/// @notice There `block.number` is about that of the parent chain; entries carry the chain's own block, as its RPC counts.
contract ArbStateManager is StateManager {
    /// @dev Where the system contract is, on every such chain.
    IArbSys private constant ARB_SYS = IArbSys(address(100));

    function _blockNumber() internal view override returns (uint64) {
        return uint64(ARB_SYS.arbBlockNumber());
    }
}
