// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICheckpointLog} from "./interfaces/ICheckpointLog.sol";
import {IDatasetRegistry} from "./interfaces/IDatasetRegistry.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {Rfc6962} from "./libraries/Rfc6962.sol";
import {ParticipantStatementExecutor} from "./ParticipantStatementExecutor.sol";
import {
    DatasetRegistration,
    DatasetRegistryTypes,
    DatasetRetirement,
    Parent
} from "./types/DatasetRegistryTypes.sol";

contract DatasetRegistry is IDatasetRegistry, ParticipantStatementExecutor {
    using DatasetRegistryTypes for DatasetRegistration;
    using DatasetRegistryTypes for DatasetRetirement;

    uint256 private constant MOST_PARENTS = 64;
    bytes1 private constant ENTRY_PREFIX = 0x01;

    ICheckpointLog public immutable checkpointLog;

    mapping(bytes32 dataset => mapping(uint64 version => bytes32 digest)) private _registrations;
    mapping(bytes32 dataset => uint64 time) private _retiredAt;

    constructor(IParticipantRegistry registry_, ICheckpointLog checkpointLog_) ParticipantStatementExecutor(registry_) {
        checkpointLog = checkpointLog_;
    }

    /// @inheritdoc IDatasetRegistry
    function register(DatasetRegistration calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed)
    {
        return _register(statement, signer, signature);
    }

    /// @inheritdoc IDatasetRegistry
    function registerBatch(
        DatasetRegistration[] calldata statements,
        address[] calldata signers,
        bytes[] calldata signatures
    ) external returns (uint256 executed) {
        uint256 count = statements.length;
        if (signers.length != count || signatures.length != count) {
            revert DatasetRegistryBatchUneven(count, signers.length, signatures.length);
        }
        for (uint256 i = 0; i < count; ++i) {
            if (_register(statements[i], signers[i], signatures[i])) ++executed;
        }
    }

    /// @inheritdoc IDatasetRegistry
    function registerFromLog(
        DatasetRegistration calldata statement,
        address signer,
        bytes calldata signature,
        bytes32 loggedSignatureHash,
        bytes32 log,
        ICheckpointLog.Commitment calldata checkpoint,
        uint64 index,
        bytes32[] calldata proof
    ) external returns (bool executed) {
        bytes32 digest = _digestOf(statement.hash());
        if (_isRegistered(statement, digest)) return false;
        _checkActiveSigner(statement.participant, signer);
        _checkSignature(digest, signer, signature);
        bytes32 leafHash = Rfc6962.leafHash(
            abi.encodePacked(ENTRY_PREFIX, digest, statement.participant, loggedSignatureHash)
        );
        checkpointLog.verifyInclusion(log, checkpoint, leafHash, index, proof);
        _record(statement, _datasetOf(statement), digest, signer);
        emit RegistrationLifted(digest, log, index);
        return true;
    }

    /// @inheritdoc IDatasetRegistry
    function retire(DatasetRetirement calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed)
    {
        bytes32 dataset = _datasetOf(statement);
        if (_retiredAt[dataset] != 0) return false;
        bytes32 digest = _digestOf(statement.hash());
        _checkStatement(digest, statement.participant, statement.deadline, signer, signature);
        _retiredAt[dataset] = uint64(block.timestamp);
        emit DatasetRetired(digest, dataset, statement.participant, signer);
        return true;
    }

    /// @inheritdoc IDatasetRegistry
    function registrationOf(bytes32 dataset, uint64 version) external view returns (bytes32 digest) {
        return _registrations[dataset][version];
    }

    /// @inheritdoc IDatasetRegistry
    function retiredAt(bytes32 dataset) external view returns (uint64 time) {
        return _retiredAt[dataset];
    }

    function _register(DatasetRegistration calldata statement, address signer, bytes calldata signature)
        private
        returns (bool executed)
    {
        bytes32 digest = _digestOf(statement.hash());
        bytes32 dataset = _datasetOf(statement);
        if (_registrations[dataset][statement.version] == digest) return false;
        _checkStatement(digest, statement.participant, statement.deadline, signer, signature);
        _record(statement, dataset, digest, signer);
        return true;
    }

    function _record(DatasetRegistration calldata statement, bytes32 dataset, bytes32 digest, address signer) private {
        uint64 version = statement.version;
        mapping(uint64 version => bytes32 digest) storage versions = _registrations[dataset];
        if (versions[version] != 0) revert DatasetRegistryVersionTaken(dataset, version, versions[version], digest);
        if (version == 0 || (version > 1 && versions[version - 1] == 0)) {
            revert DatasetRegistryVersionSkipped(dataset, version);
        }
        uint64 retired = _retiredAt[dataset];
        if (retired != 0) revert DatasetRegistryRetired(dataset, retired);
        _checkParents(statement.parents);
        versions[version] = digest;
        emit DatasetRegistered(
            digest,
            dataset,
            statement.participant,
            signer,
            version,
            statement.contentHash,
            statement.metadataHash,
            statement.parents
        );
    }

    function _isRegistered(DatasetRegistration calldata statement, bytes32 digest) private view returns (bool) {
        bytes32 dataset = _datasetOf(statement);
        return _registrations[dataset][statement.version] == digest;
    }

    function _checkParents(Parent[] calldata parents) private view {
        uint256 count = parents.length;
        if (count > MOST_PARENTS) revert DatasetRegistryTooManyParents(count, MOST_PARENTS);
        for (uint256 i = 0; i < count; ++i) {
            Parent calldata parent = parents[i];
            if (i > 0 && !_isBefore(parents[i - 1], parent)) revert DatasetRegistryParentsUnordered(i);
            bytes32 registered = _registrations[parent.dataset][parent.version];
            if (registered == 0 || registered != parent.registration) {
                revert DatasetRegistryParentUnknown(parent.dataset, parent.version, parent.registration, registered);
            }
        }
    }

    function _isBefore(Parent calldata first, Parent calldata second) private pure returns (bool) {
        if (first.dataset == second.dataset) return first.version < second.version;
        return first.dataset < second.dataset;
    }

    function _datasetOf(DatasetRegistration calldata statement) private pure returns (bytes32) {
        return keccak256(abi.encode(statement.participant, statement.datasetSalt));
    }

    function _datasetOf(DatasetRetirement calldata statement) private pure returns (bytes32) {
        return keccak256(abi.encode(statement.participant, statement.datasetSalt));
    }
}
