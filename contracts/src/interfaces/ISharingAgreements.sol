// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    AgreementAcceptance,
    AgreementProposal,
    AgreementRejection,
    AgreementTermination,
    SettlementRecord,
    UsageConfirmation
} from "../types/SharingAgreementsTypes.sol";
import {IStatementExecutor} from "./IStatementExecutor.sol";

/// @title What was agreed, used and settled
/// @notice An agreement's id is keccak256(abi.encode(proposer, salt)) of revision 1. While it is Proposed or Rejected
/// any party of its present revision may propose the next, which starts with the proposer's acceptance alone; once it
/// is Active its terms stay as they are.
/// @custom:invariant INV-1 Only a key of an Active participant, valid at block time, acts in its name.
/// @custom:invariant INV-5 An agreement is Active only after every party accepted the same revision.
/// @custom:invariant INV-6 Confirmed usage stays within quota; settled stays within confirmed.
/// @custom:invariant INV-8 A statement takes effect at most once, whoever relays it and however often.
interface ISharingAgreements is IStatementExecutor {
    /// @notice Where an agreement stands.
    enum State {
        None,
        Proposed,
        Active,
        Rejected,
        Terminated
    }

    /// @notice What is kept of an agreement: its present revision and its running totals.
    /// @param proposal digest of the present revision
    /// @param revision its number
    /// @param validUntil its end, after which it can not be accepted
    /// @param state where it stands
    /// @param parties how many parties it names
    /// @param acceptances how many of them accepted it
    /// @param confirmations the sequence number of the last confirmation
    /// @param settlements the sequence number of the last settlement
    /// @param quota most that may be confirmed
    /// @param confirmed confirmed so far
    /// @param settled settled so far
    struct Agreement {
        bytes32 proposal;
        uint64 revision;
        uint64 validUntil;
        State state;
        uint8 parties;
        uint8 acceptances;
        uint64 confirmations;
        uint64 settlements;
        uint256 quota;
        uint256 confirmed;
        uint256 settled;
    }

    /// @notice What a revision says of one participant.
    /// @param named whether it is a party
    /// @param accepted whether it accepted
    /// @param supplier whether it reports usage and records settlement
    /// @param user whether it confirms usage
    struct Party {
        bool named;
        bool accepted;
        bool supplier;
        bool user;
    }

    /// @notice A revision was proposed, and thereby accepted by its proposer.
    event AgreementProposed(
        bytes32 indexed digest,
        bytes32 indexed agreement,
        bytes32 indexed participant,
        address signer,
        AgreementProposal statement
    );

    /// @notice A party accepted a revision.
    event AgreementAccepted(
        bytes32 indexed digest,
        bytes32 indexed agreement,
        bytes32 indexed participant,
        address signer,
        bytes32 proposal
    );

    /// @notice The last party accepted: the proposal whose digest stands first is in force.
    event AgreementActivated(bytes32 indexed proposal, bytes32 indexed agreement, uint64 revision);

    /// @notice A party rejected a revision, which ended the proposal.
    event AgreementRejected(
        bytes32 indexed digest,
        bytes32 indexed agreement,
        bytes32 indexed participant,
        address signer,
        bytes32 proposal
    );

    /// @notice A party ended an active agreement.
    event AgreementTerminated(
        bytes32 indexed digest, bytes32 indexed agreement, bytes32 indexed participant, address signer
    );

    /// @notice The user confirmed a usage report; `total` is confirmed so far.
    event UsageConfirmed(
        bytes32 indexed digest,
        bytes32 indexed agreement,
        bytes32 indexed participant,
        address signer,
        uint64 sequence,
        bytes32 report,
        uint256 total
    );

    /// @notice The supplier recorded a settlement; `total` is settled so far.
    event SettlementRecorded(
        bytes32 indexed digest,
        bytes32 indexed agreement,
        bytes32 indexed participant,
        address signer,
        uint64 sequence,
        uint256 total,
        bytes32 invoiceHash
    );

    /// @notice The agreement's state does not allow it.
    error SharingAgreementsWrongState(bytes32 agreement, State state);

    /// @notice The id of a new agreement is keccak256(abi.encode(participant, salt)).
    error SharingAgreementsWrongId(bytes32 agreement, bytes32 expected);

    /// @notice Revisions are consecutive from 1.
    error SharingAgreementsWrongRevision(bytes32 agreement, uint64 revision, uint64 expected);

    /// @notice The statement is about another revision than the present one.
    error SharingAgreementsWrongProposal(bytes32 agreement, bytes32 proposal, bytes32 present);

