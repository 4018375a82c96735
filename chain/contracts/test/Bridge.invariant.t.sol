// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {Bridge} from "../src/Bridge.sol";
import {BridgedToken} from "../src/BridgedToken.sol";
import {BridgeToken, Mode} from "../src/BridgeTokens.sol";
import {IBridge} from "../src/IBridge.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {Transfer, Transfers} from "../src/Transfers.sol";
import {FakeToken} from "./support/FakeTokens.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice Accepts whatever the crowd brings, which is true but where a peer lies.
contract Believer {
    bytes32 public constant domainSeparator = 0;

    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return 0x1626ba7e;
    }
}

/// @notice A home bridge that locks a token, another that mints it, and a peer of both that makes up what it likes. Each
/// transfer is brought, closed, released and refunded in any order, and as often as somebody likes.
/// @dev Of the two, the home bridge has two units of the token per unit of the wire, the other three.
contract BridgeCrowd is Fixture {
    uint64 internal constant DELAY = 3 days;
    uint80 internal constant HOME_UNIT = 2;
    uint80 internal constant FAR_UNIT = 3;
    uint256 internal constant SUPPLY = 1e12;
    bytes32 internal constant LIAR = keccak256("liar");
    uint64 internal constant LIAR_CHAIN = 9;
    bytes internal constant CERTIFICATE = hex"0100000000";

    Bridge internal home;
    Bridge internal far;
    FakeToken internal token;
    BridgedToken internal minted;

    Transfer[] internal transfers;
    /// @dev By number in the list above.
    mapping(uint256 => uint256) public paid;
    mapping(uint256 => uint256) public refunded;
    uint64 internal _lies;
    /// @dev In units of the wire: sent to the liar, and paid or put by for it.
    uint256 public liarGave;
    uint256 public liarTook;

    constructor() {
        _goTo(0, 0);
        IQuorumRegistry believer = IQuorumRegistry(address(new Believer()));
        home = new Bridge(believer, address(this), address(this), 0, DELAY);
        far = new Bridge(believer, address(this), address(this), 0, DELAY);
        token = new FakeToken();
        minted = new BridgedToken("", "", 0, address(far));
        uint64 chain = uint64(block.chainid);
        bytes32 local = _padded(address(token));
        bytes32 remote = _padded(address(minted));
        _set(home, BridgeToken(chain, _padded(address(far)), remote, address(token), Mode.Lock, HOME_UNIT, 200, 600));
        _set(far, BridgeToken(chain, _padded(address(home)), local, address(minted), Mode.Mint, FAR_UNIT, 300, 900));
        _set(home, BridgeToken(LIAR_CHAIN, LIAR, "a", address(token), Mode.Lock, HOME_UNIT, 200, 600));
        _set(far, BridgeToken(LIAR_CHAIN, LIAR, "b", address(minted), Mode.Mint, FAR_UNIT, 300, 900));
        token.make(address(this), SUPPLY);
        token.approve(address(home), type(uint256).max);
        minted.approve(address(far), type(uint256).max);
    }

    function setUp() public override {}

    // What anybody does

    function pass(uint32 secs) external {
        vm.warp(block.timestamp + (secs % 1 days));
    }

    /// @dev At times more than a limit, at times to the liar.
    function send(uint16 amount, bool fromHome, bool toLiar) external {
        Bridge source = fromHome ? home : far;
        uint256 wired = 1 + (amount % 150);
        Transfer memory transfer;
        transfer.sourceChain = uint64(block.chainid);
        transfer.sourceContract = _padded(address(source));
        transfer.targetChain = toLiar ? LIAR_CHAIN : uint64(block.chainid);
        transfer.targetContract = toLiar ? LIAR : _padded(address(fromHome ? far : home));
        transfer.sender = _padded(address(this));
        transfer.receiver = abi.encodePacked(address(this));
        transfer.token = _padded(fromHome ? address(token) : address(minted));
        transfer.amount = wired;
        transfer.deadline = uint64(block.timestamp) + 1 days;
        try
            source.send(
                transfer.targetChain,
                transfer.targetContract,
                fromHome ? address(token) : address(minted),
                wired * (fromHome ? HOME_UNIT : FAR_UNIT),
                transfer.receiver,
                transfer.deadline
            )
        returns (uint64 nonce) {
            transfer.nonce = nonce;
            if (toLiar) {
                if (fromHome) liarGave += wired;
            } else {
                transfers.push(transfer);
            }
        } catch {}
    }

    function deliver(uint256 which) external {
        if (transfers.length == 0) return;
        which %= transfers.length;
        uint256 before = _held(which);
        try _target(which).deliver(transfers[which], CERTIFICATE) {} catch {}
        if (_held(which) != before) ++paid[which];
    }

    function release(uint256 which) external {
        if (transfers.length == 0) return;
        which %= transfers.length;
        uint256 before = _held(which);
        try _target(which).release(transfers[which]) {} catch {}
        if (_held(which) != before) ++paid[which];
    }

    /// @dev This account is the receiver as well.
    function close(uint256 which) external {
        if (transfers.length == 0) return;
        try _target(which % transfers.length).close(transfers[which % transfers.length], CERTIFICATE) {} catch {}
    }

    /// @dev The quorum certifies only what was closed.
    function refund(uint256 which) external {
        if (transfers.length == 0) return;
        which %= transfers.length;
        Transfer memory transfer = transfers[which];
        uint64 time = _target(which).closedAt(Transfers.slot(transfer));
        if (time == 0) return;
        try Bridge(_address(transfer.sourceContract)).refund(transfer, time, CERTIFICATE) {
            ++refunded[which];
        } catch {}
    }

    /// @dev What the liar says was sent to it, to either bridge and under whatever number.
    function lie(uint16 amount, uint8 nonce, bool toHome) external {
        Transfer memory transfer = _lie(1 + (amount % 2_000), nonce, toHome);
        try (toHome ? home : far).deliver(transfer, CERTIFICATE) {
            if (toHome) liarTook += transfer.amount;
        } catch {}
    }

    function pause() external {
        home.setPaused(!home.paused(), home.sequence() + 1, 0, CERTIFICATE);
    }

    // What must be true

    function assertNothingIsPaidTwice() external view {
        for (uint256 i; i < transfers.length; ++i) {
            vm.assertTrue(paid[i] + refunded[i] <= 1);
        }
    }

    /// @dev On the wire, of what goes between the two: what is locked is what is minted, or on its way.
    function assertNothingIsLost() external view {
        uint256 out;
        uint256 back;
        for (uint256 i; i < transfers.length; ++i) {
            bool isOut = transfers[i].sourceContract == _padded(address(home));
            IBridge.Status status = _target(i).statusOf(Transfers.route(transfers[i]), transfers[i].nonce);
            bool isCounted = status == IBridge.Status.Paid || status == IBridge.Status.Queued;
            if (isCounted || refunded[i] != 0) continue;
            if (isOut) out += transfers[i].amount;
            else back += transfers[i].amount;
        }
        uint256 locked = home.tokenOf(home.idOf(uint64(block.chainid), _padded(address(far)), _padded(address(minted)))).balance;
        uint256 made = far.tokenOf(far.idOf(uint64(block.chainid), _padded(address(home)), _padded(address(token)))).balance;
        vm.assertEq(locked / HOME_UNIT, made / FAR_UNIT + out + back);
    }

    /// @dev Nor does the liar get more than it was given.
    function assertTheVaultHoldsWhatItOwes() external view {
        vm.assertTrue(liarTook <= liarGave);
        uint256 owed = home.tokenOf(home.idOf(LIAR_CHAIN, LIAR, "a")).balance;
        vm.assertEq(owed, (liarGave - liarTook) * HOME_UNIT);
        owed += home.tokenOf(home.idOf(uint64(block.chainid), _padded(address(far)), _padded(address(minted)))).balance;
        vm.assertTrue(token.balanceOf(address(home)) >= owed);
    }

    function isPaid(uint256 which) external view returns (bool) {
        return paid[which] == 1;
    }

    function _lie(uint256 amount, uint64 nonce, bool toHome) private view returns (Transfer memory transfer) {
        transfer.sourceChain = LIAR_CHAIN;
        transfer.sourceContract = LIAR;
        transfer.targetChain = uint64(block.chainid);
        transfer.targetContract = _padded(address(toHome ? home : far));
        transfer.nonce = nonce;
        transfer.receiver = abi.encodePacked(address(0x11a6));
        transfer.token = toHome ? bytes32("a") : bytes32("b");
        transfer.amount = amount;
        transfer.deadline = uint64(block.timestamp) + 1 days;
    }

    function _set(Bridge target, BridgeToken memory entry) private {
        target.announceToken(entry);
        target.setToken(entry);
    }

    function _target(uint256 which) private view returns (Bridge) {
        return Bridge(_address(transfers[which].targetContract));
    }

    /// @dev What the receiver of that transfer has of the token that it is paid in.
    function _held(uint256 which) private view returns (uint256) {
        bool isOut = transfers[which].targetContract == _padded(address(far));
        return IERC20(isOut ? address(minted) : address(token)).balanceOf(address(this));
    }

    function _address(bytes32 padded) private pure returns (address) {
        return address(uint160(uint256(padded)));
    }

    function _padded(address account) private pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }
}

