// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochManager} from "../../src/EpochManager.sol";
import {EpochUpdate, EpochUpdates, SignedEpochUpdate} from "../../src/EpochUpdates.sol";
import {EquivocationJudge} from "../../src/EquivocationJudge.sol";
import {OwnerSlashingDecider} from "../../src/OwnerSlashingDecider.sol";
import {StakeRegistry} from "../../src/StakeRegistry.sol";
import {StakeVault} from "../../src/StakeVault.sol";
import {SignedStateProof, StateProof, StateProofs} from "../../src/StateProofs.sol";
import {Fixture} from "./Fixture.sol";

/// @notice A registry with real stake, a judge, and three operators of 3 ether each that serve in epoch 1.
abstract contract JudgeFixture is Fixture {
    uint64 internal constant DELAY = 50;
    uint256 internal constant STAKE = 3 ether;

    StakeVault internal vault;
    EquivocationJudge internal judge;
    OwnerSlashingDecider internal decider;
    Operator internal alice;
    Operator internal bob;
    Operator internal carol;

    function setUp() public virtual override {
        vm.roll(GENESIS);
        epochs = new EpochManager(LENGTH, GRACE);
        vault = new StakeVault(epochs, DELAY);
        registry = new StakeRegistry(epochs, vault, MINIMUM);
        vault.setRegistry(registry);
        decider = new OwnerSlashingDecider(address(this));
        judge = new EquivocationJudge(registry, decider);
        registry.setJudge(address(judge));
        (alice, bob, carol) = (_operator(1), _operator(2), _operator(3));
        _enter(alice);
        _enter(bob);
        _enter(carol);
        _goTo(1, 0);
    }

    function _enter(Operator memory op) private {
        vault.deposit{value: STAKE}(op.account);
        _register(op);
    }

    function _proof(uint32 epoch, uint256 value) internal pure returns (StateProof memory) {
        return StateProof(address(0x1234), 137, 5_000_000, 1_700_000_000, epoch, 7, value);
    }

    function _update(uint32 epoch, bytes32 setHash) internal pure returns (EpochUpdate memory) {
        return EpochUpdate(epoch, 9, setHash);
    }

    function _signed(Operator memory op, StateProof memory proof) internal view returns (SignedStateProof memory) {
        return SignedStateProof(proof, _sign(op.secret, StateProofs.digest(registry, proof)));
    }

    function _signed(Operator memory op, EpochUpdate memory update) internal view returns (SignedEpochUpdate memory) {
        return SignedEpochUpdate(update, _sign(op.secret, EpochUpdates.digest(registry.domainSeparator(), update)));
    }

    /// @dev Both signed by `op`.
    function _judge(Operator memory op, StateProof memory first, StateProof memory second) internal {
        judge.judgeStateProofs(op.account, _signed(op, first), _signed(op, second));
    }

    function _expectRefusal(bytes memory reason, Operator memory op, StateProof memory a, StateProof memory b) internal {
        _expectRefusal(reason, op.account, _signed(op, a), _signed(op, b));
    }

    function _expectRefusal(
        bytes memory reason,
        address operator,
        SignedStateProof memory a,
        SignedStateProof memory b
    ) internal {
        vm.expectRevert(reason);
        judge.judgeStateProofs(operator, a, b);
    }

    function _error(bytes4 selector) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector);
    }
}
