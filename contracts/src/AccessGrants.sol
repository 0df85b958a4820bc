// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessGrants} from "./interfaces/IAccessGrants.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {ParticipantStatementExecutor} from "./ParticipantStatementExecutor.sol";
import {AccessGrant, AccessGrantsTypes, AccessRevocation} from "./types/AccessGrantsTypes.sol";

contract AccessGrants is IAccessGrants, ParticipantStatementExecutor {
    using AccessGrantsTypes for AccessGrant;
    using AccessGrantsTypes for AccessRevocation;

    // A Grant, packed by hand (loading and storing it once each is what keeps a revocation below 45,000 gas):
    // validFrom stands in the lowest bits, the other members begin at these.
    struct Slot {
        uint256 word;
    }

    uint256 private constant _UNTIL = 64;
    uint256 private constant _GRANTED = 128;
    uint256 private constant _REVOKED = 192;

    IDatasetRegistry public immutable datasetRegistry;

    mapping(bytes32 participant => mapping(bytes32 digest => Slot)) private _grants;

    constructor(
        IParticipantRegistry registry_,
        IDatasetRegistry datasetRegistry_
    ) ParticipantStatementExecutor(registry_) {
        datasetRegistry = datasetRegistry_;
    }

    /// @inheritdoc IAccessGrants
    function grant(AccessGrant calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed)
    {
        bytes32 digest = _digestOf(statement.hash());
        Slot storage slot = _grants[statement.participant][digest];
        Grant memory kept = _unpacked(slot.word);
        if (kept.grantedAt != 0) return false;
        _checkStatement(digest, statement.participant, statement.deadline, signer, signature);
        if (kept.revokedAt != 0) revert AccessGrantsRevoked(digest, kept.revokedAt);
        _checkTerms(statement, digest);
        bytes32 dataset = _checkParties(statement);
        uint256 window = uint256(statement.validFrom) | (uint256(statement.validUntil) << _UNTIL);
        slot.word = window | (block.timestamp << _GRANTED);
        _emitGranted(statement, digest, signer, dataset);
        return true;
    }

    /// @inheritdoc IAccessGrants
    function revoke(AccessRevocation calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed)
    {
        Slot storage slot = _grants[statement.participant][statement.grant];
        uint256 word = slot.word;
        if (word >> _REVOKED != 0) return false;
        bytes32 digest = _digestOf(statement.hash());
        _checkRevocation(digest, statement.participant, statement.deadline, signer, signature);
        slot.word = word | (block.timestamp << _REVOKED);
        emit AccessRevoked(digest, statement.participant, signer, statement.grant);
        return true;
    }

    /// @inheritdoc IAccessGrants
    function attest(AccessGrant calldata statement) external {
        bytes32 digest = _digestOf(statement.hash());
        bytes32 dataset = _datasetOf(statement);
        Grant memory kept = grantOf(statement.participant, digest);
        emit GrantAttested(
            digest,
            statement.participant,
            statement.consumer,
            dataset,
            kept.validFrom,
            kept.validUntil,
            kept.grantedAt,
            kept.revokedAt,
            datasetRegistry.retiredAt(dataset),
            registry.historyHead()
        );
    }

    /// @inheritdoc IAccessGrants
    function isPermitted(AccessGrant calldata statement, uint64 version, uint256 right)
        external
        view
        returns (bool permitted)
    {
        return
            _covers(statement, version, right) &&
            _isLive(grantOf(statement.participant, _digestOf(statement.hash()))) &&
            _isActive(statement.participant) &&
            _isActive(statement.consumer) &&
            datasetRegistry.retiredAt(_datasetOf(statement)) == 0;
    }

    /// @inheritdoc IAccessGrants
    function grantOf(bytes32 participant, bytes32 digest) public view returns (Grant memory kept) {
        return _unpacked(_grants[participant][digest].word);
    }

    function _emitGranted(AccessGrant calldata statement, bytes32 digest, address signer, bytes32 dataset) private {
        emit AccessGranted(
            digest,
            statement.participant,
            statement.consumer,
            signer,
            dataset,
            statement.firstVersion,
            statement.lastVersion,
            statement.purpose,
            statement.rights,
            statement.validFrom,
            statement.validUntil,
            statement.policyHash
        );
    }

    function _checkTerms(AccessGrant calldata statement, bytes32 digest) private view {
        if (statement.consumer == statement.participant) revert AccessGrantsToProvider(statement.participant);
        (uint64 from, uint64 until) = (statement.validFrom, statement.validUntil);
        if (from >= until || until <= block.timestamp) {
            revert AccessGrantsWindowClosed(from, until, uint64(block.timestamp));
        }
        (uint64 first, uint64 last) = (statement.firstVersion, statement.lastVersion);
        if (first == 0 || (last != 0 && last < first)) revert AccessGrantsVersionsInvalid(first, last);
        if (statement.rights == 0) revert AccessGrantsNoRights(digest);
    }

    function _checkParties(AccessGrant calldata statement) private view returns (bytes32 dataset) {
        IParticipantRegistry.Status status = registry.statusOf(statement.consumer);
        if (status != IParticipantRegistry.Status.Active) {
            revert AccessGrantsConsumerNotActive(statement.consumer, uint8(status));
        }
        dataset = _datasetOf(statement);
        uint64 retired = datasetRegistry.retiredAt(dataset);
        if (retired != 0) revert AccessGrantsRetired(dataset, retired);
    }

    function _isLive(Grant memory kept) private view returns (bool) {
        return
            kept.grantedAt != 0 &&
            kept.revokedAt == 0 &&
            kept.validFrom <= block.timestamp &&
            block.timestamp < kept.validUntil;
    }

    function _isActive(bytes32 participant) private view returns (bool) {
        return registry.statusOf(participant) == IParticipantRegistry.Status.Active;
    }

    function _unpacked(uint256 word) private pure returns (Grant memory) {
        return Grant(uint64(word), uint64(word >> _UNTIL), uint64(word >> _GRANTED), uint64(word >> _REVOKED));
    }

    function _covers(AccessGrant calldata statement, uint64 version, uint256 right) private pure returns (bool) {
        return
            right != 0 &&
            statement.rights & right == right &&
            version >= statement.firstVersion &&
            (statement.lastVersion == 0 || version <= statement.lastVersion);
    }

    function _datasetOf(AccessGrant calldata statement) private pure returns (bytes32) {
        return keccak256(abi.encode(statement.participant, statement.datasetSalt));
    }
}
