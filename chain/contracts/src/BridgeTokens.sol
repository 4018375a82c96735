// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IBridge} from "./IBridge.sol";
import {Transfers} from "./Transfers.sol";

/// @notice How tokens are taken and paid.
enum Mode {
    None,
    /// Taken into the bridge and paid out of it.
    Lock,
    /// Burned and minted.
    Mint
}

/// @notice A token that goes to and fro between this bridge and a peer.
/// @dev `peerToken` is what the peer calls it, `token` what it is here; zero is native coin. One of the wire's units is
/// `unit` of the token here. Limits are in units of the token here, and on what is paid here.
struct BridgeToken {
    uint64 peerChain;
    bytes32 peerContract;
    bytes32 peerToken;
    address token;
    Mode mode;
    uint80 unit;
    uint104 perTransfer;
    uint104 perWindow;
}

/// @notice A token with its limits, and what was moved of it.
/// @dev Three words, so that a delivery reads and writes few.
struct Entry {
    address token;
    Mode mode;
    bool isOpen;
    uint80 unit;
    uint104 perTransfer;
    uint104 perWindow;
    // What is locked here for the way back, or was minted here and may be burned again.
    uint112 balance;
    // How full the window was at `usedAt`.
    uint104 used;
    uint40 usedAt;
}

