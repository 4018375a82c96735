// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Certificates} from "../src/Certificates.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {OperatorSet} from "../src/OperatorSets.sol";
import {Fixture} from "./support/Fixture.sol";

/// @dev Ten operators with weights 100, 90, ... 10 in account order: total 550, threshold 367, bitmaps of two bytes.
contract CompactCertificateTest is Fixture {
    bytes4 internal constant MAGIC = 0x1626ba7e;
    bytes32 internal constant DIGEST = keccak256("what is signed");
    uint32 internal constant EPOCH = 1;
    uint256 internal constant COUNT = 10;
    uint256 internal constant HEAD = 1 + 4 + 2;
    uint256 internal constant ALL = (1 << COUNT) - 1;
    /// @dev The five heaviest, of weight 400. Without the lightest of them 340 are too few.
    uint256 internal constant QUORUM = 0x1f;

    Operator[] internal ops;

    function setUp() public override {
        super.setUp();
        Operator[] memory made = _operators(COUNT);
        for (uint256 i; i < COUNT; ++i) {
            ops.push(made[i]);
            _registerWithWeight(made[i], 100 - 10 * i);
        }
        _goTo(EPOCH, 0);
        registry.sealEpoch(EPOCH, _accounts(ops));
        vm.assertEq(registry.getThresholdStake(EPOCH), 367);
    }

    // Accepted

    function test_acceptsTheWholeSet() public view {
        bytes4 answer = registry.isValidSignature(DIGEST, _compact(ops, ALL, DIGEST, EPOCH));
        vm.assertEq(bytes32(answer), bytes32(MAGIC));
    }

    function test_acceptsAQuorum() public view {
        _accept(_compact(ops, QUORUM, DIGEST, EPOCH));
    }

    function test_lowBitsStandForLowOperators() public view {
        bytes memory signatures;
        for (uint256 i; i < 6; ++i) {
            if (i != 1) signatures = abi.encodePacked(signatures, _sign64(ops[i].secret, DIGEST));
        }
        signatures = abi.encodePacked(signatures, _sign64(ops[9].secret, DIGEST));
        bytes memory certificate = abi.encodePacked(hex"0100000001", hex"3d02", signatures);
        vm.assertEq(certificate, _compact(ops, 0x23d, DIGEST, EPOCH));
        _accept(certificate);
    }

    function test_acceptsEqualityWithTheThreshold() public {
        _setWeight(ops[4], 27);
        _setWeight(ops[9], 43);
        _enterSealed(EPOCH + 1);
        vm.assertEq(registry.getThresholdStake(EPOCH + 1), 367);
        _accept(_compact(ops, QUORUM, DIGEST, EPOCH + 1));
    }

    function test_refusesOneBelowTheThreshold() public {
        _setWeight(ops[4], 26);
        _setWeight(ops[9], 44);
        _enterSealed(EPOCH + 1);
        vm.assertEq(registry.getThresholdStake(EPOCH + 1), 367);
        _refuse(_compact(ops, QUORUM, DIGEST, EPOCH + 1), IQuorumRegistry.InsufficientSignedStake.selector);
    }

    function test_acceptsPastEpochs() public {
        _moveKey(ops[0], 99);
        Operator[] memory later = ops;
        later[0].secret = 99;
        _enterSealed(EPOCH + 1);
        _accept(_compact(ops, QUORUM, DIGEST, EPOCH));
        _accept(_compact(later, QUORUM, DIGEST, EPOCH + 1));
        _refuse(_compact(later, QUORUM, DIGEST, EPOCH), IQuorumRegistry.InvalidSignature.selector);
        _refuse(_compact(ops, QUORUM, DIGEST, EPOCH + 1), IQuorumRegistry.InvalidSignature.selector);
    }

    function test_aFullByteNeedsNoPadding() public {
        vm.prank(ops[8].account);
        registry.deregisterOperator();
        vm.prank(ops[9].account);
        registry.deregisterOperator();
        _goTo(EPOCH + 1, 0);
        Operator[] memory eight = _first(ops, 8);
        registry.sealEpoch(EPOCH + 1, _accounts(eight));
        bytes memory certificate = _compact(eight, 0xff, DIGEST, EPOCH + 1);
        vm.assertEq(certificate.length, 1 + 4 + 1 + 8 * 64);
        _accept(certificate);
        _refuse(_compact(ops, 0xff, DIGEST, EPOCH + 1), Certificates.MalformedCertificate.selector);
    }

    // Refused

    function test_needsASealedSet() public {
        _goTo(EPOCH + 1, 0);
        bytes memory reason = abi.encodeWithSelector(IQuorumRegistry.SetNotSealed.selector, EPOCH + 1);
        _refuse(_compact(ops, ALL, DIGEST, EPOCH + 1), reason);
        _accept(_certificate(ops, DIGEST, EPOCH + 1));
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
        _accept(_compact(ops, ALL, DIGEST, EPOCH + 1));
    }

    function test_refusesFutureEpochs() public {
        _goTo(EPOCH, LENGTH - GRACE);
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
        bytes memory certificate = _compact(ops, ALL, DIGEST, EPOCH + 1);
        _goTo(EPOCH, LENGTH - 1);
        _refuse(certificate, IQuorumRegistry.InvalidEpoch.selector);
        _goTo(EPOCH + 1, 0);
        _accept(certificate);
        _refuse(_compact(ops, ALL, DIGEST, type(uint32).max), IQuorumRegistry.InvalidEpoch.selector);
    }

    function test_refusesOtherVersions() public {
        bytes memory certificate = _compact(ops, QUORUM, DIGEST, EPOCH);
        for (uint256 version = 2; version < 256; ++version) {
            certificate[0] = bytes1(uint8(version));
            _refuse(certificate, abi.encodeWithSelector(Certificates.UnknownVersion.selector, version));
        }
        certificate[0] = 0; // no ABI form either
        _refuse(certificate, Certificates.MalformedCertificate.selector);
    }

    function test_refusesNoSigners() public {
        _refuse(_compact(ops, 0, DIGEST, EPOCH), IQuorumRegistry.InvalidLength.selector);
    }

    function test_refusesTooFew() public {
        _refuse(_compact(ops, QUORUM >> 1, DIGEST, EPOCH), IQuorumRegistry.InsufficientSignedStake.selector);
        _refuse(_compact(ops, 1 << 9, DIGEST, EPOCH), IQuorumRegistry.InsufficientSignedStake.selector);
    }

    function test_refusesBitsBeyondTheSet() public {
        for (uint256 bit = COUNT; bit < 16; ++bit) {
            bytes memory certificate = _compact(ops, QUORUM, DIGEST, EPOCH);
            certificate[6] = bytes1(uint8(1 << (bit - 8)));
            _refuse(certificate, Certificates.MalformedCertificate.selector);
            certificate = abi.encodePacked(certificate, _sign64(ops[0].secret, DIGEST));
            _refuse(certificate, Certificates.MalformedCertificate.selector);
        }
    }

    function test_refusesBitmapsOfOtherSizes() public {
        bytes memory signatures = new bytes(0);
        for (uint256 i; i < 5; ++i) {
            signatures = abi.encodePacked(signatures, _sign64(ops[i].secret, DIGEST));
        }
        bytes memory short = abi.encodePacked(uint8(1), EPOCH, hex"1f", signatures);
        _refuse(short, Certificates.MalformedCertificate.selector);
        bytes memory long = abi.encodePacked(uint8(1), EPOCH, hex"1f0000", signatures);
        _refuse(long, Certificates.MalformedCertificate.selector);
    }

    function test_refusesCutCertificates() public {
        bytes memory certificate = _compact(ops, QUORUM, DIGEST, EPOCH);
        for (uint256 length; length < certificate.length; ++length) {
            bytes4 expected = length == HEAD
                ? IQuorumRegistry.InvalidLength.selector
                : Certificates.MalformedCertificate.selector;
            _refuse(_cut(certificate, length), expected);
        }
    }

    function test_refusesWhatFollows() public {
        bytes memory certificate = _compact(ops, QUORUM, DIGEST, EPOCH);
        for (uint256 length = 1; length < 64; ++length) {
            _refuse(abi.encodePacked(certificate, new bytes(length)), Certificates.MalformedCertificate.selector);
        }
        bytes memory again = abi.encodePacked(certificate, _sign64(ops[4].secret, DIGEST));
        _refuse(again, Certificates.MalformedCertificate.selector);
        bytes memory next = abi.encodePacked(certificate, _sign64(ops[5].secret, DIGEST));
        _refuse(next, Certificates.MalformedCertificate.selector);
    }

    function test_refusesOtherNumbersOfBits() public {
        bytes memory certificate = _compact(ops, ALL, DIGEST, EPOCH);
        certificate[5] = 0xfe;
        _refuse(certificate, Certificates.MalformedCertificate.selector);
        certificate[5] = 0xff;
        certificate[6] = 0x01;
        _refuse(certificate, Certificates.MalformedCertificate.selector);
        certificate = _compact(ops, ALL >> 1, DIGEST, EPOCH);
        certificate[6] = 0x03;
        _refuse(certificate, Certificates.MalformedCertificate.selector);
        certificate = _compact(ops, ALL, DIGEST, EPOCH);
        certificate[5] = 0;
        certificate[6] = 0;
        _refuse(certificate, Certificates.MalformedCertificate.selector);
    }

    function test_refusesOtherOrders() public {
        bytes memory signatures;
        for (uint256 i = 5; i > 0; --i) {
            signatures = abi.encodePacked(signatures, _sign64(ops[i - 1].secret, DIGEST));
        }
        bytes memory certificate = abi.encodePacked(uint8(1), EPOCH, hex"1f00", signatures);
        _refuse(certificate, IQuorumRegistry.InvalidSignature.selector);
    }

    function test_refusesDuplicates() public {
        bytes memory first = _sign64(ops[0].secret, DIGEST);
        bytes memory certificate = abi.encodePacked(uint8(1), EPOCH, hex"1f00", first, first, first, first, first);
        _refuse(certificate, IQuorumRegistry.InvalidSignature.selector);
    }

    function test_refusesSignaturesOnSomethingElse() public {
        bytes memory certificate = _compact(ops, ALL, keccak256("something else"), EPOCH);
        _refuse(certificate, IQuorumRegistry.InvalidSignature.selector);
    }

    function test_refusesStrangers() public {
        Operator[] memory signers = ops;
        signers[2].secret = 1234;
        _refuse(_compact(signers, QUORUM, DIGEST, EPOCH), IQuorumRegistry.InvalidSignature.selector);
    }

    function test_refusesOtherFormsOfSignatures() public {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ops[0].secret, DIGEST);
        bytes32 parity = bytes32(uint256(v - 27) << 255);
        bytes32 otherParity = bytes32(uint256(28 - v) << 255);
        _acceptFirst(abi.encodePacked(r, s | parity));
        _refuseFirst(abi.encodePacked(r, s | otherParity));
        _refuseFirst(abi.encodePacked(s | parity, r));
        _refuseFirst(abi.encodePacked(bytes32(SECP256K1_ORDER - uint256(s)), r));
        _refuseFirst(abi.encodePacked(r, SECP256K1_ORDER - uint256(s)));
        _refuseFirst(abi.encodePacked(r, bytes32(0)));
        _refuseFirst(abi.encodePacked(r, parity));
        _refuseFirst(abi.encodePacked(bytes32(0), s | parity));
        _refuseFirst(abi.encodePacked(SECP256K1_ORDER, s | parity));
        _refuseFirst(new bytes(64));
        _refuseFirst(abi.encodePacked(type(uint256).max, type(uint256).max));
    }

    /// @dev The parity takes the bit that most high s need, so this one is made by hand: any r and s have a key.
    function test_refusesHighS() public {
        uint256 highest = SECP256K1_ORDER / 2;
        (, bytes32 r, ) = vm.sign(1, DIGEST);
        for (uint256 parity; parity < 2; ++parity) {
            _tryS(r, highest, parity, true);
            _tryS(r, highest + 1, parity, false);
        }
    }

    /// @dev A recovery that fails must not end with the signer before.
    function test_aFailedRecoveryIsNobodys() public {
        Operator[] memory pair = _first(ops, 2);
        pair[1].signingKey = pair[0].signingKey;
        LightStakeRegistry light = _light(EPOCH, _setOfEqual(pair, 1));
        bytes memory valid = _sign64(pair[0].secret, DIGEST);
        light.isValidSignature(DIGEST, abi.encodePacked(uint8(1), EPOCH, hex"03", valid, valid));
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        light.isValidSignature(DIGEST, abi.encodePacked(uint8(1), EPOCH, hex"03", valid, new bytes(64)));
    }

    /// @dev Of a certificate that just reaches the threshold no byte can be changed.
    function testFuzz_changedBytesAreRefused(uint256 position, uint8 change) public view {
        bytes memory certificate = _compact(ops, QUORUM, DIGEST, EPOCH);
        position = position % certificate.length;
        vm.assume(change != 0);
        certificate[position] = bytes1(uint8(certificate[position]) ^ change);
        vm.assertFalse(_succeeds(registry, certificate));
    }

    function testFuzz_neverAcceptsRubbish(bytes memory rubbish) public view {
        vm.assertFalse(_succeeds(registry, rubbish));
        vm.assertFalse(_succeeds(registry, abi.encodePacked(uint8(1), EPOCH, rubbish)));
    }

    /// @dev Random sets and signers, of whom one may sign wrongly: both forms and both registries say the same.
    function testFuzz_formsAgree(uint256 random, uint256 signers, uint8 wrong) public {
        (Operator[] memory members, uint256[] memory memberWeights) = _randomSet(random);
        vm.assume(members.length > 0);
        signers = signers % (1 << members.length);
        vm.assume(signers != 0);
        registry.sealEpoch(EPOCH + 1, _accounts(members));
        OperatorSet memory set = _set(members, memberWeights);
        LightStakeRegistry light = _light(EPOCH + 1, set);

        if (wrong < COUNT && wrong < members.length) members[wrong].secret = 4321;
        bytes memory listed = _certificate(_chosen(members, signers), DIGEST, EPOCH + 1);
        bytes memory compact = _compact(members, signers, DIGEST, EPOCH + 1);
        bytes memory answer = _answer(registry, compact);
        vm.assertEq(answer, _answer(registry, listed));
        vm.assertEq(answer, _answer(light, compact));
        vm.assertEq(answer, _answer(light, listed));
        vm.assertEq(answer, _expected(memberWeights, signers, wrong));
    }

    /// @dev What a certificate deserves.
    function _expected(
        uint256[] memory memberWeights,
        uint256 signers,
        uint8 wrong
    ) private pure returns (bytes memory) {
        uint256 signed;
        uint256 total;
        for (uint256 i; i < memberWeights.length; ++i) {
            total += memberWeights[i];
            if ((signers >> i) & 1 == 0) continue;
            if (i == wrong && wrong < COUNT) return abi.encodePacked(IQuorumRegistry.InvalidSignature.selector);
            signed += memberWeights[i];
        }
        if (signed >= (2 * total) / 3 + 1) return abi.encode(MAGIC);
        return abi.encodePacked(IQuorumRegistry.InsufficientSignedStake.selector);
    }

    /// @dev Gives all operators random weights from the next epoch on, about a third of them none, and goes there.
    function _randomSet(
        uint256 random
    ) private returns (Operator[] memory members, uint256[] memory memberWeights) {
        members = new Operator[](COUNT);
        memberWeights = new uint256[](COUNT);
        uint256 count;
        for (uint256 i; i < COUNT; ++i) {
            uint256 word = uint256(keccak256(abi.encode(random, i)));
            uint256 weight = word % 3 == 0 ? 0 : MINIMUM + ((word >> 8) % (1 << ((word >> 128) % 90)));
            _setWeight(ops[i], weight);
            if (weight == 0) continue;
            members[count] = ops[i];
            memberWeights[count++] = registry.getOperatorWeightAtEpoch(ops[i].account, EPOCH + 1); // rounded
        }
        members = _first(members, count);
        assembly ("memory-safe") {
            mstore(memberWeights, count)
        }
        _goTo(EPOCH + 1, 0);
    }

    /// @dev A registry with one member.
    function _lightOf(address key) private returns (LightStakeRegistry) {
        Operator[] memory alone = new Operator[](1);
        alone[0] = ops[0];
        alone[0].signingKey = key;
        return _light(EPOCH, _setOfEqual(alone, 1));
    }

    /// @dev Against a set of the very key that `r` and `s` recover to.
    function _tryS(bytes32 r, uint256 s, uint256 parity, bool accepted) private {
        LightStakeRegistry light = _lightOf(ecrecover(DIGEST, uint8(27 + parity), r, bytes32(s)));
        bytes memory certificate = abi.encodePacked(uint8(1), EPOCH, hex"01", r, s | (parity << 255));
        if (!accepted) vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        light.isValidSignature(DIGEST, certificate);
    }

    function _accept(bytes memory certificate) private view {
        vm.assertEq(bytes32(registry.isValidSignature(DIGEST, certificate)), bytes32(MAGIC));
    }

    function _refuse(bytes memory certificate, bytes4 selector) private {
        vm.expectRevert(selector);
        registry.isValidSignature(DIGEST, certificate);
    }

    function _refuse(bytes memory certificate, bytes memory reason) private {
        vm.expectRevert(reason);
        registry.isValidSignature(DIGEST, certificate);
    }

    function _acceptFirst(bytes memory signature) private view {
        _accept(_withFirst(signature));
    }

    function _refuseFirst(bytes memory signature) private {
        _refuse(_withFirst(signature), IQuorumRegistry.InvalidSignature.selector);
    }

    function _withFirst(bytes memory signature) private view returns (bytes memory certificate) {
        certificate = _compact(ops, QUORUM, DIGEST, EPOCH);
        for (uint256 i; i < 64; ++i) {
            certificate[HEAD + i] = signature[i];
        }
    }

    function _answer(IQuorumRegistry target, bytes memory certificate) private view returns (bytes memory answer) {
        (, answer) = address(target).staticcall(abi.encodeCall(target.isValidSignature, (DIGEST, certificate)));
    }

    function _succeeds(IQuorumRegistry target, bytes memory certificate) private view returns (bool success) {
        (success, ) = address(target).staticcall(abi.encodeCall(target.isValidSignature, (DIGEST, certificate)));
    }

    function _cut(bytes memory data, uint256 length) private pure returns (bytes memory start) {
        start = new bytes(length);
        for (uint256 i; i < length; ++i) {
            start[i] = data[i];
        }
    }

    function _enterSealed(uint32 epoch) private {
        _goTo(epoch, 0);
        registry.sealEpoch(epoch, _accounts(ops));
    }

    function _moveKey(Operator memory op, uint256 secret) private {
        address key = vm.addr(secret);
        bytes memory proof = _sign(secret, _registrationDigest(registry, op.account, key));
        vm.prank(op.account);
        registry.updateSigningKey(key, proof);
    }
}
