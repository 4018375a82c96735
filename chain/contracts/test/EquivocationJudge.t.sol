// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SignedAttestation} from "../src/Attestations.sol";
import {EpochUpdate, EpochUpdates} from "../src/EpochUpdates.sol";
import {EquivocationJudge} from "../src/EquivocationJudge.sol";
import {IEquivocationJudge, Term} from "../src/IEquivocationJudge.sol";
import {ISlashingDecider} from "../src/ISlashingDecider.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {IWeightSource} from "../src/IWeightSource.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {StateProof, StateProofs} from "../src/StateProofs.sol";
import {JudgeFixture} from "./support/JudgeFixture.sol";

/// @notice Code that a key may have delegated to: it finds every signature good.
contract Agreeable {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return this.isValidSignature.selector;
    }
}

/// @notice What is evidence and what is not.
contract EquivocationJudgeTest is JudgeFixture {
    function test_twoFactsForOneSlotConvict() public {
        (SignedAttestation memory a, SignedAttestation memory b) = (_signed(alice, 1, "one"), _signed(alice, 1, "two"));
        vm.expectEmit(address(judge));
        emit IEquivocationJudge.EquivocationProven(
            alice.account,
            SLOT,
            alice.signingKey,
            alice.signingKey,
            address(this)
        );
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorJailed(alice.account, 2);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorDeregistered(alice.account, vm.getBlockNumber(), address(registry));
        vm.expectEmit(address(judge));
        emit IEquivocationJudge.TermBegan(alice.account, 1);
        vm.expectEmit(address(vault));
        emit StakeVault.Frozen(alice.account);
        judge.judge(alice.account, a, b);

        vm.assertTrue(registry.jailed(alice.account));
        vm.assertTrue(registry.convicted(alice.signingKey));
        vm.assertFalse(registry.operatorRegistered(alice.account));
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 1), STAKE);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), 0);
        vm.assertEq(registry.getOperatorSigningKeyAtEpoch(alice.account, 2), address(0));
        vm.assertEq(registry.getTotalWeightAtEpoch(2), 2 * STAKE);
        vm.assertEq(registry.barredUntil(alice.account), 2);
        vm.assertEq(vault.frozenSince(alice.account), vm.getBlockNumber());
        (Term memory term, bool isOpen) = judge.termOf(alice.account);
        vm.assertTrue(isOpen && !term.isSettled);
        vm.assertEq(term.number, 1);
        vm.assertEq(term.openedAt, vm.getBlockNumber());
        // Nobody else is touched.
        vm.assertFalse(registry.jailed(bob.account));
        vm.assertFalse(registry.convicted(bob.signingKey));
        vm.assertEq(vault.frozenSince(bob.account), 0);
    }

    function test_inTheGracePeriodItCountsOneEpochLater() public {
        _goTo(1, LENGTH - GRACE);
        _convict(alice, 1);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), STAKE);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 3), 0);
        vm.assertEq(registry.barredUntil(alice.account), 3);
    }

    function test_everyKindIsJudgedAlike() public {
        StateProof memory proof = StateProof(address(0xbeef), 5, 123, 1_700_000_000, 1, 1, 7);
        bytes32 slot = StateProofs.slot(proof);
        bytes32 fact = StateProofs.fact(proof);
        (proof.value, proof.timestamp) = (7, 1_700_000_001);
        vm.assertEq(StateProofs.slot(proof), slot);
        _judge(alice, slot, fact, StateProofs.fact(proof));

        EpochUpdate memory update = EpochUpdate(1, 9, 5, keccak256("a"));
        slot = EpochUpdates.slot(update);
        fact = EpochUpdates.fact(update);
        update.time = 6;
        vm.assertEq(EpochUpdates.slot(update), slot);
        _judge(bob, slot, fact, EpochUpdates.fact(update));

        // A kind byte that nobody knows.
        _judge(carol, keccak256(hex"7f00"), keccak256("a"), keccak256("b"));
    }

    function testFuzz_whateverSlotsAndFactsMean(bytes32 slot, bytes32 one, bytes32 other) public {
        vm.assume(one != other);
        _judge(alice, slot, one, other);
    }

    function _judge(Operator memory op, bytes32 slot, bytes32 one, bytes32 other) private {
        judge.judge(op.account, _signedBy(op.secret, 1, slot, one), _signedBy(op.secret, 1, slot, other));
        vm.assertTrue(registry.jailed(op.account));
    }

    function test_epochsMayDifferInEitherOrder() public {
        _goTo(3, 0);
        judge.judge(alice.account, _signed(alice, 1, "one"), _signed(alice, 3, "two"));
        judge.judge(bob.account, _signed(bob, 3, "one"), _signed(bob, 1, "two"));
        vm.assertTrue(registry.jailed(alice.account) && registry.jailed(bob.account));
    }

    function test_anybodyReports() public {
        (SignedAttestation memory a, SignedAttestation memory b) = (_signed(alice, 1, "one"), _signed(alice, 1, "two"));
        vm.prank(address(0xbad));
        judge.judge(alice.account, a, b);
        vm.assertTrue(registry.jailed(alice.account));
    }

    /// @dev EIP-1271 and EIP-7702: what is at the key's address is never asked.
    function test_codeAtTheKeyChangesNothing() public {
        vm.etch(alice.signingKey, hex"fe");
        _convict(alice, 1);
        vm.assertTrue(registry.jailed(alice.account));
        // Nor does it convict.
        vm.etch(bob.signingKey, abi.encodePacked(hex"ef0100", address(new Agreeable())));
        vm.assertEq(
            bytes32(Agreeable(bob.signingKey).isValidSignature(0, "")),
            bytes32(Agreeable.isValidSignature.selector)
        );
        SignedAttestation memory forged = SignedAttestation(1, SLOT, "two", new bytes(65));
        bytes memory reason = _error(IEquivocationJudge.InvalidSignature.selector);
        _expectRefusal(reason, bob.account, _signed(bob, 1, "one"), forged);
        forged.signature = "yes";
        _expectRefusal(reason, bob.account, forged, _signed(bob, 1, "one"));
        _convict(bob, 1);
    }

    // What is no evidence

    function test_theSameFactInTwoEpochs() public {
        _goTo(3, 0);
        bytes memory reason = _error(IEquivocationJudge.SameFact.selector);
        _expectRefusal(reason, alice.account, _signed(alice, 1, "one"), _signed(alice, 3, "one"));
        _expectRefusal(reason, alice.account, _signed(alice, 1, "one"), _signed(alice, 1, "one"));
    }

    function test_twoSlots() public {
        SignedAttestation memory other = _signedBy(alice.secret, 1, keccak256("another slot"), "two");
        bytes memory reason = _error(IEquivocationJudge.OtherSlot.selector);
        _expectRefusal(reason, alice.account, _signed(alice, 1, "one"), other);
    }

    function test_signaturesOfAnotherOperator() public {
        (SignedAttestation memory hers, SignedAttestation memory his) = (
            _signed(alice, 1, "one"),
            _signed(bob, 1, "two")
        );
        bytes memory reason = _error(IEquivocationJudge.InvalidSignature.selector);
        _expectRefusal(reason, alice.account, hers, his);
        _expectRefusal(reason, alice.account, his, hers);
        _expectRefusal(reason, bob.account, hers, his);
        _expectRefusal(reason, carol.account, _signed(alice, 1, "two"), hers);
    }

    function test_aKeyInEpochsThatItWasNotFor() public {
        Operator memory renewed = _changeKey(alice, 1);
        _goTo(2, 0);
        bytes memory reason = _error(IEquivocationJudge.InvalidSignature.selector);
        SignedAttestation memory first = _signed(alice, 1, "one");
        _expectRefusal(reason, alice.account, first, _signed(alice, 2, "two"));
        _expectRefusal(reason, alice.account, first, _signed(renewed, 1, "two"));
    }

    function test_anotherEpochThanWasSigned() public {
        _goTo(3, 0);
        SignedAttestation memory moved = _signed(alice, 2, "two");
        moved.epoch = 3;
        bytes memory reason = _error(IEquivocationJudge.InvalidSignature.selector);
        _expectRefusal(reason, alice.account, _signed(alice, 2, "one"), moved);
    }

    function test_epochsThatHaveNotBegun() public {
        bytes memory reason = _error(IEquivocationJudge.EpochNotBegun.selector, 2);
        _goTo(1, LENGTH - 1);
        _expectRefusal(reason, alice.account, _signed(alice, 1, "one"), _signed(alice, 2, "two"));
        _expectRefusal(reason, alice.account, _signed(alice, 2, "one"), _signed(alice, 1, "two"));
        _goTo(2, 0);
        judge.judge(alice.account, _signed(alice, 1, "one"), _signed(alice, 2, "two"));
    }

    function test_strangersAndEpochsWithoutStake() public {
        Operator memory stranger = _operator(77);
        _expectRefusal(
            _error(IEquivocationJudge.NotAnOperator.selector, 1),
            stranger.account,
            _signed(stranger, 1, "one"),
            _signed(stranger, 1, "two")
        );
        bytes memory reason = _error(IEquivocationJudge.NotAnOperator.selector, 0);
        _expectRefusal(reason, alice.account, _signed(alice, 0, "one"), _signed(alice, 1, "two"));
        vm.prank(alice.account);
        registry.deregisterOperator();
        _goTo(2, 0);
        reason = _error(IEquivocationJudge.NotAnOperator.selector, 2);
        _expectRefusal(reason, alice.account, _signed(alice, 1, "one"), _signed(alice, 2, "two"));
    }

    function test_signaturesInAnotherForm() public {
        (SignedAttestation memory first, SignedAttestation memory second) = (
            _signed(alice, 1, "one"),
            _signed(alice, 1, "two")
        );
        bytes memory reason = _error(IEquivocationJudge.InvalidSignature.selector);
        bytes memory good = second.signature;
        bytes32 domain = registry.domainSeparator();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(alice.secret, _attestationDigest(domain, 1, SLOT, "two"));
        // The other half of the curve.
        second.signature = abi.encodePacked(r, bytes32(SECP256K1_ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        _expectRefusal(reason, alice.account, first, second);
        second.signature = abi.encodePacked(good, uint8(0));
        _expectRefusal(reason, alice.account, first, second);
        second.signature = abi.encodePacked(r, s, v - 27);
        _expectRefusal(reason, alice.account, first, second);
        second.signature = abi.encodePacked(r, uint256(s) | (uint256(v - 27) << 255));
        _expectRefusal(reason, alice.account, first, second);
        second.signature = "";
        _expectRefusal(reason, alice.account, first, second);
        second.signature = good;
        judge.judge(alice.account, first, second);
    }

    function test_signaturesForAnotherRegistryOrChain() public {
        SignedAttestation memory first = _signed(alice, 1, "one");
        StakeVault otherVault = new StakeVault(epochs, _afterNext(), REACH, REACH * BLOCK_SECONDS);
        StakeRegistry other = new StakeRegistry(epochs, otherVault, MINIMUM, decider, directory);
        bytes32 digest = _attestationDigest(other.domainSeparator(), 1, SLOT, "two");
        SignedAttestation memory foreign = SignedAttestation(1, SLOT, "two", _sign(alice.secret, digest));
        bytes memory reason = _error(IEquivocationJudge.InvalidSignature.selector);
        _expectRefusal(reason, alice.account, first, foreign);

        uint256 home = block.chainid;
        vm.chainId(home + 1);
        foreign = _signed(alice, 1, "two");
        vm.chainId(home);
        _expectRefusal(reason, alice.account, first, foreign);
    }

    /// @dev What else a signing key signs is of other types.
    function test_aRegistrationIsNoAttestation() public {
        SignedAttestation memory forged = SignedAttestation(1, SLOT, "two", _keyProof(alice));
        bytes memory reason = _error(IEquivocationJudge.InvalidSignature.selector);
        _expectRefusal(reason, alice.account, _signed(alice, 1, "one"), forged);
    }

    /// @dev Whatever is changed in an attestation or a signature, it is evidence no more.
    function testFuzz_anyChangeSpoilsIt(bool late, uint8 field, uint32 change, uint8 spot) public {
        SignedAttestation[2] memory pair = [_signed(alice, 1, "one"), _signed(alice, 1, "two")];
        SignedAttestation memory spoilt = pair[late ? 1 : 0];
        if (change == 0) change = 1;
        if (field % 4 == 0) spoilt.epoch ^= change;
        if (field % 4 == 1) spoilt.slot ^= bytes32(uint256(change));
        if (field % 4 == 2) spoilt.fact ^= bytes32(uint256(change));
        if (field % 4 == 3) spoilt.signature[spot % 65] ^= bytes1(uint8(change % 255) + 1);
        vm.expectRevert();
        judge.judge(alice.account, pair[0], pair[1]);
    }

    // Wiring

    function test_theRegistryMadeIt() public view {
        vm.assertEq(address(judge.registry()), address(registry));
        vm.assertEq(address(judge.source()), address(vault));
        vm.assertEq(address(judge.decider()), address(decider));
        vm.assertEq(judge.minimumDelay(), LENGTH);
    }

    function test_aDeciderIsAContract() public {
        vm.expectRevert(IEquivocationJudge.NoDecider.selector);
        new EquivocationJudge(registry, vault, ISlashingDecider(address(0)), LENGTH);
        vm.expectRevert(IEquivocationJudge.NoDecider.selector);
        new EquivocationJudge(registry, vault, ISlashingDecider(alice.account), LENGTH);
    }

    function test_verdictsCanBeGivenBeforeTheFreezeIsOver() public {
        vm.expectRevert(IEquivocationJudge.NoTimeToDecide.selector);
        new EquivocationJudge(registry, vault, decider, REACH);
        new EquivocationJudge(registry, vault, decider, REACH - 1);
    }

    function test_onlyTheJudgeJailsAndFreezes() public {
        vm.expectRevert(IStakeRegistry.NotJudge.selector);
        registry.jail(alice.account, alice.signingKey, alice.signingKey);
        vm.expectRevert(IStakeRegistry.NotJudge.selector);
        registry.release(alice.account);
        vm.expectRevert(IWeightSource.NotJudge.selector);
        vault.freeze(alice.account);
        vm.expectRevert(IWeightSource.NotJudge.selector);
        vault.unfreeze(alice.account, 0);
        // One that somebody else made for this registry is nobody to it.
        EquivocationJudge impostor = new EquivocationJudge(registry, vault, decider, LENGTH);
        (SignedAttestation memory a, SignedAttestation memory b) = (_signed(alice, 1, "one"), _signed(alice, 1, "two"));
        vm.expectRevert(IStakeRegistry.NotJudge.selector);
        impostor.judge(alice.account, a, b);
    }
}
