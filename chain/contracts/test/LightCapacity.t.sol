// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {OperatorSet} from "../src/OperatorSets.sol";
import {LightFixture} from "./support/LightFixture.sol";

/// @notice The largest set fits into one transaction (EIP-7825), whoever signs it and in whichever form.
contract LightCapacityTest is LightFixture {
    uint256 internal constant TRANSACTION_GAS = 16_777_216;
    uint256 internal constant MOST = 500;

    LightStakeRegistry internal full;
    bytes32 internal digest;

    /// @dev Every key signed, which is more than anybody needs.
    function test_fiveHundredMembersInCompactForm() public {
        (Operator[] memory signers, OperatorSet memory next) = _prepare();
        bytes memory signatures = new bytes(MOST * 64);
        for (uint256 i; i < MOST; ++i) {
            _copy(_sign64(signers[i].secret, digest), signatures, i * 64);
        }
        bytes memory bitmap = new bytes(63);
        for (uint256 i; i < 62; ++i) {
            bitmap[i] = 0xff;
        }
        bitmap[62] = 0x0f;
        _install(next, abi.encodePacked(uint8(1), FIRST, bitmap, signatures));
    }

    function test_fiveHundredMembersInAbiForm() public {
        (Operator[] memory signers, OperatorSet memory next) = _prepare();
        _install(next, _certificate(signers, digest, FIRST));
    }

    function test_fiveHundredMembersAsAnchor() public {
        vm.chainId(HOME_CHAIN);
        full = _deployLight(_home(address(this), 1), FIRST, _fixedAt(FIRST), _firstSet());
        vm.warp(_expiryOf(FIRST) + 1);
        OperatorSet memory set = _largeSet(MOST);
        uint64 time = uint64(block.timestamp);
        full.announceAnchor(FIRST + 1, time, set);
        _checkGas(abi.encodeCall(full.announceAnchor, (FIRST + 1, time, set)));
        vm.warp(time + 1);
        full.anchor(FIRST + 1, time, set);
        _checkGas(abi.encodeCall(full.anchor, (FIRST + 1, time, set)));
    }

    function test_fiveHundredMembersAsFirstSet() public {
        OperatorSet memory set = _largeSet(MOST);
        uint64 time = _fixedAt(FIRST);
        full = new LightStakeRegistry(_home(address(0), 0), FIRST, time, _setHash(set));
        full.anchor(FIRST, time, set);
        _checkGas(abi.encodeCall(full.anchor, (FIRST, time, set)));
    }

    /// @dev Nothing of the code that deploys grows with the set (EIP-3860).
    function test_deploymentFits() public pure {
        vm.assertLt(type(LightStakeRegistry).creationCode.length + 10 * 32, 49_152);
    }

    /// @dev A registry that holds 500 members, and 500 others that come next.
    function _prepare() private returns (Operator[] memory signers, OperatorSet memory next) {
        signers = _operators(MOST);
        full = _light(FIRST, _setOfEqual(signers, type(uint96).max));
        next = _largeSet(MOST);
        digest = _updateDigest(full.domainSeparator(), FIRST, FIRST + 1, next);
    }

    function _install(OperatorSet memory next, bytes memory certificate) private {
        uint64 time = _fixedAt(FIRST + 1);
        full.updateEpoch(FIRST, FIRST + 1, time, next, certificate);
        _checkGas(abi.encodeCall(full.updateEpoch, (FIRST, FIRST + 1, time, next, certificate)));
        vm.assertEq(full.setHash(FIRST + 1), _setHash(next));
    }

    function _checkGas(bytes memory data) private view {
        vm.assertLt(_transactionGas(data, vm.lastCallGas().gasTotalUsed), TRANSACTION_GAS);
    }

    /// @dev With what its data costs, at least (EIP-7623).
    function _transactionGas(bytes memory data, uint256 execution) private pure returns (uint256) {
        uint256 tokens;
        for (uint256 i; i < data.length; ++i) {
            tokens += data[i] == 0 ? 1 : 4;
        }
        uint256 floor = 21_000 + 10 * tokens;
        uint256 used = 21_000 + 4 * tokens + execution;
        return used > floor ? used : floor;
    }

    function _copy(bytes memory from, bytes memory to, uint256 at) private pure {
        assembly ("memory-safe") {
            mcopy(add(add(to, 32), at), add(from, 32), mload(from))
        }
    }
}
