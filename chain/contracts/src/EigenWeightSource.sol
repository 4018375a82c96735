// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IEpochManager} from "./IEpochManager.sol";
import {IStakeRegistry} from "./IStakeRegistry.sol";
import {IWeightSource} from "./IWeightSource.sol";

/// @notice An operator set of EigenLayer, as its contracts name it.
struct EigenOperatorSet {
    address avs;
    uint32 id;
}

/// @notice The part of EigenLayer's AllocationManager that is used here.
interface IAllocationManager {
    /// @notice What {slashOperator} takes.
    struct SlashingParams {
        address operator;
        uint32 operatorSetId;
        address[] strategies;
        uint256[] wadsToSlash;
        string description;
    }

    /// @notice Stake that can still be slashed at `futureBlock` if nothing more is deallocated, by operator and strategy.
    function getMinimumSlashableStake(
        EigenOperatorSet memory operatorSet,
        address[] memory operators,
        address[] memory strategies,
        uint32 futureBlock
    ) external view returns (uint256[][] memory);

    /// @notice Slashes. The caller is the slasher of the operator set.
    function slashOperator(
        address avs,
        SlashingParams calldata params
    ) external returns (uint256 slashId, uint256[] memory shares);

    /// @notice Whether the operator is registered for the set.
    function isMemberOfOperatorSet(address operator, EigenOperatorSet memory operatorSet) external view returns (bool);

    /// @notice Blocks for which stake that was deallocated can still be slashed.
    function DEALLOCATION_DELAY() external view returns (uint32);

    /// @notice Where stake is delegated, and asked back.
    function delegation() external view returns (IDelegationManager);
}

/// @notice The part of EigenLayer's DelegationManager that is used here.
interface IDelegationManager {
    /// @notice Blocks for which shares whose withdrawal was queued can still be slashed.
    function minWithdrawalDelayBlocks() external view returns (uint32);
}

