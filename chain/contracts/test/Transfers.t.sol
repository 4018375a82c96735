// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Attestations} from "../src/Attestations.sol";
import {Bridge} from "../src/Bridge.sol";
import {BridgeToken, Mode} from "../src/BridgeTokens.sol";
import {Home, LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {OperatorSet} from "../src/OperatorSets.sol";
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
/// made by these libraries, but by hand from the definitions. The certificates are by the set of the vectors of a
/// hand-over.
contract TransfersTest is Fixture {
    /// @dev Whose second contract has the address of the vectors' bridge.
    address internal constant DEPLOYER = 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266;

    string internal json;
    string internal sets;

    function setUp() public override {
        json = vm.readFile("test/vectors/transfers.json");
        sets = vm.readFile("test/vectors/epoch-update.json");
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

    function test_certificates() public view {
        string[2] memory names = [".transfer", ".pause"];
        string[2] memory places = [".transfers[0]", ".pauses[0]"];
        for (uint256 i; i < 2; ++i) {
            bytes memory certificate = _compact(_members(), _signers(), _word(places[i], ".digest"), _epoch());
            vm.assertEq(certificate, _certificateOf(names[i]));
        }
    }

    function test_theVectorIsPaid() public {
        Bridge bridge = _vectorBridge();
        Transfer memory transfer = _transfer(".transfers[0]");
        bridge.deliver(transfer, _certificateOf(".transfer"));
        vm.assertEq(address(bytes20(transfer.receiver)).balance, transfer.amount);
        bridge.setPaused(
            true,
            uint64(_number(".pauses[0]", ".sequence")),
            uint64(_number(".pauses[0]", ".time")),
            _certificateOf(".pause")
        );
        vm.assertTrue(bridge.paused());
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

    /// @dev Pays native coin for the token of the first transfer.
    function _vectorBridge() private returns (Bridge bridge) {
        LightStakeRegistry light = _vectorRegistry();
        Transfer memory transfer = _transfer(".transfers[0]");
        vm.startPrank(DEPLOYER);
        new Bridge(light, DEPLOYER, DEPLOYER, 0, 0);
        bridge = new Bridge(light, DEPLOYER, DEPLOYER, 0, 0);
        vm.assertEq(bytes32(uint256(uint160(address(bridge)))), transfer.targetContract);
        BridgeToken memory coin = BridgeToken(
            transfer.sourceChain,
            transfer.sourceContract,
            transfer.token,
            address(0),
            Mode.Lock,
            1,
            uint104(transfer.amount),
            uint104(transfer.amount)
        );
        bridge.announceToken(coin);
        bridge.setToken(coin);
        vm.deal(DEPLOYER, transfer.amount);
        bytes32 id = bridge.idOf(transfer.sourceChain, transfer.sourceContract, transfer.token);
        bridge.fund{value: transfer.amount}(id, transfer.amount);
        vm.stopPrank();
    }

    function _vectorRegistry() private returns (LightStakeRegistry) {
        uint64 time = uint64(vm.parseJsonUint(sets, ".set.time"));
        vm.warp(time);
        Home memory home = Home(
            uint64(vm.parseJsonUint(json, ".homeChainId")),
            vm.parseJsonAddress(json, ".homeRegistry"),
            2 days,
            address(0),
            0
        );
        OperatorSet memory set = _set(_members(), vm.parseJsonUintArray(sets, ".set.weights"));
        return _deployLight(home, _epoch(), time, set);
    }

    function _members() private view returns (Operator[] memory members) {
        address[] memory accounts = vm.parseJsonAddressArray(sets, ".set.operators");
        uint256[] memory secrets = vm.parseJsonUintArray(sets, ".set.secrets");
        members = new Operator[](accounts.length);
        for (uint256 i; i < accounts.length; ++i) {
            members[i] = Operator(accounts[i], secrets[i], vm.addr(secrets[i]));
        }
    }

    /// @dev As a number with a bit for each.
    function _signers() private view returns (uint256 bits) {
        uint256[] memory indices = vm.parseJsonUintArray(sets, ".signers");
        for (uint256 i; i < indices.length; ++i) bits |= 1 << indices[i];
    }

    function _certificateOf(string memory name) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, string.concat(".certificates", name));
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
