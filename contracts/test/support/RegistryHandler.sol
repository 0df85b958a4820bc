// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ParticipantRegistry} from "../../src/ParticipantRegistry.sol";
import {IParticipantRegistry} from "../../src/interfaces/IParticipantRegistry.sol";
import {Choice, Decision, HistoryKind} from "../../src/types/Enumerations.sol";
import {ControlKeyClaim, GovernanceVote, ParticipantApplication} from "../../src/types/ParticipantRegistryTypes.sol";
import {Cheatcodes} from "./Cheats.sol";
import {Consortium} from "./Consortium.sol";

// Does random things in the name of six enterprises, right and wrong, and keeps a model that knows the registry by its
// events alone. Each action asserts what must hold of it; the invariants compare model and registry.
contract RegistryHandler is Consortium {
    uint256 private constant _MEMBERS = 6;
    bytes32 private constant _EXTENDED = IParticipantRegistry.HistoryExtended.selector;
    bytes32 private constant _EXECUTED = IParticipantRegistry.DecisionExecuted.selector;

    // The model.
    bytes32 public head;
    uint64 public length;
    uint256 public governors;
    uint256 public threshold;
    mapping(bytes32 participant => IParticipantRegistry.Status) public status;
    mapping(bytes32 participant => address) public controlKey;
    mapping(bytes32 participant => bool) public governs;
    mapping(bytes32 participant => mapping(address key => bool)) public active;

    Member[_MEMBERS] private _members;
    bytes[] private _done;
    mapping(bytes32 ballot => mapping(bytes32 participant => bool)) private _hasVoted;
    mapping(bytes32 ballot => uint256) private _votes;
    mapping(address key => uint256) private _claimed;
    uint256 private _keys;

    constructor() {
        vm.warp(NOW);
        string[_MEMBERS] memory names = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"];
        for (uint256 i = 0; i < _MEMBERS; ++i) _members[i] = _member(names[i]);
        alpha = _members[0];
        beta = _members[1];
        gamma = _members[2];
        head = keccak256(abi.encode(block.chainid, vm.computeCreateAddress(address(this), 1)));
        vm.recordLogs();
        registry = new ParticipantRegistry(_foundings(), 2);
        _fold();
    }

    // Nothing: forge may call it like any other action.
    function setUp() public override {}

    function target() external view returns (ParticipantRegistry) {
        return registry;
    }

    function member(uint256 index) external view returns (bytes32 id, address key) {
        return (_members[index].id, vm.addr(_members[index].signingKey));
    }

    // --- Actions ---

    // In steps that leave every deadline ahead.
    function later(uint8 time) external {
        vm.warp(block.timestamp + time);
    }

    function castVote(uint256 by, uint8 decision, uint256 about, bool approve) external {
        Member memory voter = _members[by % _MEMBERS];
        decision = uint8(_bound(decision, Decision.ADMIT, Decision.REVOKE_KEY));
        Member memory subject = _members[about % _MEMBERS];
        bytes32 argument = _argument(decision, subject, about);
        bytes32 id = decision == Decision.SET_THRESHOLD ? bytes32(0) : subject.id;
        GovernanceVote memory ballot = _ballot(voter, decision, id, argument);
        ballot.choice = approve ? Choice.APPROVE : Choice.REJECT;
        _voteAndCheck(voter, ballot);
    }

    // Everybody approves, so that decisions are reached often.
    function decide(uint8 decision, uint256 about) external {
        decision = uint8(_bound(decision, Decision.ADMIT, Decision.REVOKE_KEY));
        Member memory subject = _members[about % _MEMBERS];
        bytes32 argument = _argument(decision, subject, about);
        bytes32 id = decision == Decision.SET_THRESHOLD ? bytes32(0) : subject.id;
        for (uint256 i = 0; i < _MEMBERS; ++i) {
            _voteAndCheck(_members[i], _ballot(_members[i], decision, id, argument));
        }
    }

    function addKey(uint256 by) external {
        Member memory actor = _members[by % _MEMBERS];
        uint256 key = _freshKey();
        _act(_call(actor, _addition(actor, key), key), status[actor.id] == IParticipantRegistry.Status.Active);
        if (active[actor.id][vm.addr(key)]) _members[by % _MEMBERS].signingKey = key;
    }

    function revokeKey(uint256 by) external {
        Member memory actor = _members[by % _MEMBERS];
        bool expected = _mayRevoke(actor) && active[actor.id][vm.addr(actor.signingKey)];
        _act(_call(actor, _revocation(actor, actor.signingKey)), expected);
    }

    function rotateControlKey(uint256 by) external {
        Member memory actor = _members[by % _MEMBERS];
        uint256 key = _freshKey();
        bool expected = status[actor.id] == IParticipantRegistry.Status.Active;
        _act(_call(actor, _rotation(actor, key), key), expected);
        if (expected) _members[by % _MEMBERS].controlKey = key;
    }

    function updateProfile(uint256 by) external {
        Member memory actor = _members[by % _MEMBERS];
        (uint64 version, ) = registry.profileOf(actor.id);
        bool expected = status[actor.id] == IParticipantRegistry.Status.Active &&
            active[actor.id][vm.addr(actor.signingKey)];
        _act(_call(actor, _profile(actor, version + 1)), expected);
    }

    function retire(uint256 by) external {
        Member memory actor = _members[by % _MEMBERS];
        bool expected = status[actor.id] == IParticipantRegistry.Status.Active && !governs[actor.id];
        _act(_call(actor, _retirement(actor)), expected);
    }

    // INV-8: what took effect once never does again.
    function replay(uint256 which) external {
        if (_done.length == 0) return;
        (bool success, bytes memory answer) = address(registry).call(_done[which % _done.length]);
        vm.assertTrue(success && !abi.decode(answer, (bool)), "INV-8 a repeat is a no-op");
        vm.assertEq(registry.historyHead(), head, "INV-8 a repeat changes nothing");
    }

    // INV-1: a key that is not the actor's decides nothing.
    function steal(uint256 by, uint256 from) external {
        Member memory victim = _members[from % _MEMBERS];
        Member memory thief = victim;
        thief.controlKey = _members[by % _MEMBERS].signingKey;
        _act(_call(thief, _revocation(victim, victim.signingKey)), false);
    }

    // --- What must hold of them ---

    // INV-1: an action takes effect exactly when the actor's standing allows it. INV-7: and decides nothing that a vote
    // decides.
    function _act(bytes memory call, bool expected) private {
        vm.recordLogs();
        (bool success, ) = address(registry).call(call);
        vm.assertTrue(success == expected, "INV-1 only who may, acts");
        if (success) _done.push(call);
        (uint256 beforeThreshold, uint256 beforeGovernors) = (threshold, governors);
        _assertNoDecision(_fold());
        vm.assertEq(threshold, beforeThreshold, "INV-7 the threshold takes a vote");
        vm.assertEq(governors, beforeGovernors, "INV-7 governors take a vote");
    }

    function _voteAndCheck(Member memory voter, GovernanceVote memory vote) private {
        bytes32 ballot = keccak256(
            abi.encode(vote.decision, vote.subject, vote.argument, vote.epoch, vote.counter)
        );
        uint256 needed = threshold;
        bool governed = governs[voter.id];
        bool again = _hasVoted[ballot][voter.id];
        bytes memory call = _call(voter, vote);
        vm.recordLogs();
        (bool success, ) = address(registry).call(call);
        bool executed = _fold();
        if (!success) return;
        vm.assertTrue(governed && !again, "INV-7 governors alone, once each");
        _done.push(call);
        _hasVoted[ballot][voter.id] = true;
        if (vote.choice == Choice.APPROVE) ++_votes[ballot];
        vm.assertTrue(executed == (_votes[ballot] == needed), "INV-7 at the threshold, not before");
        if (executed && vote.decision == Decision.RECOVER_CONTROL_KEY) _recovered(vote.subject);
    }

    function _assertNoDecision(bool executed) private pure {
        vm.assertFalse(executed, "INV-7 a decision takes votes");
    }

    function _mayRevoke(Member memory actor) private view returns (bool) {
        IParticipantRegistry.Status standing = status[actor.id];
        return standing == IParticipantRegistry.Status.Active || standing == IParticipantRegistry.Status.Suspended;
    }

    // --- Arguments ---

    function _argument(uint8 decision, Member memory subject, uint256 seed) private returns (bytes32) {
        if (decision == Decision.ADMIT) return _fileApplication(subject);
        if (decision == Decision.RECOVER_CONTROL_KEY) return _fileClaim(subject);
        if (decision == Decision.SET_THRESHOLD) return bytes32(seed % (_MEMBERS + 1));
        if (decision == Decision.REVOKE_KEY) return bytes32(uint256(uint160(vm.addr(subject.signingKey))));
        return 0;
    }

    function _fileApplication(Member memory subject) private returns (bytes32) {
        Member memory applicant = _member(subject.name);
        ParticipantApplication memory application = _application(applicant);
        application.deadline = type(uint64).max;
        (bool success, ) = address(registry).call(_call(applicant, application));
        success; // filed before, or admitted
        return _digest(application);
    }

    function _fileClaim(Member memory subject) private returns (bytes32) {
        uint256 key = _freshKey();
        ControlKeyClaim memory claim = _claim(subject, key);
        claim.deadline = type(uint64).max;
        (bool success, ) = address(registry).call(_call(claim, key));
        if (success) _claimed[vm.addr(key)] = key;
        return _digest(claim);
    }

    function _recovered(bytes32 id) private {
        for (uint256 i = 0; i < _MEMBERS; ++i) {
            if (_members[i].id == id) _members[i].controlKey = _claimed[controlKey[id]];
        }
    }

    function _freshKey() private returns (uint256) {
        return uint256(keccak256(abi.encode("fresh", ++_keys)));
    }

    // --- The model ---

    // Folds the recorded events; whether a decision was executed.
    function _fold() private returns (bool executed) {
        Cheatcodes.Log[] memory entries = vm.getRecordedLogs();
        for (uint256 i = 0; i < entries.length; ++i) {
            if (entries[i].topics[0] == _EXECUTED) executed = true;
            if (entries[i].topics[0] == _EXTENDED) _foldRecord(entries[i]);
        }
    }

    // INV-9: the head is the hash chain over all records, each with its index and time.
    function _foldRecord(Cheatcodes.Log memory entry) private {
        (uint8 kind, bytes32 detail, bytes32 claimed) = abi.decode(entry.data, (uint8, bytes32, bytes32));
        bytes32 participant = entry.topics[2];
        ++length;
        vm.assertEq(uint256(entry.topics[1]), length, "INV-9 in order");
        (uint64 number, uint64 time) = (uint64(block.number), uint64(block.timestamp));
        head = keccak256(abi.encode(head, length, kind, participant, detail, number, time));
        vm.assertEq(claimed, head, "INV-9 the head of the event");
        _apply(kind, participant, detail);
    }

    function _apply(uint8 kind, bytes32 participant, bytes32 detail) private {
        address key = address(uint160(uint256(detail)));
        if (kind == HistoryKind.ADMITTED || kind == HistoryKind.REINSTATED) {
            status[participant] = IParticipantRegistry.Status.Active;
        } else if (kind == HistoryKind.SUSPENDED) {
            status[participant] = IParticipantRegistry.Status.Suspended;
        } else if (kind == HistoryKind.RETIRED) {
            status[participant] = IParticipantRegistry.Status.Retired;
        } else if (kind == HistoryKind.CONTROL_KEY_SET) {
            controlKey[participant] = key;
        } else if (kind == HistoryKind.KEY_ADDED || kind == HistoryKind.KEY_REVOKED) {
            active[participant][key] = kind == HistoryKind.KEY_ADDED;
        } else if (kind == HistoryKind.GOVERNOR_APPOINTED) {
            (governs[participant], governors) = (true, governors + 1);
        } else if (kind == HistoryKind.GOVERNOR_DISMISSED) {
            (governs[participant], governors) = (false, governors - 1);
        } else if (kind == HistoryKind.THRESHOLD_SET) {
            threshold = uint256(detail);
        }
    }
}
