// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochUpdate, EpochUpdates, OperatorSet} from "../src/EpochUpdates.sol";
import {LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice Hashes, and one hand-over in bytes that other implementations are held to as well: the set of one epoch,
/// with its secrets, names the next one.
contract EpochUpdatesTest is Fixture {
    string internal json;
    Operator[] internal ops;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("test/vectors/epoch-update.json");
    }

    function testFuzz_hashesFollowTheirDefinition(bytes32 domain, EpochUpdate memory update) public pure {
        bytes32 typehash = keccak256("EpochUpdate(uint32 epoch,uint32 nextEpoch,bytes32 setHash)");
        bytes32 content = keccak256(abi.encode(typehash, update.epoch, update.nextEpoch, update.setHash));
        vm.assertEq(EpochUpdates.digest(domain, update), keccak256(abi.encodePacked(hex"1901", domain, content)));
    }

    function testFuzz_setHashFollowsItsDefinition(OperatorSet memory set) public pure {
        vm.assertEq(EpochUpdates.setHash(set), _setHash(set));
    }

    function test_setHashVectors() public view {
        vm.assertEq(EpochUpdates.setHash(_vectorSet(".set")), vm.parseJsonBytes32(json, ".set.setHash"));
        vm.assertEq(EpochUpdates.setHash(_vectorSet(".next")), vm.parseJsonBytes32(json, ".next.setHash"));
    }

    function test_digestVector() public view {
        bytes32 domain = vm.parseJsonBytes32(json, ".domainSeparator");
        EpochUpdate memory update = EpochUpdate(_epoch(), _nextEpoch(), vm.parseJsonBytes32(json, ".next.setHash"));
        vm.assertEq(EpochUpdates.digest(domain, update), vm.parseJsonBytes32(json, ".digest"));
    }

    function test_certificateVectors() public {
        bytes32 digest = vm.parseJsonBytes32(json, ".digest");
        Operator[] memory members = _vectorOperators(".set");
        vm.assertEq(_compact(members, _signers(), digest, _epoch()), vm.parseJsonBytes(json, ".compact"));
        Operator[] memory signers = _chosen(members, _signers());
        vm.assertEq(_certificate(signers, digest, _epoch()), vm.parseJsonBytes(json, ".abi"));
    }

    function test_theVectorIsAccepted() public {
        LightStakeRegistry light = _vectorRegistry();
        vm.assertEq(light.domainSeparator(), vm.parseJsonBytes32(json, ".domainSeparator"));
        vm.assertEq(light.setHash(_epoch()), vm.parseJsonBytes32(json, ".set.setHash"));
        light.updateEpoch(_epoch(), _nextEpoch(), _vectorSet(".next"), vm.parseJsonBytes(json, ".compact"));
        vm.assertEq(light.setHash(_nextEpoch()), vm.parseJsonBytes32(json, ".next.setHash"));

        light = _vectorRegistry();
        light.updateEpoch(_epoch(), _nextEpoch(), _vectorSet(".next"), vm.parseJsonBytes(json, ".abi"));
        vm.assertEq(light.newestEpoch(), _nextEpoch());
    }

    function _vectorRegistry() private returns (LightStakeRegistry) {
        uint64 chain = uint64(vm.parseJsonUint(json, ".homeChainId"));
        address home = vm.parseJsonAddress(json, ".homeRegistry");
        return new LightStakeRegistry(chain, home, _epoch(), _vectorSet(".set"));
    }

    function _epoch() private view returns (uint32) {
        return uint32(vm.parseJsonUint(json, ".epoch"));
    }

    function _nextEpoch() private view returns (uint32) {
        return uint32(vm.parseJsonUint(json, ".nextEpoch"));
    }

    /// @dev As a number with a bit for each.
    function _signers() private view returns (uint256 bits) {
        uint256[] memory indices = vm.parseJsonUintArray(json, ".signers");
        for (uint256 i; i < indices.length; ++i) {
            bits |= 1 << indices[i];
        }
    }

    function _vectorSet(string memory at) private view returns (OperatorSet memory set) {
        set.operators = vm.parseJsonAddressArray(json, string.concat(at, ".operators"));
        set.signingKeys = vm.parseJsonAddressArray(json, string.concat(at, ".signingKeys"));
        set.ed25519Keys = vm.parseJsonBytes32Array(json, string.concat(at, ".ed25519Keys"));
        set.weights = vm.parseJsonUintArray(json, string.concat(at, ".weights"));
        set.threshold = vm.parseJsonUint(json, string.concat(at, ".threshold"));
    }

    function _vectorOperators(string memory at) private returns (Operator[] memory) {
        OperatorSet memory set = _vectorSet(at);
        uint256[] memory secrets = vm.parseJsonUintArray(json, string.concat(at, ".secrets"));
        for (uint256 i; i < secrets.length; ++i) {
            vm.assertEq(vm.addr(secrets[i]), set.signingKeys[i]);
            ops.push(Operator(set.operators[i], secrets[i], set.signingKeys[i], 0, set.ed25519Keys[i]));
        }
        return ops;
    }
}
