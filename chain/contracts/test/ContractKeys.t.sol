// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Certificates} from "../src/Certificates.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {CertificateFixture} from "./support/CertificateFixture.sol";

/// @notice Says yes to everything, by EIP-1271 and otherwise.
contract YesSayer {
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        return 0x1626ba7e;
    }

    fallback() external {
        assembly ("memory-safe") {
            mstore(0, 1)
            return(0, 32)
        }
    }
}

/// @notice What contracts answer for a signing key counts nowhere: not on the home chain, nor on others, where somebody else
/// may have the contract at that address.
contract ContractKeysTest is CertificateFixture {
    LightStakeRegistry internal light;
    address internal yes;

    function setUp() public override {
        super.setUp();
        registry.sealEpoch(EPOCH, _accounts(ops));
        uint256[] memory memberWeights = new uint256[](4);
        for (uint256 i; i < 4; ++i) {
            memberWeights[i] = 40 - 10 * i;
        }
        light = _light(EPOCH, _set(ops, memberWeights));
        yes = address(new YesSayer());
    }

    function test_contractsAtAKeyCountNothing() public {
        vm.etch(ops[0].signingKey, yes.code);
        _refuseWhatTheKeyDidNotSign();
    }

    /// @dev EIP-7702: an account that has delegated to a contract.
    function test_delegatedKeysCountNothing() public {
        vm.etch(ops[0].signingKey, abi.encodePacked(hex"ef0100", yes));
        vm.assertEq(bytes32(IQuorumRegistry(ops[0].signingKey).isValidSignature(0, "")), bytes32(MAGIC));
        _refuseWhatTheKeyDidNotSign();
    }

    /// @dev Code makes no key worse: otherwise whoever can set the code of an address could silence its operator.
    function test_theirOwnSignaturesStillCount() public {
        bytes[2] memory codes = [yes.code, abi.encodePacked(hex"ef0100", yes)];
        for (uint256 i; i < codes.length; ++i) {
            vm.etch(ops[0].signingKey, codes[i]);
            _acceptAtBoth(_certificate(_first(ops, 2), DIGEST, EPOCH));
            _acceptAtBoth(_compact(ops, 0x3, DIGEST, EPOCH));
        }
    }

    function test_contractsAreNoSigningKeys() public {
        Operator memory op = _operator(77);
        op.signingKey = yes;
        weights.set(op.account, 100);
        bytes[4] memory proofs = [bytes(""), new bytes(65), _keyProof(op), hex"01"];
        for (uint256 i; i < proofs.length; ++i) {
            vm.prank(op.account);
            vm.expectRevert(IStakeRegistry.InvalidSigningKeyProof.selector);
            registry.registerOperator(yes, proofs[i]);
            vm.prank(ops[0].account);
            vm.expectRevert(IStakeRegistry.InvalidSigningKeyProof.selector);
            registry.updateSigningKey(yes, proofs[i]);
        }
    }

    /// @dev A light registry takes any key that a quorum names; such a one signs nothing.
    function test_contractsInALightSetSignNothing() public {
        Operator[] memory members = ops;
        members[0].signingKey = yes;
        light = _light(EPOCH, _setOfEqual(members, 10));
        _refuseAt(light, _certificate(members, DIGEST, EPOCH), IQuorumRegistry.InvalidSignature.selector);
        _refuseAt(light, _compact(members, 0xf, DIGEST, EPOCH), IQuorumRegistry.InvalidSignature.selector);
        light.isValidSignature(DIGEST, _certificate(_chosen(members, 0xe), DIGEST, EPOCH));
        light.isValidSignature(DIGEST, _compact(members, 0xe, DIGEST, EPOCH));
    }

    function _refuseWhatTheKeyDidNotSign() private {
        Operator[] memory forged = ops;
        forged[0].secret = 1234;
        _refuseAtBoth(_certificate(_first(forged, 2), DIGEST, EPOCH), IQuorumRegistry.InvalidSignature.selector);
        _refuseAtBoth(_compact(forged, 0x3, DIGEST, EPOCH), IQuorumRegistry.InvalidSignature.selector);

        bytes[] memory signatures = _signatures(ops, DIGEST);
        signatures[0] = new bytes(65);
        _refuseAtBoth(abi.encode(_accounts(ops), signatures, EPOCH), IQuorumRegistry.InvalidSignature.selector);
        // What is as long as a signature in the encoding, and what is not.
        signatures[0] = new bytes(96);
        _refuseAtBoth(abi.encode(_accounts(ops), signatures, EPOCH), IQuorumRegistry.InvalidSignature.selector);
        signatures[0] = "";
        bytes memory short = abi.encode(_accounts(ops), signatures, EPOCH);
        _refuseAtBoth(short, Certificates.MalformedCertificate.selector);
        bytes memory filled = abi.encodePacked(short, new bytes(96));
        _refuseAtBoth(filled, IQuorumRegistry.InvalidSignature.selector);
    }

    function _acceptAtBoth(bytes memory certificate) private view {
        _accept(certificate);
        vm.assertEq(bytes32(light.isValidSignature(DIGEST, certificate)), bytes32(MAGIC));
    }

    function _refuseAtBoth(bytes memory certificate, bytes4 selector) private {
        _refuse(certificate, selector);
        _refuseAt(light, certificate, selector);
    }

    function _refuseAt(IQuorumRegistry target, bytes memory certificate, bytes4 selector) private {
        vm.expectRevert(selector);
        target.isValidSignature(DIGEST, certificate);
    }
}
