// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Where an operator's weight comes from, and what stands behind it
/// @notice The registry reads weights here and fixes them per epoch; the source only knows the present. Stake that counted
/// in a set stays within reach of the judge for {withdrawalBlocks} blocks and {withdrawalSeconds} seconds after that set
/// was fixed (the first block of the grace period before its epoch): all limits on certificates and evidence follow
/// from these two, which never change.
interface IWeightSource {
    /// @notice Only the judge of the registry may do this.
    error NotJudge();
    /// @notice What stands behind the operator is not frozen.
    error NotFrozen();
    /// @notice More than all of it.
    error TooMuch();

    /// @notice Takes hold of everything that stands behind `operator`, also of what is being withdrawn. It ends by itself
    /// after {freezeBlocks}. For the judge.
    function freeze(address operator) external;

    /// @notice Ends that, and takes a share of what was frozen; nothing where it has ended by itself. For the judge.
    /// @param slashedBips The share, in hundredths of a percent.
    function unfreeze(address operator, uint16 slashedBips) external;

    /// @notice Present weight of `operator`; 0 if unknown.
    function weightOf(address operator) external view returns (uint256);

    /// @notice The only registry that these weights are for.
    function registry() external view returns (address);

    /// @notice Least blocks that stake stays within reach after a set was fixed in which it counts.
    function withdrawalBlocks() external view returns (uint64);

    /// @notice Least seconds that stake stays within reach after a set was fixed in which it counts.
    function withdrawalSeconds() external view returns (uint64);

    /// @notice Epochs for which a weight counts without being read again; 0 if the source tells the registry of every
    /// change, so that what was read never grows old.
    function freshEpochs() external view returns (uint32);

    /// @notice Blocks after which a freeze ends by itself.
    function freezeBlocks() external view returns (uint64);
}
