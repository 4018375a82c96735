// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MemberList} from "../src/MemberList.sol";
import {Vm} from "./support/Vm.sol";

contract MemberListTest {
    using MemberList for MemberList.List;

    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    uint256 internal constant NAMES = 12;

    MemberList.List private _list;
    /// @dev The first epoch that does not count a name any more; what it should be.
    uint32[NAMES] private _leftAt;
    bool[NAMES] private _isIn;

    function test_addsAndRemoves() public {
        vm.assertFalse(_list.contains(_name(0)));
        for (uint256 i; i < 3; ++i) {
            _list.add(_name(i));
        }
        vm.assertEq(_list.members.length, 3);
        _list.remove(_name(0), 2, 0, true);
        vm.assertFalse(_list.contains(_name(0)));
        vm.assertTrue(_list.contains(_name(1)));
        vm.assertTrue(_list.contains(_name(2)));
        vm.assertEq(_list.members.length, 2);
        _list.remove(_name(2), 2, 0, true);
        _list.remove(_name(1), 2, 0, true);
        vm.assertEq(_list.members.length, 0);
        vm.assertEq(_list.candidates().length, 3);
        _list.add(_name(1));
        vm.assertTrue(_list.contains(_name(1)));
        vm.assertEq(_list.candidates().length, 3);
    }

    function test_forgetsWhoCountsInNoEpochOfInterest() public {
        for (uint256 i; i < 3; ++i) {
            _list.add(_name(i));
        }
        _list.remove(_name(0), 5, 0, true);
        _list.remove(_name(1), 6, 0, true);
        // Epoch 4 still counts both, epoch 5 the second one alone.
        _list.remove(_name(2), 9, 4, true);
        vm.assertEq(_list.left.length, 3);
        for (uint256 i; i < 4; ++i) {
            _list.add(_name(9));
            _list.remove(_name(9), 9, 5, true);
        }
        address[] memory all = _list.candidates();
        vm.assertEq(all.length, 3);
        for (uint256 i; i < all.length; ++i) {
            vm.assertTrue(all[i] != _name(0));
        }
    }

    /// @dev One that comes and goes all the time takes one place.
    function test_nobodyIsKeptTwice() public {
        for (uint32 i; i < 50; ++i) {
            _list.add(_name(0));
            _list.remove(_name(0), i, 0, true);
        }
        vm.assertEq(_list.left.length, 1);
        vm.assertEq(_list.left[0].epoch, 49);
    }

    /// @dev However many left at once, removing costs the same.
    function test_costDoesNotGoByHowManyLeft() public {
        for (uint160 i = 1; i <= 300; ++i) {
            _list.add(address(i));
        }
        uint256 most;
        for (uint160 i = 1; i <= 300; ++i) {
            uint256 before = gasleft();
            _list.remove(address(i), 7, i < 200 ? 6 : 7, true);
            uint256 used = before - gasleft();
            if (used > most) most = used;
        }
        vm.assertLt(most, 120_000);
        // From there on two were forgotten for each that left.
        vm.assertLt(_list.left.length, 102);
    }

    /// @dev Against a plain table, with epochs that pass.
    function testFuzz_candidatesAreAllThatMayCount(uint16[64] calldata steps) public {
        uint32 epoch = 2;
        for (uint256 i; i < steps.length; ++i) {
            uint256 who = steps[i] % NAMES;
            epoch += (steps[i] >> 8) % 4 == 0 ? 1 : 0;
            if (_isIn[who]) {
                // As the registry does: changes count from the next epoch on, the one before the present is still of interest.
                _leftAt[who] = epoch + 1;
                _list.remove(_name(who), epoch + 1, epoch - 1, true);
            } else {
                _list.add(_name(who));
            }
            _isIn[who] = !_isIn[who];
            _assertCandidates(epoch - 1);
        }
    }

    function _assertCandidates(uint32 oldest) private view {
        address[] memory all = _list.candidates();
        uint256 members;
        for (uint256 i; i < NAMES; ++i) {
            uint256 count;
            for (uint256 j; j < all.length; ++j) {
                if (all[j] == _name(i)) ++count;
            }
            vm.assertTrue(count <= 1);
            if (_isIn[i] || _leftAt[i] > oldest) vm.assertEq(count, 1);
            if (_isIn[i]) ++members;
            vm.assertTrue(_list.contains(_name(i)) == _isIn[i]);
        }
        vm.assertEq(_list.members.length, members);
    }

    function _name(uint256 i) private pure returns (address) {
        return address(uint160(1000 + i));
    }
}
