// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

import {ISlashingDecider, Verdict} from "./ISlashingDecider.sol";

/// @title Verdicts by an owner: a multisig, or the executor of a vote
/// @notice It reaches nobody whose equivocation was not proven to the judge first.
contract OwnerSlashingDecider is ISlashingDecider, Ownable2Step {
    /// @notice All of the stake.
    uint16 public constant ALL = 10_000;

    mapping(address operator => mapping(uint256 term => Verdict)) private _verdicts;

    /// @notice There is a verdict.
    event Decided(address indexed operator, uint256 indexed term, uint16 slashedBips, bool readmitted);

    /// @notice A verdict is final.
    error AlreadyDecided();
    /// @notice More than all of the stake.
    error TooMuch();

    /// @param owner Who decides.
    constructor(address owner) Ownable(owner) {}

    /// @notice Decides, once, on the `term`th time of `operator` in jail.
    /// @param slashedBips Share of the frozen stake that is lost, in hundredths of a percent.
    /// @param readmitted Whether the operator may register again.
    function decide(address operator, uint256 term, uint16 slashedBips, bool readmitted) external onlyOwner {
        if (_verdicts[operator][term].decided) revert AlreadyDecided();
        if (slashedBips > ALL) revert TooMuch();
        _verdicts[operator][term] = Verdict(true, readmitted, slashedBips);
        emit Decided(operator, term, slashedBips, readmitted);
    }

    /// @inheritdoc ISlashingDecider
    function verdictOn(address operator, uint256 term) external view returns (Verdict memory) {
        return _verdicts[operator][term];
    }
}
