// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {Fixture} from "./support/Fixture.sol";
import {ContractKey} from "./support/ContractKey.sol";

contract StakeRegistryTest is Fixture {
    Operator internal alice;
    Operator internal bob;

    function setUp() public override {
        super.setUp();
        alice = _operator(1);
        bob = _operator(2);
    }

    function test_settings() public view {
        vm.assertEq(address(registry.epochManager()), address(epochs));
        vm.assertEq(address(registry.weightSource()), address(weights));
        vm.assertEq(registry.minimumWeight(), MINIMUM);
        vm.assertEq(registry.getTotalWeightAtEpoch(0), 0);
        vm.assertEq(registry.getThresholdStake(0), 1);
    }

    function test_newestEpochIsThePresentOne() public {
        vm.assertEq(registry.newestEpoch(), 0);
        _goTo(6, LENGTH - 1);
        vm.assertEq(registry.newestEpoch(), 6);
        _goTo(7, 0);
        vm.assertEq(registry.newestEpoch(), 7);
        vm.assertEq(registry.newestEpoch(), epochs.getCurrentEpoch());
    }

    function test_domain() public view {
        vm.assertEq(registry.domainSeparator(), _domainSeparator(registry));
        (bytes1 fields, string memory name, string memory version, uint256 chain, address where, , ) = registry
            .eip712Domain();
        vm.assertEq(bytes32(fields), bytes32(hex"0f"));
        vm.assertEq(bytes(name), "Quorate");
        vm.assertEq(bytes(version), "1");
        vm.assertEq(chain, block.chainid);
        vm.assertEq(where, address(registry));
    }

    function test_ed25519Message() public view {
        vm.assertEq(
            registry.ed25519RegistrationMessage(alice.account, alice.signingKey),
            _ed25519Message(registry, alice.account, alice.signingKey)
        );
        vm.assertEq(registry.ed25519RegistrationMessage(alice.account, alice.signingKey).length, 80);
    }

    // Registration

    function test_registers() public {
        vm.warp(1_700_000_000);
        weights.set(alice.account, 100);
        (bytes memory proof, bytes memory edProof) = (_signingKeyProof(alice), _ed25519Proof(alice));

        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorRegistered(
            alice.account,
            GENESIS,
            alice.signingKey,
            1_700_000_000,
            address(registry)
        );
        vm.expectEmit(address(registry));
        emit IStakeRegistry.Ed25519KeyUpdated(alice.account, 1, alice.ed25519Key);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.SigningKeyUpdated(alice.account, 1, alice.signingKey);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorWeightUpdated(alice.account, 1, 100);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.TotalWeightUpdated(1, 100, 67);
        vm.prank(alice.account);
        registry.registerOperator(alice.signingKey, proof, alice.ed25519Key, edProof);
        vm.assertLt(vm.lastCallGas().gasTotalUsed, 600_000);

        vm.assertTrue(registry.operatorRegistered(alice.account));
        vm.assertEq(registry.getOperatorBySigningKey(alice.signingKey), alice.account);
        vm.assertEq(registry.getOperatorByEd25519Key(alice.ed25519Key), alice.account);
        _assertOperator(alice, 0, 0, address(0), 0);
        _assertOperator(alice, 1, 100, alice.signingKey, alice.ed25519Key);
        vm.assertEq(registry.getTotalWeightAtEpoch(0), 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 100);
        vm.assertEq(registry.getThresholdStake(1), 67);
    }

    function test_registrationInTheGracePeriodWaitsLonger() public {
        _goTo(3, LENGTH - GRACE - 1);
        _registerWithWeight(alice, 100);
        _goTo(3, LENGTH - GRACE);
        _registerWithWeight(bob, 50);

        _assertOperator(alice, 3, 0, address(0), 0);
        _assertOperator(alice, 4, 100, alice.signingKey, alice.ed25519Key);
        _assertOperator(bob, 4, 0, address(0), 0);
        _assertOperator(bob, 5, 50, bob.signingKey, bob.ed25519Key);
        vm.assertEq(registry.getTotalWeightAtEpoch(3), 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(4), 100);
        vm.assertEq(registry.getTotalWeightAtEpoch(5), 150);
    }

    function test_registersOnce() public {
        _register(alice);
        _expectRegisterRevert(alice, IStakeRegistry.AlreadyRegistered.selector);
    }

    function test_refusesZeroKeys() public {
        (bytes memory proof, bytes memory edProof) = (_signingKeyProof(alice), _ed25519Proof(alice));
        vm.expectRevert(IStakeRegistry.ZeroKey.selector);
        vm.prank(alice.account);
        registry.registerOperator(address(0), proof, alice.ed25519Key, edProof);

        alice.ed25519Key = 0;
        proof = _signingKeyProof(alice);
        vm.expectRevert(IStakeRegistry.ZeroKey.selector);
        vm.prank(alice.account);
        registry.registerOperator(alice.signingKey, proof, 0, edProof);
    }

    function test_refusesKeysOfOthers() public {
        Operator memory thief = bob;
        thief.signingKey = alice.signingKey;
        _expectRegisterRevert(thief, IStakeRegistry.InvalidSigningKeyProof.selector);

        thief = bob;
        thief.ed25519Key = alice.ed25519Key;
        _expectRegisterRevert(thief, IStakeRegistry.InvalidEd25519Proof.selector);
    }

    function test_refusesAKeyThatAnotherOperatorHas() public {
        _register(alice);
        // The secret is shared, so the proofs are good; the keys stay with who came first.
        bob.secret = alice.secret;
        bob.signingKey = alice.signingKey;
        _expectRegisterRevert(bob, IStakeRegistry.KeyTaken.selector);

        bob = _operator(2);
        bob.ed25519Secret = alice.ed25519Secret;
        bob.ed25519Key = alice.ed25519Key;
        _expectRegisterRevert(bob, IStakeRegistry.KeyTaken.selector);
    }

    function test_aKeyStaysTakenAfterItsOperatorLeft() public {
        Operator memory old = alice;
        _register(alice);
        _rotateSigningKey(alice, uint256(keccak256("new")));
        vm.prank(alice.account);
        registry.deregisterOperator();

        bob.secret = old.secret;
        bob.signingKey = old.signingKey;
        _expectRegisterRevert(bob, IStakeRegistry.KeyTaken.selector);
        vm.assertEq(registry.getOperatorBySigningKey(old.signingKey), old.account);
    }

    // Replay of proofs

    function test_proofsAreBoundToTheOperator() public {
        (bytes memory proof, bytes memory edProof) = (_signingKeyProof(alice), _ed25519Proof(alice));
        vm.expectRevert(IStakeRegistry.InvalidSigningKeyProof.selector);
        vm.prank(bob.account);
        registry.registerOperator(alice.signingKey, proof, alice.ed25519Key, edProof);

        bob.ed25519Key = alice.ed25519Key;
        proof = _signingKeyProof(bob);
        vm.expectRevert(IStakeRegistry.InvalidEd25519Proof.selector);
        vm.prank(bob.account);
        registry.registerOperator(bob.signingKey, proof, alice.ed25519Key, edProof);
    }

    function test_proofsAreBoundToTheRegistry() public {
        (bytes memory proof, bytes memory edProof) = (_signingKeyProof(alice), _ed25519Proof(alice));
        registry = new StakeRegistry(epochs, weights, MINIMUM);
        _expectProofsRefused(alice, proof, edProof);
    }

    function test_proofsAreBoundToTheChain() public {
        (bytes memory proof, bytes memory edProof) = (_signingKeyProof(alice), _ed25519Proof(alice));
        vm.chainId(block.chainid + 256);
        _expectProofsRefused(alice, proof, edProof);
    }

    function test_proofsAreBoundToEachOther() public {
        Operator memory mixed = alice;
        (mixed.ed25519Key, mixed.ed25519Secret) = (bob.ed25519Key, bob.ed25519Secret);
        bytes memory proof = _signingKeyProof(alice);
        bytes memory edProof = _ed25519Proof(mixed);
        vm.expectRevert(IStakeRegistry.InvalidSigningKeyProof.selector);
        vm.prank(alice.account);
        registry.registerOperator(alice.signingKey, proof, mixed.ed25519Key, edProof);
    }

    function test_contractsCanBeSigningKeys() public {
        ContractKey key = new ContractKey(vm.addr(77));
        alice.signingKey = address(key);
        alice.secret = 78;
        _expectRegisterRevert(alice, IStakeRegistry.InvalidSigningKeyProof.selector);
        alice.secret = 77;
        _registerWithWeight(alice, 100);
        vm.assertEq(registry.getOperatorSigningKeyAtEpoch(alice.account, 1), address(key));
    }

    function test_precompilesAreNoSigningKeys() public {
        // ecrecover, sha256, ripemd160 and identity answer any input with data.
        for (uint160 i = 1; i < 5; ++i) {
            alice.signingKey = address(i);
            _expectRegisterRevert(alice, IStakeRegistry.InvalidSigningKeyProof.selector);
        }
    }

    // Changes of keys

    function test_updatesSigningKey() public {
        _registerWithWeight(alice, 100);
        Operator memory old = alice;
        _goTo(5, 10);
        _rotateSigningKey(alice, 99);

        _assertOperator(alice, 5, 100, old.signingKey, alice.ed25519Key);
        _assertOperator(alice, 6, 100, vm.addr(99), alice.ed25519Key);
        vm.assertEq(registry.getTotalWeightAtEpoch(6), 100);
        vm.assertEq(registry.getOperatorBySigningKey(vm.addr(99)), alice.account);
    }

    function test_refusesSigningKeyWithoutProof() public {
        _register(alice);
        bytes memory proof = _sign(98, _registrationDigest(registry, alice.account, vm.addr(99), alice.ed25519Key));
        vm.startPrank(alice.account);
        vm.expectRevert(IStakeRegistry.InvalidSigningKeyProof.selector);
        registry.updateSigningKey(vm.addr(99), proof);
        vm.expectRevert(IStakeRegistry.ZeroKey.selector);
        registry.updateSigningKey(address(0), proof);
        vm.stopPrank();

        _register(bob);
        proof = _sign(bob.secret, _registrationDigest(registry, alice.account, bob.signingKey, alice.ed25519Key));
        vm.expectRevert(IStakeRegistry.KeyTaken.selector);
        vm.prank(alice.account);
        registry.updateSigningKey(bob.signingKey, proof);
    }

    function test_updatesEd25519Key() public {
        _registerWithWeight(alice, 100);
        bytes32 old = alice.ed25519Key;
        _goTo(5, LENGTH - 1);
        (alice.ed25519Key, alice.ed25519Secret) = vm.createEd25519Key("new");
        bytes memory proof = _ed25519Proof(alice);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.Ed25519KeyUpdated(alice.account, 7, alice.ed25519Key);
        vm.prank(alice.account);
        registry.updateEd25519Key(alice.ed25519Key, proof);

        _assertOperator(alice, 6, 100, alice.signingKey, old);
        _assertOperator(alice, 7, 100, alice.signingKey, alice.ed25519Key);
    }

    function test_refusesEd25519KeyWithoutProof() public {
        _register(alice);
        _register(bob);
        bytes memory proof = _ed25519Proof(alice);
        (bytes32 fresh, ) = vm.createEd25519Key("new");
        vm.startPrank(alice.account);
        vm.expectRevert(IStakeRegistry.InvalidEd25519Proof.selector);
        registry.updateEd25519Key(fresh, proof);
        vm.expectRevert(IStakeRegistry.ZeroKey.selector);
        registry.updateEd25519Key(0, proof);
        vm.expectRevert(IStakeRegistry.KeyTaken.selector);
        registry.updateEd25519Key(bob.ed25519Key, proof);
        vm.stopPrank();
    }

    function test_onlyRegisteredOperatorsChange() public {
        vm.startPrank(alice.account);
        vm.expectRevert(IStakeRegistry.NotRegistered.selector);
        registry.updateSigningKey(alice.signingKey, "");
        vm.expectRevert(IStakeRegistry.NotRegistered.selector);
        registry.updateEd25519Key(alice.ed25519Key, "");
        vm.expectRevert(IStakeRegistry.NotRegistered.selector);
        registry.deregisterOperator();
        vm.stopPrank();
    }

    // Weights

    function test_valuesCarryForward() public {
        _registerWithWeight(alice, 100);
        _goTo(40, 0);
        _setWeight(alice, 200);
        _goTo(90, 0);
        _setWeight(alice, 300);

        for (uint32 epoch = 1; epoch < 120; ++epoch) {
            uint256 expected = epoch <= 40 ? 100 : epoch <= 90 ? 200 : 300;
            _assertOperator(alice, epoch, expected, alice.signingKey, alice.ed25519Key);
            vm.assertEq(registry.getTotalWeightAtEpoch(epoch), expected);
            vm.assertEq(registry.getThresholdStake(epoch), (2 * expected) / 3 + 1);
        }
    }

    function test_pendingChangesOfTwoEpochs() public {
        _registerWithWeight(alice, 100);
        _goTo(7, 10);
        _setWeight(alice, 200);
        _goTo(7, LENGTH - GRACE);
        _setWeight(alice, 300);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 7), 100);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 8), 200);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 9), 300);
    }

    function test_weightsBelowTheMinimumCountAsZero() public {
        _registerWithWeight(alice, MINIMUM - 1);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 1), 0);
        vm.assertEq(registry.getThresholdStake(1), 1);
        _setWeight(alice, MINIMUM);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 1), MINIMUM);
        _goTo(1, 0);
        _setWeight(alice, MINIMUM - 1);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 1), MINIMUM);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(2), 0);
    }

    function test_weightsOfManyDigitsAreExact() public {
        uint256 weight = 12_345_678_901_234_567_890_123;
        _registerWithWeight(alice, weight);
        _goTo(4, 0);
        _rotateSigningKey(alice, 99);
        _goTo(5, 0);
        _setWeight(alice, weight + 1);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 1), weight);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 5), weight);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 6), weight + 1);
        vm.assertEq(registry.getTotalWeightAtEpoch(6), weight + 1);
    }

    function test_anybodyUpdatesWeights() public {
        _registerWithWeight(alice, 100);
        _registerWithWeight(bob, 100);
        weights.set(alice.account, 300);
        weights.set(bob.account, 500);
        address[] memory list = new address[](4);
        (list[0], list[1], list[2], list[3]) = (alice.account, address(0xdead), bob.account, alice.account);
        vm.prank(address(0xcafe));
        registry.updateOperators(list);
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 800);
    }

    function test_whoIsNotRegisteredHasNoWeight() public {
        _setWeight(alice, 100);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 1), 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 0);
    }

    function testFuzz_threshold(uint112 first, uint112 second) public {
        registry = new StakeRegistry(epochs, weights, 0);
        _registerWithWeight(alice, first);
        _registerWithWeight(bob, second);
        uint256 total = uint256(first) + second;
        uint256 threshold = registry.getThresholdStake(1);
        vm.assertEq(threshold, (2 * total) / 3 + 1);
        // More than two thirds, and the least such number.
        vm.assertTrue(3 * threshold > 2 * total);
        vm.assertTrue(3 * (threshold - 1) <= 2 * total);
    }

    // Exit

    function test_deregisters() public {
        _registerWithWeight(alice, 100);
        _registerWithWeight(bob, 50);
        _goTo(3, 0);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorDeregistered(alice.account, GENESIS + 3 * LENGTH, address(registry));
        vm.prank(alice.account);
        registry.deregisterOperator();

        vm.assertFalse(registry.operatorRegistered(alice.account));
        _assertOperator(alice, 3, 100, alice.signingKey, alice.ed25519Key);
        _assertOperator(alice, 4, 0, address(0), 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(3), 150);
        vm.assertEq(registry.getTotalWeightAtEpoch(4), 50);
        _setWeight(alice, 1000);
        vm.assertEq(registry.getTotalWeightAtEpoch(4), 50);
    }

    function test_registersAgain() public {
        _registerWithWeight(alice, 100);
        _goTo(3, 0);
        vm.prank(alice.account);
        registry.deregisterOperator();
        _goTo(9, 0);
        _registerWithWeight(alice, 70);

        _assertOperator(alice, 9, 0, address(0), 0);
        _assertOperator(alice, 10, 70, alice.signingKey, alice.ed25519Key);
        vm.assertEq(registry.getTotalWeightAtEpoch(10), 70);
    }

    function test_exitAndReturnWithinAnEpochChangeNothing() public {
        _registerWithWeight(alice, 100);
        _goTo(3, 0);
        vm.prank(alice.account);
        registry.deregisterOperator();
        _register(alice);
        for (uint32 epoch = 3; epoch < 6; ++epoch) {
            _assertOperator(alice, epoch, 100, alice.signingKey, alice.ed25519Key);
            vm.assertEq(registry.getTotalWeightAtEpoch(epoch), 100);
        }
    }

    function test_registrationWithdrawnBeforeItCounts() public {
        _registerWithWeight(alice, 100);
        vm.prank(alice.account);
        registry.deregisterOperator();
        _assertOperator(alice, 1, 0, address(0), 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 0);
    }

    function _rotateSigningKey(Operator memory op, uint256 secret) private {
        address key = vm.addr(secret);
        bytes memory proof = _sign(secret, _registrationDigest(registry, op.account, key, op.ed25519Key));
        vm.prank(op.account);
        registry.updateSigningKey(key, proof);
    }

    function _expectRegisterRevert(Operator memory op, bytes4 selector) private {
        (bytes memory proof, bytes memory edProof) = (_signingKeyProof(op), _ed25519Proof(op));
        vm.expectRevert(selector);
        vm.prank(op.account);
        registry.registerOperator(op.signingKey, proof, op.ed25519Key, edProof);
    }

    /// @dev Each proof alone, beside a good one of the other kind.
    function _expectProofsRefused(Operator memory op, bytes memory proof, bytes memory edProof) private {
        (bytes memory goodProof, bytes memory goodEdProof) = (_signingKeyProof(op), _ed25519Proof(op));
        vm.startPrank(op.account);
        vm.expectRevert(IStakeRegistry.InvalidSigningKeyProof.selector);
        registry.registerOperator(op.signingKey, proof, op.ed25519Key, goodEdProof);
        vm.expectRevert(IStakeRegistry.InvalidEd25519Proof.selector);
        registry.registerOperator(op.signingKey, goodProof, op.ed25519Key, edProof);
        registry.registerOperator(op.signingKey, goodProof, op.ed25519Key, goodEdProof);
        vm.stopPrank();
    }

    function _assertOperator(
        Operator memory op,
        uint32 epoch,
        uint256 weight,
        address signingKey,
        bytes32 ed25519Key
    ) private view {
        vm.assertEq(registry.getOperatorWeightAtEpoch(op.account, epoch), weight);
        vm.assertEq(registry.getOperatorSigningKeyAtEpoch(op.account, epoch), signingKey);
        vm.assertEq(registry.getOperatorEd25519KeyAtEpoch(op.account, epoch), ed25519Key);
    }
}
