// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStatementExecutor} from "./IStatementExecutor.sol";
import {LogClosing, LogOpening, LogRotation} from "../types/CheckpointLogTypes.sol";

/// @title The witness of the gateways' logs: a rewritten history can not be anchored.
/// @notice Each log is an RFC 6962 SHA-256 tree; its id is keccak256(abi.encode(operator, keccak256(bytes(origin)))).
/// A verifier key serves one log for ever, so that a signed checkpoint, which names no id, is of one log alone.
/// Opening, rotation and closing are statements of its operator; checkpoints are published by its publisher account
/// and must prove that they extend the one before (RFC 9162, section 2.1.4). The last 64 are kept as commitments.
/// A suspension of the operator does not stop the publisher: it is an account, no key of a participant, and what the
/// log accepted from others must get anchored. To rotate or close the log is refused while the operator is suspended.
/// @custom:invariant INV-1 Only a key of an Active participant, valid at block time, can act in its name; `publish`,
/// which states nothing in anybody's name, does not ask for the operator's status.
/// @custom:invariant INV-3 A log's sizes never decrease, each published root is consistent with the one before, and
/// only its publisher publishes.
/// @custom:invariant INV-8 A statement takes effect at most once, whoever relays it and however often.
interface ICheckpointLog is IStatementExecutor {
    /// @notice A checkpoint as recorded here; `time` is that of the block which recorded it, in UTC seconds. Before the
    /// first checkpoint: size 0, the root of the empty tree, the time of opening.
    struct Commitment {
        uint64 size;
        bytes32 root;
        uint64 time;
    }

    /// @notice A log, as `logOf` gives it.
    /// @param participant the operator
    /// @param publisher the account that may publish
    /// @param verifierKey the Ed25519 public key that checks its checkpoints
    /// @param rotations how many rotations there were
    /// @param checkpoints how many checkpoints were published
    /// @param time when the last of them was recorded, or the log was opened
    /// @param closed whether it ended
    /// @param successor the log that follows, or zero
    struct Log {
        bytes32 participant;
        address publisher;
        bytes32 verifierKey;
        uint64 rotations;
        uint64 checkpoints;
        uint64 time;
        bool closed;
        bytes32 successor;
    }

    /// @notice A log was opened.
    event LogOpened(
        bytes32 indexed digest,
        bytes32 indexed log,
        bytes32 indexed participant,
        string origin,
        address publisher,
        bytes32 verifierKey
    );

    /// @notice A log's publisher and verifier key were replaced.
    event LogRotated(
        bytes32 indexed digest,
        bytes32 indexed log,
        uint64 counter,
        address publisher,
        bytes32 verifierKey
    );

    /// @notice A log was closed.
    event LogClosed(bytes32 indexed digest, bytes32 indexed log, bytes32 successor);

    /// @notice A checkpoint was recorded at `time`, the block's. It extends the previous one, whose values follow.
    /// `historyHead` is the registry's at that moment.
    event CheckpointPublished(
        bytes32 indexed log,
        uint64 size,
        bytes32 root,
        uint64 time,
        uint64 previousSize,
        bytes32 previousRoot,
        uint64 previousTime,
        bytes32 historyHead
    );

    /// @notice In this block, this was the log's last checkpoint.
    event LogAttested(bytes32 indexed log, uint64 size, bytes32 root, uint64 time, bytes32 historyHead);

    /// @notice No such log.
    error CheckpointLogUnknown(bytes32 log);

    /// @notice The log has ended.
    error CheckpointLogClosed(bytes32 log);

    /// @notice The operator has a log of this origin already.
    error CheckpointLogAlreadyOpen(bytes32 log);

    /// @notice An origin has 1 to 255 bytes, each from 0x21 to 0x7e and none a plus, so that everyone can read and name
    /// the log.
    error CheckpointLogOrigin(string origin);

    /// @notice A publisher or verifier key is zero.
    error CheckpointLogKeyZero(address publisher, bytes32 verifierKey);

    /// @notice The verifier key belongs to `owner`, the log that first opened with it or rotated to it, for ever; and a
    /// log rotates to none that it had before.
    error CheckpointLogKeyTaken(bytes32 log, bytes32 verifierKey, bytes32 owner);

    /// @notice The log is another participant's.
    error CheckpointLogNotOperator(bytes32 log, bytes32 operator, bytes32 participant);

    /// @notice The rotation's counter is not one more than the rotations so far.
    error CheckpointLogCounter(bytes32 log, uint64 expected, uint64 counter);

    /// @notice A log can not succeed itself.
    error CheckpointLogSuccessor(bytes32 log);

    /// @notice Only the log's publisher may publish.
    error CheckpointLogNotPublisher(bytes32 log, address publisher, address sender);

    /// @notice The given commitment is not the last one recorded. `checkpoints` is how many were published, `time` when
    /// the last was.
    error CheckpointLogNotCurrent(bytes32 log, Commitment given, uint64 checkpoints, uint64 time);

    /// @notice The given commitment is not among the last 64 recorded.
    error CheckpointLogNotKept(bytes32 log, Commitment given);

    /// @notice The new checkpoint is smaller than the recorded one.
    error CheckpointLogSizeDecreased(bytes32 log, uint64 recorded, uint64 size);

    /// @notice The new checkpoint has the recorded size and another root: a fork.
    error CheckpointLogRootConflict(bytes32 log, uint64 size, bytes32 recorded, bytes32 root);

    /// @notice Opens a log with a verifier key that no log had. `signer` is a signing key of the operator.
    /// @return executed false on a repeat
    function open(
        LogOpening calldata statement,
        address signer,
        bytes calldata signature
    ) external returns (bool executed);

    /// @notice Replaces publisher and verifier key; the key is one that no log had, or stays. `signer` is a signing key
    /// of the operator.
    /// @return executed false on a repeat
    function rotate(
        LogRotation calldata statement,
        address signer,
        bytes calldata signature
    ) external returns (bool executed);

    /// @notice Closes a log for ever; what it published stays. `signer` is a signing key of the operator.
    /// @return executed false on a repeat
    function close(
        LogClosing calldata statement,
        address signer,
        bytes calldata signature
    ) external returns (bool executed);

    /// @notice Records a checkpoint; only the log's publisher may. `previous` is the last one recorded. The proof is
    /// RFC 9162's from its size to `size`, empty when that is 0. Beside the errors above, those of `Rfc6962` tell what
    /// is wrong with the proof.
    /// @return executed false, without effect, when the last one recorded has this size and root (whoever asks)
    function publish(
        bytes32 log,
        Commitment calldata previous,
        uint64 size,
        bytes32 root,
        bytes32[] calldata consistencyProof
    ) external returns (bool executed);

    /// @notice Emits that `current` is the log's last checkpoint; anyone may ask.
    function attest(bytes32 log, Commitment calldata current) external;

    /// @notice Succeeds exactly when the entry with this leaf hash is at `index` in the log's tree of a checkpoint that
    /// is among the last 64; reverts with the facts otherwise. The leaf hash is SHA-256(0x00 || entry).
    function verifyInclusion(
        bytes32 log,
        Commitment calldata checkpoint,
        bytes32 leafHash,
        uint64 index,
        bytes32[] calldata proof
    ) external view;

    /// @notice Whether `checkpoint` is among the last 64 recorded.
    function isKept(bytes32 log, Commitment calldata checkpoint) external view returns (bool);

    /// @notice A log; all zero when there is none.
    function logOf(bytes32 log) external view returns (Log memory);

    /// @notice Whether the statement with this digest took effect here.
    function isExecuted(bytes32 digest) external view returns (bool);
}
