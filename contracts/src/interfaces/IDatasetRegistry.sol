// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DatasetRegistration, DatasetRetirement, Parent} from "../types/DatasetRegistryTypes.sol";
import {ICheckpointLog} from "./ICheckpointLog.sol";
import {IStatementExecutor} from "./IStatementExecutor.sol";

/// @title Which bytes a dataset holds, in which version, derived from what
/// @notice A dataset's id is keccak256(abi.encode(provider, datasetSalt)), so that its provider is bound into it and
/// needs no storage. A version is one slot: the EIP-712 digest of its registration.
/// @custom:invariant INV-1 Only a key of an Active participant, valid at block time, acts in its name.
/// @custom:invariant INV-2 A registered version never changes; versions are consecutive from 1; parents exist; the
/// provider of an id never changes.
/// @custom:invariant INV-8 A statement takes effect at most once, whoever relays it and however often; a repeat in a
/// batch hurts nobody else.
interface IDatasetRegistry is IStatementExecutor {
    /// @notice A version was registered.
    /// @param digest the registration's EIP-712 digest
    /// @param dataset the dataset's id
    /// @param participant the provider
    /// @param signer the provider's key whose signature was checked
    /// @param version the version, from 1
    /// @param contentHash SHA-256(version salt || content root)
    /// @param metadataHash SHA-256(salt || metadata)
    /// @param parents the versions it is derived from
    event DatasetRegistered(
        bytes32 indexed digest,
        bytes32 indexed dataset,
        bytes32 indexed participant,
        address signer,
        uint64 version,
        bytes32 contentHash,
        bytes32 metadataHash,
        Parent[] parents
    );

    /// @notice A registration was lifted out of a log; follows its `DatasetRegistered`.
    /// @param digest the registration's EIP-712 digest
    /// @param log the log's id
    /// @param index the index of its entry
    event RegistrationLifted(bytes32 indexed digest, bytes32 indexed log, uint64 index);

    /// @notice A dataset was retired: it takes no further version and its grants end.
    /// @param digest the retirement's EIP-712 digest
    /// @param dataset the dataset's id
    /// @param participant the provider
    /// @param signer the provider's key whose signature was checked
    event DatasetRetired(
        bytes32 indexed digest, bytes32 indexed dataset, bytes32 indexed participant, address signer
    );

    /// @notice The version holds another registration.
    error DatasetRegistryVersionTaken(bytes32 dataset, uint64 version, bytes32 registered, bytes32 digest);

    /// @notice Versions are consecutive from 1, and the one before this is not registered.
    error DatasetRegistryVersionSkipped(bytes32 dataset, uint64 version);

    /// @notice The dataset was retired.
    error DatasetRegistryRetired(bytes32 dataset, uint64 retiredAt);

    /// @notice A registration names at most 64 parents.
    error DatasetRegistryTooManyParents(uint256 count, uint256 most);

    /// @notice Parents stand in ascending order of dataset and version, each once.
    error DatasetRegistryParentsUnordered(uint256 index);

    /// @notice The parent's version holds another registration, or none (zero).
    error DatasetRegistryParentUnknown(bytes32 dataset, uint64 version, bytes32 named, bytes32 registered);

    /// @notice The arrays of a batch differ in length.
    error DatasetRegistryBatchUneven(uint256 statements, uint256 signers, uint256 signatures);

    /// @notice Registers a version. Anyone may relay it.
    /// @param statement the registration
    /// @param signer the provider's signing key, an account or an ERC-1271 contract
    /// @param signature its signature over the statement
    /// @return executed false when this very registration was there before, which changes nothing
    function register(DatasetRegistration calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed);

    /// @notice Registers many versions in order; what was there before is skipped, a refused one refuses the batch.
    /// @param statements the registrations
    /// @param signers the signing key of each
    /// @param signatures the signature of each
    /// @return executed how many were new
    function registerBatch(
        DatasetRegistration[] calldata statements,
        address[] calldata signers,
        bytes[] calldata signatures
    ) external returns (uint256 executed);

    /// @notice Lifts a registration that a log holds into contract state. Its deadline is not looked at: the entry's
    /// place in the log shows when it was stated, and the verifier judges that.
    /// @param statement the registration
    /// @param signer a signing key of the provider that is active now, not necessarily the one that was logged
    /// @param signature its signature over the statement
    /// @param loggedSignatureHash SHA-256 of the signature that the entry commits to
    /// @param log the log's id
    /// @param checkpoint one of the log's last 64 published checkpoints
    /// @param index the index of the entry
    /// @param proof RFC 9162 inclusion proof of the entry under the checkpoint
    /// @return executed false when this very registration was there before, which changes nothing
    function registerFromLog(
        DatasetRegistration calldata statement,
        address signer,
        bytes calldata signature,
        bytes32 loggedSignatureHash,
        bytes32 log,
        ICheckpointLog.Commitment calldata checkpoint,
        uint64 index,
        bytes32[] calldata proof
    ) external returns (bool executed);

    /// @notice Retires a dataset, also one that only a log knows. Anyone may relay it.
    /// @param statement the retirement
    /// @param signer the provider's signing key, an account or an ERC-1271 contract
    /// @param signature its signature over the statement
    /// @return executed false when the dataset was retired before, which changes nothing
    function retire(DatasetRetirement calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed);

    /// @notice The registration of a version.
    /// @param dataset the dataset's id
    /// @param version the version
    /// @return digest the registration's EIP-712 digest; zero: none
    function registrationOf(bytes32 dataset, uint64 version) external view returns (bytes32 digest);

    /// @notice When a dataset was retired.
    /// @param dataset the dataset's id
    /// @return time UTC seconds; zero: it was not
    function retiredAt(bytes32 dataset) external view returns (uint64 time);
}
