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
/// @notice Anybody stakes to any operator; an operator weighs what is staked to it.
contract StakeVault is IWeightSource, ReentrancyGuard {
    using SafeCast for uint256;

    /// @notice A withdrawal that waits.
    struct Withdrawal {
        address depositor;
        uint64 unlockBlock;
        address operator;
        uint256 amount;
    }

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

    /// @notice What `depositor` has staked to `operator`, without what is being withdrawn.
    mapping(address depositor => mapping(address operator => uint256)) public delegation;
    /// @inheritdoc IWeightSource
    mapping(address operator => uint256) public weightOf;
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
        delegation[msg.sender][operator] += msg.value;
        weightOf[operator] += msg.value;
        emit Deposited(msg.sender, operator, msg.value);
        _tellRegistry(operator);
    }

    /// @notice Takes `amount` of the caller's stake from `operator` at once and pays it out later.
    /// @return id To be passed to {completeWithdrawal}.
    function queueWithdrawal(address operator, uint256 amount) external nonReentrant returns (uint256 id) {
        if (amount == 0) revert ZeroAmount();
        uint256 staked = delegation[msg.sender][operator];
        if (amount > staked) revert InsufficientStake();
        delegation[msg.sender][operator] = staked - amount;
        weightOf[operator] -= amount;

        id = ++withdrawalCount;
        uint64 unlockBlock = _unlockBlock();
        _withdrawals[id] = Withdrawal(msg.sender, unlockBlock, operator, amount);
        emit WithdrawalQueued(id, msg.sender, operator, amount, unlockBlock);
        _tellRegistry(operator);
    }

    /// @notice Pays out the caller's withdrawal `id`.
    function completeWithdrawal(uint256 id) external nonReentrant {
        Withdrawal memory withdrawal = _withdrawals[id];
        if (withdrawal.depositor != msg.sender) revert UnknownWithdrawal();
        if (block.number < withdrawal.unlockBlock) revert WithdrawalLocked(withdrawal.unlockBlock);
        delete _withdrawals[id];
        emit WithdrawalCompleted(id, msg.sender, withdrawal.amount);
        Address.sendValue(payable(msg.sender), withdrawal.amount);
    }

    /// @notice Withdrawal `id`; all zero if there is none or it was paid.
    function getWithdrawal(uint256 id) external view returns (Withdrawal memory) {
        return _withdrawals[id];
    }

    /// @dev The weight signs until its reduction is effective, and the old set may finish its tasks for a grace period
    /// more. Stake must not leave before that, or signatures would have nothing behind them.
    function _unlockBlock() private view returns (uint64) {
        uint32 effective = epochManager.getEffectiveEpochForBlock(block.number.toUint64());
        (uint64 start, , ) = epochManager.getEpochInterval(effective);
        return Math.max(block.number + withdrawalDelay, uint256(start) + epochManager.gracePeriod()).toUint64();
    }

    function _tellRegistry(address operator) private {
        if (address(registry) == address(0)) revert RegistryNotSet();
        address[] memory operators = new address[](1);
        operators[0] = operator;
        registry.updateOperators(operators);
    }
}
