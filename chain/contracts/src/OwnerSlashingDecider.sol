// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

import {IEquivocationJudge, Term} from "./IEquivocationJudge.sol";
import {ISlashingDecider, Verdict} from "./ISlashingDecider.sol";

/// @title Verdicts by an owner: a multisig, or the executor of a vote
/// @notice It reaches nobody whose equivocation was not proven to a judge first, and decides nothing in advance. One may
/// serve several judges.
contract OwnerSlashingDecider is ISlashingDecider, Ownable2Step {
    /// @notice All of the stake.
    uint16 public constant ALL = 10_000;

    mapping(address judge => mapping(address operator => mapping(uint64 term => Verdict))) private _verdicts;

    /// @notice There is a verdict.
    event Decided(
        IEquivocationJudge indexed judge,
        address indexed operator,
        uint64 indexed term,
        uint16 slashedBips,
        bool readmitted
    );

    /// @notice A verdict is final.
    error AlreadyDecided();
    /// @notice The operator is not in that term at this judge, or it has ended and nothing can be slashed any more.
    error TermNotOpen();
    /// @notice More than all of the stake.
    error TooMuch();

    /// @param owner Who decides.
    constructor(address owner) Ownable(owner) {}

    /// @notice Decides, once, on the `term`th time of `operator` in jail: while it lasts, or afterwards without a share, to
    /// readmit it. Best decided late: until the stake that stood behind the convicted key is out of reach, what that key
    /// contradicts may still come up, and no other case can be made of it.
    /// @param slashedBips Share of the frozen stake that is lost, in hundredths of a percent.
    /// @param readmitted Whether the operator may register again.
    function decide(
        IEquivocationJudge judge,
        address operator,
        uint64 term,
        uint16 slashedBips,
        bool readmitted
    ) external onlyOwner {
        (Term memory newest, bool isOpen) = judge.termOf(operator);
        if (term == 0 || newest.number != term || (!isOpen && slashedBips != 0)) revert TermNotOpen();
        Verdict storage verdict = _verdicts[address(judge)][operator][term];
        if (verdict.decided) revert AlreadyDecided();
        if (slashedBips > ALL) revert TooMuch();
        (verdict.decided, verdict.readmitted, verdict.slashedBips) = (true, readmitted, slashedBips);
        emit Decided(judge, operator, term, slashedBips, readmitted);
    }

    /// @inheritdoc ISlashingDecider
    function verdictOn(address operator, uint64 term) external view returns (Verdict memory) {
        return _verdicts[msg.sender][operator][term];
    }
}
