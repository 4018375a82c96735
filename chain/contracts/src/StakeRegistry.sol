// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import {Ed25519} from "./Ed25519.sol";
import {EpochHistory} from "./EpochHistory.sol";
import {EpochUpdates, OperatorSet} from "./EpochUpdates.sol";
import {IEpochManager} from "./IEpochManager.sol";
import {IEquivocationJudge} from "./IEquivocationJudge.sol";
import {IQuorumRegistry} from "./IQuorumRegistry.sol";
import {IStakeRegistry} from "./IStakeRegistry.sol";
import {IWeightSource} from "./IWeightSource.sol";
import {QuorumRegistry} from "./QuorumRegistry.sol";
import {SealedSets} from "./SealedSets.sol";
import {Signatures} from "./Signatures.sol";
import {Thresholds} from "./Thresholds.sol";
import {WeightCode} from "./WeightCode.sol";

/// @title Operators, their keys and weights per epoch, and the check of their certificates
/// @notice Nobody owns it; its deployer names a judge, once. No call loops over the whole set, save the one that seals it, and nothing waits for that.
contract StakeRegistry is IStakeRegistry, QuorumRegistry, EIP712 {
    using Checkpoints for Checkpoints.Trace256;
    using EpochHistory for EpochHistory.Trace;
    using SafeCast for uint256;

    /// @notice EIP-712 type of what a signing key signs to be bound to an operator.
    bytes32 public constant OPERATOR_REGISTRATION_TYPEHASH =
        keccak256("OperatorRegistration(address operator,address signingKey,bytes32 ed25519Key)");

    /// @dev Kind byte of registrations; Ed25519 signatures on statements carry other kinds, so none can pass for another.
    bytes12 private constant ED25519_REGISTRATION_PREFIX = "quorate:v1:\xF0";
    uint256 private constant KEY_SHIFT = 64;

    /// @inheritdoc IStakeRegistry
    IEpochManager public immutable epochManager;
    /// @inheritdoc IStakeRegistry
    IWeightSource public immutable weightSource;
    /// @inheritdoc IStakeRegistry
    uint256 public immutable minimumWeight;

    /// @notice Who may name the judge, once.
    address public immutable deployer;

    // The schedule never changes, and asking the manager would cost every certificate check a cold call.
    uint256 private immutable _genesisBlock;
    uint256 private immutable _epochLength;

    /// @inheritdoc IStakeRegistry
    mapping(address operator => bool) public operatorRegistered;
    /// @inheritdoc IStakeRegistry
    mapping(address signingKey => address operator) public getOperatorBySigningKey;
    /// @inheritdoc IStakeRegistry
    mapping(bytes32 ed25519Key => address operator) public getOperatorByEd25519Key;
    /// @inheritdoc IStakeRegistry
    address public judge;
    /// @inheritdoc IStakeRegistry
    mapping(address operator => bool) public jailed;

    /// @dev Payload: signing key in the upper 160 bits, weight code in the lower 64.
    mapping(address operator => EpochHistory.Trace) private _operators;
    /// @dev Weights without an exact code, by the epoch of their entry.
    mapping(address operator => mapping(uint32 epoch => uint256)) private _wideWeights;
    mapping(address operator => Checkpoints.Trace256) private _ed25519Keys;
    EpochHistory.Trace private _totalWeight;
    mapping(uint32 epoch => address pointer) private _sealedSets;

    /// @param manager Schedule by which changes become effective.
    /// @param source Where weights are read.
    /// @param minimum Weights below this count as 0.
    constructor(IEpochManager manager, IWeightSource source, uint256 minimum) EIP712("Quorate", "1") {
        epochManager = manager;
        weightSource = source;
        minimumWeight = minimum;
        _genesisBlock = manager.genesisBlock();
        _epochLength = manager.epochLength();
        deployer = msg.sender;
    }

    /// @inheritdoc IStakeRegistry
    function registerOperator(
        address signingKey,
        bytes calldata signingKeyProof,
        bytes32 ed25519Key,
        bytes calldata ed25519Proof
    ) external {
        if (operatorRegistered[msg.sender]) revert AlreadyRegistered();
        if (jailed[msg.sender]) revert Jailed();
        _bindSigningKey(signingKey, ed25519Key, signingKeyProof);
        _bindEd25519Key(ed25519Key, signingKey, ed25519Proof);

        operatorRegistered[msg.sender] = true;
        emit OperatorRegistered(msg.sender, block.number, signingKey, block.timestamp, address(this));

        uint32 epoch = _effectiveEpoch();
        _setEd25519Key(msg.sender, epoch, ed25519Key);
        emit SigningKeyUpdated(msg.sender, epoch, signingKey);
        _setOperator(msg.sender, epoch, signingKey, _presentWeight(msg.sender));
    }

    /// @inheritdoc IStakeRegistry
    function updateSigningKey(address newKey, bytes calldata proof) external {
        _onlyRegistered();
        _bindSigningKey(newKey, bytes32(_ed25519Keys[msg.sender].latest()), proof);
        uint32 epoch = _effectiveEpoch();
        emit SigningKeyUpdated(msg.sender, epoch, newKey);
        _setOperator(msg.sender, epoch, newKey, _weightIn(msg.sender, _operators[msg.sender].head));
    }

    /// @inheritdoc IStakeRegistry
    function updateEd25519Key(bytes32 newKey, bytes calldata proof) external {
        _onlyRegistered();
        _bindEd25519Key(newKey, _keyIn(_operators[msg.sender].head), proof);
        _setEd25519Key(msg.sender, _effectiveEpoch(), newKey);
    }

    /// @inheritdoc IStakeRegistry
    function deregisterOperator() external {
        _onlyRegistered();
        _leave(msg.sender, _effectiveEpoch());
    }

    /// @inheritdoc IStakeRegistry
    function setJudge(address newJudge) external {
        if (msg.sender != deployer) revert NotDeployer();
        if (judge != address(0)) revert JudgeAlreadySet();
        if (address(IEquivocationJudge(newJudge).registry()) != address(this)) revert WrongJudge();
        judge = newJudge;
        emit JudgeSet(newJudge);
    }

    /// @inheritdoc IStakeRegistry
    function jail(address operator) external {
        if (msg.sender != judge) revert NotJudge();
        if (jailed[operator]) return;
        jailed[operator] = true;
        uint32 epoch = _effectiveEpoch();
        emit OperatorJailed(operator, epoch);
        if (operatorRegistered[operator]) _leave(operator, epoch);
    }

    /// @inheritdoc IStakeRegistry
    function release(address operator) external {
        if (msg.sender != judge) revert NotJudge();
        if (!jailed[operator]) return;
        jailed[operator] = false;
        emit OperatorReleased(operator);
    }

    /// @inheritdoc IStakeRegistry
    function updateOperators(address[] calldata operators) external {
        uint32 epoch = _effectiveEpoch();
        for (uint256 i; i < operators.length; ++i) {
            address operator = operators[i];
            if (!operatorRegistered[operator]) continue;
            uint256 head = _operators[operator].head;
            uint256 weight = _presentWeight(operator);
            if (weight != _weightIn(operator, head)) _setOperator(operator, epoch, _keyIn(head), weight);
        }
    }

    /// @inheritdoc IStakeRegistry
    function sealEpoch(uint32 epoch, address[] calldata operators) external {
        if (_sealedSets[epoch] != address(0)) revert AlreadySealed(epoch);
        if (_effectiveEpoch() <= epoch) revert SetNotFinal(epoch);
        OperatorSet memory set = _setOf(epoch, operators);
        uint256 total = SealedSets.check(set);
        // Weights are of different operators and none is zero, so equal sums leave nobody out.
        if (total != getTotalWeightAtEpoch(epoch)) revert IncompleteSet();

        set.threshold = Thresholds.forTotal(total);
        address pointer = SealedSets.write(set, total);
        _sealedSets[epoch] = pointer;
        emit EpochSealed(epoch, EpochUpdates.setHash(set), pointer);
    }

    /// @inheritdoc IQuorumRegistry
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IQuorumRegistry
    function newestEpoch() external view returns (uint32) {
        return _presentEpoch().toUint32();
    }

    /// @inheritdoc IQuorumRegistry
    function getOperatorWeightAtEpoch(address operator, uint32 epoch) external view returns (uint256) {
        return _weightIn(operator, _operators[operator].entryAt(epoch));
    }

    /// @inheritdoc IQuorumRegistry
    function getOperatorSigningKeyAtEpoch(address operator, uint32 epoch) external view returns (address) {
        return _keyIn(_operators[operator].entryAt(epoch));
    }

    /// @inheritdoc IStakeRegistry
    function getOperatorEd25519KeyAtEpoch(address operator, uint32 epoch) external view returns (bytes32) {
        return _ed25519KeyAt(operator, epoch);
    }

    /// @inheritdoc IQuorumRegistry
    function getTotalWeightAtEpoch(uint32 epoch) public view returns (uint256) {
        return uint224(_totalWeight.entryAt(epoch));
    }

    /// @inheritdoc IQuorumRegistry
    function getThresholdStake(uint32 epoch) public view override(IQuorumRegistry, QuorumRegistry) returns (uint256) {
        return Thresholds.forTotal(getTotalWeightAtEpoch(epoch));
    }

    /// @inheritdoc IQuorumRegistry
    function sealedSet(uint32 epoch) public view override(IQuorumRegistry, QuorumRegistry) returns (address) {
        return _sealedSets[epoch];
    }

    /// @inheritdoc IStakeRegistry
    function ed25519RegistrationMessage(address operator, address signingKey) public view returns (bytes memory) {
        return
            abi.encodePacked(
                ED25519_REGISTRATION_PREFIX,
                _littleEndian(block.chainid.toUint64()),
                address(this),
                operator,
                signingKey
            );
    }

    function _requireEpoch(uint32 epoch) internal view override {
        if (epoch > _presentEpoch()) revert InvalidEpoch();
    }

    /// @dev No operator counts twice, so the sum is at most the total weight and cannot overflow.
    function _signedWeight(
        bytes32 digest,
        address[] calldata operators,
        bytes[] calldata signatures,
        uint32 epoch
    ) internal view override returns (uint256 signed) {
        address previous;
        unchecked {
            for (uint256 i; i < operators.length; ++i) {
                address operator = operators[i];
                if (operator <= previous) revert NotSorted();
                previous = operator;
                uint256 entry = _operators[operator].entryAt(epoch);
                if (!Signatures.isSignedBy(_keyIn(entry), digest, signatures[i])) revert InvalidSignature();
                signed += _weightIn(operator, entry);
            }
        }
    }

    /// @dev What is known of `operators` in `epoch`, whether they are its set or not; without threshold.
    function _setOf(uint32 epoch, address[] calldata operators) private view returns (OperatorSet memory set) {
        uint256 count = operators.length;
        set.operators = operators;
        set.signingKeys = new address[](count);
        set.ed25519Keys = new bytes32[](count);
        set.weights = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            address operator = operators[i];
            uint256 entry = _operators[operator].entryAt(epoch);
            set.signingKeys[i] = _keyIn(entry);
            set.weights[i] = _weightIn(operator, entry);
            set.ed25519Keys[i] = _ed25519KeyAt(operator, epoch);
        }
    }

    function _bindSigningKey(address key, bytes32 ed25519Key, bytes calldata proof) private {
        if (key == address(0)) revert ZeroKey();
        address owner = getOperatorBySigningKey[key];
        if (owner != address(0) && owner != msg.sender) revert KeyTaken();
        bytes32 content = keccak256(abi.encode(OPERATOR_REGISTRATION_TYPEHASH, msg.sender, key, ed25519Key));
        if (!Signatures.isSignedBy(key, _hashTypedDataV4(content), proof)) revert InvalidSigningKeyProof();
        getOperatorBySigningKey[key] = msg.sender;
    }

    function _bindEd25519Key(bytes32 key, address signingKey, bytes calldata proof) private {
        if (key == 0) revert ZeroKey();
        address owner = getOperatorByEd25519Key[key];
        if (owner != address(0) && owner != msg.sender) revert KeyTaken();
        if (!Ed25519.verify(key, ed25519RegistrationMessage(msg.sender, signingKey), proof)) {
            revert InvalidEd25519Proof();
        }
        getOperatorByEd25519Key[key] = msg.sender;
    }

    function _leave(address operator, uint32 epoch) private {
        operatorRegistered[operator] = false;
        emit OperatorDeregistered(operator, block.number, address(this));
        _setEd25519Key(operator, epoch, 0);
        emit SigningKeyUpdated(operator, epoch, address(0));
        _setOperator(operator, epoch, address(0), 0);
    }

    function _setEd25519Key(address operator, uint32 epoch, bytes32 key) private {
        _ed25519Keys[operator].push(epoch, uint256(key));
        emit Ed25519KeyUpdated(operator, epoch, key);
    }

    /// @dev The newest entries of all operators sum up to the newest total, and all changes of a block take the same
    /// epoch, so totals hold in every epoch.
    function _setOperator(address operator, uint32 epoch, address key, uint256 weight) private {
        uint256 oldWeight = _weightIn(operator, _operators[operator].head);
        uint64 code = WeightCode.encode(weight);
        if (code == WeightCode.WIDE) _wideWeights[operator][epoch] = weight;
        _operators[operator].record(epoch, uint224((uint256(uint160(key)) << KEY_SHIFT) | code));
        if (weight == oldWeight) return;

        uint256 total = uint224(_totalWeight.head) - oldWeight + weight;
        _totalWeight.record(epoch, total.toUint224());
        emit OperatorWeightUpdated(operator, epoch, weight);
        emit TotalWeightUpdated(epoch, total, Thresholds.forTotal(total));
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

    function _presentWeight(address operator) private view returns (uint256 weight) {
        weight = weightSource.weightOf(operator);
        if (weight < minimumWeight) weight = 0;
    }

    function _ed25519KeyAt(address operator, uint32 epoch) private view returns (bytes32) {
        return bytes32(_ed25519Keys[operator].upperLookupRecent(epoch));
    }

    function _weightIn(address operator, uint256 entry) private view returns (uint256) {
        uint64 code = uint64(entry);
        if (code != WeightCode.WIDE) return WeightCode.decode(code);
        return _wideWeights[operator][EpochHistory.epochOf(entry)];
    }

    function _keyIn(uint256 entry) private pure returns (address) {
        return address(uint160(entry >> KEY_SHIFT));
    }

    function _littleEndian(uint64 value) private pure returns (bytes8) {
        value = ((value & 0x00ff00ff00ff00ff) << 8) | ((value >> 8) & 0x00ff00ff00ff00ff);
        value = ((value & 0x0000ffff0000ffff) << 16) | ((value >> 16) & 0x0000ffff0000ffff);
        return bytes8((value << 32) | (value >> 32));
    }
}
