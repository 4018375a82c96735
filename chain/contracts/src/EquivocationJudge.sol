// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Attestations, SignedAttestation} from "./Attestations.sol";
import {IEquivocationJudge, Term} from "./IEquivocationJudge.sol";
import {ISlashingDecider, Verdict} from "./ISlashingDecider.sol";
import {IStakeRegistry} from "./IStakeRegistry.sol";
import {IWeightSource} from "./IWeightSource.sol";
import {Signatures} from "./Signatures.sol";

/// @title Jails operators that signed two facts for one slot
/// @notice Made by its registry, owned by nobody, and it believes nobody: two signatures are all it takes, and nothing less
/// will do. It need not know what they are about, so it judges every kind of statement, also those to come. What the
/// frozen stake is worth afterwards is for the decider.
///
/// Evidence counts while stake behind both signatures is within reach, once per key: neither old signatures nor a key that
/// was stolen freeze an operator again and again.
contract EquivocationJudge is IEquivocationJudge {
    /// @inheritdoc IEquivocationJudge
    IStakeRegistry public immutable registry;
    /// @inheritdoc IEquivocationJudge
    IWeightSource public immutable source;
    /// @inheritdoc IEquivocationJudge
    ISlashingDecider public immutable decider;
    /// @inheritdoc IEquivocationJudge
    uint64 public immutable minimumDelay;

    mapping(address operator => Term) private _terms;

    /// @param registry_ Registry whose operators are judged; it is being made.
    /// @param source_ Its weight source, which freezes.
    /// @param decider_ Who decides about frozen stake.
    /// @param delay Least blocks between a conviction and its verdict.
    constructor(IStakeRegistry registry_, IWeightSource source_, ISlashingDecider decider_, uint64 delay) {
        if (address(decider_).code.length == 0) revert NoDecider();
        if (delay >= source_.freezeBlocks()) revert NoTimeToDecide();
        registry = registry_;
        source = source_;
        decider = decider_;
        minimumDelay = delay;
    }

    /// @inheritdoc IEquivocationJudge
    function judge(address operator, SignedAttestation calldata first, SignedAttestation calldata second) external {
        if (first.slot != second.slot) revert OtherSlot();
        if (first.fact == second.fact) revert SameFact();
        address firstKey = _signerOf(operator, first);
        address secondKey = _signerOf(operator, second);
        emit EquivocationProven(operator, first.slot, firstKey, secondKey, msg.sender);
        registry.jail(operator, firstKey, secondKey);
        // One verdict covers all that is proven until then.
        if (_isOpen(_terms[operator])) return;
        Term storage term = _terms[operator];
        ++term.number;
        term.openedAt = uint64(block.number);
        term.isSettled = false;
        emit TermBegan(operator, term.number);
        source.freeze(operator);
    }

    /// @inheritdoc IEquivocationJudge
    function settle(address operator) external {
        Term storage term = _terms[operator];
        if (term.openedAt == 0 || term.isSettled) revert NoTerm();
        Verdict memory verdict = decider.verdictOn(operator, term.number);
        if (!verdict.decided) revert Undecided();
        if (_isOpen(term)) {
            if (block.number < term.openedAt + minimumDelay) revert TooEarly(term.openedAt + minimumDelay);
        } else {
            verdict.slashedBips = 0;
        }
        term.isSettled = true;
        emit TermEnded(operator, term.number, verdict.slashedBips, verdict.readmitted);
        source.unfreeze(operator, verdict.slashedBips);
        if (verdict.readmitted) registry.release(operator);
    }

    /// @inheritdoc IEquivocationJudge
    function termOf(address operator) external view returns (Term memory term, bool isOpen) {
        return (_terms[operator], _isOpen(_terms[operator]));
    }

    /// @dev The operator's key in the epoch of what is signed; reverts unless it signed, and the case counts.
    function _signerOf(address operator, SignedAttestation calldata signed) private view returns (address key) {
        uint32 epoch = signed.epoch;
        if (epoch > registry.newestEpoch()) revert EpochNotBegun(epoch);
        if (!registry.isWithinReach(epoch)) revert TooLate(epoch);
        if (registry.getOperatorWeightAtEpoch(operator, epoch) == 0) revert NotAnOperator(epoch);
        key = registry.getOperatorSigningKeyAtEpoch(operator, epoch);
        if (registry.convicted(key)) revert AlreadyJudged(key);
        bytes32 digest = Attestations.digest(registry.domainSeparator(), epoch, signed.slot, signed.fact);
        if (!Signatures.isSignedBy(key, digest, signed.signature)) revert InvalidSignature();
    }

    function _isOpen(Term storage term) private view returns (bool) {
        return term.openedAt != 0 && !term.isSettled && block.number < term.openedAt + source.freezeBlocks();
    }
}