contract BridgeInvariantTest is Fixture {
    BridgeCrowd internal crowd;

    function setUp() public override {
        crowd = new BridgeCrowd();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(crowd);
    }

    function invariant_nothingIsPaidTwice() external view {
        crowd.assertNothingIsPaidTwice();
    }

    function invariant_nothingIsLost() external view {
        crowd.assertNothingIsLost();
    }

    function invariant_theVaultHoldsWhatItOwes() external view {
        crowd.assertTheVaultHoldsWhatItOwes();
    }

    /// @dev The paths that matter can be taken.
    function test_theCrowdGetsThere() external {
        crowd.send(99, true, false);
        crowd.deliver(0);
        vm.assertTrue(crowd.isPaid(0));
        crowd.send(149, true, false);
        crowd.deliver(1);
        vm.assertFalse(crowd.isPaid(1));
        for (uint256 i; i < 4; ++i) crowd.pass(1 days - 1);
        crowd.release(1);
        vm.assertTrue(crowd.isPaid(1));
        crowd.send(49, false, false);
        crowd.close(2);
        crowd.deliver(2);
        vm.assertFalse(crowd.isPaid(2));
        crowd.refund(2);
        crowd.refund(2);
        vm.assertEq(crowd.refunded(2), 1);
        crowd.send(9, true, true);
        crowd.lie(10, 1, true);
        vm.assertEq(crowd.liarTook(), 0);
        crowd.lie(9, 1, true);
        vm.assertEq(crowd.liarTook(), 10);
        // What it has minted for nothing goes nowhere but back to it.
        crowd.lie(99, 1, false);
        crowd.assertNothingIsPaidTwice();
        crowd.assertNothingIsLost();
        crowd.assertTheVaultHoldsWhatItOwes();
    }
}
