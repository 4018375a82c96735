// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

import {Attestations} from "./Attestations.sol";
import {Certificates} from "./Certificates.sol";
import {IQuorumRegistry} from "./IQuorumRegistry.sol";
import {BridgePause, BridgePauses} from "./Transfers.sol";

/// @title What stops a bridge, and lets it go on
/// @notice A quorum does both, by a certificate each. A guardian can only stop it. Every change is counted, so that none
/// can be made again.
abstract contract BridgeSwitch {
    /// @notice Registry whose operators are trusted.
    IQuorumRegistry public immutable registry;
    bytes32 private immutable _domainSeparator;

    /// @notice Number of the last change.
    uint64 public sequence;
    /// @notice Whether nothing moves.
    bool public paused;
    /// @notice Who may stop the bridge as well; zero for none.
    address public guardian;

    /// @notice The bridge stops or goes on, by the change with this number.
    event PauseChanged(uint64 indexed sequence, bool paused);
    /// @notice Who may stop the bridge from now on.
    event GuardianSet(address indexed guardian);

    /// @notice Nothing moves until the bridge goes on.
    error IsPaused();
    /// @notice The next change has the number `expected`.
    error WrongSequence(uint64 expected);
    /// @notice Only the guardian may do this.
    error NotGuardian();
    /// @notice The registry did not accept the certificate.
    error CertificateRejected();

    constructor(IQuorumRegistry quorumRegistry, address firstGuardian) {
        registry = quorumRegistry;
        _domainSeparator = quorumRegistry.domainSeparator();
        _setGuardian(firstGuardian);
    }

    /// @notice Stops the bridge or lets it go on. Anybody may call.
    /// @param isPaused Which of both. It may be as it is already: what was voted has to use its number up.
    /// @param number That of the next change.
    /// @param time When the vote was proposed.
    /// @param certificate Of the vote, in either form.
    function setPaused(bool isPaused, uint64 number, uint64 time, bytes calldata certificate) external {
        if (number != sequence + 1) revert WrongSequence(sequence + 1);
        bytes32 bridge = bytes32(uint256(uint160(address(this))));
        BridgePause memory vote = BridgePause(uint64(block.chainid), bridge, number, isPaused, time);
        _requireCertified(BridgePauses.slot(vote), BridgePauses.fact(vote), certificate);
        _change(isPaused);
    }

    /// @notice Stops the bridge. For the guardian. Counts while it is stopped, too: so a number over which votes were split can
    /// be passed over.
    function guardianPause() external {
        if (msg.sender != guardian) revert NotGuardian();
        _change(true);
    }

    function _setGuardian(address next) internal {
        guardian = next;
        emit GuardianSet(next);
    }

    function _requireRunning() internal view {
        if (paused) revert IsPaused();
    }

    /// @dev Reverts unless a quorum of the certificate's epoch signed that the answer to `slot` is `fact`, in that epoch, and
    /// its stake is still there.
    function _requireCertified(bytes32 slot, bytes32 fact, bytes calldata certificate) internal view {
        uint32 epoch = Certificates.epochOf(certificate);
        bytes32 digest = Attestations.digest(_domainSeparator, epoch, slot, fact);
        if (registry.isValidSignature(digest, certificate) != IERC1271.isValidSignature.selector) {
            revert CertificateRejected();
        }
    }

    function _change(bool isPaused) private {
        (sequence, paused) = (sequence + 1, isPaused);
        emit PauseChanged(sequence, isPaused);
    }
}
