// SPDX-License-Identifier: Apache-2.0
// Generated from ledger/statements/vocabulary.py by scripts/build_contracts.py. Do not edit.
pragma solidity 0.8.37;

// The provider permits a consumer.
struct AccessGrant {
    bytes32 participant; // id of the participant that states this
    bytes32 datasetSalt; // the dataset's id is keccak256(abi.encode(participant, datasetSalt))
    bytes32 consumer; // who is permitted
    uint64 firstVersion; // first version covered, from 1
    uint64 lastVersion; // last version covered; 0: later ones too
    bytes32 purpose; // keccak256 of the purpose's IRI
    uint256 rights; // bit mask of Right
    uint64 validFrom; // UTC seconds, inclusive
    uint64 validUntil; // UTC seconds, exclusive
    bytes32 policyHash; // SHA-256(salt || RFC 8785 form of the ODRL policy)
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// The provider ends one of its grants, seen by the chain or not.
struct AccessRevocation {
    bytes32 participant; // id of the participant that states this
    bytes32 grant; // digest of the AccessGrant
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

library AccessGrantsTypes {
    bytes32 internal constant ACCESS_GRANT_TYPEHASH =
        keccak256("AccessGrant(bytes32 participant,bytes32 datasetSalt,bytes32 consumer,uint64 firstVersion,uint64 lastVersion,bytes32 purpose,uint256 rights,uint64 validFrom,uint64 validUntil,bytes32 policyHash,uint64 deadline,bytes32 salt)");

    bytes32 internal constant ACCESS_REVOCATION_TYPEHASH =
        keccak256("AccessRevocation(bytes32 participant,bytes32 grant,uint64 deadline,bytes32 salt)");

    function hash(AccessGrant calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = ACCESS_GRANT_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 384)
            structHash := keccak256(words, 416)
        }
    }

    function hash(AccessRevocation calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = ACCESS_REVOCATION_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 128)
            structHash := keccak256(words, 160)
        }
    }
}
