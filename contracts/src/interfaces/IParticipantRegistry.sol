// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStatementExecutor} from "./IStatementExecutor.sol";
import {
    ControlKeyClaim,
    ControlKeyRotation,
    GovernanceVote,
    KeyAddition,
    KeyRevocation,
    ParticipantApplication,
    ParticipantRetirement,
    ProfileUpdate
} from "../types/ParticipantRegistryTypes.sol";

/// @title Who belongs, by which keys it speaks, and who governs.
/// @notice There is no owner: participants admit, suspend and recover one another by votes of those who govern. A
/// participant's id is keccak256(abi.encode(controlKey, salt)) of its application. An address serves one participant in
/// one role for ever. Every change is appended to a hash chain, the history, whose head other contracts emit.
/// @custom:invariant INV-1 Only a key of an Active participant, valid at block time, can act in its name (a Suspended
/// one may only revoke).
/// @custom:invariant INV-7 No admission, suspension or recovery without the threshold of distinct governors; governors
/// never fall below the threshold.
/// @custom:invariant INV-8 A statement takes effect at most once, whoever relays it and however often.
/// @custom:invariant INV-9 The history head commits to every change of participants, keys and governors, in order and
/// with its time.
interface IParticipantRegistry is IStatementExecutor {
    /// @notice Standing of a participant. Retired is for ever.
    enum Status {
        None,
        Active,
        Suspended,
        Retired
    }

    /// @notice A founder: its application, signed by its control key and by its first signing key.
    struct Founding {
        ParticipantApplication application;
        bytes controlSignature;
        bytes keySignature;
    }

    /// @notice One record of the history. `head` is keccak256(abi.encode(head before, index, kind, participant, detail,
    /// uint64 block number, uint64 block time)); index counts from 1; the head before the first record is
    /// keccak256(abi.encode(chain id, registry's address)). `kind` is a HistoryKind; `detail` is what it says there.
    event HistoryExtended(
        uint64 indexed index,
        uint8 kind,
        bytes32 indexed participant,
        bytes32 detail,
        bytes32 head
    );

    /// @notice An application was filed; governors may now vote for its digest.
    event ApplicationFiled(
        bytes32 indexed digest,
        bytes32 indexed participant,
        address controlKey,
        address signingKey,
        uint8 custody,
        bytes32 profileHash
    );

    /// @notice A signing key was added.
    event KeyAdded(bytes32 indexed digest, bytes32 indexed participant, address indexed key, uint8 custody);

    /// @notice A signing key was revoked by the participant's control key.
    event KeyRevoked(bytes32 indexed digest, bytes32 indexed participant, address indexed key);

    /// @notice The control key was replaced by its holder.
    event ControlKeyRotated(bytes32 indexed digest, bytes32 indexed participant, address indexed newKey);

    /// @notice A claim to a lost control key was filed; governors may now vote for its digest.
    event ControlKeyClaimed(bytes32 indexed digest, bytes32 indexed participant, address indexed newKey);

    /// @notice The profile was replaced.
    event ProfileUpdated(bytes32 indexed digest, bytes32 indexed participant, uint64 version, bytes32 profileHash);

    /// @notice The participant left.
    event ParticipantRetired(bytes32 indexed digest, bytes32 indexed participant);

    /// @notice A governor's vote was counted; `approvals` and `rejections` are the counts of its ballot now.
    event VoteCast(
        bytes32 indexed digest,
        bytes32 indexed participant,
        bytes32 indexed subject,
        uint8 decision,
        bytes32 argument,
        uint8 choice,
        uint64 epoch,
        uint64 counter,
        uint64 approvals,
        uint64 rejections
    );

    /// @notice The vote with this digest reached the threshold and the decision took effect.
    event DecisionExecuted(
        bytes32 indexed digest,
        bytes32 indexed subject,
        uint8 indexed decision,
        bytes32 argument,
        uint64 epoch,
        uint64 counter
    );

    /// @notice With the vote that has this digest, so many governors have rejected the proposal that the threshold is
    /// out of reach; the subject's counter moved.
    event ProposalRejected(
        bytes32 indexed digest,
        bytes32 indexed subject,
        uint8 indexed decision,
        bytes32 argument,
        uint64 epoch,
        uint64 counter
    );

    /// @notice There must be 1 to 16 founders.
    error ParticipantRegistryFounderCount(uint256 count);

    /// @notice The threshold must be from 1 to the number of governors.
    error ParticipantRegistryThresholdOutOfRange(uint256 threshold, uint256 governors);

    /// @notice The id in the application is not derived from its control key and salt.
    error ParticipantRegistryIdMismatch(bytes32 participant, bytes32 derived);

    /// @notice The custody is none that the vocabulary names.
    error ParticipantRegistryCustodyUnknown(uint8 custody);

    /// @notice The address serves a participant already, or, with `participant` zero, would serve two roles at once.
    error ParticipantRegistryAddressTaken(address key, bytes32 participant);

    /// @notice The participant's status does not allow this.
    error ParticipantRegistryStatus(bytes32 participant, Status status);

    /// @notice The signer is not the participant's control key (nor, for a claim, the key claimed).
    error ParticipantRegistryNotControlKey(bytes32 participant, address expected, address signer);

    /// @notice The key is not an active signing key of the participant.
    error ParticipantRegistryKeyNotActive(bytes32 participant, address key);

    /// @notice The profile version is not one more than the present one.
    error ParticipantRegistryProfileVersion(bytes32 participant, uint64 expected, uint64 version);

