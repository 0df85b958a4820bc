// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SharingAgreements} from "../../src/SharingAgreements.sol";
import {ISharingAgreements} from "../../src/interfaces/ISharingAgreements.sol";
import {AgreementProposal} from "../../src/types/SharingAgreementsTypes.sol";
import {Statements} from "./Statements.sol";

// Acts at random on agreements, and remembers who accepted what. Asserts at each step that whatever takes effect does
// so once (INV-8), and never for a suspended participant (INV-1).
contract AgreementHandler is Statements {
    uint256 private constant _MEMBERS = 3;
    uint256 private constant _MOST = 3;

    bool[_MEMBERS] private _suspended;
    AgreementProposal[] private _latest; // of each agreement, the revision that took effect last
    AgreementProposal[] private _all;
    mapping(bytes32 proposal => mapping(bytes32 participant => bool)) public accepted;

    constructor() {
        setUp();
    }

    // Once: forge would call it as an action too.
    function setUp() public override {
        if (address(registry) == address(0)) super.setUp();
    }

    // --- Actions -----------------------------------------------------------------------------------------------------

    function propose(uint256 who, uint256 other, uint256 quota) external {
        if (_latest.length == _MOST) return;
        (who, other) = (who % _MEMBERS, other % _MEMBERS);
        AgreementProposal memory proposal = _proposal(_member(who), _member(other));
        proposal.quota = quota % 1000;
        if (!_relay(who, _call(_member(who), proposal))) return;
        _latest.push(proposal);
        _remember(proposal);
    }

    function revise(uint256 which, uint256 who, uint256 quota) external {
        if (_latest.length == 0) return;
        (which, who) = (which % _latest.length, who % _MEMBERS);
        AgreementProposal memory next = _revised(_member(who), _latest[which]);
        next.quota = quota % 1000;
        if (quota % 2 == 0) {
            next.parties = _three();
            (next.supplier, next.user) = (utility.id, maker.id);
        }
        if (!_relay(who, _call(_member(who), next))) return;
        _latest[which] = next;
        _remember(next);
    }

    // Of any revision there ever was.
    function accept(uint256 which, uint256 who, bool recent) external {
        if (_all.length == 0) return;
        who = who % _MEMBERS;
        AgreementProposal memory proposal = recent ? _latest[which % _latest.length] : _all[which % _all.length];
        if (!_relay(who, _call(_member(who), _acceptance(_member(who), proposal)))) return;
        accepted[_digest(proposal)][_member(who).id] = true;
    }

    function reject(uint256 which, uint256 who, uint256 dice) external {
        if (_all.length == 0 || dice % 8 != 0) return;
        AgreementProposal memory proposal = _all[which % _all.length];
        _relay(who % _MEMBERS, _call(_member(who % _MEMBERS), _rejection(_member(who % _MEMBERS), proposal)));
    }

    function terminate(uint256 which, uint256 who, uint256 dice) external {
        if (_latest.length == 0 || dice % 8 != 0) return;
        bytes32 id = _latest[which % _latest.length].agreement;
        _relay(who % _MEMBERS, _call(_member(who % _MEMBERS), _termination(_member(who % _MEMBERS), id)));
    }

    function confirm(uint256 which, uint256 who, uint256 total) external {
        if (_latest.length == 0) return;
        AgreementProposal memory terms = _latest[which % _latest.length];
        ISharingAgreements.Agreement memory kept = agreements.agreementOf(terms.agreement);
        who = total % 8 == 0 ? who % _MEMBERS : _placeOf(terms.user);
        uint256 named = total % 2 == 0 ? kept.confirmed + (total % 100) : total % 1200;
        uint64 sequence = kept.confirmations + 1;
        _relay(who, _call(_member(who), _confirmation(_member(who), terms.agreement, sequence, named)));
    }

    function settle(uint256 which, uint256 who, uint256 total) external {
        if (_latest.length == 0) return;
        AgreementProposal memory terms = _latest[which % _latest.length];
        ISharingAgreements.Agreement memory kept = agreements.agreementOf(terms.agreement);
        who = total % 8 == 0 ? who % _MEMBERS : _placeOf(terms.supplier);
        uint256 named = total % 2 == 0 ? kept.settled + (total % 50) : total % 1200;
        uint64 sequence = kept.settlements + 1;
        _relay(who, _call(_member(who), _settlement(_member(who), terms.agreement, sequence, named)));
    }

    function suspend(uint256 who, uint256 dice) external {
        who = who % _MEMBERS;
        if (dice % 4 != 0 && !_suspended[who]) return;
        if (_suspended[who]) _reinstate(_member(who));
        else _suspend(_member(who));
        _suspended[who] = !_suspended[who];
    }

    // --- What was seen -----------------------------------------------------------------------------------------------

    function target() external view returns (SharingAgreements) {
        return agreements;
    }

    function count() external view returns (uint256) {
        return _latest.length;
    }

    function latest(uint256 index) external view returns (AgreementProposal memory terms, bytes32 digest) {
        terms = _latest[index];
        return (terms, _digest(terms));
    }

    function _remember(AgreementProposal memory proposal) private {
        _all.push(proposal);
        accepted[_digest(proposal)][proposal.participant] = true;
    }

    // Relays a call; when it takes effect, once more: the repeat must change nothing.
    function _relay(uint256 who, bytes memory call) private returns (bool effective) {
        (effective, ) = address(agreements).call(call);
        if (!effective) return false;
        vm.assertFalse(_suspended[who], "INV-1 a suspended participant acts");
        bytes32 before = _fingerprint();
        _assertExecutes(address(agreements), call, false);
        vm.assertEq(_fingerprint(), before, "INV-8 a repeat changes nothing");
    }

    function _fingerprint() private view returns (bytes32 hash) {
        for (uint256 i = 0; i < _latest.length; ++i) {
            hash = keccak256(abi.encode(hash, agreements.agreementOf(_latest[i].agreement)));
        }
    }

    function _three() private view returns (bytes32[] memory parties) {
        parties = new bytes32[](_MEMBERS);
        for (uint256 i = 0; i < _MEMBERS; ++i) {
            uint256 place = i;
            for (; place > 0 && parties[place - 1] > _member(i).id; --place) parties[place] = parties[place - 1];
            parties[place] = _member(i).id;
        }
    }

    function _placeOf(bytes32 participant) private view returns (uint256 who) {
        while (_member(who).id != participant) ++who;
    }

    function _member(uint256 who) private view returns (Member memory) {
        return [utility, analyst, maker][who];
    }
}
