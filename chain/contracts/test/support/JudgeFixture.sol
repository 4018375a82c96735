// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Attestations, SignedAttestation} from "../../src/Attestations.sol";
import {ChainDirectory} from "../../src/ChainDirectory.sol";
import {EpochManager} from "../../src/EpochManager.sol";
import {IEquivocationJudge, Term} from "../../src/IEquivocationJudge.sol";
import {OwnerSlashingDecider} from "../../src/OwnerSlashingDecider.sol";
import {StakeRegistry} from "../../src/StakeRegistry.sol";
import {StakeVault} from "../../src/StakeVault.sol";
import {Fixture} from "./Fixture.sol";

/// @notice A registry with real stake, its judge, and three operators of 3 ether each that serve in epoch 1.
abstract contract JudgeFixture is Fixture {
    uint256 internal constant STAKE = 3 ether;
    bytes32 internal constant SLOT = keccak256("slot");

    StakeVault internal vault;
    IEquivocationJudge internal judge;
    Operator internal alice;
    Operator internal bob;
    Operator internal carol;

    function setUp() public virtual override {
        _goTo(0, 0);
        epochs = new EpochManager(LENGTH, GRACE);
        directory = new ChainDirectory(address(this));
        decider = new OwnerSlashingDecider(address(this));
        vault = new StakeVault(epochs, _afterNext(), REACH, REACH * BLOCK_SECONDS);
        registry = new StakeRegistry(epochs, vault, MINIMUM, decider, directory);
        judge = registry.judge();
        (alice, bob, carol) = (_operator(1), _operator(2), _operator(3));
        _enter(alice);
        _enter(bob);
        _enter(carol);
        _goTo(1, 0);
    }

    function _enter(Operator memory op) internal {
        vault.deposit{value: STAKE}(op.account);
        _register(op);
    }

    /// @dev `SLOT` has this fact, under the key of `op`.
    function _signed(Operator memory op, uint32 epoch, bytes32 fact) internal view returns (SignedAttestation memory) {
        return _signedBy(op.secret, epoch, SLOT, fact);
    }

    function _signedBy(
        uint256 secret,
        uint32 epoch,
        bytes32 slot,
        bytes32 fact
    ) internal view returns (SignedAttestation memory) {
        bytes32 digest = Attestations.digest(registry.domainSeparator(), epoch, slot, fact);
        return SignedAttestation(epoch, slot, fact, _sign(secret, digest));
    }

    /// @dev Two facts for one slot, signed in `epoch`.
    function _convict(Operator memory op, uint32 epoch) internal {
        judge.judge(op.account, _signed(op, epoch, "one"), _signed(op, epoch, "two"));
    }

    /// @dev The account of `op` with another key.
    function _withKey(Operator memory op, uint256 seed) internal pure returns (Operator memory) {
        uint256 secret = uint256(keccak256(abi.encode("another key", seed)));
        return Operator(op.account, secret, vm.addr(secret));
    }

    /// @dev It signs with that from the next epoch on.
    function _changeKey(Operator memory op, uint256 seed) internal returns (Operator memory renewed) {
        renewed = _withKey(op, seed);
        bytes memory proof = _keyProof(renewed);
        vm.prank(op.account);
        registry.updateSigningKey(renewed.signingKey, proof);
    }

    /// @dev A verdict on the open term of `op`, carried out as soon as it may be.
    function _settle(Operator memory op, uint16 bips, bool readmitted) internal {
        (Term memory term, ) = judge.termOf(op.account);
        decider.decide(judge, op.account, term.number, bips, readmitted);
        uint64 from = term.openedAt + judge.minimumDelay();
        if (vm.getBlockNumber() < from) _rollTo(from);
        judge.settle(op.account);
    }

    function _expectRefusal(
        bytes memory reason,
        address operator,
        SignedAttestation memory first,
        SignedAttestation memory second
    ) internal {
        vm.expectRevert(reason);
        judge.judge(operator, first, second);
    }

    function _error(bytes4 selector) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector);
    }

    function _error(bytes4 selector, uint256 value) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, value);
    }

    function _error(bytes4 selector, address value) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, value);
    }
}
