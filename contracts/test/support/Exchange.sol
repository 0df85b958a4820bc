// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessGrants} from "../../src/AccessGrants.sol";
import {CheckpointLog} from "../../src/CheckpointLog.sol";
import {DatasetRegistry} from "../../src/DatasetRegistry.sol";
import {ParticipantRegistry} from "../../src/ParticipantRegistry.sol";
import {SharingAgreements} from "../../src/SharingAgreements.sol";
import {IParticipantRegistry} from "../../src/interfaces/IParticipantRegistry.sol";
import {Choice, Custody, Decision} from "../../src/types/Enumerations.sol";
import {
    GovernanceVote,
    KeyAddition,
    KeyRevocation,
    ParticipantApplication,
    ParticipantRegistryTypes
} from "../../src/types/ParticipantRegistryTypes.sol";
import {Erc1271Wallet} from "./Erc1271Wallet.sol";
import {Relay} from "./Relay.sol";

// A consortium with one governor and four participants, on all five contracts.
abstract contract Exchange is Relay {
    struct Member {
        bytes32 id;
        uint256 controlKey;
        uint256 signingKey;
        address signer;
    }

    uint64 internal constant NOW = 1_800_000_000;
    uint64 internal constant DEADLINE = NOW + 1 days;

    ParticipantRegistry internal registry;
    CheckpointLog internal checkpointLog;
    DatasetRegistry internal datasets;
    AccessGrants internal grants;
    SharingAgreements internal agreements;

    Member internal governor;
    Member internal utility;
    Member internal analyst;
    Member internal maker;
    Member internal outsider; // applied, never admitted

    function setUp() public virtual {
        vm.warp(NOW);
        governor = _member("governor");
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        IParticipantRegistry.Founding[] memory founders = new IParticipantRegistry.Founding[](1);
        ParticipantApplication memory application = _application(governor, "governor");
        bytes32 digest = _typed(predicted, _hash(application));
        founders[0] = IParticipantRegistry.Founding({
            application: application,
            controlSignature: _signature(governor.controlKey, digest),
            keySignature: _signature(governor.signingKey, digest)
        });
        registry = new ParticipantRegistry(founders, 1);
        checkpointLog = new CheckpointLog(registry);
        datasets = new DatasetRegistry(registry, checkpointLog);
        grants = new AccessGrants(registry, datasets);
        agreements = new SharingAgreements(registry);
        utility = _admitted("utility");
        analyst = _admitted("analyst");
        maker = _admitted("maker");
        outsider = _member("outsider");
        _apply(outsider, "outsider");
    }

    // --- Participants ------------------------------------------------------------------------------------------------

    function _admitted(string memory name) internal returns (Member memory member) {
        member = _member(name);
        _decide(Decision.ADMIT, member.id, _apply(member, name));
    }

    function _apply(Member memory member, string memory name) internal returns (bytes32 digest) {
        ParticipantApplication memory application = _application(member, name);
        digest = _typed(address(registry), _hash(application));
        registry.applyForAdmission(
            application,
            vm.addr(member.controlKey),
            _signature(member.controlKey, digest),
            _signature(member.signingKey, digest)
        );
    }

    function _decide(uint8 decision, bytes32 subject, bytes32 argument) internal {
        GovernanceVote memory ballot = GovernanceVote({
            participant: governor.id,
            decision: decision,
            subject: subject,
            argument: argument,
            choice: Choice.APPROVE,
            epoch: registry.epoch(),
            counter: registry.counterOf(subject),
            deadline: type(uint64).max,
            salt: _salt()
        });
        bytes32 digest = _typed(
            address(registry),
            keccak256(abi.encode(ParticipantRegistryTypes.GOVERNANCE_VOTE_TYPEHASH, ballot))
        );
        registry.vote(ballot, vm.addr(governor.controlKey), _signature(governor.controlKey, digest));
    }

    function _suspend(Member memory member) internal {
        _decide(Decision.SUSPEND, member.id, 0);
    }

    function _reinstate(Member memory member) internal {
        _decide(Decision.REINSTATE, member.id, 0);
    }

    function _retire(Member memory member) internal {
        _decide(Decision.RETIRE, member.id, 0);
    }

    function _revokeKey(Member memory member) internal {
        KeyRevocation memory statement = KeyRevocation(member.id, member.signer, type(uint64).max, _salt());
        bytes32 digest = _typed(
            address(registry),
            keccak256(abi.encode(ParticipantRegistryTypes.KEY_REVOCATION_TYPEHASH, statement))
        );
        registry.revokeKey(statement, vm.addr(member.controlKey), _signature(member.controlKey, digest));
    }

    // A contract becomes one of the member's signing keys.
    function _wallet(Member memory member) internal returns (Erc1271Wallet wallet) {
        wallet = new Erc1271Wallet();
        KeyAddition memory statement = KeyAddition(
            member.id,
            address(wallet),
            Custody.OWN,
            type(uint64).max,
            _salt()
        );
        bytes32 digest = _typed(
            address(registry),
            keccak256(abi.encode(ParticipantRegistryTypes.KEY_ADDITION_TYPEHASH, statement))
        );
        wallet.approve(digest, "");
        registry.addKey(statement, vm.addr(member.controlKey), _signature(member.controlKey, digest), "");
    }

    // --- Names -------------------------------------------------------------------------------------------------------

    function _member(string memory name) private pure returns (Member memory member) {
        member.controlKey = uint256(keccak256(abi.encode(name, "control")));
        member.signingKey = uint256(keccak256(abi.encode(name, "signing")));
        member.signer = vm.addr(member.signingKey);
        member.id = keccak256(abi.encode(vm.addr(member.controlKey), keccak256(bytes(name))));
    }

    function _application(
        Member memory member,
        string memory name
    ) private pure returns (ParticipantApplication memory) {
        return
            ParticipantApplication({
                participant: member.id,
                controlKey: vm.addr(member.controlKey),
                signingKey: member.signer,
                custody: Custody.OWN,
                profileHash: keccak256(abi.encode(name, "profile")),
                deadline: DEADLINE,
                salt: keccak256(bytes(name))
            });
    }

    function _hash(ParticipantApplication memory application) private pure returns (bytes32) {
        return keccak256(abi.encode(ParticipantRegistryTypes.PARTICIPANT_APPLICATION_TYPEHASH, application));
    }
}
