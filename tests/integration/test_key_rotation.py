"""Keys rotated by `concord key rotate` while statements come in: old evidence verifies, nothing is lost or stops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ledger.canonical import JsonValue
from ledger.chain import RemoteKey
from ledger.client import operations, participants, statements
from ledger.content.sealing import SealingKey
from ledger.errors import ConflictError, RefusedError, UnavailableError
from ledger.evidence import Verdict
from ledger.exchange.doctor import Standing, diagnose
from ledger.exchange.keystore import KeyStore
from ledger.exchange.transit_key import parse_kms_urls
from ledger.log import VerifierKey, verify_sole_checkpoint
from ledger.statements import generate_private_key
from ledger.store.rows import SealingRow, SealingState
from ledger.types import Bytes32
from tests.support.console import Console
from tests.support.rotating import concord, ending, evidence_of, finish, policy_of, state, traffic, verdict, world
from tests.support.squatting import take_log_key
from tests.support.transit_stand_in import TOKEN, stand_in_for_transit
from tests.support.web3signer_stand_in import stand_in_for_web3signer
from tests.support.world import PASSPHRASE, World, settings_of

__all__ = ["concord", "ending", "world"]


def test_the_logs_key(world: World, concord: Console) -> None:
    mill = world.members["mill"]
    before = state(mill, "Old Mill")
    old_policy = policy_of(world)
    old_evidence = evidence_of(mill, before.digest, old_policy)
    old_key = concord.run("key", "rotate", "log", "--json")
    assert old_key.code == 0, old_key
    keys = old_key.json
    assert keys["next_log_key"] is None
    with traffic(mill):
        ran = concord.run("key", "rotate", "log")
        assert ran.code == 0, ran
    new_key = str(world.operator.run(operations.gateway_keys())["log_key"])
    assert new_key != keys["log_key"]
    assert new_key in ran.out
    # The log is signed with the new key at once; its file alone is left.
    assert verify_sole_checkpoint(world.gateway.log.checkpoint(), VerifierKey.parse(new_key))
    assert [each.name for each in (world.folder / "home/keys").glob("log*")] == ["log.pem"]
    after = state(mill, "New Mill")
    new_policy = policy_of(world, extends=old_policy)
    assert [len(log.keys) for log in new_policy.logs] == [3]
    new_evidence = evidence_of(mill, after.digest, new_policy)
    assert verdict(old_policy, old_evidence) is Verdict.VERIFIED
    assert verdict(new_policy, old_evidence) is Verdict.VERIFIED
    assert verdict(new_policy, new_evidence) is Verdict.VERIFIED
    assert verdict(old_policy, new_evidence) is not Verdict.VERIFIED


def test_a_log_key_that_another_log_took_is_dropped(
    world: World, concord: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before it is logged, and after: each time the same command, run again, goes on with another key."""
    gateway, mill = world.gateway, world.members["mill"]
    keystore, present = gateway.parts.keystore, gateway.keys.show().log_key
    tried = []
    for is_logged in (False, True):
        following = keystore.ensure_next_log_signer(gateway.parts.config.origin).verifier_key
        tried.append(str(following))
        take_log_key(gateway, mill.id, following.public_key)
        with monkeypatch.context() as patch:
            if is_logged:
                patch.setattr(gateway._intake, "_check_once", lambda *_: None)
            concord.fail("chamber", 1, "Run `concord key rotate log` again, it draws another", "key", "rotate", "log")
        shown = gateway.keys.show()
        assert (shown.log_key, shown.next_log_key) == (present, None)
    with monkeypatch.context() as patch:

        def refuse(*_: object) -> None:
            raise RefusedError("another reason", code="checkpoint-log-closed")

        patch.setattr(gateway.keys, "_take", refuse)
        with pytest.raises(RefusedError, match="another reason"):
            gateway.keys.rotate_log()
    waiting = gateway.keys.show().next_log_key
    assert concord.run("key", "rotate", "log", "--json").json["log_key"] == waiting
    assert waiting not in {None, present, *tried}


@pytest.mark.slow
def test_a_custodial_key_that_a_remote_signer_holds(world: World, concord: Console, tmp_path: Path) -> None:
    member = world.enroll("remote", custodial=True)
    with stand_in_for_web3signer() as remote:
        key = remote.hold(generate_private_key())
        named = ("--url", key.url, "--public-key", "0x" + key.public_key.hex())
        written = concord.run("key", "remote", tmp_path / "remote.json", *named, "--json")
        assert (written.code, written.json["address"]) == (0, str(key.address)), written
        concord.fail(
            "chamber", 3, "64 bytes", "key", "remote", tmp_path / "x", "--url", key.url, "--public-key", "0x1f"
        )
        place = world.folder / "home/keys/participants" / member.id.hex() / f"{key.address.hex()}.json"
        (tmp_path / "remote.json").rename(place)
        # The control key adds it, and the gateway has the remote signer sign its own admission.
        intent: dict[str, JsonValue] = {"key": str(key.address), "custody": "custodial"}
        finish(member, member.client.run(statements.state("KeyAddition", intent, member.control_identity)))
        assert len(remote.asked) == 1
        signed = state(member, "Signed Elsewhere")
        assert member.client.run(statements.fetch(signed.digest))["signer"] == str(key.address)
        policy = policy_of(world)
        assert verdict(policy, evidence_of(member, signed.digest, policy)) is Verdict.VERIFIED


