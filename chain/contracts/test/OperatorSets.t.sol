// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {OperatorSet, OperatorSets} from "../src/OperatorSets.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice The library behind calls, so that reverts can be expected.
contract Sets {
    function check(OperatorSet memory set) external pure returns (uint256) {
        return OperatorSets.check(set);
    }

    function hash(OperatorSet memory set) external pure returns (bytes32) {
        return OperatorSets.hash(set, OperatorSets.check(set));
    }
}

contract OperatorSetsTest is Fixture {
    uint256 internal constant MOST = 500;

    Sets internal sets = new Sets();

    function setUp() public override {}

    // Hash

    /// @dev Every shape of the tree that small sets have.
    function test_hashFollowsItsDefinition() public view {
        for (uint256 count = 1; count <= 40; ++count) {
            OperatorSet memory set = _random(count, count);
            vm.assertEq(sets.hash(set), _setHash(set));
        }
    }

    function test_hashOfTheLargestSetFollowsItsDefinition() public view {
        for (uint256 count = MOST - 1; count <= MOST; ++count) {
            OperatorSet memory set = _random(count, count);
            vm.assertEq(sets.hash(set), _setHash(set));
        }
    }

    function testFuzz_hashFollowsItsDefinition(uint256 count, uint256 seed) public view {
        OperatorSet memory set = _random(_bound(count, 1, 80), seed);
        vm.assertEq(sets.hash(set), _setHash(set));
    }

    /// @dev By hand: one leaf, then two under one node.
    function test_hashOfOneAndOfTwo() public view {
        OperatorSet memory set = _random(2, 7);
        bytes32 left = _leaf(set, 0);
        bytes32 right = _leaf(set, 1);
        uint256 total = set.weights[0] + set.weights[1];
        bytes32 root = keccak256(abi.encodePacked(uint8(1), left, right));
        vm.assertEq(sets.hash(set), keccak256(abi.encodePacked(uint32(2), total, root)));

        OperatorSet memory alone = _firstOf(set, 1);
        vm.assertEq(sets.hash(alone), keccak256(abi.encodePacked(uint32(1), set.weights[0], left)));
    }

    /// @dev The last of three is carried up: its place is beside the node of the others, not below one of its own.
    function test_hashOfThree() public view {
        OperatorSet memory set = _random(3, 7);
        bytes32 node = keccak256(abi.encodePacked(uint8(1), _leaf(set, 0), _leaf(set, 1)));
        bytes32 root = keccak256(abi.encodePacked(uint8(1), node, _leaf(set, 2)));
        uint256 total = set.weights[0] + set.weights[1] + set.weights[2];
        vm.assertEq(sets.hash(set), keccak256(abi.encodePacked(uint32(3), total, root)));
    }

    function testFuzz_everyPartIsHashed(uint256 count, uint256 seed, uint256 at, uint256 part, uint96 other) public view {
        OperatorSet memory set = _random(_bound(count, 1, 40), seed);
        bytes32 before = sets.hash(set);
        at = at % set.operators.length;
        if (part % 4 == 0) set.signingKeys[at] = address(uint160(set.signingKeys[at]) ^ 1);
        if (part % 4 == 1) set.weights[at] = set.weights[at] == 1 ? 2 : set.weights[at] - 1;
        if (part % 4 == 2) set.operators[at] = address(uint160(set.operators[at]) + 1);
        if (part % 4 == 3) {
            vm.assume(other > 0 && other != set.weights[at]);
            set.weights[at] = other;
        }
        vm.assertTrue(sets.hash(set) != before);
    }

    /// @dev Members that change their weights among each other leave the total as it was.
    function test_weightsBelongToTheirMembers() public view {
        OperatorSet memory set = _random(5, 1);
        bytes32 before = sets.hash(set);
        (set.weights[1], set.weights[4]) = (set.weights[4], set.weights[1]);
        vm.assertTrue(sets.hash(set) != before);
    }

    function test_hashDoesNotChangeTheSet() public pure {
        OperatorSet memory set = _random(13, 1);
        uint256 total = OperatorSets.check(set);
        bytes memory before = abi.encode(set);
        vm.assertEq(OperatorSets.hash(set, total), OperatorSets.hash(set, total));
        vm.assertEq(abi.encode(set), before);
    }

    // What a set may be

    function test_totals() public view {
        OperatorSet memory set = _random(3, 1);
        (set.weights[0], set.weights[1], set.weights[2]) = (1, 2, 3);
        vm.assertEq(sets.check(set), 6);
        set = _random(MOST, 1);
        for (uint256 i; i < MOST; ++i) {
            set.weights[i] = type(uint96).max;
        }
        vm.assertEq(sets.check(set), MOST * type(uint96).max);
    }

    function test_mostMembers() public {
        vm.assertEq(OperatorSets.MAX_MEMBERS, MOST);
        sets.check(_random(MOST, 1));
        _refuse(_random(MOST + 1, 1), abi.encodeWithSelector(OperatorSets.TooManyMembers.selector));
        _refuse(_random(2 * MOST, 1), abi.encodeWithSelector(OperatorSets.TooManyMembers.selector));
    }

    function test_refusesUnequalLengths() public {
        for (uint256 part; part < 6; ++part) {
            OperatorSet memory set = _random(3, 1);
            if (part == 0) set.operators = new address[](2);
            if (part == 1) set.signingKeys = new address[](2);
            if (part == 2) set.weights = new uint256[](2);
            if (part == 3) set.signingKeys = new address[](4);
            if (part == 4) set.weights = new uint256[](0);
            if (part == 5) set.operators = new address[](0);
            _refuse(set, abi.encodeWithSelector(IQuorumRegistry.LengthMismatch.selector));
        }
    }

    function test_refusesNoMembers() public {
        OperatorSet memory set;
        _refuse(set, abi.encodeWithSelector(IQuorumRegistry.InvalidLength.selector));
    }

    function test_refusesOtherOrders() public {
        bytes memory reason = abi.encodeWithSelector(IQuorumRegistry.NotSorted.selector);
        OperatorSet memory set = _random(3, 1);
        (set.operators[1], set.operators[2]) = (set.operators[2], set.operators[1]);
        _refuse(set, reason);
        set.operators[2] = set.operators[1];
        _refuse(set, reason);
        set = _random(3, 1);
        set.operators[0] = address(0);
        _refuse(set, reason);
    }

    function test_refusesMembersWithoutWeightOrKey() public {
        for (uint256 i; i < 3; ++i) {
            OperatorSet memory set = _random(3, 1);
            set.weights[i] = 0;
            _refuse(set, abi.encodeWithSelector(OperatorSets.ZeroWeight.selector, set.operators[i]));
            set = _random(3, 1);
            set.signingKeys[i] = address(0);
            _refuse(set, abi.encodeWithSelector(OperatorSets.ZeroSigningKey.selector, set.operators[i]));
        }
    }

    /// @dev A larger one would run into the key in its word, and make the sum overflow.
    function test_refusesWeightsThatDoNotFit() public {
        OperatorSet memory set = _random(3, 1);
        bytes memory reason = abi.encodeWithSelector(OperatorSets.WeightTooLarge.selector, set.operators[1]);
        set.weights[1] = type(uint96).max;
        sets.check(set);
        set.weights[1] = 1 << 96;
        _refuse(set, reason);
        set.weights[1] = type(uint256).max;
        _refuse(set, reason);
    }

    function _refuse(OperatorSet memory set, bytes memory reason) private {
        vm.expectRevert(reason);
        sets.check(set);
    }

    function _leaf(OperatorSet memory set, uint256 i) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint8(0), set.operators[i], set.signingKeys[i], set.weights[i]));
    }

    function _firstOf(OperatorSet memory set, uint256 count) private pure returns (OperatorSet memory part) {
        part = OperatorSet(new address[](count), new address[](count), new uint256[](count));
        for (uint256 i; i < count; ++i) {
            part.operators[i] = set.operators[i];
            part.signingKeys[i] = set.signingKeys[i];
            part.weights[i] = set.weights[i];
        }
    }

    /// @dev Ascending, since each one's upper ten bits count.
    function _random(uint256 count, uint256 seed) private pure returns (OperatorSet memory set) {
        set = OperatorSet(new address[](count), new address[](count), new uint256[](count));
        for (uint256 i; i < count; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            set.operators[i] = address(uint160(((i + 1) << 149) | (word >> 108)));
            set.signingKeys[i] = address(uint160(word) | 2);
            set.weights[i] = 1 + ((word >> 96) & 0xffffffffffffffffffffff);
        }
    }
}
