// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {ISharingAgreements} from "./interfaces/ISharingAgreements.sol";
import {ParticipantStatementExecutor} from "./ParticipantStatementExecutor.sol";
import {Resource} from "./types/Enumerations.sol";
import {
    AgreementAcceptance,
    AgreementProposal,
    AgreementRejection,
    AgreementTermination,
    SettlementRecord,
    SharingAgreementsTypes,
    UsageConfirmation
} from "./types/SharingAgreementsTypes.sol";

contract SharingAgreements is ISharingAgreements, ParticipantStatementExecutor {
    using SharingAgreementsTypes for AgreementAcceptance;
    using SharingAgreementsTypes for AgreementProposal;
    using SharingAgreementsTypes for AgreementRejection;
    using SharingAgreementsTypes for AgreementTermination;
    using SharingAgreementsTypes for SettlementRecord;
    using SharingAgreementsTypes for UsageConfirmation;

    uint256 private constant FEWEST_PARTIES = 2;
    uint256 private constant MOST_PARTIES = 16;
    uint8 private constant MOST_DECIMALS = 18;

    mapping(bytes32 agreement => Agreement) private _agreements;
    mapping(bytes32 proposal => mapping(bytes32 participant => Party)) private _parties;
    /// @inheritdoc ISharingAgreements
    mapping(bytes32 digest => bool) public isExecuted;

    constructor(IParticipantRegistry registry_) ParticipantStatementExecutor(registry_) {}

    /// @inheritdoc ISharingAgreements
    function propose(AgreementProposal calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed)
    {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _execute(digest, statement.deadline, statement.participant, signer, signature);
        _checkTerms(statement);
        _checkRevision(statement);
        _setParties(statement, digest);
        _setRevision(statement, digest);
        emit AgreementProposed(digest, statement.agreement, statement.participant, signer, statement);
        return true;
    }

    /// @inheritdoc ISharingAgreements
    function accept(AgreementAcceptance calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed)
    {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _execute(digest, statement.deadline, statement.participant, signer, signature);
        (bytes32 id, bytes32 participant) = (statement.agreement, statement.participant);
        Agreement storage agreement = _proposed(id, statement.proposal);
        if (agreement.validUntil <= block.timestamp) {
            revert SharingAgreementsExpired(id, agreement.validUntil, uint64(block.timestamp));
        }
        Party storage party = _partyOf(id, participant);
        if (party.accepted) revert SharingAgreementsAcceptedBefore(id, participant);
        party.accepted = true;
        ++agreement.acceptances;
        emit AgreementAccepted(digest, id, participant, signer, statement.proposal);
        if (agreement.acceptances == agreement.parties) {
            agreement.state = State.Active;
            emit AgreementActivated(statement.proposal, id, agreement.revision);
        }
        return true;
    }

    /// @inheritdoc ISharingAgreements
    function reject(AgreementRejection calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed)
    {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _execute(digest, statement.deadline, statement.participant, signer, signature);
        (bytes32 id, bytes32 participant) = (statement.agreement, statement.participant);
        Agreement storage agreement = _proposed(id, statement.proposal);
        _partyOf(id, participant);
        agreement.state = State.Rejected;
        emit AgreementRejected(digest, id, participant, signer, statement.proposal);
        return true;
    }

    /// @inheritdoc ISharingAgreements
    function terminate(AgreementTermination calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed)
    {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _execute(digest, statement.deadline, statement.participant, signer, signature);
        (bytes32 id, bytes32 participant) = (statement.agreement, statement.participant);
        Agreement storage agreement = _agreements[id];
        if (agreement.state != State.Active) revert SharingAgreementsWrongState(id, agreement.state);
        _partyOf(id, participant);
        agreement.state = State.Terminated;
        emit AgreementTerminated(digest, id, participant, signer);
        return true;
    }

    /// @inheritdoc ISharingAgreements
    function confirmUsage(UsageConfirmation calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed)
    {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _execute(digest, statement.deadline, statement.participant, signer, signature);
        bytes32 id = statement.agreement;
        Agreement storage agreement = _concluded(id);
        if (!_partyOf(id, statement.participant).user) revert SharingAgreementsNotUser(id, statement.participant);
        _checkNext(id, statement.sequence, agreement.confirmations);
        _checkTotal(id, statement.total, agreement.confirmed, agreement.quota);
        (agreement.confirmations, agreement.confirmed) = (statement.sequence, statement.total);
        emit UsageConfirmed(
            digest, id, statement.participant, signer, statement.sequence, statement.report, statement.total
        );
        return true;
    }

    /// @inheritdoc ISharingAgreements
    function recordSettlement(SettlementRecord calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed)
    {
        bytes32 digest = _digestOf(statement.hash());
        if (isExecuted[digest]) return false;
        _execute(digest, statement.deadline, statement.participant, signer, signature);
        bytes32 id = statement.agreement;
        Agreement storage agreement = _concluded(id);
        if (!_partyOf(id, statement.participant).supplier) {
            revert SharingAgreementsNotSupplier(id, statement.participant);
        }
        _checkNext(id, statement.sequence, agreement.settlements);
        _checkTotal(id, statement.total, agreement.settled, agreement.confirmed);
        (agreement.settlements, agreement.settled) = (statement.sequence, statement.total);
        emit SettlementRecorded(
            digest, id, statement.participant, signer, statement.sequence, statement.total, statement.invoiceHash
        );
        return true;
    }

    /// @inheritdoc ISharingAgreements
    function agreementOf(bytes32 agreement) external view returns (Agreement memory kept) {
        return _agreements[agreement];
    }

    /// @inheritdoc ISharingAgreements
    function partyOf(bytes32 proposal, bytes32 participant) external view returns (Party memory party) {
        return _parties[proposal][participant];
    }

    function _execute(
        bytes32 digest,
        uint64 deadline,
        bytes32 participant,
        address signer,
        bytes calldata signature
    ) private {
        _checkStatement(digest, participant, deadline, signer, signature);
        isExecuted[digest] = true;
    }

    function _setParties(AgreementProposal calldata statement, bytes32 digest) private {
        bytes32[] calldata parties = statement.parties;
        uint256 count = parties.length;
        if (count < FEWEST_PARTIES || count > MOST_PARTIES) revert SharingAgreementsPartyCount(count);
        mapping(bytes32 participant => Party) storage named = _parties[digest];
        for (uint256 i = 0; i < count; ++i) {
            bytes32 participant = parties[i];
            if (i > 0 && participant <= parties[i - 1]) revert SharingAgreementsPartiesUnordered(i);
            _checkActive(participant);
            named[participant] = Party({
                named: true,
                accepted: participant == statement.participant,
                supplier: participant == statement.supplier,
                user: participant == statement.user
            });
        }
        if (!named[statement.participant].named) {
            revert SharingAgreementsNotParty(statement.agreement, statement.participant);
        }
        if (
            statement.supplier == statement.user || !named[statement.supplier].named || !named[statement.user].named
        ) revert SharingAgreementsRolesInvalid(statement.supplier, statement.user);
    }

    function _setRevision(AgreementProposal calldata statement, bytes32 digest) private {
        Agreement storage agreement = _agreements[statement.agreement];
        agreement.proposal = digest;
        agreement.revision = statement.revision;
        agreement.validUntil = statement.validUntil;
        agreement.state = State.Proposed;
        agreement.parties = uint8(statement.parties.length);
        agreement.acceptances = 1;
        agreement.quota = statement.quota;
    }

    function _checkTerms(AgreementProposal calldata statement) private view {
        uint8 resource = statement.resource;
        if (resource < Resource.DATA || resource > Resource.MARKET_INFORMATION) {
            revert SharingAgreementsUnknownResource(resource);
        }
        if (statement.decimals > MOST_DECIMALS) revert SharingAgreementsTooManyDecimals(statement.decimals);
        (uint64 from, uint64 until) = (statement.validFrom, statement.validUntil);
        if (from >= until || until <= block.timestamp) {
            revert SharingAgreementsPeriodClosed(from, until, uint64(block.timestamp));
        }
    }

    function _checkRevision(AgreementProposal calldata statement) private view {
        (bytes32 id, bytes32 participant) = (statement.agreement, statement.participant);
        Agreement storage agreement = _agreements[id];
        State state = agreement.state;
        if (state == State.Active || state == State.Terminated) revert SharingAgreementsWrongState(id, state);
        uint64 expected = agreement.revision + 1;
        if (statement.revision != expected) revert SharingAgreementsWrongRevision(id, statement.revision, expected);
        if (expected == 1) {
            bytes32 derived = keccak256(abi.encode(participant, statement.salt));
            if (id != derived) revert SharingAgreementsWrongId(id, derived);
        } else {
            _partyOf(id, participant);
        }
    }

    function _checkActive(bytes32 participant) private view {
        IParticipantRegistry.Status status = registry.statusOf(participant);
        if (status != IParticipantRegistry.Status.Active) {
            revert SharingAgreementsPartyNotActive(participant, uint8(status));
        }
    }

    function _proposed(bytes32 id, bytes32 proposal) private view returns (Agreement storage agreement) {
        agreement = _agreements[id];
        if (agreement.proposal != proposal) revert SharingAgreementsWrongProposal(id, proposal, agreement.proposal);
        if (agreement.state != State.Proposed) revert SharingAgreementsWrongState(id, agreement.state);
    }

    function _concluded(bytes32 id) private view returns (Agreement storage agreement) {
        agreement = _agreements[id];
        State state = agreement.state;
        if (state != State.Active && state != State.Terminated) revert SharingAgreementsWrongState(id, state);
    }

    function _partyOf(bytes32 id, bytes32 participant) private view returns (Party storage party) {
        party = _parties[_agreements[id].proposal][participant];
        if (!party.named) revert SharingAgreementsNotParty(id, participant);
    }

    function _checkNext(bytes32 id, uint64 sequence, uint64 last) private pure {
        if (sequence != last + 1) revert SharingAgreementsWrongSequence(id, sequence, last + 1);
    }

    function _checkTotal(bytes32 id, uint256 total, uint256 above, uint256 most) private pure {
        if (total <= above || total > most) revert SharingAgreementsTotalOutOfRange(id, total, above, most);
    }
}
