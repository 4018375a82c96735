// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Fixture} from "./Fixture.sol";

/// @notice Four operators with weights 40, 30, 20 and 10 in account order: total 100, threshold 67.
abstract contract CertificateFixture is Fixture {
    bytes4 internal constant MAGIC = 0x1626ba7e;
    bytes32 internal constant DIGEST = keccak256("what is signed");
    uint32 internal constant EPOCH = 1;

    Operator[] internal ops;

    function setUp() public virtual override {
        super.setUp();
        Operator[] memory made = _operators(4);
        for (uint256 i; i < 4; ++i) {
            ops.push(made[i]);
            _registerWithWeight(made[i], 40 - 10 * i);
        }
        _goTo(EPOCH, 0);
        vm.assertEq(registry.getThresholdStake(EPOCH), 67);
    }

    function _accept(bytes memory certificate) internal view {
        vm.assertEq(bytes32(registry.isValidSignature(DIGEST, certificate)), bytes32(MAGIC));
    }

    function _refuse(bytes memory certificate, bytes4 selector) internal {
        vm.expectRevert(selector);
        registry.isValidSignature(DIGEST, certificate);
    }

    function _refuse(bytes memory certificate, bytes memory reason) internal {
        vm.expectRevert(reason);
        registry.isValidSignature(DIGEST, certificate);
    }

    /// @dev In both forms, by those of all four whose bits are set; the set of `epoch` is sealed.
    function _acceptBoth(uint256 signers, uint32 epoch) internal view {
        _accept(_certificate(_chosen(ops, signers), DIGEST, epoch));
        _accept(_compact(ops, signers, DIGEST, epoch));
    }

    function _refuseBoth(uint256 signers, uint32 epoch, bytes memory reason) internal {
        _refuse(_certificate(_chosen(ops, signers), DIGEST, epoch), reason);
        _refuse(_compact(ops, signers, DIGEST, epoch), reason);
    }

    /// @dev From the next epoch on that is not fixed.
    function _moveKey(Operator memory op, uint256 secret) internal {
        address key = vm.addr(secret);
        bytes memory proof = _sign(secret, _registrationDigest(registry, op.account, key));
        vm.prank(op.account);
        registry.updateSigningKey(key, proof);
    }
}
