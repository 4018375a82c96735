// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Certificates} from "../src/Certificates.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {CertificateFixture} from "./support/CertificateFixture.sol";

/// @notice Certificates in ABI form on the home chain.
contract CertificateTest is CertificateFixture {
    // Accepted

    function test_acceptsTheWholeSet() public view {
        vm.assertEq(bytes32(registry.isValidSignature(DIGEST, _certificate(ops, DIGEST, EPOCH))), bytes32(MAGIC));
    }

    function test_acceptsAQuorum() public view {
        _accept(_certificate(_first(ops, 2), DIGEST, EPOCH));
    }

    function test_acceptsEqualityWithTheThreshold() public {
        _setWeight(ops[1], 27);
        _setWeight(ops[3], 13);
        _goTo(EPOCH + 1, 0);
        vm.assertEq(registry.getThresholdStake(EPOCH + 1), 67);
        _accept(_certificate(_first(ops, 2), DIGEST, EPOCH + 1));
    }

    function test_refusesOneBelowTheThreshold() public {
        _setWeight(ops[1], 26);
        _setWeight(ops[3], 14);
        _goTo(EPOCH + 1, 0);
        vm.assertEq(registry.getThresholdStake(EPOCH + 1), 67);
        _refuse(_certificate(_first(ops, 2), DIGEST, EPOCH + 1), IQuorumRegistry.InsufficientSignedStake.selector);
    }

    function test_acceptsPastEpochs() public {
        _goTo(EPOCH + 1, 0);
        _accept(_certificate(ops, DIGEST, EPOCH));
        _accept(_certificate(ops, DIGEST, EPOCH + 1));
    }

    // Refused

    function test_refusesFutureEpochs() public {
        bytes memory certificate = _certificate(ops, DIGEST, EPOCH + 1);
        _refuse(certificate, IQuorumRegistry.InvalidEpoch.selector);
        _goTo(EPOCH, LENGTH - 1);
        _refuse(certificate, IQuorumRegistry.InvalidEpoch.selector);
        _goTo(EPOCH + 1, 0);
        _accept(certificate);
        _refuse(_certificate(ops, DIGEST, type(uint32).max), IQuorumRegistry.InvalidEpoch.selector);
    }

    function test_refusesUnequalLengths() public {
        address[] memory accounts = _accounts(ops);
        bytes[] memory signatures = _signatures(ops, DIGEST);
        bytes[] memory fewer = new bytes[](3);
        for (uint256 i; i < 3; ++i) {
            fewer[i] = signatures[i];
        }
        _refuse(abi.encode(accounts, fewer, EPOCH), Certificates.MalformedCertificate.selector);
        _refuse(abi.encode(_accounts(_first(ops, 3)), signatures, EPOCH), Certificates.MalformedCertificate.selector);
        _refuse(abi.encode(new address[](0), signatures, EPOCH), Certificates.MalformedCertificate.selector);
        _refuse(abi.encode(accounts, new bytes[](0), EPOCH), Certificates.MalformedCertificate.selector);
    }

    /// @dev Filled up to the length that as many operators want.
    function test_refusesUnequalLengthsInTheRightLength() public {
        bytes[] memory fewer = new bytes[](3);
        for (uint256 i; i < 3; ++i) {
            fewer[i] = _sign(ops[i].secret, DIGEST);
        }
        bytes memory certificate = abi.encode(_accounts(ops), fewer, EPOCH);
        uint256 missing = 160 + 4 * 192 - certificate.length;
        _refuse(abi.encodePacked(certificate, new bytes(missing)), IQuorumRegistry.LengthMismatch.selector);
    }

    function test_refusesNoSigners() public {
        _refuse(abi.encode(new address[](0), new bytes[](0), EPOCH), IQuorumRegistry.InvalidLength.selector);
    }

    function test_refusesAnEpochWithoutSet() public {
        Operator[] memory all = ops;
        _refuse(_certificate(all, DIGEST, 0), IQuorumRegistry.InvalidSignature.selector);
    }

    function test_refusesOtherOrders() public {
        Operator[] memory swapped = ops;
        (swapped[2], swapped[3]) = (swapped[3], swapped[2]);
        _refuse(_certificate(swapped, DIGEST, EPOCH), IQuorumRegistry.NotSorted.selector);
    }

    function test_refusesOrderBySigningKey() public {
        Operator[] memory sorted = ops;
        for (uint256 i; i < 4; ++i) {
            for (uint256 j; j < 3; ++j) {
                if (sorted[j].signingKey > sorted[j + 1].signingKey) {
                    (sorted[j], sorted[j + 1]) = (sorted[j + 1], sorted[j]);
                }
            }
        }
        _refuse(_certificate(sorted, DIGEST, EPOCH), IQuorumRegistry.NotSorted.selector);
    }

    function test_refusesDuplicates() public {
        Operator[] memory twice = _first(ops, 3);
        (twice[1], twice[2]) = (twice[0], ops[1]);
        _refuse(_certificate(twice, DIGEST, EPOCH), IQuorumRegistry.NotSorted.selector);
    }

    function test_refusesTheZeroOperator() public {
        Operator[] memory signers = ops;
        signers[0].account = address(0);
        _refuse(_certificate(signers, DIGEST, EPOCH), IQuorumRegistry.NotSorted.selector);
    }

    function test_refusesSignaturesOnSomethingElse() public {
        _refuse(_certificate(ops, keccak256("something else"), EPOCH), IQuorumRegistry.InvalidSignature.selector);
    }

    function test_refusesSignaturesOfOthers() public {
        bytes[] memory signatures = _signatures(ops, DIGEST);
        signatures[1] = signatures[2];
        _refuse(abi.encode(_accounts(ops), signatures, EPOCH), IQuorumRegistry.InvalidSignature.selector);
    }

    function test_refusesOperatorsOutsideTheSet() public {
        Operator[] memory signers = ops;
        Operator memory stranger = _operator(1234);
        stranger.account = address(uint160(signers[3].account) + 1);
        signers[3] = stranger;
        _refuse(_certificate(signers, DIGEST, EPOCH), IQuorumRegistry.InvalidSignature.selector);
    }

    /// @dev Who is not in the set has the zero key, and a failed recovery ends with zero too.
    function test_refusesStrangersWithoutSigner() public {
        Operator[] memory signers = ops;
        signers[3].account = address(uint160(signers[3].account) + 1);
        bytes[] memory signatures = _signatures(signers, DIGEST);
        signatures[3] = new bytes(65);
        _refuse(abi.encode(_accounts(signers), signatures, EPOCH), IQuorumRegistry.InvalidSignature.selector);
        signatures[3] = new bytes(96);
        _refuse(abi.encode(_accounts(signers), signatures, EPOCH), IQuorumRegistry.InvalidSignature.selector);
        signatures[3] = "";
        _refuse(abi.encode(_accounts(signers), signatures, EPOCH), Certificates.MalformedCertificate.selector);
    }

    function test_refusesOtherFormsOfSignatures() public {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ops[0].secret, DIGEST);
        _refuseFirst(abi.encodePacked(r, s, v - 27)); // v of 0 or 1
        _refuseFirst(abi.encodePacked(r, s, uint8(55 - v))); // the other v
        _refuseFirst(abi.encodePacked(r, s, v + 4));
        bytes32 highS = bytes32(SECP256K1_ORDER - uint256(s));
        _refuseFirst(abi.encodePacked(r, highS, uint8(55 - v)));
        bytes32 compact = bytes32(uint256(s) | (uint256(v - 27) << 255));
        _refuseFirst(abi.encodePacked(r, s, v, uint8(0)));
        _refuseFirst(abi.encodePacked(r, s, v, new bytes(31)));
        _refuseFirst(new bytes(65));
        _refuseFirst(abi.encodePacked(bytes32(0), s, v));
        _refuseFirst(abi.encodePacked(r, bytes32(0), v));
        // 64 bytes and none need less room than there is to be.
        bytes[] memory signatures = _signatures(ops, DIGEST);
        signatures[0] = abi.encodePacked(r, compact);
        _refuse(abi.encode(_accounts(ops), signatures, EPOCH), Certificates.MalformedCertificate.selector);
        signatures[0] = "";
        _refuse(abi.encode(_accounts(ops), signatures, EPOCH), Certificates.MalformedCertificate.selector);
    }

    function test_signingKeysCountInTheirEpochs() public {
        Operator[] memory before = ops;
        _moveKey(ops[0], 99);
        Operator[] memory later = ops;
        later[0].secret = 99;

        _goTo(EPOCH + 1, 0);
        _accept(_certificate(before, DIGEST, EPOCH));
        _accept(_certificate(later, DIGEST, EPOCH + 1));
        _refuse(_certificate(later, DIGEST, EPOCH), IQuorumRegistry.InvalidSignature.selector);
        _refuse(_certificate(before, DIGEST, EPOCH + 1), IQuorumRegistry.InvalidSignature.selector);
    }

    function test_removedOperatorsNoLongerCount() public {
        vm.prank(ops[0].account);
        registry.deregisterOperator();
        _goTo(EPOCH + 1, 0);
        _accept(_certificate(ops, DIGEST, EPOCH));
        _refuse(_certificate(ops, DIGEST, EPOCH + 1), IQuorumRegistry.InvalidSignature.selector);
    }

    function test_operatorsBelowTheMinimumAddNothing() public {
        _setWeight(ops[0], MINIMUM - 1);
        _goTo(EPOCH + 1, 0);
        vm.assertEq(registry.getThresholdStake(EPOCH + 1), 41);
        _refuse(_certificate(_first(ops, 2), DIGEST, EPOCH + 1), IQuorumRegistry.InsufficientSignedStake.selector);
        _accept(_certificate(_first(ops, 3), DIGEST, EPOCH + 1));
    }

    function test_nothingPassesWithoutWeight() public {
        for (uint256 i; i < 4; ++i) {
            _setWeight(ops[i], 0);
        }
        _goTo(EPOCH + 1, 0);
        _refuse(_certificate(ops, DIGEST, EPOCH + 1), IQuorumRegistry.InsufficientSignedStake.selector);
    }

    // Encoding

    function test_encodingVector() public pure {
        address[] memory operators = new address[](2);
        operators[0] = 0x1111111111111111111111111111111111111111;
        operators[1] = 0x2222222222222222222222222222222222222222;
        bytes[] memory signatures = new bytes[](2);
        signatures[0] = _repeated(0xaa);
        signatures[1] = _repeated(0xbb);
        bytes memory certificate = abi.encode(operators, signatures, uint32(7));
        vm.assertEq(certificate.length, 544);
        vm.assertEq(keccak256(certificate), 0xbcfb4780e26a5ee3bea65c2eda1f996f7f485fe9cc0b8eaae4e26362eaed983c);
    }

    function test_refusesCutCertificates() public {
        bytes memory certificate = _certificate(ops, DIGEST, EPOCH);
        for (uint256 length; length < certificate.length; ++length) {
            bytes memory cut = bytes.concat(certificate);
            assembly ("memory-safe") {
                mstore(cut, length)
            }
            _refuse(cut, Certificates.MalformedCertificate.selector);
        }
    }

    function test_refusesWhatFollows() public {
        bytes memory certificate = _certificate(ops, DIGEST, EPOCH);
        _accept(certificate);
        for (uint256 length = 1; length <= 2 * 192; ++length) {
            bytes memory long = abi.encodePacked(certificate, new bytes(length));
            _refuse(long, Certificates.MalformedCertificate.selector);
        }
    }

    /// @dev A gap in front of the second array, with all offsets right.
    function test_refusesGaps() public {
        bytes memory valid = _certificate(_first(ops, 2), DIGEST, EPOCH);
        bytes memory certificate = new bytes(valid.length + 32);
        for (uint256 i; i < valid.length; ++i) {
            certificate[i < 192 ? i : i + 32] = valid[i];
        }
        assembly ("memory-safe") {
            mstore(add(certificate, 64), add(mload(add(certificate, 64)), 32))
        }
        _refuse(certificate, Certificates.MalformedCertificate.selector);
    }

    /// @dev Elements that reach out of the certificate, to the end of calldata or around it.
    function test_refusesElementsOutOfBounds() public {
        bytes memory valid = _certificate(_first(ops, 2), DIGEST, EPOCH);
        uint256[4] memory bad = [valid.length, 1 << 64, type(uint256).max, 1 << 255];
        for (uint256 i; i < bad.length; ++i) {
            bytes memory certificate = bytes.concat(valid);
            uint256 value = bad[i];
            assembly ("memory-safe") {
                mstore(add(certificate, add(32, 224)), value)
            }
            vm.expectRevert();
            registry.isValidSignature(DIGEST, certificate);
        }
    }

    function test_refusesOffsetsOutOfBounds() public {
        uint256[4] memory bad = [uint256(1 << 20), type(uint256).max, 1 << 255, type(uint256).max - 31];
        for (uint256 head = 0; head < 3; ++head) {
            for (uint256 i; i < bad.length; ++i) {
                bytes memory certificate = _certificate(_first(ops, 2), DIGEST, EPOCH);
                uint256 value = bad[i];
                assembly ("memory-safe") {
                    mstore(add(add(certificate, 32), mul(head, 32)), value)
                }
                if (head == 2 && value < type(uint32).max) continue;
                uint256 version = head == 0 ? value >> 248 : 0;
                if (version == 0) _refuse(certificate, Certificates.MalformedCertificate.selector);
                else _refuse(certificate, abi.encodeWithSelector(Certificates.UnknownVersion.selector, version));
            }
        }
    }

    function test_refusesLengthsOutOfBounds() public {
        bytes memory valid = _certificate(_first(ops, 2), DIGEST, EPOCH);
        // The lengths of the two arrays are the words at 96 and 192.
        for (uint256 at = 96; at <= 192; at += 96) {
            uint256 room = (valid.length - at - 32) / 32;
            uint256[3] memory bad = [room + 1, 1 << 251, type(uint256).max];
            for (uint256 i; i < bad.length; ++i) {
                bytes memory certificate = bytes.concat(valid);
                uint256 value = bad[i];
                assembly ("memory-safe") {
                    mstore(add(add(certificate, 32), at), value)
                }
                _refuse(certificate, Certificates.MalformedCertificate.selector);
            }
        }
    }

    /// @dev Whatever is changed in a certificate that just reaches the threshold, it never becomes another valid one,
    /// save in the padding that no rule reads.
    function testFuzz_changedBytesAreRefused(uint256 position, uint8 change) public view {
        bytes memory certificate = _certificate(_first(ops, 2), DIGEST, EPOCH);
        position = position % certificate.length;
        vm.assume(change != 0 && !_isPadding(position));
        certificate[position] = bytes1(uint8(certificate[position]) ^ change);
        (bool success, ) = address(registry).staticcall(
            abi.encodeCall(registry.isValidSignature, (DIGEST, certificate))
        );
        vm.assertFalse(success);
    }

    function testFuzz_acceptsExactlyQuorums(uint8 subset, uint16[4] calldata raw) public {
        uint256 signed;
        uint256 total;
        uint256 count;
        Operator[] memory all = ops;
        for (uint256 i; i < 4; ++i) {
            uint256 weight = uint256(raw[i]) + MINIMUM;
            _setWeight(all[i], weight);
            total += weight;
            if (subset & (1 << i) != 0) {
                signed += weight;
                all[count++] = all[i];
            }
        }
        vm.assume(count > 0);
        _goTo(EPOCH + 1, 0);
        bytes memory certificate = _certificate(_first(all, count), DIGEST, EPOCH + 1);
        if (signed < (2 * total) / 3 + 1) _refuse(certificate, IQuorumRegistry.InsufficientSignedStake.selector);
        else _accept(certificate);
    }

    function _refuseFirst(bytes memory signature) private {
        bytes[] memory signatures = _signatures(ops, DIGEST);
        signatures[0] = signature;
        _refuse(abi.encode(_accounts(ops), signatures, EPOCH), IQuorumRegistry.InvalidSignature.selector);
    }

    /// @dev In the encoding of two signers: the last 31 bytes of each signature's third word.
    function _isPadding(uint256 position) private pure returns (bool) {
        uint256 firstEnd = 96 + 96 + 32 + 64 + 32 + 65;
        uint256 secondEnd = firstEnd + 31 + 32 + 65;
        return (position >= firstEnd && position < firstEnd + 31) || position >= secondEnd;
    }

    function _repeated(uint8 value) private pure returns (bytes memory filled) {
        filled = new bytes(65);
        for (uint256 i; i < 65; ++i) {
            filled[i] = bytes1(value);
        }
    }
}
