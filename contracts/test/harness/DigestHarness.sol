// SPDX-License-Identifier: Apache-2.0
// Generated from ledger/statements/vocabulary.py by scripts/build_contracts.py. Do not edit.
pragma solidity 0.8.37;

import {StatementExecutor} from "../../src/StatementExecutor.sol";
import {AccessGrant, AccessGrantsTypes, AccessRevocation} from "../../src/types/AccessGrantsTypes.sol";
import {CheckpointLogTypes, LogClosing, LogOpening, LogRotation} from "../../src/types/CheckpointLogTypes.sol";
import {DatasetRegistration, DatasetRegistryTypes, DatasetRetirement} from "../../src/types/DatasetRegistryTypes.sol";
import {AccessDenial, AccessRequest, Erasure, KeyRelease, LogOnlyTypes, Sealing, TransferReceipt, UsageDispute, UsageReport} from "../../src/types/LogOnlyTypes.sol";
import {ControlKeyClaim, ControlKeyRotation, GovernanceVote, KeyAddition, KeyRevocation, ParticipantApplication, ParticipantRegistryTypes, ParticipantRetirement, ProfileUpdate} from "../../src/types/ParticipantRegistryTypes.sol";
import {AgreementAcceptance, AgreementProposal, AgreementRejection, AgreementTermination, SettlementRecord, SharingAgreementsTypes, UsageConfirmation} from "../../src/types/SharingAgreementsTypes.sol";

contract DigestHarness is StatementExecutor {
    function digestOfAccessGrant(AccessGrant calldata statement) external view returns (bytes32) {
        return _digestOf(AccessGrantsTypes.hash(statement));
    }

    function digestOfAccessRevocation(AccessRevocation calldata statement) external view returns (bytes32) {
        return _digestOf(AccessGrantsTypes.hash(statement));
    }

    function digestOfLogOpening(LogOpening calldata statement) external view returns (bytes32) {
        return _digestOf(CheckpointLogTypes.hash(statement));
    }

    function digestOfLogRotation(LogRotation calldata statement) external view returns (bytes32) {
        return _digestOf(CheckpointLogTypes.hash(statement));
    }

    function digestOfLogClosing(LogClosing calldata statement) external view returns (bytes32) {
        return _digestOf(CheckpointLogTypes.hash(statement));
    }

    function digestOfDatasetRegistration(DatasetRegistration calldata statement) external view returns (bytes32) {
        return _digestOf(DatasetRegistryTypes.hash(statement));
    }

    function digestOfDatasetRetirement(DatasetRetirement calldata statement) external view returns (bytes32) {
        return _digestOf(DatasetRegistryTypes.hash(statement));
    }

    function digestOfAccessRequest(AccessRequest calldata statement) external view returns (bytes32) {
        return _digestOf(LogOnlyTypes.hash(statement));
    }

    function digestOfAccessDenial(AccessDenial calldata statement) external view returns (bytes32) {
        return _digestOf(LogOnlyTypes.hash(statement));
    }

    function digestOfUsageReport(UsageReport calldata statement) external view returns (bytes32) {
        return _digestOf(LogOnlyTypes.hash(statement));
    }

    function digestOfUsageDispute(UsageDispute calldata statement) external view returns (bytes32) {
        return _digestOf(LogOnlyTypes.hash(statement));
    }

    function digestOfSealing(Sealing calldata statement) external view returns (bytes32) {
        return _digestOf(LogOnlyTypes.hash(statement));
    }

    function digestOfTransferReceipt(TransferReceipt calldata statement) external view returns (bytes32) {
        return _digestOf(LogOnlyTypes.hash(statement));
    }

    function digestOfKeyRelease(KeyRelease calldata statement) external view returns (bytes32) {
        return _digestOf(LogOnlyTypes.hash(statement));
    }

    function digestOfErasure(Erasure calldata statement) external view returns (bytes32) {
        return _digestOf(LogOnlyTypes.hash(statement));
    }

    function digestOfParticipantApplication(ParticipantApplication calldata statement) external view returns (bytes32) {
        return _digestOf(ParticipantRegistryTypes.hash(statement));
    }

    function digestOfKeyAddition(KeyAddition calldata statement) external view returns (bytes32) {
        return _digestOf(ParticipantRegistryTypes.hash(statement));
    }

    function digestOfKeyRevocation(KeyRevocation calldata statement) external view returns (bytes32) {
        return _digestOf(ParticipantRegistryTypes.hash(statement));
    }

    function digestOfControlKeyRotation(ControlKeyRotation calldata statement) external view returns (bytes32) {
        return _digestOf(ParticipantRegistryTypes.hash(statement));
    }

    function digestOfControlKeyClaim(ControlKeyClaim calldata statement) external view returns (bytes32) {
        return _digestOf(ParticipantRegistryTypes.hash(statement));
    }

    function digestOfProfileUpdate(ProfileUpdate calldata statement) external view returns (bytes32) {
        return _digestOf(ParticipantRegistryTypes.hash(statement));
    }

    function digestOfParticipantRetirement(ParticipantRetirement calldata statement) external view returns (bytes32) {
        return _digestOf(ParticipantRegistryTypes.hash(statement));
    }

    function digestOfGovernanceVote(GovernanceVote calldata statement) external view returns (bytes32) {
        return _digestOf(ParticipantRegistryTypes.hash(statement));
    }

    function digestOfAgreementProposal(AgreementProposal calldata statement) external view returns (bytes32) {
        return _digestOf(SharingAgreementsTypes.hash(statement));
    }

    function digestOfAgreementAcceptance(AgreementAcceptance calldata statement) external view returns (bytes32) {
        return _digestOf(SharingAgreementsTypes.hash(statement));
    }

    function digestOfAgreementRejection(AgreementRejection calldata statement) external view returns (bytes32) {
        return _digestOf(SharingAgreementsTypes.hash(statement));
    }

    function digestOfAgreementTermination(AgreementTermination calldata statement) external view returns (bytes32) {
        return _digestOf(SharingAgreementsTypes.hash(statement));
    }

    function digestOfUsageConfirmation(UsageConfirmation calldata statement) external view returns (bytes32) {
        return _digestOf(SharingAgreementsTypes.hash(statement));
    }

    function digestOfSettlementRecord(SettlementRecord calldata statement) external view returns (bytes32) {
        return _digestOf(SharingAgreementsTypes.hash(statement));
    }
}
