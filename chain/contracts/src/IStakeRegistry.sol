// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ChainDirectory} from "./ChainDirectory.sol";
import {IEpochManager} from "./IEpochManager.sol";
import {IEquivocationJudge} from "./IEquivocationJudge.sol";
import {IQuorumRegistry} from "./IQuorumRegistry.sol";
import {IWeightSource} from "./IWeightSource.sol";
import {OperatorSet} from "./OperatorSets.sol";

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
    /// @notice `operator` weighs `weight` from `epoch` on.
    event OperatorWeightUpdated(address indexed operator, uint32 indexed epoch, uint256 weight);
    /// @notice The set weighs `totalWeight` from `epoch` on and needs `threshold`.
    event TotalWeightUpdated(uint32 indexed epoch, uint256 totalWeight, uint256 threshold);
    /// @notice The set of `epoch` was stored as the code of `pointer`. `setHash` is what an {EpochUpdate} calls it.
    event EpochSealed(uint32 indexed epoch, bytes32 setHash, address pointer);

    /// @notice The set was full, and `heavier` takes the place of `lighter` from `epoch` on.
    event OperatorReplaced(address indexed lighter, address indexed heavier, uint32 indexed epoch);
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
    /// @notice The key signed two facts for one slot once, and is never taken again.
    error KeyConvicted();
    /// @notice The key is the present one.
    error SameKey();
    /// @notice The caller weighs less than `minimum`.
    error InsufficientWeight(uint256 minimum);
    /// @notice The set has as many members as it may have, all of them heavier than the caller.
    error SetFull(uint256 limit);
    /// @notice The set of `epoch` is sealed already.
    error AlreadySealed(uint32 epoch);
    /// @notice The set of `epoch` can still change.
    error SetNotFinal(uint32 epoch);
    /// @notice The set has more members than were named.
    error IncompleteSet();
    /// @notice The operator is jailed: it was proven to have signed two facts for one slot.
    error Jailed();
    /// @notice Only the judge may do this.
    error NotJudge();
    /// @notice The weight source is for another registry.
    error WrongSource();
    /// @notice There is no contract at the directory's address.
    error NoDirectory();
    /// @notice A set may not be open to those without weight.
    error ZeroMinimum();
    /// @notice Stake stays within reach for less than two epochs and two grace periods: sets would certify without it.
    error DelayTooShort();

    /// @notice Joins the set as `msg.sender`, which must weigh at least {minimumWeight}, and where the set is full more than
    /// its lightest member, which it replaces. Of two that weigh the same the lower address wins.
    /// @param signingKey secp256k1 address. Contracts sign nothing.
    /// @param proof Signature by `signingKey`, in 65 bytes, over
    /// `OperatorRegistration(address operator,address signingKey)` in this registry's EIP-712 domain.
    function registerOperator(address signingKey, bytes calldata proof) external;

    /// @notice Replaces the caller's signing key.
    /// @param newKey The new signing key.
    /// @param proof As for {registerOperator}, by the new key.
    function updateSigningKey(address newKey, bytes calldata proof) external;

    /// @notice Leaves the set. The caller may register again at any time.
    function deregisterOperator() external;

    /// @notice Reads the weights of `operators` again. Anybody may call; who is not registered is skipped. One that is not in
    /// the set, because it was too light, enters it where it weighs enough by now.
    /// @param operators Operators whose weight may have changed.
    function updateOperators(address[] calldata operators) external;

    /// @notice Stores the set of `epoch` as code, for certificates in compact form. Anybody may call, once for each
    /// epoch, from the block on in which the set is final: the first of the grace period before it, or of the epoch if
    /// there is none. Code of a set that was sealed before is not paid for again.
    /// @param operators All members, strictly ascending: those with a weight in that epoch.
    function sealEpoch(uint32 epoch, address[] calldata operators) external;

    /// @notice Notes the time for the newest set that is fixed, if that has not happened yet, so that {validUntil} knows it.
    /// Every change and {sealEpoch} do the same. Anybody may call.
    /// @return The epoch of that set.
    function noteEpoch() external returns (uint32);

    /// @notice Takes `operator` out of the set, as an exit does, and keeps it out; its weight counts in no certificate of an
    /// earlier epoch from now on. Neither key is ever taken again. For the judge.
    function jail(address operator, address firstKey, address secondKey) external;

    /// @notice Lets `operator` register again. For the judge.
    function release(address operator) external;

    /// @notice Who may jail.
    function judge() external view returns (IEquivocationJudge);

    /// @notice Which chains there are, and which contract is read on each.
    function directory() external view returns (ChainDirectory);

    /// @notice Whether `operator` is kept out of the set.
    function jailed(address operator) external view returns (bool);

    /// @notice Whether this key signed two facts for one slot.
    function convicted(address signingKey) external view returns (bool);

    /// @notice The weight of `operator` counts in no certificate of an epoch before this one; 0 if it was never convicted.
    function barredUntil(address operator) external view returns (uint32);

    /// @notice Whether the stake that counts in the set of `epoch` can still be reached by the judge.
    function isWithinReach(uint32 epoch) external view returns (bool);

    /// @notice The set of the present epoch, the one before it, or one that is coming as far as it is known, in no order.
    /// Of older epochs members may be missing: the set is whole where its weights add up to `total`.
    function getOperatorSet(uint32 epoch) external view returns (OperatorSet memory set, uint256 total);

    /// @notice Keys and weights of `operators` in `epoch`, as they are given, with the total weight of that epoch; zeros for
    /// those that were no members.
    function getMembersAtEpoch(
        address[] calldata operators,
        uint32 epoch
    ) external view returns (OperatorSet memory set, uint256 total);

    /// @notice Schedule that epochs refer to.
    function epochManager() external view returns (IEpochManager);

    /// @notice Weights below this count as 0.
    function minimumWeight() external view returns (uint256);

    /// @notice Where weights are read.
    function weightSource() external view returns (IWeightSource);

    /// @notice Whether `operator` has joined and not left, whatever the epoch.
    function operatorRegistered(address operator) external view returns (bool);

    /// @notice The operator that `signingKey` is bound to, now or in the past; zero if none.
    function getOperatorBySigningKey(address signingKey) external view returns (address);
}
