// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {ChainDirectory} from "./ChainDirectory.sol";
import {EpochHistory} from "./EpochHistory.sol";
import {EquivocationJudge} from "./EquivocationJudge.sol";
import {IEpochManager} from "./IEpochManager.sol";
import {IEquivocationJudge} from "./IEquivocationJudge.sol";
import {IQuorumRegistry} from "./IQuorumRegistry.sol";
import {ISlashingDecider} from "./ISlashingDecider.sol";
import {IStakeRegistry} from "./IStakeRegistry.sol";
import {IWeightSource} from "./IWeightSource.sol";
import {MemberList} from "./MemberList.sol";
import {OperatorSet, OperatorSets} from "./OperatorSets.sol";
import {QuorumRegistry} from "./QuorumRegistry.sol";
import {SealedSets} from "./SealedSets.sol";
import {Signatures} from "./Signatures.sol";
import {Thresholds} from "./Thresholds.sol";
import {WeightCode} from "./WeightCode.sol";

/// @title Operators, their keys and weights per epoch, and the check of their certificates
/// @notice Nobody owns it, and nothing in it is named later: the judge is made with it. The set has at most
/// {OperatorSets-MAX_MEMBERS} members, the heaviest; who is lighter waits nowhere here, and may replace the lightest by a
/// call of its own once it is heavier.
///
/// A certificate holds for three quarters of the time in which the stake of its set stays within reach; the last quarter is
/// for evidence to be found and judged. Here that time is counted in blocks, since the height of a set's fixing is known
/// without anybody having noted it; who needs seconds (light registries, accounts) counts from the noted time.
contract StakeRegistry is IStakeRegistry, QuorumRegistry, EIP712 {
    using EpochHistory for EpochHistory.Trace;
    using MemberList for MemberList.List;
    using SafeCast for uint256;

    /// @dev One slot, so that a check in compact form pays for one read.
    struct Sealed {
        address pointer;
        // When the set was fixed or later, before any stake that counts in it was asked back; 0 if nobody called then.
        uint64 noted;
    }

    /// @notice EIP-712 type of what a signing key signs to be bound to an operator.
    bytes32 public constant OPERATOR_REGISTRATION_TYPEHASH =
        keccak256("OperatorRegistration(address operator,address signingKey)");

    uint256 private constant KEY_SHIFT = 64;

    /// @inheritdoc IStakeRegistry
    IEpochManager public immutable epochManager;
    /// @inheritdoc IStakeRegistry
    IWeightSource public immutable weightSource;
    /// @inheritdoc IStakeRegistry
    IEquivocationJudge public immutable judge;
    /// @inheritdoc IStakeRegistry
    ChainDirectory public immutable directory;
    /// @inheritdoc IStakeRegistry
    uint256 public immutable minimumWeight;
    /// @inheritdoc IQuorumRegistry
    uint64 public immutable certificateLifetime;
    /// @inheritdoc IQuorumRegistry
    uint32 public immutable maxAge;

    // The schedule and the source's limits never change, and asking would cost every certificate check a cold call.
    uint256 private immutable _genesisBlock;
    uint256 private immutable _epochLength;
    uint256 private immutable _gracePeriod;
    uint256 private immutable _lifetimeBlocks;
    uint256 private immutable _withdrawalBlocks;
    uint256 private immutable _withdrawalSeconds;
    uint32 private immutable _freshEpochs;

    /// @inheritdoc IStakeRegistry
    mapping(address operator => bool) public operatorRegistered;
    /// @inheritdoc IStakeRegistry
    mapping(address signingKey => address operator) public getOperatorBySigningKey;
    /// @inheritdoc IStakeRegistry
    mapping(address operator => bool) public jailed;
    /// @inheritdoc IStakeRegistry
    mapping(address signingKey => bool) public convicted;
    /// @inheritdoc IStakeRegistry
    mapping(address operator => uint32) public barredUntil;

    /// @dev The largest of all {barredUntil}: certificates of that epoch and later ones have no convict among them.
    uint32 private _lastBarred;
    /// @dev Payload: signing key in the upper 160 bits, weight code in the lower 64.
    mapping(address operator => EpochHistory.Trace) private _operators;
    EpochHistory.Trace private _totalWeight;
    /// @dev Weight that counts until the epoch before, and was not read again since.
    mapping(uint256 epoch => uint256) private _lapses;
    mapping(uint32 epoch => Sealed) private _sealed;
    MemberList.List private _list;

    /// @param manager Schedule by which changes become effective.
    /// @param source Where weights are read; its registry is this contract.
    /// @param minimum Weights below this count as 0; not 0 itself.
    /// @param decider Who decides about frozen stake.
    /// @param chains Which chains there are.
    constructor(
        IEpochManager manager,
        IWeightSource source,
        uint256 minimum,
        ISlashingDecider decider,
        ChainDirectory chains
    ) EIP712("Quorate", "1") {
        if (source.registry() != address(this)) revert WrongSource();
        if (minimum == 0) revert ZeroMinimum();
        if (address(chains).code.length == 0) revert NoDirectory();
        epochManager = manager;
        weightSource = source;
        minimumWeight = minimum;
        directory = chains;
        _genesisBlock = manager.genesisBlock();
        _epochLength = manager.epochLength();
        _gracePeriod = manager.gracePeriod();
        _withdrawalBlocks = source.withdrawalBlocks();
        _withdrawalSeconds = source.withdrawalSeconds();
        _freshEpochs = source.freshEpochs();
        // A set serves from a grace period before its epoch until a grace period after it, and three quarters of the delay
        // must cover that.
        if (_withdrawalBlocks < 2 * (_epochLength + _gracePeriod) || _withdrawalSeconds == 0) revert DelayTooShort();
        _lifetimeBlocks = _withdrawalBlocks - _withdrawalBlocks / 4;
        certificateLifetime = (_withdrawalSeconds - _withdrawalSeconds / 4).toUint64();
        maxAge = Math.min((_lifetimeBlocks - _gracePeriod) / _epochLength - 1, type(uint32).max).toUint32();
        judge = new EquivocationJudge(this, source, decider, _epochLength.toUint64());
    }

    /// @inheritdoc IStakeRegistry
    function registerOperator(address signingKey, bytes calldata proof) external {
        if (operatorRegistered[msg.sender]) revert AlreadyRegistered();
        if (jailed[msg.sender]) revert Jailed();
        uint256 weight = _presentWeight(msg.sender);
        if (weight == 0) revert InsufficientWeight(minimumWeight);
        _bindSigningKey(signingKey, proof);

        operatorRegistered[msg.sender] = true;
        emit OperatorRegistered(msg.sender, block.number, signingKey, block.timestamp, address(this));
        uint32 epoch = _change();
        emit SigningKeyUpdated(msg.sender, epoch, signingKey);
        _setOperator(msg.sender, epoch, signingKey, 0);
        if (!_enter(msg.sender, epoch, weight)) revert SetFull(OperatorSets.MAX_MEMBERS);
    }

    /// @inheritdoc IStakeRegistry
    function updateSigningKey(address newKey, bytes calldata proof) external {
        _onlyRegistered();
        uint256 head = _operators[msg.sender].head;
        if (newKey == _keyIn(head)) revert SameKey();
        _bindSigningKey(newKey, proof);
        uint32 epoch = _change();
        emit SigningKeyUpdated(msg.sender, epoch, newKey);
        // Read anew: the entry that it makes counts as fresh.
        uint256 weight = _list.contains(msg.sender) ? _presentWeight(msg.sender) : 0;
        _setOperator(msg.sender, epoch, newKey, weight);
        if (weight == 0 && _list.contains(msg.sender)) _remove(msg.sender, epoch);
    }

    /// @inheritdoc IStakeRegistry
    function deregisterOperator() external {
        _onlyRegistered();
        _leave(msg.sender, _change());
    }

    /// @inheritdoc IStakeRegistry
    function jail(address operator, address firstKey, address secondKey) external {
        if (msg.sender != address(judge)) revert NotJudge();
        convicted[firstKey] = true;
        convicted[secondKey] = true;
        uint32 epoch = _change();
        barredUntil[operator] = epoch;
        _lastBarred = epoch;
        if (!jailed[operator]) {
            jailed[operator] = true;
            emit OperatorJailed(operator, epoch);
        }
        if (operatorRegistered[operator]) _leave(operator, epoch);
    }

    /// @inheritdoc IStakeRegistry
    function release(address operator) external {
        if (msg.sender != address(judge)) revert NotJudge();
        if (!jailed[operator]) return;
        jailed[operator] = false;
        emit OperatorReleased(operator);
    }

    /// @inheritdoc IStakeRegistry
    function updateOperators(address[] calldata operators) external {
        uint32 epoch = _change();
        for (uint256 i; i < operators.length; ++i) {
            if (operatorRegistered[operators[i]]) _refresh(operators[i], epoch);
        }
    }

    /// @inheritdoc IStakeRegistry
    function sealEpoch(uint32 epoch, address[] calldata operators) external {
        if (_sealed[epoch].pointer != address(0)) revert AlreadySealed(epoch);
        if (_change() <= epoch) revert SetNotFinal(epoch);
        OperatorSet memory set = _setOf(epoch, operators);
        uint256 total = OperatorSets.check(set);
        // Weights are of different operators and none is zero, so equal sums leave nobody out.
        if (total != getTotalWeightAtEpoch(epoch)) revert IncompleteSet();

        address pointer = SealedSets.write(set, total);
        _sealed[epoch].pointer = pointer;
        emit EpochSealed(epoch, OperatorSets.hash(set, total), pointer);
    }

    /// @inheritdoc IStakeRegistry
    function noteEpoch() external returns (uint32) {
        return _change() - 1;
    }

    /// @inheritdoc IQuorumRegistry
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IQuorumRegistry
    function newestEpoch() external view returns (uint32) {
        return _presentEpoch().toUint32();
    }

    /// @inheritdoc IStakeRegistry
    function isWithinReach(uint32 epoch) external view returns (bool) {
        if (block.number < _fixedBlock(epoch) + _withdrawalBlocks) return true;
        // Stake of this set was asked back at the first noted time at the earliest; while nobody called, none was. A source
        // that does not tell of every change allows for nothing but a time that was noted before the next set was fixed.
        bool isTold = _freshEpochs == 0;
        uint256 end = isTold ? _effectiveEpoch() : uint256(epoch) + 1;
        for (uint256 i = epoch; i < end; ++i) {
            uint256 noted = _sealed[uint32(i)].noted;
            if (noted != 0) return block.timestamp < noted + _withdrawalSeconds;
        }
        return isTold;
    }

    /// @inheritdoc IStakeRegistry
    function getOperatorSet(uint32 epoch) external view returns (OperatorSet memory set, uint256 total) {
        address[] memory all = _list.candidates();
        uint256 count;
        for (uint256 i; i < all.length; ++i) {
            if (getOperatorWeightAtEpoch(all[i], epoch) != 0) all[count++] = all[i];
        }
        assembly ("memory-safe") {
            mstore(all, count)
        }
        return (_setOf(epoch, all), getTotalWeightAtEpoch(epoch));
    }

    /// @inheritdoc IStakeRegistry
    function getMembersAtEpoch(
        address[] calldata operators,
        uint32 epoch
    ) external view returns (OperatorSet memory set, uint256 total) {
        return (_setOf(epoch, operators), getTotalWeightAtEpoch(epoch));
    }

    /// @inheritdoc IQuorumRegistry
    function getOperatorSigningKeyAtEpoch(address operator, uint32 epoch) external view returns (address) {
        return _keyIn(_operators[operator].entryAt(epoch));
    }

    /// @inheritdoc IQuorumRegistry
    function getOperatorWeightAtEpoch(address operator, uint32 epoch) public view returns (uint256) {
        return _weightIn(_operators[operator].entryAt(epoch), epoch);
    }

    /// @inheritdoc IQuorumRegistry
    function getTotalWeightAtEpoch(uint32 epoch) public view returns (uint256 total) {
        uint256 entry = _totalWeight.entryAt(epoch);
        total = uint224(entry);
        if (_freshEpochs == 0) return total;
        // Nothing lapses later than the newest weight, which this entry took in.
        uint256 since = EpochHistory.epochOf(entry);
        uint256 last = Math.min(epoch, since + _freshEpochs);
        for (uint256 i = since + 1; i <= last; ++i) {
            total -= _lapses[i];
        }
    }

    /// @inheritdoc IQuorumRegistry
    function getThresholdStake(uint32 epoch) public view override(IQuorumRegistry, QuorumRegistry) returns (uint256) {
        return Thresholds.forTotal(getTotalWeightAtEpoch(epoch));
    }

    /// @inheritdoc IQuorumRegistry
    function sealedSet(uint32 epoch) public view override(IQuorumRegistry, QuorumRegistry) returns (address) {
        return _sealed[epoch].pointer;
    }

    function _requireLive(uint32 epoch) internal view override {
        if (block.number < _startBlock(epoch)) revert InvalidEpoch();
        unchecked {
            if (block.number > _fixedBlock(epoch) + _lifetimeBlocks) revert CertificateExpired(epoch);
        }
    }

    /// @dev A time is noted no sooner than a set is fixed, so certificates of an epoch that may still change have none.
    function _expiryOf(uint32 epoch) internal view override returns (uint64) {
        uint64 noted = _sealed[epoch].noted;
        if (noted == 0) revert EpochTimeUnknown(epoch);
        return noted + certificateLifetime;
    }

    function _hasConvicts(uint32 epoch) internal view override returns (bool) {
        return epoch < _lastBarred;
    }

    function _isConvict(address key, uint32 epoch) internal view override returns (bool) {
        return epoch < barredUntil[getOperatorBySigningKey[key]];
    }

    /// @dev No operator counts twice, so the sum is at most the total weight and cannot overflow.
    function _signedWeight(
        bytes32 digest,
        address[] calldata operators,
        bytes[] calldata signatures,
        uint32 epoch
    ) internal view override returns (uint256 signed) {
        bool hasConvicts = _hasConvicts(epoch);
        address previous;
        unchecked {
            for (uint256 i; i < operators.length; ++i) {
                address operator = operators[i];
                if (operator <= previous) revert NotSorted();
                previous = operator;
                uint256 entry = _operators[operator].entryAt(epoch);
                if (!Signatures.isSignedBy(_keyIn(entry), digest, signatures[i])) revert InvalidSignature();
                if (hasConvicts && epoch < barredUntil[operator]) continue;
                signed += _weightIn(entry, epoch);
            }
        }
    }

    /// @dev What is known of `operators` in `epoch`, whether they are its set or not.
    function _setOf(uint32 epoch, address[] memory operators) private view returns (OperatorSet memory set) {
        uint256 count = operators.length;
        set.operators = operators;
        set.signingKeys = new address[](count);
        set.weights = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            uint256 entry = _operators[operators[i]].entryAt(epoch);
            set.signingKeys[i] = _keyIn(entry);
            set.weights[i] = _weightIn(entry, epoch);
        }
    }

    function _bindSigningKey(address key, bytes calldata proof) private {
        if (key == address(0)) revert ZeroKey();
        address owner = getOperatorBySigningKey[key];
        if (owner != address(0) && owner != msg.sender) revert KeyTaken();
        if (convicted[key]) revert KeyConvicted();
        bytes32 content = keccak256(abi.encode(OPERATOR_REGISTRATION_TYPEHASH, msg.sender, key));
        if (!Signatures.isSignedBy(key, _hashTypedDataV4(content), proof)) revert InvalidSigningKeyProof();
        getOperatorBySigningKey[key] = msg.sender;
    }

    function _leave(address operator, uint32 epoch) private {
        operatorRegistered[operator] = false;
        emit OperatorDeregistered(operator, block.number, address(this));
        emit SigningKeyUpdated(operator, epoch, address(0));
        _setOperator(operator, epoch, address(0), 0);
        if (_list.contains(operator)) _remove(operator, epoch);
    }

    /// @dev Reads the weight of a registered operator again.
    function _refresh(address operator, uint32 epoch) private {
        uint256 weight = _presentWeight(operator);
        if (!_list.contains(operator)) {
            if (weight != 0) _enter(operator, epoch, weight);
            return;
        }
        uint256 head = _operators[operator].head;
        bool isFresh = _freshEpochs == 0 || EpochHistory.epochOf(head) == epoch;
        if (isFresh && weight == _weightIn(head, epoch)) return;
        _setOperator(operator, epoch, _keyIn(head), weight);
        if (weight == 0) _remove(operator, epoch);
    }

    /// @dev Takes a registered operator that is not in the newest set into it, in place of the lightest where it is full.
    /// @return Whether there was room.
    function _enter(address operator, uint32 epoch, uint256 weight) private returns (bool) {
        if (_list.members.length >= OperatorSets.MAX_MEMBERS) {
            (address lightest, uint256 least) = _lightest(epoch);
            if (weight < least || (weight == least && operator > lightest)) return false;
            emit OperatorReplaced(lightest, operator, epoch);
            _setOperator(lightest, epoch, _keyIn(_operators[lightest].head), 0);
            _remove(lightest, epoch);
        }
        _list.add(operator);
        _setOperator(operator, epoch, _keyIn(_operators[operator].head), weight);
        return true;
    }

    /// @dev The set of the epoch before the present one may still finish its tasks, so its members are kept in mind; that
    /// are those of at most three sets.
    function _remove(address member, uint32 epoch) private {
        uint32 first = Math.saturatingSub(_presentEpoch(), 1).toUint32();
        bool counted;
        for (uint32 i = first; i < epoch && !counted; ++i) {
            counted = getOperatorWeightAtEpoch(member, i) != 0;
        }
        _list.remove(member, epoch, first, counted);
    }

    /// @dev The lightest member; of several the one with the highest address.
    function _lightest(uint32 epoch) private view returns (address lightest, uint256 least) {
        least = type(uint256).max;
        for (uint256 i; i < _list.members.length; ++i) {
            address member = _list.members[i];
            uint256 weight = _weightIn(_operators[member].head, epoch);
            if (weight > least || (weight == least && member < lightest)) continue;
            (lightest, least) = (member, weight);
        }
    }

    /// @dev The newest entries of all operators sum up to the newest total, and all changes of a block take the same
    /// epoch, so totals hold in every epoch.
    function _setOperator(address operator, uint32 epoch, address key, uint256 weight) private {
        uint256 head = _operators[operator].head;
        uint256 oldWeight = _weightIn(head, epoch);
        _operators[operator].record(epoch, uint224((uint256(uint160(key)) << KEY_SHIFT) | WeightCode.encode(weight)));
        if (_freshEpochs == 0 && weight == oldWeight) return;

        uint256 total = getTotalWeightAtEpoch(epoch) - oldWeight + weight;
        if (_freshEpochs != 0) {
            if (oldWeight != 0) _lapses[uint256(EpochHistory.epochOf(head)) + _freshEpochs] -= oldWeight;
            if (weight != 0) _lapses[uint256(epoch) + _freshEpochs] += weight;
        }
        _totalWeight.record(epoch, total.toUint224());
        if (weight == oldWeight) return;
        emit OperatorWeightUpdated(operator, epoch, weight);
        emit TotalWeightUpdated(epoch, total, Thresholds.forTotal(total));
    }

    /// @dev Every change goes through here, so the first one since a set was fixed notes the time, before any stake that
    /// counts in the set can be asked back.
    /// @return epoch The epoch from which on changes of this block count; the sets of those before it are fixed.
    function _change() private returns (uint32 epoch) {
        epoch = _effectiveEpoch();
        Sealed storage newest = _sealed[epoch - 1];
        if (newest.noted == 0) newest.noted = uint64(block.timestamp);
    }

    function _onlyRegistered() private view {
        if (!operatorRegistered[msg.sender]) revert NotRegistered();
    }

    function _presentEpoch() private view returns (uint256) {
        return (block.number - _genesisBlock) / _epochLength;
    }

    function _effectiveEpoch() private view returns (uint32) {
        return epochManager.getEffectiveEpochForBlock(block.number.toUint64());
    }

    /// @dev The first block in which the set of `epoch` can change no more.
    function _fixedBlock(uint32 epoch) private view returns (uint256) {
        unchecked {
            return _startBlock(epoch) - (epoch == 0 ? 0 : _gracePeriod);
        }
    }

    /// @dev Genesis and length have 64 bits, and the grace period is shorter than an epoch.
    function _startBlock(uint32 epoch) private view returns (uint256) {
        unchecked {
            return _genesisBlock + epoch * _epochLength;
        }
    }

    function _presentWeight(address operator) private view returns (uint256) {
        uint256 weight = weightSource.weightOf(operator);
        if (weight < minimumWeight) return 0;
        return WeightCode.round(Math.min(weight, OperatorSets.MAX_WEIGHT));
    }

    function _weightIn(uint256 entry, uint32 epoch) private view returns (uint256) {
        bool hasLapsed = _freshEpochs != 0 && epoch >= uint256(EpochHistory.epochOf(entry)) + _freshEpochs;
        return hasLapsed ? 0 : WeightCode.decode(uint64(entry));
    }

    function _keyIn(uint256 entry) private pure returns (address) {
        return address(uint160(entry >> KEY_SHIFT));
    }
}
