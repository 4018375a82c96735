// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Certificates} from "../src/Certificates.sol";
import {ExampleConsumer} from "../src/ExampleConsumer.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {StateProof, StateProofs} from "../src/StateProofs.sol";
import {Fixture} from "./support/Fixture.sol";

contract StateProofsTest is Fixture {
    uint32 internal constant EPOCH = 3;
    uint32 internal constant MAX_AGE = 2;

    Operator[] internal ops;
    ExampleConsumer internal consumer;
    StateProof internal proof;

    function setUp() public override {
        super.setUp();
        Operator[] memory made = _operators(4);
        for (uint256 i; i < 4; ++i) {
            ops.push(made[i]);
            _registerWithWeight(made[i], 100);
        }
        consumer = new ExampleConsumer(registry, MAX_AGE);
        proof = StateProof(address(0x1234), 137, 5_000_000, 1_700_000_000, EPOCH, 7, 42);
        _goTo(EPOCH, 0);
    }

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

    function test_digestIsEip712() public view {
        bytes32 typehash = keccak256(
            "StateProof(address user,uint32 chainId,uint64 blockNumber,uint48 timestamp,uint32 epoch,uint256 key,uint256 value)"
        );
        bytes32 content = keccak256(
            abi.encode(
                typehash,
                proof.user,
                proof.chainId,
                proof.blockNumber,
                proof.timestamp,
                proof.epoch,
                proof.key,
                proof.value
            )
        );
        vm.assertEq(
            StateProofs.digest(registry, proof),
            keccak256(abi.encodePacked(hex"1901", _domainSeparator(registry), content))
        );
    }

    function test_acceptsAndKeeps() public {
        bytes memory certificate = _certify(proof);
        vm.assertEq(consumer.check(proof, certificate), 42);
        vm.expectEmit(address(consumer));
        emit ExampleConsumer.Accepted(StateProofs.taskId(proof), proof.user, proof.key, 42);
        vm.assertEq(consumer.accept(proof, certificate), 42);
        (uint256 value, uint64 blockNumber) = consumer.known(137, proof.user, 7);
        vm.assertEq(value, 42);
        vm.assertEq(blockNumber, 5_000_000);
    }

    function test_onlyNewerValuesReplace() public {
        consumer.accept(proof, _certify(proof));
        StateProof memory other = proof;
        other.value = 43;
        bytes memory certificate = _certify(other);
        vm.expectRevert(ExampleConsumer.NotNewer.selector);
        consumer.accept(other, certificate);
        other.blockNumber += 1;
        vm.assertEq(consumer.accept(other, _certify(other)), 43);
    }

    function test_everyFieldIsSigned() public {
        bytes memory certificate = _certify(proof);
        for (uint256 field; field < 6; ++field) {
            StateProof memory other = proof;
            if (field == 0) other.user = address(0x1235);
            if (field == 1) other.chainId += 1;
            if (field == 2) other.blockNumber += 1;
            if (field == 3) other.timestamp += 1;
            if (field == 4) other.key += 1;
            if (field == 5) other.value += 1;
            vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
            consumer.check(other, certificate);
        }
    }

    function test_refusesTheSetOfAnotherEpoch() public {
        bytes memory certificate = _certificate(ops, StateProofs.digest(registry, proof), EPOCH - 1);
        vm.expectRevert(abi.encodeWithSelector(StateProofs.EpochMismatch.selector, EPOCH, EPOCH - 1));
        consumer.check(proof, certificate);
    }

    function test_refusesWhatIsNoCertificate() public {
        vm.expectRevert(Certificates.MalformedCertificate.selector);
        consumer.check(proof, "");
    }

    function test_refusesARegistryThatDoesNotSayYes() public {
        consumer = new ExampleConsumer(IQuorumRegistry(address(new Silent())), MAX_AGE);
        bytes memory certificate = _certify(proof);
        vm.expectRevert(StateProofs.CertificateRejected.selector);
        consumer.check(proof, certificate);
    }

    function test_refusesOldCertificates() public {
        bytes memory certificate = _certify(proof);
        _goTo(EPOCH + MAX_AGE, LENGTH - 1);
        consumer.check(proof, certificate);
        _goTo(EPOCH + MAX_AGE + 1, 0);
        vm.expectRevert(ExampleConsumer.CertificateTooOld.selector);
        consumer.check(proof, certificate);
    }

    function test_refusesCertificatesOfOtherRegistriesAndChains() public {
        bytes memory certificate = _certify(proof);
        vm.chainId(block.chainid + 1);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        consumer.check(proof, certificate);
        vm.chainId(block.chainid - 1);

        vm.roll(GENESIS);
        registry = new StakeRegistry(epochs, weights, MINIMUM);
        for (uint256 i; i < 4; ++i) {
            _register(ops[i]);
        }
        consumer = new ExampleConsumer(registry, MAX_AGE);
        _goTo(EPOCH, 0);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        consumer.check(proof, certificate);
        consumer.check(proof, _certify(proof));
    }

    function _certify(StateProof memory statement) private view returns (bytes memory) {
        return _certificate(_first(ops, 3), StateProofs.digest(registry, statement), statement.epoch);
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
