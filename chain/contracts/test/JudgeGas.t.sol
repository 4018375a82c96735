// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EpochUpdate, SignedEpochUpdate} from "../src/EpochUpdates.sol";
import {SignedStateProof, StateProof} from "../src/StateProofs.sol";
import {JudgeFixture} from "./support/JudgeFixture.sol";

/// @notice What a judgement costs, transaction included. Prints nothing; `npm run gas` reads the report.
/// @dev Isolated, so that each call begins cold as a transaction does.
/// forge-config: default.isolate = true
contract JudgeGasTest is JudgeFixture {
    string internal constant REPORT = "out/judge-gas.jsonl";
    /// @dev Four new words for the case, the term, jail and freeze at 22,100, entries of the operator, its Ed25519 key
    /// and the total at up to 45,000 each, events, and base, calldata and checks of 60,000.
    uint256 internal constant LIMIT = 340_000;
    /// @dev One new word, and the checks.
    uint256 internal constant LIMIT_AGAIN = 120_000;

    function test_report() public {
        vm.writeFile(REPORT, "");
        vm.assertLt(_proofs("stateProofs", "first", 1), LIMIT);
        vm.assertLt(_proofs("stateProofs", "another", 2), LIMIT_AGAIN);
        _goTo(2, 0);
        (SignedEpochUpdate memory a, SignedEpochUpdate memory b) = (
            _signed(bob, EpochUpdate(1, 9, keccak256("a"))),
            _signed(bob, EpochUpdate(1, 9, keccak256("b")))
        );
        judge.judgeEpochUpdates(bob.account, a, b);
        vm.assertLt(_report("epochUpdates", "first"), LIMIT);
    }

    function _proofs(string memory kind, string memory place, uint64 blockNumber) private returns (uint256) {
        (StateProof memory first, StateProof memory second) = (_proof(1, 7), _proof(1, 8));
        (first.blockNumber, second.blockNumber) = (blockNumber, blockNumber);
        (SignedStateProof memory a, SignedStateProof memory b) = (_signed(alice, first), _signed(alice, second));
        judge.judgeStateProofs(alice.account, a, b);
        return _report(kind, place);
    }

    function _report(string memory kind, string memory place) private returns (uint256 total) {
        total = vm.lastCallGas().gasTotalUsed;
        string memory line = string.concat('{"judge":"', kind, '","case":"', place);
        vm.writeLine(REPORT, string.concat(line, '","total":', vm.toString(total), "}"));
    }
}
