// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Gateway} from "./support/Gateway.sol";

// What a publisher pays, the transaction's own cost included.
/// forge-config: default.isolate = true
contract CheckpointLogGasTest is Gateway {
    uint64 private constant _ENTRIES = 1 << 20;
    uint64 private constant _BATCH = 997;

    // The steady state: the ring is filled, and 256 checkpoints follow from 2^20 entries on.
    function test_gas_publish() external {
        uint64 size = _ENTRIES - 64 * _BATCH;
        for (uint256 i = 0; i < 64; ++i) _publishAndMeasure(size += _BATCH);
        (uint256 dearest, uint256 sum) = (0, 0);
        for (uint256 i = 0; i < 256; ++i) {
            uint256 gas = _publishAndMeasure(size += _BATCH);
            sum += gas;
            if (gas > dearest) dearest = gas;
        }
        vm.snapshotValue("CheckpointLog", "publishAt2To20Mean", sum / 256);
        vm.snapshotValue("CheckpointLog", "publishAt2To20Dearest", dearest);
        vm.assertLe(dearest, 66_000, "the dearest of 256 checkpoints from 2^20 entries on");
    }

    function _publishAndMeasure(uint64 size) private returns (uint256 gas) {
        vm.warp(block.timestamp + 10);
        bytes memory call = _publishCall(size);
        vm.prank(PUBLISHER);
        (bool success, ) = address(logs).call(call);
        gas = vm.lastCallGas().gasTotalUsed;
        vm.assertTrue(success, "published");
        current = _uniform(size);
    }
}
