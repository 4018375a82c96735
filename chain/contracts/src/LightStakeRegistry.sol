// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Certificates} from "./Certificates.sol";
import {EpochUpdate, EpochUpdates, OperatorSet} from "./EpochUpdates.sol";
import {IQuorumRegistry} from "./IQuorumRegistry.sol";
import {OperatorLists} from "./OperatorLists.sol";
import {QuorumRegistry} from "./QuorumRegistry.sol";
import {SealedSets} from "./SealedSets.sol";
import {Signatures} from "./Signatures.sol";
import {Thresholds} from "./Thresholds.sol";

/// @title The operator sets of the home chain on another chain
/// @notice Holds one set per epoch and learns a later one only from the newest one that it holds. Nobody owns it.
/// Values do not carry forward: every epoch counts here only after it was told.
///
/// Only the newest set may name a successor. The stake of a set that was replaced long ago may have been withdrawn, so
/// its keys are worth nothing any more and could be bought: whoever holds them must not be able to write a second
/// history (long-range attack). By the same reasoning a registry that has been told nothing for longer than the home
/// chain's withdrawal delay should be deployed afresh instead of believed.
///
/// Signing keys that are contracts do not count here: what is deployed at such an address on this chain may be
/// somebody else's. Ed25519 keys are part of a set's hash, but are not kept: no contract of this chain needs them.
contract LightStakeRegistry is QuorumRegistry {
    /// @dev What is held for an epoch: members as in {SealedSets}, operators as in {OperatorLists}.
    struct Held {
        address members;
        address operators;
        bytes32 setHash;
    }

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// @notice Chain of the stake registry.
    uint64 public immutable homeChainId;
    /// @notice Stake registry on the home chain.
    address public immutable homeRegistry;
    /// @inheritdoc IQuorumRegistry
    bytes32 public immutable domainSeparator;

    /// @inheritdoc IQuorumRegistry
    uint32 public newestEpoch;
    mapping(uint32 epoch => Held) private _held;

    /// @notice The set of `nextEpoch` is known from now on, by a certificate of `epoch`; the first one names itself.
    event EpochUpdated(uint32 indexed nextEpoch, uint32 indexed epoch, bytes32 setHash, address submitter);

    /// @notice The set of `epoch` is held already.
    error EpochKnown(uint32 epoch);
    /// @notice No set is held for `epoch`.
    error UnknownEpoch(uint32 epoch);
    /// @notice The set of `epoch` has been replaced and may not name another one; that of `newest` may.
    error EpochReplaced(uint32 epoch, uint32 newest);
    /// @notice The epoch was skipped: a later one is held.
    error EpochSkipped(uint32 epoch, uint32 newest);
    /// @notice The certificate is by the set of another epoch than the update names.
    error EpochMismatch(uint32 updateEpoch, uint32 certificateEpoch);
    /// @notice The threshold does not follow from the weights.
    error WrongThreshold(uint256 expected);

    /// @param chainId Chain of the stake registry.
    /// @param registry Stake registry on that chain.
    /// @param epoch The first epoch.
    /// @param set Its operators; whoever deploys vouches for them.
    constructor(uint64 chainId, address registry, uint32 epoch, OperatorSet memory set) {
        homeChainId = chainId;
        homeRegistry = registry;
        domainSeparator = keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("Quorate"), keccak256("1"), uint256(chainId), registry)
        );
        _hold(epoch, epoch, set, EpochUpdates.setHash(set));
    }

    /// @notice Learns the set of a later epoch. Anybody may call.
    /// @param epoch The newest epoch held, whose set signed.
    /// @param nextEpoch Any later epoch; those in between are skipped for ever.
    /// @param set The operators of `nextEpoch`.
    /// @param certificate Of {EpochUpdate}(epoch, nextEpoch, hash of `set`), in either form.
    function updateEpoch(
        uint32 epoch,
        uint32 nextEpoch,
        OperatorSet calldata set,
        bytes calldata certificate
    ) external {
        _requireNext(epoch, nextEpoch);
        uint32 signers = Certificates.epochOf(certificate);
        if (signers != epoch) revert EpochMismatch(epoch, signers);
        OperatorSet memory next = set;
        EpochUpdate memory update = EpochUpdate(epoch, nextEpoch, EpochUpdates.setHash(next));
        _requireQuorum(EpochUpdates.digest(domainSeparator, update), certificate);
        _hold(epoch, nextEpoch, next, update.setHash);
    }

    /// @notice Hash of the set held for `epoch`, as in {EpochUpdate}; zero if none is held.
    function setHash(uint32 epoch) external view returns (bytes32) {
        return _held[epoch].setHash;
    }

    /// @notice The operators of `epoch`, ascending.
    function getOperatorsAtEpoch(uint32 epoch) external view returns (address[] memory) {
        _requireEpoch(epoch);
        return OperatorLists.read(_held[epoch].operators);
    }

    /// @inheritdoc IQuorumRegistry
    function getOperatorWeightAtEpoch(address operator, uint32 epoch) external view returns (uint256 weight) {
        _requireEpoch(epoch);
        (, weight) = _member(operator, epoch);
    }

    /// @inheritdoc IQuorumRegistry
    function getOperatorSigningKeyAtEpoch(address operator, uint32 epoch) external view returns (address key) {
        _requireEpoch(epoch);
        (key, ) = _member(operator, epoch);
    }

    /// @inheritdoc IQuorumRegistry
    function getTotalWeightAtEpoch(uint32 epoch) public view returns (uint256) {
        _requireEpoch(epoch);
        return SealedSets.totalWeight(_held[epoch].members);
    }

    /// @inheritdoc IQuorumRegistry
    function getThresholdStake(uint32 epoch) public view override returns (uint256) {
        return Thresholds.forTotal(getTotalWeightAtEpoch(epoch));
    }

    /// @inheritdoc IQuorumRegistry
    function sealedSet(uint32 epoch) public view override returns (address) {
        return _held[epoch].members;
    }

    function _requireEpoch(uint32 epoch) internal view override {
        if (_held[epoch].members == address(0)) revert InvalidEpoch();
    }

    /// @dev No operator counts twice, so the sum is at most the total weight and cannot overflow.
    function _signedWeight(
        bytes32 digest,
        address[] calldata operators,
        bytes[] calldata signatures,
        uint32 epoch
    ) internal view override returns (uint256 signed) {
        address[] memory list = OperatorLists.read(_held[epoch].operators);
        uint256[] memory set = SealedSets.read(_held[epoch].members);
        uint256 place;
        for (uint256 i; i < operators.length; ++i) {
            if (operators[i] <= (i == 0 ? address(0) : operators[i - 1])) revert NotSorted();
            place = _placeOf(list, operators[i], place);
            (address key, uint256 weight) = SealedSets.memberOf(set, place);
            if (!Signatures.isEcdsaBy(key, digest, signatures[i])) revert InvalidSignature();
            signed += weight;
        }
    }

    /// @dev Index of `operator`, not before `place`. Operators of a certificate ascend as those of the set do, so one
    /// walk along the set finds all of them.
    function _placeOf(address[] memory list, address operator, uint256 place) private pure returns (uint256) {
        while (place < list.length && list[place] < operator) ++place;
        if (place == list.length || list[place] != operator) revert InvalidSignature();
        return place;
    }

    /// @dev Both zero if the operator is not in the set.
    function _member(address operator, uint32 epoch) private view returns (address key, uint256 weight) {
        Held storage held = _held[epoch];
        (bool found, uint256 index) = OperatorLists.find(held.operators, operator);
        if (found) (key, weight) = SealedSets.memberAt(held.members, index);
    }

    function _requireNext(uint32 epoch, uint32 nextEpoch) private view {
        uint32 newest = newestEpoch;
        if (_held[nextEpoch].members != address(0)) revert EpochKnown(nextEpoch);
        if (_held[epoch].members == address(0)) revert UnknownEpoch(epoch);
        if (epoch != newest) revert EpochReplaced(epoch, newest);
        if (nextEpoch < newest) revert EpochSkipped(nextEpoch, newest);
    }

    /// @dev The quorum's word alone would do for what the hash covers; the checks keep a slip there from leaving a set
    /// here that nobody can sign for.
    function _hold(uint32 epoch, uint32 nextEpoch, OperatorSet memory set, bytes32 hash) private {
        uint256 count = set.operators.length;
        if (set.signingKeys.length != count || set.ed25519Keys.length != count || set.weights.length != count) {
            revert LengthMismatch();
        }
        uint256 total = SealedSets.check(set);
        uint256 threshold = Thresholds.forTotal(total);
        if (set.threshold != threshold) revert WrongThreshold(threshold);

        _held[nextEpoch] = Held(SealedSets.write(set, total), OperatorLists.write(set.operators), hash);
        newestEpoch = nextEpoch;
        emit EpochUpdated(nextEpoch, epoch, hash, msg.sender);
    }
}
