// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICheckpointLog} from "../../src/interfaces/ICheckpointLog.sol";

// What somebody else might build on a log: acts on an entry once it is shown to be there.
contract LoggedOnce {
    ICheckpointLog private immutable logContract;
    bytes32 private immutable logId;

    mapping(bytes32 leafHash => bool) public isTaken;

    constructor(ICheckpointLog logs, bytes32 log) {
        logContract = logs;
        logId = log;
    }

    function take(
        ICheckpointLog.Commitment calldata checkpoint,
        bytes32 leafHash,
        uint64 index,
        bytes32[] calldata proof
    ) external {
        logContract.verifyInclusion(logId, checkpoint, leafHash, index, proof);
        isTaken[leafHash] = true;
    }
}
