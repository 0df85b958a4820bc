// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParticipantRegistry} from "../src/interfaces/IParticipantRegistry.sol";
import {IStatementExecutor} from "../src/interfaces/IStatementExecutor.sol";
import {Choice, Decision} from "../src/types/Enumerations.sol";
import {ControlKeyClaim, GovernanceVote} from "../src/types/ParticipantRegistryTypes.sol";
import {Consortium} from "./support/Consortium.sol";

// What the governors decide.
contract ParticipantRegistryGovernanceTest is Consortium {
    uint256 private constant _NEW_KEY = uint256(keccak256("new key"));

    // --- Ballots ---

    function test_INV7_takesTheThresholdOfDistinctGovernors() external {
        _executes(_call(alpha, _ballot(alpha, Decision.SUSPEND, delta.id, 0)));
        _assertStatus(delta, IParticipantRegistry.Status.Active);
        (uint64 approvals, uint64 rejections) = registry.tallyOf(Decision.SUSPEND, delta.id, 0);
        vm.assertEq(approvals, 1, "approvals");
        vm.assertEq(rejections, 0, "rejections");
        GovernanceVote memory again = _ballot(alpha, Decision.SUSPEND, delta.id, 0);
        _refused(_call(alpha, again), _alreadyVoted(alpha, again));
        _assertStatus(delta, IParticipantRegistry.Status.Active);
        _executes(_call(beta, _ballot(beta, Decision.SUSPEND, delta.id, 0)));
        _assertStatus(delta, IParticipantRegistry.Status.Suspended);
    }

    function test_INV7_aGovernorCountsOnceAfterRotatingItsControlKey() external {
        _executes(_call(alpha, _ballot(alpha, Decision.SUSPEND, delta.id, 0)));
        _executes(_call(alpha, _rotation(alpha, _NEW_KEY), _NEW_KEY));
        alpha.controlKey = _NEW_KEY;
        GovernanceVote memory again = _ballot(alpha, Decision.SUSPEND, delta.id, 0);
        _refused(_call(alpha, again), _alreadyVoted(alpha, again));
    }

    function test_INV7_aGovernorMayNotBothApproveAndReject() external {
        _executes(_call(alpha, _rejection(alpha, Decision.SUSPEND, delta.id, 0)));
        GovernanceVote memory again = _ballot(alpha, Decision.SUSPEND, delta.id, 0);
        _refused(_call(alpha, again), _alreadyVoted(alpha, again));
    }

    function test_INV8_aVoteCountsOnce() external {
        _executesOnce(_call(alpha, _ballot(alpha, Decision.SUSPEND, delta.id, 0)));
        (uint64 approvals, ) = registry.tallyOf(Decision.SUSPEND, delta.id, 0);
        vm.assertEq(approvals, 1, "approvals");
    }

    function test_aProposalIsRejectedOnceTheThresholdIsOutOfReach() external {
        _executes(_call(alpha, _rejection(alpha, Decision.SUSPEND, delta.id, 0)));
        vm.assertEq(registry.counterOf(delta.id), 1, "still open");
        GovernanceVote memory late = _ballot(gamma, Decision.SUSPEND, delta.id, 0);
        _executes(_call(beta, _rejection(beta, Decision.SUSPEND, delta.id, 0)));
        vm.assertEq(registry.counterOf(delta.id), 2, "lapsed");
        _refused(_call(gamma, late), _staleCounter(delta.id, 2, 1));
        _decide(Decision.SUSPEND, delta.id, 0);
        _assertStatus(delta, IParticipantRegistry.Status.Suspended);
    }

    function test_aRejectionDoesNotStopTheThreshold() external {
        _executes(_call(gamma, _rejection(gamma, Decision.SUSPEND, delta.id, 0)));
        _decide(Decision.SUSPEND, delta.id, 0);
        _assertStatus(delta, IParticipantRegistry.Status.Suspended);
    }

    function test_refusesAnUnknownChoice(uint8 choice) external {
        vm.assume(choice != Choice.APPROVE && choice != Choice.REJECT);
        GovernanceVote memory ballot = _ballot(alpha, Decision.SUSPEND, delta.id, 0);
        ballot.choice = choice;
        _refused(
            _call(alpha, ballot),
            abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryChoiceUnknown.selector, choice)
        );
    }

    function test_refusesAnUnknownDecision(uint8 decision) external {
        vm.assume(decision == 0 || decision > Decision.REVOKE_KEY);
        _refused(
            _call(alpha, _ballot(alpha, decision, delta.id, 0)),
            abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryDecisionUnknown.selector, decision)
        );
    }

    function test_refusesAVoteAfterTheSubjectChanged() external {
        GovernanceVote memory stale = _ballot(gamma, Decision.RETIRE, delta.id, 0);
        _decide(Decision.SUSPEND, delta.id, 0);
        _refused(_call(gamma, stale), _staleCounter(delta.id, 2, 1));
    }

    function test_theSubjectsOwnKeyChangesStopNoVote() external {
        GovernanceVote memory second = _ballot(beta, Decision.SUSPEND, delta.id, 0);
        _executes(_call(alpha, _ballot(alpha, Decision.SUSPEND, delta.id, 0)));
        _executes(_call(delta, _rotation(delta, _NEW_KEY), _NEW_KEY));
        _executes(_call(beta, second));
        _assertStatus(delta, IParticipantRegistry.Status.Suspended);
    }

    function test_refusesAVoteOfAnotherEpoch() external {
        GovernanceVote memory stale = _ballot(gamma, Decision.SUSPEND, delta.id, 0);
        _decide(Decision.SET_THRESHOLD, 0, bytes32(uint256(3)));
        _refused(
            _call(gamma, stale),
            abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryEpoch.selector, 2, 1)
        );
    }

    function test_INV7_onlyGovernorsVote() external {
        _refused(
            _call(delta, _ballot(delta, Decision.SUSPEND, alpha.id, 0)),
            abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryNotGovernor.selector, delta.id)
        );
    }

    function test_INV7_onlyTheControlKeyVotes() external {
        Member memory thief = alpha;
        thief.controlKey = alpha.signingKey;
        _refused(
            _call(thief, _ballot(alpha, Decision.SUSPEND, delta.id, 0)),
            abi.encodeWithSelector(
                IParticipantRegistry.ParticipantRegistryNotControlKey.selector,
                alpha.id,
                vm.addr(alpha.controlKey),
                vm.addr(alpha.signingKey)
            )
        );
    }

    function test_refusesAVoteAfterItsDeadline() external {
        GovernanceVote memory ballot = _ballot(alpha, Decision.SUSPEND, delta.id, 0);
        ballot.deadline = NOW - 1;
        _refused(
            _call(alpha, ballot),
            abi.encodeWithSelector(
                IStatementExecutor.StatementExecutorDeadlinePassed.selector,
                _digest(ballot),
                NOW - 1,
                NOW
            )
        );
    }

    // --- Decisions ---

    function test_suspendAndReinstate() external {
        _refusesStanding(Decision.REINSTATE, delta, IParticipantRegistry.Status.Active);
        _decide(Decision.SUSPEND, delta.id, 0);
        _refusesStanding(Decision.SUSPEND, delta, IParticipantRegistry.Status.Suspended);
        _refusesStanding(Decision.APPOINT_GOVERNOR, delta, IParticipantRegistry.Status.Suspended);
        _decide(Decision.REINSTATE, delta.id, 0);
        _assertStatus(delta, IParticipantRegistry.Status.Active);
    }

    function test_retireIsForEver() external {
        _decide(Decision.SUSPEND, delta.id, 0);
        _decide(Decision.RETIRE, delta.id, 0);
        _refusesStanding(Decision.REINSTATE, delta, IParticipantRegistry.Status.Retired);
        _refusesStanding(Decision.RETIRE, delta, IParticipantRegistry.Status.Retired);
        _refusesStanding(Decision.SUSPEND, delta, IParticipantRegistry.Status.Retired);
    }

    function test_aGovernorIsSuspendedOnlyAfterItsDismissal() external {
        uint8[3] memory decisions = [Decision.SUSPEND, Decision.RETIRE, Decision.APPOINT_GOVERNOR];
        for (uint256 i = 0; i < decisions.length; ++i) {
            _refused(
                _call(alpha, _ballot(alpha, decisions[i], gamma.id, 0)),
                abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryIsGovernor.selector, gamma.id)
            );
        }
        _decide(Decision.DISMISS_GOVERNOR, gamma.id, 0);
        _decide(Decision.SUSPEND, gamma.id, 0);
        _assertStatus(gamma, IParticipantRegistry.Status.Suspended);
    }

    function test_INV7_governorsNeverFallBelowTheThreshold() external {
        _decide(Decision.DISMISS_GOVERNOR, gamma.id, 0);
        _refused(_call(alpha, _ballot(alpha, Decision.DISMISS_GOVERNOR, beta.id, 0)), _outOfRange(2, 1));
        _refused(_call(alpha, _ballot(alpha, Decision.SET_THRESHOLD, 0, bytes32(uint256(3)))), _outOfRange(3, 2));
        _refused(_call(alpha, _ballot(alpha, Decision.SET_THRESHOLD, 0, 0)), _outOfRange(0, 2));
        vm.assertEq(registry.epoch(), 2, "epoch");
    }

    function test_appointAndDismissMoveTheEpoch() external {
        _decide(Decision.APPOINT_GOVERNOR, delta.id, 0);
        vm.assertEq(registry.governorCount(), 4, "governors");
        vm.assertEq(registry.epoch(), 2, "epoch");
        _decide(Decision.DISMISS_GOVERNOR, delta.id, 0);
        vm.assertEq(registry.governorCount(), 3, "governors");
        vm.assertEq(registry.epoch(), 3, "epoch");
        _refused(
            _call(alpha, _ballot(alpha, Decision.DISMISS_GOVERNOR, delta.id, 0)),
            abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryNotGovernor.selector, delta.id)
        );
    }

    function test_setThresholdTakesNoSubject() external {
        _refusesArgument(Decision.SET_THRESHOLD, delta.id, bytes32(uint256(1)));
        _decide(Decision.SET_THRESHOLD, 0, bytes32(uint256(1)));
        vm.assertEq(registry.threshold(), 1, "threshold");
        vm.assertEq(registry.counterOf(0), 1, "counter");
        _executes(_call(gamma, _ballot(gamma, Decision.SUSPEND, delta.id, 0)));
        _assertStatus(delta, IParticipantRegistry.Status.Suspended);
    }

    function test_INV7_recoverySetsTheClaimedControlKey() external {
        ControlKeyClaim memory claim = _claim(delta, _NEW_KEY);
        _refusesArgument(Decision.RECOVER_CONTROL_KEY, delta.id, _digest(claim));
        _executes(_call(claim, _NEW_KEY));
        _refusesArgument(Decision.RECOVER_CONTROL_KEY, alpha.id, _digest(claim));
        _refusesArgument(Decision.RECOVER_CONTROL_KEY, 0, 0);
        _refusesArgument(Decision.RECOVER_CONTROL_KEY, delta.id, _digest(_application(delta)));
        _refusesArgument(Decision.ADMIT, delta.id, _digest(claim));
        _decide(Decision.RECOVER_CONTROL_KEY, delta.id, _digest(claim));
        vm.assertEq(uint256(uint160(registry.controlKeyOf(delta.id))), uint160(vm.addr(_NEW_KEY)), "control key");
        _refused(
            _call(alpha, _ballot(alpha, Decision.RECOVER_CONTROL_KEY, delta.id, _digest(claim))),
            _taken(_NEW_KEY, delta.id)
        );
    }

    function test_recoveryRefusesARetiredSubject() external {
        ControlKeyClaim memory claim = _claim(delta, _NEW_KEY);
        _executes(_call(claim, _NEW_KEY));
        _decide(Decision.RETIRE, delta.id, 0);
        _refusedForStatus(
            _call(alpha, _ballot(alpha, Decision.RECOVER_CONTROL_KEY, delta.id, _digest(claim))),
            delta,
            IParticipantRegistry.Status.Retired
        );
    }

    function test_governorsRevokeASigningKey() external {
        bytes32 key = bytes32(uint256(uint160(vm.addr(delta.signingKey))));
        _refusesArgument(Decision.REVOKE_KEY, delta.id, key | bytes32(uint256(1) << 160));
        _decide(Decision.REVOKE_KEY, delta.id, key);
        _refused(
            _call(alpha, _ballot(alpha, Decision.REVOKE_KEY, delta.id, key)),
            abi.encodeWithSelector(
                IParticipantRegistry.ParticipantRegistryKeyNotActive.selector,
                delta.id,
                vm.addr(delta.signingKey)
            )
        );
        Member memory epsilon = _member("epsilon");
        _refusedForStatus(
            _call(alpha, _ballot(alpha, Decision.REVOKE_KEY, epsilon.id, key)),
            epsilon,
            IParticipantRegistry.Status.None
        );
    }

    function test_decisionsWithoutArgumentTakeNone(bytes32 argument) external {
        vm.assume(argument != 0);
        uint8[5] memory decisions = [
            Decision.SUSPEND,
            Decision.REINSTATE,
            Decision.RETIRE,
            Decision.APPOINT_GOVERNOR,
            Decision.DISMISS_GOVERNOR
        ];
        for (uint256 i = 0; i < decisions.length; ++i) _refusesArgument(decisions[i], delta.id, argument);
    }

    function _rejection(
        Member memory governor,
        uint8 decision,
        bytes32 subject,
        bytes32 argument
    ) private returns (GovernanceVote memory ballot) {
        ballot = _ballot(governor, decision, subject, argument);
        ballot.choice = Choice.REJECT;
    }

    function _refusesStanding(uint8 decision, Member memory subject, IParticipantRegistry.Status status) private {
        _refusedForStatus(_call(alpha, _ballot(alpha, decision, subject.id, 0)), subject, status);
    }

    function _alreadyVoted(Member memory by, GovernanceVote memory vote) private pure returns (bytes memory) {
        bytes32 ballot = keccak256(abi.encode(vote.decision, vote.subject, vote.argument, vote.epoch, vote.counter));
        return abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryAlreadyVoted.selector, by.id, ballot);
    }

    function _staleCounter(bytes32 subject, uint64 expected, uint64 found) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(
                IParticipantRegistry.ParticipantRegistryCounter.selector,
                subject,
                expected,
                found
            );
    }

    function _outOfRange(uint256 threshold, uint256 governors) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(
                IParticipantRegistry.ParticipantRegistryThresholdOutOfRange.selector,
                threshold,
                governors
            );
    }
}
