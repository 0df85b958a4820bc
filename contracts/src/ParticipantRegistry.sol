// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ParticipantGovernance} from "./ParticipantGovernance.sol";
import {StatementExecutor} from "./StatementExecutor.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {HistoryKind} from "./types/Enumerations.sol";
import {
    ControlKeyClaim,
    ControlKeyRotation,
    GovernanceVote,
    KeyAddition,
    KeyRevocation,
    ParticipantApplication,
    ParticipantRegistryTypes,
    ParticipantRetirement,
    ProfileUpdate
} from "./types/ParticipantRegistryTypes.sol";

contract ParticipantRegistry is ParticipantGovernance, StatementExecutor {
    using ParticipantRegistryTypes for ControlKeyClaim;
    using ParticipantRegistryTypes for ControlKeyRotation;
    using ParticipantRegistryTypes for GovernanceVote;
    using ParticipantRegistryTypes for KeyAddition;
    using ParticipantRegistryTypes for KeyRevocation;
    using ParticipantRegistryTypes for ParticipantApplication;
    using ParticipantRegistryTypes for ParticipantRetirement;
    using ParticipantRegistryTypes for ProfileUpdate;

    uint256 private constant _MAX_FOUNDERS = 16;

    constructor(Founding[] memory founders, uint256 threshold_) {
        if (founders.length == 0 || founders.length > _MAX_FOUNDERS) {
            revert ParticipantRegistryFounderCount(founders.length);
        }
        for (uint256 i = 0; i < founders.length; ++i) {
            ParticipantApplication memory application = founders[i].application;
            bytes32 digest = _digestOf(application.hash());
            _file(digest, application, application.controlKey, founders[i].controlSignature, founders[i].keySignature);
            _admit(application.participant, digest);
            _setGovernor(application.participant, true);
        }
        _setThreshold(threshold_);
    }

    /// @inheritdoc IParticipantRegistry
    function applyForAdmission(
        ParticipantApplication calldata statement,
        address signer,
        bytes calldata signature,
        bytes calldata coSignature
    ) external returns (bool) {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _file(digest, statement, signer, signature, coSignature);
        return true;
    }

    /// @inheritdoc IParticipantRegistry
    function addKey(
        KeyAddition calldata statement,
        address signer,
        bytes calldata signature,
        bytes calldata coSignature
    ) external returns (bool) {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _checkDeadline(digest, statement.deadline);
        _checkStatus(statement.participant, Status.Active);
        _checkControl(digest, statement.participant, signer, signature);
        _checkFree(statement.key);
        _checkCustody(statement.custody);
        _checkSignature(digest, statement.key, coSignature);
        isExecuted[digest] = true;
        _addKey(statement.participant, statement.key, statement.custody);
        emit KeyAdded(digest, statement.participant, statement.key, statement.custody);
        return true;
    }

    /// @inheritdoc IParticipantRegistry
    function revokeKey(
        KeyRevocation calldata statement,
        address signer,
        bytes calldata signature
    ) external returns (bool) {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _checkDeadline(digest, statement.deadline);
        _checkActiveOrSuspended(statement.participant);
        _checkControl(digest, statement.participant, signer, signature);
        _checkKeyActive(statement.participant, statement.key);
        isExecuted[digest] = true;
        _revokeKey(statement.participant, statement.key);
        emit KeyRevoked(digest, statement.participant, statement.key);
        return true;
    }

    /// @inheritdoc IParticipantRegistry
    function rotateControlKey(
        ControlKeyRotation calldata statement,
        address signer,
        bytes calldata signature,
        bytes calldata coSignature
    ) external returns (bool) {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _checkDeadline(digest, statement.deadline);
        _checkStatus(statement.participant, Status.Active);
        _checkControl(digest, statement.participant, signer, signature);
        _checkFree(statement.newKey);
        _checkSignature(digest, statement.newKey, coSignature);
        isExecuted[digest] = true;
        _setControlKey(statement.participant, statement.newKey);
        emit ControlKeyRotated(digest, statement.participant, statement.newKey);
        return true;
    }

    /// @inheritdoc IParticipantRegistry
    function claimControlKey(
        ControlKeyClaim calldata statement,
        address signer,
        bytes calldata signature
    ) external returns (bool) {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _checkDeadline(digest, statement.deadline);
        _checkActiveOrSuspended(statement.participant);
        if (signer != statement.newKey) {
            revert ParticipantRegistryNotControlKey(statement.participant, statement.newKey, signer);
        }
        _checkSignature(digest, signer, signature);
        _checkFree(signer);
        isExecuted[digest] = true;
        _filings[digest].participant = statement.participant;
        _filings[digest].controlKey = signer;
        emit ControlKeyClaimed(digest, statement.participant, signer);
        return true;
    }

    /// @inheritdoc IParticipantRegistry
    function updateProfile(
        ProfileUpdate calldata statement,
        address signer,
        bytes calldata signature
    ) external returns (bool) {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _checkDeadline(digest, statement.deadline);
        _checkStatus(statement.participant, Status.Active);
        _checkKeyActive(statement.participant, signer);
        _checkSignature(digest, signer, signature);
        Participant storage participant = _participants[statement.participant];
        uint64 expected = participant.profileVersion + 1;
        if (statement.version != expected) {
            revert ParticipantRegistryProfileVersion(statement.participant, expected, statement.version);
        }
        isExecuted[digest] = true;
        participant.profileVersion = expected;
        participant.profileHash = statement.profileHash;
        _extendHistory(HistoryKind.PROFILE_UPDATED, statement.participant, statement.profileHash);
        emit ProfileUpdated(digest, statement.participant, expected, statement.profileHash);
        return true;
    }

    /// @inheritdoc IParticipantRegistry
    function retire(
        ParticipantRetirement calldata statement,
        address signer,
        bytes calldata signature
    ) external returns (bool) {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _checkDeadline(digest, statement.deadline);
        _checkStatus(statement.participant, Status.Active);
        _checkControl(digest, statement.participant, signer, signature);
        _checkGovernsNot(statement.participant);
        isExecuted[digest] = true;
        _setStatus(statement.participant, Status.Retired, HistoryKind.RETIRED);
        emit ParticipantRetired(digest, statement.participant);
        return true;
    }

    /// @inheritdoc IParticipantRegistry
    function vote(GovernanceVote calldata statement, address signer, bytes calldata signature) external returns (bool) {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _checkDeadline(digest, statement.deadline);
        if (!isGovernor(statement.participant)) revert ParticipantRegistryNotGovernor(statement.participant);
        _checkControl(digest, statement.participant, signer, signature);
        _castVote(digest, statement);
        return true;
    }

    // --- Filing and admission ---

    function _file(
        bytes32 digest,
        ParticipantApplication memory application,
        address signer,
        bytes memory signature,
        bytes memory coSignature
    ) private {
        _checkDeadline(digest, application.deadline);
        if (signer != application.controlKey) {
            revert ParticipantRegistryNotControlKey(application.participant, application.controlKey, signer);
        }
        _checkSignatureInMemory(digest, signer, signature);
        _checkSignatureInMemory(digest, application.signingKey, coSignature);
        bytes32 derived = keccak256(abi.encode(application.controlKey, application.salt));
        if (application.participant != derived) {
            revert ParticipantRegistryIdMismatch(application.participant, derived);
        }
        _checkCustody(application.custody);
        _checkFreePair(application.controlKey, application.signingKey);
        isExecuted[digest] = true;
        _filings[digest] = Filing({
            participant: derived,
            controlKey: application.controlKey,
            signingKey: application.signingKey,
            custody: application.custody,
            profileHash: application.profileHash
        });
        emit ApplicationFiled(
            digest,
            derived,
            application.controlKey,
            application.signingKey,
            application.custody,
            application.profileHash
        );
    }

    // --- Who signed ---

    function _checkControl(
        bytes32 digest,
        bytes32 participant,
        address signer,
        bytes calldata signature
    ) private view {
        address controlKey = _participants[participant].controlKey;
        if (signer != controlKey) revert ParticipantRegistryNotControlKey(participant, controlKey, signer);
        _checkSignature(digest, signer, signature);
    }
}
