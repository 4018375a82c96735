// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Certificates} from "./Certificates.sol";
import {EpochUpdate, EpochUpdates} from "./EpochUpdates.sol";
import {IQuorumRegistry} from "./IQuorumRegistry.sol";
import {OperatorLists} from "./OperatorLists.sol";
import {OperatorSet, OperatorSets} from "./OperatorSets.sol";
import {QuorumRegistry} from "./QuorumRegistry.sol";
import {SealedSets} from "./SealedSets.sol";
import {Signatures} from "./Signatures.sol";
import {Thresholds} from "./Thresholds.sol";

/// @notice The network whose sets a light registry follows.
/// @dev `lifetime` is what the home registry calls {IQuorumRegistry-certificateLifetime}; `guardian` may anchor the light
/// registry anew once it has expired, `anchorDelay` seconds after it has said so in public; zero for nobody.
struct Home {
    uint64 chainId;
    address registry;
    uint64 lifetime;
    address guardian;
    uint64 anchorDelay;
}

/// @title The operator sets of the home chain on another chain
/// @notice Holds one set per epoch and learns a later one from a certificate of any set that it holds and whose stake is
/// still within reach. Nobody owns it. Values do not carry forward: every epoch counts here only after it was told.
///
/// A set speaks for its lifetime only, from the time at which it was fixed on the home chain. Afterwards its stake may have
/// been withdrawn, so its keys are worth nothing and could be bought: they must not write a second history (long-range
/// attack). The time of a set is part of what its predecessor signs, so an old update that is told late makes nothing
/// look fresh. Where the newest set lives no more, no certificate holds, and only the guardian can begin anew, after a
/// delay in which everybody can see with what.
///
/// Convictions are not known here: what a convict signed holds until its set expires.
contract LightStakeRegistry is QuorumRegistry {
    /// @dev What is held for an epoch: members as in {SealedSets}, operators as in {OperatorLists}.
    struct Held {
        address members;
        uint64 time;
        address operators;
        bytes32 setHash;
    }

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// @notice Seconds by which a set may have been fixed in the future, as this chain's clock sees it.
    uint64 public constant MAX_DRIFT = 15 minutes;

    /// @notice Chain of the stake registry.
    uint64 public immutable homeChainId;
    /// @notice Stake registry on the home chain.
    address public immutable homeRegistry;
    /// @inheritdoc IQuorumRegistry
    uint64 public immutable certificateLifetime;
    /// @notice Who may anchor an expired registry anew; zero for nobody.
    address public immutable guardian;
    /// @notice Seconds between the announcement of an anchor and its use.
    uint64 public immutable anchorDelay;
    /// @inheritdoc IQuorumRegistry
    bytes32 public immutable domainSeparator;

    /// @inheritdoc IQuorumRegistry
    uint32 public newestEpoch;
    /// @notice Hash of the announced anchor; zero if there is none.
    bytes32 public announcedAnchor;
    /// @notice Unix seconds from which on it may be used.
    uint64 public anchorFrom;
    mapping(uint32 epoch => Held) private _held;

    /// @notice The set of `nextEpoch` is known from now on, by a certificate of `epoch`; the first one, and an anchor,
    /// names itself.
    event EpochUpdated(uint32 indexed nextEpoch, uint32 indexed epoch, bytes32 setHash, uint64 time, address submitter);
    /// @notice The deployer begins, or the guardian wants to begin anew, with the set of `epoch`, from the time `from` on.
    event AnchorAnnounced(uint32 indexed epoch, bytes32 setHash, uint64 time, uint64 from);
    /// @notice The guardian does not want that any more.
    event AnchorWithdrawn();

    /// @notice The set of `epoch` is held already.
    error EpochKnown(uint32 epoch);
    /// @notice No set is held for `epoch`.
    error UnknownEpoch(uint32 epoch);
    /// @notice The epoch was skipped: a later one is held.
    error EpochSkipped(uint32 epoch, uint32 newest);
    /// @notice The certificate is by the set of another epoch than the update names.
    error EpochMismatch(uint32 updateEpoch, uint32 certificateEpoch);
    /// @notice A later set cannot have been fixed earlier, nor any in the future.
    error TimeOutOfOrder(uint64 time);
    /// @notice The set was fixed so long ago that it could certify nothing.
    error SetExpired(uint32 epoch);
    /// @notice The newest set still certifies, so there is nothing to anchor anew.
    error NotExpired(uint32 newest);
    /// @notice Only the guardian may do this.
    error NotGuardian();
    /// @notice This is not what was announced, or the delay is not over.
    error AnchorNotReady();
    /// @notice The lifetime must not be zero. The delay of an anchor must not be zero either, and at most half the lifetime,
    /// so that a set which is announced still lives afterwards.
    error InvalidHome();

    /// @dev The first set is installed by {anchor} right afterwards, which anybody may call: as an argument here it would
    /// count as code, of which a transaction may carry less than 500 members take (EIP-3860).
    /// @param home The network.
    /// @param epoch The first epoch.
    /// @param time When its set was fixed.
    /// @param firstSet Hash of its set; whoever deploys vouches for it.
    constructor(Home memory home, uint32 epoch, uint64 time, bytes32 firstSet) {
        bool isDelayFit = home.anchorDelay > 0 && home.anchorDelay <= home.lifetime / 2;
        if (home.lifetime == 0 || (home.guardian != address(0) && !isDelayFit)) revert InvalidHome();
        homeChainId = home.chainId;
        homeRegistry = home.registry;
        certificateLifetime = home.lifetime;
        guardian = home.guardian;
        anchorDelay = home.anchorDelay;
        domainSeparator = keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("Quorate"), keccak256("1"), uint256(home.chainId), home.registry)
        );
        _announce(epoch, time, firstSet, 0);
    }

    /// @notice Learns the set of a later epoch. Anybody may call.
    /// @param epoch An epoch that is held and has not expired, whose set signed.
    /// @param nextEpoch Later than all that are held; those in between are skipped for ever.
    /// @param time When the set of `nextEpoch` was fixed.
    /// @param set The operators of `nextEpoch`.
    /// @param certificate Of {EpochUpdate}(epoch, nextEpoch, time, hash of `set`), in either form.
    function updateEpoch(
        uint32 epoch,
        uint32 nextEpoch,
        uint64 time,
        OperatorSet calldata set,
        bytes calldata certificate
    ) external {
        if (_held[nextEpoch].members != address(0)) revert EpochKnown(nextEpoch);
        if (_held[epoch].members == address(0)) revert UnknownEpoch(epoch);
        if (nextEpoch < newestEpoch) revert EpochSkipped(nextEpoch, newestEpoch);
        if (time < _held[newestEpoch].time) revert TimeOutOfOrder(time);
        bytes32 hash = _hold(epoch, nextEpoch, time, set);
        bytes32 digest = EpochUpdates.digest(domainSeparator, EpochUpdate(epoch, nextEpoch, time, hash));
        uint32 signers = _requireValid(digest, certificate);
        if (signers != epoch) revert EpochMismatch(epoch, signers);
    }

    /// @notice Announces the set with which to begin anew. For the guardian, once the newest set has expired.
    function announceAnchor(uint32 epoch, uint64 time, OperatorSet calldata set) external {
        _onlyGuardian();
        _requireExpired();
        _announce(epoch, time, _hashOf(set), anchorDelay);
    }

    /// @notice Takes the announcement back. For the guardian.
    function withdrawAnchor() external {
        _onlyGuardian();
        delete announcedAnchor;
        emit AnchorWithdrawn();
    }

    /// @notice Begins with what the deployer vouched for, or anew with what was announced, once its delay is over. Anybody
    /// may call. The epoch may be before the newest one held, if it was skipped: where a quorum has named one that will
    /// never come, this is the only way back.
    function anchor(uint32 epoch, uint64 time, OperatorSet calldata set) external {
        _requireExpired();
        bytes32 announced = keccak256(abi.encode(epoch, time, _hashOf(set)));
        if (announced != announcedAnchor || block.timestamp < anchorFrom) revert AnchorNotReady();
        if (_held[epoch].members != address(0)) revert EpochKnown(epoch);
        delete announcedAnchor;
        _hold(epoch, epoch, time, set);
    }

    /// @notice Hash of the set held for `epoch`, as in {EpochUpdate}; zero if none is held.
    function setHash(uint32 epoch) external view returns (bytes32) {
        return _held[epoch].setHash;
    }

    /// @notice When the set of `epoch` was fixed on the home chain, in Unix seconds; zero if none is held.
    function timeOf(uint32 epoch) external view returns (uint64) {
        return _held[epoch].time;
    }

    /// @inheritdoc IQuorumRegistry
    function maxAge() external pure returns (uint32) {
        return type(uint32).max;
    }

    /// @notice The operators of `epoch`, ascending.
    function getOperatorsAtEpoch(uint32 epoch) external view returns (address[] memory) {
        _requireHeld(epoch);
        return OperatorLists.read(_held[epoch].operators);
    }

    /// @inheritdoc IQuorumRegistry
    function getOperatorWeightAtEpoch(address operator, uint32 epoch) external view returns (uint256 weight) {
        _requireHeld(epoch);
        (, weight) = _member(operator, epoch);
    }

    /// @inheritdoc IQuorumRegistry
    function getOperatorSigningKeyAtEpoch(address operator, uint32 epoch) external view returns (address key) {
        _requireHeld(epoch);
        (key, ) = _member(operator, epoch);
    }

    /// @inheritdoc IQuorumRegistry
    function getTotalWeightAtEpoch(uint32 epoch) public view returns (uint256) {
        _requireHeld(epoch);
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

    function _requireLive(uint32 epoch) internal view override {
        if (block.timestamp > _expiryOf(epoch)) revert CertificateExpired(epoch);
    }

    function _expiryOf(uint32 epoch) internal view override returns (uint64) {
        _requireHeld(epoch);
        return _held[epoch].time + certificateLifetime;
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
            if (!Signatures.isSignedBy(key, digest, signatures[i])) revert InvalidSignature();
            signed += weight;
        }
    }

    function _announce(uint32 epoch, uint64 time, bytes32 hash, uint64 delay) private {
        announcedAnchor = keccak256(abi.encode(epoch, time, hash));
        anchorFrom = uint64(block.timestamp) + delay;
        emit AnchorAnnounced(epoch, hash, time, anchorFrom);
    }

    function _onlyGuardian() private view {
        if (guardian == address(0) || msg.sender != guardian) revert NotGuardian();
    }

    /// @dev Where nothing is held yet, nothing lives.
    function _requireExpired() private view {
        if (_held[newestEpoch].members == address(0)) return;
        if (block.timestamp <= _expiryOf(newestEpoch)) revert NotExpired(newestEpoch);
    }

    function _requireHeld(uint32 epoch) private view {
        if (_held[epoch].members == address(0)) revert InvalidEpoch();
    }

    /// @dev Both zero if the operator is not in the set.
    function _member(address operator, uint32 epoch) private view returns (address key, uint256 weight) {
        Held storage held = _held[epoch];
        (bool found, uint256 index) = OperatorLists.find(held.operators, operator);
        if (found) (key, weight) = SealedSets.memberAt(held.members, index);
    }

    /// @dev The quorum's word alone would do for what the hash covers; the checks keep a slip there from leaving a set
    /// here that nobody can sign for.
    function _hold(
        uint32 epoch,
        uint32 nextEpoch,
        uint64 time,
        OperatorSet memory set
    ) private returns (bytes32 hash) {
        if (time > block.timestamp + MAX_DRIFT) revert TimeOutOfOrder(time);
        if (block.timestamp > uint256(time) + certificateLifetime) revert SetExpired(nextEpoch);
        uint256 total = OperatorSets.check(set);
        hash = OperatorSets.hash(set, total);
        _held[nextEpoch] = Held(SealedSets.write(set, total), time, OperatorLists.write(set.operators), hash);
        newestEpoch = nextEpoch;
        emit EpochUpdated(nextEpoch, epoch, hash, time, msg.sender);
    }

    function _hashOf(OperatorSet memory set) private pure returns (bytes32) {
        return OperatorSets.hash(set, OperatorSets.check(set));
    }

    /// @dev Index of `operator`, not before `place`. Operators of a certificate ascend as those of the set do, so one
    /// walk along the set finds all of them.
    function _placeOf(address[] memory list, address operator, uint256 place) private pure returns (uint256) {
        while (place < list.length && list[place] < operator) ++place;
        if (place == list.length || list[place] != operator) revert InvalidSignature();
        return place;
    }
}
