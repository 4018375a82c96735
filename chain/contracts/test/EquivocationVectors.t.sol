// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochUpdate, EpochUpdates} from "../src/EpochUpdates.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {Signatures} from "../src/Signatures.sol";
import {StateProof, StateProofs} from "../src/StateProofs.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice Evidence in bytes that other implementations are held to as well: slots, facts, digests, ids.
contract EquivocationVectorsTest is Fixture {
    string internal json;

    function setUp() public override {
        json = vm.readFile("test/vectors/equivocation.json");
    }

    /// @dev Stands in for the registry of the vectors.
    function domainSeparator() external view returns (bytes32) {
        return vm.parseJsonBytes32(json, ".domainSeparator");
    }

    function test_stateProofs() public view {
        string[2] memory places = [".stateProofs.first", ".stateProofs.second"];
        for (uint256 i; i < 2; ++i) {
            StateProof memory proof = _proof(places[i]);
            _check(".stateProofs", StateProofs.slot(proof));
            bytes32 digest = StateProofs.digest(IQuorumRegistry(address(this)), proof);
            _checkSigned(places[i], ".stateProofs.signingKey", StateProofs.fact(proof), digest);
        }
    }

    function test_epochUpdates() public view {
        string[2] memory places = [".epochUpdates.first", ".epochUpdates.second"];
        for (uint256 i; i < 2; ++i) {
            EpochUpdate memory update = EpochUpdate(
                uint32(_number(places[i], ".epoch")),
                uint32(_number(places[i], ".nextEpoch")),
                _word(places[i], ".setHash")
            );
            _check(".epochUpdates", EpochUpdates.slot(update));
            bytes32 digest = EpochUpdates.digest(this.domainSeparator(), update);
            _checkSigned(places[i], ".epochUpdates.signingKey", EpochUpdates.fact(update), digest);
        }
    }

    function isSigned(address key, bytes32 digest, bytes calldata signature) external view returns (bool) {
        return Signatures.isEcdsaBy(key, digest, signature);
    }

    function _proof(string memory place) private view returns (StateProof memory proof) {
        proof.user = vm.parseJsonAddress(json, string.concat(place, ".user"));
        proof.chainId = uint32(_number(place, ".chainId"));
        proof.blockNumber = uint64(_number(place, ".blockNumber"));
        proof.timestamp = uint48(_number(place, ".timestamp"));
        proof.epoch = uint32(_number(place, ".epoch"));
        proof.key = uint256(_word(place, ".key"));
        proof.value = uint256(_word(place, ".value"));
    }

    function _check(string memory evidence, bytes32 slot) private view {
        vm.assertEq(slot, _word(evidence, ".slot"));
        address operator = vm.parseJsonAddress(json, string.concat(evidence, ".operator"));
        vm.assertEq(keccak256(abi.encodePacked(slot, operator)), _word(evidence, ".id"));
    }

    function _checkSigned(string memory place, string memory key, bytes32 fact, bytes32 digest) private view {
        vm.assertEq(fact, _word(place, ".fact"));
        vm.assertEq(digest, _word(place, ".digest"));
        bytes memory signature = vm.parseJsonBytes(json, string.concat(place, ".signature"));
        vm.assertTrue(this.isSigned(vm.parseJsonAddress(json, key), digest, signature));
    }

    function _number(string memory place, string memory name) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(place, name));
    }

    function _word(string memory place, string memory name) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(place, name));
    }
}
