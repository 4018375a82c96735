// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice What becomes of an operator whose equivocation was proven, and of the stake behind it.
struct Verdict {
    // Whether there is a verdict yet.
    bool decided;
    // Whether the operator may register again.
    bool readmitted;
    // Share of the frozen stake that is lost, in hundredths of a percent; the rest is released.
    uint16 slashedBips;
}

/// @title Who decides about frozen stake
/// @notice The proof of equivocation is mechanical; what it costs is not. Governance, a court or a fixed rule goes here.
interface ISlashingDecider {
    /// @notice The verdict on `operator` for its `term`th time in jail, counted from 1, at the judge that asks. Final once it
    /// is decided. The judge waits for its least delay, whatever is said here.
    function verdictOn(address operator, uint64 term) external view returns (Verdict memory);
}
