// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ParticipantStatementExecutor} from "./ParticipantStatementExecutor.sol";
import {ICheckpointLog} from "./interfaces/ICheckpointLog.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {Rfc6962} from "./libraries/Rfc6962.sol";
import {CheckpointLogTypes, LogClosing, LogOpening, LogRotation} from "./types/CheckpointLogTypes.sol";

contract CheckpointLog is ICheckpointLog, ParticipantStatementExecutor {
    using CheckpointLogTypes for LogClosing;
    using CheckpointLogTypes for LogOpening;
    using CheckpointLogTypes for LogRotation;

    uint256 private constant _RING = 64;
    uint256 private constant _MAX_ORIGIN_BYTES = 255;

    // One slot: all that a checkpoint touches, beside its place in the ring.
    struct Head {
        address publisher;
        uint40 checkpoints;
        uint40 time;
        bool closed;
    }

    struct Record {
        Head head;
        uint64 rotations;
        bytes32 participant;
        bytes32 verifierKey;
        bytes32 successor;
        bytes32[_RING] ring;
    }

    mapping(bytes32 log => Record) private _logs;
    mapping(bytes32 digest => bool) public isExecuted;

    constructor(IParticipantRegistry registry_) ParticipantStatementExecutor(registry_) {}

    /// @inheritdoc ICheckpointLog
    function open(LogOpening calldata statement, address signer, bytes calldata signature) external returns (bool) {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _checkStatement(digest, statement.participant, statement.deadline, signer, signature);
        _checkOrigin(statement.origin);
        _checkKeys(statement.publisher, statement.verifierKey);
        bytes32 id = keccak256(abi.encode(statement.participant, keccak256(bytes(statement.origin))));
        Record storage record = _logs[id];
        if (record.head.publisher != address(0)) revert CheckpointLogAlreadyOpen(id);
        isExecuted[digest] = true;
        record.head.publisher = statement.publisher;
        record.head.time = uint40(block.timestamp);
        record.participant = statement.participant;
        record.verifierKey = statement.verifierKey;
        record.ring[0] = _commit(0, Rfc6962.EMPTY_ROOT, uint64(block.timestamp));
        emit LogOpened(
            digest,
            id,
            statement.participant,
            statement.origin,
            statement.publisher,
            statement.verifierKey
        );
        return true;
    }

    /// @inheritdoc ICheckpointLog
    function rotate(LogRotation calldata statement, address signer, bytes calldata signature) external returns (bool) {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _checkStatement(digest, statement.participant, statement.deadline, signer, signature);
        Record storage record = _operated(statement.log, statement.participant);
        _checkKeys(statement.publisher, statement.verifierKey);
        uint64 expected = record.rotations + 1;
        if (statement.counter != expected) revert CheckpointLogCounter(statement.log, expected, statement.counter);
        isExecuted[digest] = true;
        record.rotations = expected;
        record.head.publisher = statement.publisher;
        record.verifierKey = statement.verifierKey;
        emit LogRotated(digest, statement.log, expected, statement.publisher, statement.verifierKey);
        return true;
    }

    /// @inheritdoc ICheckpointLog
    function close(LogClosing calldata statement, address signer, bytes calldata signature) external returns (bool) {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _checkStatement(digest, statement.participant, statement.deadline, signer, signature);
        Record storage record = _operated(statement.log, statement.participant);
        if (statement.successor == statement.log) revert CheckpointLogSuccessor(statement.log);
        isExecuted[digest] = true;
        record.head.closed = true;
        record.successor = statement.successor;
        emit LogClosed(digest, statement.log, statement.successor);
        return true;
    }

    /// @inheritdoc ICheckpointLog
    function publish(
        bytes32 log,
        Commitment calldata previous,
        uint64 size,
        bytes32 root,
        bytes32[] calldata consistencyProof
    ) external returns (bool) {
        Record storage record = _logs[log];
        Head memory head = record.head;
        if (head.publisher == address(0)) revert CheckpointLogUnknown(log);
        bytes32 last = record.ring[head.checkpoints % _RING];
        if (last == _commit(size, root, head.time)) return false;
        if (head.closed) revert CheckpointLogClosed(log);
        if (msg.sender != head.publisher) revert CheckpointLogNotPublisher(log, head.publisher, msg.sender);
        Commitment memory recorded = previous;
        if (last != _commit(recorded.size, recorded.root, recorded.time)) {
            revert CheckpointLogNotCurrent(log, recorded, head.checkpoints, head.time);
        }
        _checkExtends(log, recorded, size, root, consistencyProof);
        uint64 time = uint64(block.timestamp);
        uint256 checkpoints = uint256(head.checkpoints) + 1;
        record.head = Head(head.publisher, uint40(checkpoints), uint40(time), false);
        record.ring[checkpoints % _RING] = _commit(size, root, time);
        emit CheckpointPublished(
            log,
            size,
            root,
            time,
            recorded.size,
            recorded.root,
            recorded.time,
            registry.historyHead()
        );
        return true;
    }

    /// @inheritdoc ICheckpointLog
    function attest(bytes32 log, Commitment calldata current) external {
        Record storage record = _logs[log];
        uint40 checkpoints = record.head.checkpoints;
        if (record.ring[checkpoints % _RING] != _commit(current.size, current.root, current.time)) {
            revert CheckpointLogNotCurrent(log, current, checkpoints, record.head.time);
        }
        emit LogAttested(log, current.size, current.root, current.time, registry.historyHead());
    }

    /// @inheritdoc ICheckpointLog
    function verifyInclusion(
        bytes32 log,
        Commitment calldata checkpoint,
        bytes32 leafHash,
        uint64 index,
        bytes32[] calldata proof
    ) external view {
        if (!isKept(log, checkpoint)) revert CheckpointLogNotKept(log, checkpoint);
        Rfc6962.verifyInclusion(leafHash, index, checkpoint.size, proof, checkpoint.root);
    }

    /// @inheritdoc ICheckpointLog
    function logOf(bytes32 log) external view returns (Log memory) {
        Record storage record = _logs[log];
        return
            Log({
                participant: record.participant,
                publisher: record.head.publisher,
                verifierKey: record.verifierKey,
                rotations: record.rotations,
                checkpoints: record.head.checkpoints,
                time: record.head.time,
                closed: record.head.closed,
                successor: record.successor
            });
    }

    /// @inheritdoc ICheckpointLog
    function isKept(bytes32 log, Commitment calldata checkpoint) public view returns (bool) {
        Record storage record = _logs[log];
        bytes32 wanted = _commit(checkpoint.size, checkpoint.root, checkpoint.time);
        // Newest first: a proof in flight is seldom more than a few checkpoints old.
        uint256 place = record.head.checkpoints;
        for (uint256 i = 0; i < _RING; ++i) {
            if (record.ring[place % _RING] == wanted) return true;
            if (place == 0) return false;
            --place;
        }
        return false;
    }

    function _operated(bytes32 log, bytes32 participant) private view returns (Record storage record) {
        record = _logs[log];
        if (record.head.publisher == address(0)) revert CheckpointLogUnknown(log);
        if (record.head.closed) revert CheckpointLogClosed(log);
        if (record.participant != participant) revert CheckpointLogNotOperator(log, record.participant, participant);
    }

    // As a C2SP witness judges: no smaller size, no second root for a size, a proof for anything else.
    function _checkExtends(
        bytes32 log,
        Commitment memory previous,
        uint64 size,
        bytes32 root,
        bytes32[] calldata proof
    ) private view {
        if (size < previous.size) revert CheckpointLogSizeDecreased(log, previous.size, size);
        if (size == previous.size) revert CheckpointLogRootConflict(log, size, previous.root, root);
        if (previous.size == 0) {
            // Everything extends the empty tree.
            if (proof.length != 0) revert Rfc6962.Rfc6962ProofLength(0, proof.length);
        } else {
            Rfc6962.verifyConsistency(previous.size, size, proof, previous.root, root);
        }
    }

    function _checkOrigin(string calldata origin) private pure {
        bytes calldata characters = bytes(origin);
        bool fits = characters.length != 0 && characters.length <= _MAX_ORIGIN_BYTES;
        for (uint256 i = 0; fits && i < characters.length; ++i) {
            fits = characters[i] > 0x20 && characters[i] < 0x7f && characters[i] != "+";
        }
        if (!fits) revert CheckpointLogOrigin(origin);
    }

    function _checkKeys(address publisher, bytes32 verifierKey) private pure {
        if (publisher == address(0) || verifierKey == 0) revert CheckpointLogKeyZero(publisher, verifierKey);
    }

    // keccak256(abi.encode(size, root, time)), in memory that nobody owns.
    function _commit(uint64 size, bytes32 root, uint64 time) private pure returns (bytes32 commitment) {
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, size)
            mstore(add(words, 0x20), root)
            mstore(add(words, 0x40), time)
            commitment := keccak256(words, 0x60)
        }
    }
}
