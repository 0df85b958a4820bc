// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParticipantRegistry} from "../../src/interfaces/IParticipantRegistry.sol";
import {IStatementExecutor} from "../../src/interfaces/IStatementExecutor.sol";
import {AccessGrant, AccessGrantsTypes, AccessRevocation} from "../../src/types/AccessGrantsTypes.sol";
import {
    DatasetRegistration,
    DatasetRegistryTypes,
    DatasetRetirement,
    Parent
} from "../../src/types/DatasetRegistryTypes.sol";
import {
    AgreementAcceptance,
    AgreementProposal,
    AgreementRejection,
    AgreementTermination,
    SettlementRecord,
    SharingAgreementsTypes,
    UsageConfirmation
} from "../../src/types/SharingAgreementsTypes.sol";
import {Exchange} from "./Exchange.sol";

// Builds statements, their digests and the calls that relay them, signed by a member.
abstract contract Statements is Exchange {
    // --- Refusals ----------------------------------------------------------------------------------------------------

    function _expired(bytes32 digest) internal pure returns (bytes memory) {
        bytes4 refusal = IStatementExecutor.StatementExecutorDeadlinePassed.selector;
        return abi.encodeWithSelector(refusal, digest, DEADLINE, DEADLINE + 1);
    }

    function _forged(bytes32 digest, address signer) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IStatementExecutor.StatementExecutorSignatureInvalid.selector, digest, signer);
    }

    function _inactive(
        bytes32 participant,
        address signer,
        IParticipantRegistry.Status status,
        bool keyActive
    ) internal pure returns (bytes memory) {
        bytes4 refusal = IStatementExecutor.StatementExecutorSignerNotActive.selector;
        return abi.encodeWithSelector(refusal, participant, signer, uint8(status), keyActive);
    }

    // Refused because the member was never admitted.
    function _never(Member memory member) internal pure returns (bytes memory) {
        return _inactive(member.id, member.signer, IParticipantRegistry.Status.None, false);
    }

    // What INV-1 asks of every call: refused for a participant never admitted, a key of somebody else, one revoked, a
    // participant Suspended or Retired.
    function _assertOnlyActive(address executor, bytes memory outsiders, bytes memory anothers, bytes memory utilitys)
        internal
    {
        IParticipantRegistry.Status active = IParticipantRegistry.Status.Active;
        _assertRefused(executor, outsiders, _never(outsider));
        _assertRefused(executor, anothers, _inactive(utility.id, analyst.signer, active, false));
        _suspend(utility);
        bytes memory refusal = _inactive(utility.id, utility.signer, IParticipantRegistry.Status.Suspended, true);
        _assertRefused(executor, utilitys, refusal);
        _reinstate(utility);
        _assertRefusedOnceGone(executor, utilitys);
    }

    function _assertRefusedOnceGone(address executor, bytes memory utilitys) internal {
        _revokeKey(utility);
        bytes memory refusal = _inactive(utility.id, utility.signer, IParticipantRegistry.Status.Active, false);
        _assertRefused(executor, utilitys, refusal);
        _retire(utility);
        refusal = _inactive(utility.id, utility.signer, IParticipantRegistry.Status.Retired, false);
        _assertRefused(executor, utilitys, refusal);
    }

    // --- Datasets ----------------------------------------------------------------------------------------------------

    function _registration(
        Member memory provider,
        bytes32 datasetSalt,
        uint64 version
    ) internal returns (DatasetRegistration memory) {
        return
            DatasetRegistration({
                participant: provider.id,
                datasetSalt: datasetSalt,
                version: version,
                contentHash: keccak256(abi.encode("content", datasetSalt, version)),
                metadataHash: keccak256(abi.encode("metadata", datasetSalt, version)),
                parents: new Parent[](0),
                deadline: DEADLINE,
                salt: _salt()
            });
    }

    function _retirement(Member memory provider, bytes32 datasetSalt) internal returns (DatasetRetirement memory) {
        return DatasetRetirement(provider.id, datasetSalt, DEADLINE, _salt());
    }

    function _digest(DatasetRegistration memory statement) internal view returns (bytes32) {
        bytes memory parents = "";
        for (uint256 i = 0; i < statement.parents.length; ++i) {
            Parent memory parent = statement.parents[i];
            parents = bytes.concat(
                parents,
                keccak256(abi.encode(DatasetRegistryTypes.PARENT_TYPEHASH, parent))
            );
        }
        bytes memory head = abi.encode(
            DatasetRegistryTypes.DATASET_REGISTRATION_TYPEHASH,
            statement.participant,
            statement.datasetSalt,
            statement.version,
            statement.contentHash,
            statement.metadataHash
        );
        bytes memory tail = abi.encode(keccak256(parents), statement.deadline, statement.salt);
        return _typed(address(datasets), keccak256(bytes.concat(head, tail)));
    }

    function _digest(DatasetRetirement memory statement) internal view returns (bytes32) {
        bytes32 hash = keccak256(abi.encode(DatasetRegistryTypes.DATASET_RETIREMENT_TYPEHASH, statement));
        return _typed(address(datasets), hash);
    }

    function _call(Member memory by, DatasetRegistration memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(datasets.register, (statement, by.signer, signature));
    }

    function _call(Member memory by, DatasetRetirement memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(datasets.retire, (statement, by.signer, signature));
    }

    function _datasetOf(Member memory provider, bytes32 datasetSalt) internal pure returns (bytes32) {
        return keccak256(abi.encode(provider.id, datasetSalt));
    }

    // Registers the next version.
    function _registered(
        Member memory provider,
        bytes32 datasetSalt,
        uint64 version
    ) internal returns (DatasetRegistration memory statement) {
        statement = _registration(provider, datasetSalt, version);
        _assertExecutes(address(datasets), _call(provider, statement), true);
    }

    // --- Grants ------------------------------------------------------------------------------------------------------

    function _grant(
        Member memory provider,
        bytes32 datasetSalt,
        Member memory consumer
    ) internal returns (AccessGrant memory) {
        return
            AccessGrant({
                participant: provider.id,
                datasetSalt: datasetSalt,
                consumer: consumer.id,
                firstVersion: 1,
                lastVersion: 0,
                purpose: keccak256("https://example.org/purpose/forecast"),
                rights: 3,
                validFrom: NOW,
                validUntil: NOW + 30 days,
                policyHash: keccak256("policy"),
                deadline: DEADLINE,
                salt: _salt()
            });
    }

    function _revocation(Member memory provider, bytes32 grant) internal returns (AccessRevocation memory) {
        return AccessRevocation(provider.id, grant, DEADLINE, _salt());
    }

    function _digest(AccessGrant memory statement) internal view returns (bytes32) {
        return _typed(address(grants), keccak256(abi.encode(AccessGrantsTypes.ACCESS_GRANT_TYPEHASH, statement)));
    }

    function _digest(AccessRevocation memory statement) internal view returns (bytes32) {
        return _typed(address(grants), keccak256(abi.encode(AccessGrantsTypes.ACCESS_REVOCATION_TYPEHASH, statement)));
    }

    function _call(Member memory by, AccessGrant memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(grants.grant, (statement, by.signer, signature));
    }

    function _call(Member memory by, AccessRevocation memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(grants.revoke, (statement, by.signer, signature));
    }

    // --- Agreements --------------------------------------------------------------------------------------------------

    // Revision 1 between two members; the first supplies.
    function _proposal(Member memory supplier, Member memory user) internal returns (AgreementProposal memory) {
        bytes32 salt = _salt();
        return
            AgreementProposal({
                participant: supplier.id,
                agreement: keccak256(abi.encode(supplier.id, salt)),
                revision: 1,
                parties: _ascending(supplier.id, user.id),
                supplier: supplier.id,
                user: user.id,
                resource: 5,
                termsHash: keccak256("terms"),
                validFrom: NOW,
                validUntil: NOW + 30 days,
                quota: 1000,
                decimals: 3,
                unit: "MW.h",
                deadline: DEADLINE,
                salt: salt
            });
    }

    // The next revision, proposed by `by`.
    function _revised(
        Member memory by,
        AgreementProposal memory present
    ) internal returns (AgreementProposal memory next) {
        next = abi.decode(abi.encode(present), (AgreementProposal));
        (next.participant, next.revision, next.salt) = (by.id, present.revision + 1, _salt());
    }

    function _acceptance(
        Member memory by,
        AgreementProposal memory proposal
    ) internal returns (AgreementAcceptance memory) {
        return AgreementAcceptance(by.id, proposal.agreement, _digest(proposal), DEADLINE, _salt());
    }

    function _rejection(
        Member memory by,
        AgreementProposal memory proposal
    ) internal returns (AgreementRejection memory) {
        return AgreementRejection(by.id, proposal.agreement, _digest(proposal), DEADLINE, _salt());
    }

    function _termination(Member memory by, bytes32 agreement) internal returns (AgreementTermination memory) {
        return AgreementTermination(by.id, agreement, DEADLINE, _salt());
    }

    function _confirmation(
        Member memory by,
        bytes32 agreement,
        uint64 sequence,
        uint256 total
    ) internal returns (UsageConfirmation memory) {
        return UsageConfirmation(by.id, agreement, sequence, keccak256("report"), total, DEADLINE, _salt());
    }

    function _settlement(
        Member memory by,
        bytes32 agreement,
        uint64 sequence,
        uint256 total
    ) internal returns (SettlementRecord memory) {
        return SettlementRecord(by.id, agreement, sequence, total, keccak256("invoice"), DEADLINE, _salt());
    }

    function _digest(AgreementProposal memory statement) internal view returns (bytes32) {
        bytes memory head = abi.encode(
            SharingAgreementsTypes.AGREEMENT_PROPOSAL_TYPEHASH,
            statement.participant,
            statement.agreement,
            statement.revision,
            keccak256(abi.encodePacked(statement.parties)),
            statement.supplier,
            statement.user
        );
        bytes memory terms = abi.encode(
            statement.resource,
            statement.termsHash,
            statement.validFrom,
            statement.validUntil,
            statement.quota
        );
        bytes memory tail = abi.encode(statement.decimals, statement.unit, statement.deadline, statement.salt);
        return _typed(address(agreements), keccak256(bytes.concat(head, terms, tail)));
    }

    function _digest(AgreementAcceptance memory statement) internal view returns (bytes32) {
        bytes32 hash = keccak256(abi.encode(SharingAgreementsTypes.AGREEMENT_ACCEPTANCE_TYPEHASH, statement));
        return _typed(address(agreements), hash);
    }

    function _digest(AgreementRejection memory statement) internal view returns (bytes32) {
        bytes32 hash = keccak256(abi.encode(SharingAgreementsTypes.AGREEMENT_REJECTION_TYPEHASH, statement));
        return _typed(address(agreements), hash);
    }

    function _digest(AgreementTermination memory statement) internal view returns (bytes32) {
        bytes32 hash = keccak256(abi.encode(SharingAgreementsTypes.AGREEMENT_TERMINATION_TYPEHASH, statement));
        return _typed(address(agreements), hash);
    }

    function _digest(UsageConfirmation memory statement) internal view returns (bytes32) {
        bytes32 hash = keccak256(abi.encode(SharingAgreementsTypes.USAGE_CONFIRMATION_TYPEHASH, statement));
        return _typed(address(agreements), hash);
    }

    function _digest(SettlementRecord memory statement) internal view returns (bytes32) {
        bytes32 hash = keccak256(abi.encode(SharingAgreementsTypes.SETTLEMENT_RECORD_TYPEHASH, statement));
        return _typed(address(agreements), hash);
    }

    function _call(Member memory by, AgreementProposal memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(agreements.propose, (statement, by.signer, signature));
    }

    function _call(Member memory by, AgreementAcceptance memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(agreements.accept, (statement, by.signer, signature));
    }

    function _call(Member memory by, AgreementRejection memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(agreements.reject, (statement, by.signer, signature));
    }

    function _call(Member memory by, AgreementTermination memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(agreements.terminate, (statement, by.signer, signature));
    }

    function _call(Member memory by, UsageConfirmation memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(agreements.confirmUsage, (statement, by.signer, signature));
    }

    function _call(Member memory by, SettlementRecord memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(agreements.recordSettlement, (statement, by.signer, signature));
    }

    function _ascending(bytes32 first, bytes32 second) internal pure returns (bytes32[] memory parties) {
        parties = new bytes32[](2);
        (parties[0], parties[1]) = first < second ? (first, second) : (second, first);
    }
}
