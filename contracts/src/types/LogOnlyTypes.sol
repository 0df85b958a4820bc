// SPDX-License-Identifier: Apache-2.0
// Generated from ledger/statements/vocabulary.py by scripts/build_contracts.py. Do not edit.
pragma solidity 0.8.37;

// A consumer asks a provider for access.
struct AccessRequest {
    bytes32 participant; // id of the participant that states this
    bytes32 provider; // who is asked
    bytes32 dataset; // id of the dataset
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

// A provider denies a request.
struct AccessDenial {
    bytes32 participant; // id of the participant that states this
    bytes32 consumer; // who asked
    bytes32 request; // digest of the AccessRequest
    bytes32 reasonHash; // SHA-256(salt || RFC 8785 form of the reason)
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// The supplier reports usage under an agreement.
struct UsageReport {
    bytes32 participant; // id of the participant that states this
    bytes32 user; // the party that confirms or disputes it
    bytes32 agreement; // the agreement's id
    uint256 quantity; // used in this period, in units of 10^-decimals
    uint64 periodFrom; // UTC seconds, inclusive
    uint64 periodUntil; // UTC seconds, exclusive
    bytes32 detailHash; // SHA-256(salt || RFC 8785 form of the meter readings or other detail)
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// The user disputes a usage report.
struct UsageDispute {
    bytes32 participant; // id of the participant that states this
    bytes32 supplier; // who reported
    bytes32 agreement; // the agreement's id
    bytes32 report; // digest of the UsageReport
    bytes32 reasonHash; // SHA-256(salt || RFC 8785 form of the reason)
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// A version, encrypted under a fresh key.
struct Sealing {
    bytes32 participant; // id of the participant that states this
    bytes32 dataset; // id of the dataset
    uint64 version; // its version
    bytes32 registration; // digest of that version's DatasetRegistration
    bytes32 keyCommitment; // commitment to the sealing's key
    bytes32 ciphertextRoot; // RFC 6962 root over the ciphertext's chunks
    uint64 ciphertextSize; // bytes
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// A consumer has the ciphertext. The transfer's id is keccak256(abi.encode(participant, transferSalt)).
struct TransferReceipt {
    bytes32 participant; // id of the participant that states this
    bytes32 provider; // who delivered
    bytes32 transferSalt; // random, fresh for each transfer
    bytes32 grant; // digest of the AccessGrant
    bytes32 sealing; // digest of the Sealing
    bytes32 ciphertextRoot; // the root that the received bytes have
    bytes recipientKey; // fresh HPKE public key (RFC 9180) to which the sealing's key is wrapped
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// The sealing's key, wrapped to the transfer's public key.
struct KeyRelease {
    bytes32 participant; // id of the participant that states this
    bytes32 consumer; // who receives it
    bytes32 transfer; // the transfer's id
    bytes32 grant; // digest of the AccessGrant
    bytes32 receipt; // digest of the TransferReceipt
    bytes wrappedKey; // HPKE encapsulated key and ciphertext (RFC 9180)
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// A provider destroyed its copy of a version, with its keys and salts.
struct Erasure {
    bytes32 participant; // id of the participant that states this
    bytes32 dataset; // id of the dataset
    uint64 version; // its version
    bytes32 registration; // digest of that version's DatasetRegistration
    bytes32 reasonHash; // SHA-256(salt || RFC 8785 form of the reason)
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

library LogOnlyTypes {
    bytes32 internal constant ACCESS_REQUEST_TYPEHASH =
        keccak256("AccessRequest(bytes32 participant,bytes32 provider,bytes32 dataset,uint64 firstVersion,uint64 lastVersion,bytes32 purpose,uint256 rights,uint64 validFrom,uint64 validUntil,bytes32 policyHash,uint64 deadline,bytes32 salt)");

    bytes32 internal constant ACCESS_DENIAL_TYPEHASH =
        keccak256("AccessDenial(bytes32 participant,bytes32 consumer,bytes32 request,bytes32 reasonHash,uint64 deadline,bytes32 salt)");

    bytes32 internal constant USAGE_REPORT_TYPEHASH =
        keccak256("UsageReport(bytes32 participant,bytes32 user,bytes32 agreement,uint256 quantity,uint64 periodFrom,uint64 periodUntil,bytes32 detailHash,uint64 deadline,bytes32 salt)");

    bytes32 internal constant USAGE_DISPUTE_TYPEHASH =
        keccak256("UsageDispute(bytes32 participant,bytes32 supplier,bytes32 agreement,bytes32 report,bytes32 reasonHash,uint64 deadline,bytes32 salt)");

    bytes32 internal constant SEALING_TYPEHASH =
        keccak256("Sealing(bytes32 participant,bytes32 dataset,uint64 version,bytes32 registration,bytes32 keyCommitment,bytes32 ciphertextRoot,uint64 ciphertextSize,uint64 deadline,bytes32 salt)");

    bytes32 internal constant TRANSFER_RECEIPT_TYPEHASH =
        keccak256("TransferReceipt(bytes32 participant,bytes32 provider,bytes32 transferSalt,bytes32 grant,bytes32 sealing,bytes32 ciphertextRoot,bytes recipientKey,uint64 deadline,bytes32 salt)");

    bytes32 internal constant KEY_RELEASE_TYPEHASH =
        keccak256("KeyRelease(bytes32 participant,bytes32 consumer,bytes32 transfer,bytes32 grant,bytes32 receipt,bytes wrappedKey,uint64 deadline,bytes32 salt)");

    bytes32 internal constant ERASURE_TYPEHASH =
        keccak256("Erasure(bytes32 participant,bytes32 dataset,uint64 version,bytes32 registration,bytes32 reasonHash,uint64 deadline,bytes32 salt)");

    function hash(AccessRequest calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = ACCESS_REQUEST_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 384)
            structHash := keccak256(words, 416)
        }
    }

    function hash(AccessDenial calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = ACCESS_DENIAL_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 192)
            structHash := keccak256(words, 224)
        }
    }

    function hash(UsageReport calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = USAGE_REPORT_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 288)
            structHash := keccak256(words, 320)
        }
    }

    function hash(UsageDispute calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = USAGE_DISPUTE_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 224)
            structHash := keccak256(words, 256)
        }
    }

    function hash(Sealing calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = SEALING_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 288)
            structHash := keccak256(words, 320)
        }
    }

    function hash(TransferReceipt calldata statement) internal pure returns (bytes32) {
        return keccak256(bytes.concat(abi.encode(TRANSFER_RECEIPT_TYPEHASH, statement.participant, statement.provider, statement.transferSalt, statement.grant, statement.sealing, statement.ciphertextRoot, keccak256(statement.recipientKey)), abi.encode(statement.deadline, statement.salt)));
    }

    function hash(KeyRelease calldata statement) internal pure returns (bytes32) {
        return keccak256(bytes.concat(abi.encode(KEY_RELEASE_TYPEHASH, statement.participant, statement.consumer, statement.transfer, statement.grant, statement.receipt, keccak256(statement.wrappedKey), statement.deadline), abi.encode(statement.salt)));
    }

    function hash(Erasure calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = ERASURE_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 224)
            structHash := keccak256(words, 256)
        }
    }
}
