// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {RegistryFixture} from "./support/RegistryFixture.sol";

/// @notice Says yes to every signature.
contract YesContract is IERC1271 {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return IERC1271.isValidSignature.selector;
    }
}

contract SigningKeysTest is RegistryFixture {
    Operator internal alice;
    Operator internal bob;

    function setUp() public override {
        super.setUp();
        alice = _operator(1);
        bob = _operator(2);
        weights.set(alice.account, 100);
        weights.set(bob.account, 100);
    }

    // Proofs

    function test_zeroIsNoKey() public {
        bytes memory proof = _keyProof(alice);
        vm.expectRevert(IStakeRegistry.ZeroKey.selector);
        vm.prank(alice.account);
        registry.registerOperator(address(0), proof);
        // A signature that recovers to nobody is nobody's.
        alice.signingKey = address(0);
        vm.expectRevert(IStakeRegistry.ZeroKey.selector);
        vm.prank(alice.account);
        registry.registerOperator(address(0), new bytes(65));
    }

    function test_refusesKeysOfOthers() public {
        Operator memory thief = bob;
        thief.signingKey = alice.signingKey;
        _expectRegisterRevert(thief, IStakeRegistry.InvalidSigningKeyProof.selector);
    }

    function test_refusesMalformedProofs() public {
        bytes memory proof = _keyProof(alice);
        _refuseProof(alice, "");
        _refuseProof(alice, new bytes(65));
        _refuseProof(alice, abi.encodePacked(proof, uint8(0)));
        _refuseProof(alice, _sign64(alice.secret, _registrationDigest(registry, alice.account, alice.signingKey)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(
            alice.secret,
            _registrationDigest(registry, alice.account, alice.signingKey)
        );
        // The other of the two signatures that this one makes.
        _refuseProof(alice, abi.encodePacked(r, SECP256K1_ORDER - uint256(s), v == 27 ? uint8(28) : uint8(27)));
        _refuseProof(alice, abi.encodePacked(r, s, v - 27));
    }

    function test_proofsAreBoundToTheOperator() public {
        bytes memory proof = _keyProof(alice);
        vm.expectRevert(IStakeRegistry.InvalidSigningKeyProof.selector);
        vm.prank(bob.account);
        registry.registerOperator(alice.signingKey, proof);
    }

    function test_proofsAreBoundToTheRegistry() public {
        bytes memory proof = _keyProof(alice);
        _deploy(0);
        weights.set(alice.account, 100);
        _refuseProof(alice, proof);
        _register(alice);
    }

    function test_proofsAreBoundToTheChain() public {
        bytes memory proof = _keyProof(alice);
        vm.chainId(block.chainid + 256);
        _refuseProof(alice, proof);
        _register(alice);
    }

    // Contracts

    function test_contractsAreNoSigningKeys() public {
        alice.signingKey = address(new YesContract());
        _expectRegisterRevert(alice, IStakeRegistry.InvalidSigningKeyProof.selector);
        _refuseProof(alice, new bytes(65));
        _refuseProof(alice, "");
    }

    /// @dev ecrecover, sha256, ripemd160 and identity answer any input with data.
    function test_precompilesAreNoSigningKeys() public {
        for (uint160 i = 1; i < 5; ++i) {
            alice.signingKey = address(i);
            _expectRegisterRevert(alice, IStakeRegistry.InvalidSigningKeyProof.selector);
        }
    }

    /// @dev Code at a key, by EIP-7702 or as a test etches it, proves nothing for it.
    function test_codeAtAKeyProvesNothing() public {
        bytes[2] memory codes = _codes();
        for (uint256 i; i < codes.length; ++i) {
            vm.etch(alice.signingKey, codes[i]);
            _refuseProof(alice, new bytes(65));
            _refuseProof(alice, _sign(bob.secret, _registrationDigest(registry, alice.account, alice.signingKey)));
        }
        // The key itself still can.
        _register(alice);
        vm.assertEq(registry.getOperatorSigningKeyAtEpoch(alice.account, 1), alice.signingKey);
    }

    // Changes

    function test_updatesSigningKey() public {
        _register(alice);
        address old = alice.signingKey;
        _goTo(5, 10);
        _rotate(alice, 99);

        _assertOperator(alice, 5, 100, old);
        _assertOperator(alice, 6, 100, vm.addr(99));
        vm.assertEq(registry.getTotalWeightAtEpoch(6), 100);
        vm.assertEq(registry.getOperatorBySigningKey(vm.addr(99)), alice.account);
        vm.assertEq(registry.getOperatorBySigningKey(old), alice.account);
    }

    function test_refusesSigningKeyWithoutProof() public {
        _register(alice);
        _register(bob);
        bytes memory proof = _sign(98, _registrationDigest(registry, alice.account, vm.addr(99)));
        _refuseUpdate(vm.addr(99), proof, IStakeRegistry.InvalidSigningKeyProof.selector);
        _refuseUpdate(address(0), proof, IStakeRegistry.ZeroKey.selector);
        _refuseUpdate(address(new YesContract()), proof, IStakeRegistry.InvalidSigningKeyProof.selector);
        proof = _sign(bob.secret, _registrationDigest(registry, alice.account, bob.signingKey));
        _refuseUpdate(bob.signingKey, proof, IStakeRegistry.KeyTaken.selector);
    }

    function test_refusesThePresentKey() public {
        _register(alice);
        _refuseUpdate(alice.signingKey, _keyProof(alice), IStakeRegistry.SameKey.selector);
        // Also while it does not count yet; an older one may come back.
        address old = alice.signingKey;
        uint256 oldSecret = alice.secret;
        _rotate(alice, 99);
        _refuseUpdate(vm.addr(99), _keyProof(alice), IStakeRegistry.SameKey.selector);
        _rotate(alice, oldSecret);
        _assertOperator(alice, 1, 100, old);
    }

    /// @dev A key change reads the weight again, like every change.
    function test_aKeyChangeReadsTheWeight() public {
        _register(alice);
        weights.set(alice.account, 70);
        _rotate(alice, 99);
        _assertOperator(alice, 1, 70, vm.addr(99));
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 70);
        weights.set(alice.account, MINIMUM - 1);
        _rotate(alice, 98);
        _assertOperator(alice, 1, 0, vm.addr(98));
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 0);
        _assertAllWhole();
        // And brings nobody into the set by itself.
        weights.set(alice.account, 100);
        _rotate(alice, 97);
        _assertOperator(alice, 1, 0, vm.addr(97));
        _refresh(alice);
        _assertOperator(alice, 1, 100, vm.addr(97));
        _assertAllWhole();
    }

    function test_aKeyStaysTakenAfterItsOperatorLeft() public {
        Operator memory old = alice;
        _register(alice);
        _rotate(alice, 99);
        _deregister(alice);

        bob.secret = old.secret;
        bob.signingKey = old.signingKey;
        _expectRegisterRevert(bob, IStakeRegistry.KeyTaken.selector);
        vm.assertEq(registry.getOperatorBySigningKey(old.signingKey), old.account);
        (bob.secret, bob.signingKey) = (99, vm.addr(99));
        _expectRegisterRevert(bob, IStakeRegistry.KeyTaken.selector);
    }

    // Convicted keys

    function test_convictedKeysAreNeverTakenAgain() public {
        _register(alice);
        Operator memory old = alice;
        _rotate(alice, 99);
        (alice.secret, alice.signingKey) = (99, vm.addr(99));
        vm.prank(address(registry.judge()));
        registry.jail(alice.account, old.signingKey, alice.signingKey);
        vm.assertTrue(registry.convicted(old.signingKey));
        vm.assertTrue(registry.convicted(alice.signingKey));
        _release(alice);

        _expectRegisterRevert(alice, IStakeRegistry.KeyConvicted.selector);
        _expectRegisterRevert(old, IStakeRegistry.KeyConvicted.selector);
        // Nor by another name.
        bob.secret = old.secret;
        bob.signingKey = old.signingKey;
        _expectRegisterRevert(bob, IStakeRegistry.KeyTaken.selector);

        (alice.secret, alice.signingKey) = (98, vm.addr(98));
        _register(alice);
        _refuseUpdate(vm.addr(99), _proof(alice.account, 99), IStakeRegistry.KeyConvicted.selector);
        _refuseUpdate(old.signingKey, _proof(alice.account, old.secret), IStakeRegistry.KeyConvicted.selector);
    }

    function _proof(address account, uint256 secret) private view returns (bytes memory) {
        return _sign(secret, _registrationDigest(registry, account, vm.addr(secret)));
    }

    /// @dev A delegation by EIP-7702, and the code itself.
    function _codes() private returns (bytes[2] memory codes) {
        address yes = address(new YesContract());
        codes = [abi.encodePacked(hex"ef0100", yes), yes.code];
    }

    function _refuseProof(Operator memory op, bytes memory proof) private {
        vm.expectRevert(IStakeRegistry.InvalidSigningKeyProof.selector);
        vm.prank(op.account);
        registry.registerOperator(op.signingKey, proof);
    }

    function _refuseUpdate(address key, bytes memory proof, bytes4 selector) private {
        vm.expectRevert(selector);
        vm.prank(alice.account);
        registry.updateSigningKey(key, proof);
    }
}
