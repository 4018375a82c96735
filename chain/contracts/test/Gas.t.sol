// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IQuorumRegistry} from "../src/IQuorumRegistry.sol";
import {LightStakeRegistry} from "../src/LightStakeRegistry.sol";
import {OperatorSet, OperatorSets} from "../src/OperatorSets.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice What a transaction that does nothing but check a certificate, store a set, or change a full one, costs. Writes one
/// JSON line per measurement.
/// @dev Isolated, so that each call begins cold as a transaction does. Gas of calls that change something then includes
/// base and calldata, gas of others does not.
/// forge-config: default.isolate = true
contract GasTest is Fixture {
    uint256 internal constant BASE = 21_000;
    uint256 internal constant ECRECOVER = 3_000;
    uint256 internal constant COLD_READ = 2_100;
    uint256 internal constant COLD_ACCOUNT = 2_600;
    uint32 internal constant EPOCH = 1;
    bytes32 internal constant DIGEST = keccak256("digest");
    string internal constant REPORT = "out/gas.jsonl";

    /// @dev Room for growth of the compiler's output, none for another storage read per signer.
    uint256 internal constant LIMIT_PER_SIGNER = 8_300;
    uint256 internal constant LIMIT_FIXED = 31_000;
    /// @dev A signer's 64 bytes, its recovery by a call, and 600 on top.
    uint256 internal constant COMPACT_LIMIT_PER_SIGNER = 4_700;
    uint256 internal constant COMPACT_LIMIT_FIXED = 31_200;
    /// @dev The goal: 13 of 19 signers.
    uint256 internal constant GOAL = 90_000;
    /// @dev Most gas of a transaction (EIP-7825).
    uint256 internal constant TRANSACTION_LIMIT = 16_777_216;
    /// @dev Both words of each member, cold, and the entry of the one that is replaced.
    uint256 internal constant REPLACEMENT_LIMIT = 2_800_000;
    /// @dev 52 bytes of code at 200 gas, 128 bytes of calldata, hash and checks.
    uint256 internal constant UPDATE_LIMIT_PER_MEMBER = 18_000;
    /// @dev 32 bytes of code, the reads of key and weight, and its address in calldata.
    uint256 internal constant SEAL_LIMIT_PER_MEMBER = 18_000;
    uint256 internal constant STORE_LIMIT_FIXED = 250_000;

    Operator[] internal ops;

    /// @dev One test, since all write to one report.
    function test_report() public {
        vm.writeFile(REPORT, "");
        uint256[2][5] memory sizes = [
            [uint256(4), 5],
            [uint256(7), 10],
            [uint256(13), 19],
            [uint256(34), 50],
            [uint256(67), 100]
        ];
        for (uint256 i; i < sizes.length; ++i) {
            _measureChecks(sizes[i][0], sizes[i][1]);
        }
        uint256[4] memory counts = [uint256(5), 19, 100, OperatorSets.MAX_MEMBERS];
        for (uint256 i; i < counts.length; ++i) {
            _measureSeals(counts[i]);
        }
        _measureReplacement();
        for (uint256 i; i < counts.length; ++i) {
            _measureUpdates(counts[i]);
        }
    }

    /// @dev A pending change must not cost more than the one more entry to look at.
    function test_certificateCheckWithPendingChanges() public {
        _prepare(7);
        bytes memory certificate = _certificate(ops, DIGEST, EPOCH);
        uint256 before = _check(registry, certificate);
        for (uint256 i; i < ops.length; ++i) {
            _setWeight(ops[i], 2 ether);
        }
        vm.assertLt(_check(registry, certificate), before + 8 * (2 * COLD_READ + 600));
    }

    /// @dev A conviction makes checks of the epochs before it dearer by a look at each signer, whatever the form.
    function test_certificateCheckWithAConvict() public {
        _prepare(7);
        registry.sealEpoch(EPOCH, _accounts(ops));
        bytes memory listed = _certificate(_first(ops, 6), DIGEST, EPOCH);
        bytes memory compact = _compact(ops, 0x3f, DIGEST, EPOCH);
        (uint256 listedGas, uint256 compactGas) = (_check(registry, listed), _check(registry, compact));
        vm.prank(address(registry.judge()));
        registry.jail(ops[6].account, ops[6].signingKey, ops[6].signingKey);
        // The total has changed as well.
        uint256 pending = 2 * COLD_READ + 600;
        vm.assertLt(_check(registry, listed), listedGas + 6 * (COLD_READ + 400) + pending);
        vm.assertLt(_check(registry, compact), compactGas + 6 * (2 * COLD_READ + 1_000) + 3_000);
    }

    function _measureChecks(uint256 signers, uint256 members) private {
        setUp();
        _prepare(members);
        registry.sealEpoch(EPOCH, _accounts(ops));
        LightStakeRegistry light = _light(EPOCH, _setOfEqual(ops, 1 ether));
        bytes memory listed = _certificate(_first(ops, signers), DIGEST, EPOCH);
        bytes memory compact = _compact(ops, (1 << signers) - 1, DIGEST, EPOCH);

        uint256 abiLimit = LIMIT_FIXED + signers * LIMIT_PER_SIGNER;
        uint256 compactLimit = COMPACT_LIMIT_FIXED + signers * COMPACT_LIMIT_PER_SIGNER;
        if (signers == 13) compactLimit = GOAL + 1;
        vm.assertLt(_reportCheck("home", "abi", registry, signers, listed), abiLimit);
        vm.assertLt(_reportCheck("home", "compact", registry, signers, compact), compactLimit);
        vm.assertLt(_reportCheck("light", "abi", light, signers, listed), abiLimit + 2 * COLD_ACCOUNT);
        vm.assertLt(_reportCheck("light", "compact", light, signers, compact), compactLimit);
    }

    function _reportCheck(
        string memory place,
        string memory form,
        IQuorumRegistry target,
        uint256 signers,
        bytes memory certificate
    ) private returns (uint256 total) {
        uint256 execution = _check(target, certificate);
        vm.record();
        target.isValidSignature(DIGEST, certificate);
        (bytes32[] memory slots, ) = vm.accesses(address(target));
        // Code with the members, or in ABI form, unless these are in storage, one more with the operators.
        uint256 codes = certificate[0] == 0x01 ? 1 : address(target) == address(registry) ? 0 : 2;
        uint256 reads = _distinct(slots) * COLD_READ + codes * COLD_ACCOUNT;
        uint256 data = _calldataGas(abi.encodeCall(target.isValidSignature, (DIGEST, certificate)));
        total = BASE + data + execution;

        string memory line = string.concat('{"registry":"', place, '","form":"', form);
        line = string.concat(line, '","members":', vm.toString(ops.length), ',"signers":', vm.toString(signers));
        line = string.concat(line, ',"total":', vm.toString(total), ',"base":', vm.toString(BASE));
        line = string.concat(line, ',"calldata":', vm.toString(data));
        line = string.concat(line, ',"ecrecover":', vm.toString(signers * ECRECOVER));
        line = string.concat(line, ',"storage":', vm.toString(reads));
        line = string.concat(line, ',"rest":', vm.toString(execution - signers * ECRECOVER - reads), "}");
        vm.writeLine(REPORT, line);
    }

    /// @dev A set that was never seen, then the same one for the next epoch, then one that
    /// all members have changed since.
    function _measureSeals(uint256 members) private {
        setUp();
        _prepare(members);
        _goTo(EPOCH + 1, 0);
        uint256 limit = STORE_LIMIT_FIXED + members * SEAL_LIMIT_PER_MEMBER;
        vm.assertLt(_reportSeal("new", EPOCH), limit);
        vm.assertLt(_reportSeal("unchanged", EPOCH + 1), limit - members * 32 * 200);
        for (uint256 i; i < members; ++i) {
            _setWeight(ops[i], 2 ether);
        }
        _goTo(EPOCH + 2, 0);
        for (uint256 i; i < members; ++i) {
            _setWeight(ops[i], 3 ether);
        }
        vm.assertLt(_reportSeal("outdated", EPOCH + 2), limit + members * 2 * COLD_READ);
        vm.assertLt(limit + members * 2 * COLD_READ, TRANSACTION_LIMIT);
    }

    /// @dev In the registry of {_measureSeals}, which is full.
    function _measureReplacement() private {
        Operator memory heavy = _operator(10_000);
        weights.set(heavy.account, 4 ether);
        bytes memory proof = _keyProof(heavy);
        vm.prank(heavy.account);
        registry.registerOperator(heavy.signingKey, proof);
        bytes memory data = abi.encodeCall(registry.registerOperator, (heavy.signingKey, proof));
        vm.assertLt(_reportStore("registerOperator", "full", data), REPLACEMENT_LIMIT);
        address[] memory outside = new address[](1);
        outside[0] = _outside();
        weights.set(outside[0], 5 ether);
        registry.updateOperators(outside);
        data = abi.encodeCall(registry.updateOperators, (outside));
        vm.assertLt(_reportStore("updateOperators", "full", data), REPLACEMENT_LIMIT);
    }

    /// @dev Who was replaced.
    function _outside() private view returns (address account) {
        for (uint256 i; account == address(0); ++i) {
            if (registry.getOperatorWeightAtEpoch(ops[i].account, EPOCH + 3) == 0) account = ops[i].account;
        }
    }

    function _reportSeal(string memory set, uint32 epoch) private returns (uint256) {
        address[] memory accounts = _accounts(ops);
        registry.sealEpoch(epoch, accounts);
        return _reportStore("sealEpoch", set, abi.encodeCall(registry.sealEpoch, (epoch, accounts)));
    }

    function _measureUpdates(uint256 members) private {
        setUp();
        _prepare(0);
        _keep(_operators(members));
        LightStakeRegistry light = _light(EPOCH, _setOfEqual(ops, 1 ether));
        uint256 limit = STORE_LIMIT_FIXED + members * (UPDATE_LIMIT_PER_MEMBER + COMPACT_LIMIT_PER_SIGNER);
        vm.assertLt(limit, TRANSACTION_LIMIT);
        Operator[] memory others = _operators(members, 1000);
        vm.assertLt(_reportUpdate("new", light, others), limit);
        vm.assertLt(_reportUpdate("unchanged", light, others), limit - members * 52 * 200);
    }

    /// @dev By the fewest of `ops` to the set `next`, which signs the next time.
    function _reportUpdate(
        string memory kind,
        LightStakeRegistry light,
        Operator[] memory next
    ) private returns (uint256) {
        OperatorSet memory set = _setOfEqual(next, 1 ether);
        uint32 epoch = light.newestEpoch();
        bytes32 digest = _updateDigest(light.domainSeparator(), epoch, epoch + 1, set);
        uint256 quorum = (2 * ops.length) / 3 + 1;
        bytes memory certificate = _compactByFirst(quorum, digest, epoch);
        _keep(next);
        _rollTo(_fixedBlock(epoch + 1));
        light.updateEpoch(epoch, epoch + 1, _fixedAt(epoch + 1), set, certificate);
        return
            _reportStore(
                "updateEpoch",
                kind,
                abi.encodeCall(light.updateEpoch, (epoch, epoch + 1, _fixedAt(epoch + 1), set, certificate))
            );
    }

    /// @dev As {Fixture-_compact}, for sets of more than 256 members.
    function _compactByFirst(uint256 signers, bytes32 digest, uint32 epoch) private view returns (bytes memory) {
        bytes memory bitmap = new bytes((ops.length + 7) / 8);
        bytes memory signatures = new bytes(64 * signers);
        for (uint256 i; i < signers; ++i) {
            bitmap[i / 8] |= bytes1(uint8(1 << (i % 8)));
            bytes memory signature = _sign64(ops[i].secret, digest);
            assembly ("memory-safe") {
                mcopy(add(add(signatures, 32), shl(6, i)), add(signature, 32), 64)
            }
        }
        return abi.encodePacked(uint8(1), epoch, bitmap, signatures);
    }

    function _reportStore(
        string memory name,
        string memory set,
        bytes memory data
    ) private returns (uint256 total) {
        total = vm.lastCallGas().gasTotalUsed;
        uint256 calldataGas = _calldataGas(data);
        uint256 execution = total - calldataGas - BASE;

        string memory line = string.concat('{"call":"', name, '","members":', vm.toString(ops.length));
        line = string.concat(line, ',"set":"', set, '","total":', vm.toString(total));
        line = string.concat(line, ',"base":', vm.toString(BASE), ',"calldata":', vm.toString(calldataGas));
        line = string.concat(line, ',"execution":', vm.toString(execution), "}");
        vm.writeLine(REPORT, line);
    }

    function _prepare(uint256 members) private {
        _keep(_operators(members));
        for (uint256 i; i < members; ++i) {
            _registerWithWeight(ops[i], 1 ether);
        }
        _goTo(EPOCH, 0);
    }

    function _keep(Operator[] memory made) private {
        delete ops;
        for (uint256 i; i < made.length; ++i) {
            ops.push(made[i]);
        }
    }

    function _check(IQuorumRegistry target, bytes memory certificate) private view returns (uint256) {
        target.isValidSignature(DIGEST, certificate);
        return vm.lastCallGas().gasTotalUsed;
    }

    function _distinct(bytes32[] memory slots) private pure returns (uint256 count) {
        for (uint256 i; i < slots.length; ++i) {
            bool seen;
            for (uint256 j; j < i && !seen; ++j) {
                seen = slots[j] == slots[i];
            }
            if (!seen) ++count;
        }
    }

    function _calldataGas(bytes memory data) private pure returns (uint256 gas) {
        for (uint256 i; i < data.length; ++i) {
            gas += data[i] == 0 ? 4 : 16;
        }
    }
}
