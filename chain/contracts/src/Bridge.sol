// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";

import {BridgeSwitch} from "./BridgeSwitch.sol";
import {BridgeTokens, Entry, Mode} from "./BridgeTokens.sol";
import {Coins} from "./Coins.sol";
import {IBridge} from "./IBridge.sol";
import {IQuorumRegistry} from "./IQuorumRegistry.sol";
import {Transfer, TransferClosed as Closing, TransferClosings, Transfers} from "./Transfers.sol";

/// @title The bridge
/// @notice See {IBridge} for its use, {BridgeTokens} for what its owner can do, {BridgeSwitch} for who stops it.
contract Bridge is IBridge, BridgeTokens, BridgeSwitch, ReentrancyGuardTransient {
    using BitMaps for BitMaps.BitMap;

    /// @dev What is paid later.
    struct Queued {
        bytes32 fact;
        uint64 payableFrom;
    }

    /// @notice Seconds for which what is beyond a limit waits at most.
    uint64 public immutable limitDelay;

    /// @inheritdoc IBridge
    mapping(bytes32 route => mapping(uint64 nonce => bytes32)) public sentFact;
    /// @inheritdoc IBridge
    mapping(bytes32 route => uint64) public sentCount;
    /// @inheritdoc IBridge
    mapping(bytes32 slot => uint64) public closedAt;
    /// @inheritdoc IBridge
    mapping(bytes32 slot => Queued) public queued;
    /// @dev Numbers that were delivered, queued or closed.
    mapping(bytes32 route => BitMaps.BitMap) private _taken;

    /// @dev Nothing moves while the bridge is paused.
    modifier moving() {
        _requireRunning();
        _;
    }

    /// @param quorumRegistry Registry whose operators are trusted.
    /// @param owner Who says which tokens go where, and who the guardian is.
    /// @param firstGuardian Who may stop the bridge; zero for none.
    /// @param configurationDelay Seconds between an announcement of the owner and its effect.
    /// @param paymentDelay Seconds for which what is beyond a limit waits at most.
    constructor(
        IQuorumRegistry quorumRegistry,
        address owner,
        address firstGuardian,
        uint64 configurationDelay,
        uint64 paymentDelay
    ) BridgeTokens(owner, configurationDelay) BridgeSwitch(quorumRegistry, firstGuardian) {
        limitDelay = paymentDelay;
    }

    /// @notice Names who may stop the bridge, at once; zero for none. For the owner.
    function setGuardian(address next) external onlyOwner {
        _setGuardian(next);
    }

    /// @inheritdoc IBridge
    function send(
        uint64 targetChain,
        bytes32 targetContract,
        address token,
        uint256 amount,
        bytes calldata receiver,
        uint64 deadline
    ) external payable moving nonReentrant returns (uint64 nonce) {
        _checkDeadline(deadline);
        if (receiver.length == 0 || receiver.length > Transfers.MAX_RECEIVER) revert InvalidReceiver();
        bytes32 route = _routeTo(targetChain, targetContract);
        Entry storage entry = _open(_idTo(route, token));
        nonce = ++sentCount[route];
        Transfer memory transfer = Transfer({
            sourceChain: uint64(block.chainid),
            sourceContract: _self(),
            targetChain: targetChain,
            targetContract: targetContract,
            nonce: nonce,
            sender: _padded(msg.sender),
            receiver: receiver,
            token: _padded(token),
            amount: _toWire(entry, amount),
            deadline: deadline
        });
        sentFact[route][nonce] = Transfers.fact(transfer);
        _countIn(entry, amount);
        Coins.take(token, entry.mode, amount);
        _emitSent(route, transfer);
    }

    /// @inheritdoc IBridge
    function deliver(Transfer calldata transfer, bytes calldata certificate) external moving nonReentrant {
        (bytes32 route, bytes32 slot, bytes32 fact) = _accept(transfer, certificate);
        (Entry storage entry, address receiver, uint256 amount) = _payment(route, transfer);
        _countOut(entry, amount);
        if (_takeRoom(entry, amount)) return _pay(route, transfer.nonce, entry, receiver, amount);

        uint64 payableFrom = uint64(block.timestamp) + limitDelay;
        queued[slot] = Queued(fact, payableFrom);
        emit TransferQueued(route, transfer.nonce, receiver, entry.token, amount, payableFrom);
    }

    /// @inheritdoc IBridge
    function release(Transfer calldata transfer) external moving nonReentrant {
        bytes32 route = _routeOf(transfer);
        (bytes32 slot, bytes32 fact) = _names(route, transfer);
        Queued memory waiting = queued[slot];
        if (waiting.fact != fact) revert NotQueued();
        delete queued[slot];

        (Entry storage entry, address receiver, uint256 amount) = _payment(route, transfer);
        if (block.timestamp < waiting.payableFrom && !_takeRoom(entry, amount)) {
            revert NotPayable(waiting.payableFrom);
        }
        _pay(route, transfer.nonce, entry, receiver, amount);
    }

    /// @inheritdoc IBridge
    function close(Transfer calldata transfer, bytes calldata certificate) external moving nonReentrant {
        bool isExpired = block.timestamp > transfer.deadline;
        if (!isExpired && _receiverOf(transfer) != msg.sender) revert NotExpired(transfer.deadline);
        (bytes32 route, bytes32 slot, ) = _accept(transfer, certificate);
        uint64 time = uint64(block.timestamp);
        closedAt[slot] = time;
        emit TransferClosed(route, transfer.nonce, time);
    }

    /// @inheritdoc IBridge
    function refund(
        Transfer calldata transfer,
        uint64 time,
        bytes calldata certificate
    ) external moving nonReentrant {
        if (transfer.sourceChain != block.chainid || transfer.sourceContract != _self()) revert OtherSource();
        bytes32 route = _routeOf(transfer);
        (, bytes32 fact) = _names(route, transfer);
        if (sentFact[route][transfer.nonce] != fact) revert NotSent();
        Closing memory closing = Closing(route, transfer.nonce, time);
        _requireCertified(TransferClosings.slot(closing), TransferClosings.fact(closing), certificate);
        delete sentFact[route][transfer.nonce];

        // Both were addresses when it was sent.
        address sender = address(uint160(uint256(transfer.sender)));
        address token = address(uint160(uint256(transfer.token)));
        Entry storage entry = _entry(_idTo(route, token));
        uint256 amount = _fromWire(entry, transfer.amount);
        _countOut(entry, amount);
        Coins.pay(token, entry.mode, sender, amount);
        emit TransferRefunded(route, transfer.nonce, sender, token, amount);
    }

    /// @inheritdoc IBridge
    function fund(bytes32 id, uint256 amount) external payable moving nonReentrant {
        Entry storage entry = _open(id);
        if (entry.mode != Mode.Lock) revert UnknownToken(id);
        _countIn(entry, amount);
        Coins.take(entry.token, Mode.Lock, amount);
        emit Funded(id, msg.sender, amount);
    }

    /// @inheritdoc IBridge
    function statusOf(bytes32 route, uint64 nonce) external view returns (Status) {
        bytes32 slot = Transfers.slot(route, nonce);
        if (closedAt[slot] != 0) return Status.Closed;
        if (queued[slot].fact != 0) return Status.Queued;
        return _taken[route].get(nonce) ? Status.Paid : Status.Open;
    }

    /// @dev Takes the number of a certified transfer to here. What was done before is seen before the certificate is looked
    /// at: lost races cost little.
    function _accept(
        Transfer calldata transfer,
        bytes calldata certificate
    ) private returns (bytes32 route, bytes32 slot, bytes32 fact) {
        if (transfer.targetChain != block.chainid || transfer.targetContract != _self()) revert OtherTarget();
        route = _routeOf(transfer);
        if (_taken[route].get(transfer.nonce)) revert NonceTaken(route, transfer.nonce);
        (slot, fact) = _names(route, transfer);
        _requireCertified(slot, fact, certificate);
        _taken[route].set(transfer.nonce);
    }

    function _emitSent(bytes32 route, Transfer memory transfer) private {
        emit TransferSent(
            route,
            transfer.nonce,
            transfer.sender,
            transfer.targetChain,
            transfer.targetContract,
            transfer.receiver,
            transfer.token,
            transfer.amount,
            transfer.deadline
        );
    }

    function _pay(bytes32 route, uint64 nonce, Entry storage entry, address receiver, uint256 amount) private {
        address token = entry.token;
        Coins.pay(token, entry.mode, receiver, amount);
        emit TransferPaid(route, nonce, receiver, token, amount);
    }

    /// @dev What is paid to whom for a transfer to here.
    function _payment(
        bytes32 route,
        Transfer calldata transfer
    ) private view returns (Entry storage entry, address receiver, uint256 amount) {
        entry = _open(_idOf(route, transfer.token));
        receiver = _receiverOf(transfer);
        if (receiver == address(0) || receiver == address(this)) revert InvalidReceiver();
        amount = _fromWire(entry, transfer.amount);
    }

    function _checkDeadline(uint64 deadline) private view {
        uint64 earliest = uint64(block.timestamp) + Transfers.MIN_LIFE;
        uint64 latest = uint64(block.timestamp) + Transfers.MAX_LIFE;
        if (deadline < earliest || deadline > latest) revert InvalidDeadline(earliest, latest);
    }

    /// @dev Zero if there is no such account on an EVM chain.
    function _receiverOf(Transfer calldata transfer) private pure returns (address) {
        bytes calldata receiver = transfer.receiver;
        return receiver.length == 20 ? address(bytes20(receiver)) : address(0);
    }

    function _routeOf(Transfer calldata transfer) private pure returns (bytes32) {
        return
            Transfers.route(
                transfer.sourceChain,
                transfer.sourceContract,
                transfer.targetChain,
                transfer.targetContract
            );
    }

    function _names(
        bytes32 route,
        Transfer calldata transfer
    ) private pure returns (bytes32 slot, bytes32 fact) {
        slot = Transfers.slot(route, transfer.nonce);
        fact = Transfers.fact(
            slot,
            transfer.sender,
            keccak256(transfer.receiver),
            transfer.token,
            transfer.amount,
            transfer.deadline
        );
    }
}
