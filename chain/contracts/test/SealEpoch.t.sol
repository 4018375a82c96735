// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochManager} from "../src/EpochManager.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {OperatorSets} from "../src/OperatorSets.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {FakeWeights, Fixture} from "./support/Fixture.sol";

/// @dev Four operators with weights 40, 30, 20 and 10 in account order, from epoch 1 on.
contract SealEpochTest is Fixture {
    uint32 internal constant EPOCH = 1;
    uint256 internal constant CODE_LIMIT = 24_576;

    Operator[] internal ops;

    function setUp() public override {
        super.setUp();
        Operator[] memory made = _operators(4);
        for (uint256 i; i < 4; ++i) {
            ops.push(made[i]);
            _registerWithWeight(made[i], 40 - 10 * i);
        }
    }

    // What is stored

    function test_seals() public {
        vm.assertEq(registry.sealedSet(EPOCH), address(0));
        _goTo(EPOCH, 0);
        registry.sealEpoch(EPOCH, _accounts(ops));

        (address[] memory keys, uint256[] memory sealedWeights) = registry.sealedMembers(EPOCH);
        vm.assertEq(keys.length, 4);
        vm.assertEq(sealedWeights.length, 4);
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(keys[i], ops[i].signingKey);
            vm.assertEq(sealedWeights[i], 40 - 10 * i);
        }
    }

    function test_storesOneWordPerMemberBehindStopAndTotal() public {
        _goTo(EPOCH, 0);
        registry.sealEpoch(EPOCH, _accounts(ops));
        bytes memory expected = abi.encodePacked(hex"00", uint256(100));
        for (uint256 i; i < 4; ++i) {
            expected = abi.encodePacked(expected, ops[i].signingKey, uint96(40 - 10 * i));
        }
        vm.assertEq(registry.sealedSet(EPOCH).code, expected);
    }

    function test_theCodeDoesNothing() public {
        _goTo(EPOCH, 0);
        registry.sealEpoch(EPOCH, _accounts(ops));
        address pointer = registry.sealedSet(EPOCH);
        (bool success, bytes memory answer) = pointer.call(abi.encodePacked(type(uint256).max));
        vm.assertTrue(success);
        vm.assertEq(answer.length, 0);
        vm.assertEq(pointer.code.length, 1 + 5 * 32);
    }

    function test_tellsTheHashOfTheSet() public {
        _goTo(EPOCH, 0);
        uint256[] memory memberWeights = new uint256[](4);
        for (uint256 i; i < 4; ++i) {
            memberWeights[i] = 40 - 10 * i;
        }
        bytes32 hash = _setHash(_set(ops, memberWeights));
        registry.sealEpoch(EPOCH, _accounts(ops));
        address pointer = registry.sealedSet(EPOCH);

        // The same content has the same address, so the next event is known.
        _goTo(EPOCH + 1, 0);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.EpochSealed(EPOCH + 1, hash, pointer);
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
    }

    function test_equalSetsShareTheirCode() public {
        _goTo(EPOCH, 0);
        registry.sealEpoch(EPOCH, _accounts(ops));
        _setWeight(ops[0], 41);
        _goTo(EPOCH + 1, 0);
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
        _setWeight(ops[0], 40);
        _goTo(EPOCH + 2, 0);
        registry.sealEpoch(EPOCH + 2, _accounts(ops));
        vm.assertEq(registry.sealedSet(EPOCH + 2), registry.sealedSet(EPOCH));
        vm.assertTrue(registry.sealedSet(EPOCH + 1) != registry.sealedSet(EPOCH));
    }

    /// @dev Each registry owns its code, so nobody can be there first.
    function test_registriesDoNotShareTheirCode() public {
        _goTo(EPOCH, 0);
        registry.sealEpoch(EPOCH, _accounts(ops));
        address pointer = registry.sealedSet(EPOCH);
        _deploy(0);
        for (uint256 i; i < 4; ++i) {
            _registerWithWeight(ops[i], 40 - 10 * i);
        }
        _goTo(EPOCH, 0);
        registry.sealEpoch(EPOCH, _accounts(ops));
        vm.assertEq(registry.sealedSet(EPOCH).code, pointer.code);
        vm.assertTrue(registry.sealedSet(EPOCH) != pointer);
    }

    function test_anybodySeals() public {
        _goTo(EPOCH, 0);
        vm.prank(address(0xbeef));
        registry.sealEpoch(EPOCH, _accounts(ops));
        vm.assertTrue(registry.sealedSet(EPOCH) != address(0));
    }

    function test_sealsLater() public {
        vm.prank(ops[3].account);
        registry.deregisterOperator(); // in epoch 0, so never in a set
        _goTo(EPOCH, 0);
        _setWeight(ops[0], 400);
        vm.prank(ops[1].account);
        registry.deregisterOperator();
        _goTo(EPOCH + 7, 0);
        registry.sealEpoch(EPOCH, _accounts(_first(ops, 3)));
        (address[] memory keys, uint256[] memory sealedWeights) = registry.sealedMembers(EPOCH);
        vm.assertEq(keys[1], ops[1].signingKey);
        vm.assertEq(sealedWeights[0], 40);
    }

    function test_weightsBeyondTheLargestAreSealedAsTheLargest() public {
        uint256 largest = ((1 << 56) - 1) << 40;
        _setWeight(ops[0], type(uint256).max);
        _setWeight(ops[1], type(uint96).max);
        _goTo(EPOCH, 0);
        registry.sealEpoch(EPOCH, _accounts(ops));
        (address[] memory keys, uint256[] memory sealedWeights) = registry.sealedMembers(EPOCH);
        vm.assertEq(keys[0], ops[0].signingKey);
        vm.assertEq(sealedWeights[0], largest);
        vm.assertEq(keys[1], ops[1].signingKey);
        vm.assertEq(sealedWeights[1], largest);
        bytes32 digest = keccak256("digest");
        registry.isValidSignature(digest, _compact(ops, 3, digest, EPOCH));
        registry.isValidSignature(digest, _certificate(ops, digest, EPOCH));
    }

    function test_limitFitsIntoCode() public pure {
        vm.assertEq(OperatorSets.MAX_MEMBERS, 500);
        vm.assertLt(1 + 32 + OperatorSets.MAX_MEMBERS * 32, CODE_LIMIT + 1);
    }

    // When

    function test_refusesWhileTheSetCanChange() public {
        _goTo(EPOCH + 1, LENGTH - GRACE - 1);
        _refuse(EPOCH + 2, ops, abi.encodeWithSelector(IStakeRegistry.SetNotFinal.selector, EPOCH + 2));
        _goTo(EPOCH + 1, LENGTH - GRACE);
        registry.sealEpoch(EPOCH + 2, _accounts(ops));
        _refuse(EPOCH + 3, ops, abi.encodeWithSelector(IStakeRegistry.SetNotFinal.selector, EPOCH + 3));
        _refuse(type(uint32).max, ops, abi.encodeWithSelector(IStakeRegistry.SetNotFinal.selector, type(uint32).max));
    }

    function test_nothingChangesASealedSet() public {
        _goTo(EPOCH, LENGTH - GRACE);
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
        _setWeight(ops[0], 400);
        vm.prank(ops[1].account);
        registry.deregisterOperator();
        _goTo(EPOCH + 1, 0);
        (address[] memory keys, uint256[] memory sealedWeights) = registry.sealedMembers(EPOCH + 1);
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(registry.getOperatorSigningKeyAtEpoch(ops[i].account, EPOCH + 1), keys[i]);
            vm.assertEq(registry.getOperatorWeightAtEpoch(ops[i].account, EPOCH + 1), sealedWeights[i]);
        }
        vm.assertEq(registry.getTotalWeightAtEpoch(EPOCH + 1), 100);
    }

    function test_withoutGraceTheEpochMustHaveBegun() public {
        _goTo(0, 0);
        epochs = new EpochManager(LENGTH, 0);
        weights = new FakeWeights(_afterNext(), REACH, REACH * BLOCK_SECONDS, 0);
        registry = new StakeRegistry(epochs, weights, MINIMUM, decider, directory);
        for (uint256 i; i < 4; ++i) {
            _registerWithWeight(ops[i], 40 - 10 * i);
        }
        _goTo(EPOCH, LENGTH - 1);
        _refuse(EPOCH + 1, ops, abi.encodeWithSelector(IStakeRegistry.SetNotFinal.selector, EPOCH + 1));
        _goTo(EPOCH + 1, 0);
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
    }

    function test_refusesTwice() public {
        _goTo(EPOCH, 0);
        registry.sealEpoch(EPOCH, _accounts(ops));
        _refuse(EPOCH, ops, abi.encodeWithSelector(IStakeRegistry.AlreadySealed.selector, EPOCH));
    }

    // Who

    function test_refusesIncompleteSets() public {
        _goTo(EPOCH, 0);
        for (uint256 missing; missing < 4; ++missing) {
            Operator[] memory part = _chosen(ops, 0xf ^ (1 << missing));
            _refuse(EPOCH, part, abi.encodeWithSelector(IStakeRegistry.IncompleteSet.selector));
        }
    }

    function test_refusesStrangers() public {
        Operator memory stranger = _operator(1234);
        Operator[] memory more = _with(stranger);
        _goTo(EPOCH, 0);
        _refuse(EPOCH, more, abi.encodeWithSelector(OperatorSets.ZeroWeight.selector, stranger.account));
    }

    function test_refusesOperatorsWithoutWeight() public {
        _setWeight(ops[2], MINIMUM - 1);
        _goTo(EPOCH, 0);
        _refuse(EPOCH, ops, abi.encodeWithSelector(OperatorSets.ZeroWeight.selector, ops[2].account));
        registry.sealEpoch(EPOCH, _accounts(_chosen(ops, 0xb)));
    }

    function test_refusesOperatorsOfOtherEpochs() public {
        Operator memory late = _operator(1234);
        _goTo(EPOCH, 0);
        _registerWithWeight(late, 10);
        _goTo(EPOCH + 1, 0);
        Operator[] memory more = _with(late);
        _refuse(EPOCH, more, abi.encodeWithSelector(OperatorSets.ZeroWeight.selector, late.account));
        registry.sealEpoch(EPOCH, _accounts(ops));
        registry.sealEpoch(EPOCH + 1, _accounts(more));
    }

    function test_refusesOtherOrders() public {
        _goTo(EPOCH, 0);
        Operator[] memory swapped = ops;
        (swapped[2], swapped[3]) = (swapped[3], swapped[2]);
        _refuse(EPOCH, swapped, abi.encodeWithSelector(IQuorumRegistry.NotSorted.selector));
    }

    /// @dev Also where the sum is right: 30 + 30 + 40 for 40 + 30 + 20 + 10.
    function test_refusesDuplicates() public {
        _goTo(EPOCH, 0);
        Operator[] memory twice = _first(ops, 3);
        (twice[1], twice[2]) = (ops[1], ops[1]);
        _refuse(EPOCH, twice, abi.encodeWithSelector(IQuorumRegistry.NotSorted.selector));
    }

    function test_refusesEmptySets() public {
        _goTo(EPOCH, 0);
        Operator[] memory nobody;
        _refuse(EPOCH, nobody, abi.encodeWithSelector(IQuorumRegistry.InvalidLength.selector));
        _refuse(0, nobody, abi.encodeWithSelector(IQuorumRegistry.InvalidLength.selector));
        _refuse(0, ops, abi.encodeWithSelector(OperatorSets.ZeroWeight.selector, ops[0].account));
    }

    function test_refusesTooManyMembers() public {
        _goTo(EPOCH, 0);
        address[] memory many = new address[](OperatorSets.MAX_MEMBERS + 1);
        vm.expectRevert(OperatorSets.TooManyMembers.selector);
        registry.sealEpoch(EPOCH, many);
    }

    function test_membersOfUnsealedSets() public {
        vm.expectRevert(abi.encodeWithSelector(IQuorumRegistry.SetNotSealed.selector, EPOCH));
        registry.sealedMembers(EPOCH);
    }

    function testFuzz_onlyTheWholeSetIsSealed(uint8 named, uint16[4] calldata raw) public {
        uint256 members;
        for (uint256 i; i < 4; ++i) {
            uint256 weight = raw[i] % 3 == 0 ? 0 : uint256(raw[i]) + MINIMUM;
            _setWeight(ops[i], weight);
            if (weight != 0) members |= 1 << i;
        }
        vm.assume(members != 0);
        _goTo(EPOCH, 0);
        address[] memory accounts = _accounts(_chosen(ops, named % 16));
        (bool success, ) = address(registry).call(abi.encodeCall(registry.sealEpoch, (EPOCH, accounts)));
        vm.assertTrue(success == (named % 16 == members));
    }

    function _refuse(uint32 epoch, Operator[] memory named, bytes memory reason) private {
        vm.expectRevert(reason);
        registry.sealEpoch(epoch, _accounts(named));
    }

    /// @dev All and one more, in order.
    function _with(Operator memory added) private view returns (Operator[] memory more) {
        more = new Operator[](5);
        uint256 place = 4;
        for (uint256 i; i < 4; ++i) {
            more[i] = ops[i];
        }
        for (; place > 0 && more[place - 1].account > added.account; --place) {
            more[place] = more[place - 1];
        }
        more[place] = added;
    }
}
