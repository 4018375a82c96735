// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {CertificateFixture} from "./support/CertificateFixture.sol";
import {Opcodes} from "./support/Opcodes.sol";

/// @notice Until when certificates hold on the home chain: by block, and for those who may not look, by time.
contract CertificateLifetimeTest is CertificateFixture {
    function setUp() public override {
        super.setUp();
        registry.sealEpoch(EPOCH, _accounts(ops));
    }

    // By block

    function test_certificatesHoldForTheirLifetime() public {
        uint64 last = _fixedBlock(EPOCH) + LIFETIME;
        _rollTo(last);
        _acceptBoth(0x3, EPOCH);
        _rollTo(last + 1);
        _refuseBoth(0x3, EPOCH, _expired(EPOCH));
    }

    /// @dev The first set counts from the first block, which no grace period precedes.
    function test_theFirstEpochCountsFromTheFirstBlock() public {
        _rollTo(GENESIS + LIFETIME);
        bytes memory certificate = _certificate(ops, DIGEST, 0);
        _refuse(certificate, IQuorumRegistry.InvalidSignature.selector); // it has no members
        _rollTo(GENESIS + LIFETIME + 1);
        _refuse(certificate, _expired(0));
    }

    /// @dev The height alone decides: the time of a block is for its maker to say.
    function test_theClockDoesNotMatter() public {
        vm.roll(_fixedBlock(EPOCH) + LIFETIME);
        vm.warp(type(uint64).max);
        _acceptBoth(0x3, EPOCH);
        vm.roll(_fixedBlock(EPOCH) + LIFETIME + 1);
        vm.warp(0);
        _refuseBoth(0x3, EPOCH, _expired(EPOCH));
    }

    /// @dev The keys of members that left long ago are worth nothing, and all of them would sign anything.
    function test_longGoneSetsCertifyNothing() public {
        uint32[4] memory later = [uint32(3), 10, 1000, 100_000];
        for (uint256 i; i < later.length; ++i) {
            _goTo(EPOCH + later[i], 0);
            _refuseBoth(0xf, EPOCH, _expired(EPOCH));
            _accept(_certificate(ops, DIGEST, EPOCH + later[i]));
        }
    }

    /// @dev In every block of an epoch hold those of as many epochs before, and of one more in no last block.
    function test_maxAgeIsWhatHoldsInEveryBlock() public {
        uint32 age = registry.maxAge();
        vm.assertEq(age, 1);
        _goTo(EPOCH + age, LENGTH - 1);
        _acceptBoth(0x3, EPOCH);
        _goTo(EPOCH + age + 1, LENGTH - 1);
        _refuseBoth(0x3, EPOCH, _expired(EPOCH));
    }

    function test_certificatesOfEpochsToComeAreRefused() public {
        _goTo(EPOCH, LENGTH - 1);
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
        _refuseBoth(0xf, EPOCH + 1, abi.encodeWithSelector(IQuorumRegistry.InvalidEpoch.selector));
        _goTo(EPOCH + 1, 0);
        _acceptBoth(0xf, EPOCH + 1);
    }

    // By time

    function test_lifetimeInSeconds() public view {
        vm.assertEq(registry.certificateLifetime(), LIFETIME_SECONDS);
    }

    /// @dev Nobody called between the fixing of that set and of the next one.
    function test_validUntilNeedsANotedTime() public {
        _goTo(EPOCH + 1, 0);
        bytes memory reason = abi.encodeWithSelector(IQuorumRegistry.EpochTimeUnknown.selector, EPOCH + 1);
        bytes memory certificate = _certificate(ops, DIGEST, EPOCH + 1);
        _accept(certificate);
        vm.expectRevert(reason);
        registry.validUntil(DIGEST, certificate);
        vm.assertEq(registry.noteEpoch(), EPOCH + 1);
        vm.assertEq(registry.validUntil(DIGEST, certificate), block.timestamp + LIFETIME_SECONDS);
    }

    function test_whatWasNotNotedStaysUnknown() public {
        _goTo(EPOCH + 2, 0);
        registry.noteEpoch();
        bytes memory certificate = _certificate(ops, DIGEST, EPOCH + 1);
        _accept(certificate);
        vm.expectRevert(abi.encodeWithSelector(IQuorumRegistry.EpochTimeUnknown.selector, EPOCH + 1));
        registry.validUntil(DIGEST, certificate);
    }

    function test_onlyTheFirstNoteCounts() public {
        _rollTo(_fixedBlock(EPOCH + 1));
        uint64 noted = uint64(block.timestamp);
        vm.assertEq(registry.noteEpoch(), EPOCH + 1);
        _goTo(EPOCH + 1, 50);
        vm.assertEq(registry.noteEpoch(), EPOCH + 1);
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
        bytes memory certificate = _compact(ops, 0xf, DIGEST, EPOCH + 1);
        vm.assertEq(registry.validUntil(DIGEST, certificate), noted + LIFETIME_SECONDS);
        vm.assertEq(noted, _fixedAt(EPOCH + 1));
    }

    /// @dev The time is noted by the first call of any kind since the set is fixed; in setUp it was sealed.
    function test_changesAndSealsNoteTheTime() public {
        uint64 sealedAt = _timeOf(GENESIS + EPOCH * LENGTH);
        vm.assertEq(registry.validUntil(DIGEST, _compact(ops, 0x3, DIGEST, EPOCH)), sealedAt + LIFETIME_SECONDS);
        _rollTo(_fixedBlock(EPOCH + 1) + 3);
        _setWeight(ops[3], 50);
        uint64 changedAt = uint64(block.timestamp);
        _goTo(EPOCH + 1, 0);
        bytes memory certificate = _certificate(ops, DIGEST, EPOCH + 1);
        vm.assertEq(registry.validUntil(DIGEST, certificate), changedAt + LIFETIME_SECONDS);
    }

    /// @dev A set that may still change has no time: before it is fixed a certificate of it is nothing.
    function test_validUntilOfSetsThatAreNotFixed() public {
        bytes memory certificate = _certificate(ops, DIGEST, EPOCH + 1);
        bytes memory reason = abi.encodeWithSelector(IQuorumRegistry.EpochTimeUnknown.selector, EPOCH + 1);
        _rollTo(_fixedBlock(EPOCH + 1) - 1);
        registry.noteEpoch();
        vm.expectRevert(reason);
        registry.validUntil(DIGEST, certificate);
        certificate = _certificate(ops, DIGEST, type(uint32).max);
        vm.expectRevert(abi.encodeWithSelector(IQuorumRegistry.EpochTimeUnknown.selector, type(uint32).max));
        registry.validUntil(DIGEST, certificate);
    }

    function test_validUntilChecksLikeIsValidSignature() public {
        bytes memory certificate = _certificate(_chosen(ops, 0xc), DIGEST, EPOCH);
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        registry.validUntil(DIGEST, certificate);
        certificate = _compact(ops, 0xc, DIGEST, EPOCH);
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        registry.validUntil(DIGEST, certificate);
        certificate = _certificate(ops, keccak256("other"), EPOCH);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        registry.validUntil(DIGEST, certificate);
        certificate = _compact(ops, 0xf, keccak256("other"), EPOCH);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        registry.validUntil(DIGEST, certificate);
    }

    /// @dev Also when it is over: whoever asks has to look.
    function testFuzz_validUntilIsTheSameAtAnyTime(uint64 time, uint64 number) public {
        uint64 expected = uint64(block.timestamp) + LIFETIME_SECONDS;
        vm.warp(time);
        vm.roll(number);
        vm.assertEq(registry.validUntil(DIGEST, _compact(ops, 0x3, DIGEST, EPOCH)), expected);
        vm.assertEq(registry.validUntil(DIGEST, _certificate(ops, DIGEST, EPOCH)), expected);
    }

    /// @dev As the rules for accounts (ERC-7562) want it; the same code answers nothing that needs the height.
    function test_validUntilLooksAtNoClock() public {
        uint64 expected = uint64(block.timestamp) + LIFETIME_SECONDS;
        bytes memory compact = _compact(ops, 0x3, DIGEST, EPOCH);
        vm.etch(address(registry), Opcodes.withoutForbidden(address(registry).code));
        vm.etch(address(epochs), hex"fe");
        vm.assertEq(registry.validUntil(DIGEST, compact), expected);
        vm.assertEq(registry.validUntil(DIGEST, _certificate(ops, DIGEST, EPOCH)), expected);
        vm.expectRevert();
        registry.isValidSignature(DIGEST, compact);
    }

    /// @dev With weights that lapse, totals are sums over epochs. They need no clock either.
    function test_validUntilLooksAtNoClockWhereWeightsLapse() public {
        _deploy(4);
        for (uint256 i; i < 4; ++i) {
            _registerWithWeight(ops[i], 40 - 10 * i);
        }
        _goTo(3, 0);
        registry.sealEpoch(3, _accounts(ops));
        uint64 expected = uint64(block.timestamp) + LIFETIME_SECONDS;
        vm.etch(address(registry), Opcodes.withoutForbidden(address(registry).code));
        vm.assertEq(registry.validUntil(DIGEST, _compact(ops, 0x3, DIGEST, 3)), expected);
        vm.assertEq(registry.validUntil(DIGEST, _certificate(ops, DIGEST, 3)), expected);
    }

    function _expired(uint32 epoch) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IQuorumRegistry.CertificateExpired.selector, epoch);
    }
}
