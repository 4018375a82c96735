// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SignedEpochUpdate} from "./EpochUpdates.sol";
import {ISlashingDecider} from "./ISlashingDecider.sol";
import {IStakeRegistry} from "./IStakeRegistry.sol";
import {SignedStateProof} from "./StateProofs.sol";

/// @title Proofs that an operator signed two facts for one slot
interface IEquivocationJudge {
    /// @notice `operator` signed two facts for `slot` with one key. `id` is keccak256(slot, operator).
    event EquivocationProven(
        address indexed operator,
        bytes32 indexed slot,
        bytes32 indexed id,
        address signingKey,
        address reporter
    );
    /// @notice `operator` is jailed and its stake frozen, for the `term`th time.
    event TermBegan(address indexed operator, uint256 indexed term);
    /// @notice The `term`th time in jail has its verdict.
    event TermEnded(address indexed operator, uint256 indexed term, uint16 slashedBips, bool readmitted);

    /// @notice The two statements answer different questions.
    error OtherSlot();
    /// @notice The two statements agree.
    error SameFact();
    /// @notice The operator has no stake in `epoch`.
    error NotAnOperator(uint32 epoch);
    /// @notice `epoch` has not begun.
    error EpochNotBegun(uint32 epoch);
    /// @notice The operator had another signing key in each of the two epochs. Two keys are two signers, which may
    /// contradict each other in good faith.
    error OtherKey();
    /// @notice A signature is not by the operator's signing key.
    error InvalidSignature();
    /// @notice This operator was judged for this slot before.
    error AlreadyJudged(bytes32 id);
    /// @notice No stake of the operator is frozen.
    error NoTerm();
    /// @notice The decider has not decided yet.
    error Undecided();

    /// @notice Jails `operator`, which signed both of two contradicting state proofs. Anybody may call.
    function judgeStateProofs(
        address operator,
        SignedStateProof calldata first,
        SignedStateProof calldata second
    ) external;

    /// @notice Jails `operator`, which signed both of two contradicting epoch updates. Anybody may call.
    function judgeEpochUpdates(
        address operator,
        SignedEpochUpdate calldata first,
        SignedEpochUpdate calldata second
    ) external;

    /// @notice Carries out the decider's verdict on `operator`. Anybody may call.
    function settle(address operator) external;

    /// @notice Registry that jails.
    function registry() external view returns (IStakeRegistry);

    /// @notice Who decides about frozen stake.
    function decider() external view returns (ISlashingDecider);

    /// @notice Whether the case with this id, keccak256(slot, operator), was judged.
    function judged(bytes32 id) external view returns (bool);

    /// @notice How often `operator` was jailed, this time included.
    function terms(address operator) external view returns (uint256);
}
