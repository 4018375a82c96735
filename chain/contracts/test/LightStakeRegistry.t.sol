// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Certificates} from "../src/Certificates.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {Home, LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {OperatorSet} from "../src/OperatorSets.sol";
import {LightFixture} from "./support/LightFixture.sol";
import {Opcodes} from "./support/Opcodes.sol";

/// @notice What a light registry holds, which certificates it takes, and for how long.
contract LightStakeRegistryTest is LightFixture {
    // Deployment

    function test_settings() public {
        vm.assertEq(light.homeChainId(), HOME_CHAIN);
        vm.assertEq(light.homeRegistry(), address(registry));
        vm.assertEq(light.certificateLifetime(), LIFETIME_SECONDS);
        vm.assertEq(light.certificateLifetime(), registry.certificateLifetime());
        vm.assertEq(light.guardian(), address(0));
        vm.assertEq(light.newestEpoch(), FIRST);
        vm.assertEq(light.setHash(FIRST), _setHash(_firstSet()));
        vm.assertEq(light.timeOf(FIRST), _fixedAt(FIRST));
        vm.assertEq(light.maxAge(), type(uint32).max);
        vm.chainId(HOME_CHAIN);
        vm.assertEq(light.domainSeparator(), registry.domainSeparator());
        vm.assertEq(light.domainSeparator(), _domainSeparator(registry));
    }

    function test_deploymentIsLogged() public {
        OperatorSet memory set = _firstSet();
        vm.expectEmit();
        emit LightStakeRegistry.EpochUpdated(FIRST, FIRST, _setHash(set), _fixedAt(FIRST), address(this));
        _light(FIRST, set);
    }

    function test_deploymentNeedsALifetime() public {
        Home memory home = _home(address(0), 0);
        home.lifetime = 0;
        bytes32 hash = _setHash(_firstSet());
        vm.expectRevert(LightStakeRegistry.InvalidHome.selector);
        new LightStakeRegistry(home, FIRST, _fixedAt(FIRST), hash);
    }

    /// @dev Neither with one that certifies nothing any more, nor with one of the future.
    function test_beginsWithALivingSetOnly() public {
        uint64 time = uint64(block.timestamp);
        _begin(time - LIFETIME_SECONDS, "");
        _begin(time - LIFETIME_SECONDS - 1, abi.encodeWithSelector(LightStakeRegistry.SetExpired.selector, FIRST));
        _begin(0, abi.encodeWithSelector(LightStakeRegistry.SetExpired.selector, FIRST));
        _begin(time + 15 minutes, "");
        uint64[2] memory late = [time + 15 minutes + 1, type(uint64).max];
        for (uint256 i; i < 2; ++i) {
            _begin(late[i], abi.encodeWithSelector(LightStakeRegistry.TimeOutOfOrder.selector, late[i]));
        }
    }

    /// @dev Until its first set is there it accepts nothing, and takes no other set than the deployer vouched for.
    function test_beginsWithTheSetThatWasVouchedForOnly() public {
        OperatorSet memory set = _firstSet();
        uint64 time = _fixedAt(FIRST);
        LightStakeRegistry fresh = new LightStakeRegistry(_home(address(0), 0), FIRST, time, _setHash(set));
        vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
        fresh.isValidSignature(DIGEST, _certificate(ops, DIGEST, FIRST));
        vm.expectRevert(abi.encodeWithSelector(LightStakeRegistry.UnknownEpoch.selector, FIRST));
        fresh.updateEpoch(FIRST, FIRST + 1, time + 1, _otherSet(1), "");
        vm.expectRevert(LightStakeRegistry.AnchorNotReady.selector);
        fresh.anchor(FIRST, time, _otherSet(1));
        vm.expectRevert(LightStakeRegistry.AnchorNotReady.selector);
        fresh.anchor(FIRST + 1, time, set);
        vm.expectRevert(LightStakeRegistry.AnchorNotReady.selector);
        fresh.anchor(FIRST, time - 1, set);
        fresh.anchor(FIRST, time, set);
        vm.expectRevert(abi.encodeWithSelector(LightStakeRegistry.NotExpired.selector, FIRST));
        fresh.anchor(FIRST, time, set);
    }

    /// @dev Refused for `reason`, or taken where there is none.
    function _begin(uint64 time, bytes memory reason) private {
        OperatorSet memory set = _firstSet();
        LightStakeRegistry fresh = new LightStakeRegistry(_home(address(0), 0), FIRST, time, _setHash(set));
        if (reason.length > 0) vm.expectRevert(reason);
        fresh.anchor(FIRST, time, set);
    }

    function test_views() public view {
        address[] memory operators = light.getOperatorsAtEpoch(FIRST);
        (address[] memory keys, uint256[] memory memberWeights) = light.sealedMembers(FIRST);
        vm.assertEq(operators.length, 4);
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(operators[i], ops[i].account);
            vm.assertEq(keys[i], ops[i].signingKey);
            vm.assertEq(memberWeights[i], 40 - 10 * i);
            vm.assertEq(light.getOperatorSigningKeyAtEpoch(ops[i].account, FIRST), ops[i].signingKey);
            vm.assertEq(light.getOperatorWeightAtEpoch(ops[i].account, FIRST), 40 - 10 * i);
        }
        address stranger = address(uint160(ops[1].account) + 1);
        vm.assertEq(light.getOperatorSigningKeyAtEpoch(stranger, FIRST), address(0));
        vm.assertEq(light.getOperatorWeightAtEpoch(stranger, FIRST), 0);
        vm.assertEq(light.getTotalWeightAtEpoch(FIRST), 100);
        vm.assertEq(light.getThresholdStake(FIRST), 67);
    }

    /// @dev Nothing carries forward.
    function test_viewsOfEpochsThatAreNotHeld() public {
        for (uint32 epoch = FIRST - 1; epoch <= FIRST + 1; epoch += 2) {
            vm.assertEq(light.setHash(epoch), 0);
            vm.assertEq(light.timeOf(epoch), 0);
            vm.assertEq(light.sealedSet(epoch), address(0));
            vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
            light.getTotalWeightAtEpoch(epoch);
            vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
            light.getThresholdStake(epoch);
            vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
            light.getOperatorWeightAtEpoch(ops[0].account, epoch);
            vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
            light.getOperatorSigningKeyAtEpoch(ops[0].account, epoch);
            vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
            light.getOperatorsAtEpoch(epoch);
            vm.expectRevert(abi.encodeWithSelector(IQuorumRegistry.SetNotSealed.selector, epoch));
            light.sealedMembers(epoch);
        }
    }

    function testFuzz_findsEveryOperator(uint8 count, uint256 seed) public {
        Operator[] memory many = _operators(1 + (count % 40), seed >> 8);
        light = _light(FIRST, _setOfEqual(many, 7));
        for (uint256 i; i < many.length; ++i) {
            vm.assertEq(light.getOperatorSigningKeyAtEpoch(many[i].account, FIRST), many[i].signingKey);
            address neighbour = address(uint160(many[i].account) + 1);
            vm.assertEq(light.getOperatorSigningKeyAtEpoch(neighbour, FIRST), address(0));
        }
    }

    // Certificates

    function test_acceptsBothForms() public view {
        uint256[4] memory signers = [uint256(0x3), 0xf, 0xd, 0xb];
        for (uint256 i; i < signers.length; ++i) {
            _accept(_certificate(_chosen(ops, signers[i]), DIGEST, FIRST));
            _accept(_compact(ops, signers[i], DIGEST, FIRST));
        }
    }

    function test_refusesTooFew() public {
        _refuse(_certificate(_chosen(ops, 0xc), DIGEST, FIRST), IQuorumRegistry.InsufficientSignedStake.selector);
        _refuse(_compact(ops, 0xc, DIGEST, FIRST), IQuorumRegistry.InsufficientSignedStake.selector);
    }

    function test_refusesEpochsThatAreNotHeld() public {
        for (uint32 epoch = FIRST - 1; epoch <= FIRST + 1; epoch += 2) {
            _refuseBoth(ops, epoch, abi.encodeWithSelector(IQuorumRegistry.InvalidEpoch.selector));
        }
    }

    function test_refusesWhatIsNoCertificate() public {
        _refuse("", Certificates.MalformedCertificate.selector);
        _refuse(hex"0200000005", abi.encodeWithSelector(Certificates.UnknownVersion.selector, uint8(2)));
        _refuse(abi.encode(new address[](0), new bytes[](0), FIRST), IQuorumRegistry.InvalidLength.selector);
        _refuse(_compact(ops, 0, DIGEST, FIRST), IQuorumRegistry.InvalidLength.selector);
    }

    function test_refusesWhatFollows() public {
        bytes memory listed = _certificate(ops, DIGEST, FIRST);
        bytes memory compact = _compact(ops, 0xf, DIGEST, FIRST);
        for (uint256 length = 1; length <= 192; ++length) {
            _refuse(abi.encodePacked(listed, new bytes(length)), Certificates.MalformedCertificate.selector);
            if (length < 64) {
                _refuse(abi.encodePacked(compact, new bytes(length)), Certificates.MalformedCertificate.selector);
            }
        }
    }

    function test_refusesCutCertificates() public {
        bytes memory listed = _certificate(ops, DIGEST, FIRST);
        for (uint256 cut = 1; cut <= listed.length; ++cut) {
            bytes memory short = bytes.concat(listed);
            assembly ("memory-safe") {
                mstore(short, sub(mload(short), cut))
            }
            _refuse(short, Certificates.MalformedCertificate.selector);
        }
    }

    function test_refusesOtherOrders() public {
        Operator[] memory signers = ops;
        (signers[0], signers[1]) = (signers[1], signers[0]);
        _refuse(_certificate(signers, DIGEST, FIRST), IQuorumRegistry.NotSorted.selector);
        signers[0] = signers[1];
        _refuse(_certificate(signers, DIGEST, FIRST), IQuorumRegistry.NotSorted.selector);
        signers[0].account = address(0);
        _refuse(_certificate(signers, DIGEST, FIRST), IQuorumRegistry.NotSorted.selector);
    }

    function test_refusesStrangers() public {
        uint160[4] memory strangers = [
            uint160(1),
            uint160(ops[1].account) - 1,
            uint160(ops[2].account) + 1,
            type(uint160).max
        ];
        for (uint256 i; i < 4; ++i) {
            Operator[] memory signers = ops;
            signers[i].account = address(strangers[i]);
            _refuse(_certificate(signers, DIGEST, FIRST), IQuorumRegistry.InvalidSignature.selector);
        }
    }

    // Their time

    function test_certificatesExpireWithTheirSet() public {
        vm.warp(_expiryOf(FIRST));
        _acceptBoth(ops, FIRST);
        vm.warp(_expiryOf(FIRST) + 1);
        _refuseBoth(ops, FIRST, _expired(FIRST));
        vm.warp(type(uint64).max);
        _refuseBoth(ops, FIRST, _expired(FIRST));
    }

    /// @dev Each by its own time, whatever was learnt since.
    function test_newerSetsLiveLonger() public {
        _update(ops, FIRST, FIRST + 1, _otherSet(1));
        vm.warp(_expiryOf(FIRST) + 1);
        _refuseBoth(ops, FIRST, _expired(FIRST));
        _acceptBoth(_others(1), FIRST + 1);
        vm.warp(_expiryOf(FIRST + 1) + 1);
        _refuseBoth(_others(1), FIRST + 1, _expired(FIRST + 1));
    }

    /// @dev The clock of this chain, not its height.
    function test_heightDoesNotMatter() public {
        vm.roll(1);
        _acceptBoth(ops, FIRST);
        vm.roll(1 << 60);
        _acceptBoth(ops, FIRST);
    }

    function test_validUntilIsTimeAndLifetime() public {
        vm.assertEq(light.validUntil(DIGEST, _compact(ops, 0x3, DIGEST, FIRST)), _expiryOf(FIRST));
        vm.assertEq(light.validUntil(DIGEST, _certificate(_first(ops, 2), DIGEST, FIRST)), _expiryOf(FIRST));
        _update(ops, FIRST, FIRST + 1, _otherSet(1));
        bytes memory certificate = _compact(_others(1), 0x7, DIGEST, FIRST + 1);
        vm.assertEq(light.validUntil(DIGEST, certificate), _expiryOf(FIRST + 1));
    }

    function test_validUntilChecksLikeIsValidSignature() public {
        bytes memory too = _compact(ops, 0xc, DIGEST, FIRST);
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        light.validUntil(DIGEST, too);
        bytes memory other = _certificate(ops, keccak256("other"), FIRST);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        light.validUntil(DIGEST, other);
        bytes memory unknown = _compact(ops, 0xf, DIGEST, FIRST + 1);
        vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
        light.validUntil(DIGEST, unknown);
        bytes memory long = abi.encodePacked(_certificate(ops, DIGEST, FIRST), uint8(0));
        vm.expectRevert(Certificates.MalformedCertificate.selector);
        light.validUntil(DIGEST, long);
    }

    /// @dev Also when it is over: whoever asks has to look.
    function testFuzz_validUntilIsTheSameAtAnyTime(uint64 time, uint64 number) public {
        vm.warp(time);
        vm.roll(number);
        vm.assertEq(light.validUntil(DIGEST, _compact(ops, 0xf, DIGEST, FIRST)), _expiryOf(FIRST));
        vm.assertEq(light.validUntil(DIGEST, _certificate(ops, DIGEST, FIRST)), _expiryOf(FIRST));
    }

    /// @dev As the rules for accounts (ERC-7562) want it.
    function test_validUntilLooksAtNoClock() public {
        bytes memory compact = _compact(ops, 0xf, DIGEST, FIRST);
        vm.etch(address(light), Opcodes.withoutForbidden(address(light).code));
        vm.assertEq(light.validUntil(DIGEST, compact), _expiryOf(FIRST));
        vm.assertEq(light.validUntil(DIGEST, _certificate(ops, DIGEST, FIRST)), _expiryOf(FIRST));
        vm.expectRevert();
        light.isValidSignature(DIGEST, compact);
    }
}
