// SPDX-License-Identifier: Apache-2.0
// Generated from ledger/statements/vocabulary.py by scripts/build_contracts.py. Do not edit.
pragma solidity 0.8.37;

// A gateway's log. Its id is keccak256(abi.encode(participant, keccak256(bytes(origin)))).
struct LogOpening {
    bytes32 participant; // id of the participant that states this
    string origin; // the log's origin: a C2SP note key name, at most 255 bytes
    address publisher; // the account that may publish its checkpoints
    bytes32 verifierKey; // Ed25519 public key that checks its checkpoints
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// A log's publisher or verifier key is replaced.
struct LogRotation {
    bytes32 participant; // id of the participant that states this
    bytes32 log; // the log's id
    uint64 counter; // one more than the rotations so far
    address publisher; // the account that may publish from now on
    bytes32 verifierKey; // Ed25519 public key from now on
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// A log ends.
struct LogClosing {
    bytes32 participant; // id of the participant that states this
    bytes32 log; // the log's id
    bytes32 successor; // id of the log that follows, or zero
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

library CheckpointLogTypes {
    bytes32 internal constant LOG_OPENING_TYPEHASH =
        keccak256("LogOpening(bytes32 participant,string origin,address publisher,bytes32 verifierKey,uint64 deadline,bytes32 salt)");

    bytes32 internal constant LOG_ROTATION_TYPEHASH =
        keccak256("LogRotation(bytes32 participant,bytes32 log,uint64 counter,address publisher,bytes32 verifierKey,uint64 deadline,bytes32 salt)");

    bytes32 internal constant LOG_CLOSING_TYPEHASH =
        keccak256("LogClosing(bytes32 participant,bytes32 log,bytes32 successor,uint64 deadline,bytes32 salt)");

    function hash(LogOpening calldata statement) internal pure returns (bytes32) {
        return keccak256(bytes.concat(abi.encode(LOG_OPENING_TYPEHASH, statement.participant, keccak256(bytes(statement.origin)), statement.publisher, statement.verifierKey, statement.deadline, statement.salt)));
    }

    function hash(LogRotation calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = LOG_ROTATION_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 224)
            structHash := keccak256(words, 256)
        }
    }

    function hash(LogClosing calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = LOG_CLOSING_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 160)
            structHash := keccak256(words, 192)
        }
    }
}
