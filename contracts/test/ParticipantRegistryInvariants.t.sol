// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ParticipantRegistry} from "../src/ParticipantRegistry.sol";
import {IParticipantRegistry} from "../src/interfaces/IParticipantRegistry.sol";
import {Cheats} from "./support/Cheats.sol";
import {RegistryHandler} from "./support/RegistryHandler.sol";

contract ParticipantRegistryInvariants is Cheats {
    uint256 private constant _MEMBERS = 6;

    RegistryHandler private _handler;
    ParticipantRegistry private _registry;

    function setUp() external {
        _handler = new RegistryHandler();
        _registry = _handler.target();
    }

    // Where forge looks for what to call.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function invariant_INV7_governorsNeverFallBelowTheThreshold() external view {
        vm.assertTrue(_registry.threshold() >= 1, "INV-7 a threshold");
        vm.assertLe(_registry.threshold(), _registry.governorCount(), "INV-7 enough governors");
        for (uint256 i = 0; i < _MEMBERS; ++i) {
            (bytes32 id, ) = _handler.member(i);
            bool active = _registry.statusOf(id) == IParticipantRegistry.Status.Active;
            vm.assertTrue(active || !_registry.isGovernor(id), "INV-7 governors are Active");
        }
    }

    // INV-1 and INV-8 are asserted by the handler at every action.
    function invariant_INV9_theHistoryTellsTheWholeState() external view {
        vm.assertEq(_registry.historyHead(), _handler.head(), "INV-9 head");
        vm.assertEq(_registry.historyLength(), _handler.length(), "INV-9 length");
        vm.assertEq(_registry.governorCount(), _handler.governors(), "INV-9 governors");
        vm.assertEq(_registry.threshold(), _handler.threshold(), "INV-9 threshold");
        for (uint256 i = 0; i < _MEMBERS; ++i) _assertAsTold(i);
    }

    function _assertAsTold(uint256 index) private view {
        (bytes32 id, address key) = _handler.member(index);
        (IParticipantRegistry.Status status, bool active) = _registry.signerStatus(id, key);
        vm.assertTrue(status == _handler.status(id), "INV-9 status");
        vm.assertTrue(active == _handler.active(id, key), "INV-9 signing key");
        vm.assertTrue(_registry.controlKeyOf(id) == _handler.controlKey(id), "INV-9 control key");
        vm.assertTrue(_registry.isGovernor(id) == _handler.governs(id), "INV-9 governor");
    }
}
