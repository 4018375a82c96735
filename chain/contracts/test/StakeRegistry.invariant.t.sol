// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {FreshActor, StakingActor} from "./support/Actors.sol";
import {Fixture} from "./support/Fixture.sol";

contract StakeRegistryInvariantTest is Fixture {
    StakingActor internal actor;

    function setUp() public override {
        actor = new StakingActor{value: 1_000_000 ether}();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actor);
    }

    function invariant_weightsSumUpToTheTotalInEveryEpoch() external view {
        actor.assertSums();
    }

    function invariant_setsAreToldWhole() external view {
        actor.assertSetsAreWhole();
    }

    function invariant_fixedEpochsNeverChange() external view {
        actor.assertFixed();
    }

    function invariant_vaultHoldsWhatItOwes() external view {
        actor.assertVaultIsSolvent();
    }

    function invariant_weightWithinReachIsBacked() external view {
        actor.assertWeightWithinReachIsBacked();
    }
}

contract FreshRegistryInvariantTest is Fixture {
    FreshActor internal actor;

    function setUp() public override {
        actor = new FreshActor();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actor);
    }

    function invariant_weightsSumUpToTheTotalInEveryEpoch() external view {
        actor.assertSums();
    }

    function invariant_setsAreToldWhole() external view {
        actor.assertSetsAreWhole();
    }

    function invariant_fixedEpochsNeverChange() external view {
        actor.assertFixed();
    }
}
