// SPDX-License-Identifier: Apache-2.0
// Generated from ledger/statements/vocabulary.py by scripts/build_contracts.py. Do not edit.
pragma solidity 0.8.37;

// A revision of an agreement; proposing it accepts it. The agreement's id is keccak256(abi.encode(participant, salt)) of revision 1; any party of the present revision may propose the next.
struct AgreementProposal {
    bytes32 participant; // id of the participant that states this
    bytes32 agreement; // the agreement's id
    uint64 revision; // from 1, consecutive
    bytes32[] parties; // 2 to 16 participant ids, ascending, the proposer among them
    bytes32 supplier; // the party that reports usage and records settlement
    bytes32 user; // the party that confirms or disputes usage; another than the supplier
    uint8 resource; // what is shared: Resource
    bytes32 termsHash; // SHA-256(salt || RFC 8785 form of the terms)
    uint64 validFrom; // UTC seconds, inclusive
    uint64 validUntil; // UTC seconds, exclusive
    uint256 quota; // most that may be confirmed, in units of 10^-decimals
    uint8 decimals; // decimal places of quantities, at most 18
    bytes32 unit; // UCUM code in ASCII, zero-padded on the right
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// A party accepts a revision.
struct AgreementAcceptance {
    bytes32 participant; // id of the participant that states this
    bytes32 agreement; // the agreement's id
    bytes32 proposal; // digest of the AgreementProposal
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// A party rejects a revision, which ends the proposal.
struct AgreementRejection {
    bytes32 participant; // id of the participant that states this
    bytes32 agreement; // the agreement's id
    bytes32 proposal; // digest of the AgreementProposal
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// A party ends an active agreement.
struct AgreementTermination {
    bytes32 participant; // id of the participant that states this
    bytes32 agreement; // the agreement's id
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// The user confirms a usage report.
struct UsageConfirmation {
    bytes32 participant; // id of the participant that states this
    bytes32 agreement; // the agreement's id
    uint64 sequence; // from 1, consecutive for each agreement
    bytes32 report; // digest of the UsageReport
    uint256 total; // confirmed so far, this report included, in units of 10^-decimals
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

// The supplier records what was settled.
struct SettlementRecord {
    bytes32 participant; // id of the participant that states this
    bytes32 agreement; // the agreement's id
    uint64 sequence; // from 1, consecutive for each agreement
    uint256 total; // settled so far, this record included, in units of 10^-decimals
    bytes32 invoiceHash; // SHA-256(salt || RFC 8785 form of the invoice)
    uint64 deadline; // UTC seconds after which no log takes it and no contract executes it
    bytes32 salt; // random
}

library SharingAgreementsTypes {
    bytes32 internal constant AGREEMENT_PROPOSAL_TYPEHASH =
        keccak256("AgreementProposal(bytes32 participant,bytes32 agreement,uint64 revision,bytes32[] parties,bytes32 supplier,bytes32 user,uint8 resource,bytes32 termsHash,uint64 validFrom,uint64 validUntil,uint256 quota,uint8 decimals,bytes32 unit,uint64 deadline,bytes32 salt)");

    bytes32 internal constant AGREEMENT_ACCEPTANCE_TYPEHASH =
        keccak256("AgreementAcceptance(bytes32 participant,bytes32 agreement,bytes32 proposal,uint64 deadline,bytes32 salt)");

    bytes32 internal constant AGREEMENT_REJECTION_TYPEHASH =
        keccak256("AgreementRejection(bytes32 participant,bytes32 agreement,bytes32 proposal,uint64 deadline,bytes32 salt)");

    bytes32 internal constant AGREEMENT_TERMINATION_TYPEHASH =
        keccak256("AgreementTermination(bytes32 participant,bytes32 agreement,uint64 deadline,bytes32 salt)");

    bytes32 internal constant USAGE_CONFIRMATION_TYPEHASH =
        keccak256("UsageConfirmation(bytes32 participant,bytes32 agreement,uint64 sequence,bytes32 report,uint256 total,uint64 deadline,bytes32 salt)");

    bytes32 internal constant SETTLEMENT_RECORD_TYPEHASH =
        keccak256("SettlementRecord(bytes32 participant,bytes32 agreement,uint64 sequence,uint256 total,bytes32 invoiceHash,uint64 deadline,bytes32 salt)");

    function hash(AgreementProposal calldata statement) internal pure returns (bytes32) {
        return keccak256(bytes.concat(abi.encode(AGREEMENT_PROPOSAL_TYPEHASH, statement.participant, statement.agreement, statement.revision, keccak256(abi.encodePacked(statement.parties)), statement.supplier, statement.user, statement.resource), abi.encode(statement.termsHash, statement.validFrom, statement.validUntil, statement.quota, statement.decimals, statement.unit, statement.deadline, statement.salt)));
    }

    function hash(AgreementAcceptance calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = AGREEMENT_ACCEPTANCE_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 160)
            structHash := keccak256(words, 192)
        }
    }

    function hash(AgreementRejection calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = AGREEMENT_REJECTION_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 160)
            structHash := keccak256(words, 192)
        }
    }

    function hash(AgreementTermination calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = AGREEMENT_TERMINATION_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 128)
            structHash := keccak256(words, 160)
        }
    }

    function hash(UsageConfirmation calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = USAGE_CONFIRMATION_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 224)
            structHash := keccak256(words, 256)
        }
    }

    function hash(SettlementRecord calldata statement) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = SETTLEMENT_RECORD_TYPEHASH;
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, typeHash)
            calldatacopy(add(words, 0x20), statement, 224)
            structHash := keccak256(words, 256)
        }
    }
}
