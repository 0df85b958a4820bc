// SPDX-License-Identifier: Apache-2.0
// Generated from ledger/statements/vocabulary.py by scripts/build_contracts.py. Do not edit.
pragma solidity 0.8.37;

// A version that another is derived from.
struct Parent {
    bytes32 dataset; // id of the dataset derived from
    uint64 version; // its version
    bytes32 registration; // digest of that version's DatasetRegistration
}

// A version of a dataset.
struct DatasetRegistration {
    bytes32 participant; // id of the participant that states this
    bytes32 datasetSalt; // the dataset's id is keccak256(abi.encode(participant, datasetSalt))
    uint64 version; // from 1, consecutive
    bytes32 contentHash; // SHA-256(version salt || content root)
    bytes32 metadataHash; // SHA-256(salt || RFC 8785 form of the metadata)
    Parent[] parents; // the versions it is derived from, each once, sorted by (dataset, version)
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// No further versions; its grants end.
struct DatasetRetirement {
    bytes32 participant; // id of the participant that states this
    bytes32 datasetSalt; // the dataset's id is keccak256(abi.encode(participant, datasetSalt))
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

library DatasetRegistryTypes {
    bytes32 internal constant PARENT_TYPEHASH =
        keccak256("Parent(bytes32 dataset,uint64 version,bytes32 registration)");

    bytes32 internal constant DATASET_REGISTRATION_TYPEHASH =
        keccak256("DatasetRegistration(bytes32 participant,bytes32 datasetSalt,uint64 version,bytes32 contentHash,bytes32 metadataHash,Parent[] parents,uint64 deadline,bytes32 salt)Parent(bytes32 dataset,uint64 version,bytes32 registration)");

    bytes32 internal constant DATASET_RETIREMENT_TYPEHASH =
        keccak256("DatasetRetirement(bytes32 participant,bytes32 datasetSalt,uint64 deadline,bytes32 salt)");

    function hash(DatasetRegistration calldata statement) internal pure returns (bytes32) {
        return keccak256(bytes.concat(abi.encode(DATASET_REGISTRATION_TYPEHASH, statement.participant, statement.datasetSalt, statement.version, statement.contentHash, statement.metadataHash, _hashParents(statement.parents), statement.deadline), abi.encode(statement.salt)));
    }

    function hash(DatasetRetirement calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = DATASET_RETIREMENT_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 128)
            structHash := keccak256(words, 160)
        }
    }

    function _hashParents(Parent[] calldata parents) private pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](parents.length);
        for (uint256 i = 0; i < parents.length; ++i) {
            hashes[i] = keccak256(abi.encode(PARENT_TYPEHASH, parents[i]));
        }
        return keccak256(abi.encodePacked(hashes));
    }
}
