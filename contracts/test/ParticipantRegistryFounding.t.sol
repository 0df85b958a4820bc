// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ParticipantRegistry} from "../src/ParticipantRegistry.sol";
import {IParticipantRegistry} from "../src/interfaces/IParticipantRegistry.sol";
import {IStatementExecutor} from "../src/interfaces/IStatementExecutor.sol";
import {Custody} from "../src/types/Enumerations.sol";
import {ParticipantApplication, ParticipantRegistryTypes} from "../src/types/ParticipantRegistryTypes.sol";
import {Consortium} from "./support/Consortium.sol";

contract ParticipantRegistryFoundingTest is Consortium {
    function test_foundersAreActiveAndGovern() external view {
        Member[3] memory founders = [alpha, beta, gamma];
        for (uint256 i = 0; i < founders.length; ++i) {
            _assertStatus(founders[i], IParticipantRegistry.Status.Active);
            vm.assertTrue(registry.isGovernor(founders[i].id), "governs");
            vm.assertEq(registry.participantOf(vm.addr(founders[i].controlKey)), founders[i].id, "control key");
            vm.assertEq(registry.participantOf(vm.addr(founders[i].signingKey)), founders[i].id, "signing key");
        }
        vm.assertEq(registry.governorCount(), 3, "governors");
        vm.assertEq(registry.threshold(), 2, "threshold");
        vm.assertEq(registry.epoch(), 1, "epoch");
    }

    function test_foundersHaveTheKeyAndProfileOfTheirApplication() external view {
        (uint64 from, uint64 until, uint8 custody) = registry.keyOf(alpha.id, vm.addr(alpha.signingKey));
        vm.assertEq(from, NOW, "from");
        vm.assertEq(until, 0, "open");
        vm.assertEq(custody, Custody.OWN, "custody");
        (uint64 version, bytes32 profileHash) = registry.profileOf(alpha.id);
        vm.assertEq(version, 1, "version");
        vm.assertEq(profileHash, keccak256("alpha"), "profile");
        vm.assertEq(uint256(uint160(registry.controlKeyOf(alpha.id))), uint160(vm.addr(alpha.controlKey)), "control");
    }

    function test_theDomainIsTheContractsOwn() external view {
        (, string memory name, string memory version, uint256 chainId, address verifying, , ) = registry
            .eip712Domain();
        vm.assertEq(bytes(name), "Concord", "name");
        vm.assertEq(bytes(version), "1", "version");
        vm.assertEq(chainId, block.chainid, "chain id");
        vm.assertEq(uint256(uint160(verifying)), uint160(address(registry)), "contract");
    }

    function test_refusesNoFounder() external {
        _refusesFounding(
            new IParticipantRegistry.Founding[](0),
            1,
            abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryFounderCount.selector, 0)
        );
    }

    function test_refusesMoreThanSixteenFounders() external {
        _refusesFounding(
            new IParticipantRegistry.Founding[](17),
            1,
            abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryFounderCount.selector, 17)
        );
    }

    function test_sixteenFoundersDeploy() external {
        IParticipantRegistry.Founding[] memory founders = new IParticipantRegistry.Founding[](16);
        for (uint256 i = 0; i < founders.length; ++i) {
            founders[i] = _founding(_member(string(abi.encodePacked("founder", uint8(i)))));
        }
        vm.assertEq(new ParticipantRegistry(founders, 16).governorCount(), 16, "governors");
    }

    // INV-7: the threshold is from 1 to the number of governors.
    function test_INV7_refusesThresholdOutOfRange() external {
        uint256[2] memory thresholds = [uint256(0), 4];
        for (uint256 i = 0; i < thresholds.length; ++i) {
            _refusesFounding(
                _foundings(),
                thresholds[i],
                abi.encodeWithSelector(
                    IParticipantRegistry.ParticipantRegistryThresholdOutOfRange.selector,
                    thresholds[i],
                    3
                )
            );
        }
    }

    function test_refusesOneFounderTwice() external {
        IParticipantRegistry.Founding[] memory founders = _foundings();
        founders[2] = founders[0];
        _refusesFounding(
            founders,
            2,
            abi.encodeWithSelector(
                IParticipantRegistry.ParticipantRegistryAddressTaken.selector,
                vm.addr(alpha.controlKey),
                alpha.id
            )
        );
    }

    function test_refusesFounderWithoutItsSignature() external {
        IParticipantRegistry.Founding[] memory founders = _foundings();
        (address next, ParticipantApplication memory application) = (_next(), _application(alpha));
        bytes32 structHash = keccak256(
            abi.encode(ParticipantRegistryTypes.PARTICIPANT_APPLICATION_TYPEHASH, application)
        );
        founders[0].controlSignature = founders[1].controlSignature;
        _refusesFounding(
            founders,
            2,
            abi.encodeWithSelector(
                IStatementExecutor.StatementExecutorSignatureInvalid.selector,
                _typed(next, structHash),
                vm.addr(alpha.controlKey)
            )
        );
    }

    function test_refusesFounderAfterItsDeadline() external {
        IParticipantRegistry.Founding[] memory founders = _foundings();
        ParticipantApplication memory application = _application(alpha);
        bytes32 structHash = keccak256(
            abi.encode(ParticipantRegistryTypes.PARTICIPANT_APPLICATION_TYPEHASH, application)
        );
        bytes32 digest = _typed(_next(), structHash);
        vm.warp(DEADLINE + 1);
        _refusesFounding(
            founders,
            2,
            abi.encodeWithSelector(
                IStatementExecutor.StatementExecutorDeadlinePassed.selector,
                digest,
                DEADLINE,
                DEADLINE + 1
            )
        );
    }

    // A founder's signature is good for one contract on one chain.
    function test_refusesFounderOfAnotherRegistry() external {
        IParticipantRegistry.Founding[] memory founders = _foundings();
        new ParticipantRegistry(founders, 2);
        (bool deployed, ) = address(this).call(abi.encodeCall(this.deploy, (founders, 2)));
        vm.assertFalse(deployed, "another address, another digest");
    }

    function deploy(IParticipantRegistry.Founding[] memory founders, uint256 threshold) external {
        new ParticipantRegistry(founders, threshold);
    }

    function _next() private view returns (address) {
        return vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
    }

    function _refusesFounding(
        IParticipantRegistry.Founding[] memory founders,
        uint256 threshold,
        bytes memory refusal
    ) private {
        (bool deployed, bytes memory answer) = address(this).call(abi.encodeCall(this.deploy, (founders, threshold)));
        vm.assertEq(answer, refusal, "the refusal");
        vm.assertFalse(deployed, "refused");
    }
}
