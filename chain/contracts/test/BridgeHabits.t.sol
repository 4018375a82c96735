// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IBridge} from "../src/IBridge.sol";
import {Transfer} from "../src/Transfers.sol";
import {BridgeFixture} from "./support/BridgeFixture.sol";
import {FakeToken, Hook} from "./support/FakeTokens.sol";

/// @notice Tokens and receivers that fail, take fees or call back.
contract BridgeHabitsTest is BridgeFixture {
    Hook internal hook;

    function setUp() public override {
        super.setUp();
        hook = new Hook();
    }

    // Tokens that do not move what they should

    function test_refusesTokensThatTakeAFee() public {
        token.setFee(1);
        bytes memory reason = _error(IBridge.ReceivedLess.selector, 4_158);
        _refuseToSend(reason);
        vm.expectRevert(reason);
        vm.prank(USER);
        bridge.fund(tokenId, 4_200);
        token.setFee(0);
        _sendToken(4_200);
    }

    function test_takesNoFalseForAnAnswer() public {
        Transfer memory sent = _sendToken(4_200);
        token.setReturnsFalse(true);
        bytes memory reason = abi.encodeWithSelector(
            SafeERC20.SafeERC20FailedOperation.selector,
            address(token)
        );
        _refuseToSend(reason);
        _refuseDelivery(_incoming(1), reason);
        _refuseToRefund(sent, reason);
        token.setReturnsFalse(false);
        _deliver(_incoming(1));
        _refund(sent, 9);
    }

    /// @dev Nothing has happened then: the number is open, nothing is counted.
    function test_revertsWithTheToken() public {
        Transfer memory sent = _sendToken(4_200);
        Transfer memory large = _incoming(2, PEER_TOKEN, 2_000);
        _deliver(large);
        _pass(LIMIT_DELAY);
        uint256 held = _balanceOf(tokenId);
        token.setReverts(true);
        bytes memory reason = _error(FakeToken.Refused.selector);
        _refuseToSend(reason);
        _refuseDelivery(_incoming(1), reason);
        vm.expectRevert(reason);
        bridge.release(large);
        _refuseToRefund(sent, reason);
        vm.assertEq(_balanceOf(tokenId), held);
        vm.assertEq(bridge.roomOf(tokenId), PER_WINDOW);
        vm.assertEq(bridge.sentCount(routeOut), 3);
        _assertStatus(1, IBridge.Status.Open);
        _assertStatus(2, IBridge.Status.Queued);
        token.setReverts(false);
        _deliver(_incoming(1));
        bridge.release(large);
        _refund(sent, 9);
    }

    /// @dev As with one that its issuer takes out of the bridge: who comes first is paid, the others may come again.
    function test_paysNothingThatIsNotThere() public {
        token.seize(address(bridge), 2 * LOCKED - 150_000);
        _deliver(_incoming(1));
        bytes memory reason = abi.encodeWithSelector(
            IERC20Errors.ERC20InsufficientBalance.selector,
            address(bridge),
            50_000,
            100_000
        );
        _refuseDelivery(_incoming(2), reason);
        _assertStatus(2, IBridge.Status.Open);
        token.make(address(bridge), 50_000);
        _deliver(_incoming(2));
    }

    // Receivers

    function test_receiversMayRefuseCoin() public {
        hook.setRefuses(true);
        Transfer memory transfer = _toHook(1);
        _refuseDelivery(transfer, _error(Hook.NoCoin.selector));
        _assertStatus(1, IBridge.Status.Open);
        hook.setRefuses(false);
        _deliver(transfer);
        vm.assertEq(address(hook).balance, 1 ether);
        // Or they give it up.
        hook.setRefuses(true);
        transfer = _toHook(2);
        bytes memory data = abi.encodeCall(bridge.close, (transfer, _certify(transfer)));
        hook.act(address(bridge), 0, data);
        _assertStatus(2, IBridge.Status.Closed);
    }

    function test_sendersMayRefuseCoin() public {
        vm.deal(address(hook), 1 ether);
        bytes memory data = abi.encodeCall(bridge.send, (PEER_CHAIN, PEER, address(0), 1 ether, "x", _deadline()));
        hook.act(address(bridge), 1 ether, data);
        Transfer memory sent = _outgoing(address(0), 1 ether, COIN_UNIT);
        (sent.nonce, sent.sender, sent.receiver) = (3, _padded(address(hook)), "x");
        hook.setRefuses(true);
        _refuseToRefund(sent, _error(Hook.NoCoin.selector));
        hook.setRefuses(false);
        _refund(sent, 9);
        vm.assertEq(address(hook).balance, 1 ether);
    }

    /// @dev Coin is taken by {send} and {fund} only: nothing else is counted.
    function test_takesNoCoinUnasked() public {
        vm.deal(address(this), 1 ether);
        (bool success, ) = address(bridge).call{value: 1 ether}("");
        vm.assertFalse(success);
    }

    // Reentrancy: whatever is called while something moves fails, and what moved has moved once

    function test_receiversOfCoinGetNothingTwice() public {
        bytes[] memory calls = _calls();
        for (uint64 i; i < calls.length; ++i) {
            hook.arm(address(bridge), calls[i]);
            _deliver(_toHook(100 + i));
            _assertCallRefused();
        }
        // The same transfer, while it is paid.
        Transfer memory transfer = _toHook(99);
        bytes memory certificate = _certify(transfer);
        hook.arm(address(bridge), abi.encodeCall(bridge.deliver, (transfer, certificate)));
        bridge.deliver(transfer, certificate);
        _assertCallRefused();
        vm.assertEq(address(hook).balance, (calls.length + 1) * 1 ether);
        vm.assertEq(address(bridge).balance, 400 ether - (calls.length + 1) * 1 ether);
    }

    function test_releasesNothingTwice() public {
        Transfer memory large = _toHook(1);
        large.amount = 101e9;
        _deliver(large);
        _pass(LIMIT_DELAY);
        hook.arm(address(bridge), abi.encodeCall(bridge.release, (large)));
        bridge.release(large);
        _assertCallRefused();
        vm.assertEq(address(hook).balance, 101 ether);
    }

    function test_refundsNothingTwice() public {
        vm.deal(address(hook), 1 ether);
        bytes memory data = abi.encodeCall(bridge.send, (PEER_CHAIN, PEER, address(0), 1 ether, "x", _deadline()));
        hook.act(address(bridge), 1 ether, data);
        Transfer memory sent = _outgoing(address(0), 1 ether, COIN_UNIT);
        (sent.nonce, sent.sender, sent.receiver) = (3, _padded(address(hook)), "x");
        bytes memory certificate = _certifyClosing(sent, 9);
        hook.arm(address(bridge), abi.encodeCall(bridge.refund, (sent, 9, certificate)));
        bridge.refund(sent, 9, certificate);
        _assertCallRefused();
        vm.assertEq(address(hook).balance, 1 ether);
        vm.assertEq(address(bridge).balance, 400 ether);
    }

    function test_tokensThatCallBackGetNothing() public {
        token.setHook(hook);
        bytes[] memory calls = _calls();
        for (uint64 i; i < calls.length; ++i) {
            hook.arm(address(bridge), calls[i]);
            _sendToken(UNIT);
            _assertCallRefused();
            hook.arm(address(bridge), calls[i]);
            _deliver(_incoming(100 + i, PEER_TOKEN, 1));
            _assertCallRefused();
            hook.arm(address(bridge), calls[i]);
            vm.prank(USER);
            bridge.fund(tokenId, UNIT);
            _assertCallRefused();
        }
        vm.assertEq(_balanceOf(tokenId), LOCKED + calls.length * UNIT);
        vm.assertEq(token.balanceOf(address(bridge)), 2 * LOCKED + calls.length * UNIT);
    }

    /// @dev The hook's own account would be paid by each of these.
    function _calls() private returns (bytes[] memory calls) {
        Transfer memory large = _toHook(1);
        large.amount = 101e9;
        if (bridge.statusOf(routeIn, 1) == IBridge.Status.Open) _deliver(large);
        Transfer memory sent = _sendToken(UNIT);
        Transfer memory next = _toHook(2);
        _pass(LIMIT_DELAY);
        calls = new bytes[](6);
        calls[0] = abi.encodeCall(bridge.deliver, (next, _certify(next)));
        calls[1] = abi.encodeCall(bridge.close, (next, _certify(next)));
        calls[2] = abi.encodeCall(bridge.release, (large));
        calls[3] = abi.encodeCall(bridge.refund, (sent, 9, _certifyClosing(sent, 9)));
        calls[4] = abi.encodeCall(bridge.send, (PEER_CHAIN, PEER, address(token), UNIT, "x", _deadline()));
        calls[5] = abi.encodeCall(bridge.fund, (tokenId, 0));
        _refund(sent, 9);
    }

    /// @dev Of 1 coin, to the hook.
    function _toHook(uint64 nonce) private view returns (Transfer memory transfer) {
        transfer = _incoming(nonce, PEER_COIN, 1e9);
        transfer.receiver = abi.encodePacked(address(hook));
    }

    function _assertCallRefused() private view {
        vm.assertEq(hook.target(), address(0));
        vm.assertFalse(hook.succeeded());
        vm.assertEq(hook.answer(), _error(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
    }

    function _refuseToSend(bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(USER);
        bridge.send(PEER_CHAIN, PEER, address(token), 4_200, "x", _deadline());
    }

    function _refuseToRefund(Transfer memory transfer, bytes memory reason) private {
        bytes memory certificate = _certifyClosing(transfer, 9);
        vm.expectRevert(reason);
        bridge.refund(transfer, 9, certificate);
    }
}
