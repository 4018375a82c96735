// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochUpdate, SignedEpochUpdate} from "../src/EpochUpdates.sol";
import {EquivocationJudge} from "../src/EquivocationJudge.sol";
import {IEquivocationJudge} from "../src/IEquivocationJudge.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {SignedStateProof, StateProof, StateProofs} from "../src/StateProofs.sol";
import {ContractKey} from "./support/ContractKey.sol";
import {JudgeFixture} from "./support/JudgeFixture.sol";

/// @notice What is evidence and what is not.
contract EquivocationJudgeTest is JudgeFixture {
    function test_twoFactsForOneSlotJail() public {
        (StateProof memory first, StateProof memory second) = (_proof(1, 7), _proof(1, 8));
        bytes32 slot = StateProofs.slot(first);
        bytes32 id = keccak256(abi.encodePacked(slot, alice.account));
        (SignedStateProof memory a, SignedStateProof memory b) = (_signed(alice, first), _signed(alice, second));
        vm.expectEmit(address(judge));
        emit IEquivocationJudge.EquivocationProven(alice.account, slot, id, alice.signingKey, address(this));
        vm.expectEmit(address(judge));
        emit IEquivocationJudge.TermBegan(alice.account, 1);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorJailed(alice.account, 2);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorDeregistered(alice.account, vm.getBlockNumber(), address(registry));
        judge.judgeStateProofs(alice.account, a, b);

        vm.assertTrue(judge.judged(id));
        vm.assertTrue(registry.jailed(alice.account));
        vm.assertFalse(registry.operatorRegistered(alice.account));
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 1), STAKE);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), 0);
        vm.assertEq(registry.getOperatorSigningKeyAtEpoch(alice.account, 2), address(0));
        vm.assertEq(registry.getOperatorEd25519KeyAtEpoch(alice.account, 2), bytes32(0));
        vm.assertEq(registry.getTotalWeightAtEpoch(2), 2 * STAKE);
        vm.assertEq(vault.frozenSince(alice.account), vm.getBlockNumber());
        vm.assertEq(vault.frozenSince(bob.account), 0);
    }

    function test_timestampsContradictToo() public {
        (StateProof memory first, StateProof memory second) = (_proof(1, 7), _proof(1, 7));
        second.timestamp += 1;
        _judge(alice, second, first);
        vm.assertTrue(registry.jailed(alice.account));
    }

    function test_inTheGracePeriodItCountsOneEpochLater() public {
        _goTo(1, LENGTH - GRACE);
        _judge(alice, _proof(1, 7), _proof(1, 8));
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), STAKE);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 3), 0);
    }

    function test_twoSetsForOneEpochJail() public {
        _goTo(3, 0);
        (EpochUpdate memory a, EpochUpdate memory b) = (_update(2, keccak256("a")), _update(3, keccak256("b")));
        judge.judgeEpochUpdates(alice.account, _signed(alice, a), _signed(alice, b));
        vm.assertTrue(registry.jailed(alice.account));

        (SignedEpochUpdate memory first, SignedEpochUpdate memory second) = (_signed(bob, a), _signed(bob, a));
        vm.expectRevert(IEquivocationJudge.SameFact.selector);
        judge.judgeEpochUpdates(bob.account, first, second);
        b.nextEpoch = 10;
        second = _signed(bob, b);
        vm.expectRevert(IEquivocationJudge.OtherSlot.selector);
        judge.judgeEpochUpdates(bob.account, first, second);
        b.nextEpoch = 9;
        second = _signed(alice, b);
        vm.expectRevert(IEquivocationJudge.InvalidSignature.selector);
        judge.judgeEpochUpdates(bob.account, first, second);
    }

    function test_epochsMayDiffer() public {
        _goTo(5, 0);
        _judge(alice, _proof(2, 7), _proof(4, 8));
        vm.assertTrue(registry.jailed(alice.account));
    }

    function test_whoLeftIsStillJudged() public {
        vm.prank(alice.account);
        registry.deregisterOperator();
        _goTo(3, 0);
        _judge(alice, _proof(1, 7), _proof(1, 8));
        vm.assertTrue(registry.jailed(alice.account));
        _expectRefusal(
            abi.encodeWithSelector(IEquivocationJudge.NotAnOperator.selector, uint32(3)),
            alice,
            _proof(3, 7),
            _proof(1, 9)
        );
    }

    // What is no evidence

    function test_theSameFactInTwoEpochs() public {
        _goTo(5, 0);
        _expectRefusal(_error(IEquivocationJudge.SameFact.selector), alice, _proof(2, 7), _proof(4, 7));
    }

    function test_twoSlots() public {
        StateProof memory other = _proof(1, 8);
        other.blockNumber += 1;
        _expectRefusal(_error(IEquivocationJudge.OtherSlot.selector), alice, _proof(1, 7), other);
        other = _proof(1, 8);
        other.key += 1;
        _expectRefusal(_error(IEquivocationJudge.OtherSlot.selector), alice, _proof(1, 7), other);
        other = _proof(1, 8);
        other.chainId += 1;
        _expectRefusal(_error(IEquivocationJudge.OtherSlot.selector), alice, _proof(1, 7), other);
    }

    function test_signaturesOfAnotherOperator() public {
        (SignedStateProof memory hers, SignedStateProof memory his) = (
            _signed(alice, _proof(1, 7)),
            _signed(bob, _proof(1, 8))
        );
        bytes memory reason = _error(IEquivocationJudge.InvalidSignature.selector);
        _expectRefusal(reason, alice.account, hers, his);
        _expectRefusal(reason, bob.account, hers, his);
    }

    function test_twoKeysAreTwoSigners() public {
        Operator memory renewed = alice;
        renewed.secret = uint256(keccak256("new key"));
        renewed.signingKey = vm.addr(renewed.secret);
        bytes memory keyProof = _signingKeyProof(renewed);
        vm.prank(alice.account);
        registry.updateSigningKey(renewed.signingKey, keyProof);
        _goTo(2, 0);
        bytes memory reason = _error(IEquivocationJudge.OtherKey.selector);
        SignedStateProof memory old = _signed(alice, _proof(1, 7));
        _expectRefusal(reason, alice.account, old, _signed(renewed, _proof(2, 8)));
        // The old key signs nothing for epoch 2.
        _expectRefusal(reason, alice.account, old, _signed(alice, _proof(2, 8)));
    }

    function test_aContractAsKeyIsNeverJudged() public {
        Operator memory op = _operator(9);
        op.signingKey = address(new ContractKey(op.signingKey));
        vault.deposit{value: STAKE}(op.account);
        _register(op);
        _goTo(2, 0);
        _expectRefusal(_error(IEquivocationJudge.InvalidSignature.selector), op, _proof(2, 7), _proof(2, 8));
    }

    function test_epochsThatHaveNotBegun() public {
        _expectRefusal(
            abi.encodeWithSelector(IEquivocationJudge.EpochNotBegun.selector, uint32(2)),
            alice,
            _proof(1, 7),
            _proof(2, 8)
        );
    }

    function test_strangersAndEpochsBeforeTheFirst() public {
        _expectRefusal(
            abi.encodeWithSelector(IEquivocationJudge.NotAnOperator.selector, uint32(1)),
            _operator(77),
            _proof(1, 7),
            _proof(1, 8)
        );
        _expectRefusal(
            abi.encodeWithSelector(IEquivocationJudge.NotAnOperator.selector, uint32(0)),
            alice,
            _proof(0, 7),
            _proof(1, 8)
        );
    }

    function test_theOtherHalfOfTheCurve() public {
        (SignedStateProof memory first, SignedStateProof memory second) = (
            _signed(alice, _proof(1, 7)),
            _signed(alice, _proof(1, 8))
        );
        bytes memory reason = _error(IEquivocationJudge.InvalidSignature.selector);
        bytes memory good = second.signature;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(alice.secret, StateProofs.digest(registry, second.proof));
        second.signature = abi.encodePacked(r, bytes32(SECP256K1_ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        _expectRefusal(reason, alice.account, first, second);
        second.signature = abi.encodePacked(good, uint8(0));
        _expectRefusal(reason, alice.account, first, second);
        second.signature = good;
        judge.judgeStateProofs(alice.account, first, second);
    }

    function test_signaturesForAnotherRegistry() public {
        StakeRegistry other = new StakeRegistry(epochs, vault, MINIMUM);
        StateProof memory proof = _proof(1, 8);
        SignedStateProof memory foreign = SignedStateProof(proof, _sign(alice.secret, StateProofs.digest(other, proof)));
        bytes memory reason = _error(IEquivocationJudge.InvalidSignature.selector);
        _expectRefusal(reason, alice.account, _signed(alice, _proof(1, 7)), foreign);
    }

    /// @dev Whatever is changed in a statement or a signature, it is evidence no more.
    function testFuzz_anyChangeSpoilsIt(bool late, uint8 field, uint32 change, uint8 spot) public {
        SignedStateProof[2] memory pair = [_signed(alice, _proof(1, 7)), _signed(alice, _proof(1, 8))];
        SignedStateProof memory spoilt = pair[late ? 1 : 0];
        if (change == 0) change = 1;
        if (field % 8 == 7) spoilt.signature[spot % 65] ^= bytes1(uint8(change % 255) + 1);
        else _spoil(spoilt.proof, field % 8, change);
        vm.expectRevert();
        judge.judgeStateProofs(alice.account, pair[0], pair[1]);
    }

    function _spoil(StateProof memory proof, uint256 field, uint32 change) private pure {
        if (field == 0) proof.user = address(uint160(proof.user) ^ change);
        if (field == 1) proof.chainId ^= change;
        if (field == 2) proof.blockNumber ^= change;
        if (field == 3) proof.timestamp ^= change;
        if (field == 4) proof.epoch ^= change;
        if (field == 5) proof.key ^= change;
        if (field == 6) proof.value ^= change;
    }

    // Wiring

    function test_theJudgeIsNamedOnceByTheDeployer() public {
        vm.expectRevert(IStakeRegistry.JudgeAlreadySet.selector);
        registry.setJudge(address(judge));
        StakeRegistry fresh = new StakeRegistry(epochs, vault, MINIMUM);
        vm.expectRevert(IStakeRegistry.WrongJudge.selector);
        fresh.setJudge(address(judge));
        EquivocationJudge right = new EquivocationJudge(fresh, decider);
        vm.expectRevert(IStakeRegistry.NotDeployer.selector);
        vm.prank(bob.account);
        fresh.setJudge(address(right));
        vm.expectEmit(address(fresh));
        emit IStakeRegistry.JudgeSet(address(right));
        fresh.setJudge(address(right));
        vm.assertEq(address(judge.vault()), address(vault));
    }

    function test_onlyTheJudgeJails() public {
        vm.expectRevert(IStakeRegistry.NotJudge.selector);
        registry.jail(alice.account);
        vm.expectRevert(IStakeRegistry.NotJudge.selector);
        registry.release(alice.account);
        vm.expectRevert(StakeVault.NotJudge.selector);
        vault.freeze(alice.account);
        vm.expectRevert(StakeVault.NotJudge.selector);
        vault.unfreeze(alice.account, 0);
        vm.startPrank(address(judge));
        vm.expectRevert(StakeVault.NotFrozen.selector);
        vault.unfreeze(alice.account, 0);
        // Said twice it changes nothing.
        vault.freeze(alice.account);
        uint64 since = vault.frozenSince(alice.account);
        vm.roll(vm.getBlockNumber() + 5);
        vault.freeze(alice.account);
        vm.assertEq(vault.frozenSince(alice.account), since);
        vm.expectRevert(StakeVault.TooMuch.selector);
        vault.unfreeze(alice.account, 10_001);
        registry.jail(alice.account);
        registry.jail(alice.account);
        registry.release(alice.account);
        registry.release(alice.account);
        vm.stopPrank();
    }
}
