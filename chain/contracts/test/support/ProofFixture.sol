// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {StateProof, StateProofs} from "../../src/StateProofs.sol";
import {Fixture} from "./Fixture.sol";

/// @notice Four operators of equal weight, and what they prove in epoch 3.
abstract contract ProofFixture is Fixture {
    uint32 internal constant EPOCH = 3;

    Operator[] internal ops;
    StateProof internal proof;

    function setUp() public virtual override {
        super.setUp();
        Operator[] memory made = _operators(4);
        for (uint256 i; i < 4; ++i) {
            ops.push(made[i]);
            _registerWithWeight(made[i], 100);
        }
        proof = StateProof(address(0x1234), 137, 5_000_000, 1_700_000_000, EPOCH, 7, 42);
        _goTo(EPOCH, 0);
    }

    function _certify(StateProof memory statement) internal view returns (bytes memory) {
        return _certificate(_first(ops, 3), StateProofs.digest(registry, statement), statement.epoch);
    }
}
