// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SignedAttestation} from "./Attestations.sol";
import {ISlashingDecider} from "./ISlashingDecider.sol";
import {IStakeRegistry} from "./IStakeRegistry.sol";
import {IWeightSource} from "./IWeightSource.sol";

/// @notice One time in jail, from a conviction until its verdict.
struct Term {
    // Counted from 1; 0 if the operator was never jailed.
    uint64 number;
    // Block of the conviction.
    uint64 openedAt;
    bool isSettled;
}

/// @title Proofs that an operator signed two facts for one slot
interface IEquivocationJudge {
    /// @notice `operator` signed two facts for `slot`, with the keys that it had in the epochs signed; they may be the same.
    event EquivocationProven(
        address indexed operator,
        bytes32 indexed slot,
        address firstKey,
        address secondKey,
        address reporter
    );
    /// @notice `operator` is jailed and its stake frozen, for the `term`th time.
    event TermBegan(address indexed operator, uint64 indexed term);
    /// @notice The `term`th time in jail is over.
    event TermEnded(address indexed operator, uint64 indexed term, uint16 slashedBips, bool readmitted);

    /// @notice The two statements answer different questions.
    error OtherSlot();
    /// @notice The two statements agree.
    error SameFact();
    /// @notice The operator has no stake in `epoch`.
    error NotAnOperator(uint32 epoch);
    /// @notice `epoch` has not begun.
    error EpochNotBegun(uint32 epoch);
    /// @notice The stake that stood behind signatures of `epoch` may have been withdrawn since, so they prove nothing any
    /// more against those whose stake it is today.
    error TooLate(uint32 epoch);
    /// @notice A signature is not by the operator's signing key of its epoch.
    error InvalidSignature();
    /// @notice The key was convicted before: it counts nowhere, and its owner has had a term for it.
    error AlreadyJudged(address key);
    /// @notice The operator is not in jail, or what it was in for is settled.
    error NoTerm();
    /// @notice The decider has not decided yet.
    error Undecided();
    /// @notice The verdict may be carried out from block `from` on.
    error TooEarly(uint64 from);
    /// @notice There is no contract at the decider's address.
    error NoDecider();
    /// @notice Freezes end before the least delay of a verdict is over.
    error NoTimeToDecide();

    /// @notice Jails `operator`, which signed both of two contradicting attestations. Anybody may call.
    /// @dev The keys may differ: an operator answers for all of its keys. A key that was convicted is never judged again,
    /// nor what it contradicts: who holds a stolen key could else bring its former owner down for ever.
    function judge(address operator, SignedAttestation calldata first, SignedAttestation calldata second) external;

    /// @notice Carries out the decider's verdict on `operator`. Where it comes after the freeze has ended by itself, nothing
    /// is slashed, and it can only readmit the operator. Anybody may call.
    function settle(address operator) external;

    /// @notice The newest term of `operator`, and whether a verdict on it can still be given.
    function termOf(address operator) external view returns (Term memory term, bool isOpen);

    /// @notice Registry that jails.
    function registry() external view returns (IStakeRegistry);

    /// @notice What freezes and slashes stake.
    function source() external view returns (IWeightSource);

    /// @notice Who decides about frozen stake.
    function decider() external view returns (ISlashingDecider);

    /// @notice Least blocks between a conviction and its verdict.
    function minimumDelay() external view returns (uint64);
}