    /// @notice An agreement has 2 to 16 parties.
    error SharingAgreementsPartyCount(uint256 count);

    /// @notice Parties stand in ascending order, each once.
    error SharingAgreementsPartiesUnordered(uint256 index);

    /// @notice A party is not an Active participant.
    error SharingAgreementsPartyNotActive(bytes32 participant, uint8 status);

    /// @notice The participant is not a party of that revision.
    error SharingAgreementsNotParty(bytes32 agreement, bytes32 participant);

    /// @notice Supplier and user are two different parties.
    error SharingAgreementsRolesInvalid(bytes32 supplier, bytes32 user);

    /// @notice The resource is none that the vocabulary knows.
    error SharingAgreementsUnknownResource(uint8 resource);

    /// @notice Quantities have at most 18 decimal places.
    error SharingAgreementsTooManyDecimals(uint8 decimals);

    /// @notice The period is empty, or over.
    error SharingAgreementsPeriodClosed(uint64 validFrom, uint64 validUntil, uint64 time);

    /// @notice The revision's period is over: it can not be accepted any more.
    error SharingAgreementsExpired(bytes32 agreement, uint64 validUntil, uint64 time);

    /// @notice The party accepted this revision before, by another statement.
    error SharingAgreementsAcceptedBefore(bytes32 agreement, bytes32 participant);

    /// @notice Only the user confirms usage.
    error SharingAgreementsNotUser(bytes32 agreement, bytes32 participant);

    /// @notice Only the supplier records settlement.
    error SharingAgreementsNotSupplier(bytes32 agreement, bytes32 participant);

    /// @notice Sequence numbers are consecutive from 1.
    error SharingAgreementsWrongSequence(bytes32 agreement, uint64 sequence, uint64 expected);

    /// @notice A running total grows, up to its limit: the quota for confirmations, what is confirmed for settlements.
    error SharingAgreementsTotalOutOfRange(bytes32 agreement, uint256 total, uint256 above, uint256 most);

    /// @notice Proposes a revision and accepts it for the proposer. Anyone may relay it.
    /// @param statement the proposal
    /// @param signer a signing key of the participant, an account or an ERC-1271 contract
    /// @param signature its signature over the statement
    /// @return executed false when it took effect before, which changes nothing
    function propose(AgreementProposal calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed);

    /// @notice Accepts the present revision; the last acceptance makes the agreement Active. Anyone may relay it.
    /// @param statement the acceptance
    /// @param signer a signing key of the participant, an account or an ERC-1271 contract
    /// @param signature its signature over the statement
    /// @return executed false when it took effect before, which changes nothing
    function accept(AgreementAcceptance calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed);

    /// @notice Rejects the present revision. Anyone may relay it.
    /// @param statement the rejection
    /// @param signer a signing key of the participant, an account or an ERC-1271 contract
    /// @param signature its signature over the statement
    /// @return executed false when it took effect before, which changes nothing
    function reject(AgreementRejection calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed);

    /// @notice Ends an Active agreement; usage before that may still be confirmed and settled. Anyone may relay it.
    /// @param statement the termination
    /// @param signer a signing key of the participant, an account or an ERC-1271 contract
    /// @param signature its signature over the statement
    /// @return executed false when it took effect before, which changes nothing
    function terminate(AgreementTermination calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed);

    /// @notice Confirms usage within the quota. Anyone may relay it.
    /// @param statement the confirmation
    /// @param signer a signing key of the user, an account or an ERC-1271 contract
    /// @param signature its signature over the statement
    /// @return executed false when it took effect before, which changes nothing
    function confirmUsage(UsageConfirmation calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed);

    /// @notice Records settlement of confirmed usage. Anyone may relay it.
    /// @param statement the record
    /// @param signer a signing key of the supplier, an account or an ERC-1271 contract
    /// @param signature its signature over the statement
    /// @return executed false when it took effect before, which changes nothing
    function recordSettlement(SettlementRecord calldata statement, address signer, bytes calldata signature)
        external
        returns (bool executed);

    /// @notice What is kept of an agreement.
    /// @param agreement the agreement's id
    /// @return kept its present revision and totals; all zero when there is none
    function agreementOf(bytes32 agreement) external view returns (Agreement memory kept);

    /// @notice What a revision says of a participant.
    /// @param proposal digest of the revision
    /// @param participant the participant's id
    /// @return party its part
    function partyOf(bytes32 proposal, bytes32 participant) external view returns (Party memory party);

    /// @notice Whether a statement took effect.
    /// @param digest the statement's EIP-712 digest
    function isExecuted(bytes32 digest) external view returns (bool);
}
