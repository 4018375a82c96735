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
        uint256 amount;
    }

    /// @notice A share of everything behind an operator that was lost.
    struct Cut {
        // In hundredths of a percent.
        uint16 bips;
        // The block in which it was frozen. Withdrawals that had been unlocked by then are not cut.
        uint64 since;
    }

    /// @dev As it was after the first `cuts` cuts.
    struct Stake {
        uint224 amount;
        uint32 cuts;
    }

    uint256 private constant BIPS = 10_000;

    /// @notice Schedule by which weights become effective.
    IEpochManager public immutable epochManager;
    /// @notice Least blocks between request and payment of a withdrawal.
    uint64 public immutable withdrawalDelay;
    /// @notice Who may set the registry, once.
    address public immutable deployer;

    /// @notice Registry that is told of every change.
    IStakeRegistry public registry;
    /// @notice Number of withdrawals ever requested, which is also the id of the last one.
    uint256 public withdrawalCount;

    /// @inheritdoc IWeightSource
    mapping(address operator => uint256) public weightOf;
    /// @notice The block from which on everything behind `operator` is frozen; 0 if it is not.
    mapping(address operator => uint64) public frozenSince;
    mapping(address depositor => mapping(address operator => Stake)) private _stakes;
    mapping(address operator => Cut[]) private _cuts;
    mapping(uint256 id => Withdrawal) private _withdrawals;

    /// @notice The registry was set.
    event RegistrySet(address indexed registry);
    /// @notice `depositor` staked `amount` to `operator`.
    event Deposited(address indexed depositor, address indexed operator, uint256 amount);
    /// @notice `amount` no longer counts for `operator` and can be paid out from block `unlockBlock` on.
    event WithdrawalQueued(
        uint256 indexed id,
        address indexed depositor,
        address indexed operator,
        uint256 amount,
        uint64 unlockBlock
    );
    /// @notice A withdrawal was paid out.
    event WithdrawalCompleted(uint256 indexed id, address indexed depositor, uint256 amount);
    /// @notice Nothing is staked to `operator` or taken from it until the judge says so.
    event Frozen(address indexed operator);
    /// @notice All but `bips` hundredths of a percent is free again; what was staked to `operator` became `weight`.
    event Unfrozen(address indexed operator, uint16 bips, uint256 weight);

    /// @notice What stands behind `operator` is frozen.
    error OperatorFrozen(address operator);
    /// @notice What stands behind the operator is not frozen.
    error NotFrozen();
    /// @notice Only the registry's judge may do this.
    error NotJudge();
    /// @notice More than all of it.
    error TooMuch();
    /// @notice Only the deployer may do this.
    error NotDeployer();
    /// @notice The registry can be set only once.
    error RegistryAlreadySet();
    /// @notice The registry reads its weights or epochs elsewhere.
    error WrongRegistry();
    /// @notice The registry must be set first.
    error RegistryNotSet();
    /// @notice The operator must not be zero.
    error ZeroOperator();
    /// @notice The amount must not be zero.
    error ZeroAmount();
    /// @notice The caller has not staked that much to this operator.
    error InsufficientStake();
    /// @notice There is no such withdrawal of the caller, or it was paid already.
    error UnknownWithdrawal();
    /// @notice The withdrawal is locked until block `unlockBlock`.
    error WithdrawalLocked(uint64 unlockBlock);

    /// @param manager Schedule by which weights become effective; the same as the registry's.
    /// @param delay Least blocks between request and payment of a withdrawal.
    constructor(IEpochManager manager, uint64 delay) {
        epochManager = manager;
        withdrawalDelay = delay;
        deployer = msg.sender;
    }

    /// @notice Names the registry, once and for all.
    /// @param newRegistry A registry whose weight source is this vault.
    function setRegistry(IStakeRegistry newRegistry) external {
        if (msg.sender != deployer) revert NotDeployer();
        if (address(registry) != address(0)) revert RegistryAlreadySet();
        if (address(newRegistry.weightSource()) != address(this)) revert WrongRegistry();
        if (address(newRegistry.epochManager()) != address(epochManager)) revert WrongRegistry();
        registry = newRegistry;
        emit RegistrySet(address(newRegistry));
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
        _requireFree(operator);
        _setStake(operator, staked - amount);
        weightOf[operator] -= amount;

        id = ++withdrawalCount;
        uint64 unlockBlock = _unlockBlock();
        _withdrawals[id] = Withdrawal(msg.sender, unlockBlock, _cutsOf(operator), operator, amount);
        emit WithdrawalQueued(id, msg.sender, operator, amount, unlockBlock);
        _tellRegistry(operator);
    }

    /// @notice Pays out the caller's withdrawal `id`.
    function completeWithdrawal(uint256 id) external nonReentrant {
        Withdrawal memory withdrawal = getWithdrawal(id);
        if (withdrawal.depositor != msg.sender) revert UnknownWithdrawal();
        if (block.number < withdrawal.unlockBlock) revert WithdrawalLocked(withdrawal.unlockBlock);
        uint64 since = frozenSince[withdrawal.operator];
        if (since != 0 && withdrawal.unlockBlock > since) revert OperatorFrozen(withdrawal.operator);
        delete _withdrawals[id];
        emit WithdrawalCompleted(id, msg.sender, withdrawal.amount);
        Address.sendValue(payable(msg.sender), withdrawal.amount);
    }

    /// @notice Freezes what is staked to `operator`, and withdrawals from it that are not unlocked yet. For the judge.
    function freeze(address operator) external {
        _onlyJudge();
        if (frozenSince[operator] != 0) return;
        frozenSince[operator] = block.number.toUint64();
        emit Frozen(operator);
    }

    /// @notice Ends that, and takes a share of what was frozen. For the judge.
    /// @param bips The share, in hundredths of a percent.
    function unfreeze(address operator, uint16 bips) external {
        _onlyJudge();
        uint64 since = frozenSince[operator];
        if (since == 0) revert NotFrozen();
        if (bips > BIPS) revert TooMuch();
        delete frozenSince[operator];
        if (bips > 0) {
            _cuts[operator].push(Cut(bips, since));
            weightOf[operator] = _less(weightOf[operator], bips);
        }
        emit Unfrozen(operator, bips, weightOf[operator]);
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
            if (withdrawal.unlockBlock > cut.since) withdrawal.amount = _less(withdrawal.amount, cut.bips);
        }
    }

    /// @dev The weight signs until its reduction is effective, and the old set may finish its tasks for a grace period
    /// more. Stake must not leave before that, or signatures would have nothing behind them.
    function _unlockBlock() private view returns (uint64) {
        uint32 effective = epochManager.getEffectiveEpochForBlock(block.number.toUint64());
        (uint64 start, , ) = epochManager.getEpochInterval(effective);
        return Math.max(block.number + withdrawalDelay, uint256(start) + epochManager.gracePeriod()).toUint64();
    }

    function _setStake(address operator, uint256 amount) private {
        _stakes[msg.sender][operator] = Stake(amount.toUint224(), _cutsOf(operator));
    }

    function _cutsOf(address operator) private view returns (uint32) {
        return _cuts[operator].length.toUint32();
    }

    function _requireFree(address operator) private view {
        if (frozenSince[operator] != 0) revert OperatorFrozen(operator);
    }

    function _onlyJudge() private view {
        if (address(registry) == address(0) || msg.sender != registry.judge()) revert NotJudge();
    }

    /// @dev Rounded down, so that what is owed to all together is never more than there is.
    function _less(uint256 amount, uint256 bips) private pure returns (uint256) {
        return Math.mulDiv(amount, BIPS - bips, BIPS);
    }

    function _tellRegistry(address operator) private {
        if (address(registry) == address(0)) revert RegistryNotSet();
        address[] memory operators = new address[](1);
        operators[0] = operator;
        registry.updateOperators(operators);
    }
}
