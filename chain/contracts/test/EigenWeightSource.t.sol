// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Attestations, SignedAttestation} from "../src/Attestations.sol";
import {EigenOperatorSet, EigenWeightSource, IAllocationManager, IDelegationManager} from "../src/EigenWeightSource.sol";
import {EpochManager} from "../src/EpochManager.sol";
import {IEquivocationJudge} from "../src/IEquivocationJudge.sol";
import {IWeightSource} from "../src/IWeightSource.sol";
import {StakeRegistry} from "../src/StakeRegistry.sol";
import {FakeAllocations} from "./support/FakeAllocations.sol";
import {RegistryFixture} from "./support/RegistryFixture.sol";

contract EigenWeightSourceTest is RegistryFixture {
    uint32 internal constant DELAY = 1500;
    uint64 internal constant THIRD = DELAY / 3;
    /// @dev 500 / 100 - 2
    uint32 internal constant FRESH = 3;
    uint256 internal constant ALLOCATION_DELAY = 50;
    uint256 internal constant HALF = 0.5e18;
    uint32 internal constant ID = 7;
    address internal constant AVS = address(0xa5);
    address internal constant ETHER_LIKE = address(0x11);
    address internal constant TOKEN = address(0x22);

    FakeAllocations internal eigen;
    EigenWeightSource internal source;
    IEquivocationJudge internal judge;
    Operator internal alice;
    Operator internal bob;

    function setUp() public override {
        super.setUp();
        (alice, bob) = (_operator(1), _operator(2));
        _useEigen(DELAY, DELAY);
        _goTo(1, 0);
    }

    // What it is made of

    function test_callsWhatEigenLayerHas() public pure {
        bytes4[6] memory own = [
            IAllocationManager.getMinimumSlashableStake.selector,
            IAllocationManager.slashOperator.selector,
            IAllocationManager.isMemberOfOperatorSet.selector,
            IAllocationManager.DEALLOCATION_DELAY.selector,
            IAllocationManager.delegation.selector,
            IDelegationManager.minWithdrawalDelayBlocks.selector
        ];
        string[6] memory theirs = [
            "getMinimumSlashableStake((address,uint32),address[],address[],uint32)",
            "slashOperator(address,(address,uint32,address[],uint256[],string))",
            "isMemberOfOperatorSet(address,(address,uint32))",
            "DEALLOCATION_DELAY()",
            "delegation()",
            "minWithdrawalDelayBlocks()"
        ];
        for (uint256 i; i < own.length; ++i) {
            vm.assertEq(bytes32(own[i]), bytes32(bytes4(keccak256(bytes(theirs[i])))));
        }
    }

    function test_settings() public view {
        vm.assertEq(address(source.allocations()), address(eigen));
        vm.assertEq(source.avs(), AVS);
        vm.assertEq(source.operatorSetId(), ID);
        vm.assertEq(source.registry(), address(registry));
        vm.assertEq(source.withdrawalBlocks(), THIRD);
        vm.assertEq(source.withdrawalSeconds(), THIRD * BLOCK_SECONDS);
        vm.assertEq(source.freezeBlocks(), THIRD);
        vm.assertEq(source.freshEpochs(), FRESH);
        (address[] memory list, uint256[] memory multipliers) = source.strategies();
        vm.assertEq(list.length, 2);
        vm.assertEq(multipliers.length, 2);
        vm.assertEq(list[1], TOKEN);
        vm.assertEq(multipliers[0], 7_000);
        vm.assertEq(multipliers[1], 3_000);
    }

    function test_refusesOtherStrategies() public {
        (address[] memory list, uint256[] memory parts) = (_strategies(), _multipliers());
        _refuse(list, new uint256[](1));
        _refuse(new address[](0), new uint256[](0));
        parts[0] = 7_001;
        _refuse(list, parts);
        (parts[0], parts[1]) = (10_000, 0);
        _refuse(list, parts);
        parts = _multipliers();
        (list[0], list[1]) = (TOKEN, ETHER_LIKE);
        _refuse(list, parts);
        (list[0], list[1]) = (TOKEN, TOKEN);
        _refuse(list, parts);
        (list[0], list[1]) = (address(0), TOKEN);
        _refuse(list, parts);
    }

    function test_refusesDelaysThatDoNotCoverThreeEpochs() public {
        // A third of 1500 blocks; three epochs of 166 blocks fit, three of 167 do not.
        EpochManager fits = new EpochManager(166, 84);
        vm.assertEq(_source(address(registry), fits).freshEpochs(), 1);
        _refuse(new EpochManager(167, 0), BLOCK_SECONDS);
        // 2 * (166 + 85) is more than 500.
        _refuse(new EpochManager(166, 85), BLOCK_SECONDS);
        _refuse(epochs, 0);
    }

    /// @dev Stake leaves by deallocation or by withdrawal, whichever is sooner.
    function test_countsOnTheShorterOfBothDelays() public {
        eigen = _eigen(DELAY, 600);
        _stake(alice, 10_000, 10_000);
        EigenWeightSource shorter = _source(address(registry), new EpochManager(60, 30));
        vm.assertEq(shorter.withdrawalBlocks(), 200);
        vm.assertEq(shorter.freezeBlocks(), 200);
        vm.assertEq(shorter.freshEpochs(), 1);
        eigen = _eigen(600, DELAY);
        vm.assertEq(_source(address(registry), new EpochManager(60, 30)).withdrawalBlocks(), 200);
        _refuse(epochs, BLOCK_SECONDS);
        eigen = _eigen(DELAY, 600);
        _refuse(epochs, BLOCK_SECONDS);
    }

    // Weights

    function test_weighsAllocatedStakeByStrategy() public {
        // Half of 10,000, at 70 and 30 of 100.
        vm.assertEq(source.weightOf(alice.account), 5_000);
        eigen.delegate(alice.account, TOKEN, 10_000);
        vm.assertEq(source.weightOf(alice.account), 3_500 + 3_000);
        eigen.delegate(alice.account, ETHER_LIKE, 10_000);
        vm.assertEq(source.weightOf(alice.account), 7_000 + 3_000);
        vm.assertEq(source.weightOf(address(0xdead)), 0);
    }

    function test_whoIsNotInTheOperatorSetWeighsNothing() public {
        eigen.deregister(alice.account);
        // It can still be slashed, but only for what it signed before.
        vm.assertEq(source.weightOf(alice.account), 0);
        Operator memory carol = _operator(3);
        eigen.delegate(carol.account, TOKEN, 10_000);
        eigen.allocate(carol.account, TOKEN, HALF);
        _rollTo(uint64(block.number + ALLOCATION_DELAY));
        vm.assertEq(source.weightOf(carol.account), 0);
    }

    function test_whatIsYetToBeAllocatedWeighsNothing() public {
        eigen.allocate(alice.account, TOKEN, 2 * HALF);
        vm.assertEq(source.weightOf(alice.account), 5_000);
        _rollTo(uint64(block.number + ALLOCATION_DELAY));
        vm.assertEq(source.weightOf(alice.account), 6_500);
    }

    /// @dev Else stake that is free in the next block would be read as if it stayed for the whole delay.
    function test_whatIsBeingDeallocatedWeighsNothing() public {
        uint64 asked = uint64(block.number);
        eigen.allocate(alice.account, TOKEN, HALF / 2);
        eigen.allocate(alice.account, ETHER_LIKE, 0);
        for (uint64 later = 2; later <= DELAY + 1; later += later < DELAY - 2 ? 300 : 1) {
            _rollTo(asked + later);
            vm.assertEq(source.weightOf(alice.account), 750);
        }
    }

    function test_whatIsBeingWithdrawnWeighsNothing() public {
        eigen.undelegate(alice.account, ETHER_LIKE, 10_000);
        vm.assertEq(source.weightOf(alice.account), 1_500);
    }

    // Freezes

    function test_onlyTheJudgeFreezes() public {
        vm.expectRevert(IWeightSource.NotJudge.selector);
        source.freeze(alice.account);
        vm.expectRevert(IWeightSource.NotJudge.selector);
        source.unfreeze(alice.account, 0);
    }

    function test_slashesItsShareOfEveryStrategy() public {
        vm.startPrank(address(judge));
        source.freeze(alice.account);
        vm.assertEq(source.frozenSince(alice.account), block.number);
        vm.expectEmit(address(source));
        emit EigenWeightSource.Unfrozen(alice.account, 2_500);
        source.unfreeze(alice.account, 2_500);
        vm.stopPrank();
        vm.assertEq(source.frozenSince(alice.account), 0);
        vm.assertEq(eigen.slashed(alice.account, ETHER_LIKE), HALF / 4);
        vm.assertEq(eigen.slashed(alice.account, TOKEN), HALF / 4);
        vm.assertEq(eigen.slashed(bob.account, TOKEN), 0);
    }

    function test_slashesAll() public {
        vm.startPrank(address(judge));
        source.freeze(alice.account);
        source.unfreeze(alice.account, 10_000);
        vm.stopPrank();
        vm.assertEq(source.weightOf(alice.account), 0);
    }

    function test_refusesVerdictsThatCannotBe() public {
        vm.startPrank(address(judge));
        vm.expectRevert(IWeightSource.NotFrozen.selector);
        source.unfreeze(alice.account, 1);
        source.freeze(alice.account);
        vm.expectRevert(IWeightSource.TooMuch.selector);
        source.unfreeze(alice.account, 10_001);
        source.unfreeze(alice.account, 0);
        vm.expectRevert(IWeightSource.NotFrozen.selector);
        source.unfreeze(alice.account, 0);
        vm.stopPrank();
        vm.assertEq(eigen.slashed(alice.account, TOKEN), 0);
    }

    function test_aFreezeEndsByItself() public {
        vm.startPrank(address(judge));
        uint64 since = uint64(block.number);
        source.freeze(alice.account);
        source.freeze(bob.account);
        vm.roll(since + THIRD - 1);
        source.unfreeze(alice.account, 5_000);
        vm.roll(since + THIRD);
        source.unfreeze(bob.account, 5_000);
        vm.stopPrank();
        vm.assertEq(eigen.slashed(alice.account, TOKEN), HALF / 2);
        vm.assertEq(eigen.slashed(bob.account, TOKEN), 0);
    }

    // With registry and judge

    /// @dev The worst case: everything is asked back right after it was read, by each of the three ways out, and judged as
    /// late as possible for the last epoch in which it counts.
    function test_stakeCanBeTakenUntilTheLastVerdict() public {
        uint64 read = _fixedBlock(2);
        uint32 last = 3 + FRESH - 1;
        for (uint256 way; way < 4; ++way) {
            setUp();
            // A longer deallocation delay does not hold back who withdraws.
            if (way == 3) _useEigen(2 * DELAY, DELAY);
            _rollTo(read);
            _register(alice);
            vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, 3), 5_000);
            if (way == 0) eigen.deregister(alice.account);
            else if (way == 1) _deallocate(alice);
            else _withdraw(alice);

            vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, last), 5_000);
            vm.assertEq(registry.getOperatorWeightAtEpoch(alice.account, last + 1), 0);
            // A time that is noted as late as it may be gives the longest reach.
            _rollTo(_fixedBlock(last + 1) - 1);
            registry.noteEpoch();
            _rollTo(_fixedBlock(last + 1) - 2 + THIRD);
            _judge(last);
            decider.decide(judge, alice.account, 1, 10_000, false);
            _rollTo(uint64(block.number) + THIRD - 1);
            judge.settle(alice.account);
            vm.assertEq(eigen.slashed(alice.account, TOKEN), HALF);
            vm.assertEq(eigen.slashed(alice.account, ETHER_LIKE), HALF);
            vm.assertEq(eigen.slashedShares(alice.account, TOKEN), 5_000);
            vm.assertEq(eigen.slashedShares(alice.account, ETHER_LIKE), 5_000);
        }
    }

    function test_evidenceThatComesLaterCountsNot() public {
        _rollTo(_fixedBlock(2));
        _register(alice);
        _rollTo(_fixedBlock(4) - 1);
        registry.noteEpoch();
        _rollTo(_fixedBlock(4) - 1 + THIRD);
        SignedAttestation memory first = _signed(3, "one");
        SignedAttestation memory second = _signed(3, "two");
        vm.expectRevert(abi.encodeWithSelector(IEquivocationJudge.TooLate.selector, 3));
        judge.judge(alice.account, first, second);
    }

    /// @dev Whoever is behind an operator today is not made to pay for those that were long ago.
    function test_silenceMakesNoEvidenceLastForEver() public {
        _rollTo(_fixedBlock(2));
        _register(alice);
        _rollTo(_fixedBlock(3) + 10 * DELAY);
        SignedAttestation memory first = _signed(3, "one");
        SignedAttestation memory second = _signed(3, "two");
        vm.expectRevert(abi.encodeWithSelector(IEquivocationJudge.TooLate.selector, 3));
        judge.judge(alice.account, first, second);
    }

    function test_aTermEndsWhereNothingCanBeSlashed() public {
        _register(alice);
        _goTo(2, 0);
        _judge(2);
        decider.decide(judge, alice.account, 1, 10_000, true);
        _rollTo(uint64(block.number) + LENGTH);
        eigen.pause(true);
        vm.expectRevert(FakeAllocations.Paused.selector);
        judge.settle(alice.account);
        _rollTo(uint64(block.number) + THIRD);
        judge.settle(alice.account);
        vm.assertEq(source.frozenSince(alice.account), 0);
        vm.assertFalse(registry.jailed(alice.account));
    }

    function test_membersKeepTheirWeightWhileItIsRead() public {
        _register(alice);
        _register(bob);
        for (uint32 epoch = 2; epoch < 12; ++epoch) {
            _goTo(epoch, 0);
            _refresh(alice);
        }
        vm.assertEq(registry.getTotalWeightAtEpoch(2), 10_000);
        vm.assertEq(registry.getTotalWeightAtEpoch(12), 5_000);
        vm.assertEq(registry.getOperatorWeightAtEpoch(bob.account, 12), 0);
    }

    function _judge(uint32 epoch) private {
        judge.judge(alice.account, _signed(epoch, "one"), _signed(epoch, "two"));
    }

    function _signed(uint32 epoch, bytes32 fact) private view returns (SignedAttestation memory) {
        bytes32 digest = Attestations.digest(registry.domainSeparator(), epoch, "slot", fact);
        return SignedAttestation(epoch, "slot", fact, _sign(alice.secret, digest));
    }

    /// @dev `shares` of each strategy, of which half is allocated.
    function _stake(Operator memory op, uint256 first, uint256 second) private {
        eigen.delegate(op.account, ETHER_LIKE, first);
        eigen.delegate(op.account, TOKEN, second);
        eigen.register(op.account);
        eigen.allocate(op.account, ETHER_LIKE, HALF);
        eigen.allocate(op.account, TOKEN, HALF);
    }

    function _deallocate(Operator memory op) private {
        eigen.allocate(op.account, ETHER_LIKE, 0);
        eigen.allocate(op.account, TOKEN, 0);
    }

    function _useEigen(uint32 deallocationDelay, uint32 withdrawalDelay) private {
        eigen = _eigen(deallocationDelay, withdrawalDelay);
        source = _source(_afterNext(), epochs);
        registry = new StakeRegistry(epochs, source, MINIMUM, decider, directory);
        judge = registry.judge();
        eigen.setSlasher(address(source));
        _stake(alice, 10_000, 10_000);
        _stake(bob, 10_000, 10_000);
    }

    function _withdraw(Operator memory op) private {
        eigen.undelegate(op.account, ETHER_LIKE, 10_000);
        eigen.undelegate(op.account, TOKEN, 10_000);
    }

    function _eigen(uint32 deallocationDelay, uint32 withdrawalDelay) private returns (FakeAllocations) {
        EigenOperatorSet memory set = EigenOperatorSet(AVS, ID);
        return new FakeAllocations(set, _strategies(), deallocationDelay, withdrawalDelay, ALLOCATION_DELAY);
    }

    function _source(address registry_, EpochManager manager) private returns (EigenWeightSource) {
        EigenOperatorSet memory set = EigenOperatorSet(AVS, ID);
        return new EigenWeightSource(manager, registry_, eigen, set, _strategies(), _multipliers(), BLOCK_SECONDS);
    }

    function _refuse(address[] memory list, uint256[] memory parts) private {
        vm.expectRevert(EigenWeightSource.InvalidStrategies.selector);
        new EigenWeightSource(epochs, address(registry), eigen, EigenOperatorSet(AVS, ID), list, parts, BLOCK_SECONDS);
    }

    function _refuse(EpochManager manager, uint64 blockSeconds) private {
        (address[] memory list, uint256[] memory parts) = (_strategies(), _multipliers());
        vm.expectRevert(EigenWeightSource.DelayTooShort.selector);
        new EigenWeightSource(manager, address(registry), eigen, EigenOperatorSet(AVS, ID), list, parts, blockSeconds);
    }

    function _strategies() private pure returns (address[] memory list) {
        list = new address[](2);
        (list[0], list[1]) = (ETHER_LIKE, TOKEN);
    }

    function _multipliers() private pure returns (uint256[] memory parts) {
        parts = new uint256[](2);
        (parts[0], parts[1]) = (7_000, 3_000);
    }
}
