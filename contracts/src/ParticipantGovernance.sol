// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ParticipantRecords} from "./ParticipantRecords.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {Choice, Decision, HistoryKind} from "./types/Enumerations.sol";
import {GovernanceVote} from "./types/ParticipantRegistryTypes.sol";

// Ballots, and what the governors can decide. Who may vote is checked before.
abstract contract ParticipantGovernance is ParticipantRecords {
    // An application that was filed; of a claim only participant and controlKey.
    struct Filing {
        bytes32 participant;
        address controlKey;
        address signingKey;
        uint8 custody;
        bytes32 profileHash;
    }

    struct Tally {
        uint64 approvals;
        uint64 rejections;
    }

    mapping(bytes32 digest => Filing) internal _filings;
    mapping(bytes32 ballot => Tally) private _tallies;
    mapping(bytes32 ballot => mapping(bytes32 participant => bool)) private _voted;
    mapping(bytes32 subject => uint64) public counterOf;

    /// @inheritdoc IParticipantRegistry
    function tallyOf(
        uint8 decision,
        bytes32 subject,
        bytes32 argument
    ) external view returns (uint64 approvals, uint64 rejections) {
        Tally storage tally = _tallies[_ballotOf(decision, subject, argument)];
        return (tally.approvals, tally.rejections);
    }

    function _castVote(bytes32 digest, GovernanceVote calldata statement) internal {
        _checkBallot(statement);
        _checkDecision(statement.decision, statement.subject, statement.argument);
        isExecuted[digest] = true;
        Tally memory tally = _count(statement);
        _emitVote(digest, statement, tally);
        if (tally.approvals >= threshold) _execute(digest, statement);
        else if (tally.rejections > governorCount - threshold) _reject(digest, statement);
    }

    function _admit(bytes32 id, bytes32 digest) internal {
        Filing storage filing = _filings[digest];
        Participant storage participant = _participants[id];
        participant.status = Status.Active;
        participant.profileVersion = 1;
        participant.profileHash = filing.profileHash;
        _extendHistory(HistoryKind.ADMITTED, id, filing.profileHash);
        _setControlKey(id, filing.controlKey);
        _addKey(id, filing.signingKey, filing.custody);
    }

    function _ballotOf(uint8 decision, bytes32 subject, bytes32 argument) private view returns (bytes32) {
        return keccak256(abi.encode(decision, subject, argument, epoch, counterOf[subject]));
    }

    function _count(GovernanceVote calldata statement) private returns (Tally memory tally) {
        bytes32 ballot = _ballotOf(statement.decision, statement.subject, statement.argument);
        if (_voted[ballot][statement.participant]) {
            revert ParticipantRegistryAlreadyVoted(statement.participant, ballot);
        }
        _voted[ballot][statement.participant] = true;
        tally = _tallies[ballot];
        if (statement.choice == Choice.APPROVE) ++tally.approvals;
        else ++tally.rejections;
        _tallies[ballot] = tally;
    }

    function _emitVote(bytes32 digest, GovernanceVote calldata statement, Tally memory tally) private {
        emit VoteCast(
            digest,
            statement.participant,
            statement.subject,
            statement.decision,
            statement.argument,
            statement.choice,
            statement.epoch,
            statement.counter,
            tally.approvals,
            tally.rejections
        );
    }

    function _execute(bytes32 digest, GovernanceVote calldata statement) private {
        counterOf[statement.subject] = statement.counter + 1;
        _apply(statement.decision, statement.subject, statement.argument);
        emit DecisionExecuted(
            digest,
            statement.subject,
            statement.decision,
            statement.argument,
            statement.epoch,
            statement.counter
        );
    }

    // Approval is out of reach: the proposal lapses with the counter.
    function _reject(bytes32 digest, GovernanceVote calldata statement) private {
        counterOf[statement.subject] = statement.counter + 1;
        emit ProposalRejected(
            digest,
            statement.subject,
            statement.decision,
            statement.argument,
            statement.epoch,
            statement.counter
        );
    }

    function _apply(uint8 decision, bytes32 subject, bytes32 argument) private {
        if (decision == Decision.ADMIT) {
            _admit(subject, argument);
        } else if (decision == Decision.SUSPEND) {
            _setStatus(subject, Status.Suspended, HistoryKind.SUSPENDED);
        } else if (decision == Decision.REINSTATE) {
            _setStatus(subject, Status.Active, HistoryKind.REINSTATED);
        } else if (decision == Decision.RETIRE) {
            _setStatus(subject, Status.Retired, HistoryKind.RETIRED);
        } else if (decision == Decision.RECOVER_CONTROL_KEY) {
            _setControlKey(subject, _filings[argument].controlKey);
        } else if (decision == Decision.REVOKE_KEY) {
            _revokeKey(subject, _addressIn(argument));
        } else {
            ++epoch;
            if (decision == Decision.SET_THRESHOLD) _setThreshold(uint256(argument));
            else _setGovernor(subject, decision == Decision.APPOINT_GOVERNOR);
        }
    }

    function _checkBallot(GovernanceVote calldata statement) private view {
        if (statement.choice != Choice.APPROVE && statement.choice != Choice.REJECT) {
            revert ParticipantRegistryChoiceUnknown(statement.choice);
        }
        if (statement.epoch != epoch) revert ParticipantRegistryEpoch(epoch, statement.epoch);
        uint64 counter = counterOf[statement.subject];
        if (statement.counter != counter) {
            revert ParticipantRegistryCounter(statement.subject, counter, statement.counter);
        }
    }

    // Whether the decision could be executed now. Asked at every vote, so that no vote is cast for nothing.
    function _checkDecision(uint8 decision, bytes32 subject, bytes32 argument) private view {
        if (decision == Decision.ADMIT) {
            _checkAdmission(subject, argument);
        } else if (decision == Decision.RECOVER_CONTROL_KEY) {
            _checkRecovery(subject, argument);
        } else if (decision == Decision.REVOKE_KEY) {
            _checkActiveOrSuspended(subject);
            if (uint256(argument) >> _ADDRESS_BITS != 0) {
                revert ParticipantRegistryArgument(decision, subject, argument);
            }
            _checkKeyActive(subject, _addressIn(argument));
        } else if (decision == Decision.SET_THRESHOLD) {
            if (subject != 0) revert ParticipantRegistryArgument(decision, subject, argument);
            _checkThreshold(uint256(argument), governorCount);
        } else if (argument != 0) {
            revert ParticipantRegistryArgument(decision, subject, argument);
        } else {
            _checkStanding(decision, subject);
        }
    }

    function _checkAdmission(bytes32 subject, bytes32 digest) private view {
        Filing storage filing = _filings[digest];
        if (subject == 0 || filing.participant != subject || filing.signingKey == address(0)) {
            revert ParticipantRegistryArgument(Decision.ADMIT, subject, digest);
        }
        _checkFreePair(filing.controlKey, filing.signingKey);
    }

    function _checkRecovery(bytes32 subject, bytes32 digest) private view {
        Filing storage filing = _filings[digest];
        if (subject == 0 || filing.participant != subject || filing.signingKey != address(0)) {
            revert ParticipantRegistryArgument(Decision.RECOVER_CONTROL_KEY, subject, digest);
        }
        _checkActiveOrSuspended(subject);
        _checkFree(filing.controlKey);
    }

    // The decisions without an argument: what standing the subject must have.
    function _checkStanding(uint8 decision, bytes32 subject) private view {
        if (decision == Decision.SUSPEND) {
            _checkStatus(subject, Status.Active);
            _checkGovernsNot(subject);
        } else if (decision == Decision.REINSTATE) {
            _checkStatus(subject, Status.Suspended);
        } else if (decision == Decision.RETIRE) {
            _checkActiveOrSuspended(subject);
            _checkGovernsNot(subject);
        } else if (decision == Decision.APPOINT_GOVERNOR) {
            _checkStatus(subject, Status.Active);
            _checkGovernsNot(subject);
        } else if (decision == Decision.DISMISS_GOVERNOR) {
            if (!isGovernor(subject)) revert ParticipantRegistryNotGovernor(subject);
            _checkThreshold(threshold, governorCount - 1);
        } else {
            revert ParticipantRegistryDecisionUnknown(decision);
        }
    }

    function _addressIn(bytes32 word) private pure returns (address) {
        return address(uint160(uint256(word)));
    }
}
