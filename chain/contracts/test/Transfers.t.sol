// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Attestations} from "../src/Attestations.sol";
import {
    BridgePause,
    BridgePauses,
    Transfer,
    TransferClosed,
    TransferClosings,
    Transfers
} from "../src/Transfers.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice Slots, facts, digests and task ids in bytes that other implementations are held to as well. The file was not
/// made by these libraries, but by hand from the definitions.
contract TransfersTest is Fixture {
    string internal json;

    function setUp() public override {
        json = vm.readFile("test/vectors/transfers.json");
    }

    function test_transfers() public view {
        string[2] memory places = [".transfers[0]", ".transfers[1]"];
        for (uint256 i; i < 2; ++i) {
            Transfer memory transfer = _transfer(places[i]);
            vm.assertEq(Transfers.route(transfer), _word(places[i], ".route"));
            vm.assertEq(Transfers.taskId(transfer, _epoch()), _word(places[i], ".taskId"));
            _check(places[i], Transfers.slot(transfer), Transfers.fact(transfer));
        }
    }

    function test_closings() public view {
        string[2] memory places = [".closed[0]", ".closed[1]"];
        for (uint256 i; i < 2; ++i) {
            TransferClosed memory closed = TransferClosed(
                _word(places[i], ".route"),
                uint64(_number(places[i], ".nonce")),
                uint64(_number(places[i], ".time"))
            );
            vm.assertEq(TransferClosings.taskId(closed, _epoch()), _word(places[i], ".taskId"));
            _check(places[i], TransferClosings.slot(closed), TransferClosings.fact(closed));
        }
    }

    function test_pauses() public view {
        string[2] memory places = [".pauses[0]", ".pauses[1]"];
        for (uint256 i; i < 2; ++i) {
            BridgePause memory vote = BridgePause(
                uint64(_number(places[i], ".chain")),
                _word(places[i], ".bridge"),
                uint64(_number(places[i], ".sequence")),
                i == 0,
                uint64(_number(places[i], ".time"))
            );
            vm.assertEq(BridgePauses.taskId(vote, _epoch()), _word(places[i], ".taskId"));
            _check(places[i], BridgePauses.slot(vote), BridgePauses.fact(vote));
        }
    }

    /// @dev Whatever differs, differs in the fact; what is asked, in the slot as well.
    function testFuzz_everyFieldCounts(Transfer memory transfer, uint8 field) public pure {
        bytes32 slot = Transfers.slot(transfer);
        bytes32 fact = Transfers.fact(transfer);
        field %= 10;
        unchecked {
            if (field == 0) transfer.sourceChain += 1 << 40;
            if (field == 1) transfer.sourceContract ^= bytes32(uint256(1));
            if (field == 2) transfer.targetChain += 1 << 40;
            if (field == 3) transfer.targetContract ^= bytes32(uint256(1));
            if (field == 4) transfer.nonce += 1 << 40;
            if (field == 5) transfer.sender ^= bytes32(uint256(1));
            if (field == 6) transfer.receiver = abi.encodePacked(transfer.receiver, uint8(0));
            if (field == 7) transfer.token ^= bytes32(uint256(1));
            if (field == 8) transfer.amount += 1 << 130;
            if (field == 9) transfer.deadline += 1 << 40;
        }
        vm.assertTrue(Transfers.fact(transfer) != fact);
        vm.assertTrue((Transfers.slot(transfer) != slot) == (field < 5));
    }

    function _check(string memory place, bytes32 slot, bytes32 fact) private view {
        vm.assertEq(slot, _word(place, ".slot"));
        vm.assertEq(fact, _word(place, ".fact"));
        bytes32 digest = Attestations.digest(vm.parseJsonBytes32(json, ".domainSeparator"), _epoch(), slot, fact);
        vm.assertEq(digest, _word(place, ".digest"));
    }

    function _transfer(string memory place) private view returns (Transfer memory transfer) {
        transfer.sourceChain = uint64(_number(place, ".sourceChain"));
        transfer.sourceContract = _word(place, ".sourceContract");
        transfer.targetChain = uint64(_number(place, ".targetChain"));
        transfer.targetContract = _word(place, ".targetContract");
        transfer.nonce = uint64(_number(place, ".nonce"));
        transfer.sender = _word(place, ".sender");
        transfer.receiver = vm.parseJsonBytes(json, string.concat(place, ".receiver"));
        transfer.token = _word(place, ".token");
        transfer.amount = uint256(_word(place, ".amount"));
        transfer.deadline = uint64(_number(place, ".deadline"));
    }

    function _epoch() private view returns (uint32) {
        return uint32(vm.parseJsonUint(json, ".epoch"));
    }

    function _number(string memory place, string memory name) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(place, name));
    }

    function _word(string memory place, string memory name) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(place, name));
    }
}