    /// @notice A governor must be dismissed as governor first.
    error ParticipantRegistryIsGovernor(bytes32 participant);

    /// @notice The participant does not govern.
    error ParticipantRegistryNotGovernor(bytes32 participant);

    /// @notice The vote names another epoch of the governors than the present one.
    error ParticipantRegistryEpoch(uint64 expected, uint64 epoch);

    /// @notice The vote names another counter of the subject than the present one.
    error ParticipantRegistryCounter(bytes32 subject, uint64 expected, uint64 counter);

    /// @notice The governor's vote for this ballot is counted already.
    error ParticipantRegistryAlreadyVoted(bytes32 participant, bytes32 ballot);

    /// @notice The choice is none that the vocabulary names.
    error ParticipantRegistryChoiceUnknown(uint8 choice);

    /// @notice The decision is none that the vocabulary names.
    error ParticipantRegistryDecisionUnknown(uint8 decision);

    /// @notice The decision takes no such argument for this subject.
    error ParticipantRegistryArgument(uint8 decision, bytes32 subject, bytes32 argument);

    /// @notice Files an application; without effect until governors vote ADMIT for its digest. The deadline is checked
    /// here and not when they vote. `signer` is the control key; the signing key signs the same digest.
    /// @return executed false when the same application was filed before
    function applyForAdmission(
        ParticipantApplication calldata statement,
        address signer,
        bytes calldata signature,
        bytes calldata coSignature
    ) external returns (bool executed);

    /// @notice Adds a signing key to an Active participant. `signer` is the control key; the new key signs too.
    /// @return executed false on a repeat
    function addKey(
        KeyAddition calldata statement,
        address signer,
        bytes calldata signature,
        bytes calldata coSignature
    ) external returns (bool executed);

    /// @notice Ends a signing key for ever, from this block on. Also when Suspended. `signer` is the control key.
    /// @return executed false on a repeat
    function revokeKey(
        KeyRevocation calldata statement,
        address signer,
        bytes calldata signature
    ) external returns (bool executed);

    /// @notice Replaces the control key of an Active participant. `signer` is the old one; the new one signs too.
    /// @return executed false on a repeat
    function rotateControlKey(
        ControlKeyRotation calldata statement,
        address signer,
        bytes calldata signature,
        bytes calldata coSignature
    ) external returns (bool executed);

    /// @notice Files a claim to a lost control key; without effect until governors vote RECOVER_CONTROL_KEY for its
    /// digest. `signer` is the key claimed.
    /// @return executed false when the same claim was filed before
    function claimControlKey(
        ControlKeyClaim calldata statement,
        address signer,
        bytes calldata signature
    ) external returns (bool executed);

    /// @notice Replaces the profile of an Active participant. `signer` is one of its signing keys.
    /// @return executed false on a repeat
    function updateProfile(
        ProfileUpdate calldata statement,
        address signer,
        bytes calldata signature
    ) external returns (bool executed);

    /// @notice An Active participant that does not govern leaves for ever. `signer` is the control key.
    /// @return executed false on a repeat
    function retire(
        ParticipantRetirement calldata statement,
        address signer,
        bytes calldata signature
    ) external returns (bool executed);

    /// @notice Counts a governor's vote; executes the decision when approvals reach the threshold, drops the proposal
    /// when rejections put it out of reach. Votes count for the same decision, subject, argument, epoch and counter,
    /// once per governor. The decision must be one that could be executed now. `signer` is the governor's control key.
    /// @return executed false on a repeat
    function vote(
        GovernanceVote calldata statement,
        address signer,
        bytes calldata signature
    ) external returns (bool executed);

    /// @notice Whether the statement with this digest took effect here (for an application or a claim: was filed).
    function isExecuted(bytes32 digest) external view returns (bool);

    /// @notice Standing of a participant; None when it was never admitted.
    function statusOf(bytes32 participant) external view returns (Status);

    /// @notice Standing of a participant, and whether `key` is one of its signing keys now.
    function signerStatus(bytes32 participant, address key) external view returns (Status status, bool keyActive);

    /// @notice A signing key: active from and until (0: open), in UTC seconds of the blocks that said so.
    function keyOf(
        bytes32 participant,
        address key
    ) external view returns (uint64 activeFrom, uint64 activeUntil, uint8 custody);

    /// @notice The present control key; zero when the participant was never admitted.
    function controlKeyOf(bytes32 participant) external view returns (address);

    /// @notice Whom an address serves or served, in whichever role; zero when nobody.
    function participantOf(address key) external view returns (bytes32);

    /// @notice The profile's version, from 1, and hash.
    function profileOf(bytes32 participant) external view returns (uint64 version, bytes32 profileHash);

    /// @notice Whether the participant governs.
    function isGovernor(bytes32 participant) external view returns (bool);

    /// @notice How many participants govern.
    function governorCount() external view returns (uint256);

    /// @notice How many votes a decision takes.
    function threshold() external view returns (uint256);

    /// @notice The governors' epoch: 1 at first, moves when their set or the threshold changes.
    function epoch() external view returns (uint64);

    /// @notice How many proposals on `subject` were executed or rejected.
    function counterOf(bytes32 subject) external view returns (uint64);

    /// @notice How many distinct governors have approved and rejected a proposal of the present epoch and counter.
    function tallyOf(
        uint8 decision,
        bytes32 subject,
        bytes32 argument
    ) external view returns (uint64 approvals, uint64 rejections);

    /// @notice Head of the history.
    function historyHead() external view returns (bytes32);

    /// @notice How many records the history has.
    function historyLength() external view returns (uint64);
}
