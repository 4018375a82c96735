// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {OperatorSet} from "../src/OperatorSets.sol";
import {LightFixture} from "./support/LightFixture.sol";

/// @notice Sets speak for their lifetime only: what those can do whose stake has gone, and what everybody can do.
contract LightTimesTest is LightFixture {
    uint64 internal constant DRIFT = 15 minutes;

    /// @dev A set that withdrew long ago, whose keys cost nothing, would bar all later epochs by one that is never reached.
    function test_anExpiredSetNamesNoLaterOne() public {
        vm.warp(_expiryOf(FIRST) + 1);
        uint64 time = uint64(block.timestamp);
        uint32[4] memory epochs = [FIRST + 1, FIRST + 2, 4_000_000_000, type(uint32).max];
        for (uint256 i; i < epochs.length; ++i) {
            _refuseUpdate(ops, FIRST, epochs[i], time, _otherSet(9), _expired(FIRST));
            _refuseUpdate(ops, FIRST, epochs[i], time + DRIFT, _otherSet(9), _expired(FIRST));
        }
        vm.assertEq(light.newestEpoch(), FIRST);
    }

    /// @dev The same where the registry itself has gone on.
    function test_anExpiredSetNamesNoLaterOneThanTheNewest() public {
        _update(ops, FIRST, FIRST + 1, _otherSet(1));
        vm.warp(_expiryOf(FIRST) + 1);
        uint64 time = uint64(block.timestamp);
        _refuseUpdate(ops, FIRST, 4_000_000_000, time, _otherSet(9), _expired(FIRST));
        _refuseUpdate(ops, FIRST, FIRST + 4, time, _otherSet(9), _expired(FIRST));
        _update(_others(1), FIRST + 1, FIRST + 4, time, _otherSet(4));
        vm.assertEq(light.newestEpoch(), FIRST + 4);
    }

    function test_namesUntilItsLastSecond() public {
        vm.warp(_expiryOf(FIRST));
        _update(ops, FIRST, FIRST + 3, _otherSet(3));
        vm.assertEq(light.newestEpoch(), FIRST + 3);
    }

    /// @dev Anybody can keep a public update. Told late, it shows the set as old as it is.
    function test_anOldUpdateMakesNothingLookFresh() public {
        OperatorSet memory next = _otherSet(1);
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        vm.warp(_expiryOf(FIRST));
        light.updateEpoch(FIRST, FIRST + 1, _fixedAt(FIRST + 1), next, certificate);
        vm.warp(_expiryOf(FIRST + 1));
        _acceptBoth(_others(1), FIRST + 1);
        vm.warp(_expiryOf(FIRST + 1) + 1);
        _refuseBoth(_others(1), FIRST + 1, _expired(FIRST + 1));
        _refuseUpdate(_others(1), FIRST + 1, FIRST + 9, uint64(block.timestamp), _otherSet(9), _expired(FIRST + 1));
    }

    /// @dev Told after that it is refused: by the set that signed, then by its own.
    function test_anOldUpdateIsRefusedOnceItsSetsAreExpired() public {
        OperatorSet memory next = _otherSet(1);
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        vm.warp(_expiryOf(FIRST) + 1);
        vm.expectRevert(_expired(FIRST));
        light.updateEpoch(FIRST, FIRST + 1, _fixedAt(FIRST + 1), next, certificate);
        vm.warp(_expiryOf(FIRST + 1) + 1);
        vm.expectRevert(abi.encodeWithSelector(LightStakeRegistry.SetExpired.selector, FIRST + 1));
        light.updateEpoch(FIRST, FIRST + 1, _fixedAt(FIRST + 1), next, certificate);
    }

    /// @dev Nor does a chain of old updates lead out of the past.
    function test_aChainOfOldUpdatesEndsInThePast() public {
        bytes[] memory chain = new bytes[](3);
        chain[0] = _endorse(light, ops, FIRST, FIRST + 1, _otherSet(1));
        chain[1] = _endorse(light, _others(1), FIRST + 1, FIRST + 2, _otherSet(2));
        chain[2] = _endorse(light, _others(2), FIRST + 2, FIRST + 3, _otherSet(3));
        vm.warp(_expiryOf(FIRST));
        for (uint32 i; i < 3; ++i) {
            light.updateEpoch(FIRST + i, FIRST + i + 1, _fixedAt(FIRST + i + 1), _otherSet(i + 1), chain[i]);
        }
        vm.warp(_expiryOf(FIRST + 3) + 1);
        for (uint32 i = 1; i < 4; ++i) {
            _refuseBoth(_others(i), FIRST + i, _expired(FIRST + i));
        }
    }

    // Order

    function test_timesAscend() public {
        uint64 first = _fixedAt(FIRST);
        uint64[3] memory early = [0, first - 1, first - LIFETIME_SECONDS / 2];
        for (uint256 i; i < early.length; ++i) {
            bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.TimeOutOfOrder.selector, early[i]);
            _refuseUpdate(ops, FIRST, FIRST + 1, early[i], _otherSet(1), reason);
        }
        // Blocks may share a second.
        _update(ops, FIRST, FIRST + 1, first, _otherSet(1));
        vm.assertEq(light.timeOf(FIRST + 1), first);
    }

    /// @dev Of the newest set, also where an older one signs. So the newest set is always the last one to expire.
    function test_timesAscendFromTheNewest() public {
        _update(ops, FIRST, FIRST + 1, _otherSet(1));
        uint64 newest = _fixedAt(FIRST + 1);
        bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.TimeOutOfOrder.selector, newest - 1);
        _refuseUpdate(ops, FIRST, FIRST + 2, newest - 1, _otherSet(2), reason);
        _update(ops, FIRST, FIRST + 2, newest, _otherSet(2));
    }

    /// @dev Clocks of chains differ a little. A set of the future would live longer than its stake stays.
    function test_timesAreNotOfTheFuture() public {
        vm.assertEq(light.MAX_DRIFT(), DRIFT);
        uint64 latest = uint64(block.timestamp) + DRIFT;
        uint64[3] memory late = [latest + 1, latest + LIFETIME_SECONDS, type(uint64).max];
        for (uint256 i; i < late.length; ++i) {
            bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.TimeOutOfOrder.selector, late[i]);
            _refuseUpdate(ops, FIRST, FIRST + 1, late[i], _otherSet(1), reason);
        }
        _update(ops, FIRST, FIRST + 1, latest, _otherSet(1));
        vm.warp(latest + LIFETIME_SECONDS + 1);
        _refuseBoth(_others(1), FIRST + 1, _expired(FIRST + 1));
    }

    // Whoever has no quorum of a living set

    /// @dev Whatever is sent by anybody who has no two thirds of a living set's weight, nothing changes.
    function testFuzz_nothingChangesWithoutAQuorum(
        uint256 random,
        uint32 epoch,
        uint32 nextEpoch,
        uint64 ahead,
        uint64 claimed
    ) public {
        _update(ops, FIRST, FIRST + 1, _otherSet(1));
        vm.warp(_fixedAt(FIRST + 1) + (ahead % (2 * LIFETIME_SECONDS)));
        if (random % 2 == 0) epoch = FIRST + (epoch % 3);
        if ((random >> 1) % 2 == 0) nextEpoch = FIRST + (nextEpoch % 6);
        uint64 time = uint64(block.timestamp) + DRIFT - (claimed % (2 * DRIFT));
        // The set of FIRST with all keys where it has expired, and too few of them where it has not.
        bool isOver = block.timestamp > _expiryOf(FIRST);
        bool byFirst = (random >> 2) % 2 == 0;
        Operator[] memory members = byFirst ? ops : _others(1);
        uint256 signers = byFirst ? (isOver ? 0xf : 0x9) : 0x3;
        bytes32 digest = _updateDigest(light.domainSeparator(), epoch, nextEpoch, time, _otherSet(9));
        uint32 signing = byFirst ? FIRST : FIRST + 1;
        bytes memory certificate = (random >> 3) % 2 == 0
            ? _compact(members, signers, digest, signing)
            : _certificate(_chosen(members, signers), digest, signing);

        vm.expectRevert();
        light.updateEpoch(epoch, nextEpoch, time, _otherSet(9), certificate);
        vm.assertEq(light.newestEpoch(), FIRST + 1);
        vm.assertEq(light.setHash(FIRST), _setHash(_firstSet()));
        vm.assertEq(light.setHash(FIRST + 1), _setHash(_otherSet(1)));
    }

    /// @dev The code of a set is stored at an address that follows from it; money sent there in advance bars nothing.
    function test_moneyAtTheAddressOfASetBarsNothing() public {
        OperatorSet memory next = _otherSet(1);
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        address pointer = _pointerOf(next);
        vm.deal(pointer, 1);
        light.updateEpoch(FIRST, FIRST + 1, _fixedAt(FIRST + 1), next, certificate);
        vm.assertEq(light.sealedSet(FIRST + 1), pointer);
        _acceptBoth(_others(1), FIRST + 1);
    }

    /// @dev A set that stays as it is costs no code, and has the time of each of its epochs.
    function test_theSameSetAgainIsAnotherEpoch() public {
        OperatorSet memory same = _firstSet();
        _update(ops, FIRST, FIRST + 1, same);
        vm.assertEq(light.sealedSet(FIRST + 1), light.sealedSet(FIRST));
        vm.warp(_expiryOf(FIRST) + 1);
        _refuseBoth(ops, FIRST, _expired(FIRST));
        _acceptBoth(ops, FIRST + 1);
    }

    /// @dev The words of {SealedSets} behind a STOP, at the address of CREATE2.
    function _pointerOf(OperatorSet memory set) private view returns (address) {
        bytes memory words = abi.encode(uint256(60));
        for (uint256 i; i < set.operators.length; ++i) {
            words = abi.encodePacked(words, set.signingKeys[i], uint96(set.weights[i]));
        }
        bytes memory code = abi.encodePacked(hex"61", uint16(words.length + 1), hex"80600a3d393df300", words);
        bytes32 hash = keccak256(abi.encodePacked(hex"ff", address(light), bytes32(0), keccak256(code)));
        return address(uint160(uint256(hash)));
    }
}
