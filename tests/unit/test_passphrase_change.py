"""A keystore's passphrase changed: all files or none, whenever it dies."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ledger.chain import RemoteKey
from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.exchange.keystore import KeyStore
from ledger.exchange.passphrase_change import change_passphrase, finish_change
from ledger.keyfiles import WrongPassphraseError, kdf_cost_of
from ledger.types import Address, Bytes32

SOMEBODY = Bytes32(bytes([7]) * 32)


def keystore_in(folder: Path) -> KeyStore:
    """A keystore with a key of each kind."""
    keystore = KeyStore(folder, "old", kdf_cost=2)
    keystore.ensure_relay()
    keystore.ensure_log_signer("example.org/log")
    keystore.draw(SOMEBODY)
    keystore.draw_pending("k1")
    keystore.add_remote(SOMEBODY, RemoteKey("http://signer:9000", bytes([9]) * 64))
    return keystore


def test_every_key_opens_with_the_new_passphrase_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keystore = keystore_in(folder)
    relay, log, keys = keystore.load_relay(), keystore.load_log_signer("example.org/log"), keystore.keys_of(SOMEBODY)
    waiting = next(folder.glob("pending/*/*.json"))
    os.utime(waiting, (1000, 1000))
    assert keystore.change_passphrase("old", "new") == 5
    assert waiting.stat().st_mtime == 1000
    assert kdf_cost_of(folder / "relay.json") == 2
    assert sorted(each.name for each in tmp_path.iterdir()) == ["keys"]
    assert all(each.stat().st_mode & 0o077 == 0 for each in (folder, *folder.rglob("*.*")))
    again = KeyStore.open(folder, "new")
    assert again.load_relay().address == relay.address
    assert again.load_log_signer("example.org/log") == log
    assert again.keys_of(SOMEBODY) == keys
    assert again.check("example.org/log") == 5
    with pytest.raises(VerificationError):
        KeyStore.open(folder, "old")
    # The keystore that was open goes on, with keys that it had not opened yet, and draws under the new passphrase.
    assert keystore.load_log_signer("example.org/log") == log
    drawn = keystore.draw(Bytes32(bytes(32)))
    assert KeyStore(folder, "new").find(Bytes32(bytes(32)), drawn) is not None


def test_a_linked_folder_stays_a_link_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder, disk = tmp_path / "keys", tmp_path / "disk"
    disk.mkdir()
    folder.symlink_to(disk / "keys")
    (disk / "keys").mkdir()
    keystore_in(folder).change_passphrase("old", "new")
    assert folder.is_symlink()
    assert sorted(each.name for each in (*tmp_path.iterdir(), *disk.iterdir())) == ["disk", "keys", "keys"]
    # Killed between the two renames: the next start finds where they were.
    (disk / "keys").rename(disk / "keys.new")
    (disk / "keys.old").mkdir()
    assert KeyStore.open(folder, "new").check("example.org/log") == 5
    assert [each.name for each in disk.iterdir()] == ["keys"]


def test_nothing_changes_when_it_can_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "keys"
    keystore = keystore_in(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}

    def assert_unchanged() -> None:
        assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
        assert sorted(each.name for each in tmp_path.iterdir()) == ["keys"]

    with pytest.raises(WrongPassphraseError):
        keystore.change_passphrase("guess", "new")
    with pytest.raises(MalformedError, match="empty"):
        keystore.change_passphrase("old", "")
    assert_unchanged()
    with pytest.raises(WrongPassphraseError):
        change_passphrase(folder, "guess", "new")
    assert_unchanged()
    relay = folder / "relay.json"
    relay.write_bytes(b"{")
    before[relay] = b"{"
    with pytest.raises(MalformedError):
        keystore.change_passphrase("old", "new")
    assert_unchanged()
    relay.unlink()
    del before[relay]

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ledger.exchange.passphrase_change.write_key_file", full)
    with pytest.raises(UnavailableError, match="nothing was changed"):
        keystore.change_passphrase("old", "new")
    monkeypatch.undo()
    assert_unchanged()


@pytest.mark.parametrize("state", ["written", "old away", "new in place"])
def test_killed_between_the_steps_it_is_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    folder = tmp_path / "keys"
    address = keystore_in(folder).load_relay().address
    with monkeypatch.context() as patch:  # who is killed finishes nothing: the old is away, the new is complete
        patch.setattr("ledger.exchange.passphrase_change.finish_change", lambda _: None)
        change_passphrase(folder, "old", "new")
    if state == "written":
        (tmp_path / "keys.old").rename(folder)
    elif state == "new in place":
        (tmp_path / "keys.new").rename(folder)
    assert len(list(tmp_path.iterdir())) == 2
    assert KeyStore.open(folder, "old" if state == "written" else "new").load_relay().address == address
    assert sorted(each.name for each in tmp_path.iterdir()) == ["keys"]


def test_leftovers_of_a_change_that_did_not_happen_go(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keystore_in(folder)
    (tmp_path / "keys.new").mkdir()
    (tmp_path / "keys.new" / "relay.json").write_text("half")
    finish_change(folder)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["keys"]
    finish_change(tmp_path / "none")
    assert KeyStore.open(folder, "old")


def test_a_remote_key_takes_the_place_of_a_key_file(tmp_path: Path) -> None:
    keystore = keystore_in(tmp_path / "keys")
    remote = RemoteKey("http://signer:9000", bytes([9]) * 64)
    signer = keystore.find(SOMEBODY, remote.address)
    assert signer is not None
    assert signer.address == remote.address
    assert keystore.find(SOMEBODY, Address(bytes(20))) is None
    path = tmp_path / "keys" / "participants" / SOMEBODY.hex() / f"{remote.address.hex()}.json"
    assert json.loads(path.read_bytes())["url"] == "http://signer:9000"
    path.write_text(json.dumps({**remote.to_json(), "more": "x"}))
    with pytest.raises(MalformedError):
        KeyStore(tmp_path / "keys", "old").find(SOMEBODY, remote.address)
