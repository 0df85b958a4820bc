"""Keys from before a rotation beside a chain that knows it: nothing is signed with them, and it is told."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from ledger.errors import ConflictError, FatalError, RefusedError
from ledger.exchange import Gateway, Home
from ledger.exchange.backup import back_up
from ledger.exchange.keystore import KeyStore
from ledger.exchange.log_recovery import recover_log
from ledger.exchange.restore import restore
from ledger.log.mirror import Mirror
from tests.support.rotating import ending, world
from tests.support.waiting import eventually
from tests.support.world import PASSPHRASE, World, running, settings_of
from tests.support.world import listening as loopback

__all__ = ["ending", "world"]


@pytest.mark.slow
def test_keys_from_before_a_rotation_sign_and_publish_nothing(
    ending: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older backup beside the chain that knows the rotations."""
    home, restored = ending.folder / "home", tmp_path / "restored"
    back_up(Home(home), tmp_path / "backup")
    rotated = ending.gateway.keys.rotate_log()
    relay = ending.gateway.keys.rotate_relay().relay
    ending.gateway.close()
    assert restore(tmp_path / "backup", Home(restored), chain=home / "chain").is_behind
    settings, mirror = settings_of(restored), Mirror(str(home / "log"))
    with pytest.raises(FatalError, match=r"the log was rotated after these keys were copied"):
        recover_log(settings, mirror)
    shutil.copyfile(home / "keys/log.pem", restored / "keys/log.next.pem")  # as a rotation leaves it that was stopped
    recover_log(settings, mirror)
    (restored / "keys/log.next.pem").unlink()
    with pytest.raises(FatalError, match=r"Put the whole keys/ folder"), Gateway.open(settings):
        pass
    shutil.copyfile(home / "keys/log.pem", restored / "keys/log.pem")
    with loopback() as (sock, _), running(gateway := Gateway.open(settings), sock):
        assert gateway.keys.show().log_key == rotated.log_key
        eventually(lambda: f"lets {relay} publish" in gateway.health().reasons.get("publisher", ""))
        publisher, keystore = gateway._publisher, gateway.parts.keystore
        gateway.keys.rotate_relay(only_prepare=True)
        with pytest.raises(ConflictError, match="nothing is anchored"):
            publisher.step()
        with monkeypatch.context() as patch:
            patch.setattr(keystore, "find_next_relay", lambda: KeyStore.open(home / "keys", PASSPHRASE).load_relay())
            assert publisher.step() is False, "the next account is about to take over"
            patch.setattr("ledger.exchange.publisher._LONGEST_HAND_OVER_S", -1.0)
            with pytest.raises(ConflictError, match="has not handed over"):
                publisher.step()
        gateway.keys.rotate_relay()
        eventually(lambda: gateway.health().ready)
        eventually(lambda: gateway.health().anchored_size == gateway.health().log_size)


def test_a_publisher_that_the_chain_refuses_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher, parts = world.gateway._publisher, world.gateway.parts

    def refuse(*_: object) -> None:
        raise RefusedError("not the publisher", code="checkpoint-log-not-publisher")

    monkeypatch.setattr(parts.edge, "simulate", refuse)
    world.gateway._submitter.settle()
    with pytest.raises(RefusedError, match="not the publisher"):
        publisher._is_taken(SimpleNamespace())  # type: ignore[arg-type] # the refusal does not look at it
    monkeypatch.setattr(parts.store.chain, "as_of_block", lambda: -1)
    assert not publisher._is_taken(SimpleNamespace())  # type: ignore[arg-type] # as above
