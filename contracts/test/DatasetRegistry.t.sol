// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDatasetRegistry} from "../src/interfaces/IDatasetRegistry.sol";
import {DatasetRegistration, DatasetRetirement, Parent} from "../src/types/DatasetRegistryTypes.sol";
import {Erc1271Wallet} from "./support/Erc1271Wallet.sol";
import {Statements} from "./support/Statements.sol";

contract DatasetRegistryTest is Statements {
    bytes32 private constant _SET = keccak256("set");

    // --- Registering -------------------------------------------------------------------------------------------------

    function test_register_keepsTheDigest() external {
        DatasetRegistration memory statement = _registered(utility, _SET, 1);
        bytes32 dataset = _datasetOf(utility, _SET);
        vm.assertEq(datasets.registrationOf(dataset, 1), _digest(statement), "version 1");
        vm.assertEq(datasets.registrationOf(dataset, 2), 0, "version 2");
        vm.assertEq(datasets.registrationOf(_datasetOf(analyst, _SET), 1), 0, "another provider's");
    }

    function test_register_emits() external {
        DatasetRegistration memory statement = _derived(maker, 3);
        bytes memory call = _call(maker, statement);
        vm.expectEmit(true, true, true, true, address(datasets));
        emit IDatasetRegistry.DatasetRegistered(
            _digest(statement),
            _datasetOf(maker, _SET),
            maker.id,
            maker.signer,
            1,
            statement.contentHash,
            statement.metadataHash,
            statement.parents
        );
        _assertExecutes(address(datasets), call, true);
    }

    function test_register_byContract() external {
        Erc1271Wallet wallet = _wallet(utility);
        DatasetRegistration memory statement = _registration(utility, _SET, 1);
        bytes memory call = abi.encodeCall(datasets.register, (statement, address(wallet), "any"));
        _assertRefused(address(datasets), call, _forged(_digest(statement), address(wallet)));
        wallet.approve(_digest(statement), "any");
        _assertExecutes(address(datasets), call, true);
    }

    // INV-1
    function test_INV1_register_needsAnActiveKey() external {
        DatasetRegistration memory statement = _registration(utility, _SET, 1);
        _assertOnlyActive(
            address(datasets),
            _call(outsider, _registration(outsider, _SET, 1)),
            _call(analyst, statement),
            _call(utility, statement)
        );
    }

    // INV-1
    function testFuzz_INV1_register_refusesAnyChange(uint256 part, bytes32 mask) external {
        vm.assume(mask != 0);
        DatasetRegistration memory signed = _registration(utility, _SET, 1);
        bytes memory signature = _signature(utility.signingKey, _digest(signed));
        part = _bound(part, 0, 3);
        if (part == 0) signed.datasetSalt ^= mask;
        if (part == 1) signed.contentHash ^= mask;
        if (part == 2) signed.metadataHash ^= mask;
        if (part == 3) signed.salt ^= mask;
        bytes memory call = abi.encodeCall(datasets.register, (signed, utility.signer, signature));
        _assertRefused(address(datasets), call, _forged(_digest(signed), utility.signer));
    }

    function test_register_refusesAForeignSignature() external {
        DatasetRegistration memory statement = _registration(utility, _SET, 1);
        bytes32 digest = _digest(statement);
        bytes memory good = _signature(utility.signingKey, digest);
        bytes[4] memory bad = [_signature(analyst.signingKey, digest), _malleated(good), bytes(""), new bytes(65)];
        for (uint256 i = 0; i < bad.length; ++i) {
            bytes memory call = abi.encodeCall(datasets.register, (statement, utility.signer, bad[i]));
            _assertRefused(address(datasets), call, _forged(digest, utility.signer));
        }
    }

    function test_register_refusesAfterTheDeadline() external {
        DatasetRegistration memory statement = _registration(utility, _SET, 1);
        vm.warp(DEADLINE + 1);
        _assertRefused(address(datasets), _call(utility, statement), _expired(_digest(statement)));
        vm.warp(DEADLINE);
        _assertExecutes(address(datasets), _call(utility, statement), true);
    }

    // INV-2
    function testFuzz_INV2_register_versionsAreConsecutive(uint64 version) external {
        _registered(utility, _SET, 1);
        vm.assume(version != 1);
        DatasetRegistration memory statement = _registration(utility, _SET, version);
        if (version == 2) {
            _assertExecutes(address(datasets), _call(utility, statement), true);
            return;
        }
        bytes4 refusal = IDatasetRegistry.DatasetRegistryVersionSkipped.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, _datasetOf(utility, _SET), version);
        _assertRefused(address(datasets), _call(utility, statement), facts);
    }

    function test_register_refusesVersionZero() external {
        bytes4 refusal = IDatasetRegistry.DatasetRegistryVersionSkipped.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, _datasetOf(utility, _SET), 0);
        _assertRefused(address(datasets), _call(utility, _registration(utility, _SET, 0)), facts);
    }

    // INV-2
    function test_INV2_register_neverReplaces() external {
        bytes32 first = _digest(_registered(utility, _SET, 1));
        _registered(utility, _SET, 2);
        DatasetRegistration memory other = _registration(utility, _SET, 1);
        bytes4 refusal = IDatasetRegistry.DatasetRegistryVersionTaken.selector;
        bytes32 dataset = _datasetOf(utility, _SET);
        bytes memory facts = abi.encodeWithSelector(refusal, dataset, 1, first, _digest(other));
        _assertRefused(address(datasets), _call(utility, other), facts);
        vm.assertEq(datasets.registrationOf(dataset, 1), first, "as it was");
    }

    // INV-8
    function test_INV8_register_repeatIsANoOp() external {
        DatasetRegistration memory statement = _registered(utility, _SET, 1);
        bytes memory unsigned = abi.encodeCall(datasets.register, (statement, address(0), ""));
        vm.warp(DEADLINE + 1);
        _suspend(utility);
        vm.recordLogs();
        _assertExecutes(address(datasets), _call(utility, statement), false);
        _assertExecutes(address(datasets), unsigned, false);
        vm.assertEq(vm.getRecordedLogs().length, 0, "no event");
    }

    // --- Parents -----------------------------------------------------------------------------------------------------

    // INV-2
    function test_INV2_register_parentsExist() external {
        DatasetRegistration memory statement = _derived(maker, 2);
        bytes4 refusal = IDatasetRegistry.DatasetRegistryParentUnknown.selector;
        Parent memory parent = statement.parents[1];
        bytes32 registered = parent.registration;
        parent.registration = keccak256("another");
        bytes memory facts = abi.encodeWithSelector(refusal, parent.dataset, 1, parent.registration, registered);
        _assertRefused(address(datasets), _call(maker, statement), facts);
        (parent.version, parent.registration) = (2, 0);
        facts = abi.encodeWithSelector(refusal, parent.dataset, 2, bytes32(0), bytes32(0));
        _assertRefused(address(datasets), _call(maker, statement), facts);
    }

    function test_register_parentsAscend() external {
        DatasetRegistration memory statement = _derived(maker, 2);
        (statement.parents[0], statement.parents[1]) = (statement.parents[1], statement.parents[0]);
        bytes4 refusal = IDatasetRegistry.DatasetRegistryParentsUnordered.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, 1);
        _assertRefused(address(datasets), _call(maker, statement), facts);
        statement.parents[1] = statement.parents[0];
        _assertRefused(address(datasets), _call(maker, statement), facts);
    }

    function test_register_parentsOfOneDatasetAscendByVersion() external {
        DatasetRegistration memory statement = _registration(maker, _SET, 1);
        statement.parents = new Parent[](2);
        bytes32 dataset = _datasetOf(utility, _SET);
        statement.parents[0] = Parent(dataset, 1, _digest(_registered(utility, _SET, 1)));
        statement.parents[1] = Parent(dataset, 2, _digest(_registered(utility, _SET, 2)));
        _assertExecutes(address(datasets), _call(maker, statement), true);
    }

    function test_register_takes64Parents() external {
        DatasetRegistration memory statement = _derived(maker, 64);
        _assertExecutes(address(datasets), _call(maker, statement), true);
        statement = _registration(maker, _SET, 2);
        statement.parents = new Parent[](65);
        bytes memory facts = abi.encodeWithSelector(IDatasetRegistry.DatasetRegistryTooManyParents.selector, 65, 64);
        _assertRefused(address(datasets), _call(maker, statement), facts);
    }

    // --- Batches -----------------------------------------------------------------------------------------------------

    // INV-8
    function test_INV8_registerBatch_skipsRepeats() external {
        DatasetRegistration[] memory statements = new DatasetRegistration[](4);
        statements[0] = _registered(utility, _SET, 1);
        statements[1] = _registration(utility, _SET, 2);
        statements[2] = statements[1];
        statements[3] = _registration(analyst, _SET, 1);
        (bool success, bytes memory answer) = address(datasets).call(_batchCall(statements));
        vm.assertTrue(success, "executes");
        vm.assertEq(abi.decode(answer, (uint256)), 2, "new ones");
        bytes32 second = datasets.registrationOf(_datasetOf(utility, _SET), 2);
        vm.assertEq(second, _digest(statements[1]), "version 2");
        bytes32 other = datasets.registrationOf(_datasetOf(analyst, _SET), 1);
        vm.assertEq(other, _digest(statements[3]), "the analyst's");
    }

    function test_registerBatch_refusesUnevenArrays() external {
        bytes4 refusal = IDatasetRegistry.DatasetRegistryBatchUneven.selector;
        DatasetRegistration[] memory statements = new DatasetRegistration[](1);
        bytes memory call = abi.encodeCall(
            datasets.registerBatch,
            (statements, new address[](2), new bytes[](1))
        );
        _assertRefused(address(datasets), call, abi.encodeWithSelector(refusal, 1, 2, 1));
        call = abi.encodeCall(datasets.registerBatch, (statements, new address[](1), new bytes[](0)));
        _assertRefused(address(datasets), call, abi.encodeWithSelector(refusal, 1, 1, 0));
    }

    function test_registerBatch_isAllOrNothing() external {
        DatasetRegistration[] memory statements = new DatasetRegistration[](2);
        statements[0] = _registration(utility, _SET, 1);
        statements[1] = _registration(utility, _SET, 3);
        bytes4 refusal = IDatasetRegistry.DatasetRegistryVersionSkipped.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, _datasetOf(utility, _SET), 3);
        _assertRefused(address(datasets), _batchCall(statements), facts);
        vm.assertEq(datasets.registrationOf(_datasetOf(utility, _SET), 1), 0, "nothing");
    }

    // --- Retiring ----------------------------------------------------------------------------------------------------

    function test_retire_endsTheDataset() external {
        _registered(utility, _SET, 1);
        DatasetRetirement memory statement = _retirement(utility, _SET);
        bytes memory call = _call(utility, statement);
        bytes32 dataset = _datasetOf(utility, _SET);
        vm.assertEq(datasets.retiredAt(dataset), 0, "not yet");
        vm.expectEmit(true, true, true, true, address(datasets));
        emit IDatasetRegistry.DatasetRetired(_digest(statement), dataset, utility.id, utility.signer);
        _assertExecutes(address(datasets), call, true);
        vm.assertEq(datasets.retiredAt(dataset), NOW, "retired");
        bytes memory facts = abi.encodeWithSelector(IDatasetRegistry.DatasetRegistryRetired.selector, dataset, NOW);
        _assertRefused(address(datasets), _call(utility, _registration(utility, _SET, 2)), facts);
    }

    function test_retire_reachesOnlyTheSignersOwn() external {
        _assertExecutes(address(datasets), _call(analyst, _retirement(analyst, _SET)), true);
        vm.assertEq(datasets.retiredAt(_datasetOf(utility, _SET)), 0, "the utility's");
        _registered(utility, _SET, 1);
    }

    // INV-8
    function test_INV8_retire_repeatIsANoOp() external {
        DatasetRetirement memory statement = _retirement(utility, _SET);
        _assertExecutes(address(datasets), _call(utility, statement), true);
        vm.warp(DEADLINE + 1);
        vm.recordLogs();
        _assertExecutes(address(datasets), _call(utility, statement), false);
        vm.assertEq(vm.getRecordedLogs().length, 0, "no event");
        vm.assertEq(datasets.retiredAt(_datasetOf(utility, _SET)), NOW, "as it was");
    }

    // INV-1
    function test_INV1_retire_needsAnActiveKey() external {
        DatasetRetirement memory statement = _retirement(utility, _SET);
        _assertOnlyActive(
            address(datasets),
            _call(outsider, _retirement(outsider, _SET)),
            _call(analyst, statement),
            _call(utility, statement)
        );
    }

    function test_retire_refusesAfterTheDeadline() external {
        DatasetRetirement memory statement = _retirement(utility, _SET);
        vm.warp(DEADLINE + 1);
        _assertRefused(address(datasets), _call(utility, statement), _expired(_digest(statement)));
    }

    function _batchCall(DatasetRegistration[] memory statements) private view returns (bytes memory) {
        address[] memory signers = new address[](statements.length);
        bytes[] memory signatures = new bytes[](statements.length);
        for (uint256 i = 0; i < statements.length; ++i) {
            Member memory by = statements[i].participant == utility.id ? utility : analyst;
            signers[i] = by.signer;
            signatures[i] = _signature(by.signingKey, _digest(statements[i]));
        }
        return abi.encodeCall(datasets.registerBatch, (statements, signers, signatures));
    }

    // Version 1, derived from `count` fresh datasets of the utility.
    function _derived(Member memory by, uint256 count) private returns (DatasetRegistration memory statement) {
        statement = _registration(by, _SET, 1);
        statement.parents = new Parent[](count);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 datasetSalt = keccak256(abi.encode("parent", i));
            bytes32 digest = _digest(_registered(utility, datasetSalt, 1));
            Parent memory parent = Parent(_datasetOf(utility, datasetSalt), 1, digest);
            uint256 place = i;
            while (place > 0 && statement.parents[place - 1].dataset > parent.dataset) {
                statement.parents[place] = statement.parents[place - 1];
                --place;
            }
            statement.parents[place] = parent;
        }
    }
}
