// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EigenOperatorSet, IAllocationManager, IDelegationManager} from "../../src/EigenWeightSource.sol";

/// @notice EigenLayer's AllocationManager as far as one operator set sees it, with its delays: what is allocated counts
/// after a while, what is deallocated, withdrawn or left behind by an exit stays slashable for a while.
contract FakeAllocations is IAllocationManager, IDelegationManager {
    struct Allocation {
        uint256 magnitude;
        // What it becomes at `effectBlock`; nothing is pending where that is 0.
        uint256 next;
        uint256 effectBlock;
    }

    struct QueuedShares {
        uint256 shares;
        uint256 queuedAt;
    }

    error OperatorNotSlashable();
    error InvalidCaller();
    error InvalidWadToSlash();
    error StrategiesMustBeInAscendingOrder();
    error StrategyNotInOperatorSet();
    error ModificationAlreadyPending();
    error Paused();

    uint256 internal constant WAD = 1e18;

    uint32 public immutable DEALLOCATION_DELAY;
    uint256 internal immutable _allocationDelay;
    address internal immutable _avs;
    uint32 internal immutable _id;

    address public slasher;
    uint32 public immutable minWithdrawalDelayBlocks;
    bool public paused;
    /// @dev In magnitude over all slashes.
    mapping(address operator => mapping(address strategy => uint256)) public slashed;
    mapping(address operator => mapping(address strategy => uint256)) public slashedShares;
    mapping(address strategy => bool) internal _counts;
    mapping(address operator => bool) internal _registered;
    mapping(address operator => uint256) internal _slashableUntil;
    mapping(address operator => mapping(address strategy => uint256)) internal _shares;
    mapping(address operator => mapping(address strategy => QueuedShares)) internal _queued;
    mapping(address operator => mapping(address strategy => uint256)) internal _maxMagnitude;
    mapping(address operator => mapping(address strategy => Allocation)) internal _allocations;

    constructor(
        EigenOperatorSet memory set,
        address[] memory strategies,
        uint32 deallocationDelay,
        uint32 withdrawalDelay,
        uint256 allocationDelay
    ) {
        (_avs, _id) = (set.avs, set.id);
        (DEALLOCATION_DELAY, _allocationDelay) = (deallocationDelay, allocationDelay);
        minWithdrawalDelayBlocks = withdrawalDelay;
        for (uint256 i; i < strategies.length; ++i) {
            _counts[strategies[i]] = true;
        }
    }

    // What its operators, their delegators and the AVS do

    function delegation() external view returns (IDelegationManager) {
        return this;
    }

    function setSlasher(address who) external {
        slasher = who;
    }

    function pause(bool isPaused) external {
        paused = isPaused;
    }

    function removeStrategy(address strategy) external {
        _counts[strategy] = false;
    }

    function register(address operator) external {
        require(!_isSlashable(operator));
        _registered[operator] = true;
    }

    function deregister(address operator) external {
        require(_registered[operator]);
        _registered[operator] = false;
        _slashableUntil[operator] = block.number + DEALLOCATION_DELAY;
    }

    function delegate(address operator, address strategy, uint256 shares) external {
        _shares[operator][strategy] += shares;
        if (_maxMagnitude[operator][strategy] == 0) _maxMagnitude[operator][strategy] = WAD;
    }

    /// @dev Queues a withdrawal, one at a time.
    function undelegate(address operator, address strategy, uint256 shares) external {
        _shares[operator][strategy] -= shares;
        _queued[operator][strategy] = QueuedShares(shares, block.number);
    }

    function allocate(address operator, address strategy, uint256 magnitude) external {
        Allocation memory present = _updated(operator, strategy);
        if (present.effectBlock != 0) revert ModificationAlreadyPending();
        if (magnitude >= present.magnitude) {
            present.effectBlock = block.number + _allocationDelay;
        } else {
            // Slashable in the block of the call and for the whole delay after it.
            present.effectBlock = _isSlashable(operator) ? block.number + DEALLOCATION_DELAY + 1 : block.number;
        }
        present.next = magnitude;
        _allocations[operator][strategy] = present;
    }

    // What its callers see

    function isMemberOfOperatorSet(address operator, EigenOperatorSet memory set) external view returns (bool) {
        return _isHere(set) && _registered[operator];
    }

    function getMinimumSlashableStake(
        EigenOperatorSet memory set,
        address[] memory operators,
        address[] memory strategies,
        uint32 futureBlock
    ) external view returns (uint256[][] memory stakes) {
        stakes = new uint256[][](operators.length);
        for (uint256 i; i < operators.length; ++i) {
            stakes[i] = new uint256[](strategies.length);
            if (!_isHere(set) || !_isSlashable(operators[i])) continue;
            for (uint256 j; j < strategies.length; ++j) {
                Allocation memory present = _updated(operators[i], strategies[j]);
                bool shrinks = present.effectBlock != 0 && present.next < present.magnitude;
                uint256 magnitude = shrinks && present.effectBlock <= futureBlock ? present.next : present.magnitude;
                uint256 most = _maxMagnitude[operators[i]][strategies[j]];
                if (most != 0) stakes[i][j] = (_shares[operators[i]][strategies[j]] * magnitude) / most;
            }
        }
    }

    function slashOperator(
        address avs,
        SlashingParams calldata params
    ) external returns (uint256, uint256[] memory shares) {
        if (paused) revert Paused();
        require(avs == _avs && params.operatorSetId == _id && params.strategies.length == params.wadsToSlash.length);
        if (!_isSlashable(params.operator)) revert OperatorNotSlashable();
        if (msg.sender != slasher) revert InvalidCaller();
        shares = new uint256[](params.strategies.length);
        for (uint256 i; i < shares.length; ++i) {
            address strategy = params.strategies[i];
            if (i > 0 && strategy <= params.strategies[i - 1]) revert StrategiesMustBeInAscendingOrder();
            if (!_counts[strategy]) revert StrategyNotInOperatorSet();
            shares[i] = _slash(params.operator, strategy, params.wadsToSlash[i]);
        }
        return (1, shares);
    }

    function _slash(address operator, address strategy, uint256 wads) private returns (uint256 shares) {
        if (wads == 0 || wads > WAD) revert InvalidWadToSlash();
        Allocation memory present = _updated(operator, strategy);
        uint256 taken = (present.magnitude * wads) / WAD;
        if (taken == 0) return 0;
        uint256 most = _maxMagnitude[operator][strategy];
        shares = (_shares[operator][strategy] * taken) / most;
        _shares[operator][strategy] -= shares;
        // What waits to be withdrawn is slashed, too, until it may leave.
        QueuedShares storage queued = _queued[operator][strategy];
        if (block.number <= queued.queuedAt + minWithdrawalDelayBlocks) {
            uint256 leaving = (queued.shares * taken) / most;
            queued.shares -= leaving;
            shares += leaving;
        }
        slashedShares[operator][strategy] += shares;
        _maxMagnitude[operator][strategy] -= taken;
        present.magnitude -= taken;
        present.next -= (present.next * wads) / WAD;
        _allocations[operator][strategy] = present;
        slashed[operator][strategy] += taken;
    }

    function _updated(address operator, address strategy) private view returns (Allocation memory present) {
        present = _allocations[operator][strategy];
        if (present.effectBlock == 0 || block.number < present.effectBlock) return present;
        return Allocation(present.next, 0, 0);
    }

    function _isSlashable(address operator) private view returns (bool) {
        return _registered[operator] || block.number <= _slashableUntil[operator];
    }

    function _isHere(EigenOperatorSet memory set) private view returns (bool) {
        return set.avs == _avs && set.id == _id;
    }
}
