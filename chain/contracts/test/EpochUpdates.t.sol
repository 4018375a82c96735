// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochUpdate, EpochUpdates} from "../src/EpochUpdates.sol";
import {Home, LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {OperatorSet, OperatorSets} from "../src/OperatorSets.sol";
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

    function testFuzz_digestFollowsItsDefinition(bytes32 domain, uint32 epoch, uint32 nextEpoch, uint64 time) public view {
        OperatorSet memory set = _vectorSet(".next");
        EpochUpdate memory update = EpochUpdate(epoch, nextEpoch, time, _setHash(set));
        vm.assertEq(EpochUpdates.digest(domain, update), _updateDigest(domain, epoch, nextEpoch, time, set));
    }

    function test_setHashVectors() public view {
        string[2] memory places = [".set", ".next"];
        for (uint256 i; i < 2; ++i) {
            OperatorSet memory set = _vectorSet(places[i]);
            bytes32 expected = vm.parseJsonBytes32(json, string.concat(places[i], ".setHash"));
            vm.assertEq(OperatorSets.hash(set, OperatorSets.check(set)), expected);
            vm.assertEq(_setHash(set), expected);
        }
    }

    function test_digestVector() public view {
        bytes32 domain = vm.parseJsonBytes32(json, ".domainSeparator");
        bytes32 setHash = vm.parseJsonBytes32(json, ".next.setHash");
        EpochUpdate memory update = EpochUpdate(_epoch(), _nextEpoch(), _time(), setHash);
        vm.assertEq(EpochUpdates.slot(update), vm.parseJsonBytes32(json, ".slot"));
        vm.assertEq(EpochUpdates.fact(update), vm.parseJsonBytes32(json, ".fact"));
        vm.assertEq(EpochUpdates.digest(domain, update), vm.parseJsonBytes32(json, ".digest"));
        bytes memory task = abi.encodePacked(uint8(3), _epoch(), _nextEpoch(), setHash, _time());
        vm.assertEq(keccak256(task), vm.parseJsonBytes32(json, ".taskId"));
    }

    function test_certificateVectors() public {
        bytes32 digest = vm.parseJsonBytes32(json, ".digest");
        Operator[] memory members = _vectorOperators(".set");
        vm.assertEq(_compact(members, _signers(), digest, _epoch()), vm.parseJsonBytes(json, ".compact"));
        Operator[] memory signers = _chosen(members, _signers());
        vm.assertEq(_certificate(signers, digest, _epoch()), vm.parseJsonBytes(json, ".abi"));
    }

    function test_theVectorIsAccepted() public {
        vm.warp(_time());
        LightStakeRegistry light = _vectorRegistry();
        vm.assertEq(light.domainSeparator(), vm.parseJsonBytes32(json, ".domainSeparator"));
        vm.assertEq(light.setHash(_epoch()), vm.parseJsonBytes32(json, ".set.setHash"));
        bytes memory compact = vm.parseJsonBytes(json, ".compact");
        light.updateEpoch(_epoch(), _nextEpoch(), _time(), _vectorSet(".next"), compact);
        vm.assertEq(light.setHash(_nextEpoch()), vm.parseJsonBytes32(json, ".next.setHash"));

        light = _vectorRegistry();
        bytes memory listed = vm.parseJsonBytes(json, ".abi");
        light.updateEpoch(_epoch(), _nextEpoch(), _time(), _vectorSet(".next"), listed);
        vm.assertEq(light.newestEpoch(), _nextEpoch());
    }

    function _vectorRegistry() private returns (LightStakeRegistry) {
        Home memory home = _home(address(0), 0);
        home.chainId = uint64(vm.parseJsonUint(json, ".homeChainId"));
        home.registry = vm.parseJsonAddress(json, ".homeRegistry");
        home.lifetime = 2 days;
        uint64 time = uint64(vm.parseJsonUint(json, ".set.time"));
        return _deployLight(home, _epoch(), time, _vectorSet(".set"));
    }

    function _epoch() private view returns (uint32) {
        return uint32(vm.parseJsonUint(json, ".epoch"));
    }

    function _nextEpoch() private view returns (uint32) {
        return uint32(vm.parseJsonUint(json, ".nextEpoch"));
    }

    /// @dev When the set of the next epoch was fixed.
    function _time() private view returns (uint64) {
        return uint64(vm.parseJsonUint(json, ".next.time"));
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
        set.weights = vm.parseJsonUintArray(json, string.concat(at, ".weights"));
    }

    function _vectorOperators(string memory at) private returns (Operator[] memory) {
        OperatorSet memory set = _vectorSet(at);
        uint256[] memory secrets = vm.parseJsonUintArray(json, string.concat(at, ".secrets"));
        for (uint256 i; i < secrets.length; ++i) {
            vm.assertEq(vm.addr(secrets[i]), set.signingKeys[i]);
            ops.push(Operator(set.operators[i], secrets[i], set.signingKeys[i]));
        }
        return ops;
    }
}
