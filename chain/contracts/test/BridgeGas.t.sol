// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

import {Transfer} from "../src/Transfers.sol";
import {BridgeFixture} from "./support/BridgeFixture.sol";
import {FakeToken} from "./support/FakeTokens.sol";

/// @notice A token without habits.
contract PlainToken is ERC20("Plain", "PLAIN") {
    function make(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @notice What a bridge's calls cost, transaction included, with certificates by 13 of 19. Prints nothing; `npm run gas`
/// reads the report.
/// @dev Isolated, so that each call begins cold as a transaction does.
/// forge-config: default.isolate = true
contract BridgeGasTest is BridgeFixture {
    string internal constant REPORT = "out/bridge-gas.jsonl";
    /// @dev The goal, for a payment of an ERC-20 token to who had some before.
    uint256 internal constant GOAL = 140_000;
    /// @dev A word of storage that was zero, beyond one that was not.
    uint256 internal constant NEW_WORD = 17_100;

    function _newToken() internal override returns (FakeToken) {
        return FakeToken(address(new PlainToken()));
    }

    function _memberCount() internal pure override returns (uint256) {
        return 19;
    }

    function _quorum() internal pure override returns (uint256) {
        return 13;
    }

    function test_report() public {
        vm.writeFile(REPORT, "");
        token.make(RECEIVER, 1);
        _measureDeliveries();
        _measureReturns();
        _measureQueue();
        _measurePause();
    }

    function _measureDeliveries() private {
        _deliver(_incoming(1, PEER_TOKEN, 1));
        vm.assertLt(_report("deliver", "first in 256"), GOAL + NEW_WORD);
        _deliver(_incoming(2, PEER_TOKEN, 1));
        vm.assertLt(_report("deliver", "token"), GOAL + 1);
        Transfer memory transfer = _incoming(3, PEER_TOKEN, 1);
        transfer.receiver = abi.encodePacked(address(bytes20(keccak256("another"))));
        _deliver(transfer);
        vm.assertLt(_report("deliver", "new holder"), GOAL + NEW_WORD);
        vm.deal(RECEIVER, 1);
        _deliver(_incoming(4, PEER_COIN, 1));
        vm.assertLt(_report("deliver", "coin"), GOAL);
        _deliver(_incoming(5, PEER_NATIVE, 1));
        _deliver(_incoming(6, PEER_NATIVE, 1));
        vm.assertLt(_report("deliver", "mint"), GOAL);
    }

    function _measureReturns() private {
        Transfer memory transfer = _sendToken(1_000);
        vm.assertLt(_report("send", "token"), GOAL);
        _refund(transfer, 9);
        vm.assertLt(_report("refund", "token"), GOAL);
        _send(address(0), 1 ether, COIN_UNIT);
        vm.assertLt(_report("send", "coin"), GOAL);
        transfer = _incoming(7);
        _pass(2 days);
        _close(transfer);
        vm.assertLt(_report("close", ""), GOAL);
    }

    function _measureQueue() private {
        Transfer memory transfer = _incoming(8, PEER_TOKEN, 2_000);
        _deliver(transfer);
        vm.assertLt(_report("deliver", "queued"), GOAL + 2 * NEW_WORD);
        _pass(LIMIT_DELAY);
        bridge.release(transfer);
        vm.assertLt(_report("release", "token"), GOAL);
    }

    function _measurePause() private {
        _setPaused(true);
        vm.assertLt(_report("setPaused", "pause"), GOAL);
        _setPaused(false);
        vm.assertLt(_report("setPaused", "resume"), GOAL);
        vm.prank(GUARDIAN);
        bridge.guardianPause();
        vm.assertLt(_report("guardianPause", ""), GOAL);
    }

    function _report(string memory name, string memory kind) private returns (uint256 total) {
        total = vm.lastCallGas().gasTotalUsed;
        string memory line = string.concat('{"bridge":"', name, '","case":"', kind);
        vm.writeLine(REPORT, string.concat(line, '","total":', vm.toString(total), "}"));
    }
}
