// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICheckpointLog} from "../src/interfaces/ICheckpointLog.sol";
import {IStatementExecutor} from "../src/interfaces/IStatementExecutor.sol";
import {Decision} from "../src/types/Enumerations.sol";
import {LogClosing, LogOpening, LogRotation} from "../src/types/CheckpointLogTypes.sol";
import {Gateway} from "./support/Gateway.sol";

// Opening, rotating and closing logs.
contract CheckpointLogTest is Gateway {
    function test_INV8_openTakesEffectOnce() external {
        bytes memory call = _call(alpha, _opening(alpha, "alpha.example/log"));
        _executesOnLogs(call);
        _assertExecutes(address(logs), call, false);
        ICheckpointLog.Log memory opened = logs.logOf(_logOf(alpha, "alpha.example/log"));
        vm.assertEq(opened.participant, alpha.id, "operator");
        vm.assertEq(uint256(uint160(opened.publisher)), uint160(PUBLISHER), "publisher");
        vm.assertEq(opened.verifierKey, _verifierKey(alpha, "alpha.example/log"), "verifier key");
        vm.assertEq(opened.checkpoints, 0, "checkpoints");
        vm.assertEq(opened.time, NOW, "time");
        vm.assertFalse(opened.closed, "open");
    }

    function test_twoOperatorsMayUseOneOriginAndOneOperatorTwo() external {
        bytes32 second = _open(alpha, "gateway.example/log");
        bytes32 third = _open(delta, "gateway.example/other");
        vm.assertTrue(second != log && third != log && second != third, "three logs");
    }

    function test_refusesASecondLogOfTheSameOrigin() external {
        _refusedByLogs(
            _call(delta, _opening(delta, "gateway.example/log")),
            abi.encodeWithSelector(ICheckpointLog.CheckpointLogAlreadyOpen.selector, log)
        );
    }

    function test_refusesAnOriginThatIsNoKeyName() external {
        string[6] memory origins = ["", "a b", "a\nb", "a+b", "a\x7fb", string(new bytes(256))];
        for (uint256 i = 0; i < origins.length; ++i) {
            _refusedByLogs(
                _call(delta, _opening(delta, origins[i])),
                abi.encodeWithSelector(ICheckpointLog.CheckpointLogOrigin.selector, origins[i])
            );
        }
    }

    function test_refusesAnOriginThatHoldsAnyOtherByteThanPrintableAscii() external {
        for (uint256 byteValue = 0; byteValue < 256; ++byteValue) {
            string memory origin = string(abi.encodePacked("log", uint8(byteValue)));
            if (byteValue > 0x20 && byteValue < 0x7f && byteValue != 0x2b) {
                _open(delta, origin);
                continue;
            }
            _refusedByLogs(
                _call(delta, _opening(delta, origin)),
                abi.encodeWithSelector(ICheckpointLog.CheckpointLogOrigin.selector, origin)
            );
        }
    }

    function test_takesAnOriginOf255Bytes() external {
        bytes memory origin = new bytes(255);
        for (uint256 i = 0; i < origin.length; ++i) origin[i] = "a";
        _open(delta, string(origin));
    }

    function test_refusesAPublisherOrVerifierKeyOfZero() external {
        LogOpening memory opening = _opening(delta, "x");
        opening.publisher = address(0);
        _refusedByLogs(_call(delta, opening), _keyZero(address(0), opening.verifierKey));
        opening = _opening(delta, "x");
        opening.verifierKey = 0;
        _refusedByLogs(_call(delta, opening), _keyZero(PUBLISHER, 0));
        _refusedByLogs(
            _call(delta, _logRotation(1, address(0))),
            _keyZero(address(0), _rotatedKey(1))
        );
    }

    function test_INV1_onlyAnActiveSigningKeyOpens() external {
        Member memory thief = delta;
        thief.signingKey = delta.controlKey;
        _refusedByLogs(_call(thief, _opening(delta, "x")), _notActive(thief, 1, false));
        _decide(Decision.SUSPEND, delta.id, 0);
        _refusedByLogs(_call(delta, _opening(delta, "x")), _notActive(delta, 2, true));
        _decide(Decision.REINSTATE, delta.id, 0);
        bytes memory call = _call(delta, _opening(delta, "x"));
        _executes(_call(delta, _revocation(delta, delta.signingKey)));
        _refusedByLogs(call, _notActive(delta, 1, false));
    }

    function test_refusesEveryStatementAfterItsDeadline() external {
        (LogOpening memory opening, LogRotation memory rotation, LogClosing memory closing) = (
            _opening(delta, "x"),
            _logRotation(1, PUBLISHER),
            _closing(0)
        );
        bytes[3] memory calls = [_call(delta, opening), _call(delta, rotation), _call(delta, closing)];
        bytes32[3] memory digests = [_digest(opening), _digest(rotation), _digest(closing)];
        vm.warp(DEADLINE + 1);
        bytes4 refusal = IStatementExecutor.StatementExecutorDeadlinePassed.selector;
        for (uint256 i = 0; i < calls.length; ++i) {
            _refusedByLogs(calls[i], abi.encodeWithSelector(refusal, digests[i], DEADLINE, DEADLINE + 1));
        }
    }

    function test_INV8_rotateTakesEffectOnce() external {
        address next = address(0x7e87);
        bytes memory call = _call(delta, _logRotation(1, next));
        _executesOnLogs(call);
        _assertExecutes(address(logs), call, false);
        ICheckpointLog.Log memory rotated = logs.logOf(log);
        vm.assertEq(uint256(uint160(rotated.publisher)), uint160(next), "publisher");
        vm.assertEq(rotated.verifierKey, _rotatedKey(1), "verifier key");
        vm.assertEq(rotated.rotations, 1, "rotations");
        _refusesPublishing(
            PUBLISHER,
            _publishCall(1),
            abi.encodeWithSelector(ICheckpointLog.CheckpointLogNotPublisher.selector, log, next, PUBLISHER)
        );
    }

    function test_aVerifierKeyBelongsToTheLogThatFirstHadItForEver() external {
        bytes32 first = _verifierKey(delta, "gateway.example/log");
        _executesOnLogs(_call(delta, _logRotation(1, PUBLISHER)));
        _executesOnLogs(_call(delta, _closing(0)));
        for (uint64 i = 0; i < 2; ++i) {
            LogOpening memory clone = _opening(alpha, "gateway.example/log");
            clone.verifierKey = i == 0 ? first : _rotatedKey(i);
            _refusedByLogs(_call(alpha, clone), _keyTaken(_logOf(alpha, clone.origin), clone.verifierKey, log));
        }
        _open(alpha, "gateway.example/log");
    }

    function test_rotateRefusesAKeyOfAnotherLogAndAnOldOneOfItsOwn() external {
        bytes32 other = _open(alpha, "alpha.example/log");
        LogRotation memory rotation = _logRotation(1, PUBLISHER);
        rotation.verifierKey = _verifierKey(alpha, "alpha.example/log");
        _refusedByLogs(_call(delta, rotation), _keyTaken(log, rotation.verifierKey, other));
        _executesOnLogs(_call(delta, _logRotation(1, PUBLISHER)));
        rotation = _logRotation(2, PUBLISHER);
        rotation.verifierKey = _verifierKey(delta, "gateway.example/log");
        _refusedByLogs(_call(delta, rotation), _keyTaken(log, rotation.verifierKey, log));
    }

    function test_rotateTakesThePresentKeyWithAnotherPublisher() external {
        LogRotation memory rotation = _logRotation(1, address(0x7e87));
        rotation.verifierKey = _verifierKey(delta, "gateway.example/log");
        _executesOnLogs(_call(delta, rotation));
        vm.assertEq(logs.logOf(log).verifierKey, rotation.verifierKey, "the key stays");
    }

    function test_rotateRefusesEveryOtherCounter(uint64 counter) external {
        vm.assume(counter != 1);
        _refusedByLogs(
            _call(delta, _logRotation(counter, PUBLISHER)),
            abi.encodeWithSelector(ICheckpointLog.CheckpointLogCounter.selector, log, 1, counter)
        );
    }

    function test_INV8_closeTakesEffectOnceAndEndsTheLog() external {
        bytes32 successor = keccak256("successor");
        _publish(5);
        bytes memory call = _call(delta, _closing(successor));
        _executesOnLogs(call);
        _assertExecutes(address(logs), call, false);
        vm.assertTrue(logs.logOf(log).closed, "closed");
        vm.assertEq(logs.logOf(log).successor, successor, "successor");
        bytes memory refusal = abi.encodeWithSelector(ICheckpointLog.CheckpointLogClosed.selector, log);
        _refusesPublishing(PUBLISHER, _publishCall(6), refusal);
        _refusedByLogs(_call(delta, _logRotation(1, PUBLISHER)), refusal);
        _refusedByLogs(_call(delta, _closing(0)), refusal);
        logs.attest(log, current);
    }

    function test_closeRefusesItselfAsSuccessor() external {
        _refusedByLogs(
            _call(delta, _closing(log)),
            abi.encodeWithSelector(ICheckpointLog.CheckpointLogSuccessor.selector, log)
        );
    }

    function test_INV1_onlyTheOperatorRotatesAndCloses() external {
        LogRotation memory rotation = _logRotation(1, PUBLISHER);
        rotation.participant = alpha.id;
        bytes memory refusal = abi.encodeWithSelector(
            ICheckpointLog.CheckpointLogNotOperator.selector,
            log,
            delta.id,
            alpha.id
        );
        _refusedByLogs(_call(alpha, rotation), refusal);
        LogClosing memory closing = _closing(0);
        closing.participant = alpha.id;
        _refusedByLogs(_call(alpha, closing), refusal);
    }

    function test_refusesALogThatWasNeverOpened() external {
        log = keccak256("no log");
        bytes memory refusal = abi.encodeWithSelector(ICheckpointLog.CheckpointLogUnknown.selector, log);
        _refusedByLogs(_call(delta, _logRotation(1, PUBLISHER)), refusal);
        _refusedByLogs(_call(delta, _closing(0)), refusal);
        _refusesPublishing(PUBLISHER, _publishCall(1), refusal);
    }

    function _keyZero(address publisher, bytes32 verifierKey) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ICheckpointLog.CheckpointLogKeyZero.selector, publisher, verifierKey);
    }

    function _keyTaken(bytes32 taker, bytes32 verifierKey, bytes32 owner) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ICheckpointLog.CheckpointLogKeyTaken.selector, taker, verifierKey, owner);
    }

    function _notActive(Member memory member, uint8 status, bool keyActive) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(
                IStatementExecutor.StatementExecutorSignerNotActive.selector,
                member.id,
                vm.addr(member.signingKey),
                status,
                keyActive
            );
    }
}
