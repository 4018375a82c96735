// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Transfer} from "./Transfers.sol";

/// @title A bridge, source and target in one
/// @notice A dapp needs two lines; native coin goes as token zero with as much value and no approval:
///
///     token.approve(address(bridge), amount);
///     bridge.send(targetChain, targetContract, address(token), amount, abi.encodePacked(receiver), deadline);
///
/// What was sent is delivered by any account that brings a quorum's certificate, or given back: once the target has closed it. So
/// each transfer is paid on one side, once. A sender must be able to take its tokens or coin again.
///
/// While the bridge is paused nothing moves at all: it sends, delivers, releases, closes and refunds nothing.
interface IBridge {
    /// @notice What became of a number of a route at its target.
    enum Status {
        /// It was never brought here.
        Open,
        /// It is recorded, and paid by {release}.
        Queued,
        Paid,
        /// It is never paid; its sender gets it back.
        Closed
    }

    /// @notice Tokens or coin were taken, for a transfer that is all this and this contract's chain and address.
    event TransferSent(
        bytes32 indexed route,
        uint64 indexed nonce,
        bytes32 indexed sender,
        uint64 targetChain,
        bytes32 targetContract,
        bytes receiver,
        bytes32 token,
        uint256 amount,
        uint64 deadline
    );
    /// @notice A transfer was paid in this chain's token, `amount` in its units.
    event TransferPaid(
        bytes32 indexed route,
        uint64 indexed nonce,
        address indexed receiver,
        address token,
        uint256 amount
    );
    /// @notice A transfer is beyond a limit: {release} pays it, from the time `payableFrom` on, or before if there is room.
    event TransferQueued(
        bytes32 indexed route,
        uint64 indexed nonce,
        address indexed receiver,
        address token,
        uint256 amount,
        uint64 payableFrom
    );
    /// @notice A transfer is never paid here, since `time`.
    event TransferClosed(bytes32 indexed route, uint64 indexed nonce, uint64 time);
    /// @notice The target never pays this transfer, so its sender has it back.
    event TransferRefunded(
        bytes32 indexed route,
        uint64 indexed nonce,
        address indexed sender,
        address token,
        uint256 amount
    );

    /// @notice There is more of a token to pay transfers with.
    event Funded(bytes32 indexed id, address indexed giver, uint256 amount);

    /// @notice The transfer is for another chain or contract.
    error OtherTarget();
    /// @notice The transfer is from another chain or contract.
    error OtherSource();
    /// @notice The token does not go that way, or goes no more. {BridgeTokens-idOf} makes the id.
    error UnknownToken(bytes32 id);
    /// @notice An amount is more than nothing, a multiple of `unit` and less than 2^112, in units of the token here.
    error InvalidAmount(uint256 unit);
    /// @notice A receiver has 1 to 64 bytes; here it has 20, and is neither zero nor this bridge.
    error InvalidReceiver();
    /// @notice A deadline is an hour to seven days away.
    error InvalidDeadline(uint64 earliest, uint64 latest);
    /// @notice The value sent is not the amount of native coin, or there is value where none is asked for.
    error WrongValue();
    /// @notice The token took a fee or the like: only `received` arrived. Such tokens cannot be sent.
    error ReceivedLess(uint256 received);
    /// @notice Only `held` of the token came in that way, and so no more can go out.
    error RouteShort(uint256 held);
    /// @notice The number was delivered, queued or closed before. To relayers: done.
    error NonceTaken(bytes32 route, uint64 nonce);
    /// @notice Only the receiver can close before the deadline is over.
    error NotExpired(uint64 deadline);
    /// @notice This transfer is not queued here.
    error NotQueued();
    /// @notice There is no room in the window, and the delay is not over.
    error NotPayable(uint64 payableFrom);
    /// @notice This transfer was never sent here, or it was refunded.
    error NotSent();

    /// @notice Takes `amount` of `token` from the caller, to be paid to `receiver` by the bridge `targetContract`.
    /// @param token Zero for native coin.
    /// @param amount In the token's own units; without dust, which the wire cannot carry ({BridgeTokens-tokenOf} tells the
    /// unit).
    /// @param receiver As its chain writes it: 20 bytes on EVM chains, 32 on those of the SVM family. A receiver that cannot
    /// be paid makes the caller wait for the deadline and its refund.
    /// @param deadline Unix seconds, an hour to seven days from now.
    /// @return nonce Number of the transfer on its route.
    function send(
        uint64 targetChain,
        bytes32 targetContract,
        address token,
        uint256 amount,
        bytes calldata receiver,
        uint64 deadline
    ) external payable returns (uint64 nonce);

    /// @notice Pays `transfer`, or queues it where it is beyond a limit. Anybody may call, in any order of numbers, and after
    /// the deadline as well unless it was closed. Where token or receiver revert, so does this, and nothing has happened.
    /// @param certificate Of the transfer, in either form; its epoch is the one that was signed.
    function deliver(Transfer calldata transfer, bytes calldata certificate) external;

    /// @notice Pays a queued transfer: after the delay, or before if its amount is allowed and the window has room. Anybody
    /// may call.
    function release(Transfer calldata transfer) external;

    /// @notice Gives `transfer` up, so that its sender gets it back. Its receiver may call at any time, anybody once its
    /// deadline is over. Needs nothing of the transfer but its certificate: also what can never be delivered can be closed.
    function close(Transfer calldata transfer, bytes calldata certificate) external;

    /// @notice Gives tokens or coin back to the sender of `transfer`. Anybody may call.
    /// @param time When the target closed it.
    /// @param certificate Of the closing, in either form.
    function refund(Transfer calldata transfer, uint64 time, bytes calldata certificate) external;

    /// @notice Gives the bridge more to pay out of what comes from a peer, where both sides lock. No account can take it back
    /// but by transfers. Anybody may call.
    /// @param id Of the token, which is not minted here ({BridgeTokens-idOf}).
    /// @param amount In the token's own units.
    function fund(bytes32 id, uint256 amount) external payable;

    /// @notice Fact of the transfer with this number that was sent from here and not refunded; else zero.
    function sentFact(bytes32 route, uint64 nonce) external view returns (bytes32);

    /// @notice Number of the newest transfer that was sent on `route`.
    function sentCount(bytes32 route) external view returns (uint64);

    /// @notice When the transfer with this slot was closed here, in Unix seconds; zero if it was not.
    function closedAt(bytes32 slot) external view returns (uint64);

    /// @notice What is queued for the transfer with this slot: its fact, and when it is payable at the latest.
    function queued(bytes32 slot) external view returns (bytes32 fact, uint64 payableFrom);

    /// @notice What became of a transfer to here.
    function statusOf(bytes32 route, uint64 nonce) external view returns (Status);
}
