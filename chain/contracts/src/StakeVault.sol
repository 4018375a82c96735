// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IEpochManager} from "./IEpochManager.sol";
import {IStakeRegistry} from "./IStakeRegistry.sol";
import {IWeightSource} from "./IWeightSource.sol";

/// @title Native coin staked to operators
/// @notice Anybody stakes to any operator; an operator weighs what is staked to it. The registry's judge can freeze what
/// stands behind an operator, and cut it when it ends that. What is cut stays here for ever: nobody gains by it.
contract StakeVault is IWeightSource, ReentrancyGuard {
    using SafeCast for uint256;

    /// @notice A withdrawal that waits.
    struct Withdrawal {
        address depositor;
        uint64 unlockBlock;
        // How many cuts its operator had been through when it was requested.
        uint32 cuts;
        address operator;
        // Unix seconds; both this and the block must have come.
        uint64 unlockTime;
        uint256 amount;
    }

    /// @notice A share of everything behind an operator that was lost.
    struct Cut {
        // In hundredths of a percent.
        uint16 bips;
        // Block and Unix seconds at which it was frozen. Withdrawals that had been unlocked by then are not cut.
        uint64 sinceBlock;
        uint64 sinceTime;
    }

    /// @dev Both zero where nothing was ever frozen.
    struct Freeze {
        uint64 sinceBlock;
        uint64 sinceTime;
    }

    /// @dev As it was after the first `cuts` cuts.
    struct Stake {
        uint224 amount;
        uint32 cuts;
    }

    uint256 private constant BIPS = 10_000;

    /// @inheritdoc IWeightSource
    /// @dev Least blocks between request and payment of a withdrawal.
    uint64 public immutable withdrawalBlocks;
    /// @inheritdoc IWeightSource
    /// @dev Least seconds between them.
    uint64 public immutable withdrawalSeconds;
    /// @inheritdoc IWeightSource
    /// @dev Is told of every change.
    address public immutable registry;

    /// @notice Number of withdrawals ever requested, which is also the id of the last one.
    uint256 public withdrawalCount;

    /// @inheritdoc IWeightSource
    mapping(address operator => uint256) public weightOf;
    mapping(address operator => Freeze) private _freezes;
    mapping(address depositor => mapping(address operator => Stake)) private _stakes;
    mapping(address operator => Cut[]) private _cuts;
    mapping(uint256 id => Withdrawal) private _withdrawals;

    /// @notice `depositor` staked `amount` to `operator`.
    event Deposited(address indexed depositor, address indexed operator, uint256 amount);
    /// @notice `amount` no longer counts for `operator` and can be paid out from block `unlockBlock` on, not before
    /// `unlockTime`.
    event WithdrawalQueued(
        uint256 indexed id,
        address indexed depositor,
        address indexed operator,
        uint256 amount,
        uint64 unlockBlock,
        uint64 unlockTime
    );
    /// @notice A withdrawal was paid out.
    event WithdrawalCompleted(uint256 indexed id, address indexed depositor, uint256 amount);
    /// @notice Nothing is staked to `operator` or paid out from it until the judge says so, or {freezeBlocks} are over.
    event Frozen(address indexed operator);
    /// @notice All but `bips` hundredths of a percent is free again; what was staked to `operator` became `weight`.
    event Unfrozen(address indexed operator, uint16 bips, uint256 weight);

    /// @notice What stands behind `operator` is frozen.
    error OperatorFrozen(address operator);
    /// @notice Withdrawals need time, at least two epochs and two grace periods, and a registry to be told.
    error InvalidVault();
    /// @notice The operator must not be zero.
    error ZeroOperator();
    /// @notice The amount must not be zero.
    error ZeroAmount();
    /// @notice The caller has not staked that much to this operator.
    error InsufficientStake();
    /// @notice There is no such withdrawal of the caller, or it was paid already.
    error UnknownWithdrawal();
    /// @notice The withdrawal is locked until block `unlockBlock` and until `unlockTime`.
    error WithdrawalLocked(uint64 unlockBlock, uint64 unlockTime);

    /// @param manager Schedule by which weights become effective; the same as the registry's.
    /// @param registry_ The registry, which may be yet to be made at this address: it refuses a vault of another one.
    /// @param delayBlocks Least blocks between request and payment of a withdrawal, at least two epochs and two grace periods.
    /// @param delaySeconds Least seconds between them; other chains know time alone.
    constructor(IEpochManager manager, address registry_, uint64 delayBlocks, uint64 delaySeconds) {
        uint256 least = 2 * (uint256(manager.epochLength()) + manager.gracePeriod());
        if (delayBlocks < least || delaySeconds == 0 || registry_ == address(0)) revert InvalidVault();
        registry = registry_;
        withdrawalBlocks = delayBlocks;
        withdrawalSeconds = delaySeconds;
    }

    /// @notice Stakes the value sent to `operator`, registered or not.
    function deposit(address operator) external payable nonReentrant {
        if (operator == address(0)) revert ZeroOperator();
        if (msg.value == 0) revert ZeroAmount();
        _requireFree(operator);
        _setStake(operator, delegation(msg.sender, operator) + msg.value);
        weightOf[operator] += msg.value;
        emit Deposited(msg.sender, operator, msg.value);
        _tellRegistry(operator);
    }

    /// @notice Takes `amount` of the caller's stake from `operator` at once and pays it out later.
    /// @return id To be passed to {completeWithdrawal}.
    function queueWithdrawal(address operator, uint256 amount) external nonReentrant returns (uint256 id) {
        if (amount == 0) revert ZeroAmount();
        uint256 staked = delegation(msg.sender, operator);
        if (amount > staked) revert InsufficientStake();
        _setStake(operator, staked - amount);
        weightOf[operator] -= amount;

        id = ++withdrawalCount;
        // Two epochs and two grace periods at least: the weight signs no longer, and the old set has finished its tasks.
        uint64 unlockBlock = block.number.toUint64() + withdrawalBlocks;
        uint64 unlockTime = uint64(block.timestamp) + withdrawalSeconds;
        _withdrawals[id] = Withdrawal(msg.sender, unlockBlock, _cutsOf(operator), operator, unlockTime, amount);
        emit WithdrawalQueued(id, msg.sender, operator, amount, unlockBlock, unlockTime);
        _tellRegistry(operator);
    }

    /// @notice Pays out the caller's withdrawal `id`.
    function completeWithdrawal(uint256 id) external nonReentrant {
        Withdrawal memory withdrawal = getWithdrawal(id);
        if (withdrawal.depositor != msg.sender) revert UnknownWithdrawal();
        if (block.number < withdrawal.unlockBlock || block.timestamp < withdrawal.unlockTime) {
            revert WithdrawalLocked(withdrawal.unlockBlock, withdrawal.unlockTime);
        }
        Freeze memory since = _freezes[withdrawal.operator];
        if (_isFrozen(since) && _isCaught(withdrawal, since.sinceBlock, since.sinceTime)) {
            revert OperatorFrozen(withdrawal.operator);
        }
        delete _withdrawals[id];
        emit WithdrawalCompleted(id, msg.sender, withdrawal.amount);
        Address.sendValue(payable(msg.sender), withdrawal.amount);
    }

    /// @inheritdoc IWeightSource
    function freeze(address operator) external {
        _onlyJudge();
        if (_isFrozen(_freezes[operator])) return;
        _freezes[operator] = Freeze(block.number.toUint64(), uint64(block.timestamp));
        emit Frozen(operator);
    }

    /// @inheritdoc IWeightSource
    function unfreeze(address operator, uint16 bips) external {
        _onlyJudge();
        Freeze memory since = _freezes[operator];
        if (since.sinceBlock == 0) revert NotFrozen();
        if (bips > BIPS) revert TooMuch();
        if (!_isFrozen(since)) bips = 0;
        delete _freezes[operator];
        if (bips > 0) {
            _cuts[operator].push(Cut(bips, since.sinceBlock, since.sinceTime));
            weightOf[operator] = _less(weightOf[operator], bips);
        }
        emit Unfrozen(operator, bips, weightOf[operator]);
    }

    /// @inheritdoc IWeightSource
    /// @dev Whoever stakes here is held back by no verdict for longer than it would wait for its stake anyway.
    function freezeBlocks() public view returns (uint64) {
        return withdrawalBlocks;
    }

    /// @inheritdoc IWeightSource
    function freshEpochs() external pure returns (uint32) {
        return 0;
    }

    /// @notice The block from which on everything behind `operator` is frozen; 0 if it is not.
    function frozenSince(address operator) external view returns (uint64) {
        Freeze memory since = _freezes[operator];
        return _isFrozen(since) ? since.sinceBlock : 0;
    }

    /// @notice What `depositor` has staked to `operator`, without what is being withdrawn.
    function delegation(address depositor, address operator) public view returns (uint256 amount) {
        Stake memory stake = _stakes[depositor][operator];
        Cut[] storage cuts = _cuts[operator];
        amount = stake.amount;
        for (uint256 i = stake.cuts; i < cuts.length; ++i) {
            amount = _less(amount, cuts[i].bips);
        }
    }

    /// @notice Withdrawal `id`, after all cuts; all zero if there is none or it was paid.
    function getWithdrawal(uint256 id) public view returns (Withdrawal memory withdrawal) {
        withdrawal = _withdrawals[id];
        Cut[] storage cuts = _cuts[withdrawal.operator];
        for (uint256 i = withdrawal.cuts; i < cuts.length; ++i) {
            Cut memory cut = cuts[i];
            if (_isCaught(withdrawal, cut.sinceBlock, cut.sinceTime)) {
                withdrawal.amount = _less(withdrawal.amount, cut.bips);
            }
        }
    }

    function _setStake(address operator, uint256 amount) private {
        _stakes[msg.sender][operator] = Stake(amount.toUint224(), _cutsOf(operator));
    }

    function _cutsOf(address operator) private view returns (uint32) {
        return _cuts[operator].length.toUint32();
    }

    function _requireFree(address operator) private view {
        if (_isFrozen(_freezes[operator])) revert OperatorFrozen(operator);
    }

    /// @dev A freeze that nobody ended is over by itself.
    function _isFrozen(Freeze memory since) private view returns (bool) {
        return since.sinceBlock != 0 && block.number < uint256(since.sinceBlock) + freezeBlocks();
    }

    /// @dev Whether a withdrawal was still locked then.
    function _isCaught(
        Withdrawal memory withdrawal,
        uint64 sinceBlock,
        uint64 sinceTime
    ) private pure returns (bool) {
        return withdrawal.unlockBlock > sinceBlock || withdrawal.unlockTime > sinceTime;
    }

    function _onlyJudge() private view {
        if (msg.sender != address(IStakeRegistry(registry).judge())) revert NotJudge();
    }

    /// @dev Rounded down, so that what is owed to all together is never more than there is.
    function _less(uint256 amount, uint256 bips) private pure returns (uint256) {
        return Math.mulDiv(amount, BIPS - bips, BIPS);
    }

    function _tellRegistry(address operator) private {
        address[] memory operators = new address[](1);
        operators[0] = operator;
        IStakeRegistry(registry).updateOperators(operators);
    }
}
