"""A signer whose key is elsewhere: Web3Signer's ``POST /api/v1/eth1/sign/{public key}``, or whatever speaks it.

The remote signer hashes what it is sent with Keccak-256 and signs the hash, so that what travels is the statement's
``0x1901 || domain || struct hash`` or the unsigned transaction, and it can keep rules about them; it answers
``0x`` and r || s || v in hex as text. What it answers is checked here: a signature of another key leaves nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

import requests

from ledger.chain.http import open_session, read_answer
from ledger.errors import LedgerError, MalformedError, UnavailableError
from ledger.keccak import keccak256
from ledger.statements import recover_signer
from ledger.types import Address, Bytes32

__all__ = ["RemoteKey", "RemoteSigner", "parse_public_key"]

_FORMAT: Final = "concord-remote-key/1"
_MEMBERS: Final = frozenset({"format", "url", "public_key", "ca_file", "certificate_file", "certificate_key_file"})
_PUBLIC_KEY_SIZE: Final = 64
_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_MOST_ANSWER_BYTES: Final = 1024
_RETRY_AFTER_S: Final = 2.0


@dataclass(frozen=True)
class RemoteKey:
    """Where a key is: the signer's URL and the key's 64 public bytes (x || y), and files for TLS.

    As a file: ``{"format": "concord-remote-key/1", "public_key": "0x9b09…", "url": "https://signer.example:9000"}``.
    """

    url: str
    public_key: bytes
    ca_file: str | None = None
    certificate_file: str | None = None
    certificate_key_file: str | None = None

    def __post_init__(self) -> None:
        """Raises: MalformedError: no URL of a signer, or no public key."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise MalformedError("a remote signer's URL is http:// or https:// with a host, as https://signer:9000")
        if parts.username is not None or parts.password is not None:
            raise MalformedError("a remote signer's URL holds no password: let it ask for a certificate")
        if len(self.public_key) != _PUBLIC_KEY_SIZE:
            raise MalformedError("a remote key is named by its 64 public bytes, 0x and 128 hex digits")
        if self.certificate_key_file is not None and self.certificate_file is None:
            raise MalformedError("a certificate's key file needs the certificate: certificate_file")

    @property
    def address(self) -> Address:
        """The account of the key."""
        return Address(keccak256(self.public_key)[12:])

    @staticmethod
    def is_named_by(document: object) -> bool:
        """Whether a key file's JSON is a remote key's."""
        return isinstance(document, Mapping) and document.get("format") == _FORMAT

    @classmethod
    def parse(cls, document: object) -> Self:
        """Read the JSON of such a file, strictly. Raises: MalformedError."""
        if not isinstance(document, Mapping) or not cls.is_named_by(document) or set(document) - _MEMBERS:
            raise MalformedError(f"not a remote key's file: it holds {', '.join(sorted(_MEMBERS))} and nothing else")
        texts = {str(name): value for name, value in document.items() if value is not None}
        if not all(isinstance(value, str) for value in texts.values()) or not {"url", "public_key"} <= set(texts):
            raise MalformedError("a remote key's file names url and public_key, and holds texts alone")
        public_key = texts.pop("public_key")
        del texts["format"]
        return cls(public_key=parse_public_key(public_key), **texts)

    def to_json(self) -> dict[str, str]:
        """What stands in the file."""
        optional = {
            "ca_file": self.ca_file,
            "certificate_file": self.certificate_file,
            "certificate_key_file": self.certificate_key_file,
        }
        named = {name: value for name, value in optional.items() if value is not None}
        return {"format": _FORMAT, "url": self.url, "public_key": "0x" + self.public_key.hex(), **named}


def parse_public_key(text: str) -> bytes:
    """The 64 bytes of ``0x`` and 128 hex digits, or of the form with 04 in front. Raises: MalformedError."""
    digits = text.removeprefix("0x")
    try:
        raw = bytes.fromhex(digits)
    except ValueError as error:
        raise MalformedError("a public key is 0x and hex digits, as Web3Signer lists it") from error
    if len(raw) == _PUBLIC_KEY_SIZE + 1 and raw[0] == 4:
        raw = raw[1:]
    if len(raw) != _PUBLIC_KEY_SIZE:
        raise MalformedError("a public key has 64 bytes (x || y): 0x and 128 hex digits, as Web3Signer lists it")
    return raw


class RemoteSigner:
    """A signer over HTTP. Thread-safe: every request has its own connection."""

    def __init__(self, key: RemoteKey, *, timeout_s: float = 5.0) -> None:
        self._key = key
        self._address = key.address
        self._timeout_s = timeout_s

    @property
    def address(self) -> Address:
        """The account."""
        return self._address

    def sign(self, payload: bytes) -> bytes:
        """Sign keccak256(payload): 65 bytes r || s || v, low s, v 27 or 28.

        Raises:
            UnavailableError: the signer does not answer, refuses, or answers a signature of another key.
        """
        signature = self._parse(self._ask(payload))
        try:
            found = recover_signer(Bytes32(keccak256(payload)), signature)
        except LedgerError as error:
            raise self._unavailable("answered no signature of what it was sent") from error
        if found != self._address:
            raise self._unavailable(f"signed with the key of {found}")
        return signature

    def _ask(self, payload: bytes) -> str:
        key = self._key
        certificate, its_key = key.certificate_file, key.certificate_key_file
        try:
            with (
                _session() as session,
                session.post(
                    f"{key.url.rstrip('/')}/api/v1/eth1/sign/0x{key.public_key.hex()}",
                    json={"data": "0x" + payload.hex()},
                    headers={"Accept": "text/plain", "Accept-Encoding": "identity"},
                    timeout=self._timeout_s,
                    allow_redirects=False,
                    verify=key.ca_file or True,
                    cert=(certificate, its_key) if certificate and its_key else certificate,
                    stream=True,
                ) as response,
            ):
                answer = read_answer(response, _MOST_ANSWER_BYTES).decode("ascii", "replace")
        except ValueError as error:
            raise self._unavailable("answered something other than a signature") from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise self._unavailable(f"does not answer ({type(error).__name__})") from error
        if response.status_code == 404:
            raise self._unavailable("does not hold this key")
        if response.status_code != 200:
            raise self._unavailable(f"answered {response.status_code}")
        return answer

    def _parse(self, answer: str) -> bytes:
        """65 bytes of the answer's hex, in the canonical form: some key vaults answer high s, or v as 0 or 1."""
        digits = answer.strip().strip('"').removeprefix("0x")
        try:
            raw = bytes.fromhex(digits)
        except ValueError as error:
            raise self._unavailable("answered something other than a signature") from error
        if len(raw) != 65 or raw[64] not in (0, 1, 27, 28):
            raise self._unavailable("answered something other than a signature")
        s, v = int.from_bytes(raw[32:64], "big"), raw[64] % 27
        if s > _ORDER // 2:
            s, v = _ORDER - s, 1 - v
        return raw[:32] + (s % (1 << 256)).to_bytes(32, "big") + bytes([v + 27])

    def _unavailable(self, what: str) -> UnavailableError:
        host = urlsplit(self._key.url).netloc
        return UnavailableError(
            f"the remote signer at {host} {what}: look at it; it is asked for the key of {self._address}",
            retry_after_s=_RETRY_AFTER_S,
        )

    def __repr__(self) -> str:
        return f"RemoteSigner({self._address})"


def _session() -> requests.Session:
    session = open_session()
    session.trust_env = False  # no proxy and no .netrc of the environment
    return session
