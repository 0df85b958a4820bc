"""Encrypted key files and the keystore over them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from ledger.errors import ConflictError, MalformedError, NotFoundError, VerificationError
from ledger.exchange.keystore import KeyStore
from ledger.keccak import keccak256
from ledger.keyfiles import read_key_file, write_key_file
from ledger.statements import recover_signer
from ledger.types import Address, Bytes32

SOMEBODY = Bytes32(bytes([7]) * 32)


def test_key_files_are_private_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key.json"
    write_key_file(path, bytes([3]) * 32, "pass", kdf_cost=2)
    assert path.stat().st_mode & 0o077 == 0
    assert read_key_file(path, "pass") == bytes([3]) * 32
    assert (bytes([3]) * 32).hex() not in path.read_text()
    with pytest.raises(VerificationError):
        read_key_file(path, "other")
    with pytest.raises(ConflictError):
        write_key_file(path, bytes([4]) * 32, "pass", kdf_cost=2)
    with pytest.raises(NotFoundError):
        read_key_file(tmp_path / "none.json", "pass")
    for damaged in (b"{", json.dumps({"version": 3}).encode()):
        path.write_bytes(damaged)
        with pytest.raises(MalformedError):
            read_key_file(path, "pass")


def test_a_keystore_draws_once_and_signs(tmp_path: Path) -> None:
    keystore = KeyStore(tmp_path, "pass", kdf_cost=2)
    relay = keystore.ensure_relay()
    assert keystore.ensure_relay().address == relay.address
    assert KeyStore.open(tmp_path, "pass").load_relay().address == relay.address
    key = keystore.draw(SOMEBODY)
    assert KeyStore(tmp_path, "pass").keys_of(SOMEBODY) == {key}
    signer = KeyStore(tmp_path, "pass").find(SOMEBODY, key)
    assert signer is not None
    assert recover_signer(Bytes32(keccak256(b"payload")), signer.sign(b"payload")) == key
    assert keystore.find(SOMEBODY, Address(bytes(20))) is None
    with pytest.raises(VerificationError):
        KeyStore.open(tmp_path, "other")
    with pytest.raises(NotFoundError):
        KeyStore.open(tmp_path / "none", "pass")


def test_one_key_waits_for_each_who_asks(tmp_path: Path) -> None:
    keystore = KeyStore(tmp_path, "pass", kdf_cost=2)
    key = keystore.draw_pending("k1")
    assert keystore.draw_pending("k1") == key
    assert keystore.draw_pending("k2") != key
    assert keystore.find(SOMEBODY, key) is None
    waiting = KeyStore(tmp_path, "pass").find_pending(key)
    assert waiting is not None
    assert waiting.address == key
    for _ in range(2):
        keystore.adopt(SOMEBODY, key)
        assert keystore.keys_of(SOMEBODY) == {key}
        assert keystore.find_pending(key) is None
    signer = keystore.find(SOMEBODY, key)
    assert signer is not None
    assert signer.address == key
    assert keystore.draw_pending("k1") != key


def test_a_key_that_was_adopted_before_a_crash_waits_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keystore = KeyStore(tmp_path, "pass", kdf_cost=2)
    key = keystore.draw_pending("k1")

    class KilledError(BaseException):
        pass

    def kill(_path: Path, missing_ok: bool = False) -> None:
        raise KilledError

    real = Path.unlink
    monkeypatch.setattr(
        Path, "unlink", lambda path, missing_ok=False: (real if missing_ok else kill)(path, missing_ok=missing_ok)
    )
    with pytest.raises(KilledError):
        keystore.adopt(SOMEBODY, key)
    monkeypatch.undo()
    assert keystore.keys_of(SOMEBODY) == {key}
    assert keystore.draw_pending("k1") != key
    assert keystore.find_pending(key) is None


def test_keys_that_wait_too_long_are_forgotten(tmp_path: Path) -> None:
    keystore = KeyStore(tmp_path, "pass", kdf_cost=2)
    key, now = keystore.draw_pending("k1"), datetime.now(UTC)
    assert keystore.drop_pending(now - timedelta(hours=1)) == 0
    assert keystore.drop_pending(now + timedelta(hours=1)) == 1
    assert keystore.find_pending(key) is None
    assert not any((tmp_path / "pending").iterdir())


def test_the_log_key_is_encrypted(tmp_path: Path) -> None:
    keystore = KeyStore(tmp_path, "pass", kdf_cost=2)
    with pytest.raises(NotFoundError):
        keystore.load_log_signer("a/log")
    signer = keystore.ensure_log_signer("a/log")
    assert keystore.ensure_log_signer("a/log") == signer
    with pytest.raises(VerificationError):
        KeyStore(tmp_path, "other").load_log_signer("a/log")
    other = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")
    )
    (tmp_path / "log.pem").write_bytes(other)
    with pytest.raises(MalformedError):
        keystore.load_log_signer("a/log")
