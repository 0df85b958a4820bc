// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessGrant, AccessRevocation} from "../src/types/AccessGrantsTypes.sol";
import {DatasetRegistration, Parent} from "../src/types/DatasetRegistryTypes.sol";
import {AgreementProposal} from "../src/types/SharingAgreementsTypes.sol";
import {Statements} from "./support/Statements.sol";

// What a relayer pays, the transaction's own cost included.
/// forge-config: default.isolate = true
contract ExchangeGasTest is Statements {
    bytes32 private constant _SET = keccak256("set");

    function test_gas_register() external {
        _registered(utility, _SET, 1);
        DatasetRegistration memory statement = _registration(utility, _SET, 2);
        _assertWithin("DatasetRegistry", "register", address(datasets), _call(utility, statement), 75_000);
    }

    function test_gas_registerDerived() external {
        DatasetRegistration memory statement = _registration(analyst, _SET, 1);
        statement.parents = new Parent[](1);
        statement.parents[0] = Parent(_datasetOf(utility, _SET), 1, _digest(_registered(utility, _SET, 1)));
        _assertWithin("DatasetRegistry", "registerDerived", address(datasets), _call(analyst, statement), 90_000);
    }

    function test_gas_registerBatchOf100() external {
        uint256 count = 100;
        DatasetRegistration[] memory statements = new DatasetRegistration[](count);
        address[] memory signers = new address[](count);
        bytes[] memory signatures = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            statements[i] = _registration(utility, keccak256(abi.encode(i)), 1);
            signers[i] = utility.signer;
            signatures[i] = _signature(utility.signingKey, _digest(statements[i]));
        }
        bytes memory call = abi.encodeCall(datasets.registerBatch, (statements, signers, signatures));
        _assertWithin("DatasetRegistry", "registerBatchOf100", address(datasets), call, 100 * 45_000);
    }

    function test_gas_grant() external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        _assertWithin("AccessGrants", "grant", address(grants), _call(utility, statement), 80_000);
    }

    function test_gas_revoke() external {
        AccessGrant memory statement = _grant(utility, _SET, analyst);
        _assertExecutes(address(grants), _call(utility, statement), true);
        AccessRevocation memory revocation = _revocation(utility, _digest(statement));
        _assertWithin("AccessGrants", "revoke", address(grants), _call(utility, revocation), 45_000);
    }

    function test_gas_agreement() external {
        AgreementProposal memory proposal = _proposal(utility, maker);
        bytes32 id = proposal.agreement;
        address executor = address(agreements);
        string memory group = "SharingAgreements";
        _assertWithin(group, "propose", executor, _call(utility, proposal), 320_000);
        _assertWithin(group, "accept", executor, _call(maker, _acceptance(maker, proposal)), 90_000);
        _assertWithin(group, "confirmUsage", executor, _call(maker, _confirmation(maker, id, 1, 10)), 120_000);
        _assertWithin(group, "recordSettlement", executor, _call(utility, _settlement(utility, id, 1, 10)), 120_000);
        _assertWithin(group, "terminate", executor, _call(maker, _termination(maker, id)), 90_000);
    }

    function _assertWithin(
        string memory group,
        string memory name,
        address executor,
        bytes memory call,
        uint256 most
    ) private {
        (bool success, ) = executor.call(call);
        uint256 gas = vm.snapshotGasLastCall(group, name);
        vm.assertTrue(success, name);
        vm.assertLe(gas, most, name);
    }
}
