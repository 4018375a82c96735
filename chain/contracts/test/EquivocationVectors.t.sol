// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Attestations, SignedAttestation} from "../src/Attestations.sol";
import {ChainDirectory} from "../src/ChainDirectory.sol";
import {EpochManager} from "../src/EpochManager.sol";
import {EpochUpdate, EpochUpdates} from "../src/EpochUpdates.sol";
import {IEquivocationJudge} from "../src/IEquivocationJudge.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {OwnerSlashingDecider} from "../src/OwnerSlashingDecider.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {StateProof, StateProofs} from "../src/StateProofs.sol";
import {FakeWeights, Fixture} from "./support/Fixture.sol";

/// @notice Evidence in bytes that other implementations are held to as well: slots, facts, digests, ids, signatures. Each
/// pair convicts its operator at a judge whose registry is where the vectors say.
contract EquivocationVectorsTest is Fixture {
    /// @dev Whose first contract has the address of the vectors' registry.
    address internal constant DEPLOYER = 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266;

    string internal json;

    function setUp() public override {
        json = vm.readFile("test/vectors/equivocation.json");
        vm.chainId(vm.parseJsonUint(json, ".homeChainId"));
        _goTo(0, 0);
        epochs = new EpochManager(LENGTH, GRACE);
        directory = new ChainDirectory(address(this));
        decider = new OwnerSlashingDecider(address(this));
        address place = vm.parseJsonAddress(json, ".homeRegistry");
        weights = new FakeWeights(place, REACH, REACH * BLOCK_SECONDS, 0);
        vm.prank(DEPLOYER);
        registry = new StakeRegistry(epochs, weights, MINIMUM, decider, directory);
        vm.assertEq(address(registry), place);

        _registerWithWeight(_member(2), 30);
        _registerWithWeight(_member(4), 10);
        _goTo(1, 0);
        // In epoch 2 operator 4 has another key.
        Operator memory renewed = _member(4);
        renewed.secret = _secret(0x44);
        renewed.signingKey = vm.addr(renewed.secret);
        bytes memory proof = _keyProof(renewed);
        vm.prank(renewed.account);
        registry.updateSigningKey(renewed.signingKey, proof);
        _goTo(2, 0);
    }

    function test_domain() public view {
        vm.assertEq(_domainSeparator(registry), vm.parseJsonBytes32(json, ".domainSeparator"));
        vm.assertEq(registry.domainSeparator(), vm.parseJsonBytes32(json, ".domainSeparator"));
    }

    function test_stateProofs() public {
        string[2] memory places = [".stateProofs.first", ".stateProofs.second"];
        for (uint256 i; i < 2; ++i) {
            StateProof memory proof = _proof(places[i]);
            vm.assertEq(StateProofs.slot(proof), _word(".stateProofs", ".slot"));
            vm.assertEq(StateProofs.fact(proof), _word(places[i], ".fact"));
            bytes32 digest = StateProofs.digest(IQuorumRegistry(registry), proof);
            vm.assertEq(digest, _word(places[i], ".digest"));
        }
        _convict(".stateProofs");
    }

    function test_epochUpdates() public {
        string[2] memory places = [".epochUpdates.first", ".epochUpdates.second"];
        for (uint256 i; i < 2; ++i) {
            EpochUpdate memory update = EpochUpdate(
                uint32(_number(places[i], ".epoch")),
                uint32(_number(places[i], ".nextEpoch")),
                uint64(_number(places[i], ".time")),
                _word(places[i], ".setHash")
            );
            vm.assertEq(EpochUpdates.slot(update), _word(".epochUpdates", ".slot"));
            vm.assertEq(EpochUpdates.fact(update), _word(places[i], ".fact"));
            vm.assertEq(EpochUpdates.digest(registry.domainSeparator(), update), _word(places[i], ".digest"));
        }
        _convict(".epochUpdates");
    }

    function test_acrossKeys() public {
        vm.assertFalse(_key(".acrossKeys.first") == _key(".acrossKeys.second"));
        _convict(".acrossKeys");
    }

    /// @dev There is no statement, only what is signed.
    function test_unknownKind() public {
        _convict(".unknownKind");
    }

    function _convict(string memory place) private {
        string memory first = string.concat(place, ".first");
        string memory second = string.concat(place, ".second");
        address operator = vm.parseJsonAddress(json, string.concat(place, ".operator"));
        bytes32 slot = _word(place, ".slot");
        vm.assertEq(keccak256(abi.encodePacked(slot, operator)), _word(place, ".id"));
        // The lower fact is the first.
        vm.assertLt(uint256(_word(first, ".fact")), uint256(_word(second, ".fact")));

        IEquivocationJudge judge = registry.judge();
        (SignedAttestation memory a, SignedAttestation memory b) = (_signed(first, slot), _signed(second, slot));
        vm.expectEmit(address(judge));
        emit IEquivocationJudge.EquivocationProven(operator, slot, _key(first), _key(second), address(this));
        judge.judge(operator, a, b);
        vm.assertTrue(registry.jailed(operator));
    }

    function _signed(string memory place, bytes32 slot) private view returns (SignedAttestation memory signed) {
        signed.epoch = uint32(_number(place, ".epoch"));
        (signed.slot, signed.fact) = (slot, _word(place, ".fact"));
        signed.signature = vm.parseJsonBytes(json, string.concat(place, ".signature"));
        bytes32 digest = Attestations.digest(registry.domainSeparator(), signed.epoch, slot, signed.fact);
        vm.assertEq(digest, _word(place, ".digest"));
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

    /// @dev Operators of the vectors by their number.
    function _member(uint8 number) private pure returns (Operator memory op) {
        op.account = address(uint160(uint256(bytes32(_repeat(number * 0x11)) >> 96)));
        op.secret = _secret(number);
        op.signingKey = vm.addr(op.secret);
    }

    function _secret(uint8 number) private pure returns (uint256) {
        return uint256(_repeat(number));
    }

    function _repeat(uint8 number) private pure returns (bytes32) {
        return bytes32((type(uint256).max / 0xff) * number);
    }

    function _key(string memory place) private view returns (address) {
        return vm.parseJsonAddress(json, string.concat(place, ".signingKey"));
    }

    function _number(string memory place, string memory name) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(place, name));
    }

    function _word(string memory place, string memory name) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(place, name));
    }
}
