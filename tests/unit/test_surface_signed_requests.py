"""Signed requests: the RFC's own example, the one form that is taken, and everything that is not this request."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import MalformedError, VerificationError
from ledger.keccak import keccak256
from ledger.statements import address_of, sign_digest
from ledger.surface.signed_requests import (
    CLOCK_SKEW_S,
    LIFETIME_S,
    RequestSignature,
    SignedMessage,
    compute_content_digest,
    format_signature_base,
    parse_authority,
    prepare_request,
)
from ledger.types import Bytes32

KEY = keccak256(b"key")
PARTICIPANT = Bytes32(keccak256(b"participant"))
NOW = 1_795_247_000
URL = "https://Data.Example.org/v1/transfers?x=1"
BODY = b'{"grant":"0x00"}'


def signed(url: str = URL, body: bytes = BODY, method: str = "POST", key: bytes = KEY) -> dict[str, str]:
    message, claim = prepare_request(method, url, body, PARTICIPANT, address_of(KEY), NOW)
    return claim.to_headers(message, sign_digest(key, claim.compute_digest(message)))


def verify(headers: dict[str, str], **changed: object) -> RequestSignature:
    request: dict[str, object] = {
        "method": "POST", "authority": "data.example.org", "path": "/v1/transfers", "query": "x=1", "body": BODY,
    } | changed  # fmt: skip
    return SignedMessage.parse(headers.items()).verify(**request)  # type: ignore[arg-type]  # by name


def test_the_base_is_that_of_the_rfcs_example() -> None:
    """RFC 9421, appendix B.2.6."""
    values = {
        "date": "Tue, 20 Apr 2021 02:07:55 GMT", "@method": "POST", "@path": "/foo", "@authority": "example.com",
        "content-type": "application/json", "content-length": "18",
    }  # fmt: skip
    names = " ".join(f'"{name}"' for name in values)
    base = format_signature_base(values.items(), f'({names});created=1618884473;keyid="test-key-ed25519"')
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="))
    signature = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    public.verify(base64.b64decode(signature), base)


def test_the_digest_is_that_of_the_rfcs_example() -> None:
    """RFC 9421, section B.2, the body of its request; the digest's form is that of RFC 9530."""
    digest = base64.b64encode(hashlib.sha256(b'{"hello": "world"}').digest()).decode()
    assert compute_content_digest(b'{"hello": "world"}') == f"sha-256=:{digest}:"
    assert digest == "X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE="


def test_what_is_signed_verifies() -> None:
    claim = verify(signed())
    assert (claim.participant, claim.key) == (PARTICIPANT, address_of(KEY))
    claim.check_time(NOW)


def test_the_signed_bytes_are_an_ethereum_message() -> None:
    message, claim = prepare_request("GET", "http://127.0.0.1:80", b"", PARTICIPANT, address_of(KEY), NOW)
    base = (
        '"@method": GET\n"@authority": 127.0.0.1\n"@path": /\n"@query": ?\n'
        f'"content-digest": {compute_content_digest(b"")}\n"@signature-params": '
        '("@method" "@authority" "@path" "@query" "content-digest")'
        f';created={NOW};expires={NOW + 60};nonce="{claim.nonce}";keyid="{PARTICIPANT}/{address_of(KEY)}"'
        ';tag="concord/1"'
    )
    assert claim.compute_payload(message) == f"\x19Ethereum Signed Message:\n{len(base)}{base}".encode("latin-1")


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"}, {"method": "post"}, {"authority": "other.example.org"},
        {"authority": "data.example.org:8080"},
        {"path": "/v1/transfer"}, {"query": "x=2"}, {"query": ""}, {"body": b""}, {"body": BODY + b" "},
    ],
)  # fmt: skip
def test_another_request_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(VerificationError):
        verify(signed(), **changed)


def test_the_hosts_case_does_not_count() -> None:
    verify(signed(), authority="DATA.example.org")


def test_another_key_is_refused() -> None:
    with pytest.raises(VerificationError, match="keyid"):
        verify(signed(key=keccak256(b"another")))


