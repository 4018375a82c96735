//! The functions, events and errors of contracts that are read.
#![allow(missing_docs, unreachable_pub, clippy::all)]

pub(super) mod state_manager {
    alloy::sol! {
        struct History { uint256 value; uint64 blockNumber; uint48 timestamp; }
        function getHistoryAtBlock(address user, uint256 key, uint256 blockNumber) external view returns (History memory);

        event HistoryCommitted(address indexed user, uint256 key, uint256 value, uint256 timestamp, uint256 blockNumber);

        error NoHistory();
        error BeforeFirstEntry();

        error StateManager__NoHistoryFound();
        error StateManager__KeyNotFound();
        error StateManager__BlockNotFound();
    }
}

pub(super) mod epochs {
    alloy::sol! {
        #[derive(Debug)]
        function getEpochInterval(uint32 epoch) external view returns (uint64 start, uint64 graceStart, uint64 end);
    }
}

pub(super) mod registry {
    alloy::sol! {
        struct Members { address[] operators; address[] signingKeys; uint256[] weights; }
        function getOperatorSet(uint32 epoch) external view returns (Members memory set, uint256 total);
        function getMembersAtEpoch(address[] operators, uint32 epoch) external view returns (Members memory set, uint256 total);
        function getOperatorWeightAtEpoch(address operator, uint32 epoch) external view returns (uint256);
        function getOperatorSigningKeyAtEpoch(address operator, uint32 epoch) external view returns (address);
        function minimumWeight() external view returns (uint256);
        function weightSource() external view returns (address);
        function certificateLifetime() external view returns (uint64);
        function withdrawalBlocks() external view returns (uint64);
        function withdrawalSeconds() external view returns (uint64);
        function isWithinReach(uint32 epoch) external view returns (bool);

        event OperatorRegistered(address indexed operator, uint256 indexed blockNumber, address indexed signingKey, uint256 timestamp, address avs);
        event OperatorDeregistered(address indexed operator, uint256 indexed blockNumber, address indexed avs);
    }
}

pub(super) mod directory {
    alloy::sol! {
        struct Chain {
            uint8 family;
            uint8 blockNumbers;
            bytes32 genesis;
            bytes32 stateManager;
            uint256 historySlot;
        }
        error UnknownChain(uint32 chainId);
        function directory() external view returns (address);
        function get(uint32 chainId) external view returns (Chain memory chain);
    }
}

pub(super) mod certificates {
    alloy::sol! {
        function isValidSignature(bytes32 digest, bytes signatureData) external view returns (bytes4);

        error InvalidEpoch();
        error LengthMismatch();
        error InvalidLength();
        error NotSorted();
        error InvalidSignature();
        error InsufficientSignedStake();
        error MalformedCertificate();
        error SetNotSealed(uint32 epoch);
        error UnknownVersion(uint8 version);
        error CertificateExpired(uint32 epoch);

        error ECDSAStakeRegistry__InvalidEpoch();
        error ECDSAStakeRegistry__LengthMismatch();
        error ECDSAStakeRegistry__InvalidLength();
        error ECDSAStakeRegistry__NotSorted();
        error ECDSAStakeRegistry__InvalidSignature();
        error ECDSAStakeRegistry__InsufficientSignedStake();
    }
}

pub(super) mod bridge {
    alloy::sol! {
        #[derive(Debug, PartialEq)]
        event TransferSent(bytes32 indexed route, uint64 indexed nonce, bytes32 indexed sender, uint64 targetChain, bytes32 targetContract, bytes receiver, bytes32 token, uint256 amount, uint64 deadline);

        #[derive(Debug, PartialEq)]
        event TransferClosed(bytes32 indexed route, uint64 indexed nonce, uint64 time);

        function sentCount(bytes32 route) external view returns (uint64);
        function closedAt(bytes32 slot) external view returns (uint64);
        function sequence() external view returns (uint64);
        function paused() external view returns (bool);
    }
}
