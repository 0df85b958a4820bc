// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {Custody, HistoryKind} from "./types/Enumerations.sol";

// What the registry knows of participants, keys and governors. Every change goes through a function here that appends
// its record to the history (INV-9); nothing here asks who may.
abstract contract ParticipantRecords is IParticipantRegistry {
    uint256 internal constant _ADDRESS_BITS = 160;

    // The first slot holds all that other contracts ask for.
    struct Participant {
        address controlKey;
        Status status;
        bool governs;
        uint64 profileVersion;
        bytes32 profileHash;
    }

    struct Key {
        uint64 activeFrom;
        uint64 activeUntil;
        uint8 custody;
        bool active;
    }

    mapping(bytes32 participant => Participant) internal _participants;
    mapping(bytes32 participant => mapping(address key => Key)) internal _keys;

    mapping(address key => bytes32) public participantOf;
    mapping(bytes32 digest => bool) public isExecuted;
    uint256 public governorCount;
    uint256 public threshold;
    uint64 public epoch = 1;
    uint64 public historyLength;
    bytes32 public historyHead = keccak256(abi.encode(block.chainid, address(this)));

    /// @inheritdoc IParticipantRegistry
    function statusOf(bytes32 participant) external view returns (Status) {
        return _participants[participant].status;
    }

    /// @inheritdoc IParticipantRegistry
    function signerStatus(bytes32 participant, address key) external view returns (Status status, bool keyActive) {
        return (_participants[participant].status, _isKeyActive(participant, key));
    }

    /// @inheritdoc IParticipantRegistry
    function keyOf(
        bytes32 participant,
        address key
    ) external view returns (uint64 activeFrom, uint64 activeUntil, uint8 custody) {
        Key storage found = _keys[participant][key];
        return (found.activeFrom, found.activeUntil, found.custody);
    }

    /// @inheritdoc IParticipantRegistry
    function controlKeyOf(bytes32 participant) external view returns (address) {
        return _participants[participant].controlKey;
    }

    /// @inheritdoc IParticipantRegistry
    function profileOf(bytes32 participant) external view returns (uint64 version, bytes32 profileHash) {
        Participant storage found = _participants[participant];
        return (found.profileVersion, found.profileHash);
    }

    /// @inheritdoc IParticipantRegistry
    function isGovernor(bytes32 participant) public view returns (bool) {
        return _participants[participant].governs;
    }

    function _setStatus(bytes32 participant, Status status, uint8 kind) internal {
        _participants[participant].status = status;
        _extendHistory(kind, participant, 0);
    }

    function _setControlKey(bytes32 participant, address key) internal {
        participantOf[key] = participant;
        _participants[participant].controlKey = key;
        _extendHistory(HistoryKind.CONTROL_KEY_SET, participant, _wordOf(key));
    }

    function _addKey(bytes32 participant, address key, uint8 custody) internal {
        participantOf[key] = participant;
        _keys[participant][key] = Key(uint64(block.timestamp), 0, custody, true);
        bytes32 detail = bytes32((uint256(custody) << _ADDRESS_BITS) | uint256(_wordOf(key)));
        _extendHistory(HistoryKind.KEY_ADDED, participant, detail);
    }

    function _revokeKey(bytes32 participant, address key) internal {
        Key storage revoked = _keys[participant][key];
        revoked.activeUntil = uint64(block.timestamp);
        revoked.active = false;
        _extendHistory(HistoryKind.KEY_REVOKED, participant, _wordOf(key));
    }

    function _setGovernor(bytes32 participant, bool governs) internal {
        _participants[participant].governs = governs;
        governorCount = governs ? governorCount + 1 : governorCount - 1;
        _extendHistory(
            governs ? HistoryKind.GOVERNOR_APPOINTED : HistoryKind.GOVERNOR_DISMISSED,
            participant,
            0
        );
    }

    function _setThreshold(uint256 threshold_) internal {
        _checkThreshold(threshold_, governorCount);
        threshold = threshold_;
        _extendHistory(HistoryKind.THRESHOLD_SET, 0, bytes32(threshold_));
    }

    function _extendHistory(uint8 kind, bytes32 participant, bytes32 detail) internal {
        uint64 index = ++historyLength;
        bytes32 head = keccak256(
            abi.encode(
                historyHead,
                index,
                kind,
                participant,
                detail,
                uint64(block.number),
                uint64(block.timestamp)
            )
        );
        historyHead = head;
        emit HistoryExtended(index, kind, participant, detail, head);
    }

    function _checkStatus(bytes32 participant, Status expected) internal view {
        Status status = _participants[participant].status;
        if (status != expected) revert ParticipantRegistryStatus(participant, status);
    }

    function _checkActiveOrSuspended(bytes32 participant) internal view {
        Status status = _participants[participant].status;
        if (status != Status.Active && status != Status.Suspended) {
            revert ParticipantRegistryStatus(participant, status);
        }
    }

    function _checkGovernsNot(bytes32 participant) internal view {
        if (isGovernor(participant)) revert ParticipantRegistryIsGovernor(participant);
    }

    function _checkKeyActive(bytes32 participant, address key) internal view {
        if (!_isKeyActive(participant, key)) revert ParticipantRegistryKeyNotActive(participant, key);
    }

    function _checkFree(address key) internal view {
        if (participantOf[key] != 0) revert ParticipantRegistryAddressTaken(key, participantOf[key]);
    }

    function _checkFreePair(address controlKey, address signingKey) internal view {
        if (controlKey == signingKey) revert ParticipantRegistryAddressTaken(controlKey, 0);
        _checkFree(controlKey);
        _checkFree(signingKey);
    }

    function _isKeyActive(bytes32 participant, address key) internal view returns (bool) {
        return _keys[participant][key].active;
    }

    function _checkCustody(uint8 custody) internal pure {
        if (custody > Custody.CUSTODIAL) revert ParticipantRegistryCustodyUnknown(custody);
    }

    function _checkThreshold(uint256 threshold_, uint256 governors) internal pure {
        if (threshold_ == 0 || threshold_ > governors) {
            revert ParticipantRegistryThresholdOutOfRange(threshold_, governors);
        }
    }

    function _wordOf(address key) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(key)));
    }
}
