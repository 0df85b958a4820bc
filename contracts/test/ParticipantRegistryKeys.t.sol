// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParticipantRegistry} from "../src/interfaces/IParticipantRegistry.sol";
import {IStatementExecutor} from "../src/interfaces/IStatementExecutor.sol";
import {Custody, Decision} from "../src/types/Enumerations.sol";
import {
    ControlKeyClaim,
    ControlKeyRotation,
    KeyAddition,
    KeyRevocation,
    ParticipantRetirement,
    ProfileUpdate
} from "../src/types/ParticipantRegistryTypes.sol";
import {Consortium} from "./support/Consortium.sol";
import {Erc1271Wallet} from "./support/Erc1271Wallet.sol";

// What a participant does for itself.
contract ParticipantRegistryKeysTest is Consortium {
    uint256 private constant _NEW_KEY = uint256(keccak256("new key"));

    // --- Signing keys ---

    function test_INV8_addKeyTakesEffectOnce() external {
        _executesOnce(_call(delta, _addition(delta, _NEW_KEY), _NEW_KEY));
        _assertKey(delta, _NEW_KEY, true);
        (uint64 from, uint64 until, uint8 custody) = registry.keyOf(delta.id, vm.addr(_NEW_KEY));
        vm.assertEq(from, NOW, "from the block that says so");
        vm.assertEq(until, 0, "open");
        vm.assertEq(custody, Custody.CUSTODIAL, "custody");
    }

    function test_addKeyTakesAContractsWord() external {
        Erc1271Wallet wallet = new Erc1271Wallet();
        KeyAddition memory statement = KeyAddition(delta.id, address(wallet), Custody.OWN, DEADLINE, _salt());
        bytes memory signature = _signature(delta.controlKey, _digest(statement));
        bytes memory call = abi.encodeCall(
            registry.addKey,
            (statement, vm.addr(delta.controlKey), signature, "word")
        );
        _refused(call, _invalid(_digest(statement), address(wallet)));
        wallet.approve(_digest(statement), "word");
        _executes(call);
        (, bool active) = registry.signerStatus(delta.id, address(wallet));
        vm.assertTrue(active, "active");
    }

    function test_addKeyRefusesAKeyThatDidNotSign() external {
        KeyAddition memory statement = _addition(delta, _NEW_KEY);
        _refused(_call(delta, statement, delta.signingKey), _invalid(_digest(statement), vm.addr(_NEW_KEY)));
    }

    function test_addKeyRefusesEveryAddressInUse() external {
        uint256[4] memory keys = [delta.controlKey, delta.signingKey, alpha.controlKey, alpha.signingKey];
        for (uint256 i = 0; i < keys.length; ++i) {
            bytes32 holder = i < 2 ? delta.id : alpha.id;
            _refused(_call(delta, _addition(delta, keys[i]), keys[i]), _taken(keys[i], holder));
        }
    }

    function test_addKeyRefusesAKeyThatWasRevoked() external {
        _executes(_call(delta, _revocation(delta, delta.signingKey)));
        bytes memory call = _call(delta, _addition(delta, delta.signingKey), delta.signingKey);
        _refused(call, _taken(delta.signingKey, delta.id));
    }

    function test_addKeyRefusesUnknownCustody() external {
        KeyAddition memory statement = _addition(delta, _NEW_KEY);
        statement.custody = Custody.CUSTODIAL + 1;
        _refused(
            _call(delta, statement, _NEW_KEY),
            abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryCustodyUnknown.selector, 2)
        );
    }

    function test_INV8_revokeKeyTakesEffectOnceAndAtOnce() external {
        vm.warp(NOW + 5);
        _executesOnce(_call(delta, _revocation(delta, delta.signingKey)));
        _assertKey(delta, delta.signingKey, false);
        (, uint64 until, ) = registry.keyOf(delta.id, vm.addr(delta.signingKey));
        vm.assertEq(until, NOW + 5, "until the block that says so");
    }

    function test_revokeKeyRefusesWhatIsNoActiveKey() external {
        _executes(_call(delta, _revocation(delta, delta.signingKey)));
        uint256[3] memory keys = [delta.signingKey, _NEW_KEY, alpha.signingKey];
        for (uint256 i = 0; i < keys.length; ++i) {
            _refused(_call(delta, _revocation(delta, keys[i])), _notActive(delta, keys[i]));
        }
    }

    // --- The control key ---

    function test_INV8_rotateControlKeyTakesEffectOnce() external {
        _executesOnce(_call(delta, _rotation(delta, _NEW_KEY), _NEW_KEY));
        vm.assertEq(uint256(uint160(registry.controlKeyOf(delta.id))), uint160(vm.addr(_NEW_KEY)), "control key");
        bytes memory call = _call(delta, _revocation(delta, delta.signingKey));
        _refused(call, _notControl(delta, vm.addr(_NEW_KEY), vm.addr(delta.controlKey)));
        uint256 old = delta.controlKey;
        delta.controlKey = _NEW_KEY;
        _refused(_call(delta, _rotation(delta, old), old), _taken(old, delta.id));
    }

    function test_rotateControlKeyRefusesAKeyThatDidNotSign() external {
        ControlKeyRotation memory statement = _rotation(delta, _NEW_KEY);
        _refused(_call(delta, statement, delta.signingKey), _invalid(_digest(statement), vm.addr(_NEW_KEY)));
    }

    function test_aContractMayHoldTheControlKey() external {
        Erc1271Wallet wallet = new Erc1271Wallet();
        ControlKeyRotation memory rotation = ControlKeyRotation(delta.id, address(wallet), DEADLINE, _salt());
        wallet.approve(_digest(rotation), "word");
        bytes memory signature = _signature(delta.controlKey, _digest(rotation));
        _executes(
            abi.encodeCall(registry.rotateControlKey, (rotation, vm.addr(delta.controlKey), signature, "word"))
        );
        KeyRevocation memory revocation = _revocation(delta, delta.signingKey);
        wallet.approve(_digest(revocation), "other");
        _executes(abi.encodeCall(registry.revokeKey, (revocation, address(wallet), "other")));
    }

    function test_INV8_claimControlKeyIsFiledOnceAndChangesNothing() external {
        ControlKeyClaim memory statement = _claim(delta, _NEW_KEY);
        bytes32 head = registry.historyHead();
        _executesOnce(_call(statement, _NEW_KEY));
        vm.assertEq(registry.historyHead(), head, "no record");
        vm.assertEq(registry.participantOf(vm.addr(_NEW_KEY)), 0, "the key is still free");
    }

    function test_claimControlKeyRefusesAnotherSigner() external {
        bytes memory call = _call(_claim(delta, _NEW_KEY), delta.controlKey);
        _refused(call, _notControl(delta, vm.addr(_NEW_KEY), vm.addr(delta.controlKey)));
    }

    function test_claimControlKeyRefusesAnAddressInUse() external {
        _refused(_call(_claim(delta, alpha.signingKey), alpha.signingKey), _taken(alpha.signingKey, alpha.id));
    }

    function test_claimControlKeyRefusesAForgedSignature() external {
        ControlKeyClaim memory statement = _claim(delta, _NEW_KEY);
        bytes memory forged = _signature(delta.controlKey, _digest(statement));
        _refused(
            abi.encodeCall(registry.claimControlKey, (statement, vm.addr(_NEW_KEY), forged)),
            _invalid(_digest(statement), vm.addr(_NEW_KEY))
        );
    }

    // --- Profile and retirement ---

    function test_INV8_updateProfileTakesEffectOnce() external {
        _executesOnce(_call(delta, _profile(delta, 2)));
        (uint64 version, bytes32 profileHash) = registry.profileOf(delta.id);
        vm.assertEq(version, 2, "version");
        vm.assertEq(profileHash, keccak256(abi.encode("delta", uint64(2))), "hash");
    }

    function test_updateProfileRefusesEveryOtherVersion(uint64 version) external {
        vm.assume(version != 2);
        _refused(
            _call(delta, _profile(delta, version)),
            abi.encodeWithSelector(
                IParticipantRegistry.ParticipantRegistryProfileVersion.selector,
                delta.id,
                2,
                version
            )
        );
    }

    function test_INV1_updateProfileRefusesAnythingButAnActiveSigningKey() external {
        bytes memory revoked = _call(delta, _profile(delta, 2));
        _executes(_call(delta, _revocation(delta, delta.signingKey)));
        _refused(revoked, _notActive(delta, delta.signingKey));
        delta.signingKey = alpha.signingKey;
        _refused(_call(delta, _profile(delta, 2)), _notActive(delta, alpha.signingKey));
        delta.signingKey = delta.controlKey;
        _refused(_call(delta, _profile(delta, 2)), _notActive(delta, delta.controlKey));
    }

    function test_updateProfileRefusesAForgedSignature() external {
        ProfileUpdate memory statement = _profile(delta, 2);
        bytes memory forged = _signature(alpha.signingKey, _digest(statement));
        _refused(
            abi.encodeCall(registry.updateProfile, (statement, vm.addr(delta.signingKey), forged)),
            _invalid(_digest(statement), vm.addr(delta.signingKey))
        );
    }

    function test_INV8_retireTakesEffectOnceAndEndsEverything() external {
        _executesOnce(_call(delta, _retirement(delta)));
        _assertStatus(delta, IParticipantRegistry.Status.Retired);
        _refusesAllOf(delta, IParticipantRegistry.Status.Retired);
        bytes memory call = _call(delta, _revocation(delta, delta.signingKey));
        _refusedForStatus(call, delta, IParticipantRegistry.Status.Retired);
        call = _call(_claim(delta, _NEW_KEY), _NEW_KEY);
        _refusedForStatus(call, delta, IParticipantRegistry.Status.Retired);
    }

    function test_retireRefusesAGovernor() external {
        _refused(
            _call(alpha, _retirement(alpha)),
            abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryIsGovernor.selector, alpha.id)
        );
    }

    // --- Standing and signatures ---

    function test_INV1_aSuspendedParticipantMayOnlyRevoke() external {
        _decide(Decision.SUSPEND, delta.id, 0);
        _refusesAllOf(delta, IParticipantRegistry.Status.Suspended);
        _executes(_call(delta, _revocation(delta, delta.signingKey)));
    }

    function test_INV1_nobodyActsForAParticipantThatWasNeverAdmitted() external {
        Member memory stranger = _member("stranger");
        _refusesAllOf(stranger, IParticipantRegistry.Status.None);
        bytes memory call = _call(stranger, _revocation(stranger, stranger.signingKey));
        _refusedForStatus(call, stranger, IParticipantRegistry.Status.None);
        _refusedForStatus(_call(_claim(stranger, 7), 7), stranger, IParticipantRegistry.Status.None);
    }

    function test_INV1_onlyTheControlKeySpeaks() external {
        (Member memory thief, address rightful) = (delta, vm.addr(delta.controlKey));
        uint256[3] memory keys = [delta.signingKey, alpha.controlKey, _NEW_KEY];
        for (uint256 i = 0; i < keys.length; ++i) {
            thief.controlKey = keys[i];
            bytes memory refusal = _notControl(delta, rightful, vm.addr(keys[i]));
            _refused(_call(thief, _addition(delta, _NEW_KEY), _NEW_KEY), refusal);
            _refused(_call(thief, _revocation(delta, delta.signingKey)), refusal);
            _refused(_call(thief, _rotation(delta, _NEW_KEY), _NEW_KEY), refusal);
            _refused(_call(thief, _retirement(delta)), refusal);
        }
    }

    function test_refusesTheOtherFormOfASignature() external {
        ParticipantRetirement memory statement = _retirement(delta);
        bytes memory highS = _malleated(_signature(delta.controlKey, _digest(statement)));
        address signer = vm.addr(delta.controlKey);
        _refused(
            abi.encodeCall(registry.retire, (statement, signer, highS)),
            _invalid(_digest(statement), signer)
        );
    }

    function test_refusesEveryStatementAfterItsDeadline() external {
        bytes[] memory calls = new bytes[](6);
        bytes32[] memory digests = new bytes32[](6);
        (KeyAddition memory addition, KeyRevocation memory revocation) = (
            _addition(delta, _NEW_KEY),
            _revocation(delta, delta.signingKey)
        );
        (calls[0], digests[0]) = (_call(delta, addition, _NEW_KEY), _digest(addition));
        (calls[1], digests[1]) = (_call(delta, revocation), _digest(revocation));
        ControlKeyRotation memory rotation = _rotation(delta, _NEW_KEY);
        (calls[2], digests[2]) = (_call(delta, rotation, _NEW_KEY), _digest(rotation));
        ControlKeyClaim memory claim = _claim(delta, _NEW_KEY);
        (calls[3], digests[3]) = (_call(claim, _NEW_KEY), _digest(claim));
        ProfileUpdate memory profile = _profile(delta, 2);
        (calls[4], digests[4]) = (_call(delta, profile), _digest(profile));
        ParticipantRetirement memory retirement = _retirement(delta);
        (calls[5], digests[5]) = (_call(delta, retirement), _digest(retirement));
        vm.warp(DEADLINE + 1);
        bytes4 refusal = IStatementExecutor.StatementExecutorDeadlinePassed.selector;
        for (uint256 i = 0; i < calls.length; ++i) {
            _refused(calls[i], abi.encodeWithSelector(refusal, digests[i], DEADLINE, DEADLINE + 1));
        }
        vm.warp(DEADLINE);
        _executes(calls[0]);
    }

    // Everything but a revocation or a claim.
    function _refusesAllOf(Member memory member, IParticipantRegistry.Status status) private {
        _refusedForStatus(_call(member, _addition(member, _NEW_KEY), _NEW_KEY), member, status);
        _refusedForStatus(_call(member, _rotation(member, _NEW_KEY), _NEW_KEY), member, status);
        _refusedForStatus(_call(member, _profile(member, 2)), member, status);
        _refusedForStatus(_call(member, _retirement(member)), member, status);
    }

    function _assertKey(Member memory member, uint256 key, bool expected) private view {
        (IParticipantRegistry.Status status, bool active) = registry.signerStatus(member.id, vm.addr(key));
        vm.assertEq(uint256(status), uint256(IParticipantRegistry.Status.Active), "status");
        vm.assertTrue(active == expected, "key");
    }

    function _invalid(bytes32 digest, address signer) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IStatementExecutor.StatementExecutorSignatureInvalid.selector, digest, signer);
    }

    function _notActive(Member memory member, uint256 key) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(
                IParticipantRegistry.ParticipantRegistryKeyNotActive.selector,
                member.id,
                vm.addr(key)
            );
    }

    function _notControl(Member memory member, address expected, address signer) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(
                IParticipantRegistry.ParticipantRegistryNotControlKey.selector,
                member.id,
                expected,
                signer
            );
    }
}
