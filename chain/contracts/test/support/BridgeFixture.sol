// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Attestations} from "../../src/Attestations.sol";
import {Bridge} from "../../src/Bridge.sol";
import {BridgedToken} from "../../src/BridgedToken.sol";
import {BridgeToken, Entry, Mode} from "../../src/BridgeTokens.sol";
import {
    BridgePause,
    BridgePauses,
    Transfer,
    TransferClosed as Closing,
    TransferClosings,
    Transfers
} from "../../src/Transfers.sol";
import {FakeToken} from "./FakeTokens.sol";
import {Fixture} from "./Fixture.sol";

/// @notice A bridge on the home chain with two peers. From either come a token that is locked here with a unit of 100, the
/// native coin with a unit of 1e9, and a token that is minted here with a unit of 1.
abstract contract BridgeFixture is Fixture {
    uint32 internal constant EPOCH = 3;
    uint64 internal constant PEER_CHAIN = 900_000_001;
    bytes32 internal constant PEER = keccak256("peer");
    bytes32 internal constant OTHER_PEER = keccak256("other peer");
    bytes32 internal constant PEER_TOKEN = keccak256("token");
    bytes32 internal constant PEER_COIN = keccak256("wrapped coin");
    /// @dev The peer's own coin, which is a token here.
    bytes32 internal constant PEER_NATIVE = 0;
    bytes32 internal constant SENDER = keccak256("sender");
    address internal constant RECEIVER = address(bytes20(keccak256("receiver")));
    address internal constant GUARDIAN = address(0x6a);
    address internal constant USER = address(0x1001);
    uint64 internal constant DELAY = 2 days;
    uint64 internal constant LIMIT_DELAY = 3 days;

    uint80 internal constant UNIT = 100;
    uint80 internal constant COIN_UNIT = 1e9;
    uint104 internal constant PER_TRANSFER = 100_000;
    uint104 internal constant PER_WINDOW = 250_000;
    uint104 internal constant COIN_LIMIT = 100 ether;
    /// @dev What the user sent to either peer beforehand.
    uint256 internal constant LOCKED = 1_000_000;

    Operator[] internal ops;
    Bridge internal bridge;
    FakeToken internal token;
    BridgedToken internal minted;
    bytes32 internal routeIn;
    bytes32 internal routeOut;
    bytes32 internal tokenId;

    function setUp() public virtual override {
        super.setUp();
        Operator[] memory made = _operators(_memberCount());
        for (uint256 i; i < made.length; ++i) {
            ops.push(made[i]);
            _registerWithWeight(made[i], 100);
        }
        _goTo(EPOCH, 0);
        registry.sealEpoch(EPOCH, _accounts(ops));
        bridge = new Bridge(registry, address(this), GUARDIAN, DELAY, LIMIT_DELAY);
        token = _newToken();
        minted = new BridgedToken("Minted", "M", 9, address(bridge));
        routeIn = _routeFrom(PEER);
        routeOut = _routeTo(PEER);
        tokenId = bridge.idOf(PEER_CHAIN, PEER, PEER_TOKEN);
        _configure(PEER);
        _configure(OTHER_PEER);
        _provide();
    }

    function _newToken() internal virtual returns (FakeToken) {
        return new FakeToken();
    }

    function _memberCount() internal pure virtual returns (uint256) {
        return 4;
    }

    function _quorum() internal pure virtual returns (uint256) {
        return 3;
    }

    // Configuration

    function _lockToken(bytes32 peer) internal view returns (BridgeToken memory) {
        return
            BridgeToken(PEER_CHAIN, peer, PEER_TOKEN, address(token), Mode.Lock, UNIT, PER_TRANSFER, PER_WINDOW);
    }

    function _coin(bytes32 peer) internal pure returns (BridgeToken memory) {
        return BridgeToken(PEER_CHAIN, peer, PEER_COIN, address(0), Mode.Lock, COIN_UNIT, COIN_LIMIT, COIN_LIMIT);
    }

    function _mintToken(bytes32 peer) internal view returns (BridgeToken memory) {
        return
            BridgeToken(PEER_CHAIN, peer, PEER_NATIVE, address(minted), Mode.Mint, 1, PER_TRANSFER, PER_WINDOW);
    }

    function _configure(bytes32 peer) private {
        BridgeToken[3] memory tokens = [_lockToken(peer), _coin(peer), _mintToken(peer)];
        for (uint256 i; i < 3; ++i) bridge.announceToken(tokens[i]);
        _pass(DELAY);
        for (uint256 i; i < 3; ++i) bridge.setToken(tokens[i]);
    }

    /// @dev So that there is something to pay out on either route.
    function _provide() private {
        token.make(USER, 10 * LOCKED);
        vm.deal(USER, 1_000 ether);
        bytes32[2] memory peers = [PEER, OTHER_PEER];
        vm.startPrank(USER);
        token.approve(address(bridge), type(uint256).max);
        minted.approve(address(bridge), type(uint256).max);
        for (uint256 i; i < 2; ++i) {
            bridge.send(PEER_CHAIN, peers[i], address(token), LOCKED, "x", _deadline());
            bridge.send{value: 200 ether}(PEER_CHAIN, peers[i], address(0), 200 ether, "x", _deadline());
        }
        vm.stopPrank();
    }

    /// @dev Heights of the home chain, which its certificates go by, stay.
    function _pass(uint256 secs) internal {
        vm.warp(block.timestamp + secs);
    }

    // Transfers

    function _deadline() internal view returns (uint64) {
        return uint64(block.timestamp) + 1 days;
    }

    function _routeFrom(bytes32 peer) internal view returns (bytes32) {
        return Transfers.route(PEER_CHAIN, peer, uint64(block.chainid), _padded(address(bridge)));
    }

    function _routeTo(bytes32 peer) internal view returns (bytes32) {
        return Transfers.route(uint64(block.chainid), _padded(address(bridge)), PEER_CHAIN, peer);
    }

    function _padded(address account) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }

    /// @dev To here, from {PEER}; `amount` on the wire.
    function _incoming(uint64 nonce, bytes32 peerToken, uint256 amount) internal view returns (Transfer memory) {
        return
            Transfer(
                PEER_CHAIN,
                PEER,
                uint64(block.chainid),
                _padded(address(bridge)),
                nonce,
                SENDER,
                abi.encodePacked(RECEIVER),
                peerToken,
                amount,
                _deadline()
            );
    }

    /// @dev Of the token that is locked here: 1,000 units on the wire, 100,000 here.
    function _incoming(uint64 nonce) internal view returns (Transfer memory) {
        return _incoming(nonce, PEER_TOKEN, 1_000);
    }

    /// @dev From here to {PEER}, by the user, as it will be if sent now.
    function _outgoing(address local, uint256 amount, uint256 unit) internal view returns (Transfer memory) {
        return
            Transfer(
                uint64(block.chainid),
                _padded(address(bridge)),
                PEER_CHAIN,
                PEER,
                bridge.sentCount(routeOut) + 1,
                _padded(USER),
                abi.encodePacked(SENDER),
                _padded(local),
                amount / unit,
                _deadline()
            );
    }

    /// @dev By the user, to {PEER}; with value where it is coin.
    function _send(address local, uint256 amount, uint256 unit) internal returns (Transfer memory transfer) {
        transfer = _outgoing(local, amount, unit);
        vm.prank(USER);
        bridge.send{value: local == address(0) ? amount : 0}(
            PEER_CHAIN,
            PEER,
            local,
            amount,
            transfer.receiver,
            transfer.deadline
        );
    }

    function _sendToken(uint256 amount) internal returns (Transfer memory) {
        return _send(address(token), amount, UNIT);
    }

    function _deliver(Transfer memory transfer) internal {
        bridge.deliver(transfer, _certify(transfer));
    }

    function _refuseDelivery(Transfer memory transfer, bytes memory reason) internal {
        bytes memory certificate = _certify(transfer);
        vm.expectRevert(reason);
        bridge.deliver(transfer, certificate);
    }

    function _close(Transfer memory transfer) internal {
        bridge.close(transfer, _certify(transfer));
    }

    function _closeByReceiver(Transfer memory transfer) internal {
        bytes memory certificate = _certify(transfer);
        vm.prank(address(bytes20(transfer.receiver)));
        bridge.close(transfer, certificate);
    }

    function _refund(Transfer memory transfer, uint64 time) internal {
        bridge.refund(transfer, time, _certifyClosing(transfer, time));
    }

    // Certificates

    function _sealed(bytes32 slot, bytes32 fact) internal view returns (bytes memory) {
        bytes32 digest = Attestations.digest(registry.domainSeparator(), EPOCH, slot, fact);
        return _compact(ops, (1 << _quorum()) - 1, digest, EPOCH);
    }

    function _certify(Transfer memory transfer) internal view returns (bytes memory) {
        return _sealed(Transfers.slot(transfer), Transfers.fact(transfer));
    }

    function _certifyClosing(Transfer memory transfer, uint64 time) internal view returns (bytes memory) {
        Closing memory closing = Closing(Transfers.route(transfer), transfer.nonce, time);
        return _sealed(TransferClosings.slot(closing), TransferClosings.fact(closing));
    }

    function _certifyPause(bool paused, uint64 sequence, uint64 time) internal view returns (bytes memory) {
        return
            _certifyVote(BridgePause(uint64(block.chainid), _padded(address(bridge)), sequence, paused, time));
    }

    function _certifyVote(BridgePause memory vote) internal view returns (bytes memory) {
        return _sealed(BridgePauses.slot(vote), BridgePauses.fact(vote));
    }

    function _setPaused(bool paused) internal {
        uint64 next = bridge.sequence() + 1;
        bridge.setPaused(paused, next, 5, _certifyPause(paused, next, 5));
    }

    // What is to be seen

    function _error(bytes4 selector) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector);
    }

    function _error(bytes4 selector, uint256 argument) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, argument);
    }

    function _balanceOf(bytes32 id) internal view returns (uint256) {
        return bridge.tokenOf(id).balance;
    }

    function _assertPaid(uint256 amount) internal view {
        vm.assertEq(token.balanceOf(RECEIVER), amount);
    }

    function _assertStatus(uint64 nonce, Bridge.Status status) internal view {
        vm.assertEq(uint256(bridge.statusOf(routeIn, nonce)), uint256(status));
    }
}
