// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {Chain, ChainDirectory} from "../src/ChainDirectory.sol";
import {Vm} from "./support/Vm.sol";

contract ChainDirectoryTest {
    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    ChainDirectory internal directory;

    function setUp() public {
        directory = new ChainDirectory(address(this));
    }

    function test_familiesAndWhatIsKnownOfThem() public {
        Chain[3] memory chains = [_evm(), _evm(), _evm()];
        chains[1] = Chain(
            ChainDirectory.Family.Svm,
            ChainDirectory.BlockNumbers.Own,
            keccak256("svm"),
            keccak256("program"),
            0
        );
        chains[2] = Chain(ChainDirectory.Family.Cardano, ChainDirectory.BlockNumbers.Own, keccak256("byron"), 0, 0);
        uint32[3] memory ids = [42_161, type(uint32).max, 1];
        for (uint256 i; i < 3; ++i) {
            vm.expectEmit(address(directory));
            emit ChainDirectory.ChainAdded(ids[i], chains[i]);
            directory.add(ids[i], chains[i]);
        }
        uint32[] memory all = directory.ids();
        vm.assertEq(all.length, 3);
        for (uint256 i; i < 3; ++i) {
            vm.assertEq(all[i], ids[i]);
            vm.assertEq(abi.encode(directory.get(ids[i])), abi.encode(chains[i]));
        }
    }

    function test_entriesAreWrittenOnceAndForEver() public {
        directory.add(5, _evm());
        Chain memory other = _evm();
        other.stateManager = bytes32(uint256(0xbad));
        bytes memory reason = abi.encodeWithSelector(ChainDirectory.AlreadyAdded.selector, uint32(5));
        vm.expectRevert(reason);
        directory.add(5, other);
        vm.expectRevert(reason);
        directory.add(5, _evm());
        // Nor by an owner to come.
        directory.transferOwnership(address(0xbeef));
        vm.startPrank(address(0xbeef));
        directory.acceptOwnership();
        vm.expectRevert(reason);
        directory.add(5, other);
        // And not by none at all.
        directory.renounceOwnership();
        vm.expectRevert();
        directory.add(6, other);
        vm.stopPrank();
        vm.assertEq(abi.encode(directory.get(5)), abi.encode(_evm()));
        vm.assertEq(directory.ids().length, 1);
    }

    function test_onlyTheOwnerAdds() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(0xbeef)));
        vm.prank(address(0xbeef));
        directory.add(5, _evm());
    }

    function test_unknownIds() public {
        vm.expectRevert(abi.encodeWithSelector(ChainDirectory.UnknownChain.selector, uint32(5)));
        directory.get(5);
        vm.expectRevert(abi.encodeWithSelector(ChainDirectory.UnknownChain.selector, uint32(0)));
        directory.get(0);
        vm.assertEq(directory.ids().length, 0);
    }

    function test_refusesWhatIsNoChain() public {
        vm.expectRevert(ChainDirectory.InvalidChain.selector);
        directory.add(0, _evm());
        Chain memory chain = _evm();
        chain.family = ChainDirectory.Family.None;
        vm.expectRevert(ChainDirectory.InvalidChain.selector);
        directory.add(5, chain);
        chain = _evm();
        chain.genesis = 0;
        vm.expectRevert(ChainDirectory.InvalidChain.selector);
        directory.add(5, chain);
        // What was refused leaves no trace.
        directory.add(5, _evm());
        vm.assertEq(directory.ids().length, 1);
    }

    /// @dev Families that this version does not know are no families.
    function test_refusesOtherFamilies() public {
        bytes memory call = abi.encodeCall(directory.add, (5, _evm()));
        // Behind the selector and the id.
        call[4 + 63] = 0x04;
        (bool success, ) = address(directory).call(call);
        vm.assertFalse(success);
        call[4 + 63] = 0x03;
        (success, ) = address(directory).call(call);
        vm.assertTrue(success);
        vm.assertEq(uint256(directory.get(5).family), uint256(ChainDirectory.Family.Cardano));
    }

    function _evm() private pure returns (Chain memory) {
        return
            Chain(
                ChainDirectory.Family.Evm,
                ChainDirectory.BlockNumbers.Parent,
                keccak256("genesis"),
                bytes32(uint256(uint160(0x1234))),
                0
            );
    }
}
