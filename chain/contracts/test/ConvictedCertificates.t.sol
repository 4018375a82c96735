// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {SignedAttestation} from "../src/Attestations.sol";
import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {OperatorSet, OperatorSets} from "../src/OperatorSets.sol";
import {CertificateFixture} from "./support/CertificateFixture.sol";
import {Opcodes} from "./support/Opcodes.sol";

/// @notice What the signatures of convicts are worth on the home chain: nothing, from the block of the conviction on.
/// @dev Of the weights 40, 30, 20 and 10 that of 30 is the convict's, if no other is named. Bits 0x3 are a quorum with it
/// alone, 0xd are one without it.
contract ConvictedCertificatesTest is CertificateFixture {
    uint256 internal constant CONVICT = 1;
    uint256 internal constant ALL = 0xf;
    uint256 internal constant WITH = 0x3;
    uint256 internal constant WITHOUT = 0xd;

    function setUp() public override {
        super.setUp();
        registry.sealEpoch(EPOCH, _accounts(ops));
    }

    function test_fromTheBlockOfTheConvictionOn() public {
        _acceptBoth(WITH, EPOCH);
        _convict(EPOCH);
        _refuseBoth(WITH, EPOCH, _tooLittle());
        vm.assertEq(registry.barredUntil(ops[CONVICT].account), EPOCH + 1);
    }

    /// @dev Others suffice, and the convict's signature among them does no harm: certificates that exist stay good.
    function test_otherSignersStillReachTheThreshold() public {
        _convict(EPOCH);
        _acceptBoth(WITHOUT, EPOCH);
        _acceptBoth(ALL, EPOCH);
    }

    /// @dev Weight that counts nothing is still weight of the set: nobody gains a quorum by the conviction of others.
    function test_theThresholdStays() public {
        bytes32 before = _hashAt(EPOCH);
        _convict(EPOCH);
        vm.assertEq(registry.getTotalWeightAtEpoch(EPOCH), 100);
        vm.assertEq(registry.getThresholdStake(EPOCH), 67);
        vm.assertEq(registry.getOperatorWeightAtEpoch(ops[CONVICT].account, EPOCH), 30);
        vm.assertEq(registry.getOperatorSigningKeyAtEpoch(ops[CONVICT].account, EPOCH), ops[CONVICT].signingKey);
        vm.assertEq(_hashAt(EPOCH), before);
        _refuseBoth(0x9, EPOCH, _tooLittle()); // 50 of 70 would be a quorum of the others
        vm.assertEq(registry.getTotalWeightAtEpoch(EPOCH + 1), 70);
    }

    /// @dev The set of the next epoch is fixed by then, with the convict. It counts nothing there either.
    function test_aConvictionInTheGracePeriod() public {
        _rollTo(_fixedBlock(EPOCH + 1));
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
        bytes32 before = _hashAt(EPOCH + 1);
        _convict(EPOCH);
        vm.assertEq(registry.barredUntil(ops[CONVICT].account), EPOCH + 2);
        _refuseBoth(WITH, EPOCH, _tooLittle());
        _goTo(EPOCH + 1, 0);
        vm.assertEq(registry.getTotalWeightAtEpoch(EPOCH + 1), 100);
        vm.assertEq(_hashAt(EPOCH + 1), before);
        _refuseBoth(WITH, EPOCH + 1, _tooLittle());
        _acceptBoth(WITHOUT, EPOCH + 1);
        _refuseBoth(WITH, EPOCH, _tooLittle());
    }

    function test_inAllEpochsBefore() public {
        _goTo(EPOCH + 1, 0);
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
        _acceptBoth(WITH, EPOCH);
        _acceptBoth(WITH, EPOCH + 1);
        _convict(EPOCH);
        _refuseBoth(WITH, EPOCH, _tooLittle());
        _refuseBoth(WITH, EPOCH + 1, _tooLittle());
        _acceptBoth(WITHOUT, EPOCH);
        _acceptBoth(WITHOUT, EPOCH + 1);
    }

    /// @dev It is the operator that is convicted, not the key: what it signed with another one counts nothing either.
    function test_alsoUnderOtherKeys() public {
        Operator memory moved = ops[CONVICT];
        _moveKey(moved, 99);
        (moved.secret, moved.signingKey) = (99, vm.addr(99));
        _goTo(EPOCH + 1, 0);
        registry.sealEpoch(EPOCH + 1, _accounts(ops));
        Operator[] memory later = ops;
        later[CONVICT] = moved;
        _accept(_compact(later, WITH, DIGEST, EPOCH + 1));

        _convictOf(moved, EPOCH + 1);
        vm.assertFalse(registry.convicted(ops[CONVICT].signingKey));
        _refuseBoth(WITH, EPOCH, _tooLittle());
        _refuse(_compact(later, WITH, DIGEST, EPOCH + 1), _tooLittle());
        _refuse(_certificate(_chosen(later, WITH), DIGEST, EPOCH + 1), _tooLittle());
        _accept(_compact(later, ALL, DIGEST, EPOCH + 1));
        _accept(_certificate(later, DIGEST, EPOCH + 1));
    }

    /// @dev To leave in time saves nobody.
    function test_alsoThoseThatHaveLeft() public {
        vm.prank(ops[CONVICT].account);
        registry.deregisterOperator();
        _goTo(EPOCH + 1, 0);
        _acceptBoth(WITH, EPOCH);
        _convict(EPOCH);
        _refuseBoth(WITH, EPOCH, _tooLittle());
        _acceptBoth(WITHOUT, EPOCH);
    }

    function test_severalConvicts() public {
        _convictOf(ops[2], EPOCH);
        _acceptBoth(WITH, EPOCH);
        _acceptBoth(ALL, EPOCH); // 80
        _convictOf(ops[3], EPOCH);
        _acceptBoth(ALL, EPOCH); // 70
        _convict(EPOCH);
        _refuseBoth(ALL, EPOCH, _tooLittle());
        _convictOf(ops[0], EPOCH);
        _refuseBoth(ALL, EPOCH, _tooLittle());
    }

    /// @dev A second conviction later bars later epochs too; the one of another operator does not bar the first.
    function test_eachConvictIsBarredByItsOwnEpoch() public {
        _convictOf(ops[3], EPOCH);
        _goTo(EPOCH + 1, 0);
        address[] memory left = _accounts(_first(ops, 3));
        registry.sealEpoch(EPOCH + 1, left);
        vm.assertEq(registry.getTotalWeightAtEpoch(EPOCH + 1), 90);
        _convictOf(ops[2], EPOCH);
        Operator[] memory three = _first(ops, 3);
        _accept(_compact(three, WITH, DIGEST, EPOCH + 1));
        _accept(_certificate(_first(ops, 2), DIGEST, EPOCH + 1));
        _refuse(_compact(three, 0x5, DIGEST, EPOCH + 1), _tooLittle());
        _acceptBoth(WITH, EPOCH);
        _acceptBoth(ALL, EPOCH); // 70
        _refuseBoth(WITHOUT, EPOCH, _tooLittle()); // 40
    }

    /// @dev Not so little that a wrong signature passes.
    function test_convictsMustHaveSignedToo() public {
        _convict(EPOCH);
        Operator[] memory signers = ops;
        signers[CONVICT].secret = 1234;
        bytes memory reason = abi.encodeWithSelector(IQuorumRegistry.InvalidSignature.selector);
        _refuse(_certificate(signers, DIGEST, EPOCH), reason);
        _refuse(_compact(signers, ALL, DIGEST, EPOCH), reason);
    }

    function test_afterTheReleaseOldSignaturesDoNotCount() public {
        _convict(EPOCH);
        decider.decide(registry.judge(), ops[CONVICT].account, 1, 0, true);
        _goTo(EPOCH + 1, 0);
        registry.judge().settle(ops[CONVICT].account);
        vm.assertFalse(registry.jailed(ops[CONVICT].account));
        _refuseBoth(WITH, EPOCH, _tooLittle());

        // Nor once it has joined again, with another key. From then on it counts like everybody.
        Operator[] memory later = ops;
        (later[CONVICT].secret, later[CONVICT].signingKey) = (99, vm.addr(99));
        _register(later[CONVICT]);
        _goTo(EPOCH + 2, 0);
        registry.sealEpoch(EPOCH + 2, _accounts(ops));
        _accept(_compact(later, WITH, DIGEST, EPOCH + 2));
        _accept(_certificate(_chosen(later, WITH), DIGEST, EPOCH + 2));
        _refuseBoth(WITH, EPOCH, _tooLittle());
        vm.assertEq(registry.barredUntil(ops[CONVICT].account), EPOCH + 1);
    }

    function test_validUntilKnowsConvictsWithoutAClock() public {
        _convict(EPOCH);
        vm.etch(address(registry), Opcodes.withoutForbidden(address(registry).code));
        uint64 expected = uint64(block.timestamp) + LIFETIME_SECONDS;
        vm.assertEq(registry.validUntil(DIGEST, _compact(ops, WITHOUT, DIGEST, EPOCH)), expected);
        vm.assertEq(registry.validUntil(DIGEST, _certificate(ops, DIGEST, EPOCH)), expected);
        bytes memory compact = _compact(ops, WITH, DIGEST, EPOCH);
        vm.expectRevert(_tooLittle());
        registry.validUntil(DIGEST, compact);
        bytes memory listed = _certificate(_chosen(ops, WITH), DIGEST, EPOCH);
        vm.expectRevert(_tooLittle());
        registry.validUntil(DIGEST, listed);
    }

    /// @dev Both forms say the same, whoever is convicted and whoever signs.
    function testFuzz_formsAgree(uint8 convicts, uint8 signers) public {
        signers = uint8(_bound(signers, 1, ALL));
        uint256 counted;
        for (uint256 i; i < 4; ++i) {
            bool isConvict = (convicts >> i) & 1 == 1;
            if (isConvict) _convictOf(ops[i], EPOCH);
            if (!isConvict && (signers >> i) & 1 == 1) counted += 40 - 10 * i;
        }
        if (counted < 67) _refuseBoth(signers, EPOCH, _tooLittle());
        else _acceptBoth(signers, EPOCH);
    }

    function _convict(uint32 epoch) private {
        _convictOf(ops[CONVICT], epoch);
    }

    /// @dev By two facts for one slot, signed in `epoch`.
    function _convictOf(Operator memory op, uint32 epoch) private {
        registry.judge().judge(op.account, _signed(op, epoch, "one"), _signed(op, epoch, "two"));
    }

    function _signed(Operator memory op, uint32 epoch, bytes32 fact) private view returns (SignedAttestation memory) {
        bytes32 digest = _attestationDigest(_domainSeparator(registry), epoch, "slot", fact);
        return SignedAttestation(epoch, "slot", fact, _sign(op.secret, digest));
    }

    function _hashAt(uint32 epoch) private view returns (bytes32) {
        (OperatorSet memory set, uint256 total) = registry.getMembersAtEpoch(_accounts(ops), epoch);
        return OperatorSets.hash(set, total);
    }

    function _tooLittle() private pure returns (bytes memory) {
        return abi.encodeWithSelector(IQuorumRegistry.InsufficientSignedStake.selector);
    }
}
