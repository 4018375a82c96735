// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Certificates} from "../src/Certificates.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {StateProof, StateProofs} from "../src/StateProofs.sol";
import {ProofFixture} from "./support/ProofFixture.sol";

/// @notice The library behind calls, so that reverts can be expected.
contract Verifier {
    function verify(
        IQuorumRegistry registry,
        StateProof memory proof,
        bytes calldata certificate,
        uint32 maxAge
    ) external view {
        StateProofs.verify(registry, proof, certificate, maxAge);
    }

    function validUntil(
        IQuorumRegistry registry,
        StateProof memory proof,
        bytes calldata certificate
    ) external view returns (uint64) {
        return StateProofs.validUntil(registry, proof, certificate);
    }
}

/// @notice Answers without reverting and without the magic value.
contract Silent {
    uint32 public constant newestEpoch = 0;
    bytes32 public constant domainSeparator = 0;

    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return 0xffffffff;
    }
}

contract StateProofsTest is ProofFixture {
    Verifier internal verifier = new Verifier();

    // Names

    function test_taskIdVector() public pure {
        StateProof memory vector = StateProof(
            0x1234567890123456789012345678901234567890,
            1,
            12345,
            1700000000,
            1,
            1,
            100
        );
        vm.assertEq(StateProofs.taskId(vector), 0xb380c8c72b9bb9eb5cd5a55104de558a2dfba3ec76b6ef2aabfc22a9bc14c66f);
    }

    function test_taskIdsKeepTheFullWidth() public view {
        StateProof memory other = proof;
        other.chainId += 256;
        vm.assertTrue(StateProofs.taskId(other) != StateProofs.taskId(proof));
        other = proof;
        other.blockNumber += 256;
        vm.assertTrue(StateProofs.taskId(other) != StateProofs.taskId(proof));
    }

    // Age

    function test_verifies() public view {
        verifier.verify(registry, proof, _certify(proof), 0);
    }

    function test_refusesOlderEpochsThanAllowed() public {
        bytes memory certificate = _certify(proof);
        _goTo(EPOCH, LENGTH - 1);
        verifier.verify(registry, proof, certificate, 0);
        _goTo(EPOCH + 1, 0);
        vm.expectRevert(abi.encodeWithSelector(StateProofs.CertificateTooOld.selector, EPOCH, EPOCH + 1));
        verifier.verify(registry, proof, certificate, 0);
        verifier.verify(registry, proof, certificate, 1);
        _goTo(EPOCH + 2, 0);
        vm.expectRevert(abi.encodeWithSelector(StateProofs.CertificateTooOld.selector, EPOCH, EPOCH + 2));
        verifier.verify(registry, proof, certificate, 1);
        verifier.verify(registry, proof, certificate, 2);
    }

    /// @dev Whatever age is allowed.
    function test_theRegistryRefusesWhereStakeCanBeGone() public {
        bytes memory certificate = _certify(proof);
        _rollTo(_fixedBlock(EPOCH) + LIFETIME);
        verifier.verify(registry, proof, certificate, type(uint32).max);
        _rollTo(_fixedBlock(EPOCH) + LIFETIME + 1);
        bytes memory reason = abi.encodeWithSelector(IQuorumRegistry.CertificateExpired.selector, EPOCH);
        vm.expectRevert(reason);
        verifier.verify(registry, proof, certificate, type(uint32).max);
        vm.expectRevert(reason);
        verifier.verify(registry, proof, certificate, 2);
    }

    /// @dev Numbers at their ends do not overflow into an age that is allowed.
    function testFuzz_agesDoNotOverflow(uint32 epoch, uint32 newest, uint32 maxAge) public {
        Newest target = new Newest(newest);
        StateProof memory other = proof;
        other.epoch = epoch;
        bytes memory certificate = abi.encodePacked(uint8(1), epoch);
        if (uint256(epoch) + maxAge < newest) {
            vm.expectRevert(abi.encodeWithSelector(StateProofs.CertificateTooOld.selector, epoch, newest));
        }
        verifier.verify(IQuorumRegistry(address(target)), other, certificate, maxAge);
    }

    // Certificates

    function test_refusesTheSetOfAnotherEpoch() public {
        for (uint32 epoch = EPOCH - 1; epoch <= EPOCH + 1; epoch += 2) {
            bytes memory reason = abi.encodeWithSelector(StateProofs.EpochMismatch.selector, EPOCH, epoch);
            bytes memory certificate = _certificate(ops, StateProofs.digest(registry, proof), epoch);
            vm.expectRevert(reason);
            verifier.verify(registry, proof, certificate, 1);
            vm.expectRevert(reason);
            verifier.validUntil(registry, proof, certificate);
            certificate = _compact(ops, 0xf, StateProofs.digest(registry, proof), epoch);
            vm.expectRevert(reason);
            verifier.verify(registry, proof, certificate, 1);
            vm.expectRevert(reason);
            verifier.validUntil(registry, proof, certificate);
        }
    }

    function test_refusesEpochsToCome() public {
        StateProof memory other = proof;
        other.epoch = EPOCH + 1;
        bytes memory certificate = _certify(other);
        vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
        verifier.verify(registry, other, certificate, 1);
    }

    function test_refusesWhatIsNoCertificate() public {
        vm.expectRevert(Certificates.MalformedCertificate.selector);
        verifier.verify(registry, proof, "", 1);
        bytes memory long = abi.encodePacked(_certify(proof), uint8(0));
        vm.expectRevert(Certificates.MalformedCertificate.selector);
        verifier.verify(registry, proof, long, 1);
    }

    function test_refusesARegistryThatDoesNotSayYes() public {
        IQuorumRegistry silent = IQuorumRegistry(address(new Silent()));
        bytes memory certificate = _certify(proof);
        vm.expectRevert(StateProofs.CertificateRejected.selector);
        verifier.verify(silent, proof, certificate, 1);
    }

    // Validity

    function test_validUntilAtHome() public {
        bytes memory certificate = _certify(proof);
        vm.expectRevert(abi.encodeWithSelector(IQuorumRegistry.EpochTimeUnknown.selector, EPOCH));
        verifier.validUntil(registry, proof, certificate);
        registry.noteEpoch();
        uint64 expected = uint64(block.timestamp) + LIFETIME_SECONDS;
        vm.assertEq(verifier.validUntil(registry, proof, certificate), expected);
        vm.warp(type(uint64).max);
        vm.roll(0);
        vm.assertEq(verifier.validUntil(registry, proof, certificate), expected);
        proof.value += 1;
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        verifier.validUntil(registry, proof, certificate);
    }

    function test_validUntilOnOtherChains() public {
        LightStakeRegistry light = _light(EPOCH, _setOfEqual(ops, 100));
        vm.chainId(10);
        bytes memory certificate = _certificate(ops, StateProofs.digest(light, proof), EPOCH);
        vm.assertEq(verifier.validUntil(light, proof, certificate), _fixedAt(EPOCH) + LIFETIME_SECONDS);
        verifier.verify(light, proof, certificate, 0);
    }
}

/// @notice Accepts everything in its newest epoch.
contract Newest {
    uint32 public immutable newestEpoch;
    bytes32 public constant domainSeparator = 0;

    constructor(uint32 epoch) {
        newestEpoch = epoch;
    }

    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return 0x1626ba7e;
    }
}
