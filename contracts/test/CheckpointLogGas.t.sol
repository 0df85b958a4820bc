// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Gateway} from "./support/Gateway.sol";

// What a publisher pays, the transaction's own cost included: run with FOUNDRY_PROFILE=gas.
contract CheckpointLogGasTest is Gateway {
    uint64 private constant _ENTRIES = 1 << 20;
    uint64 private constant _BATCH = 997;

    // Sizes on both sides of 2^20, so that short and long proofs are among them.
    function test_gas_publish() external {
        uint64 size = _ENTRIES - (64 + 128) * _BATCH;
        for (uint256 i = 0; i < 64; ++i) _publishAndMeasure(size += _BATCH);
        uint256 dearest = 0;
        for (uint256 i = 0; i < 256; ++i) {
            uint256 gas = _publishAndMeasure(size += _BATCH);
            if (gas > dearest) dearest = gas;
        }
        vm.snapshotValue("CheckpointLog", "publishDearestAt2To20", dearest);
        vm.assertLe(dearest, 66_000, "the dearest of 256 checkpoints around 2^20 entries");
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
