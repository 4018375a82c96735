// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SignedAttestation} from "../src/Attestations.sol";
import {IEquivocationJudge, Term} from "../src/IEquivocationJudge.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {JudgeFixture} from "./support/JudgeFixture.sol";

/// @notice An operator answers for all of its keys, for each of them once.
contract ConvictedKeysTest is JudgeFixture {
    /// @dev In epoch 2 alice signs with this one.
    Operator internal renewed;

    function setUp() public override {
        super.setUp();
        renewed = _changeKey(alice, 1);
        _goTo(2, 0);
    }

    function test_twoKeysOfOneOperatorContradictEachOther() public {
        (SignedAttestation memory a, SignedAttestation memory b) = (
            _signed(alice, 1, "one"),
            _signed(renewed, 2, "two")
        );
        vm.expectEmit(address(judge));
        emit IEquivocationJudge.EquivocationProven(
            alice.account,
            SLOT,
            alice.signingKey,
            renewed.signingKey,
            address(this)
        );
        judge.judge(alice.account, a, b);
        vm.assertTrue(registry.convicted(alice.signingKey));
        vm.assertTrue(registry.convicted(renewed.signingKey));
        vm.assertTrue(registry.jailed(alice.account));
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 3), 0);
    }

    function test_theOldKeyAloneConvictsToo() public {
        _convict(alice, 1);
        vm.assertTrue(registry.jailed(alice.account));
        vm.assertTrue(registry.convicted(alice.signingKey));
        vm.assertFalse(registry.convicted(renewed.signingKey));
    }

    function test_oneCasePerKey() public {
        _convict(alice, 1);
        bytes memory reason = _error(IEquivocationJudge.AlreadyJudged.selector, alice.signingKey);
        (SignedAttestation memory a, SignedAttestation memory b) = (_signed(alice, 1, "one"), _signed(alice, 1, "two"));
        _expectRefusal(reason, alice.account, a, b);
        _expectRefusal(reason, alice.account, b, a);
        _expectRefusal(reason, alice.account, a, _signed(alice, 1, "three"));
        bytes32 slot = keccak256("another slot");
        (a, b) = (_signedBy(alice.secret, 1, slot, "one"), _signedBy(alice.secret, 1, slot, "two"));
        _expectRefusal(reason, alice.account, a, b);
        // Nor is what it contradicts a case, on whichever side.
        b = _signedBy(renewed.secret, 2, slot, "two");
        _expectRefusal(reason, alice.account, a, b);
        _expectRefusal(reason, alice.account, b, a);
    }

    function test_anotherOperatorAboutTheSameSlotIsAnotherCase() public {
        _convict(alice, 1);
        _convict(bob, 1);
        vm.assertEq(_termOf(alice), 1);
        vm.assertEq(_termOf(bob), 1);
    }

    function test_theOtherKeyIsAnotherCase() public {
        _convict(alice, 1);
        _settle(alice, 0, false);
        judge.judge(alice.account, _signed(renewed, 2, "one"), _signed(renewed, 2, "two"));
        vm.assertEq(_termOf(alice), 2);
        vm.assertTrue(registry.convicted(renewed.signingKey));
    }

    // Stolen keys

    /// @dev Whoever stole alice's old key brings her down once, and never again.
    function test_aStolenKeyConvictsItsFormerOwnerOnce() public {
        SignedAttestation memory hers = _signed(renewed, 2, "truth");
        judge.judge(alice.account, _signed(alice, 1, "a lie"), hers);
        _settle(alice, 0, true);
        Operator memory fresh = _return(2);
        uint32 epoch = epochs.getCurrentEpoch();
        vm.assertTrue(registry.isWithinReach(1));

        bytes memory reason = _error(IEquivocationJudge.AlreadyJudged.selector, alice.signingKey);
        for (uint256 i; i < 3; ++i) {
            bytes32 slot = keccak256(abi.encode(i));
            SignedAttestation memory forged = _signedBy(alice.secret, 1, slot, "a lie");
            SignedAttestation memory again = _signedBy(alice.secret, 1, slot, "another");
            _expectRefusal(reason, alice.account, forged, again);
            _expectRefusal(reason, alice.account, forged, _signedBy(fresh.secret, epoch, slot, "truth"));
            _expectRefusal(reason, alice.account, _signedBy(fresh.secret, epoch, slot, "truth"), forged);
        }
        vm.assertEq(_termOf(alice), 1);
        vm.assertEq(vault.frozenSince(alice.account), 0);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, epoch), STAKE);
    }

    /// @dev In the epochs of the new key the old one signs nothing.
    function test_aStolenKeySignsNothingForLaterEpochs() public {
        bytes memory reason = _error(IEquivocationJudge.InvalidSignature.selector);
        SignedAttestation memory hers = _signed(renewed, 2, "truth");
        _expectRefusal(reason, alice.account, hers, _signed(alice, 2, "a lie"));
        // Nor is it anybody else's.
        bytes memory proof = _keyProof(Operator(bob.account, alice.secret, alice.signingKey));
        vm.expectRevert(IStakeRegistry.KeyTaken.selector);
        vm.prank(bob.account);
        registry.updateSigningKey(alice.signingKey, proof);
    }

    /// @dev A new key is judged as any other.
    function test_afterReadmissionTheNewKeyIsJudged() public {
        judge.judge(alice.account, _signed(alice, 1, "one"), _signed(renewed, 2, "two"));
        _settle(alice, 0, true);
        Operator memory fresh = _return(2);
        uint32 epoch = epochs.getCurrentEpoch();
        judge.judge(alice.account, _signed(fresh, epoch, "one"), _signed(fresh, epoch, "two"));
        vm.assertEq(_termOf(alice), 2);
        vm.assertTrue(registry.jailed(alice.account));
    }

    // Registration

    function test_convictedKeysAreNeverTakenAgain() public {
        judge.judge(alice.account, _signed(alice, 1, "one"), _signed(renewed, 2, "two"));
        _settle(alice, 0, true);
        Operator[2] memory keys = [alice, renewed];
        vault.deposit{value: STAKE}(_operator(9).account);
        for (uint256 i; i < 2; ++i) {
            _expectRegistrationRefused(keys[i], IStakeRegistry.KeyConvicted.selector);
            _expectRegistrationRefused(
                Operator(_operator(9).account, keys[i].secret, keys[i].signingKey),
                IStakeRegistry.KeyTaken.selector
            );
        }
        _return(2);
        for (uint256 i; i < 2; ++i) {
            bytes memory proof = _keyProof(keys[i]);
            vm.expectRevert(IStakeRegistry.KeyConvicted.selector);
            vm.prank(alice.account);
            registry.updateSigningKey(keys[i].signingKey, proof);
        }
    }

    function test_aJailedAccountRegistersNoKey() public {
        _convict(alice, 1);
        _expectRegistrationRefused(renewed, IStakeRegistry.Jailed.selector);
        _expectRegistrationRefused(_withKey(alice, 5), IStakeRegistry.Jailed.selector);
    }

    /// @dev A key that contradicted nothing is good for its owner again.
    function test_theOtherKeyMayReturn() public {
        _convict(alice, 1);
        _settle(alice, 0, true);
        _register(renewed);
        _goTo(4, 0);
        vm.assertEq(registry.getOperatorSigningKeyAtEpoch(alice.account, 4), renewed.signingKey);
    }

    // Certificates

    /// @dev All weights are equal, so all three are needed.
    function test_noKeyOfAConvictCountsInEarlierEpochs() public {
        Operator[] memory all = _sorted(renewed);
        registry.sealEpoch(2, _accounts(all));
        bytes32 digest = keccak256("what they signed");
        bytes memory plain = _certificate(all, digest, 2);
        bytes memory compact = _compact(all, 7, digest, 2);
        registry.isValidSignature(digest, plain);
        registry.isValidSignature(digest, compact);

        // The key in question is the one of epoch 1; those of epoch 2 go with it.
        _convict(alice, 1);
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        registry.isValidSignature(digest, plain);
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        registry.isValidSignature(digest, compact);

        // What it signs after its return counts.
        _settle(alice, 0, true);
        Operator memory fresh = _return(2);
        all = _sorted(fresh);
        uint32 epoch = epochs.getCurrentEpoch();
        registry.isValidSignature(digest, _certificate(all, digest, epoch));
    }

    function _sorted(Operator memory first) private view returns (Operator[] memory all) {
        all = new Operator[](3);
        (all[0], all[1], all[2]) = (first, bob, carol);
        for (uint256 i; i < 3; ++i) {
            for (uint256 j; j < 2; ++j) {
                if (all[j].account > all[j + 1].account) (all[j], all[j + 1]) = (all[j + 1], all[j]);
            }
        }
    }

    /// @dev Alice registers with a new key, and serves.
    function _return(uint256 seed) private returns (Operator memory fresh) {
        fresh = _withKey(alice, seed);
        _register(fresh);
        _goTo(epochs.getEffectiveEpochForBlock(uint64(vm.getBlockNumber())), 0);
    }

    function _expectRegistrationRefused(Operator memory op, bytes4 reason) private {
        bytes memory proof = _keyProof(op);
        vm.expectRevert(reason);
        vm.prank(op.account);
        registry.registerOperator(op.signingKey, proof);
    }

    function _termOf(Operator memory op) private view returns (uint64) {
        (Term memory term, ) = judge.termOf(op.account);
        return term.number;
    }
}
