// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessGrants} from "../src/interfaces/IAccessGrants.sol";
import {IParticipantRegistry} from "../src/interfaces/IParticipantRegistry.sol";
import {AccessGrant, AccessRevocation} from "../src/types/AccessGrantsTypes.sol";
import {Erc1271Wallet} from "./support/Erc1271Wallet.sol";
import {Statements} from "./support/Statements.sol";

contract AccessGrantsTest is Statements {
    bytes32 private constant _SET = keccak256("set");

    // --- Granting ----------------------------------------------------------------------------------------------------

    function test_grant_permits() external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        vm.assertFalse(grants.isPermitted(statement, 1, 1), "not before it is granted");
        _assertExecutes(address(grants), _call(utility, statement), true);
        vm.assertTrue(grants.isPermitted(statement, 1, 1), "granted");
        _assertKept(statement, NOW, 0);
    }

    function test_grant_emits() external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        statement.lastVersion = 7;
        bytes memory call = _call(utility, statement);
        vm.expectEmit(true, true, true, true, address(grants));
        emit IAccessGrants.AccessGranted(
            _digest(statement),
            utility.id,
            analyst.id,
            utility.signer,
            _datasetOf(utility, _SET),
            1,
            7,
            statement.purpose,
            statement.rights,
            statement.validFrom,
            statement.validUntil,
            statement.policyHash
        );
        _assertExecutes(address(grants), call, true);
    }

    function test_grant_byContract() external {
        Erc1271Wallet wallet = _wallet(utility);
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        bytes memory call = abi.encodeCall(grants.grant, (statement, address(wallet), ""));
        _assertRefused(address(grants), call, _forged(_digest(statement), address(wallet)));
        wallet.approve(_digest(statement), "");
        _assertExecutes(address(grants), call, true);
    }

    // INV-1
    function test_INV1_grant_needsAnActiveKey() external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        _assertOnlyActive(
            address(grants),
            _call(outsider, _grant(outsider, _SET, analyst)),
            _call(analyst, statement),
            _call(utility, statement)
        );
    }

    // INV-1: a grant of another's dataset is a grant of one's own, other one.
    function test_INV1_grant_reachesOnlyTheSignersOwnDataset() external {
        AccessGrant memory statement = _grant(maker, _SET, analyst);
        _assertExecutes(address(grants), _call(maker, statement), true);
        _assertExecutes(address(datasets), _call(utility, _retirement(utility, _SET)), true);
        vm.assertTrue(grants.isPermitted(statement, 1, 1), "the maker's");
        statement.participant = utility.id;
        vm.assertFalse(grants.isPermitted(statement, 1, 1), "the utility's");
    }

    function test_grant_refusesAfterTheDeadline() external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        vm.warp(DEADLINE + 1);
        _assertRefused(address(grants), _call(utility, statement), _expired(_digest(statement)));
    }

    function test_grant_refusesTheProvider() external {
        AccessGrant memory statement = _grant(utility, _SET, utility);
        bytes memory facts = abi.encodeWithSelector(IAccessGrants.AccessGrantsToProvider.selector, utility.id);
        _assertRefused(address(grants), _call(utility, statement), facts);
    }

    function test_grant_refusesAConsumerThatIsNotActive() external {
        bytes4 refusal = IAccessGrants.AccessGrantsConsumerNotActive.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, outsider.id, 0);
        _assertRefused(address(grants), _call(utility, _grant(utility, _SET, outsider)), facts);
        _suspend(analyst);
        facts = abi.encodeWithSelector(refusal, analyst.id, 2);
        _assertRefused(address(grants), _call(utility, _grant(utility, _SET, analyst)), facts);
        _reinstate(analyst);
        _retire(analyst);
        facts = abi.encodeWithSelector(refusal, analyst.id, 3);
        _assertRefused(address(grants), _call(utility, _grant(utility, _SET, analyst)), facts);
    }

    function testFuzz_grant_refusesAClosedWindow(uint64 from, uint64 until) external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        (statement.validFrom, statement.validUntil) = (from, until);
        bytes memory call = _call(utility, statement);
        if (from < until && until > NOW) {
            _assertExecutes(address(grants), call, true);
            vm.assertTrue(grants.isPermitted(statement, 1, 1) == (from <= NOW), "within");
            return;
        }
        bytes4 refusal = IAccessGrants.AccessGrantsWindowClosed.selector;
        _assertRefused(address(grants), call, abi.encodeWithSelector(refusal, from, until, NOW));
    }

    function test_grant_refusesAWindowThatIsEmptyOrOver() external {
        bytes4 refusal = IAccessGrants.AccessGrantsWindowClosed.selector;
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        (statement.validFrom, statement.validUntil) = (NOW + 1, NOW + 1);
        bytes memory facts = abi.encodeWithSelector(refusal, NOW + 1, NOW + 1, NOW);
        _assertRefused(address(grants), _call(utility, statement), facts);
        (statement.validFrom, statement.validUntil) = (NOW - 1, NOW);
        facts = abi.encodeWithSelector(refusal, NOW - 1, NOW, NOW);
        _assertRefused(address(grants), _call(utility, statement), facts);
    }

    function testFuzz_grant_coversItsVersions(uint64 first, uint64 last, uint64 version) external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        (statement.firstVersion, statement.lastVersion) = (first, last);
        bytes memory call = _call(utility, statement);
        if (first == 0 || (last != 0 && last < first)) {
            bytes4 refusal = IAccessGrants.AccessGrantsVersionsInvalid.selector;
            _assertRefused(address(grants), call, abi.encodeWithSelector(refusal, first, last));
            return;
        }
        _assertExecutes(address(grants), call, true);
        bool covered = version >= first && (last == 0 || version <= last);
        vm.assertTrue(grants.isPermitted(statement, version, 1) == covered, "covered");
    }

    function test_grant_coversItsVersions() external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        (statement.firstVersion, statement.lastVersion) = (2, 3);
        _assertExecutes(address(grants), _call(utility, statement), true);
        bool[5] memory expected = [false, false, true, true, false];
        for (uint64 version = 0; version < 5; ++version) {
            vm.assertTrue(grants.isPermitted(statement, version, 1) == expected[version], "covered");
        }
        bytes4 refusal = IAccessGrants.AccessGrantsVersionsInvalid.selector;
        (statement.firstVersion, statement.lastVersion) = (0, 3);
        _assertRefused(address(grants), _call(utility, statement), abi.encodeWithSelector(refusal, 0, 3));
        (statement.firstVersion, statement.lastVersion) = (4, 3);
        _assertRefused(address(grants), _call(utility, statement), abi.encodeWithSelector(refusal, 4, 3));
    }

    function testFuzz_grant_coversItsRights(uint256 rights, uint256 right) external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        statement.rights = rights == 0 ? 1 : rights;
        _assertExecutes(address(grants), _call(utility, statement), true);
        bool covered = right != 0 && (statement.rights | right) == statement.rights;
        vm.assertTrue(grants.isPermitted(statement, 1, right) == covered, "covered");
        vm.assertTrue(grants.isPermitted(statement, 1, statement.rights), "all of them");
        vm.assertFalse(grants.isPermitted(statement, 1, 0), "none");
    }

    function test_grant_refusesNoRights() external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        statement.rights = 0;
        bytes memory facts = abi.encodeWithSelector(IAccessGrants.AccessGrantsNoRights.selector, _digest(statement));
        _assertRefused(address(grants), _call(utility, statement), facts);
    }

    function test_grant_refusesARetiredDataset() external {
        _assertExecutes(address(datasets), _call(utility, _retirement(utility, _SET)), true);
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        bytes4 refusal = IAccessGrants.AccessGrantsRetired.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, _datasetOf(utility, _SET), NOW);
        _assertRefused(address(grants), _call(utility, statement), facts);
    }

    // INV-8
    function test_INV8_grant_repeatIsANoOp() external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        _assertExecutes(address(grants), _call(utility, statement), true);
        vm.warp(DEADLINE + 1);
        vm.recordLogs();
        _assertExecutes(address(grants), _call(utility, statement), false);
        _assertExecutes(address(grants), abi.encodeCall(grants.grant, (statement, address(0), "")), false);
        vm.assertEq(vm.getRecordedLogs().length, 0, "no event");
        _assertKept(statement, NOW, 0);
    }

    // --- Revoking ----------------------------------------------------------------------------------------------------

    // INV-4
    function test_INV4_revoke_isForEver() external {
        AccessGrant memory statement = _granted();
        vm.warp(NOW + 10);
        AccessRevocation memory revocation = _revocation(utility, _digest(statement));
        bytes memory call = _call(utility, revocation);
        vm.expectEmit(true, true, true, true, address(grants));
        emit IAccessGrants.AccessRevoked(_digest(revocation), utility.id, utility.signer, _digest(statement));
        _assertExecutes(address(grants), call, true);
        vm.assertFalse(grants.isPermitted(statement, 1, 1), "revoked");
        _assertExecutes(address(grants), _call(utility, statement), false);
        vm.assertFalse(grants.isPermitted(statement, 1, 1), "granted again");
        _assertKept(statement, NOW, NOW + 10);
    }

    // INV-4
    function test_INV4_revoke_reachesAGrantNotSeenYet() external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        _assertExecutes(address(grants), _call(utility, _revocation(utility, _digest(statement))), true);
        bytes4 refusal = IAccessGrants.AccessGrantsRevoked.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, _digest(statement), NOW);
        _assertRefused(address(grants), _call(utility, statement), facts);
        vm.assertFalse(grants.isPermitted(statement, 1, 1), "never");
    }

    function test_revoke_reachesOnlyTheSignersOwn() external {
        AccessGrant memory statement = _granted();
        _assertExecutes(address(grants), _call(analyst, _revocation(analyst, _digest(statement))), true);
        vm.assertTrue(grants.isPermitted(statement, 1, 1), "still permitted");
    }

    function test_revoke_leavesOtherGrants() external {
        AccessGrant memory first = _granted();
        AccessGrant memory second = _granted();
        _assertExecutes(address(grants), _call(utility, _revocation(utility, _digest(first))), true);
        vm.assertFalse(grants.isPermitted(first, 1, 1), "the first");
        vm.assertTrue(grants.isPermitted(second, 1, 1), "the second");
    }

    // INV-1
    function test_INV1_revoke_whileSuspendedAndNotBeyond() external {
        bytes memory first = _call(utility, _revocation(utility, keccak256("first")));
        bytes memory second = _call(utility, _revocation(utility, keccak256("second")));
        bytes memory refusal = _inactive(outsider.id, outsider.signer, IParticipantRegistry.Status.None, false);
        _assertRefused(address(grants), _call(outsider, _revocation(outsider, 0)), refusal);
        refusal = _inactive(utility.id, analyst.signer, IParticipantRegistry.Status.Active, false);
        _assertRefused(address(grants), _call(analyst, _revocation(utility, 0)), refusal);
        _suspend(utility);
        _assertExecutes(address(grants), first, true);
        _retire(utility);
        (, bool keyActive) = registry.signerStatus(utility.id, utility.signer);
        refusal = _inactive(utility.id, utility.signer, IParticipantRegistry.Status.Retired, keyActive);
        _assertRefused(address(grants), second, refusal);
    }

    function test_revoke_refusesAKeyThatIsRevoked() external {
        bytes memory call = _call(utility, _revocation(utility, keccak256("grant")));
        _assertRefusedOnceGone(address(grants), call);
    }

    function test_revoke_refusesAfterTheDeadline() external {
        AccessRevocation memory statement = _revocation(utility, keccak256("grant"));
        vm.warp(DEADLINE + 1);
        _assertRefused(address(grants), _call(utility, statement), _expired(_digest(statement)));
    }

    // INV-8
    function test_INV8_revoke_repeatIsANoOp() external {
        AccessGrant memory statement = _granted();
        AccessRevocation memory revocation = _revocation(utility, _digest(statement));
        _assertExecutes(address(grants), _call(utility, revocation), true);
        vm.warp(NOW + 10);
        vm.recordLogs();
        _assertExecutes(address(grants), _call(utility, revocation), false);
        _assertExecutes(address(grants), _call(utility, _revocation(utility, _digest(statement))), false);
        vm.assertEq(vm.getRecordedLogs().length, 0, "no event");
        _assertKept(statement, NOW, NOW);
    }

    // --- Asking ------------------------------------------------------------------------------------------------------

    // INV-4
    function testFuzz_INV4_isPermitted_withinTheWindow(uint32 from, uint32 length, uint64 time) external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        statement.validFrom = NOW - 1000 + uint64(from);
        statement.validUntil = statement.validFrom + 1001 + uint64(length);
        _assertExecutes(address(grants), _call(utility, statement), true);
        time = uint64(_bound(time, NOW, uint256(statement.validUntil) * 2));
        vm.warp(time);
        bool within = statement.validFrom <= time && time < statement.validUntil;
        vm.assertTrue(grants.isPermitted(statement, 1, 1) == within, "within");
    }

    function test_isPermitted_atTheEdges() external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        (statement.validFrom, statement.validUntil) = (NOW + 10, NOW + 20);
        _assertExecutes(address(grants), _call(utility, statement), true);
        uint64[4] memory times = [NOW + 9, NOW + 10, NOW + 19, NOW + 20];
        for (uint256 i = 0; i < times.length; ++i) {
            vm.warp(times[i]);
            vm.assertTrue(grants.isPermitted(statement, 1, 1) == (i == 1 || i == 2), "at the edge");
        }
    }

    // INV-4
    function test_INV4_isPermitted_suspensionMasks() external {
        AccessGrant memory statement = _granted();
        Member[2] memory sides = [utility, analyst];
        for (uint256 i = 0; i < sides.length; ++i) {
            _suspend(sides[i]);
            vm.assertFalse(grants.isPermitted(statement, 1, 1), "suspended");
            _reinstate(sides[i]);
            vm.assertTrue(grants.isPermitted(statement, 1, 1), "reinstated");
        }
        _retire(analyst);
        vm.assertFalse(grants.isPermitted(statement, 1, 1), "retired");
    }

    // INV-4
    function test_INV4_isPermitted_neverAfterRetirement() external {
        AccessGrant memory statement = _granted();
        _assertExecutes(address(datasets), _call(utility, _retirement(utility, _SET)), true);
        vm.assertFalse(grants.isPermitted(statement, 1, 1), "retired");
    }

    function testFuzz_isPermitted_onlyForTheTermsGranted(uint256 part, bytes32 mask) external {
        vm.assume(mask != 0);
        AccessGrant memory statement = _granted();
        part = _bound(part, 0, 5);
        if (part == 0) statement.participant ^= mask;
        if (part == 1) statement.datasetSalt ^= mask;
        if (part == 2) statement.consumer ^= mask;
        if (part == 3) statement.purpose ^= mask;
        if (part == 4) statement.policyHash ^= mask;
        if (part == 5) statement.salt ^= mask;
        vm.assertFalse(grants.isPermitted(statement, 1, 1), "other terms");
    }

    // --- Attesting ---------------------------------------------------------------------------------------------------

    function test_attest_showsTheSlot() external {
        AccessGrant memory statement = _granted();
        vm.warp(NOW + 5);
        _assertExecutes(address(grants), _call(utility, _revocation(utility, _digest(statement))), true);
        _assertExecutes(address(datasets), _call(utility, _retirement(utility, _SET)), true);
        vm.warp(NOW + 9);
        _expectAttestation(statement, statement.validFrom, statement.validUntil, NOW, NOW + 5, NOW + 5);
        grants.attest(statement);
    }

    function test_attest_showsThatNothingWasGranted() external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        _expectAttestation(statement, 0, 0, 0, 0, 0);
        grants.attest(statement);
    }

    function _expectAttestation(
        AccessGrant memory statement,
        uint64 from,
        uint64 until,
        uint64 grantedAt,
        uint64 revokedAt,
        uint64 retiredAt
    ) private {
        bytes32 digest = _digest(statement);
        bytes32 head = registry.historyHead();
        vm.expectEmit(true, true, true, true, address(grants));
        emit IAccessGrants.GrantAttested(
            digest,
            utility.id,
            analyst.id,
            _datasetOf(utility, _SET),
            from,
            until,
            grantedAt,
            revokedAt,
            retiredAt,
            head
        );
    }

    function _granted() private returns (AccessGrant memory statement) {
        statement = _grant(utility, _SET, analyst);
        _assertExecutes(address(grants), _call(utility, statement), true);
    }

    function _assertKept(AccessGrant memory statement, uint64 grantedAt, uint64 revokedAt) private view {
        IAccessGrants.Grant memory kept = grants.grantOf(statement.participant, _digest(statement));
        vm.assertEq(kept.validFrom, statement.validFrom, "from");
        vm.assertEq(kept.validUntil, statement.validUntil, "until");
        vm.assertEq(kept.grantedAt, grantedAt, "granted at");
        vm.assertEq(kept.revokedAt, revokedAt, "revoked at");
    }
}
