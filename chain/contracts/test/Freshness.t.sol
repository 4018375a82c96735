// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {OperatorSets} from "../src/OperatorSets.sol";
import {RegistryFixture} from "./support/RegistryFixture.sol";

/// @notice Weights of a source that tells of no change: they count for three epochs after they were read.
contract FreshnessTest is RegistryFixture {
    uint32 internal constant FRESH = 3;
    uint256 internal constant COUNT = 4;
    bytes32 internal constant DIGEST = keccak256("digest");

    Operator[] internal ops;

    function setUp() public override {
        _deploy(FRESH);
        Operator[] memory made = _operators(COUNT);
        for (uint256 i; i < COUNT; ++i) {
            ops.push(made[i]);
        }
    }

    function test_weightsLapse() public {
        _registerWithWeight(ops[0], 100);
        for (uint32 epoch = 1; epoch <= FRESH; ++epoch) {
            _assertOperator(ops[0], epoch, 100, ops[0].signingKey);
            vm.assertEq(registry.getTotalWeightAtEpoch(epoch), 100);
        }
        for (uint32 epoch = FRESH + 1; epoch < 20; ++epoch) {
            _assertOperator(ops[0], epoch, 0, ops[0].signingKey);
            vm.assertEq(registry.getTotalWeightAtEpoch(epoch), 0);
            vm.assertEq(registry.getThresholdStake(epoch), 1);
        }
    }

    /// @dev Which was true when the set was fixed stays true.
    function test_lapsedWeightsStillCountInTheirEpochs() public {
        _registerWithWeight(ops[0], 100);
        _registerWithWeight(ops[1], 50);
        _goTo(9, 0);
        _setWeight(ops[0], 70);
        _goTo(30, 0);
        for (uint32 epoch = 1; epoch <= FRESH; ++epoch) {
            vm.assertEq(registry.getTotalWeightAtEpoch(epoch), 150);
        }
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH + 1), 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(9), 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(10), 70);
        vm.assertEq(registry.getTotalWeightAtEpoch(9 + FRESH), 70);
        vm.assertEq(registry.getTotalWeightAtEpoch(10 + FRESH), 0);
    }

    function test_weightsThatAreReadAgainGoOn() public {
        _registerWithWeight(ops[0], 100);
        _registerWithWeight(ops[1], 50);
        for (uint32 epoch = 1; epoch < 12; ++epoch) {
            _goTo(epoch, 0);
            if (epoch % 2 == 0) _refresh(ops[0]);
            vm.assertEq(registry.getOperatorWeightAtEpoch(ops[0].account, epoch + 1), 100);
            vm.assertEq(registry.getTotalWeightAtEpoch(epoch + 1), epoch < FRESH ? 150 : 100);
        }
    }

    function test_readingOnceAnEpochIsEnough() public {
        _registerWithWeight(ops[0], 100);
        _goTo(1, 0);
        _refresh(ops[0]);
        vm.record();
        _refresh(ops[0]);
        (, bytes32[] memory writes) = vm.accesses(address(registry));
        vm.assertEq(writes.length, 0);
    }

    /// @dev In the very epoch from which on it would lapse, and later.
    function test_lapsedWeightsComeBack() public {
        _registerWithWeight(ops[0], 100);
        _registerWithWeight(ops[1], 50);
        _goTo(FRESH, 0);
        _refresh(ops[0]);
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH), 150);
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH + 1), 100);
        _goTo(FRESH + 5, 0);
        _refresh(ops[1]);
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH + 5), 100 - 100);
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH + 6), 50);
        _assertAllWhole();
    }

    function test_whatHappenedToTheStakeIsSeenWhenItIsRead() public {
        _registerWithWeight(ops[0], 100);
        _registerWithWeight(ops[1], 50);
        weights.set(ops[0].account, MINIMUM - 1);
        _goTo(1, 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(2), 150);
        _refresh(ops[0]);
        vm.assertEq(registry.getTotalWeightAtEpoch(1), 150);
        vm.assertEq(registry.getTotalWeightAtEpoch(2), 50);
        // No longer a member, so nothing of it lapses a second time.
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH), 50);
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH + 1), 0);
    }

    /// @dev Else an operator would renew what it has no stake for by changing its key.
    function test_aKeyChangeRenewsNothingUnread() public {
        _registerWithWeight(ops[0], 100);
        weights.set(ops[0].account, 0);
        _goTo(FRESH, 0);
        _rotate(ops[0], 99);
        _assertOperator(ops[0], FRESH, 100, ops[0].signingKey);
        _assertOperator(ops[0], FRESH + 1, 0, vm.addr(99));
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH + 1), 0);

        _registerWithWeight(ops[1], 50);
        weights.set(ops[1].account, 40);
        _goTo(FRESH + 1, 0);
        _rotate(ops[1], 98);
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH + 1), 50);
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH + 2), 40);
        vm.assertEq(registry.getTotalWeightAtEpoch(2 * FRESH + 1), 40);
        vm.assertEq(registry.getTotalWeightAtEpoch(2 * FRESH + 2), 0);
    }

    function test_exitsAndConvictionsTakeTheWeightOutOnce() public {
        for (uint256 i; i < COUNT; ++i) {
            _registerWithWeight(ops[i], 100);
        }
        _goTo(1, 0);
        _deregister(ops[0]);
        _jail(ops[1]);
        vm.assertEq(registry.getTotalWeightAtEpoch(2), 200);
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH), 200);
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH + 1), 0);
        // Also when it had lapsed before.
        _goTo(FRESH + 2, 0);
        _deregister(ops[2]);
        _jail(ops[3]);
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH + 3), 0);
        _register(ops[0]);
        vm.assertEq(registry.getTotalWeightAtEpoch(FRESH + 3), 100);
        _assertAllWhole();
    }

    function test_setsAreSealedWithoutWhatHasLapsed() public {
        _registerWithWeight(ops[0], 100);
        _registerWithWeight(ops[1], 50);
        _goTo(FRESH, 0);
        _refresh(ops[1]);
        _goTo(FRESH + 1, 0);
        address[] memory both = _accounts(_first(ops, 2));
        vm.expectRevert(abi.encodeWithSelector(OperatorSets.ZeroWeight.selector, both[0]));
        registry.sealEpoch(FRESH + 1, both);
        Operator[] memory one = _chosen(_first(ops, 2), 2);
        registry.sealEpoch(FRESH + 1, _accounts(one));
        registry.sealEpoch(FRESH, both);
        registry.isValidSignature(DIGEST, _compact(one, 1, DIGEST, FRESH + 1));
        registry.isValidSignature(DIGEST, _certificate(one, DIGEST, FRESH + 1));
        Operator[] memory lapsed = _first(ops, 1);
        bytes memory certificate = _certificate(lapsed, DIGEST, FRESH + 1);
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        registry.isValidSignature(DIGEST, certificate);
    }

    /// @dev Nobody is in a set where all weights have lapsed, so nobody certifies: the least that counts is one.
    function test_aSetOfLapsedWeightsCertifiesNothing() public {
        _registerWithWeight(ops[0], 100);
        _goTo(FRESH + 1, 0);
        bytes memory certificate = _certificate(_first(ops, 1), DIGEST, FRESH + 1);
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        registry.isValidSignature(DIGEST, certificate);
        address[] memory all = _accounts(_first(ops, 1));
        vm.expectRevert(abi.encodeWithSelector(OperatorSets.ZeroWeight.selector, all[0]));
        registry.sealEpoch(FRESH + 1, all);
    }

    /// @dev Against a table: what each was read to weigh, and from which epoch on.
    /// forge-config: default.fuzz.runs = 48
    function testFuzz_totalsAgreeInEveryEpoch(uint32[48] calldata steps) public {
        uint32[COUNT] memory since;
        uint256[COUNT] memory read;
        for (uint256 i; i < steps.length; ++i) {
            uint256 step = steps[i];
            _rollTo(uint64(block.number) + uint64(step % 150));
            uint256 who = (step >> 8) % COUNT;
            uint256 weight = MINIMUM - 1 + ((step >> 10) % 50);
            weights.set(ops[who].account, weight);
            if (!_act(ops[who], (step >> 20) % 4, weight)) continue;
            since[who] = epochs.getEffectiveEpochForBlock(uint64(block.number));
            bool isIn = registry.operatorRegistered(ops[who].account) && weight >= MINIMUM;
            read[who] = isIn ? weight : 0;

            for (uint32 epoch = since[who]; epoch < since[who] + FRESH + 3; ++epoch) {
                uint256 sum;
                for (uint256 j; j < COUNT; ++j) {
                    uint256 expected = epoch < since[j] + FRESH ? read[j] : 0;
                    vm.assertEq(registry.getOperatorWeightAtEpoch(ops[j].account, epoch), expected);
                    sum += expected;
                }
                vm.assertEq(registry.getTotalWeightAtEpoch(epoch), sum);
            }
            _assertSums();
            _assertAllWhole();
        }
    }

    /// @return Whether the weight was read.
    function _act(Operator memory op, uint256 kind, uint256 weight) private returns (bool) {
        if (!registry.operatorRegistered(op.account)) {
            if (weight >= MINIMUM) _register(op);
            return weight >= MINIMUM;
        }
        if (kind == 0) _deregister(op);
        else _refresh(op);
        return true;
    }

    /// @dev In all epochs, also those long ago.
    function _assertSums() private view {
        for (uint32 epoch; epoch < registry.newestEpoch() + 8; ++epoch) {
            uint256 sum;
            for (uint256 i; i < COUNT; ++i) {
                sum += registry.getOperatorWeightAtEpoch(ops[i].account, epoch);
            }
            vm.assertEq(registry.getTotalWeightAtEpoch(epoch), sum);
        }
    }
}
