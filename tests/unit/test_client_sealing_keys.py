"""Keys of sealings in files: for their owner alone, each its sealing's, told when damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.client.sealing_keys import SealingKeyFiles
from ledger.content.sealing import SealingKey, WrongSealingKeyError
from ledger.errors import ConflictError, NotFoundError
from ledger.keyfiles import WrongPassphraseError


def test_a_key_is_kept_encrypted_and_forgotten(tmp_path: Path) -> None:
    keys, key = SealingKeyFiles(tmp_path / "keys", "a passphrase", kdf_cost=2), SealingKey.draw()
    assert not keys.has(key.commitment)
    keys.keep(key)
    (place,) = keys.folder.iterdir()
    assert (place.stem, place.stat().st_mode & 0o777) == (key.commitment.hex(), 0o600)
    assert key.to_bytes().hex() not in place.read_text()
    assert keys.load(key.commitment).to_bytes() == key.to_bytes()
    with pytest.raises(ConflictError):
        keys.keep(key)
    with pytest.raises(WrongPassphraseError):
        SealingKeyFiles(keys.folder, "another").load(key.commitment)
    assert "a passphrase" not in repr(keys)
    keys.forget(key.commitment)
    keys.forget(key.commitment)
    assert not keys.has(key.commitment)
    with pytest.raises(NotFoundError):
        keys.load(key.commitment)


def test_another_sealings_key_is_told(tmp_path: Path) -> None:
    keys, one, other = SealingKeyFiles(tmp_path, "p", kdf_cost=2), SealingKey.draw(), SealingKey.draw()
    keys.keep(one)
    (tmp_path / f"{one.commitment.hex()}.json").rename(tmp_path / f"{other.commitment.hex()}.json")
    with pytest.raises(WrongSealingKeyError):
        keys.load(other.commitment)
