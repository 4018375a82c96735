// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IStakeRegistry} from "../src/IStakeRegistry.sol";
import {OperatorSet} from "../src/OperatorSets.sol";
import {RegistryFixture} from "./support/RegistryFixture.sol";

contract StakeRegistryTest is RegistryFixture {
    Operator internal alice;
    Operator internal bob;

    function setUp() public override {
        super.setUp();
        alice = _operator(1);
        bob = _operator(2);
    }

    function test_settings() public view {
        vm.assertEq(address(registry.epochManager()), address(epochs));
        vm.assertEq(address(registry.weightSource()), address(weights));
        vm.assertEq(address(registry.directory()), address(directory));
        vm.assertEq(address(registry.judge().registry()), address(registry));
        vm.assertEq(address(registry.judge().source()), address(weights));
        vm.assertEq(address(registry.judge().decider()), address(decider));
        vm.assertEq(registry.judge().minimumDelay(), LENGTH);
        vm.assertEq(registry.minimumWeight(), MINIMUM);
        vm.assertEq(registry.getTotalWeightAtEpoch(0), 0);
        vm.assertEq(registry.getThresholdStake(0), 1);
    }

    function test_newestEpochIsThePresentOne() public {
        vm.assertEq(registry.newestEpoch(), 0);
        _goTo(6, LENGTH - 1);
        vm.assertEq(registry.newestEpoch(), 6);
        _goTo(7, 0);
        vm.assertEq(registry.newestEpoch(), 7);
        vm.assertEq(registry.newestEpoch(), epochs.getCurrentEpoch());
    }

    function test_domain() public view {
        vm.assertEq(registry.domainSeparator(), _domainSeparator(registry));
        (bytes1 fields, string memory name, string memory version, uint256 chain, address where, , ) = registry
            .eip712Domain();
        vm.assertEq(bytes32(fields), bytes32(hex"0f"));
        vm.assertEq(bytes(name), "Quorate");
        vm.assertEq(bytes(version), "1");
        vm.assertEq(chain, block.chainid);
        vm.assertEq(where, address(registry));
    }

    // Registration

    function test_registers() public {
        weights.set(alice.account, 100);
        bytes memory proof = _keyProof(alice);

        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorRegistered(
            alice.account,
            GENESIS,
            alice.signingKey,
            GENESIS_TIME,
            address(registry)
        );
        vm.expectEmit(address(registry));
        emit IStakeRegistry.SigningKeyUpdated(alice.account, 1, alice.signingKey);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorWeightUpdated(alice.account, 1, 100);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.TotalWeightUpdated(1, 100, 67);
        vm.prank(alice.account);
        registry.registerOperator(alice.signingKey, proof);
        vm.assertLt(vm.lastCallGas().gasTotalUsed, 300_000);

        vm.assertTrue(registry.operatorRegistered(alice.account));
        vm.assertEq(registry.getOperatorBySigningKey(alice.signingKey), alice.account);
        _assertOperator(alice, 0, 0, address(0));
        _assertOperator(alice, 1, 100, alice.signingKey);
        vm.assertEq(registry.getTotalWeightAtEpoch(0), 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 100);
        vm.assertEq(registry.getThresholdStake(1), 67);
    }

    function test_registrationInTheGracePeriodWaitsLonger() public {
        _goTo(3, LENGTH - GRACE - 1);
        _registerWithWeight(alice, 100);
        _goTo(3, LENGTH - GRACE);
        _registerWithWeight(bob, 50);

        _assertOperator(alice, 3, 0, address(0));
        _assertOperator(alice, 4, 100, alice.signingKey);
        _assertOperator(bob, 4, 0, address(0));
        _assertOperator(bob, 5, 50, bob.signingKey);
        vm.assertEq(registry.getTotalWeightAtEpoch(3), 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(4), 100);
        vm.assertEq(registry.getTotalWeightAtEpoch(5), 150);
    }

    function test_registersOnce() public {
        _registerWithWeight(alice, 100);
        _expectRegisterRevert(alice, IStakeRegistry.AlreadyRegistered.selector);
    }

    /// @dev Names without stake would fill the lists of all nodes for nothing.
    function test_registrationNeedsTheMinimumWeight() public {
        bytes memory reason = abi.encodeWithSelector(IStakeRegistry.InsufficientWeight.selector, MINIMUM);
        _expectRegisterRevert(alice, reason);
        weights.set(alice.account, MINIMUM - 1);
        _expectRegisterRevert(alice, reason);
        weights.set(alice.account, MINIMUM);
        _register(alice);
        vm.assertEq(registry.getTotalWeightAtEpoch(1), MINIMUM);
    }

    function test_aRefusedRegistrationLeavesNothingBehind() public {
        _expectRegisterRevert(
            alice,
            abi.encodeWithSelector(IStakeRegistry.InsufficientWeight.selector, MINIMUM)
        );
        vm.assertFalse(registry.operatorRegistered(alice.account));
        vm.assertEq(registry.getOperatorBySigningKey(alice.signingKey), address(0));
        _setWeight(alice, 100);
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 0);
    }

    function test_refusesAKeyThatAnotherOperatorHas() public {
        _registerWithWeight(alice, 100);
        weights.set(bob.account, 100);
        // The secret is shared, so the proof is good; the key stays with who came first.
        bob.secret = alice.secret;
        bob.signingKey = alice.signingKey;
        _expectRegisterRevert(bob, IStakeRegistry.KeyTaken.selector);
    }

    function test_onlyRegisteredOperatorsChange() public {
        vm.startPrank(alice.account);
        vm.expectRevert(IStakeRegistry.NotRegistered.selector);
        registry.updateSigningKey(alice.signingKey, "");
        vm.expectRevert(IStakeRegistry.NotRegistered.selector);
        registry.deregisterOperator();
        vm.stopPrank();
    }

    // Weights

    function test_valuesCarryForward() public {
        _registerWithWeight(alice, 100);
        _goTo(40, 0);
        _setWeight(alice, 200);
        _goTo(90, 0);
        _setWeight(alice, 300);

        for (uint32 epoch = 1; epoch < 120; ++epoch) {
            uint256 expected = epoch <= 40 ? 100 : epoch <= 90 ? 200 : 300;
            _assertOperator(alice, epoch, expected, alice.signingKey);
            vm.assertEq(registry.getTotalWeightAtEpoch(epoch), expected);
            vm.assertEq(registry.getThresholdStake(epoch), (2 * expected) / 3 + 1);
        }
    }

    function test_pendingChangesOfTwoEpochs() public {
        _registerWithWeight(alice, 100);
        _goTo(7, 10);
        _setWeight(alice, 200);
        _goTo(7, LENGTH - GRACE);
        _setWeight(alice, 300);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 7), 100);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 8), 200);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 9), 300);
    }

    function test_weightsBelowTheMinimumCountAsZero() public {
        _registerWithWeight(alice, MINIMUM);
        _goTo(1, 0);
        _setWeight(alice, MINIMUM - 1);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 1), MINIMUM);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 2), 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(2), 0);
        // Still registered, so more stake alone brings it back.
        _goTo(2, 0);
        _setWeight(alice, MINIMUM);
        _assertOperator(alice, 2, 0, alice.signingKey);
        _assertOperator(alice, 3, MINIMUM, alice.signingKey);
        vm.assertEq(registry.getTotalWeightAtEpoch(3), MINIMUM);
    }

    function test_weightsAreRoundedDownTo56Bits() public {
        uint256 code = (1 << 56) - 1;
        _registerWithWeight(alice, (code << 18) + (1 << 18) - 1);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 1), code << 18);
        vm.assertEq(registry.getTotalWeightAtEpoch(1), code << 18);
        _goTo(4, 0);
        _rotate(alice, 99);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 5), code << 18);
        vm.assertEq(registry.getTotalWeightAtEpoch(5), code << 18);
    }

    function test_weightsBeyond96BitsCountAsTheLargest() public {
        uint256 largest = ((1 << 56) - 1) << 40;
        _registerWithWeight(alice, type(uint256).max);
        _registerWithWeight(bob, uint256(type(uint96).max) + 1);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 1), largest);
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 2 * largest);
        vm.assertEq(registry.getThresholdStake(1), (4 * largest) / 3 + 1);
    }

    function test_anybodyUpdatesWeights() public {
        _registerWithWeight(alice, 100);
        _registerWithWeight(bob, 100);
        weights.set(alice.account, 300);
        weights.set(bob.account, 500);
        address[] memory list = new address[](4);
        (list[0], list[1], list[2], list[3]) = (alice.account, address(0xdead), bob.account, alice.account);
        vm.prank(address(0xcafe));
        registry.updateOperators(list);
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 800);
    }

    function test_whoIsNotRegisteredHasNoWeight() public {
        _setWeight(alice, 100);
        vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 1), 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 0);
    }

    function test_membersAreToldAsTheyWereAsked() public {
        _registerWithWeight(alice, 100);
        _goTo(1, 0);
        _registerWithWeight(bob, 50);
        address[] memory asked = new address[](3);
        (asked[0], asked[1], asked[2]) = (bob.account, alice.account, address(0xdead));
        (OperatorSet memory set, uint256 total) = registry.getMembersAtEpoch(asked, 1);
        vm.assertEq(total, 100);
        for (uint256 i; i < 3; ++i) {
            vm.assertEq(set.operators[i], asked[i]);
            vm.assertEq(set.weights[i], i == 1 ? 100 : 0);
            vm.assertEq(set.signingKeys[i], i == 1 ? alice.signingKey : address(0));
        }
    }

    function testFuzz_threshold(uint112 first, uint112 second) public {
        (uint256 one, uint256 other) = (_bound(first, MINIMUM, 1 << 96), _bound(second, MINIMUM, 1 << 96));
        _registerWithWeight(alice, one);
        _registerWithWeight(bob, other);
        uint256 total = registry.getTotalWeightAtEpoch(1);
        vm.assertTrue(total <= one + other && one + other - total <= (one + other) >> 55);
        uint256 threshold = registry.getThresholdStake(1);
        vm.assertEq(threshold, (2 * total) / 3 + 1);
        // More than two thirds, and the least such number.
        vm.assertTrue(3 * threshold > 2 * total);
        vm.assertTrue(3 * (threshold - 1) <= 2 * total);
    }

    // Exit

    function test_deregisters() public {
        _registerWithWeight(alice, 100);
        _registerWithWeight(bob, 50);
        _goTo(3, 0);
        vm.expectEmit(address(registry));
        emit IStakeRegistry.OperatorDeregistered(alice.account, GENESIS + 3 * LENGTH, address(registry));
        _deregister(alice);

        vm.assertFalse(registry.operatorRegistered(alice.account));
        _assertOperator(alice, 3, 100, alice.signingKey);
        _assertOperator(alice, 4, 0, address(0));
        vm.assertEq(registry.getTotalWeightAtEpoch(3), 150);
        vm.assertEq(registry.getTotalWeightAtEpoch(4), 50);
        _setWeight(alice, 1000);
        vm.assertEq(registry.getTotalWeightAtEpoch(4), 50);
    }

    function test_registersAgain() public {
        _registerWithWeight(alice, 100);
        _goTo(3, 0);
        _deregister(alice);
        _goTo(9, 0);
        _registerWithWeight(alice, 70);

        _assertOperator(alice, 9, 0, address(0));
        _assertOperator(alice, 10, 70, alice.signingKey);
        vm.assertEq(registry.getTotalWeightAtEpoch(10), 70);
    }

    function test_exitAndReturnWithinAnEpochChangeNothing() public {
        _registerWithWeight(alice, 100);
        _goTo(3, 0);
        _deregister(alice);
        _register(alice);
        for (uint32 epoch = 3; epoch < 6; ++epoch) {
            _assertOperator(alice, epoch, 100, alice.signingKey);
            vm.assertEq(registry.getTotalWeightAtEpoch(epoch), 100);
        }
    }

    function test_registrationWithdrawnBeforeItCounts() public {
        _registerWithWeight(alice, 100);
        _deregister(alice);
        _assertOperator(alice, 1, 0, address(0));
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 0);
    }
}
