// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {Bridge} from "../src/Bridge.sol";
import {BridgedToken} from "../src/BridgedToken.sol";
import {BridgeToken, BridgeTokens, Entry, Mode} from "../src/BridgeTokens.sol";
import {IBridge} from "../src/IBridge.sol";
import {Transfer} from "../src/Transfers.sol";
import {BridgeFixture} from "./support/BridgeFixture.sol";
import {FakeToken} from "./support/FakeTokens.sol";

/// @notice What the owner can do and when, and that no peer gets at what came from another.
contract BridgeTokensTest is BridgeFixture {
    bytes32 internal constant NEW_TOKEN = keccak256("new token");

    FakeToken internal fresh;
    bytes32 internal freshId;

    function setUp() public override {
        super.setUp();
        fresh = new FakeToken();
        freshId = bridge.idOf(PEER_CHAIN, PEER, NEW_TOKEN);
    }

    // Announcements

    function test_tokensComeAfterTheDelay() public {
        BridgeToken memory added = _fresh();
        uint64 from = uint64(block.timestamp) + DELAY;
        vm.expectEmit(address(bridge));
        emit BridgeTokens.TokenAnnounced(freshId, added, from);
        bridge.announceToken(added);
        vm.warp(from - 1);
        vm.expectRevert(BridgeTokens.NotAnnounced.selector);
        bridge.setToken(added);
        _refuseDelivery(
            _incoming(1, NEW_TOKEN, 1),
            abi.encodeWithSelector(IBridge.UnknownToken.selector, freshId)
        );
        vm.warp(from);
        vm.expectEmit(address(bridge));
        emit BridgeTokens.TokenSet(freshId, added);
        vm.prank(address(0x5a));
        bridge.setToken(added);
        Entry memory entry = bridge.tokenOf(freshId);
        vm.assertEq(entry.token, address(fresh));
        vm.assertTrue(entry.mode == Mode.Lock && entry.isOpen);
        vm.assertEq(entry.unit, added.unit);
        vm.assertEq(entry.perTransfer, added.perTransfer);
        vm.assertEq(entry.perWindow, added.perWindow);
    }

    function test_onlyWhatWasAnnouncedIsSet() public {
        bridge.announceToken(_fresh());
        _pass(DELAY);
        for (uint256 field; field < 8; ++field) {
            BridgeToken memory other = _fresh();
            if (field == 0) other.peerChain += 1;
            if (field == 1) other.peerContract = OTHER_PEER;
            if (field == 2) other.peerToken = PEER_TOKEN;
            if (field == 3) other.token = address(token);
            if (field == 4) other.mode = Mode.Mint;
            if (field == 5) other.unit += 1;
            if (field == 6) other.perTransfer += 1;
            if (field == 7) other.perWindow += 1;
            vm.expectRevert(BridgeTokens.NotAnnounced.selector);
            bridge.setToken(other);
        }
        bridge.setToken(_fresh());
        // Once.
        vm.expectRevert(BridgeTokens.NotAnnounced.selector);
        bridge.setToken(_fresh());
    }

    function test_anAnnouncementReplacesTheOneBefore() public {
        bridge.announceToken(_fresh());
        _pass(DELAY - 1);
        BridgeToken memory other = _fresh();
        other.perTransfer = 9;
        bridge.announceToken(other);
        _pass(1);
        vm.expectRevert(BridgeTokens.NotAnnounced.selector);
        bridge.setToken(_fresh());
        vm.expectRevert(BridgeTokens.NotAnnounced.selector);
        bridge.setToken(other);
        _pass(DELAY - 1);
        bridge.setToken(other);
    }

    function test_announcementsAreTakenBack() public {
        bridge.announceToken(_fresh());
        vm.expectEmit(address(bridge));
        emit BridgeTokens.AnnouncementWithdrawn(freshId);
        bridge.withdrawAnnouncement(freshId);
        _pass(DELAY);
        vm.expectRevert(BridgeTokens.NotAnnounced.selector);
        bridge.setToken(_fresh());
    }

    /// @dev Else anybody could raise again what was lowered in need.
    function test_brakingVoidsAnnouncements() public {
        BridgeToken memory higher = _lockToken(PEER);
        higher.perTransfer += 1;
        bridge.announceToken(higher);
        _pass(DELAY);
        bridge.lowerLimits(tokenId, 1, 1);
        vm.expectRevert(BridgeTokens.NotAnnounced.selector);
        bridge.setToken(higher);
        bridge.announceToken(higher);
        _pass(DELAY);
        bridge.removeToken(tokenId);
        vm.expectRevert(BridgeTokens.NotAnnounced.selector);
        bridge.setToken(higher);
    }

    function test_withoutDelayItIsAtOnce() public {
        bridge = new Bridge(registry, address(this), GUARDIAN, 0, 0);
        bridge.announceToken(_fresh());
        bridge.setToken(_fresh());
    }

    function test_onlyTheOwnerConfigures() public {
        bytes memory reason = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, GUARDIAN);
        BridgeToken memory added = _fresh();
        vm.startPrank(GUARDIAN);
        vm.expectRevert(reason);
        bridge.announceToken(added);
        vm.expectRevert(reason);
        bridge.withdrawAnnouncement(freshId);
        vm.expectRevert(reason);
        bridge.lowerLimits(tokenId, 0, 0);
        vm.expectRevert(reason);
        bridge.removeToken(tokenId);
        vm.stopPrank();
        bridge.transferOwnership(GUARDIAN);
        vm.startPrank(GUARDIAN);
        vm.expectRevert(reason);
        bridge.removeToken(tokenId);
        bridge.acceptOwnership();
        bridge.removeToken(tokenId);
    }

    function test_refusesTokensThatAreNone() public {
        for (uint256 field; field < 8; ++field) {
            BridgeToken memory other = _fresh();
            if (field == 0) other.peerChain = 0;
            if (field == 1) other.peerContract = 0;
            if (field == 2) other.token = address(0x5a);
            if (field == 3) other.mode = Mode.None;
            if (field == 4) other.unit = 0;
            if (field == 5) other.perTransfer = other.perWindow + 1;
            if (field == 6) (other.token, other.mode) = (address(0), Mode.Mint);
            if (field == 7) (other.token, other.mode) = (address(0), Mode.None);
            vm.expectRevert(BridgeTokens.InvalidToken.selector);
            bridge.announceToken(other);
        }
    }

    // What never changes

    function test_tokensAreWrittenOnce() public {
        for (uint256 field; field < 3; ++field) {
            BridgeToken memory other = _lockToken(PEER);
            if (field == 0) other.token = address(fresh);
            if (field == 1) other.mode = Mode.Mint;
            if (field == 2) other.unit += 1;
            _refuseToSet(other);
        }
        // Nor after a removal.
        bridge.removeToken(tokenId);
        BridgeToken memory another = _lockToken(PEER);
        another.token = address(fresh);
        _refuseToSet(another);
    }

    /// @dev One token here is one token there.
    function test_noTokenStandsForTwo() public {
        BridgeToken memory other = _fresh();
        other.token = address(token);
        _refuseToSet(other);
        bridge.removeToken(tokenId);
        _refuseToSet(other);
    }

    // Limits

    function test_limitsRiseAfterTheDelayOnly() public {
        vm.expectRevert(BridgeTokens.NotLower.selector);
        bridge.lowerLimits(tokenId, PER_TRANSFER + 1, PER_WINDOW);
        vm.expectRevert(BridgeTokens.NotLower.selector);
        bridge.lowerLimits(tokenId, PER_TRANSFER, PER_WINDOW + 1);
        vm.expectRevert(BridgeTokens.NotLower.selector);
        bridge.lowerLimits(tokenId, 2, 1);
        vm.expectRevert(abi.encodeWithSelector(IBridge.UnknownToken.selector, freshId));
        bridge.lowerLimits(freshId, 0, 0);
        BridgeToken memory higher = _lockToken(PEER);
        (higher.perTransfer, higher.perWindow) = (2 * PER_WINDOW, 2 * PER_WINDOW);
        bridge.announceToken(higher);
        _deliver(_incoming(1, PEER_TOKEN, 1_001));
        _assertStatus(1, IBridge.Status.Queued);
        _pass(DELAY);
        bridge.setToken(higher);
        _deliver(_incoming(2, PEER_TOKEN, 5_000));
        _assertStatus(2, IBridge.Status.Paid);
    }

    function test_limitsFallAtOnce() public {
        vm.expectEmit(address(bridge));
        emit BridgeTokens.LimitsLowered(tokenId, 1, 2);
        bridge.lowerLimits(tokenId, 1, 2);
        vm.assertEq(bridge.tokenOf(tokenId).perTransfer, 1);
        vm.assertEq(bridge.tokenOf(tokenId).perWindow, 2);
    }

    // Removal

    function test_removalStopsAllButRefunds() public {
        Transfer memory sent = _sendToken(4_200);
        vm.expectEmit(address(bridge));
        emit BridgeTokens.TokenRemoved(tokenId);
        bridge.removeToken(tokenId);
        bytes memory reason = abi.encodeWithSelector(IBridge.UnknownToken.selector, tokenId);
        vm.expectRevert(reason);
        vm.prank(USER);
        bridge.send(PEER_CHAIN, PEER, address(token), UNIT, "x", _deadline());
        _refuseDelivery(_incoming(1), reason);
        vm.expectRevert(reason);
        bridge.fund(tokenId, UNIT);
        vm.expectRevert(reason);
        bridge.removeToken(tokenId);
        _closeByReceiver(_incoming(1));
        _refund(sent, 9);
        // The other peer's goes on.
        Transfer memory other = _incoming(1);
        other.sourceContract = OTHER_PEER;
        _deliver(other);
    }

    function test_removedTokensComeBackAfterTheDelay() public {
        bridge.removeToken(tokenId);
        bridge.announceToken(_lockToken(PEER));
        vm.expectRevert(BridgeTokens.NotAnnounced.selector);
        bridge.setToken(_lockToken(PEER));
        _pass(DELAY);
        bridge.setToken(_lockToken(PEER));
        _deliver(_incoming(1));
        vm.assertEq(_balanceOf(tokenId), LOCKED - PER_TRANSFER);
    }

    // What a route can lose

    /// @dev The peer pays itself all that came in its way, and not one unit of the other's.
    function test_aLyingPeerGetsOnlyItsOwn() public {
        _deliver(_incoming(1, PEER_TOKEN, LOCKED / UNIT - 1));
        _refuseDelivery(_incoming(2, PEER_TOKEN, 2), _error(IBridge.RouteShort.selector, UNIT));
        _deliver(_incoming(2, PEER_TOKEN, 1));
        _refuseDelivery(_incoming(3, PEER_TOKEN, 1), _error(IBridge.RouteShort.selector, 0));
        vm.assertEq(_balanceOf(bridge.idOf(PEER_CHAIN, OTHER_PEER, PEER_TOKEN)), LOCKED);
        // The first waits, being large, and is put by.
        vm.assertEq(token.balanceOf(address(bridge)), 2 * LOCKED - UNIT);
        // The same for coin.
        _refuseDelivery(_incoming(3, PEER_COIN, 201e9), _error(IBridge.RouteShort.selector, 200 ether));
        vm.assertEq(address(bridge).balance, 400 ether);
    }

    /// @dev What one peer had minted for nothing cannot be had burned for what another holds.
    function test_aLyingPeerCannotSpendWhatItMinted() public {
        Transfer memory forged = _incoming(1, PEER_NATIVE, 1_000);
        forged.receiver = abi.encodePacked(USER);
        _deliver(forged);
        vm.expectRevert(_error(IBridge.RouteShort.selector, 0));
        vm.prank(USER);
        bridge.send(PEER_CHAIN, OTHER_PEER, address(minted), 1, "x", _deadline());
        Transfer memory honest = _incoming(1, PEER_NATIVE, 10);
        honest.sourceContract = OTHER_PEER;
        _deliver(honest);
        vm.startPrank(USER);
        bridge.send(PEER_CHAIN, OTHER_PEER, address(minted), 10, "x", _deadline());
        vm.expectRevert(_error(IBridge.RouteShort.selector, 0));
        bridge.send(PEER_CHAIN, OTHER_PEER, address(minted), 1, "x", _deadline());
        bridge.send(PEER_CHAIN, PEER, address(minted), 990, "x", _deadline());
    }

    function test_fundsAreForOneRoute() public {
        vm.expectEmit(address(bridge));
        emit IBridge.Funded(tokenId, USER, 700);
        vm.prank(USER);
        bridge.fund(tokenId, 700);
        vm.assertEq(_balanceOf(tokenId), LOCKED + 700);
        bytes32 coinId = bridge.idOf(PEER_CHAIN, PEER, PEER_COIN);
        vm.prank(USER);
        bridge.fund{value: 5}(coinId, 5);
        vm.assertEq(_balanceOf(coinId), 200 ether + 5);
        bytes32 mintId = bridge.idOf(PEER_CHAIN, PEER, PEER_NATIVE);
        vm.expectRevert(abi.encodeWithSelector(IBridge.UnknownToken.selector, mintId));
        bridge.fund(mintId, 1);
        vm.expectRevert(abi.encodeWithSelector(IBridge.UnknownToken.selector, freshId));
        bridge.fund(freshId, 1);
    }

    // Minted tokens

    function test_onlyTheBridgeMints() public {
        vm.assertEq(minted.bridge(), address(bridge));
        vm.assertEq(minted.decimals(), 9);
        vm.expectRevert(BridgedToken.NotBridge.selector);
        minted.mint(USER, 1);
        vm.expectRevert(BridgedToken.NotBridge.selector);
        vm.prank(USER);
        minted.mint(USER, 1);
    }

    function test_burnsOnlyWhatWasAllowed() public {
        _deliver(_incoming(1, PEER_NATIVE, 100));
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(bridge), 0, 100)
        );
        vm.prank(RECEIVER);
        bridge.send(PEER_CHAIN, PEER, address(minted), 100, "x", _deadline());
        vm.startPrank(RECEIVER);
        minted.approve(address(bridge), 100);
        bridge.send(PEER_CHAIN, PEER, address(minted), 100, "x", _deadline());
        vm.assertEq(minted.totalSupply(), 0);
    }

    // Units

    function test_unitsMultiplyWhatIsPaid() public {
        _deliver(_incoming(1, PEER_TOKEN, 7));
        _assertPaid(7 * uint256(UNIT));
        _refuseDelivery(
            _incoming(2, PEER_TOKEN, type(uint112).max / UNIT + 1),
            _error(IBridge.InvalidAmount.selector, UNIT)
        );
        _refuseDelivery(
            _incoming(2, PEER_TOKEN, type(uint256).max),
            _error(IBridge.InvalidAmount.selector, UNIT)
        );
        _refuseDelivery(
            _incoming(2, PEER_TOKEN, type(uint112).max / UNIT),
            _error(IBridge.RouteShort.selector, LOCKED - 7 * uint256(UNIT))
        );
    }

    /// @dev What the wire carries is what was taken, whatever the unit.
    function testFuzz_unitsLoseNothing(uint80 unit, uint32 amount) public {
        unit = uint80(_bound(unit, 1, type(uint80).max));
        BridgeToken memory added = _fresh();
        added.unit = unit;
        bridge.announceToken(added);
        _pass(DELAY);
        bridge.setToken(added);
        uint256 local = (uint256(amount) % 1_000 + 1) * unit;
        fresh.make(USER, local);
        vm.prank(USER);
        fresh.approve(address(bridge), local);
        Transfer memory transfer = _send(address(fresh), local, unit);
        _refund(transfer, 9);
        vm.assertEq(fresh.balanceOf(USER), local);
    }

    function _refuseToSet(BridgeToken memory other) private {
        bridge.announceToken(other);
        _pass(DELAY);
        vm.expectRevert(BridgeTokens.AlreadySet.selector);
        bridge.setToken(other);
        bridge.withdrawAnnouncement(bridge.idOf(other.peerChain, other.peerContract, other.peerToken));
    }

    function _fresh() private view returns (BridgeToken memory) {
        return BridgeToken(PEER_CHAIN, PEER, NEW_TOKEN, address(fresh), Mode.Lock, 10, 100, 1_000);
    }
}
