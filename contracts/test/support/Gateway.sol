// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CheckpointLog} from "../../src/CheckpointLog.sol";
import {ICheckpointLog} from "../../src/interfaces/ICheckpointLog.sol";
import {CheckpointLogTypes, LogClosing, LogOpening, LogRotation} from "../../src/types/CheckpointLogTypes.sol";
import {Consortium} from "./Consortium.sol";
import {UniformTree} from "./UniformTree.sol";

// Delta operates a log, whose tree is uniform unless said otherwise.
abstract contract Gateway is Consortium {
    address internal constant PUBLISHER = address(0x9b115);

    CheckpointLog internal logs;
    bytes32 internal log;
    ICheckpointLog.Commitment internal current;

    function setUp() public virtual override {
        super.setUp();
        logs = new CheckpointLog(registry);
        log = _open(delta, "gateway.example/log");
        current = _empty();
    }

    // --- Statements ---

    function _opening(Member memory operator, string memory origin) internal returns (LogOpening memory) {
        return LogOpening(operator.id, origin, PUBLISHER, _verifierKey(operator, origin), DEADLINE, _salt());
    }

    function _logRotation(uint64 counter, address publisher) internal returns (LogRotation memory) {
        return LogRotation(delta.id, log, counter, publisher, _rotatedKey(counter), DEADLINE, _salt());
    }

    function _verifierKey(Member memory operator, string memory origin) internal pure returns (bytes32) {
        return keccak256(abi.encode("verifier key", _logOf(operator, origin)));
    }

    function _rotatedKey(uint64 counter) internal pure returns (bytes32) {
        return keccak256(abi.encode("next key", counter));
    }

    function _closing(bytes32 successor) internal returns (LogClosing memory) {
        return LogClosing(delta.id, log, successor, DEADLINE, _salt());
    }

    function _open(Member memory operator, string memory origin) internal returns (bytes32) {
        _executesOnLogs(_call(operator, _opening(operator, origin)));
        return _logOf(operator, origin);
    }

    function _logOf(Member memory operator, string memory origin) internal pure returns (bytes32) {
        return keccak256(abi.encode(operator.id, keccak256(bytes(origin))));
    }

    function _digest(LogOpening memory statement) internal view returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                CheckpointLogTypes.LOG_OPENING_TYPEHASH,
                statement.participant,
                keccak256(bytes(statement.origin)),
                statement.publisher,
                statement.verifierKey,
                statement.deadline,
                statement.salt
            )
        );
        return _typed(address(logs), structHash);
    }

    function _digest(LogRotation memory statement) internal view returns (bytes32) {
        return _typed(address(logs), keccak256(abi.encode(CheckpointLogTypes.LOG_ROTATION_TYPEHASH, statement)));
    }

    function _digest(LogClosing memory statement) internal view returns (bytes32) {
        return _typed(address(logs), keccak256(abi.encode(CheckpointLogTypes.LOG_CLOSING_TYPEHASH, statement)));
    }

    // --- Calls, signed by the member's signing key ---

    function _call(Member memory by, LogOpening memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(logs.open, (statement, vm.addr(by.signingKey), signature));
    }

    function _call(Member memory by, LogRotation memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(logs.rotate, (statement, vm.addr(by.signingKey), signature));
    }

    function _call(Member memory by, LogClosing memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(logs.close, (statement, vm.addr(by.signingKey), signature));
    }

    function _executesOnLogs(bytes memory call) internal {
        _assertExecutes(address(logs), call, true);
    }

    function _refusedByLogs(bytes memory call, bytes memory refusal) internal {
        _assertRefused(address(logs), call, refusal);
    }

    // --- Checkpoints ---

    function _empty() internal view returns (ICheckpointLog.Commitment memory) {
        return ICheckpointLog.Commitment(0, sha256(""), uint64(block.timestamp));
    }

    function _uniform(uint64 size) internal view returns (ICheckpointLog.Commitment memory) {
        return ICheckpointLog.Commitment(size, UniformTree.rootOf(size), uint64(block.timestamp));
    }

    // What extends `current` to the uniform tree of `size`.
    function _publishCall(uint64 size) internal view returns (bytes memory) {
        bytes32[] memory proof = current.size == 0
            ? new bytes32[](0)
            : UniformTree.consistencyProof(current.size, size);
        return abi.encodeCall(logs.publish, (log, current, size, UniformTree.rootOf(size), proof));
    }

    function _publish(uint64 size) internal {
        bytes memory call = _publishCall(size);
        vm.prank(PUBLISHER);
        (bool success, bytes memory answer) = address(logs).call(call);
        vm.assertEq(answer, abi.encode(true), "the answer");
        vm.assertTrue(success, "published");
        current = _uniform(size);
    }

    function _refusesPublishing(address publisher, bytes memory call, bytes memory refusal) internal {
        vm.prank(publisher);
        (bool success, bytes memory answer) = address(logs).call(call);
        vm.assertEq(answer, refusal, "the refusal");
        vm.assertFalse(success, "refused");
    }
}
