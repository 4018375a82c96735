// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {JudgeFixture} from "./support/JudgeFixture.sol";

/// @notice What a judgement costs, transaction included. Prints nothing; `npm run gas` reads the report.
/// @dev Isolated, so that each call begins cold as a transaction does.
/// forge-config: default.isolate = true
contract JudgeGasTest is JudgeFixture {
    string internal constant REPORT = "out/judge-gas.jsonl";
    /// @dev New words for each key, the bar of the operator and of all, the time of the set, jail, the term and the freeze at
    /// 22,100, entries of the operator and the total at up to 49,000 each, three words of the list of members, events, and
    /// base, calldata and checks of 60,000.
    uint256 internal constant LIMIT = 430_000;
    /// @dev The key, and the checks.
    uint256 internal constant LIMIT_AGAIN = 120_000;

    function test_report() public {
        vm.writeFile(REPORT, "");
        Operator memory renewed = _changeKey(alice, 1);
        Operator memory bobs = _changeKey(bob, 2);
        _goTo(2, 0);
        _convict(alice, 1);
        vm.assertLt(_report("one key", "first"), LIMIT);
        judge.judge(alice.account, _signed(renewed, 2, "one"), _signed(renewed, 2, "two"));
        vm.assertLt(_report("one key", "another"), LIMIT_AGAIN);
        _goTo(3, 0);
        judge.judge(bob.account, _signed(bob, 1, "one"), _signed(bobs, 2, "two"));
        vm.assertLt(_report("two keys", "first"), LIMIT);
    }

    function _report(string memory kind, string memory place) private returns (uint256 total) {
        total = vm.lastCallGas().gasTotalUsed;
        string memory line = string.concat('{"judge":"', kind, '","case":"', place);
        vm.writeLine(REPORT, string.concat(line, '","total":', vm.toString(total), "}"));
    }
}
