"""A key-management service's key, by the STAND-IN of its engine; `make test-kms` asks the real one the same."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ledger.client import transit as module
from ledger.client.transit import Transit, TransitPlace
from ledger.errors import MalformedError, UnavailableError, VerificationError
from tests.support.transit_checks import KEY, Service, check_encrypting
from tests.support.transit_stand_in import TOKEN, TransitStandIn, stand_in_for_transit

SECRET = bytes(range(32))


@pytest.fixture
def stand_in() -> Iterator[TransitStandIn]:
    with stand_in_for_transit() as running:
        running.make(KEY)
        yield running


def transit_at(service: TransitStandIn, **more: Any) -> Transit:
    return Transit(TransitPlace(service.url, KEY, **more), lambda: TOKEN)


def test_it_encrypts_by_versions_and_for_one_purpose(stand_in: TransitStandIn) -> None:
    check_encrypting(Service(stand_in.url, TOKEN))


def test_the_token_travels_in_its_header_alone_and_is_in_no_message(
    stand_in: TransitStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    transit = transit_at(stand_in, namespace="teams/data")
    wrapped = transit.encrypt(SECRET, 1, b"")
    stand_in.token = "another"
    with pytest.raises(UnavailableError) as refused:
        transit.decrypt(wrapped, b"")
    assert {headers["x-vault-token"] for _, _, headers in stand_in.asked} == {TOKEN}
    assert {headers["x-vault-namespace"] for _, _, headers in stand_in.asked} == {"teams/data"}
    shown = f"{refused.value} {transit!r} {caplog.text} {[path for _, path, _ in stand_in.asked]}"
    for secret in (TOKEN, SECRET.hex(), "AAECAwQF"):
        assert secret not in shown


TWISTED: dict[str, tuple[Callable[..., Any], str]] = {
    "sealed": (
        lambda *_: (503, {"errors": ["Vault is sealed"]}),
        "is sealed or not ready .Vault is sealed.: unseal it",
    ),
    "an error": (lambda *_: (500, {"errors": []}), "answered 500 .no reason given."),
    "a redirect": (lambda *_: (307, {}), "answered 307"),
    "a page": (lambda *_: (200, b"<html>"), "answered something other than JSON"),
    "a list": (lambda *_: (200, []), "answered 200"),
    "no data": (lambda *_: (200, {"data": [1]}), "did not encrypt with version 1"),
    "another version": (lambda *_: (200, {"data": {"ciphertext": "vault:v2:x"}}), "did not encrypt with version 1"),
    "a flood": (lambda *_: (200, b"x" * (1 << 17)), "answers too much, or too slowly"),
}


@pytest.mark.parametrize("name", TWISTED)
def test_a_service_that_misbehaves_is_said_to(stand_in: TransitStandIn, name: str) -> None:
    stand_in.twist, expected = TWISTED[name]
    with pytest.raises(UnavailableError, match=expected) as told:
        transit_at(stand_in).encrypt(SECRET, 1, b"")
    assert stand_in.url.removeprefix("http://") in str(told.value)
    assert told.value.retry_after_s is not None


def test_what_it_answers_is_looked_at(stand_in: TransitStandIn) -> None:
    transit = transit_at(stand_in)
    data: Mapping[str, object]
    for data, expected in (
        ({"plaintext": 7}, "answered no plaintext"),
        ({"plaintext": "no base64"}, "answered no plaintext"),
    ):
        stand_in.twist = lambda *_, data=data: (200, {"data": data})
        with pytest.raises(UnavailableError, match=expected):
            transit.decrypt("vault:v1:x", b"")
    for data, expected in (
        ({"type": "rsa-2048", "latest_version": 1}, "of another kind .'rsa-2048'.: make one of type aes256-gcm96"),
        ({"type": "aes256-gcm96", "derived": True, "latest_version": 1}, "of another kind"),
        ({"type": "aes256-gcm96", "latest_version": "1"}, "does not tell the version"),
        ({"type": "aes256-gcm96", "latest_version": 0}, "does not tell the version"),
    ):
        stand_in.twist = lambda *_, data=data: (200, {"data": data})
        with pytest.raises(UnavailableError, match=expected):
            transit.read_version()


def test_nobody_there_is_told_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    transit = Transit(TransitPlace(f"http://127.0.0.1:{port}", KEY), lambda: TOKEN)
    with pytest.raises(
        UnavailableError, match=f"the key service is not reachable at 127.0.0.1:{port} .ConnectError.; "
    ):
        transit.read_version()


def test_a_service_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = TransitPlace(f"http://127.0.0.1:{silent.getsockname()[1]}", KEY)
        with pytest.raises(UnavailableError, match=r"is not reachable .* .ReadTimeout."):
            Transit(place, lambda: TOKEN).read_version()


def certificate_for(folder: Path, host: str) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    key, now = generate_private_key(SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    files = folder / f"{host}.pem", folder / f"{host}.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def test_tls_is_verified(tmp_path: Path) -> None:
    certificate, other = certificate_for(tmp_path, "127.0.0.1"), certificate_for(tmp_path, "127.0.0.2")
    with stand_in_for_transit(certificate) as service:
        service.make(KEY)
        good = transit_at(service, ca_file=str(certificate[0]))
        assert good.read_version() == good.read_version() == 1
        for ca_file in (None, str(other[0])):
            with pytest.raises(UnavailableError, match="not reachable"):
                transit_at(service, ca_file=ca_file).read_version()
        with pytest.raises(UnavailableError, match="TLS files do not open"):
            transit_at(service, ca_file=str(tmp_path / "missing.pem")).read_version()
        named = {"certificate_file": str(other[0]), "certificate_key_file": str(other[1])}
        assert transit_at(service, ca_file=str(certificate[0]), **named).read_version() == 1
        named["certificate_key_file"] = str(certificate[1])
        with pytest.raises(UnavailableError, match="TLS files do not open"):
            transit_at(service, ca_file=str(certificate[0]), **named).read_version()
    assert len(service.asked) == 3
    with stand_in_for_transit(other) as service, pytest.raises(UnavailableError, match="not reachable"):
        transit_at(service, ca_file=str(other[0])).read_version()
    assert not service.asked
    assert ssl.create_default_context().check_hostname


@pytest.mark.parametrize(
    "members",
    [
        {"url": "http://vault.example:8200"},
        {"url": "ftp://127.0.0.1"},
        {"url": "https://user:word@vault.example"},
        {"url": "https://:secret@vault.example:8200"},
        {"url": "https://@vault.example"},
        {"url": "https://vault.example:99999"},
        {"url": "https://vault.example:x"},
        {"url": "https://[::1"},
        {"url": "https://vault.example\\.other.example"},
        {"url": "https://vault\t.example"},
        {"url": "https://v\u00e4ult.example"},
        {"url": "https://vault.example/?"},
        {"url": "https://vault.example/?x=1"},
        {"url": "https://"},
        {"url": ""},
        {"key": ""},
        {"key": "../sys/seal"},
        {"key": "a/b"},
        {"mount": "transit/../sys"},
        {"mount": ""},
        {"namespace": "/x"},
        {"certificate_key_file": "key.pem"},
    ],
)
def test_a_place_is_over_tls_or_on_this_machine(members: dict[str, str]) -> None:
    with pytest.raises(MalformedError):
        TransitPlace(**{"url": "https://vault.example:8200", "key": KEY} | members)


def test_a_place_names_its_host() -> None:
    assert TransitPlace("https://vault.example:8200", KEY, "teams/transit").host == "vault.example:8200"
    assert TransitPlace("http://localhost:8200", KEY).mount == "transit"


def test_a_ciphertext_that_was_changed_is_a_finding(stand_in: TransitStandIn) -> None:
    transit = transit_at(stand_in)
    with pytest.raises(VerificationError, match="invalid ciphertext: no prefix"):
        transit.decrypt("nothing", b"")