def test_a_request_is_of_plain_characters() -> None:
    with pytest.raises(MalformedError, match="ASCII"):
        verify(signed(), path="/v1/tränsfers")
    with pytest.raises(MalformedError, match="ASCII"):
        prepare_request("GET", "https://data.example.org/a b", b"", PARTICIPANT, address_of(KEY), NOW)


@pytest.mark.parametrize("name", ["Signature-Input", "Signature", "Content-Digest"])
def test_each_header_is_needed_once(name: str) -> None:
    headers = signed()
    with pytest.raises(MalformedError, match=name.lower()):
        SignedMessage.parse((key, value) for key, value in headers.items() if key != name)
    with pytest.raises(MalformedError, match="twice"):
        SignedMessage.parse([*headers.items(), (name.upper(), headers[name])])


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("Signature-Input", "concord=", "sig1="),
        ("Signature-Input", '"@method" "@authority"', '"@authority" "@method"'),
        ("Signature-Input", ' "content-digest"', ""),
        ("Signature-Input", ";created=", "; created="),
        ("Signature-Input", "created=1", "created=01"),
        ("Signature-Input", 'tag="concord/1"', 'tag="other"'),
        ("Signature-Input", ';tag="concord/1"', ';tag="concord/1";alg="ed25519"'),
        ("Signature-Input", ";expires=", ";expires2="),
        ("Signature-Input", "0x", "0X"),
        ("Signature", "concord=:", "concord=: "),
        ("Signature", ":", ""),
        ("Content-Digest", "sha-256", "sha-512"),
        ("Content-Digest", "=:\n", ""),
    ],
)
def test_no_other_form_is_taken(name: str, old: str, new: str) -> None:
    headers = signed()
    value = headers[name].replace(old, new) if old in headers[name] else headers[name] + "x"
    with pytest.raises(MalformedError):
        SignedMessage.parse((headers | {name: value}).items())


def test_base64_has_one_spelling() -> None:
    headers = signed()
    value = headers["Signature"]
    place = len(value) - 3  # the last character before the padding: two of its bits hold nothing
    spelled = [value[:place] + each + value[place + 1 :] for each in "BCD"]
    for each in spelled:
        with pytest.raises((MalformedError, VerificationError)):
            verify(headers | {"Signature": each})


def test_a_signature_that_is_not_canonical_is_refused() -> None:
    message, claim = prepare_request("POST", URL, BODY, PARTICIPANT, address_of(KEY), NOW)
    raw = sign_digest(KEY, claim.compute_digest(message))
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = raw[:32] + (order - int.from_bytes(raw[32:64], "big")).to_bytes(32, "big") + bytes([55 - raw[64]])
    with pytest.raises(MalformedError, match="canonical"):
        verify(claim.to_headers(message, high))


@pytest.mark.parametrize("moment", [NOW - CLOCK_SKEW_S, NOW, NOW + LIFETIME_S + CLOCK_SKEW_S])
def test_clocks_may_differ_a_little(moment: int) -> None:
    verify(signed()).check_time(moment)


@pytest.mark.parametrize(
    ("moment", "word"), [(NOW - CLOCK_SKEW_S - 1, "future"), (NOW + LIFETIME_S + CLOCK_SKEW_S + 1, "expired")]
)
def test_clocks_may_not_differ_more(moment: int, word: str) -> None:
    with pytest.raises(VerificationError, match=word):
        verify(signed()).check_time(moment)


@pytest.mark.parametrize("lifetime", [0, -1, LIFETIME_S + 1])
def test_a_signature_is_for_a_minute_at_most(lifetime: int) -> None:
    claim = verify(signed())
    with pytest.raises(VerificationError, match="at most"):
        replace(claim, expires=claim.created + lifetime).check_time(NOW)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://Data.Example.org", "data.example.org"),
        ("https://data.example.org:443/x", "data.example.org"),
        ("http://data.example.org:443/x", "data.example.org:443"),
        ("http://[::1]:8080/", "[::1]:8080"),
    ],
)
def test_the_authority_of_a_url(url: str, authority: str) -> None:
    assert parse_authority(url) == authority


@pytest.mark.parametrize("url", ["ftp://x", "https://", "x", "https://u:p@host", "https://host:99999", "http://[::1"])
def test_no_authority(url: str) -> None:
    with pytest.raises(MalformedError):
        parse_authority(url)
