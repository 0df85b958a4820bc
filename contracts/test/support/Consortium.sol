// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ParticipantRegistry} from "../../src/ParticipantRegistry.sol";
import {IParticipantRegistry} from "../../src/interfaces/IParticipantRegistry.sol";
import {Choice, Custody, Decision} from "../../src/types/Enumerations.sol";
import {
    ControlKeyClaim,
    ControlKeyRotation,
    GovernanceVote,
    KeyAddition,
    KeyRevocation,
    ParticipantApplication,
    ParticipantRegistryTypes as Types,
    ParticipantRetirement,
    ProfileUpdate
} from "../../src/types/ParticipantRegistryTypes.sol";
import {Relay} from "./Relay.sol";

// Three founders of whom two must agree, and the calls that relay each statement to the registry.
abstract contract Consortium is Relay {
    struct Member {
        string name;
        bytes32 id;
        uint256 controlKey;
        uint256 signingKey;
    }

    uint64 internal constant NOW = 1_800_000_000;
    uint64 internal constant DEADLINE = NOW + 1 days;

    ParticipantRegistry internal registry;
    Member internal alpha;
    Member internal beta;
    Member internal gamma;
    Member internal delta; // admitted by vote, does not govern

    function setUp() public virtual {
        vm.warp(NOW);
        (alpha, beta, gamma, delta) = (_member("alpha"), _member("beta"), _member("gamma"), _member("delta"));
        registry = new ParticipantRegistry(_foundings(), 2);
        _admit(delta);
    }

    // --- Members ---

    function _member(string memory name) internal pure returns (Member memory) {
        uint256 controlKey = uint256(keccak256(abi.encode(name, "control")));
        uint256 signingKey = uint256(keccak256(abi.encode(name, "signing")));
        return Member(name, keccak256(abi.encode(vm.addr(controlKey), keccak256(bytes(name)))), controlKey, signingKey);
    }

    function _application(Member memory member) internal pure returns (ParticipantApplication memory) {
        return
            ParticipantApplication({
                participant: member.id,
                controlKey: vm.addr(member.controlKey),
                signingKey: vm.addr(member.signingKey),
                custody: Custody.OWN,
                profileHash: keccak256(bytes(member.name)),
                deadline: DEADLINE,
                salt: keccak256(bytes(member.name))
            });
    }

    // For the next contract that this one deploys.
    function _founding(Member memory member) internal view returns (IParticipantRegistry.Founding memory) {
        return _founding(member, _application(member));
    }

    function _founding(
        Member memory member,
        ParticipantApplication memory application
    ) internal view returns (IParticipantRegistry.Founding memory) {
        address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        bytes32 digest = _typed(next, keccak256(abi.encode(Types.PARTICIPANT_APPLICATION_TYPEHASH, application)));
        return
            IParticipantRegistry.Founding(
                application,
                _signature(member.controlKey, digest),
                _signature(member.signingKey, digest)
            );
    }

    function _foundings() internal view returns (IParticipantRegistry.Founding[] memory founders) {
        founders = new IParticipantRegistry.Founding[](3);
        (founders[0], founders[1], founders[2]) = (_founding(alpha), _founding(beta), _founding(gamma));
    }

    function _admit(Member memory member) internal {
        ParticipantApplication memory application = _application(member);
        _executes(_call(member, application));
        _decide(Decision.ADMIT, member.id, _digest(application));
    }

    // Alpha and beta agree.
    function _decide(uint8 decision, bytes32 subject, bytes32 argument) internal {
        GovernanceVote memory first = _ballot(alpha, decision, subject, argument);
        GovernanceVote memory second = _ballot(beta, decision, subject, argument);
        _executes(_call(alpha, first));
        _executes(_call(beta, second));
    }

    // --- Statements ---

    function _ballot(
        Member memory governor,
        uint8 decision,
        bytes32 subject,
        bytes32 argument
    ) internal returns (GovernanceVote memory) {
        return
            GovernanceVote({
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
    }

    function _addition(Member memory member, uint256 newKey) internal returns (KeyAddition memory) {
        return KeyAddition(member.id, vm.addr(newKey), Custody.CUSTODIAL, DEADLINE, _salt());
    }

    function _revocation(Member memory member, uint256 key) internal returns (KeyRevocation memory) {
        return KeyRevocation(member.id, vm.addr(key), DEADLINE, _salt());
    }

    function _rotation(Member memory member, uint256 newKey) internal returns (ControlKeyRotation memory) {
        return ControlKeyRotation(member.id, vm.addr(newKey), DEADLINE, _salt());
    }

    function _claim(Member memory member, uint256 newKey) internal returns (ControlKeyClaim memory) {
        return ControlKeyClaim(member.id, vm.addr(newKey), DEADLINE, _salt());
    }

    function _profile(Member memory member, uint64 version) internal returns (ProfileUpdate memory) {
        return ProfileUpdate(member.id, version, keccak256(abi.encode(member.name, version)), DEADLINE, _salt());
    }

    function _retirement(Member memory member) internal returns (ParticipantRetirement memory) {
        return ParticipantRetirement(member.id, DEADLINE, _salt());
    }

    // --- Digests ---

    function _digest(ParticipantApplication memory statement) internal view returns (bytes32) {
        return _digest(Types.PARTICIPANT_APPLICATION_TYPEHASH, abi.encode(statement));
    }

    function _digest(KeyAddition memory statement) internal view returns (bytes32) {
        return _digest(Types.KEY_ADDITION_TYPEHASH, abi.encode(statement));
    }

    function _digest(KeyRevocation memory statement) internal view returns (bytes32) {
        return _digest(Types.KEY_REVOCATION_TYPEHASH, abi.encode(statement));
    }

    function _digest(ControlKeyRotation memory statement) internal view returns (bytes32) {
        return _digest(Types.CONTROL_KEY_ROTATION_TYPEHASH, abi.encode(statement));
    }

    function _digest(ControlKeyClaim memory statement) internal view returns (bytes32) {
        return _digest(Types.CONTROL_KEY_CLAIM_TYPEHASH, abi.encode(statement));
    }

    function _digest(ProfileUpdate memory statement) internal view returns (bytes32) {
        return _digest(Types.PROFILE_UPDATE_TYPEHASH, abi.encode(statement));
    }

    function _digest(ParticipantRetirement memory statement) internal view returns (bytes32) {
        return _digest(Types.PARTICIPANT_RETIREMENT_TYPEHASH, abi.encode(statement));
    }

    function _digest(GovernanceVote memory statement) internal view returns (bytes32) {
        return _digest(Types.GOVERNANCE_VOTE_TYPEHASH, abi.encode(statement));
    }

    function _digest(bytes32 typeHash, bytes memory encoded) private view returns (bytes32) {
        return _typed(address(registry), keccak256(bytes.concat(typeHash, encoded)));
    }

    // --- Calls, signed by the member's control key unless said otherwise ---

    function _call(Member memory by, ParticipantApplication memory statement) internal view returns (bytes memory) {
        (bytes memory signature, bytes memory coSignature) = _pair(by.controlKey, by.signingKey, _digest(statement));
        return abi.encodeCall(registry.applyForAdmission, (statement, vm.addr(by.controlKey), signature, coSignature));
    }

    function _call(
        Member memory by,
        KeyAddition memory statement,
        uint256 newKey
    ) internal view returns (bytes memory) {
        (bytes memory signature, bytes memory coSignature) = _pair(by.controlKey, newKey, _digest(statement));
        return abi.encodeCall(registry.addKey, (statement, vm.addr(by.controlKey), signature, coSignature));
    }

    function _call(Member memory by, KeyRevocation memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.controlKey, _digest(statement));
        return abi.encodeCall(registry.revokeKey, (statement, vm.addr(by.controlKey), signature));
    }

    function _call(
        Member memory by,
        ControlKeyRotation memory statement,
        uint256 newKey
    ) internal view returns (bytes memory) {
        (bytes memory signature, bytes memory coSignature) = _pair(by.controlKey, newKey, _digest(statement));
        return abi.encodeCall(registry.rotateControlKey, (statement, vm.addr(by.controlKey), signature, coSignature));
    }

    // Signed by the key that is claimed.
    function _call(ControlKeyClaim memory statement, uint256 newKey) internal view returns (bytes memory) {
        bytes memory signature = _signature(newKey, _digest(statement));
        return abi.encodeCall(registry.claimControlKey, (statement, vm.addr(newKey), signature));
    }

    // Signed by a signing key.
    function _call(Member memory by, ProfileUpdate memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.signingKey, _digest(statement));
        return abi.encodeCall(registry.updateProfile, (statement, vm.addr(by.signingKey), signature));
    }

    function _call(Member memory by, ParticipantRetirement memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.controlKey, _digest(statement));
        return abi.encodeCall(registry.retire, (statement, vm.addr(by.controlKey), signature));
    }

    function _call(Member memory by, GovernanceVote memory statement) internal view returns (bytes memory) {
        bytes memory signature = _signature(by.controlKey, _digest(statement));
        return abi.encodeCall(registry.vote, (statement, vm.addr(by.controlKey), signature));
    }

    function _pair(uint256 key, uint256 other, bytes32 digest) internal pure returns (bytes memory, bytes memory) {
        return (_signature(key, digest), _signature(other, digest));
    }

    // --- Outcomes ---

    function _executes(bytes memory call) internal {
        _assertExecutes(address(registry), call, true);
    }

    // The second time it answers false and the history stays as it is.
    function _executesOnce(bytes memory call) internal {
        _executes(call);
        bytes32 head = registry.historyHead();
        _assertExecutes(address(registry), call, false);
        vm.assertEq(registry.historyHead(), head, "a repeat extends no history");
    }

    function _refused(bytes memory call, bytes memory refusal) internal {
        _assertRefused(address(registry), call, refusal);
    }

    function _refusedForStatus(
        bytes memory call,
        Member memory member,
        IParticipantRegistry.Status status
    ) internal {
        _refused(
            call,
            abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryStatus.selector, member.id, status)
        );
    }

    function _assertStatus(Member memory member, IParticipantRegistry.Status status) internal view {
        vm.assertEq(uint256(registry.statusOf(member.id)), uint256(status), member.name);
    }

    function _refusesArgument(uint8 decision, bytes32 subject, bytes32 argument) internal {
        _refused(
            _call(alpha, _ballot(alpha, decision, subject, argument)),
            abi.encodeWithSelector(
                IParticipantRegistry.ParticipantRegistryArgument.selector,
                decision,
                subject,
                argument
            )
        );
    }

    function _taken(uint256 key, bytes32 holder) internal pure returns (bytes memory) {
        return
            abi.encodeWithSelector(
                IParticipantRegistry.ParticipantRegistryAddressTaken.selector,
                vm.addr(key),
                holder
            );
    }
}