/// @title Stake of EigenLayer's operator sets
/// @notice An operator weighs what it has allocated to one operator set and can be slashed for, by strategy times its
/// multiplier. This contract is that set's slasher. EigenLayer tells nobody of changes and holds nothing back, it only lets
/// stake be slashed for a while after it was deallocated or its withdrawal was queued: the shorter of these two delays is
/// what there is. A third of it is for weights that were not read again, {freshEpochs} at most; a third is what certificates
/// and evidence count on; a third is for the verdict.
contract EigenWeightSource is IWeightSource {
    /// @notice Sum of all multipliers.
    uint256 public constant MULTIPLIERS = 10_000;

    uint256 private constant WAD = 1e18;
    uint256 private constant BIPS = 10_000;

    uint256 private immutable _delay;

    /// @notice EigenLayer.
    IAllocationManager public immutable allocations;
    /// @notice The AVS whose operator set counts.
    address public immutable avs;
    /// @notice Number of that set.
    uint32 public immutable operatorSetId;
    /// @inheritdoc IWeightSource
    address public immutable registry;
    /// @inheritdoc IWeightSource
    uint64 public immutable withdrawalBlocks;
    /// @inheritdoc IWeightSource
    uint64 public immutable withdrawalSeconds;
    /// @inheritdoc IWeightSource
    uint32 public immutable freshEpochs;
    /// @inheritdoc IWeightSource
    uint64 public immutable freezeBlocks;

    /// @notice The block from which on `operator` waits for its verdict; 0 if it does not.
    mapping(address operator => uint64) public frozenSince;
    address[] private _strategies;
    mapping(address strategy => uint256) private _multipliers;

    /// @notice `operator` waits for its verdict. Its stake can be slashed meanwhile.
    event Frozen(address indexed operator);
    /// @notice The verdict took `bips` hundredths of a percent of what `operator` had allocated.
    event Unfrozen(address indexed operator, uint16 bips);

    /// @notice Strategies ascend, have a multiplier each, and these sum up to {MULTIPLIERS}.
    error InvalidStrategies();
    /// @notice A third of EigenLayer's shorter delay must cover three epochs, and two with their grace periods.
    error DelayTooShort();

    /// @param manager Schedule of the registry.
    /// @param registry_ The registry, which may be yet to be made at this address.
    /// @param eigen EigenLayer's AllocationManager.
    /// @param set The operator set whose slasher this contract is.
    /// @param counted Strategies that count, ascending, as EigenLayer wants them.
    /// @param multipliers What each counts, in parts of {MULTIPLIERS}.
    /// @param blockSeconds Least seconds per block of this chain, of which EigenLayer counts its delays.
    constructor(
        IEpochManager manager,
        address registry_,
        IAllocationManager eigen,
        EigenOperatorSet memory set,
        address[] memory counted,
        uint256[] memory multipliers,
        uint64 blockSeconds
    ) {
        _setStrategies(counted, multipliers);
        registry = registry_;
        allocations = eigen;
        (avs, operatorSetId) = (set.avs, set.id);
        _delay = Math.min(eigen.DEALLOCATION_DELAY(), eigen.delegation().minWithdrawalDelayBlocks());
        uint64 third = uint64(_delay) / 3;
        uint64 length = manager.epochLength();
        uint64 epochs = third / length;
        if (epochs < 3 || third < 2 * (length + manager.gracePeriod()) || blockSeconds == 0) revert DelayTooShort();
        // Two less: a weight is read up to an epoch before it counts, and the time of a set is noted up to one late.
        freshEpochs = uint32(epochs - 2);
        withdrawalBlocks = third;
        withdrawalSeconds = third * blockSeconds;
        freezeBlocks = third;
    }

    /// @inheritdoc IWeightSource
    function freeze(address operator) external {
        _onlyJudge();
        frozenSince[operator] = uint64(block.number);
        emit Frozen(operator);
    }

    /// @inheritdoc IWeightSource
    function unfreeze(address operator, uint16 bips) external {
        _onlyJudge();
        uint64 since = frozenSince[operator];
        if (since == 0) revert NotFrozen();
        if (bips > BIPS) revert TooMuch();
        if (block.number >= since + freezeBlocks) bips = 0;
        delete frozenSince[operator];
        if (bips > 0) _slash(operator, bips);
        emit Unfrozen(operator, bips);
    }

    /// @inheritdoc IWeightSource
    /// @dev What is being deallocated can be slashed for what was signed before, but backs nothing new: it is free before
    /// the delay is over, which EigenLayer sees when it is asked for the far end of the delay.
    function weightOf(address operator) external view returns (uint256 weight) {
        EigenOperatorSet memory set = EigenOperatorSet(avs, operatorSetId);
        if (!allocations.isMemberOfOperatorSet(operator, set)) return 0;
        address[] memory operators = new address[](1);
        operators[0] = operator;
        uint256[] memory stakes = allocations.getMinimumSlashableStake(
            set,
            operators,
            _strategies,
            uint32(block.number + _delay - 1)
        )[0];
        for (uint256 i; i < stakes.length; ++i) {
            weight += (stakes[i] * _multipliers[_strategies[i]]) / MULTIPLIERS;
        }
    }

    /// @notice What counts, and how much of it.
    function strategies() external view returns (address[] memory list, uint256[] memory multipliers) {
        list = _strategies;
        multipliers = new uint256[](list.length);
        for (uint256 i; i < list.length; ++i) {
            multipliers[i] = _multipliers[list[i]];
        }
    }

    function _slash(address operator, uint16 bips) private {
        uint256[] memory wads = new uint256[](_strategies.length);
        for (uint256 i; i < wads.length; ++i) {
            wads[i] = (uint256(bips) * WAD) / BIPS;
        }
        allocations.slashOperator(
            avs,
            IAllocationManager.SlashingParams(operator, operatorSetId, _strategies, wads, "equivocation")
        );
    }

    function _setStrategies(address[] memory list, uint256[] memory multipliers) private {
        uint256 sum;
        if (list.length != multipliers.length) revert InvalidStrategies();
        for (uint256 i; i < list.length; ++i) {
            if (list[i] <= (i == 0 ? address(0) : list[i - 1]) || multipliers[i] == 0) revert InvalidStrategies();
            _multipliers[list[i]] = multipliers[i];
            sum += multipliers[i];
        }
        if (sum != MULTIPLIERS) revert InvalidStrategies();
        _strategies = list;
    }

    function _onlyJudge() private view {
        if (msg.sender != address(IStakeRegistry(registry).judge())) revert NotJudge();
    }
}
