// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Certificates} from "../src/Certificates.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {Home, LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {OperatorSet, OperatorSets} from "../src/OperatorSets.sol";
import {LightFixture} from "./support/LightFixture.sol";

/// @notice How a light registry learns later sets, and from whom.
contract LightUpdatesTest is LightFixture {
    function test_learnsTheNextEpoch() public {
        OperatorSet memory next = _otherSet(1);
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        vm.expectEmit(address(light));
        emit LightStakeRegistry.EpochUpdated(FIRST + 1, FIRST, _setHash(next), _fixedAt(FIRST + 1), address(0xbeef));
        vm.prank(address(0xbeef));
        light.updateEpoch(FIRST, FIRST + 1, _fixedAt(FIRST + 1), next, certificate);

        vm.assertEq(light.newestEpoch(), FIRST + 1);
        vm.assertEq(light.setHash(FIRST + 1), _setHash(next));
        vm.assertEq(light.timeOf(FIRST + 1), _fixedAt(FIRST + 1));
        vm.assertEq(light.getTotalWeightAtEpoch(FIRST + 1), 60);
        vm.assertEq(light.getThresholdStake(FIRST + 1), 41);
        _acceptBoth(_others(1), FIRST + 1);
        _acceptBoth(ops, FIRST); // still held
        _refuse(_compact(ops, 0x7, DIGEST, FIRST + 1), IQuorumRegistry.InvalidSignature.selector);
    }

    function test_mayBeginWithEpochZero() public {
        _goToFixingOf(1);
        light = _light(0, _firstSet());
        _update(ops, 0, 1, _otherSet(1));
        vm.assertEq(light.newestEpoch(), 1);
    }

    function test_takesTheAbiFormToo() public {
        OperatorSet memory next = _otherSet(1);
        uint64 time = _fixedAt(FIRST + 1);
        bytes32 digest = _updateDigest(light.domainSeparator(), FIRST, FIRST + 1, next);
        bytes memory certificate = _certificate(_first(ops, 2), digest, FIRST);
        vm.expectRevert(Certificates.MalformedCertificate.selector);
        light.updateEpoch(FIRST, FIRST + 1, time, next, abi.encodePacked(certificate, bytes32(0)));
        light.updateEpoch(FIRST, FIRST + 1, time, next, certificate);
        vm.assertEq(light.newestEpoch(), FIRST + 1);
    }

    function test_skipsAhead() public {
        _goToFixingOf(FIRST + 3);
        _update(ops, FIRST, FIRST + 3, _otherSet(1));
        vm.assertEq(light.newestEpoch(), FIRST + 3);
        _refuseBoth(_others(1), FIRST + 1, abi.encodeWithSelector(IQuorumRegistry.InvalidEpoch.selector));
    }

    function test_skippedEpochsStayUnknown() public {
        _goToFixingOf(FIRST + 3);
        _update(ops, FIRST, FIRST + 3, _otherSet(1));
        for (uint32 epoch = FIRST + 1; epoch < FIRST + 3; ++epoch) {
            bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.EpochSkipped.selector, epoch, FIRST + 3);
            _refuseUpdate(ops, FIRST, epoch, _otherSet(2), reason);
            _refuseUpdate(_others(1), FIRST + 3, epoch, _otherSet(2), reason);
            _refuseUpdate(_others(1), FIRST + 3, epoch, _fixedAt(FIRST + 3) + 1, _otherSet(2), reason);
        }
        bytes memory unknown = abi.encodeWithSelector(LightStakeRegistry.UnknownEpoch.selector, FIRST + 1);
        _refuseUpdate(ops, FIRST + 1, FIRST + 4, _otherSet(2), unknown);
    }

    function test_eachEpochOnce() public {
        OperatorSet memory next = _otherSet(1);
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        light.updateEpoch(FIRST, FIRST + 1, _fixedAt(FIRST + 1), next, certificate);
        bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.EpochKnown.selector, FIRST + 1);
        vm.expectRevert(reason);
        light.updateEpoch(FIRST, FIRST + 1, _fixedAt(FIRST + 1), next, certificate);
        _refuseUpdate(ops, FIRST, FIRST + 1, _otherSet(2), reason);
        _refuseUpdate(_others(1), FIRST + 1, FIRST + 1, _otherSet(2), reason);
        reason = abi.encodeWithSelector(LightStakeRegistry.EpochKnown.selector, FIRST);
        _refuseUpdate(_others(1), FIRST + 1, FIRST, _otherSet(2), reason);
    }

    function test_refusesUnknownSets() public {
        bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.UnknownEpoch.selector, FIRST + 1);
        _refuseUpdate(ops, FIRST + 1, FIRST + 2, _otherSet(1), reason);
        reason = abi.encodeWithSelector(LightStakeRegistry.UnknownEpoch.selector, FIRST - 1);
        _refuseUpdate(ops, FIRST - 1, FIRST + 2, _otherSet(1), reason);
    }

    // Ways on

    /// @dev The set of FIRST + 1 was never certified, or cannot be installed: the one before it names the one after it.
    function test_aSetThatWasMissedIsSteppedOver() public {
        _goToFixingOf(FIRST + 2);
        _update(ops, FIRST, FIRST + 2, _otherSet(2));
        _acceptBoth(_others(2), FIRST + 2);
    }

    /// @dev Every set that is held and lives will do, also an older one than the newest.
    function test_olderSetsNameLaterOnesToo() public {
        _update(ops, FIRST, FIRST + 1, _otherSet(1));
        _goToFixingOf(FIRST + 2);
        _update(ops, FIRST, FIRST + 2, _otherSet(2));
        vm.assertEq(light.newestEpoch(), FIRST + 2);
        _acceptBoth(_others(2), FIRST + 2);
        // Up to the last second.
        _goToFixingOf(FIRST + 3);
        vm.assertEq(block.timestamp, _expiryOf(FIRST));
        _update(ops, FIRST, FIRST + 3, _otherSet(3));
        vm.warp(block.timestamp + 1);
        _refuseUpdate(ops, FIRST, FIRST + 4, uint64(block.timestamp), _otherSet(4), _expired(FIRST));
        _update(_others(1), FIRST + 1, FIRST + 4, uint64(block.timestamp), _otherSet(4));
    }

    /// @dev Told in one go by somebody who comes late, as long as the first of them lives.
    function test_catchesUpStepByStep() public {
        _goToFixingOf(FIRST + 3);
        _update(ops, FIRST, FIRST + 1, _otherSet(1));
        _update(_others(1), FIRST + 1, FIRST + 2, _otherSet(2));
        _update(_others(2), FIRST + 2, FIRST + 3, _otherSet(3));
        vm.assertEq(light.newestEpoch(), FIRST + 3);
    }

    // Signers

    function test_refusesTheWrongSigners() public {
        OperatorSet memory next = _otherSet(1);
        uint64 time = _fixedAt(FIRST + 1);
        Operator[] memory strangers = ops;
        strangers[1].secret = 1234;
        bytes memory reason = abi.encodeWithSelector(IQuorumRegistry.InvalidSignature.selector);
        _refuseUpdate(strangers, FIRST, FIRST + 1, next, reason);

        bytes32 digest = _updateDigest(light.domainSeparator(), FIRST, FIRST + 1, next);
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        light.updateEpoch(FIRST, FIRST + 1, time, next, _compact(ops, 0x6, digest, FIRST));
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        light.updateEpoch(FIRST, FIRST + 1, time, next, _certificate(_chosen(ops, 0x6), digest, FIRST));
        vm.assertEq(light.newestEpoch(), FIRST);
        vm.assertEq(light.setHash(FIRST + 1), 0);
    }

    /// @dev The set is held before its certificate is looked at.
    function test_noSetVouchesForItself() public {
        Operator[] memory made = _others(9);
        OperatorSet memory own = _otherSet(9);
        uint64 time = _fixedAt(FIRST + 1);
        for (uint32 named = FIRST; named <= FIRST + 1; ++named) {
            bytes32 digest = _updateDigest(light.domainSeparator(), named, FIRST + 1, own);
            bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.EpochMismatch.selector, FIRST, FIRST + 1);
            bytes memory compact = _compact(made, 0x7, digest, FIRST + 1);
            bytes memory listed = _certificate(made, digest, FIRST + 1);
            if (named == FIRST + 1) reason = abi.encodeWithSelector(LightStakeRegistry.UnknownEpoch.selector, named);
            vm.expectRevert(reason);
            light.updateEpoch(named, FIRST + 1, time, own, compact);
            vm.expectRevert(reason);
            light.updateEpoch(named, FIRST + 1, time, own, listed);
        }
        vm.assertEq(light.newestEpoch(), FIRST);
        vm.assertEq(light.sealedSet(FIRST + 1), address(0));
    }

    function test_refusesCertificatesOfOtherEpochs() public {
        _update(ops, FIRST, FIRST + 1, _otherSet(1));
        _goToFixingOf(FIRST + 2);
        // No set lends its certificate to another one.
        OperatorSet memory next = _otherSet(2);
        bytes32 digest = _updateDigest(light.domainSeparator(), FIRST + 1, FIRST + 2, next);
        vm.expectRevert(abi.encodeWithSelector(LightStakeRegistry.EpochMismatch.selector, FIRST + 1, FIRST));
        light.updateEpoch(FIRST + 1, FIRST + 2, _fixedAt(FIRST + 2), next, _compact(ops, 0xf, digest, FIRST));
        digest = _updateDigest(light.domainSeparator(), FIRST, FIRST + 2, next);
        vm.expectRevert(abi.encodeWithSelector(LightStakeRegistry.EpochMismatch.selector, FIRST, FIRST + 1));
        light.updateEpoch(FIRST, FIRST + 2, _fixedAt(FIRST + 2), next, _compact(_others(1), 0x7, digest, FIRST + 1));
        vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
        light.updateEpoch(FIRST, FIRST + 2, _fixedAt(FIRST + 2), next, _compact(ops, 0xf, digest, FIRST + 7));
    }

    // What is signed

    function test_refusesOtherNumbers() public {
        OperatorSet memory next = _otherSet(1);
        uint64 time = _fixedAt(FIRST + 1);
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        light.updateEpoch(FIRST, FIRST + 2, time, next, certificate);
        bytes32 digest = _updateDigest(light.domainSeparator(), FIRST - 1, FIRST + 1, next);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        light.updateEpoch(FIRST, FIRST + 1, time, next, _compact(ops, 0xf, digest, FIRST));
    }

    /// @dev Whoever could choose the time would let an old set look young.
    function test_refusesOtherTimes() public {
        OperatorSet memory next = _otherSet(1);
        uint64 time = _fixedAt(FIRST + 1);
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        uint64[4] memory others = [time - 1, time + 1, time + 15 minutes, _fixedAt(FIRST) + 1];
        for (uint256 i; i < others.length; ++i) {
            vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
            light.updateEpoch(FIRST, FIRST + 1, others[i], next, certificate);
        }
        light.updateEpoch(FIRST, FIRST + 1, time, next, certificate);
    }

    function test_everyPartOfTheSetIsSigned() public {
        OperatorSet memory signed = _otherSet(1);
        uint64 time = _fixedAt(FIRST + 1);
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, signed);
        for (uint256 part; part < 5; ++part) {
            OperatorSet memory other = _otherSet(1);
            if (part == 0) other.operators[1] = address(uint160(other.operators[1]) + 1);
            if (part == 1) other.signingKeys[1] = vm.addr(99);
            if (part == 2) other.weights[1] += 1;
            if (part == 3) (other.weights[0], other.weights[2]) = (other.weights[2], other.weights[0]);
            if (part == 4) other = _setOfEqual(_first(_others(1), 2), 30);
            vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
            light.updateEpoch(FIRST, FIRST + 1, time, other, certificate);
        }
        light.updateEpoch(FIRST, FIRST + 1, time, signed, certificate);
    }

    function test_refusesOtherDomains() public {
        OperatorSet memory set = _firstSet();
        OperatorSet memory next = _otherSet(1);
        uint64 time = _fixedAt(FIRST + 1);
        Home[3] memory homes = [
            Home(HOME_CHAIN + 1, address(registry), LIFETIME_SECONDS, address(0), 0),
            Home(HOME_CHAIN, address(registry.epochManager()), LIFETIME_SECONDS, address(0), 0),
            Home(OTHER_CHAIN, address(light), LIFETIME_SECONDS, address(0), 0)
        ];
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        for (uint256 i; i < homes.length; ++i) {
            LightStakeRegistry other = _deployLight(homes[i], FIRST, _fixedAt(FIRST), set);
            vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
            other.updateEpoch(FIRST, FIRST + 1, time, next, certificate);
            bytes memory foreign = _endorse(other, ops, FIRST, FIRST + 1, next);
            vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
            light.updateEpoch(FIRST, FIRST + 1, time, next, foreign);
        }
        light.updateEpoch(FIRST, FIRST + 1, time, next, certificate);
    }

    /// @dev One certificate serves all chains.
    function test_everyChainTakesTheSameCertificate() public {
        OperatorSet memory next = _otherSet(1);
        uint64 time = _fixedAt(FIRST + 1);
        vm.chainId(HOME_CHAIN);
        LightStakeRegistry other = _light(FIRST, _firstSet());
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        light.updateEpoch(FIRST, FIRST + 1, time, next, certificate);
        vm.chainId(8453);
        other.updateEpoch(FIRST, FIRST + 1, time, next, certificate);
        vm.assertEq(other.setHash(FIRST + 1), light.setHash(FIRST + 1));
    }

    // Sets that cannot be, even if a quorum signs them

    function test_refusesSetsThatNobodyCouldSignFor() public {
        for (uint256 part; part < 8; ++part) {
            OperatorSet memory set = _otherSet(1);
            address second = set.operators[1];
            bytes memory reason = abi.encodeWithSelector(IQuorumRegistry.LengthMismatch.selector);
            if (part == 0) set.signingKeys = new address[](4);
            if (part == 1) set.weights = new uint256[](4);
            if (part >= 2) reason = abi.encodeWithSelector(IQuorumRegistry.NotSorted.selector);
            if (part == 2) (set.operators[0], set.operators[1]) = (set.operators[1], set.operators[0]);
            if (part == 3) set.operators[1] = set.operators[0];
            if (part == 4) (reason, set.weights[1]) = (abi.encodeWithSelector(OperatorSets.ZeroWeight.selector, second), 0);
            if (part == 5) reason = abi.encodeWithSelector(OperatorSets.ZeroSigningKey.selector, second);
            if (part == 5) set.signingKeys[1] = address(0);
            if (part == 6) reason = abi.encodeWithSelector(OperatorSets.WeightTooLarge.selector, second);
            if (part == 6) set.weights[1] = 1 << 96;
            if (part == 7) reason = abi.encodeWithSelector(OperatorSets.TooManyMembers.selector);
            if (part == 7) set = _largeSet(501);
            _refuseSet(set, reason);
        }
    }

    function test_refusesEmptySets() public {
        OperatorSet memory set;
        _refuseSet(set, abi.encodeWithSelector(IQuorumRegistry.InvalidLength.selector));
    }

    function test_holdsFiveHundredMembers() public {
        OperatorSet memory set = _largeSet(500);
        _update(ops, FIRST, FIRST + 1, set);
        vm.assertEq(light.getOperatorSigningKeyAtEpoch(set.operators[499], FIRST + 1), set.signingKeys[499]);
        vm.assertEq(light.getOperatorWeightAtEpoch(set.operators[250], FIRST + 1), type(uint96).max);
        vm.assertEq(light.getTotalWeightAtEpoch(FIRST + 1), 500 * uint256(type(uint96).max));
        vm.assertEq(light.getThresholdStake(FIRST + 1), (1000 * uint256(type(uint96).max)) / 3 + 1);
        vm.assertEq(light.setHash(FIRST + 1), _setHash(set));
    }

    /// @dev Neither as the first set nor as a later one.
    function _refuseSet(OperatorSet memory set, bytes memory reason) private {
        vm.expectRevert(reason);
        light.updateEpoch(FIRST, FIRST + 1, _fixedAt(FIRST + 1), set, "");
        LightStakeRegistry other = new LightStakeRegistry(_home(address(0), 0), FIRST, _fixedAt(FIRST), 0);
        vm.expectRevert(reason);
        other.anchor(FIRST, _fixedAt(FIRST), set);
    }
}
