// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {BridgeSwitch} from "../src/BridgeSwitch.sol";
import {IBridge} from "../src/IBridge.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {BridgePause, Transfer} from "../src/Transfers.sol";
import {BridgeFixture} from "./support/BridgeFixture.sol";

/// @notice Who stops the bridge, who lets it go on, and that none of it happens twice.
contract BridgePauseTest is BridgeFixture {
    function test_aQuorumPausesAndResumes() public {
        bytes memory certificate = _certifyPause(true, 1, 77);
        vm.expectEmit(address(bridge));
        emit BridgeSwitch.PauseChanged(1, true);
        vm.prank(address(0x5a));
        bridge.setPaused(true, 1, 77, certificate);
        vm.assertTrue(bridge.paused());
        certificate = _certifyPause(false, 2, 78);
        vm.expectEmit(address(bridge));
        emit BridgeSwitch.PauseChanged(2, false);
        bridge.setPaused(false, 2, 78, certificate);
        vm.assertFalse(bridge.paused());
        vm.assertEq(bridge.sequence(), 2);
    }

    function test_nothingMovesMeanwhile() public {
        Transfer memory queued = _incoming(1, PEER_TOKEN, 2_000);
        _deliver(queued);
        Transfer memory sent = _sendToken(4_200);
        Transfer memory next = _incoming(2);
        bytes memory certificate = _certify(next);
        bytes memory closing = _certifyClosing(sent, 9);
        _setPaused(true);
        _pass(30 days);
        bytes memory reason = _error(BridgeSwitch.IsPaused.selector);
        vm.expectRevert(reason);
        vm.prank(USER);
        bridge.send(PEER_CHAIN, PEER, address(token), UNIT, "x", _deadline());
        vm.expectRevert(reason);
        bridge.deliver(next, certificate);
        vm.expectRevert(reason);
        bridge.close(next, certificate);
        vm.expectRevert(reason);
        bridge.release(queued);
        vm.expectRevert(reason);
        bridge.refund(sent, 9, closing);
        vm.expectRevert(reason);
        bridge.fund(tokenId, 0);

        _setPaused(false);
        bridge.deliver(next, certificate);
        bridge.release(queued);
        bridge.refund(sent, 9, closing);
    }

    // Replays

    function test_noVoteCountsTwice() public {
        bytes memory pause = _certifyPause(true, 1, 77);
        bytes memory resume = _certifyPause(false, 2, 78);
        bridge.setPaused(true, 1, 77, pause);
        _refuse(true, 1, 77, pause, _error(BridgeSwitch.WrongSequence.selector, 2));
        bridge.setPaused(false, 2, 78, resume);
        _refuse(true, 1, 77, pause, _error(BridgeSwitch.WrongSequence.selector, 3));
        _refuse(false, 2, 78, resume, _error(BridgeSwitch.WrongSequence.selector, 3));
        // Nor under another number.
        _refuse(true, 3, 77, pause, _error(IQuorumRegistry.InvalidSignature.selector));
    }

    function test_numbersAreNotPassedOver() public {
        bytes memory later = _certifyPause(true, 2, 77);
        _refuse(true, 2, 77, later, _error(BridgeSwitch.WrongSequence.selector, 1));
        _refuse(true, 0, 77, later, _error(BridgeSwitch.WrongSequence.selector, 1));
        _refuse(true, type(uint64).max, 77, later, _error(BridgeSwitch.WrongSequence.selector, 1));
        _setPaused(true);
        bridge.setPaused(true, 2, 77, later);
        vm.assertTrue(bridge.paused());
    }

    function test_everyFieldIsSigned() public {
        bytes memory reason = _error(IQuorumRegistry.InvalidSignature.selector);
        bytes memory certificate = _certifyPause(true, 1, 77);
        _refuse(false, 1, 77, certificate, reason);
        _refuse(true, 1, 78, certificate, reason);
        uint64 chain = uint64(block.chainid);
        bytes32 here = _padded(address(bridge));
        BridgePause[2] memory others = [
            BridgePause(chain + 1, here, 1, true, 77),
            BridgePause(chain, _padded(address(token)), 1, true, 77)
        ];
        for (uint256 i; i < 2; ++i) _refuse(true, 1, 77, _certifyVote(others[i]), reason);
        bridge.setPaused(true, 1, 77, certificate);
    }

    function test_agedVotesCountNoMore() public {
        bytes memory certificate = _certifyPause(true, 1, 77);
        vm.roll(_fixedBlock(EPOCH) + LIFETIME + 1);
        _refuse(true, 1, 77, certificate, _error(IQuorumRegistry.CertificateExpired.selector, EPOCH));
    }

    // The guardian

    function test_theGuardianPauses() public {
        vm.expectEmit(address(bridge));
        emit BridgeSwitch.PauseChanged(1, true);
        vm.prank(GUARDIAN);
        bridge.guardianPause();
        vm.assertTrue(bridge.paused());
        vm.expectRevert(BridgeSwitch.NotGuardian.selector);
        bridge.guardianPause();
        vm.expectRevert(BridgeSwitch.NotGuardian.selector);
        vm.prank(USER);
        bridge.guardianPause();
    }

    /// @dev Only a quorum does.
    function test_theGuardianCannotResume() public {
        vm.startPrank(GUARDIAN);
        bridge.guardianPause();
        bytes memory certificate = _certifyPause(true, 2, 77);
        vm.expectRevert(_error(IQuorumRegistry.InvalidSignature.selector));
        bridge.setPaused(false, 2, 77, certificate);
        vm.stopPrank();
        _setPaused(false);
    }

    /// @dev A vote to resume that was held back is worth nothing after another pause.
    function test_theGuardianCountsTheSameSequence() public {
        bytes memory resume = _certifyPause(false, 1, 77);
        vm.prank(GUARDIAN);
        bridge.guardianPause();
        vm.assertEq(bridge.sequence(), 1);
        _refuse(false, 1, 77, resume, _error(BridgeSwitch.WrongSequence.selector, 2));
        vm.assertTrue(bridge.paused());
    }

    /// @dev Where operators voted differently under one number, none of them can vote for it again.
    function test_theGuardianPassesOverASplitVote() public {
        _setPaused(true);
        vm.prank(GUARDIAN);
        bridge.guardianPause();
        vm.assertEq(bridge.sequence(), 2);
        bridge.setPaused(false, 3, 77, _certifyPause(false, 3, 77));
        vm.assertFalse(bridge.paused());
    }

    function test_theOwnerNamesTheGuardian() public {
        vm.expectEmit(address(bridge));
        emit BridgeSwitch.GuardianSet(USER);
        bridge.setGuardian(USER);
        vm.expectRevert(BridgeSwitch.NotGuardian.selector);
        vm.prank(GUARDIAN);
        bridge.guardianPause();
        vm.prank(USER);
        bridge.guardianPause();
        bridge.setGuardian(address(0));
        vm.expectRevert(BridgeSwitch.NotGuardian.selector);
        vm.prank(USER);
        bridge.guardianPause();
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, GUARDIAN));
        vm.prank(GUARDIAN);
        bridge.setGuardian(GUARDIAN);
    }

    /// @dev The owner can brake as well, but resumes nothing.
    function test_theOwnerCannotResume() public {
        _setPaused(true);
        vm.expectRevert(BridgeSwitch.NotGuardian.selector);
        bridge.guardianPause();
        _refuse(false, 2, 5, _certifyPause(true, 2, 5), _error(IQuorumRegistry.InvalidSignature.selector));
        Transfer memory transfer = _incoming(1);
        _refuseDelivery(transfer, _error(BridgeSwitch.IsPaused.selector));
        _assertStatus(1, IBridge.Status.Open);
    }

    function _refuse(
        bool paused,
        uint64 number,
        uint64 time,
        bytes memory certificate,
        bytes memory reason
    ) private {
        vm.expectRevert(reason);
        bridge.setPaused(paused, number, time, certificate);
    }
}
