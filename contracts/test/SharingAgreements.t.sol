// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISharingAgreements} from "../src/interfaces/ISharingAgreements.sol";
import {
    AgreementAcceptance,
    AgreementProposal,
    AgreementRejection,
    AgreementTermination
} from "../src/types/SharingAgreementsTypes.sol";
import {Erc1271Wallet} from "./support/Erc1271Wallet.sol";
import {Statements} from "./support/Statements.sol";

// From a proposal to its acceptance, rejection or termination.
contract SharingAgreementsTest is Statements {
    // --- Proposing ---------------------------------------------------------------------------------------------------

    function test_propose_isTheProposersAcceptance() external {
        AgreementProposal memory proposal = _proposed();
        ISharingAgreements.Agreement memory kept = agreements.agreementOf(proposal.agreement);
        vm.assertEq(kept.proposal, _digest(proposal), "proposal");
        vm.assertEq(kept.revision, 1, "revision");
        vm.assertEq(kept.validUntil, proposal.validUntil, "valid until");
        vm.assertEq(kept.parties, 2, "parties");
        vm.assertEq(kept.acceptances, 1, "acceptances");
        vm.assertEq(kept.quota, proposal.quota, "quota");
        _assertState(proposal.agreement, ISharingAgreements.State.Proposed);
        ISharingAgreements.Party memory party = agreements.partyOf(_digest(proposal), utility.id);
        vm.assertTrue(party.named && party.accepted && party.supplier && !party.user, "supplier");
        party = agreements.partyOf(_digest(proposal), maker.id);
        vm.assertTrue(party.named && !party.accepted && !party.supplier && party.user, "user");
        vm.assertTrue(agreements.isExecuted(_digest(proposal)), "executed");
    }

    function test_propose_emits() external {
        AgreementProposal memory proposal = _proposal(utility, maker);
        bytes memory call = _call(utility, proposal);
        bytes32 digest = _digest(proposal);
        vm.expectEmit(true, true, true, true, address(agreements));
        emit ISharingAgreements.AgreementProposed(digest, proposal.agreement, utility.id, utility.signer, proposal);
        _assertExecutes(address(agreements), call, true);
    }

    function test_propose_byContract() external {
        Erc1271Wallet wallet = _wallet(utility);
        AgreementProposal memory proposal = _proposal(utility, maker);
        bytes memory call = abi.encodeCall(agreements.propose, (proposal, address(wallet), "s"));
        _assertRefused(address(agreements), call, _forged(_digest(proposal), address(wallet)));
        wallet.approve(_digest(proposal), "s");
        _assertExecutes(address(agreements), call, true);
    }

    // INV-1
    function test_INV1_propose_needsAnActiveKey() external {
        AgreementProposal memory proposal = _proposal(utility, maker);
        bytes memory outsiders = _call(outsider, _proposal(outsider, maker));
        _assertOnlyActive(address(agreements), outsiders, _call(analyst, proposal), _call(utility, proposal));
    }

    function test_propose_refusesAfterTheDeadline() external {
        AgreementProposal memory proposal = _proposal(utility, maker);
        vm.warp(DEADLINE + 1);
        _assertRefused(address(agreements), _call(utility, proposal), _expired(_digest(proposal)));
    }

    function test_propose_refusesAnotherId() external {
        AgreementProposal memory proposal = _proposal(utility, maker);
        bytes32 right = proposal.agreement;
        proposal.agreement = keccak256("another");
        bytes4 refusal = ISharingAgreements.SharingAgreementsWrongId.selector;
        _assertProposalRefused(utility, proposal, abi.encodeWithSelector(refusal, proposal.agreement, right));
    }

    function test_propose_refusesUnknownResources() external {
        AgreementProposal memory proposal = _proposal(utility, maker);
        bytes4 refusal = ISharingAgreements.SharingAgreementsUnknownResource.selector;
        proposal.resource = 0;
        _assertProposalRefused(utility, proposal, abi.encodeWithSelector(refusal, 0));
        proposal.resource = 7;
        _assertProposalRefused(utility, proposal, abi.encodeWithSelector(refusal, 7));
        proposal.resource = 6;
        _assertExecutes(address(agreements), _call(utility, proposal), true);
    }

    function test_propose_refusesMoreThan18Decimals() external {
        AgreementProposal memory proposal = _proposal(utility, maker);
        proposal.decimals = 19;
        bytes4 refusal = ISharingAgreements.SharingAgreementsTooManyDecimals.selector;
        _assertProposalRefused(utility, proposal, abi.encodeWithSelector(refusal, 19));
        proposal.decimals = 18;
        _assertExecutes(address(agreements), _call(utility, proposal), true);
    }

    function test_propose_refusesAPeriodThatIsEmptyOrOver() external {
        AgreementProposal memory proposal = _proposal(utility, maker);
        bytes4 refusal = ISharingAgreements.SharingAgreementsPeriodClosed.selector;
        (proposal.validFrom, proposal.validUntil) = (NOW + 5, NOW + 5);
        _assertProposalRefused(utility, proposal, abi.encodeWithSelector(refusal, NOW + 5, NOW + 5, NOW));
        (proposal.validFrom, proposal.validUntil) = (NOW - 5, NOW);
        _assertProposalRefused(utility, proposal, abi.encodeWithSelector(refusal, NOW - 5, NOW, NOW));
    }

    // --- Parties -----------------------------------------------------------------------------------------------------

    function test_propose_takes2To16Parties() external {
        bytes4 refusal = ISharingAgreements.SharingAgreementsPartyCount.selector;
        AgreementProposal memory proposal = _proposal(utility, maker);
        proposal.parties = new bytes32[](1);
        _assertProposalRefused(utility, proposal, abi.encodeWithSelector(refusal, 1));
        proposal.parties = new bytes32[](17);
        _assertProposalRefused(utility, proposal, abi.encodeWithSelector(refusal, 17));
        (proposal, ) = _among16();
        _assertExecutes(address(agreements), _call(utility, proposal), true);
    }

    function test_propose_partiesAscend() external {
        bytes4 refusal = ISharingAgreements.SharingAgreementsPartiesUnordered.selector;
        AgreementProposal memory proposal = _proposal(utility, maker);
        (proposal.parties[0], proposal.parties[1]) = (proposal.parties[1], proposal.parties[0]);
        _assertProposalRefused(utility, proposal, abi.encodeWithSelector(refusal, 1));
        proposal.parties[1] = proposal.parties[0];
        _assertProposalRefused(utility, proposal, abi.encodeWithSelector(refusal, 1));
    }

    function test_propose_partiesAreActive() external {
        bytes4 refusal = ISharingAgreements.SharingAgreementsPartyNotActive.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, outsider.id, 0);
        _assertProposalRefused(utility, _proposal(utility, outsider), facts);
        _suspend(maker);
        _assertProposalRefused(utility, _proposal(utility, maker), abi.encodeWithSelector(refusal, maker.id, 2));
    }

    function test_propose_theProposerIsAParty() external {
        AgreementProposal memory proposal = _proposal(utility, maker);
        proposal.participant = analyst.id;
        proposal.agreement = keccak256(abi.encode(analyst.id, proposal.salt));
        _assertProposalRefused(analyst, proposal, _notParty(proposal.agreement, analyst));
    }

    function test_propose_supplierAndUserAreTwoParties() external {
        bytes4 refusal = ISharingAgreements.SharingAgreementsRolesInvalid.selector;
        AgreementProposal memory proposal = _proposal(utility, maker);
        bytes32[2][3] memory roles = [[utility.id, utility.id], [analyst.id, maker.id], [utility.id, analyst.id]];
        for (uint256 i = 0; i < roles.length; ++i) {
            (proposal.supplier, proposal.user) = (roles[i][0], roles[i][1]);
            bytes memory facts = abi.encodeWithSelector(refusal, proposal.supplier, proposal.user);
            _assertProposalRefused(utility, proposal, facts);
        }
    }

    // --- Revisions ---------------------------------------------------------------------------------------------------

    // INV-5
    function test_INV5_propose_aRevisionForgetsAcceptances() external {
        AgreementProposal memory proposal = _proposed();
        AgreementAcceptance memory acceptance = _acceptance(maker, proposal);
        AgreementProposal memory next = _revised(maker, proposal);
        _assertExecutes(address(agreements), _call(maker, next), true);
        _assertState(proposal.agreement, ISharingAgreements.State.Proposed);
        vm.assertEq(agreements.agreementOf(proposal.agreement).acceptances, 1, "the proposer's alone");
        _assertRefused(address(agreements), _call(maker, acceptance), _wrongProposal(proposal, next));
        _assertExecutes(address(agreements), _call(utility, _acceptance(utility, next)), true);
        _assertState(proposal.agreement, ISharingAgreements.State.Active);
    }

    function test_propose_revisionsAreConsecutive() external {
        AgreementProposal memory proposal = _proposal(utility, maker);
        bytes4 refusal = ISharingAgreements.SharingAgreementsWrongRevision.selector;
        uint64[3] memory wrong = [0, 2, type(uint64).max];
        for (uint256 i = 0; i < wrong.length; ++i) {
            proposal.revision = wrong[i];
            bytes memory facts = abi.encodeWithSelector(refusal, proposal.agreement, wrong[i], 1);
            _assertProposalRefused(utility, proposal, facts);
        }
        proposal.revision = 1;
        _assertExecutes(address(agreements), _call(utility, proposal), true);
        AgreementProposal memory again = _revised(utility, proposal);
        again.revision = 1;
        _assertProposalRefused(utility, again, abi.encodeWithSelector(refusal, proposal.agreement, 1, 2));
    }

    function test_propose_onlyAPartyRevises() external {
        AgreementProposal memory proposal = _proposed();
        AgreementProposal memory next = _revised(analyst, proposal);
        next.parties = _ascending(analyst.id, maker.id);
        (next.supplier, next.user) = (analyst.id, maker.id);
        _assertProposalRefused(analyst, next, _notParty(proposal.agreement, analyst));
    }

    function test_propose_aRevisionMayNameOtherParties() external {
        AgreementProposal memory proposal = _proposed();
        AgreementProposal memory next = _revised(utility, proposal);
        next.parties = _ascending(utility.id, analyst.id);
        next.user = analyst.id;
        _assertExecutes(address(agreements), _call(utility, next), true);
        AgreementAcceptance memory acceptance = _acceptance(maker, next);
        _assertRefused(address(agreements), _call(maker, acceptance), _notParty(proposal.agreement, maker));
        _assertExecutes(address(agreements), _call(analyst, _acceptance(analyst, next)), true);
    }

    function test_propose_neverOverAnActiveOrTerminatedAgreement() external {
        AgreementProposal memory proposal = _active();
        AgreementProposal memory next = _revised(maker, proposal);
        bytes32 id = proposal.agreement;
        _assertProposalRefused(maker, next, _wrongState(id, ISharingAgreements.State.Active));
        _assertExecutes(address(agreements), _call(maker, _termination(maker, id)), true);
        _assertProposalRefused(maker, next, _wrongState(id, ISharingAgreements.State.Terminated));
    }

    // --- Accepting and rejecting -------------------------------------------------------------------------------------

    // INV-5
    function test_INV5_accept_theLastOfAllPartiesActivates() external {
        (AgreementProposal memory proposal, Member[] memory members) = _among16();
        _assertExecutes(address(agreements), _call(utility, proposal), true);
        for (uint256 i = 0; i < members.length; ++i) {
            _assertState(proposal.agreement, ISharingAgreements.State.Proposed);
            _assertExecutes(address(agreements), _call(members[i], _acceptance(members[i], proposal)), true);
        }
        _assertState(proposal.agreement, ISharingAgreements.State.Active);
    }

    function test_accept_emits() external {
        AgreementProposal memory proposal = _proposed();
        AgreementAcceptance memory acceptance = _acceptance(maker, proposal);
        bytes memory call = _call(maker, acceptance);
        bytes32 digest = _digest(proposal);
        vm.expectEmit(true, true, true, true, address(agreements));
        emit ISharingAgreements.AgreementAccepted(
            _digest(acceptance),
            proposal.agreement,
            maker.id,
            maker.signer,
            digest
        );
        vm.expectEmit(true, true, true, true, address(agreements));
        emit ISharingAgreements.AgreementActivated(digest, proposal.agreement, 1);
        _assertExecutes(address(agreements), call, true);
    }

    // INV-5
    function test_INV5_accept_countsAPartyOnce() external {
        (AgreementProposal memory proposal, ) = _among16();
        _assertExecutes(address(agreements), _call(utility, proposal), true);
        bytes4 refusal = ISharingAgreements.SharingAgreementsAcceptedBefore.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, proposal.agreement, utility.id);
        _assertRefused(address(agreements), _call(utility, _acceptance(utility, proposal)), facts);
    }

    function test_accept_onlyParties() external {
        AgreementProposal memory proposal = _proposed();
        bytes memory facts = _notParty(proposal.agreement, analyst);
        _assertRefused(address(agreements), _call(analyst, _acceptance(analyst, proposal)), facts);
        _assertRefused(address(agreements), _call(analyst, _rejection(analyst, proposal)), facts);
    }

    function test_accept_notAfterTheEnd() external {
        AgreementProposal memory proposal = _proposal(utility, maker);
        proposal.validUntil = NOW + 100;
        _assertExecutes(address(agreements), _call(utility, proposal), true);
        bytes memory call = _call(maker, _acceptance(maker, proposal));
        vm.warp(NOW + 100);
        bytes4 refusal = ISharingAgreements.SharingAgreementsExpired.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, proposal.agreement, NOW + 100, NOW + 100);
        _assertRefused(address(agreements), call, facts);
        vm.warp(NOW + 99);
        _assertExecutes(address(agreements), call, true);
    }

    function test_accept_onlyThePresentRevisionOfThatAgreement() external {
        AgreementProposal memory proposal = _proposed();
        AgreementProposal memory other = _proposed();
        AgreementAcceptance memory acceptance = _acceptance(maker, proposal);
        acceptance.agreement = other.agreement;
        bytes4 refusal = ISharingAgreements.SharingAgreementsWrongProposal.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, other.agreement, _digest(proposal), _digest(other));
        _assertRefused(address(agreements), _call(maker, acceptance), facts);
    }

    function test_accept_refusesTheVoid() external {
        AgreementAcceptance memory acceptance = AgreementAcceptance(maker.id, 0, 0, DEADLINE, _salt());
        bytes memory facts = _wrongState(0, ISharingAgreements.State.None);
        _assertRefused(address(agreements), _call(maker, acceptance), facts);
    }

    function test_reject_endsTheProposal() external {
        AgreementProposal memory proposal = _proposed();
        AgreementRejection memory rejection = _rejection(maker, proposal);
        bytes memory call = _call(maker, rejection);
        bytes32 digest = _digest(proposal);
        vm.expectEmit(true, true, true, true, address(agreements));
        emit ISharingAgreements.AgreementRejected(
            _digest(rejection),
            proposal.agreement,
            maker.id,
            maker.signer,
            digest
        );
        _assertExecutes(address(agreements), call, true);
        bytes memory facts = _wrongState(proposal.agreement, ISharingAgreements.State.Rejected);
        _assertState(proposal.agreement, ISharingAgreements.State.Rejected);
        _assertRefused(address(agreements), _call(maker, _acceptance(maker, proposal)), facts);
        AgreementProposal memory next = _revised(maker, proposal);
        _assertExecutes(address(agreements), _call(maker, next), true);
        _assertState(proposal.agreement, ISharingAgreements.State.Proposed);
    }

    function test_reject_notAnActiveAgreement() external {
        AgreementProposal memory proposal = _active();
        bytes memory facts = _wrongState(proposal.agreement, ISharingAgreements.State.Active);
        _assertRefused(address(agreements), _call(maker, _rejection(maker, proposal)), facts);
    }

    // --- Terminating -------------------------------------------------------------------------------------------------

    function test_terminate_ends() external {
        AgreementProposal memory proposal = _active();
        AgreementTermination memory termination = _termination(maker, proposal.agreement);
        bytes memory call = _call(maker, termination);
        vm.expectEmit(true, true, true, true, address(agreements));
        emit ISharingAgreements.AgreementTerminated(
            _digest(termination),
            proposal.agreement,
            maker.id,
            maker.signer
        );
        _assertExecutes(address(agreements), call, true);
        _assertState(proposal.agreement, ISharingAgreements.State.Terminated);
        bytes memory facts = _wrongState(proposal.agreement, ISharingAgreements.State.Terminated);
        _assertRefused(address(agreements), _call(utility, _termination(utility, proposal.agreement)), facts);
    }

    function test_terminate_onlyAnActiveAgreementAndByAParty() external {
        AgreementProposal memory proposal = _proposed();
        bytes32 id = proposal.agreement;
        bytes memory facts = _wrongState(id, ISharingAgreements.State.Proposed);
        _assertRefused(address(agreements), _call(maker, _termination(maker, id)), facts);
        _assertExecutes(address(agreements), _call(maker, _acceptance(maker, proposal)), true);
        _assertRefused(address(agreements), _call(analyst, _termination(analyst, id)), _notParty(id, analyst));
    }

    // INV-8
    function test_INV8_repeatsAreNoOps() external {
        AgreementProposal memory proposal = _proposed();
        AgreementRejection memory rejection = _rejection(utility, proposal);
        _assertExecutes(address(agreements), _call(utility, rejection), true);
        AgreementProposal memory next = _revised(utility, proposal);
        _assertExecutes(address(agreements), _call(utility, next), true);
        AgreementAcceptance memory acceptance = _acceptance(maker, next);
        _assertExecutes(address(agreements), _call(maker, acceptance), true);
        AgreementTermination memory termination = _termination(maker, proposal.agreement);
        _assertExecutes(address(agreements), _call(maker, termination), true);
        vm.warp(DEADLINE + 1);
        vm.recordLogs();
        _assertExecutes(address(agreements), _call(utility, proposal), false);
        _assertExecutes(address(agreements), _call(utility, rejection), false);
        _assertExecutes(address(agreements), _call(utility, next), false);
        _assertExecutes(address(agreements), _call(maker, acceptance), false);
        _assertExecutes(address(agreements), _call(maker, termination), false);
        vm.assertEq(vm.getRecordedLogs().length, 0, "no event");
        _assertState(proposal.agreement, ISharingAgreements.State.Terminated);
    }

    // INV-1
    function test_INV1_everyStatementNeedsAnActiveKey() external {
        AgreementProposal memory proposal = _proposal(maker, utility);
        _assertExecutes(address(agreements), _call(maker, proposal), true);
        bytes[3] memory outsiders = [
            _call(outsider, _acceptance(outsider, proposal)),
            _call(outsider, _rejection(outsider, proposal)),
            _call(outsider, _termination(outsider, proposal.agreement))
        ];
        AgreementAcceptance memory acceptance = _acceptance(utility, proposal);
        for (uint256 i = 0; i < outsiders.length; ++i) {
            _assertRefused(address(agreements), outsiders[i], _never(outsider));
        }
        _assertOnlyActive(
            address(agreements),
            outsiders[0],
            _call(analyst, acceptance),
            _call(utility, acceptance)
        );
    }

    function _proposed() private returns (AgreementProposal memory proposal) {
        proposal = _proposal(utility, maker);
        _assertExecutes(address(agreements), _call(utility, proposal), true);
    }

    function _active() private returns (AgreementProposal memory proposal) {
        proposal = _proposed();
        _assertExecutes(address(agreements), _call(maker, _acceptance(maker, proposal)), true);
    }

    // The utility's proposal to 15 others, who are in `members`.
    function _among16() private returns (AgreementProposal memory proposal, Member[] memory members) {
        members = new Member[](15);
        members[0] = maker;
        for (uint256 i = 1; i < 15; ++i) members[i] = _admitted(string(abi.encodePacked("party ", bytes1(uint8(i)))));
        proposal = _proposal(utility, maker);
        proposal.parties = new bytes32[](16);
        proposal.parties[0] = utility.id;
        for (uint256 i = 1; i < 16; ++i) {
            uint256 place = i;
            for (; place > 0 && proposal.parties[place - 1] > members[i - 1].id; --place) {
                proposal.parties[place] = proposal.parties[place - 1];
            }
            proposal.parties[place] = members[i - 1].id;
        }
    }

    function _assertProposalRefused(Member memory by, AgreementProposal memory proposal, bytes memory facts) private {
        _assertRefused(address(agreements), _call(by, proposal), facts);
    }

    function _assertState(bytes32 agreement, ISharingAgreements.State expected) private view {
        vm.assertEq(uint256(agreements.agreementOf(agreement).state), uint256(expected), "state");
    }

    function _wrongProposal(
        AgreementProposal memory named,
        AgreementProposal memory present
    ) private view returns (bytes memory) {
        bytes4 refusal = ISharingAgreements.SharingAgreementsWrongProposal.selector;
        return abi.encodeWithSelector(refusal, named.agreement, _digest(named), _digest(present));
    }

    function _wrongState(bytes32 agreement, ISharingAgreements.State state) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ISharingAgreements.SharingAgreementsWrongState.selector, agreement, state);
    }

    function _notParty(bytes32 agreement, Member memory member) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ISharingAgreements.SharingAgreementsNotParty.selector, agreement, member.id);
    }
}
