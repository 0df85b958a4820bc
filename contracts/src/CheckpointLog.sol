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
    uint256 private constant _PLACE = _RING - 1;
    uint256 private constant _MAX_ORIGIN_BYTES = 255;

    // A log's head: all that a checkpoint touches beside its place in the ring, packed by hand (loading and storing
    // it once each is part of what keeps a checkpoint below 66,000 gas). The publisher stands in the lowest bits; the
    // number of checkpoints, the time of the last one and whether the log is closed begin at these.
    uint256 private constant _CHECKPOINTS = 160;
    uint256 private constant _TIME = 200;
    uint256 private constant _CLOSED = 240;

    struct Record {
        uint256 head;
        uint64 rotations;
        bytes32 participant;
        bytes32 verifierKey;
        bytes32 successor;
        bytes32[_RING] ring;
    }

    mapping(bytes32 log => Record) private _logs;
    mapping(bytes32 digest => bool) public isExecuted;
    // Whose a verifier key is, from its first use on.
    mapping(bytes32 verifierKey => bytes32 log) private _owners;

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
        if (record.head != 0) revert CheckpointLogAlreadyOpen(id);
        _takeKey(id, statement.verifierKey);
        isExecuted[digest] = true;
        record.head = _packed(statement.publisher, 0, uint64(block.timestamp));
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
        // The present key may stay, so that the publisher alone is replaced.
        if (statement.verifierKey != record.verifierKey) _takeKey(statement.log, statement.verifierKey);
        isExecuted[digest] = true;
        record.rotations = expected;
        record.head = _packed(statement.publisher, _checkpointsOf(record.head), _timeOf(record.head));
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
        record.head |= 1 << _CLOSED;
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
        uint256 head = record.head;
        if (head == 0) revert CheckpointLogUnknown(log);
        bytes32 last = record.ring[_checkpointsOf(head) & _PLACE];
        uint64 recorded = previous.size;
        if (size <= recorded || last != _commit(previous)) {
            // Nothing that extends the last one: it is that one again, or refused.
            if (last == _commit(size, root, _timeOf(head))) return false;
            _refuse(log, head, last, previous, size, root);
        }
        _checkPublisher(log, head);
        if (recorded != 0) {
            Rfc6962.verifyConsistency(recorded, size, consistencyProof, previous.root, root);
        } else if (consistencyProof.length != 0) {
            // Everything extends the empty tree.
            revert Rfc6962.Rfc6962ProofLength(0, consistencyProof.length);
        }
        _record(record, head, size, root);
        emit CheckpointPublished(
            log,
            size,
            root,
            uint64(block.timestamp),
            recorded,
            previous.root,
            _timeOf(head),
            registry.historyHead()
        );
        return true;
    }

    /// @inheritdoc ICheckpointLog
    function attest(bytes32 log, Commitment calldata current) external {
        Record storage record = _logs[log];
        uint256 head = record.head;
        if (record.ring[_checkpointsOf(head) & _PLACE] != _commit(current)) {
            revert CheckpointLogNotCurrent(log, current, _checkpointsOf(head), _timeOf(head));
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
        uint256 head = record.head;
        return
            Log({
                participant: record.participant,
                publisher: _publisherOf(head),
                verifierKey: record.verifierKey,
                rotations: record.rotations,
                checkpoints: _checkpointsOf(head),
                time: _timeOf(head),
                closed: _isClosed(head),
                successor: record.successor
            });
    }

    /// @inheritdoc ICheckpointLog
    function isKept(bytes32 log, Commitment calldata checkpoint) public view returns (bool) {
        Record storage record = _logs[log];
        bytes32 wanted = _commit(checkpoint);
        // Newest first: a proof in flight is seldom more than a few checkpoints old.
        uint256 place = _checkpointsOf(record.head);
        for (uint256 i = 0; i < _RING; ++i) {
            if (record.ring[place & _PLACE] == wanted) return true;
            if (place == 0) return false;
            --place;
        }
        return false;
    }

    function _operated(bytes32 log, bytes32 participant) private view returns (Record storage record) {
        record = _logs[log];
        if (record.head == 0) revert CheckpointLogUnknown(log);
        if (_isClosed(record.head)) revert CheckpointLogClosed(log);
        if (record.participant != participant) revert CheckpointLogNotOperator(log, record.participant, participant);
    }

    // A checkpoint names origin and key, never the log's id: with one key, two logs could be taken for each other.
    // Nor does a log go back to a key that it had: whoever saw the newer one takes the older for replaced.
    function _takeKey(bytes32 log, bytes32 verifierKey) private {
        bytes32 owner = _owners[verifierKey];
        if (owner != 0) revert CheckpointLogKeyTaken(log, verifierKey, owner);
        _owners[verifierKey] = log;
    }

    function _record(Record storage record, uint256 head, uint64 size, bytes32 root) private {
        uint64 checkpoints = _checkpointsOf(head) + 1;
        record.head = _packed(_publisherOf(head), checkpoints, uint64(block.timestamp));
        record.ring[checkpoints & _PLACE] = _commit(size, root, uint64(block.timestamp));
    }

    function _checkPublisher(bytes32 log, uint256 head) private view {
        if (_isClosed(head)) revert CheckpointLogClosed(log);
        address publisher = _publisherOf(head);
        if (msg.sender != publisher) revert CheckpointLogNotPublisher(log, publisher, msg.sender);
    }

    // As a C2SP witness judges: on top of the last one alone, no smaller size, no second root for a size. It always
    // reverts.
    function _refuse(
        bytes32 log,
        uint256 head,
        bytes32 last,
        Commitment calldata previous,
        uint64 size,
        bytes32 root
    ) private view {
        _checkPublisher(log, head);
        if (last != _commit(previous)) {
            revert CheckpointLogNotCurrent(log, previous, _checkpointsOf(head), _timeOf(head));
        }
        if (size < previous.size) revert CheckpointLogSizeDecreased(log, previous.size, size);
        revert CheckpointLogRootConflict(log, size, previous.root, root);
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

    // The same of one that is given: its words lie in calldata as abi.encode would put them.
    function _commit(Commitment calldata given) private pure returns (bytes32 commitment) {
        assembly ("memory-safe") {
            let words := mload(0x40)
            calldatacopy(words, given, 0x60)
            commitment := keccak256(words, 0x60)
        }
    }

    function _packed(address publisher, uint64 checkpoints, uint64 time) private pure returns (uint256) {
        return uint256(uint160(publisher)) | (uint256(checkpoints) << _CHECKPOINTS) | (uint256(time) << _TIME);
    }

    function _publisherOf(uint256 head) private pure returns (address) {
        return address(uint160(head));
    }

    function _checkpointsOf(uint256 head) private pure returns (uint64) {
        return uint40(head >> _CHECKPOINTS);
    }

    function _timeOf(uint256 head) private pure returns (uint64) {
        return uint40(head >> _TIME);
    }

    function _isClosed(uint256 head) private pure returns (bool) {
        return head >> _CLOSED != 0;
    }
}
