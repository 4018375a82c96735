// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IEpochManager} from "./IEpochManager.sol";
import {IQuorumRegistry} from "./IQuorumRegistry.sol";
import {IWeightSource} from "./IWeightSource.sol";

/// @title The operator set and its changes
/// @notice Every change counts from the effective epoch of its block on, and carries forward until the next one.
interface IStakeRegistry is IQuorumRegistry {
    /// @notice An operator joined the set.
    event OperatorRegistered(
        address indexed operator,
        uint256 indexed blockNumber,
        address indexed signingKey,
        uint256 timestamp,
        address avs
    );
    /// @notice An operator left the set.
    event OperatorDeregistered(address indexed operator, uint256 indexed blockNumber, address indexed avs);
    /// @notice `operator` signs with `signingKey` from `epoch` on; zero after an exit.
    event SigningKeyUpdated(address indexed operator, uint32 indexed epoch, address signingKey);
    /// @notice `operator` signs with `ed25519Key` from `epoch` on; zero after an exit.
    event Ed25519KeyUpdated(address indexed operator, uint32 indexed epoch, bytes32 ed25519Key);
    /// @notice `operator` weighs `weight` from `epoch` on.
    event OperatorWeightUpdated(address indexed operator, uint32 indexed epoch, uint256 weight);
    /// @notice The set weighs `totalWeight` from `epoch` on and needs `threshold`.
    event TotalWeightUpdated(uint32 indexed epoch, uint256 totalWeight, uint256 threshold);
    /// @notice The set of `epoch` was stored as the code of `pointer`. `setHash` is what an {EpochUpdate} calls it.
    event EpochSealed(uint32 indexed epoch, bytes32 setHash, address pointer);

    /// @notice The judge was named.
    event JudgeSet(address indexed judge);
    /// @notice `operator` may not be in the set, from `epoch` on.
    event OperatorJailed(address indexed operator, uint32 indexed epoch);
    /// @notice `operator` may register again.
    event OperatorReleased(address indexed operator);

    /// @notice The caller is in the set already.
    error AlreadyRegistered();
    /// @notice The caller is not in the set.
    error NotRegistered();
    /// @notice A key must not be zero.
    error ZeroKey();
    /// @notice The key belongs, or once belonged, to another operator.
    error KeyTaken();
    /// @notice The signing key did not sign this operator's registration at this registry.
    error InvalidSigningKeyProof();
    /// @notice The Ed25519 key did not sign this operator's registration at this registry.
    error InvalidEd25519Proof();
    /// @notice The set of `epoch` is sealed already.
    error AlreadySealed(uint32 epoch);
    /// @notice The set of `epoch` can still change.
    error SetNotFinal(uint32 epoch);
    /// @notice The set has more members than were named.
    error IncompleteSet();
    /// @notice The operator is jailed: it was proven to have signed two facts for one slot.
    error Jailed();
    /// @notice Only the deployer may do this.
    error NotDeployer();
    /// @notice Only the judge may do this.
    error NotJudge();
    /// @notice The judge can be named only once.
    error JudgeAlreadySet();
    /// @notice The judge judges for another registry.
    error WrongJudge();

    /// @notice Joins the set as `msg.sender`.
    /// @param signingKey secp256k1 address, or a contract that answers EIP-1271.
    /// @param signingKeyProof Signature by `signingKey` over
    /// `OperatorRegistration(address operator,address signingKey,bytes32 ed25519Key)` in this registry's EIP-712 domain.
    /// @param ed25519Key Ed25519 public key.
    /// @param ed25519Proof Signature by `ed25519Key` over {ed25519RegistrationMessage}.
    function registerOperator(
        address signingKey,
        bytes calldata signingKeyProof,
        bytes32 ed25519Key,
        bytes calldata ed25519Proof
    ) external;

    /// @notice Replaces the caller's signing key.
    /// @param newKey The new signing key.
    /// @param proof As for {registerOperator}, with the new signing key and the present Ed25519 key.
    function updateSigningKey(address newKey, bytes calldata proof) external;

    /// @notice Replaces the caller's Ed25519 key.
    /// @param newKey The new Ed25519 key.
    /// @param proof As for {registerOperator}, with the present signing key and the new Ed25519 key.
    function updateEd25519Key(bytes32 newKey, bytes calldata proof) external;

    /// @notice Leaves the set. The caller may register again at any time.
    function deregisterOperator() external;

    /// @notice Reads the weights of `operators` again. Anybody may call; who is not in the set is skipped.
    /// @param operators Operators whose weight may have changed.
    function updateOperators(address[] calldata operators) external;

    /// @notice Stores the set of `epoch` as code, for certificates in compact form. Anybody may call, once for each
    /// epoch, from the block on in which the set is final: the first of the grace period before it, or of the epoch if
    /// there is none. Code of a set that was sealed before is not paid for again.
    /// @param operators All members, strictly ascending: those with a weight in that epoch.
    function sealEpoch(uint32 epoch, address[] calldata operators) external;

    /// @notice Names the judge, once and for all. Whoever could replace it could jail anybody.
    /// @param newJudge An {EquivocationJudge} of this registry.
    function setJudge(address newJudge) external;

    /// @notice Takes `operator` out of the set, as an exit does, and keeps it out. For the judge.
    function jail(address operator) external;

    /// @notice Lets `operator` register again. For the judge.
    function release(address operator) external;

    /// @notice Who may jail; zero if nobody may.
    function judge() external view returns (address);

    /// @notice Whether `operator` is kept out of the set.
    function jailed(address operator) external view returns (bool);

    /// @notice Schedule that epochs refer to.
    function epochManager() external view returns (IEpochManager);

    /// @notice Ed25519 key of `operator` in `epoch`; zero if it is not in that epoch's set.
    function getOperatorEd25519KeyAtEpoch(address operator, uint32 epoch) external view returns (bytes32);

    /// @notice Weights below this count as 0.
    function minimumWeight() external view returns (uint256);

    /// @notice Where weights are read.
    function weightSource() external view returns (IWeightSource);

    /// @notice Whether `operator` has joined and not left, whatever the epoch.
    function operatorRegistered(address operator) external view returns (bool);

    /// @notice The operator that `signingKey` is bound to, now or in the past; zero if none.
    function getOperatorBySigningKey(address signingKey) external view returns (address);

    /// @notice The operator that `ed25519Key` is bound to, now or in the past; zero if none.
    function getOperatorByEd25519Key(bytes32 ed25519Key) external view returns (address);

    /// @notice The bytes that an Ed25519 key signs to be bound to `operator`.
    function ed25519RegistrationMessage(address operator, address signingKey) external view returns (bytes memory);
}
