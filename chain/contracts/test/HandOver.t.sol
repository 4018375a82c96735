// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ExampleConsumer} from "../src/ExampleConsumer.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {OperatorSet, OperatorSets} from "../src/OperatorSets.sol";
import {StateProof, StateProofs} from "../src/StateProofs.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice Three epochs of the home chain, with members that come, go, and change, as another chain learns of them.
contract HandOverTest is Fixture {
    uint32 internal constant MAX_AGE = 1;
    uint256 internal constant COUNT = 6;

    Operator[] internal ops;
    LightStakeRegistry internal light;
    ExampleConsumer internal consumer;

    function setUp() public override {
        super.setUp();
        Operator[] memory made = _operators(COUNT);
        for (uint256 i; i < COUNT; ++i) {
            ops.push(made[i]);
        }
        for (uint256 i; i < 4; ++i) {
            _registerWithWeight(ops[i], 100 - 20 * i);
        }
        _goTo(1, 0);
        registry.sealEpoch(1, _accounts(_members(1)));
        light = _light(1, _setAt(1));
        consumer = new ExampleConsumer(light, MAX_AGE);
    }

    function test_threeEpochs() public {
        vm.assertEq(light.domainSeparator(), registry.domainSeparator());
        _changeInEpochOne();
        _handOver(1);
        _goTo(2, 0);
        vm.assertEq(_members(2).length, 4);
        _agree(1);
        _agree(2);

        _changeInEpochTwo();
        _handOver(2);
        _goTo(3, 0);
        vm.assertEq(_members(3).length, 5);
        _agree(2);
        _agree(3);
    }

    /// @dev On another chain, in both forms.
    function test_stateProofsPassOnOtherChains() public {
        _changeInEpochOne();
        _handOver(1);
        _goTo(2, 0);
        StateProof memory proof = StateProof(address(0x1234), 137, 5_000_000, 1_700_000_000, 2, 7, 42);
        Operator[] memory members = _members(2);
        bytes32 digest = StateProofs.digest(registry, proof);
        bytes memory compact = _compact(members, (1 << members.length) - 1, digest, 2);
        bytes memory listed = _certificate(members, digest, 2);

        ExampleConsumer atHome = new ExampleConsumer(registry, MAX_AGE);
        vm.assertEq(atHome.check(proof, listed), 42);
        vm.assertEq(atHome.check(proof, compact), 42);

        vm.chainId(10);
        vm.assertEq(consumer.check(proof, listed), 42);
        vm.assertEq(consumer.accept(proof, compact), 42);
        proof.value = 43;
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        consumer.check(proof, compact);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        consumer.check(proof, listed);
    }

    function test_proofsNameTheEpochOfTheirCertificateInBothForms() public {
        StateProof memory proof = StateProof(address(0x1234), 137, 5_000_000, 1_700_000_000, 2, 7, 42);
        bytes32 digest = StateProofs.digest(light, proof);
        bytes memory compact = _compact(_members(1), 0xf, digest, 1);
        bytes memory listed = _certificate(_members(1), digest, 1);
        bytes memory reason = abi.encodeWithSelector(StateProofs.EpochMismatch.selector, 2, 1);
        vm.expectRevert(reason);
        consumer.check(proof, compact);
        vm.expectRevert(reason);
        consumer.check(proof, listed);
        compact = _compact(_members(1), 0xf, digest, 2);
        vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
        consumer.check(proof, compact);
    }

    /// @dev Age counts from the newest epoch that the chain was told of.
    function test_oldProofsAreRefused() public {
        StateProof memory proof = StateProof(address(0x1234), 137, 5_000_000, 1_700_000_000, 1, 7, 42);
        bytes memory certificate = _compact(_members(1), 0xf, StateProofs.digest(light, proof), 1);
        _handOver(1);
        vm.assertEq(consumer.check(proof, certificate), 42);
        _goTo(2, 0);
        _handOver(2);
        vm.expectRevert(abi.encodeWithSelector(StateProofs.CertificateTooOld.selector, 1, 3));
        consumer.check(proof, certificate);
    }

    /// @dev Nobody told of epoch 2. The set of epoch 1 still lives, so it names that of epoch 3 itself.
    function test_aMissedHandOverIsSteppedOver() public {
        _changeInEpochOne();
        Operator[] memory signers = _signersOf(1);
        _goTo(2, 0);
        _changeInEpochTwo();
        _rollTo(_fixedBlock(3));
        OperatorSet memory next = _setAt(3);
        bytes32 digest = _updateDigest(registry.domainSeparator(), 1, 3, next);
        light.updateEpoch(1, 3, _fixedAt(3), next, _compact(signers, (1 << signers.length) - 1, digest, 1));
        registry.sealEpoch(3, next.operators);
        _goTo(3, 0);
        _agree(3);
    }

    /// @dev One leaves, one joins, one changes its key, one its weight.
    function _changeInEpochOne() private {
        vm.prank(ops[1].account);
        registry.deregisterOperator();
        _registerWithWeight(ops[4], 70);
        ops[2].secret = 77;
        ops[2].signingKey = vm.addr(77);
        bytes memory proof = _keyProof(ops[2]);
        vm.prank(ops[2].account);
        registry.updateSigningKey(ops[2].signingKey, proof);
        _setWeight(ops[3], 55);
    }

    /// @dev The one that left is back, and one comes that was never there.
    function _changeInEpochTwo() private {
        _register(ops[1]);
        _registerWithWeight(ops[5], 200);
        _setWeight(ops[0], 0);
    }

    /// @dev As soon as the next set is final: seals it at home, and tells the other chain.
    function _handOver(uint32 epoch) private {
        _goTo(epoch, LENGTH - GRACE);
        Operator[] memory signers = _signersOf(epoch);
        OperatorSet memory next = _setAt(epoch + 1);
        bytes32 digest = _updateDigest(registry.domainSeparator(), epoch, epoch + 1, next);
        bytes memory certificate = _compact(signers, (1 << signers.length) - 1, digest, epoch);

        registry.sealEpoch(epoch + 1, next.operators);
        light.updateEpoch(epoch, epoch + 1, _fixedAt(epoch + 1), next, certificate);
        vm.assertEq(light.setHash(epoch + 1), _setHash(next));
    }

    /// @dev Both registries say the same of `epoch`.
    function _agree(uint32 epoch) private view {
        vm.assertEq(light.getTotalWeightAtEpoch(epoch), registry.getTotalWeightAtEpoch(epoch));
        vm.assertEq(light.getThresholdStake(epoch), registry.getThresholdStake(epoch));
        for (uint256 i; i < COUNT; ++i) {
            address account = ops[i].account;
            uint256 weight = registry.getOperatorWeightAtEpoch(account, epoch);
            address key = registry.getOperatorSigningKeyAtEpoch(account, epoch);
            vm.assertEq(light.getOperatorWeightAtEpoch(account, epoch), weight);
            vm.assertEq(light.getOperatorSigningKeyAtEpoch(account, epoch), weight == 0 ? address(0) : key);
        }
        vm.assertEq(light.sealedSet(epoch).code, registry.sealedSet(epoch).code);
        (OperatorSet memory set, uint256 total) = registry.getMembersAtEpoch(light.getOperatorsAtEpoch(epoch), epoch);
        vm.assertEq(light.setHash(epoch), OperatorSets.hash(set, total));

        bytes32 digest = keccak256("digest");
        Operator[] memory signers = _signersOf(epoch);
        bytes memory compact = _compact(signers, (1 << signers.length) - 1, digest, epoch);
        bytes memory listed = _certificate(signers, digest, epoch);
        registry.isValidSignature(digest, compact);
        registry.isValidSignature(digest, listed);
        light.isValidSignature(digest, compact);
        light.isValidSignature(digest, listed);
    }

    /// @dev Those with a weight in `epoch`.
    function _members(uint32 epoch) private view returns (Operator[] memory) {
        uint256 chosen;
        for (uint256 i; i < COUNT; ++i) {
            if (registry.getOperatorWeightAtEpoch(ops[i].account, epoch) != 0) chosen |= 1 << i;
        }
        return _chosen(ops, chosen);
    }

    /// @dev With the keys of that epoch: one has changed in the course of epoch 1.
    function _signersOf(uint32 epoch) private view returns (Operator[] memory signers) {
        signers = _members(epoch);
        if (epoch > 1) return signers;
        Operator[] memory original = _operators(COUNT);
        for (uint256 i; i < signers.length; ++i) {
            if (signers[i].account == original[2].account) signers[i] = original[2];
        }
    }

    /// @dev From the registry's own words.
    function _setAt(uint32 epoch) private view returns (OperatorSet memory set) {
        uint256 total;
        (set, total) = registry.getMembersAtEpoch(_accounts(_members(epoch)), epoch);
        vm.assertEq(total, OperatorSets.check(set));
    }
}
