// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochUpdate, EpochUpdates, SignedEpochUpdate} from "./EpochUpdates.sol";
import {IEquivocationJudge} from "./IEquivocationJudge.sol";
import {ISlashingDecider, Verdict} from "./ISlashingDecider.sol";
import {IStakeRegistry} from "./IStakeRegistry.sol";
import {Signatures} from "./Signatures.sol";
import {StakeVault} from "./StakeVault.sol";
import {SignedStateProof, StateProof, StateProofs} from "./StateProofs.sol";

/// @title Jails operators that signed two facts for one slot
/// @notice Nobody owns it, and it believes nobody: two signatures are all it takes, and nothing less will do. What the
/// frozen stake is worth afterwards is for the decider.
/// @dev Only secp256k1 keys are judged. What a contract answers by EIP-1271 can change from block to block, so its
/// approval proves nothing afterwards.
contract EquivocationJudge is IEquivocationJudge {
    using EpochUpdates for EpochUpdate;
    using StateProofs for StateProof;

    /// @inheritdoc IEquivocationJudge
    IStakeRegistry public immutable registry;
    /// @notice Where the stake is frozen.
    StakeVault public immutable vault;
    /// @inheritdoc IEquivocationJudge
    ISlashingDecider public immutable decider;

    /// @inheritdoc IEquivocationJudge
    mapping(bytes32 id => bool) public judged;
    /// @inheritdoc IEquivocationJudge
    mapping(address operator => uint256) public terms;

    /// @param registry_ Registry whose operators are judged. Its weight source must be a {StakeVault}.
    /// @param decider_ Who decides about frozen stake.
    constructor(IStakeRegistry registry_, ISlashingDecider decider_) {
        registry = registry_;
        vault = StakeVault(address(registry_.weightSource()));
        decider = decider_;
    }

    /// @inheritdoc IEquivocationJudge
    function judgeStateProofs(
        address operator,
        SignedStateProof calldata first,
        SignedStateProof calldata second
    ) external {
        StateProof memory proof = first.proof;
        StateProof memory other = second.proof;
        bytes32 slot = proof.slot();
        _requireContradiction(slot, other.slot(), proof.fact(), other.fact());
        address key = _keyAt(operator, proof.epoch);
        if (_keyAt(operator, other.epoch) != key) revert OtherKey();
        _requireSigned(key, StateProofs.digest(registry, proof), first.signature);
        _requireSigned(key, StateProofs.digest(registry, other), second.signature);
        _convict(operator, slot, key);
    }

    /// @inheritdoc IEquivocationJudge
    function judgeEpochUpdates(
        address operator,
        SignedEpochUpdate calldata first,
        SignedEpochUpdate calldata second
    ) external {
        EpochUpdate memory update = first.update;
        EpochUpdate memory other = second.update;
        bytes32 slot = update.slot();
        _requireContradiction(slot, other.slot(), update.fact(), other.fact());
        address key = _keyAt(operator, update.epoch);
        if (_keyAt(operator, other.epoch) != key) revert OtherKey();
        bytes32 domain = registry.domainSeparator();
        _requireSigned(key, EpochUpdates.digest(domain, update), first.signature);
        _requireSigned(key, EpochUpdates.digest(domain, other), second.signature);
        _convict(operator, slot, key);
    }

    /// @inheritdoc IEquivocationJudge
    function settle(address operator) external {
        if (vault.frozenSince(operator) == 0) revert NoTerm();
        uint256 term = terms[operator];
        Verdict memory verdict = decider.verdictOn(operator, term);
        if (!verdict.decided) revert Undecided();
        emit TermEnded(operator, term, verdict.slashedBips, verdict.readmitted);
        vault.unfreeze(operator, verdict.slashedBips);
        if (verdict.readmitted) registry.release(operator);
    }

    function _convict(address operator, bytes32 slot, address key) private {
        bytes32 id = keccak256(abi.encodePacked(slot, operator));
        if (judged[id]) revert AlreadyJudged(id);
        judged[id] = true;
        emit EquivocationProven(operator, slot, id, key, msg.sender);
        // One verdict covers all that is proven until then.
        if (vault.frozenSince(operator) != 0) return;
        emit TermBegan(operator, ++terms[operator]);
        registry.jail(operator);
        vault.freeze(operator);
    }

    /// @dev The one key that signed for `operator` in `epoch`.
    function _keyAt(address operator, uint32 epoch) private view returns (address) {
        if (epoch > registry.newestEpoch()) revert EpochNotBegun(epoch);
        if (registry.getOperatorWeightAtEpoch(operator, epoch) == 0) revert NotAnOperator(epoch);
        return registry.getOperatorSigningKeyAtEpoch(operator, epoch);
    }

    function _requireContradiction(bytes32 slot, bytes32 otherSlot, bytes32 fact, bytes32 otherFact) private pure {
        if (slot != otherSlot) revert OtherSlot();
        if (fact == otherFact) revert SameFact();
    }

    function _requireSigned(address key, bytes32 digest, bytes calldata signature) private view {
        if (!Signatures.isEcdsaBy(key, digest, signature)) revert InvalidSignature();
    }
}