def test_the_key_encryption_key(world: World, concord: Console) -> None:
    gateway = world.gateway
    sealing, version = SealingKey.draw(), Bytes32(bytes(32))
    now = gateway.parts.now()
    row = SealingRow(sealing.commitment, version, version, 1, SealingState.MAKING, None, None, None, None, now)
    gateway.sealings.keys.keep(row, sealing)
    ran = concord.run("key", "rotate", "kek", "--json")
    assert ran.code == 0, ran
    assert ran.json["rewrapped"] == 1
    assert gateway.sealings.unwrap(sealing.commitment).to_bytes() == sealing.to_bytes()
    gateway.parts.store.sealings.give_up(sealing.commitment, now)
    again = concord.run("key", "rotate", "kek")
    assert "0 of them anew" in again.out
    assert ran.json["kek"] not in again.out
    assert [each.name for each in (world.folder / "home/keys").glob("kek*")] == ["kek.json"]


def test_the_key_encryption_key_at_a_key_service(
    world: World, concord: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, command = world.gateway, ("key", "rotate", "kek")
    settings = replace(settings_of(world.folder / "home"), kms_token=TOKEN)
    with stand_in_for_transit() as service:
        service.make("gateway")
        named = ("--kms-url", service.url, "--kms-key", "gateway")
        assert concord.run(*command, *named[:2]).code == 3
        assert concord.run(*command, *named, "--keystore").code == 3
        concord.fail("chamber", 4, "let CONCORD_KMS_URLS name it", *command, *named)
        monkeypatch.setattr(gateway.sealings.keys, "_kms_urls", parse_kms_urls(service.url))
        assert concord.run(*command, *named).code == 2, "without a token"
        assert not service.asked
        monkeypatch.setattr(gateway.parts.keystore, "_kms_token", lambda: service.token)
        moved = concord.run(*command, *named, "--json")
        assert str(moved.json["kek"]).endswith(":1"), moved
        rotated = concord.run(*command, "--json")
        assert rotated.json["kek"] == f"{str(moved.json['kek'])[:-1]}2"
        assert service.keys["gateway"].least == 2
        checked = {each.name: each for each in diagnose(settings, world.url)}["key service"]
        assert checked.standing is Standing.OK
        assert "wraps and unwraps with version 2 of transit/gateway" in checked.detail
        failed = {each.name: each for each in diagnose(replace(settings, kms_token="no"), world.url)}["key service"]
        assert failed.standing is Standing.FAILED
        assert "refused the token for transit/encrypt/gateway" in failed.detail
        assert "CONCORD_KMS_TOKEN_FILE" in str(failed.fix)
        backed = concord.run(*command, "--keystore", "--json")
        assert str(backed.json["kek"]).startswith("keystore:")
    checked = {each.name: each for each in diagnose(settings, world.url)}["key service"]
    assert (checked.standing, checked.detail) == (Standing.OK, "none: the key-encryption key is the keystore's")


@pytest.mark.slow
def test_what_keeps_a_rotation_from_its_work(ending: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, parts = ending.gateway.keys, ending.gateway.parts
    with monkeypatch.context() as patch:
        patch.setattr(parts.edge, "settings", replace(parts.edge.settings, gas_price_wei=1))
        with pytest.raises(RefusedError, match="holds nothing: fund it"):
            keys.rotate_relay()
    keys.rotate_relay(only_prepare=True)
    parts.keystore.drop_next_relay()
    with monkeypatch.context() as patch:
        patch.setattr(parts.directory, "signing_keys_of", lambda _: ())
        for rotate in (keys.rotate_log, keys.rotate_relay):
            with pytest.raises(ConflictError, match="participant add-key --custodial"):
                rotate()
    assert (keys.show().next_log_key, keys.show().next_relay) == (None, None), "a key that nobody could state"
    with monkeypatch.context() as patch:
        patch.setattr("ledger.exchange.key_rotation._LONGEST_WAIT_S", -1.0)
        patch.setattr(keys, "_is_in_force", lambda _: False)
        with pytest.raises(UnavailableError, match="repeat the command"):
            keys.rotate_log()
    waiting = keys.show().next_log_key
    assert waiting is not None
    assert keys.rotate_log().log_key == waiting  # what was stated is found again, and not stated twice
    row = parts.store.chain.find_log(parts.log)
    assert row is not None
    with monkeypatch.context() as patch:
        patch.setattr(keys._submitter, "hand_over", lambda *_, **__: False)
        with pytest.raises(UnavailableError, match="repeat the command"):
            keys.rotate_relay()
        other = RemoteKey("http://signer:9000", bytes([5]) * 64)
        for anew in (False, True):
            with pytest.raises(ConflictError, match="is under way: finish it first"):
                keys.rotate_relay(None if anew else other, anew=anew)
    shown = keys.show().next_relay
    assert keys.rotate_relay().relay == shown
    found = parts.store.chain.find_log(parts.log)
    assert found is not None
    assert found.rotations == row.rotations + 1


def test_one_rotation_at_a_time(world: World) -> None:
    keys = world.gateway.keys
    with keys._one_at_a_time(), pytest.raises(ConflictError, match="another rotation"):
        keys.rotate_log()


def test_a_custodial_signing_key(world: World, concord: Console) -> None:
    mill = world.members["mill"]
    before = state(mill, "Old Mill")
    concord.patch.setenv("CONCORD_API_KEY", mill.token)
    control = concord.key_file(mill.control, "mill-control")
    (held,) = (key for key in mill.client.run(participants.keys("mill")) if key.role == "signing")
    with traffic(mill):
        ran = concord.run("key", "rotate", "signing", "--control-key", control, "--json")
        assert ran.code == 0, ran
    assert ran.json["old"] == str(held.key)
    by_key = {str(key.key): key for key in mill.client.run(participants.keys("mill"))}
    old, new = by_key[ran.json["old"]], by_key[ran.json["new"]]
    assert old.active_until is not None
    assert (new.active_until, new.here, new.custody) == (None, True, "custodial")
    assert new.active_from <= old.active_until
    after = state(mill, "New Mill")
    assert mill.client.run(statements.fetch(after.digest))["signer"] == str(new.key)
    policy = policy_of(world)
    for outcome in (before, after):
        assert verdict(policy, evidence_of(mill, outcome.digest, policy)) is Verdict.VERIFIED
    # A rotation that was stopped after the addition: the next one must be told which key ends.
    added = ("participant", "add-key", "--control-key", control)
    assert concord.run(*added, "--custodial").code == 0
    concord.fail(mill, 3, "--new-key FILE, or --custodial", *added)
    ran = concord.run("key", "rotate", "signing", "--control-key", control)
    assert (ran.code, "several active keys" in ran.err) == (1, True), ran
    ran = concord.run("key", "rotate", "signing", "--control-key", control, "--old", new.key, "--json")
    assert (ran.code, ran.json["old"]) == (0, str(new.key))
    ran = concord.run("key", "rotate", "signing", "--control-key", control, "--old", new.key)
    assert (ran.code, "no active key of yours" in ran.err) == (4, True), ran


def test_a_member_whose_keys_are_elsewhere_has_none_to_rotate(world: World, concord: Console) -> None:
    factory = world.enroll("factory")
    concord.patch.setenv("CONCORD_API_KEY", factory.token)
    control = concord.key_file(factory.control, "factory-control")
    ran = concord.run("key", "rotate", "signing", "--control-key", control)
    assert (ran.code, "nothing to rotate" in ran.err) == (4, True), ran
    assert "concord participant add-key --custodial" in ran.err


def test_the_keystores_passphrase(world: World, concord: Console, tmp_path: Path) -> None:
    mill, keys = world.members["mill"], world.folder / "home/keys"
    (tmp_path / "new").write_text("a new passphrase\n")
    new_file = ("--new-passphrase-file", tmp_path / "new")
    with traffic(mill):
        ran = concord.run("key", "rotate", "passphrase", *new_file)
        assert ran.code == 0, ran
    assert "a new passphrase" not in ran.out + ran.err
    assert KeyStore.open(keys, "a new passphrase")
    concord.fail("chamber", 4, "nothing was changed", "key", "rotate", "passphrase", *new_file)
    concord.fail("chamber", 4, "no file", "key", "rotate", "passphrase", "--new-passphrase-file", tmp_path / "none")
    concord.fail("chamber", 3, "no new passphrase", "key", "rotate", "passphrase")
    world.enroll("late", custodial=True)  # drawn by the gateway that runs, under the new passphrase
    assert KeyStore.open(keys, "a new passphrase").check("concord.example/test") > 4
    world.gateway.keys.change_passphrase("a new passphrase", PASSPHRASE)
    concord.patch.setenv("CONCORD_URL", "http://gateway.example")
    concord.fail("chamber", 3, "neither TLS nor this machine", "key", "rotate", "passphrase", *new_file)


@pytest.mark.slow
def test_the_passphrase_of_a_stopped_gateway(
    ending: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, concord = ending.folder / "home", Console(ending, tmp_path, monkeypatch, capsys)
    monkeypatch.setenv("CONCORD_NEW_PASSPHRASE", "another one")
    concord.fail("chamber", 1, "runs: stop it first", "key", "rotate", "passphrase", "--home", home)
    concord.fail("chamber", 4, "no gateway was founded", "key", "rotate", "passphrase", "--home", home / "log")
    ending.gateway.close()
    answer = concord.answer("chamber", "key", "rotate", "passphrase", "--home", home)
    assert answer["files"] > 3
    assert KeyStore.open(home / "keys", "another one")
    assert PASSPHRASE not in str(answer)
