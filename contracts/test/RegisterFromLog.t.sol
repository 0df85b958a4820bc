// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICheckpointLog} from "../src/interfaces/ICheckpointLog.sol";
import {IDatasetRegistry} from "../src/interfaces/IDatasetRegistry.sol";
import {IParticipantRegistry} from "../src/interfaces/IParticipantRegistry.sol";
import {Rfc6962} from "../src/libraries/Rfc6962.sol";
import {CheckpointLogTypes, LogOpening} from "../src/types/CheckpointLogTypes.sol";
import {DatasetRegistration, Parent} from "../src/types/DatasetRegistryTypes.sol";
import {Erc1271Wallet} from "./support/Erc1271Wallet.sol";
import {Statements} from "./support/Statements.sol";
import {Tree} from "./support/Tree.sol";

// Two gateways, each with its log, on one chain; registrations that only a log knows are lifted.
/// forge-config: default.isolate = true
contract RegisterFromLogTest is Statements {
    struct Gateway {
        bytes32 log;
        address publisher;
        bytes32[] leaves;
        ICheckpointLog.Commitment last;
    }

    bytes32 private constant _SET = keccak256("set");

    Gateway private _first;
    Gateway private _second;

    function setUp() public override {
        super.setUp();
        _open(_first, utility, "first.example/log", address(0xf1));
        _open(_second, maker, "second.example/log", address(0xf2));
        for (uint256 i = 0; i < 5; ++i) {
            _first.leaves.push(keccak256(abi.encode("entry", i)));
            _second.leaves.push(keccak256(abi.encode("another entry", i)));
        }
    }

    function test_registerFromLog_lifts() external {
        DatasetRegistration memory statement = _logged(_first);
        bytes32 digest = _digest(statement);
        bytes memory call = _liftCall(_first, statement, 5);
        vm.warp(DEADLINE + 30 days);
        vm.expectEmit(true, true, true, true, address(datasets));
        emit IDatasetRegistry.RegistrationLifted(digest, _first.log, 5);
        _assertExecutes(address(datasets), call, true);
        vm.assertEq(datasets.registrationOf(_datasetOf(utility, _SET), 1), digest, "registered");
    }

    // INV-8
    function test_INV8_registerFromLog_onceFromAnyLogOrDirectly() external {
        DatasetRegistration memory statement = _logged(_first);
        _log(_second, statement);
        _assertExecutes(address(datasets), _liftCall(_second, statement, 5), true);
        vm.recordLogs();
        _assertExecutes(address(datasets), _liftCall(_first, statement, 5), false);
        _assertExecutes(address(datasets), _call(utility, statement), false);
        vm.assertEq(vm.getRecordedLogs().length, 0, "no event");
    }

    function test_registerFromLog_whileNewerCheckpointsArePublished() external {
        DatasetRegistration memory statement = _logged(_first);
        bytes memory call = _liftCall(_first, statement, 5);
        ICheckpointLog.Commitment memory proven = _first.last;
        for (uint256 i = 0; i < 63; ++i) _grow(_first, keccak256(abi.encode("later", i)));
        _assertExecutes(address(datasets), call, true);
        statement = _registration(utility, _SET, 2);
        _log(_first, statement);
        call = _liftCall(_first, statement, 69, proven);
        bytes4 refusal = ICheckpointLog.CheckpointLogNotKept.selector;
        _assertRefused(address(datasets), call, abi.encodeWithSelector(refusal, _first.log, proven));
    }

    function test_registerFromLog_refusesWhatTheLogDoesNotHold() external {
        DatasetRegistration memory logged = _logged(_first);
        DatasetRegistration memory other = _registration(utility, _SET, 1);
        bytes32 wrong = _foldedRoot(_first, _leafOf(other), 5);
        bytes memory facts = abi.encodeWithSelector(Rfc6962.Rfc6962RootMismatch.selector, _first.last.root, wrong);
        _assertRefused(address(datasets), _liftCall(_first, other, 5), facts);
        facts = abi.encodeWithSelector(Rfc6962.Rfc6962IndexOutOfRange.selector, 6, 6);
        _assertRefused(address(datasets), _liftCall(_first, logged, 5, 6, _first.last), facts);
        facts = abi.encodeWithSelector(ICheckpointLog.CheckpointLogNotKept.selector, _second.log, _first.last);
        bytes memory call = _liftCall(_first, logged, 5);
        _first.log = _second.log;
        call = _liftCall(_first, logged, 5);
        _assertRefused(address(datasets), call, facts);
    }

    // INV-1
    function test_INV1_registerFromLog_needsAKeyThatIsActiveNow() external {
        DatasetRegistration memory statement = _logged(_first);
        bytes memory call = _liftCall(_first, statement, 5);
        _suspend(utility);
        IParticipantRegistry.Status suspended = IParticipantRegistry.Status.Suspended;
        _assertRefused(address(datasets), call, _inactive(utility.id, utility.signer, suspended, true));
        _reinstate(utility);
        Erc1271Wallet wallet = _wallet(utility);
        _revokeKey(utility);
        IParticipantRegistry.Status active = IParticipantRegistry.Status.Active;
        _assertRefused(address(datasets), call, _inactive(utility.id, utility.signer, active, false));
        wallet.approve(_digest(statement), "now");
        call = _liftCall(_first, statement, address(wallet), "now");
        _assertExecutes(address(datasets), call, true);
    }

    function test_registerFromLog_refusesAForeignSignature() external {
        DatasetRegistration memory statement = _logged(_first);
        bytes memory foreign = _signature(analyst.signingKey, _digest(statement));
        bytes memory call = _liftCall(_first, statement, utility.signer, foreign);
        _assertRefused(address(datasets), call, _forged(_digest(statement), utility.signer));
    }

    // INV-2
    function test_INV2_registerFromLog_parentsAreLiftedFirst() external {
        DatasetRegistration memory parent = _logged(_first);
        DatasetRegistration memory child = _registration(utility, keccak256("derived"), 1);
        child.parents = new Parent[](1);
        child.parents[0] = Parent(_datasetOf(utility, _SET), 1, _digest(parent));
        _log(_first, child);
        bytes4 refusal = IDatasetRegistry.DatasetRegistryParentUnknown.selector;
        bytes memory facts = abi.encodeWithSelector(refusal, child.parents[0].dataset, 1, _digest(parent), bytes32(0));
        _assertRefused(address(datasets), _liftCall(_first, child, 6), facts);
        _assertExecutes(address(datasets), _liftCall(_first, parent, 5), true);
        _assertExecutes(address(datasets), _liftCall(_first, child, 6), true);
    }

    function test_gas_registerFromLog() external {
        DatasetRegistration memory statement = _logged(_first);
        for (uint256 i = 0; i < 26; ++i) _first.leaves.push(keccak256(abi.encode(i)));
        _grow(_first, keccak256("last"));
        (bool success, ) = address(datasets).call(_liftCall(_first, statement, 5));
        uint256 gas = vm.snapshotGasLastCall("DatasetRegistry", "registerFromLogDepth5");
        vm.assertTrue(success, "lifted");
        vm.assertLe(gas, 110_000, "registerFromLog");
    }

    function _logged(Gateway storage gateway) private returns (DatasetRegistration memory statement) {
        statement = _registration(utility, _SET, 1);
        _log(gateway, statement);
    }

    function _log(Gateway storage gateway, DatasetRegistration memory statement) private {
        _grow(gateway, _leafOf(statement));
    }

    // Appends a leaf and publishes.
    function _grow(Gateway storage gateway, bytes32 leaf) private {
        gateway.leaves.push(leaf);
        bytes32[] memory leaves = gateway.leaves;
        ICheckpointLog.Commitment memory previous = gateway.last;
        bytes32[] memory proof = previous.size == 0
            ? new bytes32[](0)
            : Tree.consistencyProof(leaves, uint256(previous.size));
        bytes32 root = Tree.rootOf(leaves);
        vm.prank(gateway.publisher);
        checkpointLog.publish(gateway.log, previous, uint64(leaves.length), root, proof);
        gateway.last = ICheckpointLog.Commitment(uint64(leaves.length), root, uint64(block.timestamp));
    }

    function _open(Gateway storage gateway, Member memory operator, string memory origin, address publisher) private {
        bytes32 key = keccak256(bytes(origin));
        LogOpening memory statement = LogOpening(operator.id, origin, publisher, key, DEADLINE, _salt());
        bytes memory fields = abi.encode(
            CheckpointLogTypes.LOG_OPENING_TYPEHASH,
            operator.id,
            keccak256(bytes(origin)),
            publisher,
            statement.verifierKey,
            statement.deadline,
            statement.salt
        );
        bytes memory signature = _signature(operator.signingKey, _typed(address(checkpointLog), keccak256(fields)));
        checkpointLog.open(statement, operator.signer, signature);
        gateway.log = keccak256(abi.encode(operator.id, keccak256(bytes(origin))));
        gateway.publisher = publisher;
        gateway.last = ICheckpointLog.Commitment(0, sha256(""), NOW);
    }

    function _liftCall(
        Gateway storage gateway,
        DatasetRegistration memory statement,
        uint64 index
    ) private view returns (bytes memory) {
        return _liftCall(gateway, statement, index, index, gateway.last);
    }

    function _liftCall(
        Gateway storage gateway,
        DatasetRegistration memory statement,
        uint64 index,
        ICheckpointLog.Commitment memory checkpoint
    ) private view returns (bytes memory) {
        return _liftCall(gateway, statement, index, index, checkpoint);
    }

    // The proof of the leaf at `index`, said to be at `said`.
    function _liftCall(
        Gateway storage gateway,
        DatasetRegistration memory statement,
        uint64 index,
        uint64 said,
        ICheckpointLog.Commitment memory checkpoint
    ) private view returns (bytes memory) {
        bytes memory signature = _signature(utility.signingKey, _digest(statement));
        bytes32[] memory proof = Tree.inclusionProof(gateway.leaves, index);
        bytes32 logged = sha256(signature);
        return
            abi.encodeCall(
                datasets.registerFromLog,
                (statement, utility.signer, signature, logged, gateway.log, checkpoint, said, proof)
            );
    }

    // Entry 5, with a signature of another key than the logged one.
    function _liftCall(
        Gateway storage gateway,
        DatasetRegistration memory statement,
        address signer,
        bytes memory signature
    ) private view returns (bytes memory) {
        bytes32 logged = sha256(_signature(utility.signingKey, _digest(statement)));
        bytes32[] memory proof = Tree.inclusionProof(gateway.leaves, 5);
        return
            abi.encodeCall(
                datasets.registerFromLog,
                (statement, signer, signature, logged, gateway.log, gateway.last, 5, proof)
            );
    }

    function _leafOf(DatasetRegistration memory statement) private view returns (bytes32) {
        bytes32 digest = _digest(statement);
        bytes32 logged = sha256(_signature(utility.signingKey, digest));
        return sha256(abi.encodePacked(hex"0001", digest, statement.participant, logged));
    }

    function _foldedRoot(Gateway storage gateway, bytes32 leaf, uint256 index) private view returns (bytes32) {
        bytes32[] memory leaves = gateway.leaves;
        leaves[index] = leaf;
        return Tree.rootOf(leaves);
    }
}
