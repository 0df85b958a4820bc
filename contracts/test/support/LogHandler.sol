// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CheckpointLog} from "../../src/CheckpointLog.sol";
import {ICheckpointLog} from "../../src/interfaces/ICheckpointLog.sol";
import {Decision} from "../../src/types/Enumerations.sol";
import {Gateway} from "./Gateway.sol";
import {Tree} from "./Tree.sol";

// A publisher, honest and not, of a log with few leaves, which are kept here. Each action asserts what must come of it.
contract LogHandler is Gateway {
    uint256 private constant _MOST = 48;

    address public publisher = PUBLISHER;
    uint64 public published;
    uint64 private _rotations;
    bytes private _last;

    constructor() {
        Gateway.setUp();
    }

    // Nothing: forge may call it like any other action.
    function setUp() public override {}

    function target() external view returns (CheckpointLog) {
        return logs;
    }

    function state() external view returns (bytes32, ICheckpointLog.Commitment memory) {
        return (log, current);
    }

    function later(uint8 time) external {
        vm.warp(block.timestamp + time);
    }

    // The root that an honest log has at `size`.
    function rootOf(uint256 size) public pure returns (bytes32) {
        return Tree.rootOf(_leaves(size, 0));
    }

    function publishMore(uint256 more) external {
        uint64 size = _next(more);
        bytes memory call = _publishing(current, size, 0);
        bool grows = size != current.size;
        bool done = _try(publisher, call);
        vm.assertTrue(done == grows, "INV-3 an honest checkpoint is recorded, once");
        if (!done) return;
        current = ICheckpointLog.Commitment(size, rootOf(size), uint64(block.timestamp));
        ++published;
        _last = call;
    }

    // The same log with another history: its own proof is right, and leads elsewhere.
    function publishFork(uint256 more, uint8 forged) external {
        uint64 size = _next(more);
        if (current.size == 0) return;
        vm.assertFalse(_try(publisher, _publishing(current, size, 1 + forged % current.size)), "INV-3 no fork");
    }

    function publishLess(uint256 less) external {
        if (current.size == 0) return;
        uint64 size = uint64(_bound(less, 0, current.size - 1));
        bytes memory call = abi.encodeCall(logs.publish, (log, current, size, rootOf(size), new bytes32[](0)));
        vm.assertFalse(_try(publisher, call), "INV-3 sizes never decrease");
    }

    function publishAs(address sender, uint256 more) external {
        if (sender == publisher) return;
        vm.assertFalse(_try(sender, _publishing(current, _next(more), 0)), "INV-3 only the publisher");
    }

    function publishFromElsewhere(uint64 size, bytes32 root, uint256 more) external {
        ICheckpointLog.Commitment memory other = ICheckpointLog.Commitment(size, root, current.time);
        if (size == current.size && root == current.root) return;
        bytes memory call = abi.encodeCall(
            logs.publish,
            (log, other, _next(more), rootOf(_next(more)), new bytes32[](0))
        );
        vm.assertFalse(_try(publisher, call), "INV-3 against its own record");
    }

    // INV-8: the last checkpoint again, by whomever.
    function replay(address sender) external {
        if (_last.length != 0) vm.assertFalse(_try(sender, _last), "INV-8 a repeat is a no-op");
    }

    function rotate(address next) external {
        if (next == address(0)) return;
        bool active = uint256(registry.statusOf(delta.id)) == 1;
        bool done = _try(next, _call(delta, _logRotation(_rotations + 1, next)));
        vm.assertTrue(done == active, "INV-1 an Active operator alone rotates");
        if (done) (publisher, _rotations) = (next, _rotations + 1);
    }

    function govern(bool suspend) external {
        bool active = uint256(registry.statusOf(delta.id)) == 1;
        if (active && suspend) _decide(Decision.SUSPEND, delta.id, 0);
        if (!active) _decide(Decision.REINSTATE, delta.id, 0);
    }

    // Whether it was recorded; the operator's suspension is of no account.
    function _try(address sender, bytes memory call) private returns (bool) {
        vm.prank(sender);
        (bool success, bytes memory answer) = address(logs).call(call);
        return success && abi.decode(answer, (bool));
    }

    function _next(uint256 more) private view returns (uint64) {
        return current.size >= _MOST ? current.size : uint64(_bound(more, current.size, _MOST));
    }

    function _publishing(
        ICheckpointLog.Commitment memory from,
        uint64 size,
        uint256 forged
    ) private view returns (bytes memory) {
        bytes32[] memory leaves = _leaves(size, forged);
        bytes32[] memory proof = from.size == 0
            ? new bytes32[](0)
            : Tree.consistencyProof(leaves, from.size);
        return abi.encodeCall(logs.publish, (log, from, size, Tree.rootOf(leaves), proof));
    }

    // Leaf number `forged`, counted from 1, is another than in the honest log.
    function _leaves(uint256 count, uint256 forged) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) leaves[i] = keccak256(abi.encode(i, i + 1 == forged));
    }
}
