"""Keys of sealings: wrapped, unwrapped, wrapped anew while the key-encryption key is rotated and whatever dies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ledger.content.sealing import SealingKey
from ledger.errors import ConflictError, NotFoundError, UnavailableError, VerificationError
from ledger.exchange.key_encryption import LocalKey
from ledger.exchange.keystore import KeyStore
from ledger.exchange.sealing_keys import SealingKeys, StoredKeyError
from ledger.store import Store
from ledger.store.rows import SealingRow, SealingState
from ledger.types import Bytes32
from tests.support.databases import database_url

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VERSION = Bytes32(bytes([5]) * 32)


class Kept:
    """A store and a keystore, and the keys that were put there."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        self.keystore = KeyStore(folder / "keys", "pass", kdf_cost=2)
        self.keys = SealingKeys(store, self.keystore)
        self.secrets: dict[Bytes32, bytes] = {}

    def keep(self) -> Bytes32:
        """Keep a key."""
        key = SealingKey.draw()
        row = SealingRow(key.commitment, VERSION, VERSION, 1, SealingState.MAKING, None, None, None, None, NOW)
        self.keys.keep(row, key)
        self.secrets[key.commitment] = key.to_bytes()
        return key.commitment

    def kek_of(self, sealing: Bytes32) -> str | None:
        """Which key wrapped a sealing's."""
        row = self.store.sealings.find(sealing)
        return None if row is None else row.kek

    def check(self) -> None:
        """Expect that every key opens, here and in a process that has just started."""
        for keys in (self.keys, SealingKeys(self.store, KeyStore(self.folder / "keys", "pass", kdf_cost=2))):
            assert {each: keys.unwrap(each).to_bytes() for each in self.secrets} == self.secrets


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(database_url(tmp_path_factory.mktemp("store"))) as opened:
        yield opened


@pytest.fixture
def kept(tmp_path: Path, store: Store) -> Iterator[Kept]:
    kept = Kept(tmp_path, store)
    yield kept
    for sealing in kept.secrets:
        store.sealings.give_up(sealing, NOW)


def test_keys_come_back_and_are_stored_wrapped(kept: Kept) -> None:
    sealing = kept.keep()
    kept.keep()
    kept.check()
    row = kept.store.sealings.find(sealing)
    assert row is not None
    assert row.wrapped_key is not None
    assert len(row.wrapped_key) == 40
    assert kept.secrets[sealing] not in row.wrapped_key
    with pytest.raises(NotFoundError):
        kept.keys.unwrap(VERSION)
    kept.store.sealings.give_up(sealing, NOW)
    with pytest.raises(NotFoundError):
        kept.keys.unwrap(sealing)


def test_rotation_wraps_every_key_anew(kept: Kept) -> None:
    first = kept.keys.rotate()
    assert first.rewrapped == 0
    sealings = [kept.keep() for _ in range(3)]
    before = {kept.kek_of(each) for each in sealings}
    assert before == {first.kek}
    rotated = kept.keys.rotate()
    assert rotated.rewrapped == 3
    assert {rotated.kek} == {kept.kek_of(each) for each in sealings} != before
    kept.check()
    assert [path.name for path in (kept.folder / "keys").glob("kek*")] == ["kek.json"]
    kept.keys.resume()
    assert kept.kek_of(sealings[0]) == rotated.kek


