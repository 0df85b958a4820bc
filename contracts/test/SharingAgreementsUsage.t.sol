// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISharingAgreements} from "../src/interfaces/ISharingAgreements.sol";
import {AgreementProposal, SettlementRecord, UsageConfirmation} from "../src/types/SharingAgreementsTypes.sol";
import {Statements} from "./support/Statements.sol";

// Usage of an agreement of 1000 units, which the utility supplies to the maker.
contract SharingAgreementsUsageTest is Statements {
    bytes32 private _id;
    AgreementProposal private _terms;

    function setUp() public override {
        super.setUp();
        AgreementProposal memory proposal = _proposal(utility, maker);
        _assertExecutes(address(agreements), _call(utility, proposal), true);
        _terms = proposal;
        _id = proposal.agreement;
    }

    // INV-6
    function testFuzz_INV6_confirmedStaysWithinQuota(uint256[8] calldata totals) external {
        _activate();
        (uint64 sequence, uint256 confirmed) = (1, 0);
        for (uint256 i = 0; i < totals.length; ++i) {
            uint256 total = i % 2 == 0 ? totals[i] % 1200 : totals[i];
            bytes memory call = _call(maker, _confirmation(maker, _id, sequence, total));
            if (total > confirmed && total <= 1000) {
                _assertExecutes(address(agreements), call, true);
                (sequence, confirmed) = (sequence + 1, total);
            } else {
                _assertRefused(address(agreements), call, _outOfRange(total, confirmed, 1000));
            }
        }
        ISharingAgreements.Agreement memory kept = agreements.agreementOf(_id);
        vm.assertEq(kept.confirmed, confirmed, "confirmed");
        vm.assertEq(kept.confirmations, sequence - 1, "confirmations");
    }

    // INV-6
    function testFuzz_INV6_settledStaysWithinConfirmed(uint256 confirmed, uint256 first, uint256 second) external {
        _activate();
        confirmed = _bound(confirmed, 1, 1000);
        (first, second) = (first % 1100, second % 1100);
        _confirm(1, confirmed);
        (uint64 sequence, uint256 settled) = (1, 0);
        uint256[2] memory totals = [first, second];
        for (uint256 i = 0; i < totals.length; ++i) {
            bytes memory call = _call(utility, _settlement(utility, _id, sequence, totals[i]));
            if (totals[i] > settled && totals[i] <= confirmed) {
                _assertExecutes(address(agreements), call, true);
                (sequence, settled) = (sequence + 1, totals[i]);
            } else {
                _assertRefused(address(agreements), call, _outOfRange(totals[i], settled, confirmed));
            }
        }
        vm.assertEq(agreements.agreementOf(_id).settled, settled, "settled");
    }

    // INV-6
    function test_INV6_totalsGrowUpToTheirLimit() external {
        _activate();
        _assertConfirmationRefused(1, 0, _outOfRange(0, 0, 1000));
        _assertConfirmationRefused(1, 1001, _outOfRange(1001, 0, 1000));
        _confirm(1, 600);
        _assertConfirmationRefused(2, 600, _outOfRange(600, 600, 1000));
        _confirm(2, 1000);
        _assertSettlementRefused(1, 1001, _outOfRange(1001, 0, 1000));
        _settle(1, 999);
        _assertSettlementRefused(2, 999, _outOfRange(999, 999, 1000));
        _settle(2, 1000);
    }

    function test_confirmUsage_emits() external {
        _activate();
        UsageConfirmation memory statement = _confirmation(maker, _id, 1, 10);
        bytes memory call = _call(maker, statement);
        vm.expectEmit(true, true, true, true, address(agreements));
        emit ISharingAgreements.UsageConfirmed(
            _digest(statement),
            _id,
            maker.id,
            maker.signer,
            1,
            statement.report,
            10
        );
        _assertExecutes(address(agreements), call, true);
    }

    function test_recordSettlement_emits() external {
        _activate();
        _confirm(1, 10);
        SettlementRecord memory statement = _settlement(utility, _id, 1, 10);
        bytes memory call = _call(utility, statement);
        vm.expectEmit(true, true, true, true, address(agreements));
        emit ISharingAgreements.SettlementRecorded(
            _digest(statement),
            _id,
            utility.id,
            utility.signer,
            1,
            10,
            statement.invoiceHash
        );
        _assertExecutes(address(agreements), call, true);
    }

    function test_confirmUsage_onlyTheUser() external {
        _activate();
        bytes4 refusal = ISharingAgreements.SharingAgreementsNotUser.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, _id, utility.id);
        _assertRefused(address(agreements), _call(utility, _confirmation(utility, _id, 1, 10)), facts);
        _assertRefused(address(agreements), _call(analyst, _confirmation(analyst, _id, 1, 10)), _strange());
    }

    function test_recordSettlement_onlyTheSupplier() external {
        _activate();
        _confirm(1, 10);
        bytes4 refusal = ISharingAgreements.SharingAgreementsNotSupplier.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, _id, maker.id);
        _assertRefused(address(agreements), _call(maker, _settlement(maker, _id, 1, 10)), facts);
        _assertRefused(address(agreements), _call(analyst, _settlement(analyst, _id, 1, 10)), _strange());
    }

    function test_sequencesAreConsecutive() external {
        _activate();
        _assertConfirmationRefused(0, 10, _wrongSequence(0, 1));
        _assertConfirmationRefused(2, 10, _wrongSequence(2, 1));
        _confirm(1, 10);
        _assertConfirmationRefused(1, 11, _wrongSequence(1, 2));
        _assertSettlementRefused(0, 10, _wrongSequence(0, 1));
        _assertSettlementRefused(2, 10, _wrongSequence(2, 1));
        _settle(1, 9);
        _assertSettlementRefused(1, 10, _wrongSequence(1, 2));
    }

    // INV-5
    function test_INV5_noUsageBeforeEveryPartyAccepted() external {
        bytes4 refusal = ISharingAgreements.SharingAgreementsWrongState.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, _id, ISharingAgreements.State.Proposed);
        _assertConfirmationRefused(1, 10, facts);
        _assertSettlementRefused(1, 10, facts);
        AgreementProposal memory terms = _terms;
        _assertExecutes(address(agreements), _call(maker, _rejection(maker, terms)), true);
        facts = abi.encodeWithSelector(refusal, _id, ISharingAgreements.State.Rejected);
        _assertConfirmationRefused(1, 10, facts);
        _assertSettlementRefused(1, 10, facts);
    }

    function test_usageBeforeTheTerminationIsStillConfirmedAndSettled() external {
        _activate();
        _confirm(1, 10);
        _assertExecutes(address(agreements), _call(utility, _termination(utility, _id)), true);
        _confirm(2, 20);
        _settle(1, 20);
    }

    // INV-8
    function test_INV8_repeatsAreNoOps() external {
        _activate();
        UsageConfirmation memory confirmation = _confirmation(maker, _id, 1, 10);
        _assertExecutes(address(agreements), _call(maker, confirmation), true);
        SettlementRecord memory settlement = _settlement(utility, _id, 1, 10);
        _assertExecutes(address(agreements), _call(utility, settlement), true);
        vm.warp(DEADLINE + 1);
        vm.recordLogs();
        _assertExecutes(address(agreements), _call(maker, confirmation), false);
        _assertExecutes(address(agreements), _call(utility, settlement), false);
        vm.assertEq(vm.getRecordedLogs().length, 0, "no event");
    }

    // INV-1
    function test_INV1_usageNeedsAnActiveKey() external {
        _activate();
        bytes memory outsiders = _call(outsider, _confirmation(outsider, _id, 1, 10));
        _assertRefused(address(agreements), outsiders, _never(outsider));
        _confirm(1, 10);
        SettlementRecord memory statement = _settlement(utility, _id, 1, 10);
        outsiders = _call(outsider, _settlement(outsider, _id, 1, 10));
        _assertOnlyActive(address(agreements), outsiders, _call(analyst, statement), _call(utility, statement));
    }

    function _activate() private {
        AgreementProposal memory terms = _terms;
        _assertExecutes(address(agreements), _call(maker, _acceptance(maker, terms)), true);
    }

    function _confirm(uint64 sequence, uint256 total) private {
        _assertExecutes(address(agreements), _call(maker, _confirmation(maker, _id, sequence, total)), true);
    }

    function _settle(uint64 sequence, uint256 total) private {
        _assertExecutes(address(agreements), _call(utility, _settlement(utility, _id, sequence, total)), true);
    }

    function _assertConfirmationRefused(uint64 sequence, uint256 total, bytes memory facts) private {
        _assertRefused(address(agreements), _call(maker, _confirmation(maker, _id, sequence, total)), facts);
    }

    function _assertSettlementRefused(uint64 sequence, uint256 total, bytes memory facts) private {
        _assertRefused(address(agreements), _call(utility, _settlement(utility, _id, sequence, total)), facts);
    }

    function _outOfRange(uint256 total, uint256 above, uint256 most) private view returns (bytes memory) {
        bytes4 refusal = ISharingAgreements.SharingAgreementsTotalOutOfRange.selector;
        return abi.encodeWithSelector(refusal, _id, total, above, most);
    }

    function _wrongSequence(uint64 sequence, uint64 expected) private view returns (bytes memory) {
        bytes4 refusal = ISharingAgreements.SharingAgreementsWrongSequence.selector;
        return abi.encodeWithSelector(refusal, _id, sequence, expected);
    }

    function _strange() private view returns (bytes memory) {
        return abi.encodeWithSelector(ISharingAgreements.SharingAgreementsNotParty.selector, _id, analyst.id);
    }
}
