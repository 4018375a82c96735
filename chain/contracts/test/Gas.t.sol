// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Fixture} from "./support/Fixture.sol";

/// @notice What a transaction that does nothing but check a certificate costs, with nothing of the registry's storage
/// read before. Writes one JSON line per number of signers.
contract GasTest is Fixture {
    uint256 internal constant BASE = 21_000;
    uint256 internal constant ECRECOVER = 3_000;
    uint256 internal constant COLD_READ = 2_100;
    string internal constant REPORT = "out/gas.jsonl";

    /// @dev Room for growth of the compiler's output, none for another storage read per signer.
    uint256 internal constant LIMIT_PER_SIGNER = 8_300;
    uint256 internal constant LIMIT_FIXED = 28_000;

    function test_certificateCheck() public {
        uint256[4] memory counts = [uint256(4), 7, 13, 34];
        vm.writeFile(REPORT, "");
        for (uint256 i; i < counts.length; ++i) {
            setUp();
            vm.assertLt(_measure(counts[i]), LIMIT_FIXED + counts[i] * LIMIT_PER_SIGNER);
        }
    }

    /// @dev A pending change must not cost more than the one more entry to look at.
    function test_certificateCheckWithPendingChanges() public {
        Operator[] memory ops = _prepare(7);
        bytes32 digest = keccak256("digest");
        bytes memory certificate = _certificate(ops, digest, 1);
        uint256 before = _execution(digest, certificate);
        for (uint256 i; i < ops.length; ++i) {
            _setWeight(ops[i], 2 ether);
        }
        vm.assertLt(_execution(digest, certificate), before + 8 * (2 * COLD_READ + 600));
    }

    function _measure(uint256 signers) private returns (uint256 total) {
        Operator[] memory ops = _prepare(signers);
        bytes32 digest = keccak256("digest");
        bytes memory certificate = _certificate(ops, digest, 1);
        uint256 execution = _execution(digest, certificate);

        vm.record();
        registry.isValidSignature(digest, certificate);
        (bytes32[] memory reads, ) = vm.accesses(address(registry));
        uint256 storageReads = _distinct(reads) * COLD_READ;
        uint256 data = _calldataGas(abi.encodeCall(registry.isValidSignature, (digest, certificate)));
        total = BASE + data + execution;

        string memory line = string.concat('{"signers":', vm.toString(signers), ',"total":', vm.toString(total));
        line = string.concat(line, ',"base":', vm.toString(BASE), ',"calldata":', vm.toString(data));
        line = string.concat(line, ',"ecrecover":', vm.toString(signers * ECRECOVER));
        line = string.concat(line, ',"storage":', vm.toString(storageReads));
        line = string.concat(line, ',"rest":', vm.toString(execution - signers * ECRECOVER - storageReads), "}");
        vm.writeLine(REPORT, line);
    }

    function _prepare(uint256 signers) private returns (Operator[] memory ops) {
        ops = _operators(signers);
        for (uint256 i; i < signers; ++i) {
            _registerWithWeight(ops[i], 1 ether);
        }
        _goTo(1, 0);
    }

    function _execution(bytes32 digest, bytes memory certificate) private returns (uint256) {
        vm.cool(address(registry));
        registry.isValidSignature(digest, certificate);
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
