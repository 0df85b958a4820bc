"""Wrapping a sealing's key: against a definition of RFC 9180 that its own vectors check, and what must not open."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.content.release import (
    WRAPPED_KEY_SIZE_BYTES,
    RecipientKey,
    ReleaseTerms,
    check_recipient_key,
    open_key,
    wrap_key,
)
from ledger.errors import MalformedError, VerificationError
from ledger.types import Bytes32

TERMS = ReleaseTerms(*(Bytes32(bytes([number]) * 32) for number in range(1, 5)))
KEY = bytes(range(32))
RECIPIENT = RecipientKey(bytes([8, *range(1, 31), 64]))

_AES_128, _AES_256 = (1, 16), (2, 32)  # id and key size (RFC 9180, section 7.3)


def _extract(salt: bytes, keying: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), keying, hashlib.sha256)


def _expand(key: bytes, info: bytes, size: int) -> bytes:
    return hmac.digest(key, info + b"\x01", hashlib.sha256)[:size]


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, keying: bytes) -> bytes:
    return _extract(salt, b"HPKE-v1" + suite + label + keying)


def _labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, size: int) -> bytes:
    return _expand(key, size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, size)


def define_open(
    aead: tuple[int, int], private: bytes, encapsulated: bytes, info: bytes, aad: bytes, text: bytes
) -> bytes:
    """RFC 9180, sections 4.1, 5.1 and 5.2: base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, as it is defined."""
    recipient = X25519PrivateKey.from_private_bytes(private)
    shared = recipient.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    kem = b"KEM" + (0x20).to_bytes(2, "big")
    context = encapsulated + recipient.public_key().public_bytes_raw()
    prk = _labeled_extract(kem, b"", b"eae_prk", shared)
    secret = _labeled_expand(kem, prk, b"shared_secret", context, 32)
    suite = b"HPKE" + b"".join(part.to_bytes(2, "big") for part in (0x20, 1, aead[0]))
    hashes = _labeled_extract(suite, b"", b"psk_id_hash", b"") + _labeled_extract(suite, b"", b"info_hash", info)
    scheduled = _labeled_extract(suite, secret, b"secret", b"")
    key = _labeled_expand(suite, scheduled, b"key", b"\x00" + hashes, aead[1])
    nonce = _labeled_expand(suite, scheduled, b"base_nonce", b"\x00" + hashes, 12)
    return AESGCM(key).decrypt(nonce, text, aad)


def test_the_definition_opens_the_vector_of_the_rfc() -> None:
    """RFC 9180, appendix A.1.1.1, the first encryption."""
    private = bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
    encapsulated = bytes.fromhex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431")
    text = bytes.fromhex("f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a")
    opened = define_open(_AES_128, private, encapsulated, b"Ode on a Grecian Urn", b"Count-0", text)
    assert opened == b"Beauty is truth, truth beauty"


def test_what_is_wrapped_opens_by_the_definition() -> None:
    wrapped = wrap_key(KEY, RECIPIENT.public, TERMS)
    assert len(wrapped) == WRAPPED_KEY_SIZE_BYTES
    info = b"concord key release v1" + b"".join(bytes([number]) * 32 for number in range(1, 5))
    assert define_open(_AES_256, RECIPIENT.private, wrapped[:32], info, b"", wrapped[32:]) == KEY


def test_a_known_wrapped_key_opens() -> None:
    wrapped = bytes.fromhex(KNOWN)
    assert open_key(wrapped, RECIPIENT, TERMS) == KEY


KNOWN = (
    "8dff801e62b2780bf866e2a629fc6e42b27af50b0499d48b7906ae6ac7702d28acce1a1e6d084ec9"
    "3ca15cadbf4d618945f8be0219d399b600b50b9cc87d56178afd28adc92295a76db08c5edea2c50f"
)


def test_every_wrapping_is_another() -> None:
    assert wrap_key(KEY, RECIPIENT.public, TERMS) != wrap_key(KEY, RECIPIENT.public, TERMS)


@pytest.mark.parametrize("member", ["transfer", "grant", "sealing", "consumer"])
def test_it_opens_under_its_own_terms_alone(member: str) -> None:
    wrapped = wrap_key(KEY, RECIPIENT.public, TERMS)
    assert open_key(wrapped, RECIPIENT, TERMS) == KEY
    others = {member: Bytes32(bytes(32))}
    with pytest.raises(VerificationError, match="does not open"):
        open_key(wrapped, RECIPIENT, replace(TERMS, **others))


def test_it_opens_with_its_own_key_alone() -> None:
    with pytest.raises(VerificationError):
        open_key(wrap_key(KEY, RECIPIENT.public, TERMS), RecipientKey.generate(), TERMS)


def test_no_changed_bit_opens() -> None:
    wrapped = wrap_key(KEY, RECIPIENT.public, TERMS)
    # The highest bit of the encapsulated key is ignored by X25519 itself, but stands in the KEM's context.
    for place in range(len(wrapped) * 8):
        changed = bytearray(wrapped)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(VerificationError):
            open_key(bytes(changed), RECIPIENT, TERMS)


@pytest.mark.parametrize("size", [0, 31, 32, 79, 81, 160])
def test_another_size_is_malformed(size: int) -> None:
    with pytest.raises(MalformedError, match="80 bytes"):
        open_key(bytes(size), RECIPIENT, TERMS)


def test_a_point_of_small_order_in_the_place_of_the_encapsulated_key_opens_nothing() -> None:
    with pytest.raises(VerificationError):
        open_key(bytes(WRAPPED_KEY_SIZE_BYTES), RECIPIENT, TERMS)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_recipient_key_has_one_size(size: int) -> None:
    with pytest.raises(MalformedError, match="32 bytes"):
        check_recipient_key(bytes(size))


@pytest.mark.parametrize("point", [0, 1, 2**255 - 19 - 1, 2**255 - 19, 2**255 - 18])
def test_a_point_of_small_order_is_no_recipient_key(point: int) -> None:
    with pytest.raises(MalformedError, match="small order"):
        check_recipient_key(point.to_bytes(32, "little"))


def test_a_good_recipient_key_passes() -> None:
    check_recipient_key(RecipientKey.generate().public)


@pytest.mark.parametrize("raw", [b"", bytes(32), bytes([9, *range(1, 31), 64]), bytes([8, *range(1, 31), 192])])
def test_a_private_key_has_one_spelling(raw: bytes) -> None:
    with pytest.raises(MalformedError, match="clamped"):
        RecipientKey(raw)


def test_a_private_key_is_not_printed() -> None:
    assert RECIPIENT.private.hex() not in repr(RECIPIENT)
    assert repr(list(RECIPIENT.private)) not in repr(RECIPIENT)


def test_a_key_of_another_size_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        wrap_key(bytes(16), RECIPIENT.public, TERMS)