def stop(*_args: object) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", ["before the first", "between two", "before the old key goes"])
def test_a_rotation_that_is_cut_short_goes_on(kept: Kept, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    sealings = [kept.keep() for _ in range(3)]
    before, rewrap, done = {kept.kek_of(each) for each in sealings}, kept.store.sealings.rewrap, count()

    def stop_at_the_second(sealing: Bytes32, old: str, kek: str, wrapped_key: bytes) -> None:
        if next(done) == 1:
            raise KeyboardInterrupt
        rewrap(sealing, old, kek, wrapped_key)

    with monkeypatch.context() as patched:
        patched.setattr("ledger.exchange.sealing_keys._AT_ONCE", 1)
        if step == "before the first":
            patched.setattr(kept.keys, "_rewrap_some", stop)
        elif step == "between two":
            patched.setattr(kept.store.sealings, "rewrap", stop_at_the_second)
        else:
            patched.setattr(kept.keystore, "adopt_next_kek", stop)
        with pytest.raises(KeyboardInterrupt):
            kept.keys.rotate()
    kept.check()
    sealings.append(kept.keep())
    kept.check()
    SealingKeys(kept.store, KeyStore(kept.folder / "keys", "pass", kdf_cost=2)).resume()
    kept.check()
    after = {kept.kek_of(each) for each in sealings}
    assert len(after) == 1
    assert not after & before
    assert [path.name for path in (kept.folder / "keys").glob("kek*")] == ["kek.json"]


def test_a_key_that_is_wrapped_anew_while_it_is_read_is_found(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rotation ends between the reading of the wrapped key and that of the key-encryption key."""
    sealing = kept.keep()
    find, other = kept.keystore.find_kek, SealingKeys(kept.store, KeyStore(kept.folder / "keys", "pass", kdf_cost=2))

    def find_late(name: str) -> Any:
        monkeypatch.setattr(kept.keystore, "find_kek", find)
        other.rotate()
        return find(name)

    monkeypatch.setattr(kept.keystore, "find_kek", find_late)
    assert kept.keys.unwrap(sealing).to_bytes() == kept.secrets[sealing]


def test_one_rotation_at_a_time(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep()
    refused = []

    def rotate_within(*_args: object) -> int:
        with pytest.raises(ConflictError) as caught:
            kept.keys.rotate()
        refused.append(caught.value.code)
        return 0

    monkeypatch.setattr(kept.keys, "_rewrap_some", rotate_within)
    kept.keys.rotate()
    assert set(refused) == {"rotation-under-way"}


def test_a_changed_or_exchanged_wrapped_key_is_found(kept: Kept) -> None:
    one, other = kept.keep(), kept.keep()
    rows = kept.store.sealings
    row, second = rows.find(one), rows.find(other)
    assert row is not None
    assert row.wrapped_key is not None
    assert row.kek is not None
    assert second is not None
    assert second.wrapped_key is not None
    for wrapped in (bytes([row.wrapped_key[0] ^ 1]) + row.wrapped_key[1:], second.wrapped_key, b"", bytes(40)):
        rows.rewrap(one, row.kek, row.kek, wrapped)
        with pytest.raises(StoredKeyError):
            kept.keys.unwrap(one)
        with pytest.raises(StoredKeyError):
            kept.keys.rotate()
        assert kept.keys.unwrap(other).to_bytes() == kept.secrets[other]
    rows.rewrap(one, row.kek, row.kek, row.wrapped_key)
    kept.keys.rotate()
    kept.check()


def test_a_lost_key_encryption_key_is_named(kept: Kept) -> None:
    sealing = kept.keep()
    kek = kept.kek_of(sealing)
    shutil.move(kept.folder / "keys" / "kek.json", kept.folder / "kek.json")
    kept.keystore.reread()
    with pytest.raises(StoredKeyError, match=f"{kek}.* is not in the keystore"):
        kept.keys.unwrap(sealing)
    with pytest.raises(StoredKeyError, match=f"{kek}.* is not in the keystore"):
        kept.keys.rotate()
    for path in (kept.folder / "keys").glob("kek*"):
        path.unlink()
    kept.keystore.reread()
    shutil.move(kept.folder / "kek.json", kept.folder / "keys" / "kek.json")
    kept.check()


def test_a_database_that_fails_leaves_both_keys(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep()

    def fail(*_args: object) -> None:
        raise UnavailableError("the database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(kept.store.sealings, "rewrap", fail)
        with pytest.raises(UnavailableError):
            kept.keys.rotate()
    kept.check()
    kept.keys.rotate()
    kept.check()


def test_another_passphrase_opens_the_same_keys(kept: Kept) -> None:
    kept.keystore.ensure_relay()
    sealing = kept.keep()
    kek = kept.kek_of(sealing)
    kept.keystore.ensure_next_kek()
    assert kept.keystore.check("log.example") == 3
    kept.keystore.change_passphrase("pass", "another")
    kept.keystore.reread()
    assert kek is not None
    assert KeyStore.open(kept.folder / "keys", "another").find_kek(kek) is not None
    kept.keys.resume()
    assert kept.keys.unwrap(sealing).to_bytes() == kept.secrets[sealing]
    assert kept.kek_of(sealing) != kek
    with pytest.raises(VerificationError):
        KeyStore(kept.folder / "keys", "pass").ensure_kek()


def test_a_local_key_wraps_and_shows_nothing() -> None:
    kek, other = LocalKey(bytes(range(32))), LocalKey(bytes(32))
    wrapped = kek.wrap(bytes([7]) * 32, VERSION)
    assert kek.unwrap(wrapped, VERSION) == bytes([7]) * 32
    assert kek.id != other.id
    assert bytes(range(32)).hex() not in f"{kek} {kek!r} {kek.id}"
    for changed in (wrapped[:-1], wrapped + b"x", b"", bytes(40)):
        with pytest.raises(VerificationError):
            kek.unwrap(changed, VERSION)
    with pytest.raises(VerificationError):
        other.unwrap(wrapped, VERSION)
