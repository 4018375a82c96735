// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {LightStakeRegistry} from "../../src/LightStakeRegistry.sol";
import {OperatorSet} from "../../src/OperatorSets.sol";
import {Fixture} from "./Fixture.sol";

/// @notice A light registry that begins with epoch 5: four operators with weights 40, 30, 20 and 10, total 100, threshold
/// 67. The other sets have other operators. It is the first block in which the set of epoch 6 is fixed.
/// @dev Here a set lives for three epochs, so the first one until the block in which that of epoch 8 is fixed.
abstract contract LightFixture is Fixture {
    bytes4 internal constant MAGIC = 0x1626ba7e;
    bytes32 internal constant DIGEST = keccak256("what is signed");
    uint32 internal constant FIRST = 5;
    uint64 internal constant HOME_CHAIN = 31337;
    uint64 internal constant OTHER_CHAIN = 10;

    Operator[] internal ops;
    LightStakeRegistry internal light;

    function setUp() public virtual override {
        super.setUp();
        Operator[] memory made = _operators(4);
        for (uint256 i; i < 4; ++i) {
            ops.push(made[i]);
        }
        _goToFixingOf(FIRST + 1);
        light = _light(FIRST, _firstSet());
        vm.chainId(OTHER_CHAIN);
    }

    function _goToFixingOf(uint32 epoch) internal {
        _rollTo(_fixedBlock(epoch));
    }

    function _expiryOf(uint32 epoch) internal pure returns (uint64) {
        return _fixedAt(epoch) + LIFETIME_SECONDS;
    }

    function _firstSet() internal view returns (OperatorSet memory) {
        uint256[] memory memberWeights = new uint256[](4);
        for (uint256 i; i < 4; ++i) {
            memberWeights[i] = 40 - 10 * i;
        }
        return _set(ops, memberWeights);
    }

    function _others(uint256 which) internal pure returns (Operator[] memory) {
        return _operators(3, 1000 * which);
    }

    /// @dev Weights 10, 20 and 30: threshold 41.
    function _otherSet(uint256 which) internal pure returns (OperatorSet memory) {
        uint256[] memory memberWeights = new uint256[](3);
        for (uint256 i; i < 3; ++i) {
            memberWeights[i] = 10 * (i + 1);
        }
        return _set(_others(which), memberWeights);
    }

    /// @dev Members with the largest weight, whose keys nobody has.
    function _largeSet(uint256 count) internal pure returns (OperatorSet memory set) {
        set.operators = new address[](count);
        set.signingKeys = new address[](count);
        set.weights = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            set.operators[i] = address(uint160((i + 1) << 150) | uint160(uint256(keccak256(abi.encode(i))) >> 106));
            set.signingKeys[i] = address(uint160(uint256(keccak256(abi.encode(i, "key")))));
            set.weights[i] = type(uint96).max;
        }
    }

    /// @dev A certificate by all of `signers`.
    function _endorse(
        LightStakeRegistry target,
        Operator[] memory signers,
        uint32 epoch,
        uint32 nextEpoch,
        uint64 time,
        OperatorSet memory set
    ) internal view returns (bytes memory) {
        bytes32 digest = _updateDigest(target.domainSeparator(), epoch, nextEpoch, time, set);
        return _compact(signers, (1 << signers.length) - 1, digest, epoch);
    }

    /// @dev With the time at which the set of `nextEpoch` is fixed.
    function _endorse(
        LightStakeRegistry target,
        Operator[] memory signers,
        uint32 epoch,
        uint32 nextEpoch,
        OperatorSet memory set
    ) internal view returns (bytes memory) {
        return _endorse(target, signers, epoch, nextEpoch, _fixedAt(nextEpoch), set);
    }

    function _update(Operator[] memory signers, uint32 epoch, uint32 nextEpoch, OperatorSet memory set) internal {
        _update(signers, epoch, nextEpoch, _fixedAt(nextEpoch), set);
    }

    function _update(
        Operator[] memory signers,
        uint32 epoch,
        uint32 nextEpoch,
        uint64 time,
        OperatorSet memory set
    ) internal {
        bytes memory certificate = _endorse(light, signers, epoch, nextEpoch, time, set);
        light.updateEpoch(epoch, nextEpoch, time, set, certificate);
    }

    function _refuseUpdate(
        Operator[] memory signers,
        uint32 epoch,
        uint32 nextEpoch,
        uint64 time,
        OperatorSet memory set,
        bytes memory reason
    ) internal {
        bytes memory certificate = _endorse(light, signers, epoch, nextEpoch, time, set);
        vm.expectRevert(reason);
        light.updateEpoch(epoch, nextEpoch, time, set, certificate);
    }

    function _refuseUpdate(
        Operator[] memory signers,
        uint32 epoch,
        uint32 nextEpoch,
        OperatorSet memory set,
        bytes memory reason
    ) internal {
        _refuseUpdate(signers, epoch, nextEpoch, _fixedAt(nextEpoch), set, reason);
    }

    function _accept(bytes memory certificate) internal view {
        vm.assertEq(bytes32(light.isValidSignature(DIGEST, certificate)), bytes32(MAGIC));
    }

    function _refuse(bytes memory certificate, bytes4 selector) internal {
        _refuse(certificate, abi.encodeWithSelector(selector));
    }

    function _refuse(bytes memory certificate, bytes memory reason) internal {
        vm.expectRevert(reason);
        light.isValidSignature(DIGEST, certificate);
    }

    /// @dev In both forms, by all members of the set of `epoch`.
    function _acceptBoth(Operator[] memory members, uint32 epoch) internal view {
        _accept(_compact(members, (1 << members.length) - 1, DIGEST, epoch));
        _accept(_certificate(members, DIGEST, epoch));
    }

    function _refuseBoth(Operator[] memory members, uint32 epoch, bytes memory reason) internal {
        _refuse(_compact(members, (1 << members.length) - 1, DIGEST, epoch), reason);
        _refuse(_certificate(members, DIGEST, epoch), reason);
    }

    function _expired(uint32 epoch) internal pure returns (bytes memory) {
        return abi.encodeWithSignature("CertificateExpired(uint32)", epoch);
    }
}
