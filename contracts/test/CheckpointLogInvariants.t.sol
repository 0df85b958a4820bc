// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CheckpointLog} from "../src/CheckpointLog.sol";
import {ICheckpointLog} from "../src/interfaces/ICheckpointLog.sol";
import {Cheats} from "./support/Cheats.sol";
import {LogHandler} from "./support/LogHandler.sol";

contract CheckpointLogInvariants is Cheats {
    LogHandler private _handler;
    CheckpointLog private _logs;

    function setUp() external {
        _handler = new LogHandler();
        _logs = _handler.target();
    }

    // Where forge looks for what to call.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    // Whatever was tried, what is recorded is the honest log's.
    function invariant_INV3_theRecordIsOfOneHistory() external {
        (bytes32 log, ICheckpointLog.Commitment memory current) = _handler.state();
        vm.assertEq(current.root, _handler.rootOf(current.size), "INV-3 the honest root");
        _logs.attest(log, current);
    }

    function invariant_INV3_nothingElseIsRecorded() external view {
        (bytes32 log, ICheckpointLog.Commitment memory current) = _handler.state();
        ICheckpointLog.Log memory recorded = _logs.logOf(log);
        vm.assertEq(recorded.checkpoints, _handler.published(), "INV-3 as many as were published");
        vm.assertEq(recorded.time, current.time, "INV-3 at their time");
        vm.assertTrue(recorded.publisher == _handler.publisher(), "INV-3 the publisher");
    }
}
