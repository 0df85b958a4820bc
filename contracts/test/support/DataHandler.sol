// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessGrants} from "../../src/AccessGrants.sol";
import {DatasetRegistry} from "../../src/DatasetRegistry.sol";
import {AccessGrant} from "../../src/types/AccessGrantsTypes.sol";
import {DatasetRegistration, Parent} from "../../src/types/DatasetRegistryTypes.sol";
import {Statements} from "./Statements.sol";

// Acts at random on datasets and grants beside a model of them, and asserts at each step that the contract did what
// the model expects: INV-1 (who may act) and INV-8 (repeats) thereby; INV-2 and INV-4 are compared from outside.
contract DataHandler is Statements {
    struct Granted {
        AccessGrant statement;
        uint256 provider;
        uint256 consumer;
        bool granted;
        bool revoked;
        bool dead; // was seen revoked, expired or retired
    }

    uint256 private constant _MEMBERS = 3;
    uint256 private constant _SETS = 2;

    bool[_MEMBERS] public suspended;
    mapping(bytes32 dataset => bytes32[] digests) private _versions;
    mapping(bytes32 dataset => bool) public retired;
    bytes[] private _registrations; // encoded, for the compiler copies no nested array to storage
    Granted[] private _grants;

    constructor() {
        setUp();
    }

    // Once: forge would call it as an action too.
    function setUp() public override {
        if (address(registry) == address(0)) super.setUp();
    }

    // --- Actions -----------------------------------------------------------------------------------------------------

    function register(uint256 who, uint256 set, uint256 version, uint256 parent) external {
        (who, set) = (who % _MEMBERS, set % _SETS);
        Member memory by = member(who);
        bytes32 dataset = datasetOf(who, set);
        uint256 next = _versions[dataset].length + 1;
        version = version % 4 == 0 ? version % (next + 2) : next;
        DatasetRegistration memory statement = _registration(by, bytes32(set), uint64(version));
        bool known = _choosesParent(statement, parent);
        bool expected = !suspended[who] && !retired[dataset] && version == next && known;
        _assertOutcome(address(datasets), _call(by, statement), expected);
        if (!expected) return;
        _versions[dataset].push(_digest(statement));
        _registrations.push(abi.encode(statement));
    }

    function repeatRegistration(uint256 which) external {
        if (_registrations.length == 0) return;
        DatasetRegistration memory statement = _decoded(which);
        _assertExecutes(address(datasets), abi.encodeCall(datasets.register, (statement, address(0), "")), false);
    }

    function retire(uint256 who, uint256 set, uint256 dice) external {
        if (dice % 8 != 0) return;
        (who, set) = (who % _MEMBERS, set % _SETS);
        bytes32 dataset = datasetOf(who, set);
        bytes memory call = _call(member(who), _retirement(member(who), bytes32(set)));
        if (retired[dataset]) {
            _assertExecutes(address(datasets), call, false);
        } else {
            _assertOutcome(address(datasets), call, !suspended[who]);
            retired[dataset] = !suspended[who];
        }
    }

    function grant(uint256 who, uint256 consumer, uint256 set, uint256 from, uint256 length) external {
        (who, consumer, set) = (who % _MEMBERS, consumer % _MEMBERS, set % _SETS);
        AccessGrant memory statement = _grant(member(who), bytes32(set), member(consumer));
        statement.validFrom = uint64(block.timestamp + _bound(from, 0, 200) - 100);
        statement.validUntil = statement.validFrom + uint64(_bound(length, 0, 1000));
        _grants.push(Granted(statement, who, consumer, false, false, false));
        _tryGrant(_grants.length - 1);
    }

    function grantAgain(uint256 which) external {
        if (_grants.length != 0) _tryGrant(which % _grants.length);
    }

    function revoke(uint256 which, uint256 who, uint256 dice) external {
        if (_grants.length == 0 || dice % 4 != 0) return;
        Granted storage granted = _grants[which % _grants.length];
        who = dice % 8 == 0 ? granted.provider : who % _MEMBERS;
        Member memory by = member(who);
        bytes memory call = _call(by, _revocation(by, _digest(granted.statement)));
        if (who != granted.provider) {
            // Of no account for this grant, whatever it answers.
            (bool success, ) = address(grants).call(call);
            vm.assertTrue(success, "anyone may revoke, suspended or not");
        } else {
            _assertExecutes(address(grants), call, !granted.revoked);
            granted.revoked = true;
        }
    }

    function suspend(uint256 who) external {
        who = who % _MEMBERS;
        if (suspended[who]) _reinstate(member(who));
        else _suspend(member(who));
        suspended[who] = !suspended[who];
    }

    function elapse(uint256 duration) external {
        vm.warp(block.timestamp + _bound(duration, 1, 300));
        for (uint256 i = 0; i < _grants.length; ++i) {
            if (_isOver(_grants[i])) _grants[i].dead = true;
        }
    }

    // --- The model ---------------------------------------------------------------------------------------------------

    function targets() external view returns (DatasetRegistry, AccessGrants) {
        return (datasets, grants);
    }

    function versionsOf(bytes32 dataset) external view returns (bytes32[] memory) {
        return _versions[dataset];
    }

    function grantCount() external view returns (uint256) {
        return _grants.length;
    }

    function grantAt(uint256 index) external view returns (AccessGrant memory, bool expected, bool dead) {
        Granted memory granted = _grants[index];
        expected =
            granted.granted &&
            !_isOver(granted) &&
            granted.statement.validFrom <= block.timestamp &&
            !suspended[granted.provider] &&
            !suspended[granted.consumer];
        return (granted.statement, expected, granted.dead || _isOver(granted));
    }

    function datasetOf(uint256 who, uint256 set) public view returns (bytes32) {
        return _datasetOf(member(who), bytes32(set));
    }

    function member(uint256 who) public view returns (Member memory) {
        return [utility, analyst, maker][who];
    }

    function _tryGrant(uint256 index) private {
        Granted storage granted = _grants[index];
        AccessGrant memory statement = granted.statement;
        bytes memory call = _call(member(granted.provider), statement);
        if (granted.granted) {
            _assertExecutes(address(grants), call, false);
            return;
        }
        bool expected = granted.provider != granted.consumer &&
            !suspended[granted.provider] &&
            !suspended[granted.consumer] &&
            block.timestamp <= statement.deadline &&
            statement.validFrom < statement.validUntil &&
            !_isOver(granted);
        _assertOutcome(address(grants), call, expected);
        granted.granted = expected;
    }

    // Takes effect or is refused, as expected.
    function _assertOutcome(address executor, bytes memory call, bool expected) private {
        if (expected) {
            _assertExecutes(executor, call, true);
            _assertExecutes(executor, call, false);
            return;
        }
        (bool success, ) = executor.call(call);
        vm.assertFalse(success, "refused");
    }

    // Names a registered parent, one that does not exist, or none.
    function _choosesParent(DatasetRegistration memory statement, uint256 dice) private view returns (bool known) {
        if (dice % 3 == 0 || _registrations.length == 0) return true;
        DatasetRegistration memory parent = _decoded(dice);
        known = dice % 3 == 1;
        bytes32 dataset = keccak256(abi.encode(parent.participant, parent.datasetSalt));
        statement.parents = new Parent[](1);
        statement.parents[0] = Parent(dataset, parent.version, known ? _digest(parent) : keccak256("unknown"));
    }

    function _decoded(uint256 which) private view returns (DatasetRegistration memory) {
        return abi.decode(_registrations[which % _registrations.length], (DatasetRegistration));
    }

    function _isOver(Granted memory granted) private view returns (bool) {
        return
            granted.revoked ||
            granted.statement.validUntil <= block.timestamp ||
            retired[keccak256(abi.encode(granted.statement.participant, granted.statement.datasetSalt))];
    }
}
