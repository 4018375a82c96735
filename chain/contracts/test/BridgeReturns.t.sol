// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IBridge} from "../src/IBridge.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {Transfer, Transfers} from "../src/Transfers.sol";
import {BridgeFixture} from "./support/BridgeFixture.sol";

/// @notice What is sent, and what is given back.
contract BridgeReturnsTest is BridgeFixture {
    bytes internal constant TO = "somebody";

    // What is sent

    function test_sendsTokens() public {
        Transfer memory transfer = _outgoing(address(token), 4_200, UNIT);
        uint256 before = token.balanceOf(USER);
        vm.expectEmit(address(bridge));
        emit IBridge.TransferSent(
            routeOut,
            3,
            _padded(USER),
            PEER_CHAIN,
            PEER,
            transfer.receiver,
            _padded(address(token)),
            42,
            transfer.deadline
        );
        _sendToken(4_200);
        vm.assertEq(before - token.balanceOf(USER), 4_200);
        vm.assertEq(_balanceOf(tokenId), LOCKED + 4_200);
        vm.assertEq(bridge.sentFact(routeOut, 3), Transfers.fact(transfer));
    }

    /// @dev The event has all that is signed but this chain and contract.
    function test_sendsCoin() public {
        Transfer memory transfer = _send(address(0), 5e9, COIN_UNIT);
        vm.assertEq(transfer.amount, 5);
        vm.assertEq(bridge.sentFact(routeOut, 3), Transfers.fact(transfer));
        vm.assertEq(_balanceOf(bridge.idOf(PEER_CHAIN, PEER, PEER_COIN)), 200 ether + 5e9);
    }

    function test_routesCountForThemselves() public {
        vm.startPrank(USER);
        vm.assertEq(bridge.send(PEER_CHAIN, PEER, address(token), UNIT, TO, _deadline()), 3);
        vm.assertEq(bridge.send(PEER_CHAIN, OTHER_PEER, address(token), UNIT, TO, _deadline()), 3);
        vm.assertEq(bridge.send(PEER_CHAIN, PEER, address(token), UNIT, TO, _deadline()), 4);
        vm.stopPrank();
        vm.assertEq(bridge.sentCount(routeOut), 4);
        vm.assertEq(bridge.sentFact(routeOut, 5), bytes32(0));
    }

    function test_takesNoDust() public {
        uint256[4] memory amounts = [uint256(0), UNIT - 1, UNIT + 1, 10 * uint256(UNIT) + 99];
        for (uint256 i; i < amounts.length; ++i) {
            _refuse(address(token), amounts[i], TO, _deadline(), _error(IBridge.InvalidAmount.selector, UNIT));
        }
    }

    function test_takesReceiversOfOneTo64Bytes() public {
        _refuse(address(token), UNIT, "", _deadline(), _error(IBridge.InvalidReceiver.selector));
        _refuse(address(token), UNIT, new bytes(65), _deadline(), _error(IBridge.InvalidReceiver.selector));
        vm.startPrank(USER);
        bridge.send(PEER_CHAIN, PEER, address(token), UNIT, new bytes(64), _deadline());
        bridge.send(PEER_CHAIN, PEER, address(token), UNIT, new bytes(1), _deadline());
    }

    function test_takesDeadlinesOfAnHourToAWeek() public {
        uint64 earliest = uint64(block.timestamp) + 1 hours;
        uint64 latest = uint64(block.timestamp) + 7 days;
        bytes memory reason = abi.encodeWithSelector(IBridge.InvalidDeadline.selector, earliest, latest);
        _refuse(address(token), UNIT, TO, earliest - 1, reason);
        _refuse(address(token), UNIT, TO, latest + 1, reason);
        _refuse(address(token), UNIT, TO, type(uint64).max, reason);
        vm.startPrank(USER);
        bridge.send(PEER_CHAIN, PEER, address(token), UNIT, TO, earliest);
        bridge.send(PEER_CHAIN, PEER, address(token), UNIT, TO, latest);
    }

    function test_takesExactValue() public {
        bytes memory reason = _error(IBridge.WrongValue.selector);
        vm.startPrank(USER);
        vm.expectRevert(reason);
        bridge.send{value: 2e9}(PEER_CHAIN, PEER, address(0), 1e9, TO, _deadline());
        vm.expectRevert(reason);
        bridge.send(PEER_CHAIN, PEER, address(0), 1e9, TO, _deadline());
        vm.expectRevert(reason);
        bridge.send{value: 1}(PEER_CHAIN, PEER, address(token), UNIT, TO, _deadline());
        vm.expectRevert(reason);
        bridge.fund{value: 1}(tokenId, UNIT);
    }

    function test_sendsOnlyToKnownPeers() public {
        vm.startPrank(USER);
        vm.expectRevert(abi.encodeWithSelector(IBridge.UnknownToken.selector, bytes32(0)));
        bridge.send(PEER_CHAIN, keccak256("nobody"), address(token), UNIT, TO, _deadline());
        vm.expectRevert(abi.encodeWithSelector(IBridge.UnknownToken.selector, bytes32(0)));
        bridge.send(PEER_CHAIN + 1, PEER, address(token), UNIT, TO, _deadline());
        vm.expectRevert(abi.encodeWithSelector(IBridge.UnknownToken.selector, bytes32(0)));
        bridge.send(PEER_CHAIN, PEER, address(registry), UNIT, TO, _deadline());
    }

    function test_countsOnlyWhatFits() public {
        uint256 most = type(uint112).max - (type(uint112).max % UNIT);
        token.make(USER, 2 * most);
        _refuse(address(token), most + UNIT, TO, _deadline(), _error(IBridge.InvalidAmount.selector, UNIT));
        // Nor can there be more of it in all.
        uint256 sum = LOCKED + most;
        bytes memory reason = abi.encodeWithSelector(
            SafeCast.SafeCastOverflowedUintDowncast.selector,
            uint8(112),
            sum
        );
        _refuse(address(token), most, TO, _deadline(), reason);
        _sendToken(most - LOCKED);
    }

    // What is given back

    function test_refundsTheSender() public {
        Transfer memory transfer = _sendToken(4_200);
        uint256 before = token.balanceOf(USER);
        bytes memory certificate = _certifyClosing(transfer, 9);
        vm.expectEmit(address(bridge));
        emit IBridge.TransferRefunded(routeOut, 3, USER, address(token), 4_200);
        vm.prank(address(0x5a));
        bridge.refund(transfer, 9, certificate);
        vm.assertEq(token.balanceOf(USER) - before, 4_200);
        vm.assertEq(_balanceOf(tokenId), LOCKED);
        vm.assertEq(bridge.sentFact(routeOut, 3), bytes32(0));
    }

    function test_refundsCoin() public {
        Transfer memory transfer = _send(address(0), 1 ether, COIN_UNIT);
        uint256 before = USER.balance;
        _refund(transfer, 9);
        vm.assertEq(USER.balance - before, 1 ether);
    }

    function test_refundsByMinting() public {
        Transfer memory arrived = _incoming(1, PEER_NATIVE, 77);
        arrived.receiver = abi.encodePacked(USER);
        _deliver(arrived);
        Transfer memory transfer = _send(address(minted), 70, 1);
        vm.assertEq(minted.totalSupply(), 7);
        _refund(transfer, 9);
        vm.assertEq(minted.balanceOf(USER), 77);
        vm.assertEq(_balanceOf(bridge.idOf(PEER_CHAIN, PEER, PEER_NATIVE)), 77);
    }

    function test_refundsOnce() public {
        Transfer memory transfer = _sendToken(4_200);
        _refund(transfer, 9);
        _refuseRefund(transfer, 9, _certifyClosing(transfer, 9), _error(IBridge.NotSent.selector));
        // Nor by another time, were it certified.
        _refuseRefund(transfer, 10, _certifyClosing(transfer, 10), _error(IBridge.NotSent.selector));
    }

    function test_refundsByTheCertifiedTimeOnly() public {
        Transfer memory transfer = _sendToken(4_200);
        bytes memory certificate = _certifyClosing(transfer, 9);
        _refuseRefund(transfer, 10, certificate, _error(IQuorumRegistry.InvalidSignature.selector));
        _refuseRefund(transfer, 8, certificate, _error(IQuorumRegistry.InvalidSignature.selector));
        bridge.refund(transfer, 9, certificate);
    }

    /// @dev Before the target said so, nobody has anything back: also long after the deadline.
    function test_refundsNothingThatIsNotClosed() public {
        Transfer memory transfer = _sendToken(4_200);
        _pass(30 days);
        _refuseRefund(transfer, 0, _certify(transfer), _error(IQuorumRegistry.InvalidSignature.selector));
        bytes memory other = _certifyClosing(_sendToken(4_200), 9);
        _refuseRefund(transfer, 9, other, _error(IQuorumRegistry.InvalidSignature.selector));
    }

    function test_refundsOnlyWhatWasSent() public {
        Transfer memory sent = _sendToken(4_200);
        for (uint256 field; field < 8; ++field) {
            Transfer memory other = abi.decode(abi.encode(sent), (Transfer));
            if (field == 0) other.targetChain += 1;
            if (field == 1) other.targetContract = OTHER_PEER;
            if (field == 2) other.nonce += 1;
            if (field == 3) other.sender = _padded(address(this));
            if (field == 4) other.receiver = "other";
            if (field == 5) other.token = 0;
            if (field == 6) other.amount += 1;
            if (field == 7) other.deadline += 1;
            _refuseRefund(other, 9, _certifyClosing(other, 9), _error(IBridge.NotSent.selector));
        }
        _refund(sent, 9);
    }

    function test_refundsOnlyWhatWasSentFromHere() public {
        Transfer memory transfer = _sendToken(4_200);
        transfer.sourceContract = PEER;
        _refuseRefund(transfer, 9, _certifyClosing(transfer, 9), _error(IBridge.OtherSource.selector));
        transfer.sourceContract = _padded(address(bridge));
        transfer.sourceChain += 1;
        _refuseRefund(transfer, 9, _certifyClosing(transfer, 9), _error(IBridge.OtherSource.selector));
    }

    function test_refundsByLivingCertificatesOnly() public {
        Transfer memory transfer = _sendToken(4_200);
        bytes memory certificate = _certifyClosing(transfer, 9);
        vm.roll(_fixedBlock(EPOCH) + LIFETIME + 1);
        _refuseRefund(transfer, 9, certificate, _error(IQuorumRegistry.CertificateExpired.selector, EPOCH));
    }

    function _refuse(
        address local,
        uint256 amount,
        bytes memory receiver,
        uint64 deadline,
        bytes memory reason
    ) private {
        vm.expectRevert(reason);
        vm.prank(USER);
        bridge.send(PEER_CHAIN, PEER, local, amount, receiver, deadline);
    }

    function _refuseRefund(
        Transfer memory transfer,
        uint64 time,
        bytes memory certificate,
        bytes memory reason
    ) private {
        vm.expectRevert(reason);
        bridge.refund(transfer, time, certificate);
    }
}
