// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Certificates} from "../src/Certificates.sol";
import {OperatorSet} from "../src/EpochUpdates.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {SealedSets} from "../src/SealedSets.sol";
import {ContractKey} from "./support/ContractKey.sol";
import {Fixture} from "./support/Fixture.sol";

/// @dev Begins with epoch 5: four operators with weights 40, 30, 20 and 10, total 100, threshold 67. The other sets
/// have other operators.
contract LightStakeRegistryTest is Fixture {
    bytes4 internal constant MAGIC = 0x1626ba7e;
    bytes32 internal constant DIGEST = keccak256("what is signed");
    uint32 internal constant FIRST = 5;
    uint64 internal constant HOME_CHAIN = 31337;

    Operator[] internal ops;
    LightStakeRegistry internal light;

    function setUp() public override {
        super.setUp();
        Operator[] memory made = _operators(4);
        for (uint256 i; i < 4; ++i) {
            ops.push(made[i]);
        }
        light = _light(FIRST, _firstSet());
        vm.chainId(10);
    }

    // Deployment

    function test_settings() public {
        vm.assertEq(light.homeChainId(), HOME_CHAIN);
        vm.assertEq(light.homeRegistry(), address(registry));
        vm.assertEq(light.newestEpoch(), FIRST);
        vm.assertEq(light.setHash(FIRST), _setHash(_firstSet()));
        vm.chainId(HOME_CHAIN);
        vm.assertEq(light.domainSeparator(), registry.domainSeparator());
        vm.assertEq(light.domainSeparator(), _domainSeparator(registry));
    }

    function test_deploymentIsLogged() public {
        OperatorSet memory set = _firstSet();
        vm.expectEmit();
        emit LightStakeRegistry.EpochUpdated(FIRST, FIRST, _setHash(set), address(this));
        _light(FIRST, set);
    }

    function test_views() public view {
        address[] memory operators = light.getOperatorsAtEpoch(FIRST);
        (address[] memory keys, uint256[] memory memberWeights) = light.sealedMembers(FIRST);
        vm.assertEq(operators.length, 4);
        for (uint256 i; i < 4; ++i) {
            vm.assertEq(operators[i], ops[i].account);
            vm.assertEq(keys[i], ops[i].signingKey);
            vm.assertEq(memberWeights[i], 40 - 10 * i);
            vm.assertEq(light.getOperatorSigningKeyAtEpoch(ops[i].account, FIRST), ops[i].signingKey);
            vm.assertEq(light.getOperatorWeightAtEpoch(ops[i].account, FIRST), 40 - 10 * i);
        }
        address stranger = address(uint160(ops[1].account) + 1);
        vm.assertEq(light.getOperatorSigningKeyAtEpoch(stranger, FIRST), address(0));
        vm.assertEq(light.getOperatorWeightAtEpoch(stranger, FIRST), 0);
        vm.assertEq(light.getTotalWeightAtEpoch(FIRST), 100);
        vm.assertEq(light.getThresholdStake(FIRST), 67);
    }

    /// @dev Nothing carries forward.
    function test_viewsOfEpochsThatAreNotHeld() public {
        for (uint32 epoch = FIRST - 1; epoch <= FIRST + 1; epoch += 2) {
            vm.assertEq(light.setHash(epoch), 0);
            vm.assertEq(light.sealedSet(epoch), address(0));
            vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
            light.getTotalWeightAtEpoch(epoch);
            vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
            light.getThresholdStake(epoch);
            vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
            light.getOperatorWeightAtEpoch(ops[0].account, epoch);
            vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
            light.getOperatorSigningKeyAtEpoch(ops[0].account, epoch);
            vm.expectRevert(IQuorumRegistry.InvalidEpoch.selector);
            light.getOperatorsAtEpoch(epoch);
            vm.expectRevert(abi.encodeWithSelector(IQuorumRegistry.SetNotSealed.selector, epoch));
            light.sealedMembers(epoch);
        }
    }

    function test_mayBeginWithEpochZero() public {
        light = _light(0, _firstSet());
        _update(light, ops, 0, 1, _otherSet(1));
        vm.assertEq(light.newestEpoch(), 1);
    }

    function testFuzz_findsEveryOperator(uint8 count, uint256 seed) public {
        Operator[] memory many = _operators(1 + (count % 40), seed >> 8);
        light = _light(FIRST, _setOfEqual(many, 7));
        for (uint256 i; i < many.length; ++i) {
            vm.assertEq(light.getOperatorSigningKeyAtEpoch(many[i].account, FIRST), many[i].signingKey);
            address neighbour = address(uint160(many[i].account) + 1);
            vm.assertEq(light.getOperatorSigningKeyAtEpoch(neighbour, FIRST), address(0));
        }
    }

    // Certificates

    function test_acceptsBothForms() public view {
        _accept(_certificate(_first(ops, 2), DIGEST, FIRST));
        _accept(_compact(ops, 0x3, DIGEST, FIRST));
        _accept(_certificate(ops, DIGEST, FIRST));
        _accept(_compact(ops, 0xf, DIGEST, FIRST));
        _accept(_certificate(_chosen(ops, 0xd), DIGEST, FIRST));
        _accept(_compact(ops, 0xd, DIGEST, FIRST));
    }

    function test_refusesTooFew() public {
        _refuse(_certificate(_chosen(ops, 0xc), DIGEST, FIRST), IQuorumRegistry.InsufficientSignedStake.selector);
        _refuse(_compact(ops, 0xc, DIGEST, FIRST), IQuorumRegistry.InsufficientSignedStake.selector);
    }

    function test_refusesEpochsThatAreNotHeld() public {
        for (uint32 epoch = FIRST - 1; epoch <= FIRST + 1; epoch += 2) {
            _refuse(_certificate(ops, DIGEST, epoch), IQuorumRegistry.InvalidEpoch.selector);
            _refuse(_compact(ops, 0xf, DIGEST, epoch), IQuorumRegistry.InvalidEpoch.selector);
        }
    }

    function test_refusesWhatIsNoCertificate() public {
        _refuse("", Certificates.MalformedCertificate.selector);
        vm.expectRevert(abi.encodeWithSelector(Certificates.UnknownVersion.selector, uint8(2)));
        light.isValidSignature(DIGEST, hex"0200000005");
        _refuse(abi.encode(new address[](0), new bytes[](0), FIRST), IQuorumRegistry.InvalidLength.selector);
        _refuse(_compact(ops, 0, DIGEST, FIRST), IQuorumRegistry.InvalidLength.selector);
        _refuse(abi.encode(_accounts(ops), new bytes[](3), FIRST), IQuorumRegistry.LengthMismatch.selector);
    }

    function test_refusesOtherOrders() public {
        Operator[] memory signers = ops;
        (signers[0], signers[1]) = (signers[1], signers[0]);
        _refuse(_certificate(signers, DIGEST, FIRST), IQuorumRegistry.NotSorted.selector);
        signers[0] = signers[1];
        _refuse(_certificate(signers, DIGEST, FIRST), IQuorumRegistry.NotSorted.selector);
        signers[0].account = address(0);
        _refuse(_certificate(signers, DIGEST, FIRST), IQuorumRegistry.NotSorted.selector);
    }

    function test_refusesStrangers() public {
        uint160[4] memory strangers = [
            uint160(1),
            uint160(ops[1].account) - 1,
            uint160(ops[2].account) + 1,
            type(uint160).max
        ];
        for (uint256 i; i < 4; ++i) {
            Operator[] memory signers = ops;
            signers[i].account = address(strangers[i]);
            _refuse(_certificate(signers, DIGEST, FIRST), IQuorumRegistry.InvalidSignature.selector);
        }
    }

    function test_refusesOtherForms() public {
        bytes[] memory signatures = _signatures(ops, DIGEST);
        signatures[2] = _sign64(ops[2].secret, DIGEST);
        _refuse(abi.encode(_accounts(ops), signatures, FIRST), IQuorumRegistry.InvalidSignature.selector);
        signatures[2] = "";
        _refuse(abi.encode(_accounts(ops), signatures, FIRST), IQuorumRegistry.InvalidSignature.selector);
    }

    /// @dev Whoever can deploy at the address of another chain's key could sign for it.
    function test_contractKeysDoNotCount() public {
        Operator[] memory members = ops;
        members[0].signingKey = address(new ContractKey(vm.addr(77)));
        members[0].secret = 77;
        light = _light(FIRST, _setOfEqual(members, 10));
        _refuse(_certificate(members, DIGEST, FIRST), IQuorumRegistry.InvalidSignature.selector);
        _refuse(_compact(members, 0xf, DIGEST, FIRST), IQuorumRegistry.InvalidSignature.selector);
        _accept(_certificate(_chosen(members, 0xe), DIGEST, FIRST));
        _accept(_compact(members, 0xe, DIGEST, FIRST));
    }

    // Updates

    function test_learnsTheNextEpoch() public {
        OperatorSet memory next = _otherSet(1);
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        vm.expectEmit(address(light));
        emit LightStakeRegistry.EpochUpdated(FIRST + 1, FIRST, _setHash(next), address(0xbeef));
        vm.prank(address(0xbeef));
        light.updateEpoch(FIRST, FIRST + 1, next, certificate);

        vm.assertEq(light.newestEpoch(), FIRST + 1);
        vm.assertEq(light.setHash(FIRST + 1), _setHash(next));
        vm.assertEq(light.getTotalWeightAtEpoch(FIRST + 1), 60);
        vm.assertEq(light.getThresholdStake(FIRST + 1), 41);
        _accept(_compact(_others(1), 0x7, DIGEST, FIRST + 1));
        _accept(_certificate(_others(1), DIGEST, FIRST + 1));
        _accept(_compact(ops, 0xf, DIGEST, FIRST)); // still held
        _refuse(_compact(ops, 0x7, DIGEST, FIRST + 1), IQuorumRegistry.InvalidSignature.selector);
    }

    function test_takesTheAbiFormToo() public {
        OperatorSet memory next = _otherSet(1);
        bytes32 digest = _updateDigest(light.domainSeparator(), FIRST, FIRST + 1, next);
        light.updateEpoch(FIRST, FIRST + 1, next, _certificate(_first(ops, 2), digest, FIRST));
        vm.assertEq(light.newestEpoch(), FIRST + 1);
    }

    function test_skipsAheadByTheNewestSet() public {
        _update(light, ops, FIRST, FIRST + 3, _otherSet(1));
        vm.assertEq(light.newestEpoch(), FIRST + 3);
        _refuse(_compact(_others(1), 0x7, DIGEST, FIRST + 1), IQuorumRegistry.InvalidEpoch.selector);
        _update(light, _others(1), FIRST + 3, type(uint32).max, _otherSet(2));
        vm.assertEq(light.newestEpoch(), type(uint32).max);
    }

    function test_skippedEpochsStayUnknown() public {
        _update(light, ops, FIRST, FIRST + 3, _otherSet(1));
        _refuseUpdate(
            _others(1),
            FIRST + 3,
            FIRST + 2,
            _otherSet(2),
            abi.encodeWithSelector(LightStakeRegistry.EpochSkipped.selector, FIRST + 2, FIRST + 3)
        );
        _refuseUpdate(
            ops,
            FIRST + 1,
            FIRST + 4,
            _otherSet(2),
            abi.encodeWithSelector(LightStakeRegistry.UnknownEpoch.selector, FIRST + 1)
        );
    }

    function test_eachEpochOnce() public {
        OperatorSet memory next = _otherSet(1);
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        light.updateEpoch(FIRST, FIRST + 1, next, certificate);
        bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.EpochKnown.selector, FIRST + 1);
        vm.expectRevert(reason);
        light.updateEpoch(FIRST, FIRST + 1, next, certificate);
        _refuseUpdate(ops, FIRST, FIRST + 1, _otherSet(2), reason);
        _refuseUpdate(_others(1), FIRST + 1, FIRST + 1, _otherSet(2), reason);
    }

    function test_refusesUnknownSets() public {
        bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.UnknownEpoch.selector, FIRST + 1);
        _refuseUpdate(ops, FIRST + 1, FIRST + 2, _otherSet(1), reason);
        reason = abi.encodeWithSelector(LightStakeRegistry.UnknownEpoch.selector, FIRST - 1);
        _refuseUpdate(ops, FIRST - 1, FIRST + 2, _otherSet(1), reason);
    }

    /// @dev Its stake may have gone, and its keys may have been sold.
    function test_refusesReplacedSets() public {
        _update(light, ops, FIRST, FIRST + 1, _otherSet(1));
        bytes memory reason = abi.encodeWithSelector(
            LightStakeRegistry.EpochReplaced.selector,
            FIRST,
            FIRST + 1
        );
        _refuseUpdate(ops, FIRST, FIRST + 2, _otherSet(2), reason);
        _refuseUpdate(ops, FIRST, FIRST + 99, _otherSet(2), reason);
    }

    function test_refusesTheWrongSigners() public {
        OperatorSet memory next = _otherSet(1);
        bytes memory reason = abi.encodeWithSelector(IQuorumRegistry.InvalidSignature.selector);
        Operator[] memory strangers = ops;
        strangers[1].secret = 1234;
        _refuseUpdate(strangers, FIRST, FIRST + 1, next, reason);

        bytes32 digest = _updateDigest(light.domainSeparator(), FIRST, FIRST + 1, next);
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        light.updateEpoch(FIRST, FIRST + 1, next, _compact(ops, 0xe ^ 0x8, digest, FIRST));
        vm.expectRevert(IQuorumRegistry.InsufficientSignedStake.selector);
        light.updateEpoch(FIRST, FIRST + 1, next, _certificate(_chosen(ops, 0x6), digest, FIRST));
    }

    function test_refusesCertificatesOfOtherEpochs() public {
        OperatorSet memory next = _otherSet(1);
        bytes32 digest = _updateDigest(light.domainSeparator(), FIRST, FIRST + 1, next);
        bytes memory reason = abi.encodeWithSelector(
            LightStakeRegistry.EpochMismatch.selector,
            FIRST,
            FIRST + 1
        );
        vm.expectRevert(reason);
        light.updateEpoch(FIRST, FIRST + 1, next, _compact(ops, 0xf, digest, FIRST + 1));
        vm.expectRevert(reason);
        light.updateEpoch(FIRST, FIRST + 1, next, _certificate(ops, digest, FIRST + 1));

        // Nor does a set that was replaced lend its certificate to the newest one.
        _update(light, ops, FIRST, FIRST + 1, next);
        digest = _updateDigest(light.domainSeparator(), FIRST + 1, FIRST + 2, next);
        vm.expectRevert(abi.encodeWithSelector(LightStakeRegistry.EpochMismatch.selector, FIRST + 1, FIRST));
        light.updateEpoch(FIRST + 1, FIRST + 2, next, _compact(ops, 0xf, digest, FIRST));
    }

    function test_refusesOtherEpochNumbers() public {
        OperatorSet memory next = _otherSet(1);
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        light.updateEpoch(FIRST, FIRST + 2, next, certificate);
        bytes32 digest = _updateDigest(light.domainSeparator(), FIRST - 1, FIRST + 1, next);
        vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
        light.updateEpoch(FIRST, FIRST + 1, next, _compact(ops, 0xf, digest, FIRST));
    }

    function test_everyPartOfTheSetIsSigned() public {
        OperatorSet memory signed = _otherSet(1);
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, signed);
        for (uint256 part; part < 7; ++part) {
            OperatorSet memory other = _otherSet(1);
            if (part == 0) other.operators[1] = address(uint160(other.operators[1]) + 1);
            if (part == 1) other.signingKeys[1] = vm.addr(99);
            if (part == 2) other.ed25519Keys[1] = 0;
            if (part == 3) other.weights[1] += 1;
            if (part == 4) other.threshold -= 1;
            if (part == 5) (other.weights[0], other.weights[2]) = (other.weights[2], other.weights[0]);
            if (part == 6) other = _setOfEqual(_first(_others(1), 2), 20);
            vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
            light.updateEpoch(FIRST, FIRST + 1, other, certificate);
        }
        light.updateEpoch(FIRST, FIRST + 1, signed, certificate);
    }

    function test_refusesOtherDomains() public {
        OperatorSet memory set = _firstSet();
        OperatorSet memory next = _otherSet(1);
        LightStakeRegistry[3] memory others = [
            new LightStakeRegistry(HOME_CHAIN + 1, address(registry), FIRST, set),
            new LightStakeRegistry(HOME_CHAIN, address(registry.epochManager()), FIRST, set),
            new LightStakeRegistry(10, address(light), FIRST, set)
        ];
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        for (uint256 i; i < others.length; ++i) {
            vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
            others[i].updateEpoch(FIRST, FIRST + 1, next, certificate);
            bytes memory foreign = _endorse(others[i], ops, FIRST, FIRST + 1, next);
            vm.expectRevert(IQuorumRegistry.InvalidSignature.selector);
            light.updateEpoch(FIRST, FIRST + 1, next, foreign);
        }
        light.updateEpoch(FIRST, FIRST + 1, next, certificate);
    }

    /// @dev One certificate serves all chains.
    function test_everyChainTakesTheSameCertificate() public {
        OperatorSet memory next = _otherSet(1);
        LightStakeRegistry other = new LightStakeRegistry(HOME_CHAIN, address(registry), FIRST, _firstSet());
        bytes memory certificate = _endorse(light, ops, FIRST, FIRST + 1, next);
        light.updateEpoch(FIRST, FIRST + 1, next, certificate);
        vm.chainId(8453);
        other.updateEpoch(FIRST, FIRST + 1, next, certificate);
        vm.assertEq(other.setHash(FIRST + 1), light.setHash(FIRST + 1));
    }

    // Sets that cannot be, even if a quorum signs them

    function test_refusesUnequalLengths() public {
        for (uint256 part; part < 4; ++part) {
            OperatorSet memory set = _otherSet(1);
            if (part == 0) set.operators = new address[](2);
            if (part == 1) set.signingKeys = new address[](2);
            if (part == 2) set.ed25519Keys = new bytes32[](4);
            if (part == 3) set.weights = new uint256[](0);
            _refuseSet(set, abi.encodeWithSelector(IQuorumRegistry.LengthMismatch.selector));
        }
    }

    function test_refusesEmptySets() public {
        OperatorSet memory set;
        set.threshold = 1;
        _refuseSet(set, abi.encodeWithSelector(IQuorumRegistry.InvalidLength.selector));
    }

    function test_refusesUnsortedSets() public {
        OperatorSet memory set = _otherSet(1);
        (set.operators[0], set.operators[1]) = (set.operators[1], set.operators[0]);
        _refuseSet(set, abi.encodeWithSelector(IQuorumRegistry.NotSorted.selector));
        set.operators[0] = set.operators[1];
        _refuseSet(set, abi.encodeWithSelector(IQuorumRegistry.NotSorted.selector));
        set = _otherSet(1);
        set.operators[0] = address(0);
        _refuseSet(set, abi.encodeWithSelector(IQuorumRegistry.NotSorted.selector));
    }

    function test_refusesMembersWithoutWeightOrKey() public {
        OperatorSet memory set = _otherSet(1);
        set.weights[1] = 0;
        _refuseSet(set, abi.encodeWithSelector(SealedSets.ZeroWeight.selector, set.operators[1]));
        set = _otherSet(1);
        set.signingKeys[2] = address(0);
        _refuseSet(set, abi.encodeWithSelector(SealedSets.ZeroSigningKey.selector, set.operators[2]));
    }

    function test_refusesWeightsThatDoNotFit() public {
        OperatorSet memory set = _otherSet(1);
        set.weights[0] = 1 << 96;
        _refuseSet(set, abi.encodeWithSelector(SealedSets.WeightTooLarge.selector, set.operators[0]));
        set.weights[0] = type(uint256).max; // no overflow of the sum either
        set.weights[1] = 1;
        set.threshold = 1;
        _refuseSet(set, abi.encodeWithSelector(SealedSets.WeightTooLarge.selector, set.operators[0]));
    }

    function test_refusesOtherThresholds() public {
        OperatorSet memory set = _otherSet(1);
        bytes memory reason = abi.encodeWithSelector(LightStakeRegistry.WrongThreshold.selector, uint256(41));
        uint256[5] memory wrong = [uint256(0), 1, 40, 42, type(uint256).max];
        for (uint256 i; i < wrong.length; ++i) {
            set.threshold = wrong[i];
            _refuseSet(set, reason);
        }
    }

    function test_refusesTooManyMembers() public {
        light = _light(FIRST, _largeSet(SealedSets.MAX_MEMBERS));
        OperatorSet memory set = _largeSet(SealedSets.MAX_MEMBERS + 1);
        vm.expectRevert(SealedSets.TooManyMembers.selector);
        _light(FIRST, set);
    }

    function test_holdsFiveHundredMembers() public {
        OperatorSet memory set = _largeSet(500);
        _update(light, ops, FIRST, FIRST + 1, set);
        vm.assertEq(light.getOperatorSigningKeyAtEpoch(set.operators[499], FIRST + 1), set.signingKeys[499]);
        vm.assertEq(light.getOperatorWeightAtEpoch(set.operators[250], FIRST + 1), type(uint96).max);
        vm.assertEq(light.getTotalWeightAtEpoch(FIRST + 1), 500 * uint256(type(uint96).max));
        vm.assertEq(light.getThresholdStake(FIRST + 1), set.threshold);
    }

    function test_membersNeedNoEd25519Key() public {
        OperatorSet memory set = _otherSet(1);
        set.ed25519Keys = new bytes32[](3);
        _update(light, ops, FIRST, FIRST + 1, set);
        vm.assertEq(light.setHash(FIRST + 1), _setHash(set));
    }

    function _firstSet() private view returns (OperatorSet memory) {
        uint256[] memory memberWeights = new uint256[](4);
        for (uint256 i; i < 4; ++i) {
            memberWeights[i] = 40 - 10 * i;
        }
        return _set(ops, memberWeights);
    }

    function _others(uint256 which) private pure returns (Operator[] memory) {
        return _operators(3, 1000 * which);
    }

    /// @dev Weights 10, 20 and 30: threshold 41.
    function _otherSet(uint256 which) private pure returns (OperatorSet memory) {
        uint256[] memory memberWeights = new uint256[](3);
        for (uint256 i; i < 3; ++i) {
            memberWeights[i] = 10 * (i + 1);
        }
        return _set(_others(which), memberWeights);
    }

    /// @dev Members with the largest weight, whose keys nobody has.
    function _largeSet(uint256 count) private pure returns (OperatorSet memory set) {
        set.operators = new address[](count);
        set.signingKeys = new address[](count);
        set.ed25519Keys = new bytes32[](count);
        set.weights = new uint256[](count);
        for (uint160 i; i < count; ++i) {
            set.operators[i] = address(i + 1);
            set.signingKeys[i] = address(type(uint160).max - i);
            set.weights[i] = type(uint96).max;
        }
        set.threshold = (2 * count * type(uint96).max) / 3 + 1;
    }

    /// @dev A certificate by all of `signers`.
    function _endorse(
        LightStakeRegistry target,
        Operator[] memory signers,
        uint32 epoch,
        uint32 nextEpoch,
        OperatorSet memory set
    ) private view returns (bytes memory) {
        bytes32 digest = _updateDigest(target.domainSeparator(), epoch, nextEpoch, set);
        return _compact(signers, (1 << signers.length) - 1, digest, epoch);
    }

    function _update(
        LightStakeRegistry target,
        Operator[] memory signers,
        uint32 epoch,
        uint32 nextEpoch,
        OperatorSet memory set
    ) private {
        target.updateEpoch(epoch, nextEpoch, set, _endorse(target, signers, epoch, nextEpoch, set));
    }

    function _refuseUpdate(
        Operator[] memory signers,
        uint32 epoch,
        uint32 nextEpoch,
        OperatorSet memory set,
        bytes memory reason
    ) private {
        bytes memory certificate = _endorse(light, signers, epoch, nextEpoch, set);
        vm.expectRevert(reason);
        light.updateEpoch(epoch, nextEpoch, set, certificate);
    }

    /// @dev Neither as the first set nor as a later one.
    function _refuseSet(OperatorSet memory set, bytes memory reason) private {
        _refuseUpdate(ops, FIRST, FIRST + 1, set, reason);
        vm.expectRevert(reason);
        _light(FIRST, set);
    }

    function _accept(bytes memory certificate) private view {
        vm.assertEq(bytes32(light.isValidSignature(DIGEST, certificate)), bytes32(MAGIC));
    }

    function _refuse(bytes memory certificate, bytes4 selector) private {
        vm.expectRevert(selector);
        light.isValidSignature(DIGEST, certificate);
    }
}
