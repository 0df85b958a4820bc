// SPDX-License-Identifier: Apache-2.0
// Generated from ledger/statements/vocabulary.py by scripts/build_contracts.py. Do not edit.
pragma solidity 0.8.37;

// An enterprise asks to be admitted. Its id is keccak256(abi.encode(controlKey, salt)).
struct ParticipantApplication {
    bytes32 participant; // id of the participant that states this
    address controlKey; // the key that adds and removes signing keys; no gateway holds it
    address signingKey; // its first signing key
    uint8 custody; // who holds the signing key: Custody
    bytes32 profileHash; // SHA-256(salt || RFC 8785 form of the profile)
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// A further signing key.
struct KeyAddition {
    bytes32 participant; // id of the participant that states this
    address key; // the new signing key
    uint8 custody; // who holds it: Custody
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// A signing key ends, for ever.
struct KeyRevocation {
    bytes32 participant; // id of the participant that states this
    address key; // the signing key
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// The control key is replaced by its holder.
struct ControlKeyRotation {
    bytes32 participant; // id of the participant that states this
    address newKey; // the new control key
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// After a loss: a new control key, without effect until the governors vote RECOVER_CONTROL_KEY for its digest.
struct ControlKeyClaim {
    bytes32 participant; // id of the participant that states this
    address newKey; // the new control key, which signs this claim
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// A new profile document.
struct ProfileUpdate {
    bytes32 participant; // id of the participant that states this
    uint64 version; // one more than the profile's present version; the admitted profile is version 1
    bytes32 profileHash; // SHA-256(salt || RFC 8785 form of the profile)
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// The participant leaves, for ever.
struct ParticipantRetirement {
    bytes32 participant; // id of the participant that states this
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// A governor's vote. Lapses when the governors' epoch or the subject's counter moves.
struct GovernanceVote {
    bytes32 participant; // id of the participant that states this
    uint8 decision; // what is decided: Decision
    bytes32 subject; // the participant decided on; zero for SET_THRESHOLD
    bytes32 argument; // what the decision takes: see Decision
    uint8 choice; // approve or reject: Choice
    uint64 epoch; // the governors' epoch: moves when their set or threshold changes
    uint64 counter; // the subject's counter: moves when a decision on it is executed
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

library ParticipantRegistryTypes {
    bytes32 internal constant PARTICIPANT_APPLICATION_TYPEHASH =
        keccak256("ParticipantApplication(bytes32 participant,address controlKey,address signingKey,uint8 custody,bytes32 profileHash,uint64 deadline,bytes32 salt)");

    bytes32 internal constant KEY_ADDITION_TYPEHASH =
        keccak256("KeyAddition(bytes32 participant,address key,uint8 custody,uint64 deadline,bytes32 salt)");

    bytes32 internal constant KEY_REVOCATION_TYPEHASH =
        keccak256("KeyRevocation(bytes32 participant,address key,uint64 deadline,bytes32 salt)");

    bytes32 internal constant CONTROL_KEY_ROTATION_TYPEHASH =
        keccak256("ControlKeyRotation(bytes32 participant,address newKey,uint64 deadline,bytes32 salt)");

    bytes32 internal constant CONTROL_KEY_CLAIM_TYPEHASH =
        keccak256("ControlKeyClaim(bytes32 participant,address newKey,uint64 deadline,bytes32 salt)");

    bytes32 internal constant PROFILE_UPDATE_TYPEHASH =
        keccak256("ProfileUpdate(bytes32 participant,uint64 version,bytes32 profileHash,uint64 deadline,bytes32 salt)");

    bytes32 internal constant PARTICIPANT_RETIREMENT_TYPEHASH =
        keccak256("ParticipantRetirement(bytes32 participant,uint64 deadline,bytes32 salt)");

    bytes32 internal constant GOVERNANCE_VOTE_TYPEHASH =
        keccak256("GovernanceVote(bytes32 participant,uint8 decision,bytes32 subject,bytes32 argument,uint8 choice,uint64 epoch,uint64 counter,uint64 deadline,bytes32 salt)");

    function hash(ParticipantApplication memory statement) internal pure returns (bytes32) {
        return keccak256(abi.encode(PARTICIPANT_APPLICATION_TYPEHASH, statement));
    }

    function hash(KeyAddition calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = KEY_ADDITION_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 160)
            structHash := keccak256(words, 192)
        }
    }

    function hash(KeyRevocation calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = KEY_REVOCATION_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 128)
            structHash := keccak256(words, 160)
        }
    }

    function hash(ControlKeyRotation calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = CONTROL_KEY_ROTATION_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 128)
            structHash := keccak256(words, 160)
        }
    }

    function hash(ControlKeyClaim calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = CONTROL_KEY_CLAIM_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 128)
            structHash := keccak256(words, 160)
        }
    }

    function hash(ProfileUpdate calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = PROFILE_UPDATE_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 160)
            structHash := keccak256(words, 192)
        }
    }

    function hash(ParticipantRetirement calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = PARTICIPANT_RETIREMENT_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 96)
            structHash := keccak256(words, 128)
        }
    }

    function hash(GovernanceVote calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = GOVERNANCE_VOTE_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 288)
            structHash := keccak256(words, 320)
        }
    }
}
