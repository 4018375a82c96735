// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {Home, LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {OperatorSet} from "../src/OperatorSets.sol";
import {LightFixture} from "./support/LightFixture.sol";

/// @notice How a light registry whose sets have all expired begins anew.
contract LightAnchorTest is LightFixture {
    address internal constant GUARDIAN = address(0x6a12d);
    uint64 internal constant DELAY = 600;
    uint32 internal constant LATER = FIRST + 50;

    OperatorSet internal fresh;

    function setUp() public override {
        super.setUp();
        vm.chainId(HOME_CHAIN);
        light = _deployLight(_home(GUARDIAN, DELAY), FIRST, _fixedAt(FIRST), _firstSet());
        vm.chainId(OTHER_CHAIN);
        fresh = _otherSet(1);
    }

    // Deployment

    function test_settings() public view {
        vm.assertEq(light.guardian(), GUARDIAN);
        vm.assertEq(light.anchorDelay(), DELAY);
        vm.assertEq(light.announcedAnchor(), 0);
    }

    function test_delaysFitTheLifetime() public {
        _deployWith(GUARDIAN, 1);
        _deployWith(GUARDIAN, LIFETIME_SECONDS / 2);
        uint64[4] memory wrong = [0, LIFETIME_SECONDS / 2 + 1, LIFETIME_SECONDS, type(uint64).max];
        for (uint256 i; i < wrong.length; ++i) {
            Home memory home = _home(GUARDIAN, wrong[i]);
            bytes32 hash = _setHash(_firstSet());
            vm.expectRevert(LightStakeRegistry.InvalidHome.selector);
            new LightStakeRegistry(home, FIRST, _fixedAt(FIRST), hash);
            _deployWith(address(0), wrong[i]); // of no use without a guardian
        }
    }

    // Announcement

    function test_announces() public {
        _expire();
        uint64 from = uint64(block.timestamp) + DELAY;
        vm.expectEmit(address(light));
        emit LightStakeRegistry.AnchorAnnounced(LATER, _setHash(fresh), _fixedAt(LATER), from);
        _announce(LATER, _fixedAt(LATER), fresh);
        vm.assertEq(light.anchorFrom(), from);
        vm.assertEq(light.announcedAnchor(), keccak256(abi.encode(LATER, _fixedAt(LATER), _setHash(fresh))));
        vm.assertEq(light.newestEpoch(), FIRST);
        _refuseBoth(_others(1), LATER, abi.encodeWithSelector(IQuorumRegistry.InvalidEpoch.selector));
    }

    function test_onlyTheGuardianAnnouncesAndWithdraws() public {
        _expire();
        address[4] memory others = [address(this), ops[0].account, address(light), address(0)];
        for (uint256 i; i < others.length; ++i) {
            vm.prank(others[i]);
            vm.expectRevert(LightStakeRegistry.NotGuardian.selector);
            light.announceAnchor(LATER, _fixedAt(LATER), fresh);
        }
        _announce(LATER, _fixedAt(LATER), fresh);
        for (uint256 i; i < others.length; ++i) {
            vm.prank(others[i]);
            vm.expectRevert(LightStakeRegistry.NotGuardian.selector);
            light.withdrawAnchor();
        }
        vm.assertTrue(light.announcedAnchor() != 0);
    }

    /// @dev Not even the caller that some chains give their own calls.
    function testFuzz_withoutGuardianNobodyAnnounces(address caller) public {
        light = _deployWith(address(0), DELAY);
        _expire();
        for (uint256 i; i < 2; ++i) {
            vm.prank(i == 0 ? caller : address(0));
            vm.expectRevert(LightStakeRegistry.NotGuardian.selector);
            light.announceAnchor(LATER, _fixedAt(LATER), fresh);
        }
        vm.expectRevert(LightStakeRegistry.AnchorNotReady.selector);
        light.anchor(LATER, _fixedAt(LATER), fresh);
    }

    /// @dev While a set lives its quorum decides, and the guardian can prepare nothing.
    function test_nothingIsAnnouncedWhileTheNewestSetLives() public {
        bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.NotExpired.selector, FIRST);
        _refuseAnnouncement(_fixedAt(FIRST + 1), reason);
        vm.warp(_expiryOf(FIRST));
        _refuseAnnouncement(_expiryOf(FIRST), reason);
        vm.warp(_expiryOf(FIRST) + 1);
        _announce(LATER, _expiryOf(FIRST) + 1, fresh);
    }

    /// @dev It is the newest set that counts, though the one before has expired.
    function test_nothingIsAnnouncedWhileALaterSetLives() public {
        _update(ops, FIRST, FIRST + 1, _otherSet(2));
        vm.warp(_expiryOf(FIRST) + 1);
        bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.NotExpired.selector, FIRST + 1);
        _refuseAnnouncement(uint64(block.timestamp), reason);
        vm.warp(_expiryOf(FIRST + 1) + 1);
        _announce(LATER, uint64(block.timestamp), fresh);
    }

    function test_announcesNoSetThatCannotBe() public {
        _expire();
        fresh.weights[1] = 0;
        vm.prank(GUARDIAN);
        vm.expectRevert();
        light.announceAnchor(LATER, _fixedAt(LATER), fresh);
        OperatorSet memory large = _largeSet(501);
        vm.prank(GUARDIAN);
        vm.expectRevert();
        light.announceAnchor(LATER, _fixedAt(LATER), large);
    }

    function test_withdraws() public {
        _expire();
        _announce(LATER, _fixedAt(LATER), fresh);
        vm.expectEmit(address(light));
        emit LightStakeRegistry.AnchorWithdrawn();
        vm.prank(GUARDIAN);
        light.withdrawAnchor();
        vm.assertEq(light.announcedAnchor(), 0);
        vm.warp(block.timestamp + DELAY);
        _refuseAnchor(LATER, _fixedAt(LATER), fresh, LightStakeRegistry.AnchorNotReady.selector);
    }

    // Use

    function test_anybodyAnchorsAfterTheDelay() public {
        _expire();
        _announce(LATER, _fixedAt(LATER), fresh);
        vm.warp(light.anchorFrom());
        vm.expectEmit(address(light));
        emit LightStakeRegistry.EpochUpdated(LATER, LATER, _setHash(fresh), _fixedAt(LATER), address(0xbeef));
        vm.prank(address(0xbeef));
        light.anchor(LATER, _fixedAt(LATER), fresh);

        vm.assertEq(light.newestEpoch(), LATER);
        vm.assertEq(light.setHash(LATER), _setHash(fresh));
        vm.assertEq(light.timeOf(LATER), _fixedAt(LATER));
        vm.assertEq(light.announcedAnchor(), 0);
        _acceptBoth(_others(1), LATER);
        _refuseBoth(ops, FIRST, _expired(FIRST));
        _goToFixingOf(LATER + 1);
        _update(_others(1), LATER, LATER + 1, _otherSet(2));
        _acceptBoth(_others(2), LATER + 1);
    }

    function test_notBeforeTheDelay() public {
        _expire();
        _announce(LATER, _fixedAt(LATER), fresh);
        uint64 from = light.anchorFrom();
        vm.assertEq(from, block.timestamp + DELAY);
        _refuseAnchor(LATER, _fixedAt(LATER), fresh, LightStakeRegistry.AnchorNotReady.selector);
        vm.warp(from - 1);
        _refuseAnchor(LATER, _fixedAt(LATER), fresh, LightStakeRegistry.AnchorNotReady.selector);
        vm.prank(GUARDIAN);
        vm.expectRevert(LightStakeRegistry.AnchorNotReady.selector);
        light.anchor(LATER, _fixedAt(LATER), fresh);
    }

    /// @dev Everybody had the delay to look at it.
    function test_onlyWhatWasAnnounced() public {
        _expire();
        _refuseAnchor(LATER, _fixedAt(LATER), fresh, LightStakeRegistry.AnchorNotReady.selector);
        _announce(LATER, _fixedAt(LATER), fresh);
        vm.warp(light.anchorFrom());
        bytes4 reason = LightStakeRegistry.AnchorNotReady.selector;
        _refuseAnchor(LATER + 1, _fixedAt(LATER), fresh, reason);
        _refuseAnchor(LATER, _fixedAt(LATER) + 1, fresh, reason);
        _refuseAnchor(LATER, _fixedAt(LATER), _otherSet(2), reason);
        fresh.weights[0] += 1;
        _refuseAnchor(LATER, _fixedAt(LATER), fresh, reason);
    }

    /// @dev Another announcement takes the place of the first, with a delay of its own.
    function test_anotherAnnouncementBeginsTheDelayAnew() public {
        _expire();
        _announce(LATER, _fixedAt(LATER), fresh);
        vm.warp(light.anchorFrom());
        OperatorSet memory other = _otherSet(2);
        _announce(LATER, _fixedAt(LATER), other);
        _refuseAnchor(LATER, _fixedAt(LATER), fresh, LightStakeRegistry.AnchorNotReady.selector);
        _refuseAnchor(LATER, _fixedAt(LATER), other, LightStakeRegistry.AnchorNotReady.selector);
        vm.warp(light.anchorFrom());
        light.anchor(LATER, _fixedAt(LATER), other);
    }

    function test_eachAnnouncementOnce() public {
        _expire();
        _announce(LATER, _fixedAt(LATER), fresh);
        vm.warp(light.anchorFrom());
        light.anchor(LATER, _fixedAt(LATER), fresh);
        bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.NotExpired.selector, LATER);
        vm.expectRevert(reason);
        light.anchor(LATER, _fixedAt(LATER), fresh);
        _refuseAnnouncement(uint64(block.timestamp), reason);
        vm.warp(_expiryOf(LATER) + 1);
        _refuseAnchor(LATER, _fixedAt(LATER), fresh, LightStakeRegistry.AnchorNotReady.selector);
    }

    /// @dev No quorum can come between announcement and anchor: times ascend, so where the newest set has expired all have,
    /// and no expired set names another one. So what was announced is never used against a living set.
    function test_noUpdateComesBetween() public {
        OperatorSet memory next = _otherSet(2);
        bytes memory kept = _endorse(light, ops, FIRST, FIRST + 2, _otherSet(3));
        _update(ops, FIRST, FIRST + 1, next);
        vm.warp(_expiryOf(FIRST + 1) + 1);
        uint64 time = uint64(block.timestamp);
        _announce(LATER, time, fresh);
        _refuseUpdate(_others(2), FIRST + 1, FIRST + 2, time, _otherSet(3), _expired(FIRST + 1));
        _refuseUpdate(ops, FIRST, FIRST + 2, time, _otherSet(3), _expired(FIRST));
        vm.expectRevert(_expired(FIRST));
        light.updateEpoch(FIRST, FIRST + 2, _fixedAt(FIRST + 2), _otherSet(3), kept);
        vm.warp(light.anchorFrom());
        light.anchor(LATER, time, fresh);
        vm.assertEq(light.newestEpoch(), LATER);
    }

    /// @dev History is not written anew.
    function test_anchorsOnlyEpochsThatAreNotHeld() public {
        _update(ops, FIRST, FIRST + 1, _otherSet(2));
        vm.warp(_expiryOf(FIRST + 1) + 1);
        uint64 time = uint64(block.timestamp);
        for (uint32 epoch = FIRST; epoch <= FIRST + 1; ++epoch) {
            _announce(epoch, time, fresh);
            vm.warp(light.anchorFrom());
            vm.expectRevert(abi.encodeWithSelector(LightStakeRegistry.EpochKnown.selector, epoch));
            light.anchor(epoch, time, fresh);
        }
    }

    /// @dev A quorum that lies may name an epoch that never comes; it is no longer in the way once it has expired.
    function test_anchorsBeforeAnEpochThatNeverComes() public {
        uint32 never = type(uint32).max;
        OperatorSet memory set = _otherSet(2);
        uint64 time = uint64(block.timestamp);
        bytes32 digest = _updateDigest(light.domainSeparator(), FIRST, never, time, set);
        light.updateEpoch(FIRST, never, time, set, _certificate(ops, digest, FIRST));
        vm.assertEq(light.newestEpoch(), never);
        _rollTo(_fixedBlock(LATER));
        vm.warp(time + LIFETIME_SECONDS + 1);
        time = uint64(block.timestamp);
        _announce(LATER, time, fresh);
        vm.warp(light.anchorFrom());
        light.anchor(LATER, time, fresh);
        vm.assertEq(light.newestEpoch(), LATER);
        _acceptBoth(_others(1), LATER);
        vm.expectRevert(abi.encodeWithSelector(LightStakeRegistry.EpochKnown.selector, never));
        light.updateEpoch(LATER, never, time + 1, set, "");
    }

    /// @dev What is anchored is held to the same times as everything else.
    function test_anchorsOnlyLivingSets() public {
        _expire();
        uint64 time = uint64(block.timestamp);
        uint64 from = time + DELAY;
        uint64 oldest = from - LIFETIME_SECONDS;
        _tryAnchor(from, oldest - 1, abi.encodeWithSelector(LightStakeRegistry.SetExpired.selector, LATER));
        uint64 latest = from + 15 minutes;
        bytes memory future = abi.encodeWithSelector(LightStakeRegistry.TimeOutOfOrder.selector, latest + 1);
        _tryAnchor(from, latest + 1, future);
        vm.warp(time);
        _announce(LATER, oldest, fresh);
        vm.warp(from);
        light.anchor(LATER, oldest, fresh);
        _acceptBoth(_others(1), LATER);
        vm.warp(from + 1);
        _refuseBoth(_others(1), LATER, _expired(LATER));
    }

    /// @dev Announced as soon as it is fixed, a set still lives when the longest delay is over.
    function test_whatIsAnnouncedInTimeStillLives() public {
        light = _deployWith(GUARDIAN, LIFETIME_SECONDS / 2);
        _expire();
        _announce(LATER, _fixedAt(LATER), fresh);
        vm.warp(light.anchorFrom());
        light.anchor(LATER, _fixedAt(LATER), fresh);
        _acceptBoth(_others(1), LATER);
    }

    function _deployWith(address guardian, uint64 delay) private returns (LightStakeRegistry) {
        return _deployLight(_home(guardian, delay), FIRST, _fixedAt(FIRST), _firstSet());
    }

    /// @dev Nothing was told for long: it is the first block in which the set of `LATER` is fixed.
    function _expire() private {
        _goToFixingOf(LATER);
    }

    function _announce(uint32 epoch, uint64 time, OperatorSet memory set) private {
        vm.prank(GUARDIAN);
        light.announceAnchor(epoch, time, set);
    }

    function _refuseAnnouncement(uint64 time, bytes memory reason) private {
        vm.prank(GUARDIAN);
        vm.expectRevert(reason);
        light.announceAnchor(LATER, time, fresh);
    }

    function _refuseAnchor(uint32 epoch, uint64 time, OperatorSet memory set, bytes4 reason) private {
        vm.expectRevert(reason);
        light.anchor(epoch, time, set);
    }

    function _tryAnchor(uint64 from, uint64 time, bytes memory reason) private {
        vm.warp(from - DELAY);
        _announce(LATER, time, fresh);
        vm.warp(from);
        vm.expectRevert(reason);
        light.anchor(LATER, time, fresh);
    }
}
