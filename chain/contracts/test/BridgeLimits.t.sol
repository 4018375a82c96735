// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {BridgeSwitch} from "../src/BridgeSwitch.sol";
import {BridgeToken} from "../src/BridgeTokens.sol";
import {IBridge} from "../src/IBridge.sol";
import {Transfer, Transfers} from "../src/Transfers.sol";
import {BridgeFixture} from "./support/BridgeFixture.sol";

/// @notice What is paid at once, what waits, and for how long. On the wire a transfer may have 1,000 units, and the window
/// holds 2,500.
contract BridgeLimitsTest is BridgeFixture {
    uint256 internal constant MOST = PER_TRANSFER / UNIT;

    // One transfer

    function test_paysUpToTheLimit() public {
        _deliver(_incoming(1, PEER_TOKEN, MOST));
        _assertPaid(PER_TRANSFER);
        Transfer memory transfer = _incoming(2, PEER_TOKEN, MOST + 1);
        bytes memory certificate = _certify(transfer);
        uint64 payableFrom = uint64(block.timestamp) + LIMIT_DELAY;
        vm.expectEmit(address(bridge));
        emit IBridge.TransferQueued(routeIn, 2, RECEIVER, address(token), PER_TRANSFER + UNIT, payableFrom);
        bridge.deliver(transfer, certificate);
        _assertPaid(PER_TRANSFER);
        _assertStatus(2, IBridge.Status.Queued);
        (bytes32 fact, uint64 from) = bridge.queued(Transfers.slot(transfer));
        vm.assertEq(fact, Transfers.fact(transfer));
        vm.assertEq(from, payableFrom);
    }

    function test_paysLargeOnesAfterTheDelay() public {
        Transfer memory transfer = _incoming(1, PEER_TOKEN, 5_000);
        _deliver(transfer);
        uint64 payableFrom = uint64(block.timestamp) + LIMIT_DELAY;
        vm.warp(payableFrom - 1);
        vm.expectRevert(_error(IBridge.NotPayable.selector, payableFrom));
        bridge.release(transfer);
        vm.warp(payableFrom);
        vm.expectEmit(address(bridge));
        emit IBridge.TransferPaid(routeIn, 1, RECEIVER, address(token), 500_000);
        vm.prank(address(0x5a));
        bridge.release(transfer);
        _assertPaid(500_000);
        _assertStatus(1, IBridge.Status.Paid);
        // It took no room from others.
        vm.assertEq(bridge.roomOf(tokenId), PER_WINDOW);
    }

    function test_isRecordedOnceAndPaidOnce() public {
        Transfer memory transfer = _incoming(1, PEER_TOKEN, MOST + 1);
        _deliver(transfer);
        bytes memory taken = abi.encodeWithSelector(IBridge.NonceTaken.selector, routeIn, 1);
        _refuseDelivery(transfer, taken);
        bytes memory certificate = _certify(transfer);
        vm.expectRevert(taken);
        vm.prank(RECEIVER);
        bridge.close(transfer, certificate);
        _pass(LIMIT_DELAY);
        vm.expectRevert(taken);
        bridge.close(transfer, certificate);
        bridge.release(transfer);
        vm.expectRevert(IBridge.NotQueued.selector);
        bridge.release(transfer);
        vm.expectRevert(taken);
        bridge.deliver(transfer, certificate);
        _assertPaid(PER_TRANSFER + UNIT);
    }

    function test_releasesWhatWasQueuedAndNothingElse() public {
        _deliver(_incoming(1, PEER_TOKEN, MOST + 1));
        _pass(LIMIT_DELAY);
        for (uint256 field; field < 9; ++field) {
            Transfer memory other = _incoming(1, PEER_TOKEN, MOST + 1);
            other.deadline -= LIMIT_DELAY;
            if (field == 0) other.sourceChain += 1;
            if (field == 1) other.sourceContract = OTHER_PEER;
            if (field == 2) other.targetChain += 1;
            if (field == 3) other.nonce += 1;
            if (field == 4) other.sender = keccak256("other sender");
            if (field == 5) other.receiver = abi.encodePacked(address(this));
            if (field == 6) other.token = PEER_COIN;
            if (field == 7) other.amount -= 1;
            if (field == 8) other.deadline += 1;
            vm.expectRevert(IBridge.NotQueued.selector);
            bridge.release(other);
        }
        vm.expectRevert(IBridge.NotQueued.selector);
        bridge.release(_incoming(9));
    }

    // The window

    function test_fillsTheWindowToItsEdge() public {
        _deliver(_incoming(1, PEER_TOKEN, 1_000));
        _deliver(_incoming(2, PEER_TOKEN, 1_000));
        _deliver(_incoming(3, PEER_TOKEN, 500));
        _assertPaid(PER_WINDOW);
        vm.assertEq(bridge.roomOf(tokenId), 0);
        _deliver(_incoming(4, PEER_TOKEN, 1));
        _assertStatus(4, IBridge.Status.Queued);
        // Other tokens and peers have windows of their own.
        _deliver(_incoming(5, PEER_NATIVE, 1_000));
        _assertStatus(5, IBridge.Status.Paid);
        Transfer memory other = _incoming(4);
        other.sourceContract = OTHER_PEER;
        _deliver(other);
        _assertPaid(PER_WINDOW + PER_TRANSFER);
    }

    /// @dev 250,000 in 86,400 s: 100 units of the token take 34.56 s.
    function test_theWindowLeaksSteadily() public {
        _fill();
        Transfer memory transfer = _incoming(4, PEER_TOKEN, 1);
        _deliver(transfer);
        uint64 payableFrom = uint64(block.timestamp) + LIMIT_DELAY;
        _pass(34);
        vm.assertEq(bridge.roomOf(tokenId), 98);
        vm.expectRevert(_error(IBridge.NotPayable.selector, payableFrom));
        bridge.release(transfer);
        _pass(1);
        vm.assertEq(bridge.roomOf(tokenId), 101);
        bridge.release(transfer);
        vm.assertEq(bridge.roomOf(tokenId), 1);
        _assertPaid(PER_WINDOW + UNIT);
        _pass(12 hours);
        vm.assertEq(bridge.roomOf(tokenId), PER_WINDOW / 2 + 1);
        _pass(12 hours);
        vm.assertEq(bridge.roomOf(tokenId), PER_WINDOW);
        _pass(10_000 days);
        vm.assertEq(bridge.roomOf(tokenId), PER_WINDOW);
    }

    /// @dev However transfers come, no span of a window sees more than twice what it holds.
    function testFuzz_twiceTheWindowAtMost(uint16[20] calldata amounts, uint16[20] calldata gaps) public {
        vm.prank(USER);
        bridge.fund(tokenId, LOCKED);
        uint256 start = block.timestamp;
        uint256 paid;
        for (uint64 i; i < 20; ++i) {
            uint256 amount = _bound(amounts[i], 1, MOST);
            uint256 room = bridge.roomOf(tokenId);
            _deliver(_incoming(i + 1, PEER_TOKEN, amount));
            bool isPaid = bridge.statusOf(routeIn, i + 1) == IBridge.Status.Paid;
            vm.assertTrue(isPaid == (amount * UNIT <= room));
            paid += isPaid ? amount * UNIT : 0;
            vm.assertTrue(paid <= PER_WINDOW + (PER_WINDOW * (block.timestamp - start)) / 1 days);
            _pass(gaps[i] % 2 hours);
        }
        _assertPaid(paid);
    }

    /// @dev Whatever others pay in the meantime.
    function test_waitsNoLongerThanTheDelay() public {
        _fill();
        Transfer memory transfer = _incoming(4, PEER_TOKEN, 1_000);
        _deliver(transfer);
        _pass(LIMIT_DELAY);
        _deliver(_incoming(5, PEER_TOKEN, 1_000));
        _deliver(_incoming(6, PEER_TOKEN, 1_000));
        _deliver(_incoming(7, PEER_TOKEN, 500));
        bridge.release(transfer);
        _assertPaid(2 * uint256(PER_WINDOW) + PER_TRANSFER);
    }

    // Limits that change

    function test_lowerLimitsCountAtOnce() public {
        bridge.lowerLimits(tokenId, 50_000, 60_000);
        _deliver(_incoming(1, PEER_TOKEN, 501));
        _assertStatus(1, IBridge.Status.Queued);
        _deliver(_incoming(2, PEER_TOKEN, 500));
        _assertStatus(2, IBridge.Status.Paid);
        _deliver(_incoming(3, PEER_TOKEN, 101));
        _assertStatus(3, IBridge.Status.Queued);
        _deliver(_incoming(4, PEER_TOKEN, 100));
        _assertStatus(4, IBridge.Status.Paid);
    }

    function test_withoutLimitEverythingWaits() public {
        bridge.lowerLimits(tokenId, 0, 0);
        Transfer memory transfer = _incoming(1, PEER_TOKEN, 1);
        _deliver(transfer);
        _assertStatus(1, IBridge.Status.Queued);
        uint64 payableFrom = uint64(block.timestamp) + LIMIT_DELAY;
        _pass(LIMIT_DELAY - 1);
        vm.expectRevert(_error(IBridge.NotPayable.selector, payableFrom));
        bridge.release(transfer);
        _pass(1);
        bridge.release(transfer);
        _assertPaid(UNIT);
    }

    function test_queuedOnesGoByTheLimitsOfTheirRelease() public {
        Transfer memory transfer = _incoming(1, PEER_TOKEN, MOST + 1);
        _deliver(transfer);
        BridgeToken memory higher = _lockToken(PEER);
        higher.perTransfer = PER_WINDOW;
        bridge.announceToken(higher);
        _pass(DELAY);
        bridge.setToken(higher);
        vm.assertTrue(DELAY < LIMIT_DELAY);
        bridge.release(transfer);
        _assertPaid(PER_TRANSFER + UNIT);
        vm.assertEq(bridge.roomOf(tokenId), PER_WINDOW - PER_TRANSFER - UNIT);
    }

    // What else stops a release

    function test_queuedOnesWaitForThePauseToEnd() public {
        Transfer memory transfer = _incoming(1, PEER_TOKEN, MOST + 1);
        _deliver(transfer);
        _pass(LIMIT_DELAY);
        vm.prank(GUARDIAN);
        bridge.guardianPause();
        vm.expectRevert(BridgeSwitch.IsPaused.selector);
        bridge.release(transfer);
        _setPaused(false);
        bridge.release(transfer);
        _assertPaid(PER_TRANSFER + UNIT);
    }

    function test_queuedOnesWaitForARemovedToken() public {
        Transfer memory transfer = _incoming(1, PEER_TOKEN, MOST + 1);
        _deliver(transfer);
        bridge.removeToken(tokenId);
        _pass(LIMIT_DELAY);
        vm.expectRevert(abi.encodeWithSelector(IBridge.UnknownToken.selector, tokenId));
        bridge.release(transfer);
        bridge.announceToken(_lockToken(PEER));
        _pass(DELAY);
        bridge.setToken(_lockToken(PEER));
        bridge.release(transfer);
        _assertPaid(PER_TRANSFER + UNIT);
    }

    /// @dev What waits is put by: later ones cannot take it.
    function test_queuedOnesAreCountedWhenQueued() public {
        Transfer memory transfer = _incoming(1, PEER_TOKEN, LOCKED / UNIT);
        _deliver(transfer);
        vm.assertEq(_balanceOf(tokenId), 0);
        _refuseDelivery(_incoming(2, PEER_TOKEN, 1), _error(IBridge.RouteShort.selector, 0));
        _pass(LIMIT_DELAY);
        bridge.release(transfer);
        _assertPaid(LOCKED);
    }

    function _fill() private {
        for (uint64 i = 1; i < 3; ++i) _deliver(_incoming(i, PEER_TOKEN, 1_000));
        _deliver(_incoming(3, PEER_TOKEN, 500));
    }
}
