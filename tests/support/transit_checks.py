"""What holds of any transit engine, the stand-in and the real one: the same checks run against both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.client.transit import Transit, TransitPlace
from ledger.content.sealing import SealingKey
from ledger.errors import UnavailableError, VerificationError
from ledger.exchange.keystore import KeyStore
from ledger.exchange.sealing_keys import SealingKeys
from ledger.exchange.transit_key import parse_kms_urls
from ledger.store import Store
from ledger.store.rows import SealingRow, SealingState
from ledger.types import Bytes32

__all__ = ["KEY", "Service", "check_encrypting", "check_moving", "keep_key"]

KEY = "concord"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
VERSION = Bytes32(bytes([6]) * 32)
_SECRET, _BOUND = bytes(range(32)), b"one sealing"


@dataclass(frozen=True)
class Service:
    """A running engine with a key named `KEY`."""

    url: str
    token: str

    @property
    def place(self) -> TransitPlace:
        return TransitPlace(self.url, KEY)

    def open(self, token: Callable[[], str] | None = None) -> Transit:
        return Transit(self.place, token or (lambda: self.token))


def check_encrypting(service: Service) -> None:
    """Versions, associated data, what was changed, and who may not."""
    transit = service.open()
    first = transit.read_version()
    wrapped = transit.encrypt(_SECRET, first, _BOUND)
    assert wrapped.startswith(f"vault:v{first}:")
    assert transit.decrypt(wrapped, _BOUND) == _SECRET
    for changed in (wrapped[:-8] + "AAAAAAA=", f"vault:v{first + 7}:" + wrapped.split(":")[2], "vault", "", "x:y:z"):
        with pytest.raises((VerificationError, UnavailableError)):
            transit.decrypt(changed, _BOUND)
    with pytest.raises(VerificationError, match="was changed, or is of another key"):
        transit.decrypt(wrapped, b"another sealing")
    assert transit.rotate() == first + 1
    assert transit.decrypt(wrapped, _BOUND) == _SECRET
    assert transit.encrypt(_SECRET, first, _BOUND) != wrapped, "an older version still encrypts"
    assert transit.decrypt(transit.encrypt(_SECRET, first + 1, _BOUND), _BOUND) == _SECRET
    with pytest.raises(UnavailableError, match="refused encrypt"):
        transit.encrypt(_SECRET, first + 2, _BOUND)
    transit.retire_before(first + 1)
    with pytest.raises(UnavailableError, match="lower min_decryption_version"):
        transit.decrypt(wrapped, _BOUND)
    with pytest.raises(UnavailableError, match="refused the token for transit/keys/concord"):
        service.open(lambda: "another").read_version()
    nowhere = Transit(TransitPlace(service.url, "none"), lambda: service.token)
    for ask in (nowhere.read_version, nowhere.rotate, lambda: nowhere.decrypt(wrapped, _BOUND)):
        with pytest.raises(UnavailableError, match="has no key none under the mount transit: make it there"):
            ask()


def keep_key(store: Store, keys: SealingKeys, secrets: dict[Bytes32, bytes]) -> Bytes32:
    """Keep the key of a sealing, wrapped."""
    key = SealingKey.draw()
    row = SealingRow(key.commitment, VERSION, VERSION, 1, SealingState.MAKING, None, None, None, None, NOW)
    keys.keep(row, key)
    secrets[key.commitment] = key.to_bytes()
    return key.commitment


def check_moving(service: Service, store: Store, folder: Path) -> None:
    """From the keystore to the service, a version on, and back: every key opens all the while, in a new process too."""

    def opened() -> SealingKeys:
        keystore = KeyStore(folder / "keys", "pass", kdf_cost=2, kms_token=lambda: service.token)
        return SealingKeys(store, keystore, parse_kms_urls(service.url))

    keys, kept = opened(), dict[Bytes32, bytes]()

    def check(kind: str) -> None:
        keep_key(store, keys, kept)
        for each in (keys, opened()):
            assert {sealing: each.unwrap(sealing).to_bytes() for sealing in kept} == kept
        rows = [store.sealings.find(sealing) for sealing in kept]
        assert all(row is not None and str(row.kek).startswith(kind) for row in rows)
        assert [each.name for each in (folder / "keys").glob("kek*")] == ["kek.json"]

    check("keystore:")
    version = service.open().read_version()
    moved = keys.rotate(service.place)
    assert moved.rewrapped == 1
    check(f"transit:{moved.kek.split(':')[1]}:{version}")
    rotated = keys.rotate()
    assert rotated.rewrapped == 2
    assert rotated.kek == f"transit:{moved.kek.split(':')[1]}:{version + 1}"
    assert service.open().read_version() == version + 1
    check(rotated.kek)
    back = keys.rotate(to_keystore=True)
    assert back.rewrapped == 3
    check("keystore:")
    for sealing in kept:
        store.sealings.give_up(sealing, NOW)
