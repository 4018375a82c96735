// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice The bridge `sourceContract` took `amount` of `token` from `sender`, for `receiver` on the other chain.
/// @dev Chains are named by their ids in the {ChainDirectory}; contracts, tokens and senders that are EVM addresses are
/// left-padded. `nonce` counts from 1 per route. `receiver` has 1 to 64 bytes, on EVM chains 20. `token` is that of the
/// source chain, zero for its native coin; `amount` is in wire units. `deadline`, in Unix seconds, is when anybody may close
/// what was not delivered.
struct Transfer {
    uint64 sourceChain;
    bytes32 sourceContract;
    uint64 targetChain;
    bytes32 targetContract;
    uint64 nonce;
    bytes32 sender;
    bytes receiver;
    bytes32 token;
    uint256 amount;
    uint64 deadline;
}

/// @notice The target of `route` closed `nonce` at `time` (Unix seconds), so it never pays that transfer.
/// @dev Said about the target contract, and only once its chain can never take it back.
struct TransferClosed {
    bytes32 route;
    uint64 nonce;
    uint64 time;
}

/// @notice The bridge `bridge` of `chain` is to stop, or to go on: the change of it with the number `sequence`.
/// @dev A vote, proposed at `time` (Unix seconds).
struct BridgePause {
    uint64 chain;
    bytes32 bridge;
    uint64 sequence;
    bool paused;
    uint64 time;
}

/// @title Statement by which a transfer is paid
library Transfers {
    /// @dev First byte of a slot's preimage, and of a task's.
    uint8 private constant KIND = 2;

    /// @notice Least time that a transfer is given, from its block on.
    uint64 internal constant MIN_LIFE = 1 hours;
    /// @notice Most time that a transfer is given.
    uint64 internal constant MAX_LIFE = 7 days;
    /// @notice Most bytes of a receiver.
    uint256 internal constant MAX_RECEIVER = 64;

    /// @notice Name of the way from one bridge to another; each counts its transfers for itself.
    function route(
        uint64 sourceChain,
        bytes32 sourceContract,
        uint64 targetChain,
        bytes32 targetContract
    ) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(sourceChain, sourceContract, targetChain, targetContract));
    }

    /// @notice Name of the way that `transfer` takes.
    function route(Transfer memory transfer) internal pure returns (bytes32) {
        return
            route(transfer.sourceChain, transfer.sourceContract, transfer.targetChain, transfer.targetContract);
    }

    /// @notice Name of the question which transfer of `way` has the number `nonce`: one truth only.
    function slot(bytes32 way, uint64 nonce) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(KIND, way, nonce));
    }

    /// @notice Name of the question that `transfer` answers.
    function slot(Transfer memory transfer) internal pure returns (bytes32) {
        return slot(route(transfer), transfer.nonce);
    }

    /// @notice Name of the answer to `place`: two of them for one slot contradict each other.
    function fact(
        bytes32 place,
        bytes32 sender,
        bytes32 receiverHash,
        bytes32 token,
        uint256 amount,
        uint64 deadline
    ) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(place, sender, receiverHash, token, amount, deadline));
    }

    /// @notice Name of the answer.
    function fact(Transfer memory transfer) internal pure returns (bytes32) {
        return
            fact(
                slot(transfer),
                transfer.sender,
                keccak256(transfer.receiver),
                transfer.token,
                transfer.amount,
                transfer.deadline
            );
    }

    /// @notice Name of the task to certify `transfer` in `epoch`.
    function taskId(Transfer memory transfer, uint32 epoch) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(KIND, epoch, fact(transfer)));
    }
}

/// @title Statement by which a transfer is given back
library TransferClosings {
    /// @dev First byte of a slot's preimage, and of a task's.
    uint8 private constant KIND = 4;

    /// @notice Name of the question that `closed` answers: one truth only, whatever the epoch.
    function slot(TransferClosed memory closed) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(KIND, closed.route, closed.nonce));
    }

    /// @notice Name of the answer: two of them for one slot contradict each other.
    function fact(TransferClosed memory closed) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(slot(closed), closed.time));
    }

    /// @notice Name of the task to certify `closed` in `epoch`.
    function taskId(TransferClosed memory closed, uint32 epoch) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(KIND, epoch, fact(closed)));
    }
}

/// @title Vote by which a bridge stops, or goes on
library BridgePauses {
    /// @dev First byte of a slot's preimage, and of a task's.
    uint8 private constant KIND = 5;

    /// @notice Name of the question that `vote` answers: one truth only, whatever the epoch.
    function slot(BridgePause memory vote) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(KIND, vote.chain, vote.bridge, vote.sequence));
    }

    /// @notice Name of the answer: two of them for one slot contradict each other.
    function fact(BridgePause memory vote) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(slot(vote), vote.paused, vote.time));
    }

    /// @notice Name of the task to certify `vote` in `epoch`.
    function taskId(BridgePause memory vote, uint32 epoch) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(KIND, epoch, fact(vote)));
    }
}
