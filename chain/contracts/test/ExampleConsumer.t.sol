// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ExampleConsumer} from "../src/ExampleConsumer.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {StateProof, StateProofs} from "../src/StateProofs.sol";
import {FakeWeights} from "./support/Fixture.sol";
import {ProofFixture} from "./support/ProofFixture.sol";

contract ExampleConsumerTest is ProofFixture {
    uint32 internal constant MAX_AGE = 1;

    ExampleConsumer internal consumer;

    function setUp() public override {
        super.setUp();
        consumer = new ExampleConsumer(registry, MAX_AGE);
    }

    // Deployment

    function test_agesUpToTheRegistrysLimit() public {
        vm.assertEq(registry.maxAge(), MAX_AGE);
        vm.assertEq(consumer.maxAge(), MAX_AGE);
        vm.assertEq(address(consumer.registry()), address(registry));
        new ExampleConsumer(registry, 0);
        uint32[3] memory ages = [MAX_AGE + 1, 100, type(uint32).max];
        for (uint256 i; i < ages.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ExampleConsumer.AgeBeyondStake.selector, MAX_AGE));
            new ExampleConsumer(registry, ages[i]);
        }
    }

    /// @dev There the registry goes by time, whatever the number of epochs.
    function test_lightRegistriesLimitNoAge() public {
        LightStakeRegistry light = _light(EPOCH, _setOfEqual(ops, 100));
        consumer = new ExampleConsumer(light, type(uint32).max);
        bytes memory certificate = _certify(proof);
        vm.assertEq(consumer.check(proof, certificate), 42);
        vm.warp(_fixedAt(EPOCH) + LIFETIME_SECONDS + 1);
        vm.expectRevert(abi.encodeWithSelector(IQuorumRegistry.CertificateExpired.selector, EPOCH));
        consumer.check(proof, certificate);
    }

    // Values

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
            vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
            consumer.accept(other, certificate);
        }
    }

    function test_refusesOldCertificates() public {
        bytes memory certificate = _certify(proof);
        _goTo(EPOCH + MAX_AGE, LENGTH - 1);
        consumer.check(proof, certificate);
        _goTo(EPOCH + MAX_AGE + 1, 0);
        bytes memory reason = abi.encodeWithSelector(
            StateProofs.CertificateTooOld.selector,
            EPOCH,
            EPOCH + MAX_AGE + 1
        );
        vm.expectRevert(reason);
        consumer.check(proof, certificate);
        vm.expectRevert(reason);
        consumer.accept(proof, certificate);
    }

    function test_refusesCertificatesOfOtherRegistriesAndChains() public {
        bytes memory certificate = _certify(proof);
        vm.chainId(block.chainid + 1);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        consumer.check(proof, certificate);
        vm.chainId(block.chainid - 1);

        _goTo(0, 0);
        weights = new FakeWeights(_afterNext(), REACH, REACH * BLOCK_SECONDS, 0);
        registry = new StakeRegistry(epochs, weights, MINIMUM, decider, directory);
        for (uint256 i; i < 4; ++i) {
            _registerWithWeight(ops[i], 100);
        }
        consumer = new ExampleConsumer(registry, MAX_AGE);
        _goTo(EPOCH, 0);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        consumer.check(proof, certificate);
        consumer.check(proof, _certify(proof));
    }
}
