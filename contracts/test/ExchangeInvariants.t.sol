// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessGrants} from "../src/AccessGrants.sol";
import {DatasetRegistry} from "../src/DatasetRegistry.sol";
import {SharingAgreements} from "../src/SharingAgreements.sol";
import {ISharingAgreements} from "../src/interfaces/ISharingAgreements.sol";
import {AccessGrant} from "../src/types/AccessGrantsTypes.sol";
import {AgreementProposal} from "../src/types/SharingAgreementsTypes.sol";
import {AgreementHandler} from "./support/AgreementHandler.sol";
import {Cheats} from "./support/Cheats.sol";
import {DataHandler} from "./support/DataHandler.sol";

contract DataInvariants is Cheats {
    DataHandler private _handler;
    DatasetRegistry private _datasets;
    AccessGrants private _grants;

    function setUp() external {
        _handler = new DataHandler();
        (_datasets, _grants) = _handler.targets();
    }

    // Where forge looks for what to call.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    // INV-1 and INV-8 are asserted by the handler at every action.
    function invariant_INV2_versionsStayAndAreConsecutive() external view {
        for (uint256 i = 0; i < 6; ++i) {
            bytes32 dataset = _handler.datasetOf(i / 2, i % 2);
            bytes32[] memory digests = _handler.versionsOf(dataset);
            vm.assertEq(_datasets.registrationOf(dataset, 0), 0, "INV-2 version 0");
            for (uint64 version = 1; version <= digests.length; ++version) {
                vm.assertEq(_datasets.registrationOf(dataset, version), digests[version - 1], "INV-2 as registered");
            }
            vm.assertEq(_datasets.registrationOf(dataset, uint64(digests.length + 1)), 0, "INV-2 none beyond");
            vm.assertTrue((_datasets.retiredAt(dataset) != 0) == _handler.retired(dataset), "INV-2 retired");
        }
    }

    function invariant_INV4_permittedExactlyWhenTheModelSaysSo() external view {
        uint256 count = _handler.grantCount();
        for (uint256 i = 0; i < count; ++i) {
            (AccessGrant memory statement, bool expected, bool dead) = _handler.grantAt(i);
            bool permitted = _grants.isPermitted(statement, 1, 1);
            vm.assertTrue(permitted == expected, "INV-4 permitted");
            vm.assertFalse(permitted && dead, "INV-4 permitted again");
        }
    }
}

contract AgreementInvariants is Cheats {
    AgreementHandler private _handler;
    SharingAgreements private _agreements;

    function setUp() external {
        _handler = new AgreementHandler();
        _agreements = _handler.target();
    }

    // Where forge looks for what to call.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    // INV-1 and INV-8 are asserted by the handler at every action.
    function invariant_INV5_activeOnlyAfterEveryPartyAccepted() external view {
        for (uint256 i = 0; i < _handler.count(); ++i) {
            (AgreementProposal memory terms, bytes32 digest) = _handler.latest(i);
            ISharingAgreements.Agreement memory kept = _agreements.agreementOf(terms.agreement);
            vm.assertEq(kept.proposal, digest, "INV-5 the present revision");
            uint256 acceptances = 0;
            for (uint256 j = 0; j < terms.parties.length; ++j) {
                if (_handler.accepted(digest, terms.parties[j])) ++acceptances;
            }
            vm.assertEq(kept.acceptances, acceptances, "INV-5 acceptances of this revision");
            bool concluded = kept.state == ISharingAgreements.State.Active ||
                kept.state == ISharingAgreements.State.Terminated;
            vm.assertTrue(concluded == (acceptances == terms.parties.length), "INV-5 every party");
        }
    }

    function invariant_INV6_settledWithinConfirmedWithinQuota() external view {
        for (uint256 i = 0; i < _handler.count(); ++i) {
            (AgreementProposal memory terms, ) = _handler.latest(i);
            ISharingAgreements.Agreement memory kept = _agreements.agreementOf(terms.agreement);
            vm.assertLe(kept.confirmed, terms.quota, "INV-6 confirmed within quota");
            vm.assertLe(kept.settled, kept.confirmed, "INV-6 settled within confirmed");
        }
    }
}