/// @title Which tokens go where, and how much of them
/// @notice By an owner who can brake at once and widen only after a public delay: what is to be opened, and limits that are
/// to rise, are announced first. Where a token goes, in which mode and unit, is written once and for ever.
///
/// **What a route can lose** is what came in on it. Locked tokens are counted per peer and token, and so are minted ones: the
/// peer that lies can pay out, or have burned, no more than others brought in the same way.
///
/// **Limits.** A transfer of more than `perTransfer` is paid after a delay. The others fill a window that holds `perWindow`
/// and leaks as much in {WINDOW}, steadily: `perWindow` at once at most, and twice that in any span of {WINDOW}. What finds no
/// room waits for it, but not longer than the delay. The leak is rounded down, by less than one unit per payment.
abstract contract BridgeTokens is Ownable2Step {
    using SafeCast for uint256;

    /// @notice What is announced for a token.
    struct Announcement {
        bytes32 hash;
        uint64 from;
    }

    /// @notice Seconds in which a full window is empty again.
    uint256 public constant WINDOW = 1 days;
    /// @notice Seconds between an announcement and its effect. As short as the deployer likes: at least a day where anything is
    /// at stake, none for a demonstration.
    uint64 public immutable delay;

    /// @notice What is announced for the token with this id.
    mapping(bytes32 id => Announcement) public announced;
    mapping(bytes32 id => Entry) private _entries;
    /// @dev Ids by the route to the peer.
    mapping(bytes32 route => mapping(address token => bytes32 id)) private _ids;

    /// @notice From the time `from` on anybody can have this set.
    event TokenAnnounced(bytes32 indexed id, BridgeToken token, uint64 from);
    /// @notice The announcement is void.
    event AnnouncementWithdrawn(bytes32 indexed id);
    /// @notice The token goes, with these limits.
    event TokenSet(bytes32 indexed id, BridgeToken token);
    /// @notice The limits are lower.
    event LimitsLowered(bytes32 indexed id, uint104 perTransfer, uint104 perWindow);
    /// @notice The token goes no more: it is neither taken nor paid, only refunded.
    event TokenRemoved(bytes32 indexed id);

    /// @notice A token needs a peer, a mode, a unit, a limit per transfer that is at most that per window, and code unless it
    /// is native coin, which cannot be minted.
    error InvalidToken();
    /// @notice This is not what was announced, or the delay is not over.
    error NotAnnounced();
    /// @notice What this token is here was written before, or this token here is another one for that peer.
    error AlreadySet();
    /// @notice Limits that rise have to be announced.
    error NotLower();

    constructor(address owner, uint64 delaySeconds) Ownable(owner) {
        delay = delaySeconds;
    }

    /// @notice Announces a new token, higher limits, or that a removed token goes again. One announcement per token: another
    /// replaces it, and it is void once limits are lowered or the token is removed. For the owner.
    function announceToken(BridgeToken calldata token) external onlyOwner {
        bool isNative = token.token == address(0);
        bool isFit = isNative ? token.mode == Mode.Lock : token.mode != Mode.None && token.token.code.length > 0;
        bool isPeer = token.peerChain != 0 && token.peerContract != 0;
        if (!isFit || !isPeer || token.unit == 0 || token.perTransfer > token.perWindow) revert InvalidToken();
        bytes32 id = _idOf(token);
        uint64 from = uint64(block.timestamp) + delay;
        announced[id] = Announcement(keccak256(abi.encode(token)), from);
        emit TokenAnnounced(id, token, from);
    }

    /// @notice Takes an announcement back. For the owner.
    function withdrawAnnouncement(bytes32 id) external onlyOwner {
        _withdraw(id);
    }

    /// @notice Does what was announced, once the delay is over. Anybody may call.
    function setToken(BridgeToken calldata token) external {
        bytes32 id = _idOf(token);
        Announcement memory announcement = announced[id];
        if (announcement.hash != keccak256(abi.encode(token))) revert NotAnnounced();
        if (block.timestamp < announcement.from) revert NotAnnounced();
        delete announced[id];

        Entry storage entry = _entries[id];
        if (entry.mode == Mode.None) {
            bytes32 route = _routeTo(token.peerChain, token.peerContract);
            if (_ids[route][token.token] != 0) revert AlreadySet();
            _ids[route][token.token] = id;
            (entry.token, entry.mode, entry.unit) = (token.token, token.mode, token.unit);
        } else if (entry.token != token.token || entry.mode != token.mode || entry.unit != token.unit) {
            revert AlreadySet();
        }
        entry.isOpen = true;
        (entry.perTransfer, entry.perWindow) = (token.perTransfer, token.perWindow);
        emit TokenSet(id, token);
    }

    /// @notice Lowers one limit or both, at once. With zero, everything waits for its delay. For the owner.
    function lowerLimits(bytes32 id, uint104 perTransfer, uint104 perWindow) external onlyOwner {
        Entry storage entry = _open(id);
        bool isLower = perTransfer <= entry.perTransfer && perWindow <= entry.perWindow;
        if (!isLower || perTransfer > perWindow) revert NotLower();
        (entry.perTransfer, entry.perWindow) = (perTransfer, perWindow);
        _withdraw(id);
        emit LimitsLowered(id, perTransfer, perWindow);
    }

    /// @notice Stops a token at once: it is neither taken nor paid, queued or not, until it is announced and set again. What was
    /// sent from here can still be refunded. For the owner.
    function removeToken(bytes32 id) external onlyOwner {
        _open(id).isOpen = false;
        _withdraw(id);
        emit TokenRemoved(id);
    }

    /// @notice Id of what a peer calls `peerToken`.
    function idOf(uint64 peerChain, bytes32 peerContract, bytes32 peerToken) public view returns (bytes32) {
        return _idOf(_routeFrom(peerChain, peerContract), peerToken);
    }

    /// @notice All about the token with this id; `mode` is {Mode-None} if there is none.
    function tokenOf(bytes32 id) external view returns (Entry memory) {
        return _entries[id];
    }

    /// @notice How much the window of the token with this id has room for now.
    function roomOf(bytes32 id) external view returns (uint256) {
        Entry storage entry = _entries[id];
        uint256 used = _usedNow(entry, entry.perWindow);
        return used < entry.perWindow ? entry.perWindow - used : 0;
    }

    /// @dev Reverts if the token does not go.
    function _open(bytes32 id) internal view returns (Entry storage entry) {
        entry = _entries[id];
        if (!entry.isOpen) revert IBridge.UnknownToken(id);
    }

    /// @dev Id of `token` on the way to a peer; zero if it was never set.
    function _idTo(bytes32 route, address token) internal view returns (bytes32) {
        return _ids[route][token];
    }

    /// @dev Id of `token` on the way from a peer.
    function _idOf(bytes32 route, bytes32 token) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(route, token));
    }

    /// @dev For a token that was removed as well.
    function _entry(bytes32 id) internal view returns (Entry storage) {
        return _entries[id];
    }

    /// @dev Amount of the token's own units on the wire; reverts if there is dust.
    function _toWire(Entry storage entry, uint256 amount) internal view returns (uint256) {
        uint256 unit = entry.unit;
        if (amount == 0 || amount % unit != 0 || amount > type(uint112).max) revert IBridge.InvalidAmount(unit);
        return amount / unit;
    }

    /// @dev Amount of the wire in the token's own units.
    function _fromWire(Entry storage entry, uint256 amount) internal view returns (uint256) {
        uint256 unit = entry.unit;
        if (amount > type(uint112).max / unit) revert IBridge.InvalidAmount(unit);
        return amount * unit;
    }

    /// @dev Counts what comes in to this bridge.
    function _countIn(Entry storage entry, uint256 amount) internal {
        _count(entry, amount, entry.mode == Mode.Lock);
    }

    /// @dev Counts what goes out of it.
    function _countOut(Entry storage entry, uint256 amount) internal {
        _count(entry, amount, entry.mode == Mode.Mint);
    }

    /// @dev Whether `amount` may be paid at once; if so, it fills the window.
    function _takeRoom(Entry storage entry, uint256 amount) internal returns (bool) {
        (uint256 perTransfer, uint256 perWindow) = (entry.perTransfer, entry.perWindow);
        if (amount > perTransfer) return false;
        uint256 used = _usedNow(entry, perWindow) + amount;
        if (used > perWindow) return false;
        (entry.used, entry.usedAt) = (uint104(used), uint40(block.timestamp));
        return true;
    }

    function _routeTo(uint64 peerChain, bytes32 peerContract) internal view returns (bytes32) {
        return Transfers.route(uint64(block.chainid), _self(), peerChain, peerContract);
    }

    function _routeFrom(uint64 peerChain, bytes32 peerContract) internal view returns (bytes32) {
        return Transfers.route(peerChain, peerContract, uint64(block.chainid), _self());
    }

    /// @dev This contract as others name it.
    function _self() internal view returns (bytes32) {
        return _padded(address(this));
    }

    function _padded(address account) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }

    /// @dev What is locked grows by what comes in, what is minted by what goes out; neither falls below zero.
    function _count(Entry storage entry, uint256 amount, bool grows) private {
        uint256 balance = entry.balance;
        if (grows) {
            entry.balance = (balance + amount).toUint112();
        } else {
            if (amount > balance) revert IBridge.RouteShort(balance);
            entry.balance = uint112(balance - amount);
        }
    }

    function _usedNow(Entry storage entry, uint256 perWindow) private view returns (uint256) {
        (uint256 used, uint256 usedAt) = (entry.used, entry.usedAt);
        uint256 leaked = ((block.timestamp - usedAt) * perWindow) / WINDOW;
        return leaked < used ? used - leaked : 0;
    }

    function _withdraw(bytes32 id) private {
        if (announced[id].hash == 0) return;
        delete announced[id];
        emit AnnouncementWithdrawn(id);
    }

    function _idOf(BridgeToken calldata token) private view returns (bytes32) {
        return idOf(token.peerChain, token.peerContract, token.peerToken);
    }
}
