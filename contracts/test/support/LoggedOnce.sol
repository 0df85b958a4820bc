// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICheckpointLog} from "../../src/interfaces/ICheckpointLog.sol";

// What somebody else might build on a log: acts on an entry once it is shown to be there.
contract LoggedOnce {
    ICheckpointLog private immutable _LOGS;
    bytes32 private immutable _LOG;

    mapping(bytes32 leafHash => bool) public isTaken;

    constructor(ICheckpointLog logs, bytes32 log) {
        _LOGS = logs;
        _LOG = log;
    }

    function take(
        ICheckpointLog.Commitment calldata checkpoint,
        bytes32 leafHash,
        uint64 index,
        bytes32[] calldata proof
    ) external {
        _LOGS.verifyInclusion(_LOG, checkpoint, leafHash, index, proof);
        isTaken[leafHash] = true;
    }
}
