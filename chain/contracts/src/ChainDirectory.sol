// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/// @notice What is known of a chain.
/// @dev `genesis` is the hash of its first block (of the first Byron block's header on Cardano), `stateManager` the contract
/// or program whose values are attested, left-padded where it is an EVM address; zero where there is none.
/// `historySlot` is the storage slot of its histories, of use on EVM chains only.
struct Chain {
    ChainDirectory.Family family;
    ChainDirectory.BlockNumbers blockNumbers;
    bytes32 genesis;
    bytes32 stateManager;
    uint256 historySlot;
}

/// @title Which chain a chain id means, and which contract is read there
/// @notice A statement names a chain by its id alone. What the id stands for is written here, once and for ever, so that
/// every operator reads the same contract, whatever its configuration says. Chains without an EIP-155 id (of the SVM
/// and Cardano families) get their ids here: any that no EVM chain has.
contract ChainDirectory is Ownable2Step {
    /// @notice How a chain works.
    enum Family {
        None,
        Evm,
        Svm,
        Cardano
    }

    /// @notice What `block.number` is to the contracts of a chain, and so the block of an entry.
    enum BlockNumbers {
        /// The number of the chain's own block.
        Own,
        /// The number of a block of the parent chain, as on rollups of the Arbitrum kind: entries are found by their time,
        /// to the second. Only for state managers that make an entry of its own for each time at which they are written.
        Parent
    }

    mapping(uint32 chainId => Chain) private _chains;
    uint32[] private _ids;

    /// @notice An entry was written.
    event ChainAdded(uint32 indexed chainId, Chain chain);

    /// @notice There is an entry for this id, and entries never change.
    error AlreadyAdded(uint32 chainId);
    /// @notice A chain needs an id, a family and a genesis.
    error InvalidChain();
    /// @notice There is no entry for this id.
    error UnknownChain(uint32 chainId);

    /// @param owner Who may add entries; nobody may change one.
    constructor(address owner) Ownable(owner) {}

    /// @notice Writes an entry. For the owner.
    function add(uint32 chainId, Chain calldata chain) external onlyOwner {
        if (_chains[chainId].family != Family.None) revert AlreadyAdded(chainId);
        if (chainId == 0 || chain.family == Family.None || chain.genesis == 0) revert InvalidChain();
        _chains[chainId] = chain;
        _ids.push(chainId);
        emit ChainAdded(chainId, chain);
    }

    /// @notice The entry for an id.
    function get(uint32 chainId) external view returns (Chain memory chain) {
        chain = _chains[chainId];
        if (chain.family == Family.None) revert UnknownChain(chainId);
    }

    /// @notice All ids, in the order in which they were added.
    function ids() external view returns (uint32[] memory) {
        return _ids;
    }
}
