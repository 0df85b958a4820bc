// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICheckpointLog} from "../src/interfaces/ICheckpointLog.sol";
import {Rfc6962} from "../src/libraries/Rfc6962.sol";
import {Decision} from "../src/types/Enumerations.sol";
import {Gateway} from "./support/Gateway.sol";
import {LoggedOnce} from "./support/LoggedOnce.sol";
import {UniformTree} from "./support/UniformTree.sol";

// The contract as a C2SP witness.
contract CheckpointLogPublishTest is Gateway {
    function test_publishEmitsTheCheckpointAndTheOneBefore() external {
        vm.warp(NOW + 10);
        vm.expectEmit(true, true, true, true, address(logs));
        emit ICheckpointLog.CheckpointPublished(
            log,
            7,
            UniformTree.rootOf(7),
            NOW + 10,
            0,
            sha256(""),
            NOW,
            registry.historyHead()
        );
        _publish(7);
        ICheckpointLog.Commitment memory before = current;
        _decide(Decision.SUSPEND, delta.id, 0); // the head moves; the operator's suspension does not stop its log
        vm.warp(NOW + 20);
        vm.expectEmit(true, true, true, true, address(logs));
        emit ICheckpointLog.CheckpointPublished(
            log,
            9,
            UniformTree.rootOf(9),
            NOW + 20,
            before.size,
            before.root,
            before.time,
            registry.historyHead()
        );
        _publish(9);
    }

    function test_INV8_theSameCheckpointAgainIsANoOpForAnyone() external {
        _publish(7);
        vm.warp(NOW + 10);
        bytes memory call = _publishCall(9);
        _publish(9);
        vm.warp(NOW + 20);
        _assertExecutes(address(logs), call, false);
        vm.assertEq(logs.logOf(log).checkpoints, 2, "checkpoints");
        vm.assertEq(logs.logOf(log).time, NOW + 10, "time");
    }

    function test_INV8_theEmptyCheckpointIsANoOp() external {
        bytes32[] memory none = new bytes32[](0);
        _assertExecutes(
            address(logs),
            abi.encodeCall(logs.publish, (log, current, 0, sha256(""), none)),
            false
        );
    }

    function test_INV3_refusesAnotherPublisher(address publisher) external {
        vm.assume(publisher != PUBLISHER);
        _refusesPublishing(
            publisher,
            _publishCall(7),
            abi.encodeWithSelector(
                ICheckpointLog.CheckpointLogNotPublisher.selector,
                log,
                PUBLISHER,
                publisher
            )
        );
    }

    function test_INV3_refusesAWrongPrevious(uint64 size, bytes32 root, uint64 time) external {
        _publish(7);
        ICheckpointLog.Commitment memory wrong = ICheckpointLog.Commitment(size, root, time);
        vm.assume(keccak256(abi.encode(wrong)) != keccak256(abi.encode(current)));
        bytes32[] memory none = new bytes32[](0);
        _refusesPublishing(
            PUBLISHER,
            abi.encodeCall(logs.publish, (log, wrong, 9, UniformTree.rootOf(9), none)),
            abi.encodeWithSelector(ICheckpointLog.CheckpointLogNotCurrent.selector, log, wrong, 1, NOW)
        );
    }

    function test_INV3_refusesASmallerSize() external {
        _publish(7);
        bytes32[] memory none = new bytes32[](0);
        _refusesPublishing(
            PUBLISHER,
            abi.encodeCall(logs.publish, (log, current, 6, UniformTree.rootOf(6), none)),
            abi.encodeWithSelector(ICheckpointLog.CheckpointLogSizeDecreased.selector, log, 7, 6)
        );
    }

    function test_INV3_refusesASecondRootOfOneSize(bytes32 root) external {
        _publish(7);
        vm.assume(root != current.root);
        bytes32[] memory none = new bytes32[](0);
        _refusesPublishing(
            PUBLISHER,
            abi.encodeCall(logs.publish, (log, current, 7, root, none)),
            abi.encodeWithSelector(
                ICheckpointLog.CheckpointLogRootConflict.selector,
                log,
                7,
                current.root,
                root
            )
        );
    }

    function test_INV3_refusesARootThatTheProofDoesNotReach(bytes32 root) external {
        _publish(7);
        vm.assume(root != UniformTree.rootOf(9));
        bytes32[] memory proof = UniformTree.consistencyProof(7, 9);
        _refusesPublishing(
            PUBLISHER,
            abi.encodeCall(logs.publish, (log, current, 9, root, proof)),
            abi.encodeWithSelector(Rfc6962.Rfc6962RootMismatch.selector, root, UniformTree.rootOf(9))
        );
    }

    function test_INV3_refusesAProofOfAnotherLength() external {
        bytes32[] memory one = new bytes32[](1);
        _refusesPublishing(
            PUBLISHER,
            abi.encodeCall(logs.publish, (log, current, 7, UniformTree.rootOf(7), one)),
            abi.encodeWithSelector(Rfc6962.Rfc6962ProofLength.selector, 0, 1)
        );
        _publish(7);
        _refusesPublishing(
            PUBLISHER,
            abi.encodeCall(logs.publish, (log, current, 9, UniformTree.rootOf(9), one)),
            abi.encodeWithSelector(Rfc6962.Rfc6962ProofLength.selector, 5, 1)
        );
    }

    // --- The ring ---

    function test_keepsTheLast64Commitments() external {
        ICheckpointLog.Commitment[] memory all = new ICheckpointLog.Commitment[](70);
        all[0] = current;
        for (uint64 i = 1; i < all.length; ++i) {
            vm.warp(NOW + i);
            _publish(i * 3);
            all[i] = current;
        }
        for (uint256 i = 0; i < all.length; ++i) {
            vm.assertTrue(logs.isKept(log, all[i]) == (i >= 6), "the last 64");
        }
    }

    function test_keepsNoCommitmentOfAnotherLog() external {
        _publish(7);
        vm.assertFalse(logs.isKept(_open(alpha, "other"), current), "another log");
        vm.assertFalse(logs.isKept(keccak256("no log"), current), "no log");
    }

    function test_verifyInclusionTakesEveryIndexOfAKeptCheckpoint() external {
        _publish(7);
        ICheckpointLog.Commitment memory older = current;
        _publish(9);
        for (uint64 i = 0; i < 7; ++i) {
            logs.verifyInclusion(log, older, UniformTree.LEAF, i, UniformTree.inclusionProof(i, 7));
        }
    }

    function test_verifyInclusionServesAnotherContract() external {
        _publish(7);
        LoggedOnce other = new LoggedOnce(logs, log);
        ICheckpointLog.Commitment memory older = current;
        bytes32[] memory proof = UniformTree.inclusionProof(3, 7);
        _publish(9);
        other.take(older, UniformTree.LEAF, 3, proof);
        vm.assertTrue(other.isTaken(UniformTree.LEAF), "taken");
        bytes memory untrue = abi.encodeCall(other.take, (older, keccak256("not logged"), 3, proof));
        (bool success, bytes memory refusal) = address(other).call(untrue);
        vm.assertFalse(success, "what is not in the log");
        vm.assertTrue(bytes4(refusal) == Rfc6962.Rfc6962RootMismatch.selector, "the facts reach the caller");
        vm.assertFalse(other.isTaken(keccak256("not logged")), "taken");
    }

    function test_verifyInclusionRefusesWhatIsFalse() external {
        _publish(7);
        bytes32[] memory proof = UniformTree.inclusionProof(3, 7);
        (bool held, ) = address(logs).staticcall(
            abi.encodeCall(logs.verifyInclusion, (log, current, keccak256("other"), 3, proof))
        );
        vm.assertFalse(held, "another leaf");
        ICheckpointLog.Commitment memory other = current;
        other.size = 8;
        _refusedByLogs(
            abi.encodeCall(logs.verifyInclusion, (log, other, UniformTree.LEAF, 3, proof)),
            abi.encodeWithSelector(ICheckpointLog.CheckpointLogNotKept.selector, log, other)
        );
        _refusedByLogs(
            abi.encodeCall(logs.verifyInclusion, (log, current, UniformTree.LEAF, 7, proof)),
            abi.encodeWithSelector(Rfc6962.Rfc6962IndexOutOfRange.selector, 7, 7)
        );
        _refusedByLogs(
            abi.encodeCall(logs.verifyInclusion, (log, _empty(), UniformTree.LEAF, 0, new bytes32[](0))),
            abi.encodeWithSelector(Rfc6962.Rfc6962SizeZero.selector)
        );
    }

    function test_attestEmitsTheLastCheckpoint() external {
        _publish(7);
        vm.expectEmit(true, true, true, true, address(logs));
        emit ICheckpointLog.LogAttested(log, 7, current.root, NOW, registry.historyHead());
        logs.attest(log, current);
    }

    function test_attestRefusesWhatIsNotTheLast() external {
        _publish(7);
        ICheckpointLog.Commitment memory older = current;
        _publish(9);
        _refusedByLogs(
            abi.encodeCall(logs.attest, (log, older)),
            abi.encodeWithSelector(ICheckpointLog.CheckpointLogNotCurrent.selector, log, older, 2, NOW)
        );
    }
}
