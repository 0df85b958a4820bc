"""A key-encryption key that a key-management service keeps; a file of the keystore names it, and holds no secret.

    keys/kek.json    {"format": "concord-transit-key/1", "id": "5f1c...", "key": "concord", "mount": "transit",
                      "url": "https://vault.internal:8200", "version": "3", "ca_file": "/etc/concord/vault-ca.pem"}

``id`` is drawn when the key is first named, so that the service may get another address; with ``version`` it makes the
name that is stored with every wrapped key. Each wrapped key is bound to its sealing by associated data.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.types import Bytes32

if TYPE_CHECKING:
    from ledger.client.transit import Transit, TransitPlace

__all__ = ["NamedTransitKey", "TransitKey", "no_kms_token", "parse_kms_urls", "read_kms_token"]

_FORMAT: Final = "concord-transit-key/1"
_OPTIONAL: Final = ("namespace", "ca_file", "certificate_file", "certificate_key_file")
_REQUIRED: Final = ("id", "key", "mount", "url", "version")
_ID: Final = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)
_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}\Z", re.ASCII)
_TOKEN: Final = re.compile(r"[!-~]{1,4096}\Z", re.ASCII)
_BINDING: Final = b"concord-kek/1 sealing "


def no_kms_token() -> str:
    """Raises: UnavailableError: no token was given."""
    raise UnavailableError(
        "there is no token for the key service: set CONCORD_KMS_TOKEN_FILE, or CONCORD_KMS_TOKEN, and start again"
    )


def read_kms_token(token: str | None, file: Path | None) -> str:
    """The token, or the first line of its file, which an agent may renew. Raises: UnavailableError: there is none."""
    if file is not None:
        try:
            token = next(iter(file.read_text(encoding="utf-8").splitlines()), "").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UnavailableError(
                f"the key service's token can not be read from {file} (CONCORD_KMS_TOKEN_FILE): look at that file"
            ) from error
    if not token or not _TOKEN.match(token):
        return no_kms_token()
    return token


def parse_kms_urls(text: str) -> frozenset[str]:
    """The key services of a list with commas, each in one spelling. Raises: MalformedError: one of them is none."""
    given = [each.strip() for each in text.split(",") if each.strip()]
    if not given:
        return frozenset()
    from ledger.client.transit import parse_kms_url  # noqa: PLC0415 - loads HTTP, which few gateways need for this

    try:
        return frozenset(map(parse_kms_url, given))
    except MalformedError as error:
        raise MalformedError(f"CONCORD_KMS_URLS lists what is no key service's URL: {error}") from error


@dataclass(frozen=True)
class NamedTransitKey:
    """A version of a key there, as the keystore's file names it."""

    id: str
    place: TransitPlace
    version: int

    @classmethod
    def draw(cls, place: TransitPlace, version: int) -> Self:
        """Name a key for the first time."""
        return cls(secrets.token_hex(16), place, version)

    @staticmethod
    def is_named_by(document: object) -> bool:
        """Whether a key file's JSON is of this kind."""
        return isinstance(document, Mapping) and document.get("format") == _FORMAT

    @classmethod
    def find(cls, path: Path) -> Self | None:
        """The key that a file names; None: it is another file, or none. Raises: MalformedError."""
        try:
            document = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None  # reading it as a key file says what is wrong
        return cls.parse(document) if cls.is_named_by(document) else None

    @classmethod
    def parse(cls, document: object) -> Self:
        """Read the JSON of such a file, strictly. Raises: MalformedError."""
        from ledger.client.transit import TransitPlace  # noqa: PLC0415 - loads HTTP, which few gateways need for this

        if not isinstance(document, Mapping) or not cls.is_named_by(document):
            raise MalformedError("not the file of a key service's key")
        texts = {str(name): value for name, value in document.items() if name != "format"}
        if set(texts) - {*_REQUIRED, *_OPTIONAL} or not set(_REQUIRED) <= set(texts):
            raise MalformedError(
                f"a key service's key is named by {', '.join(_REQUIRED)}, and if need be {', '.join(_OPTIONAL)}"
            )
        if not all(isinstance(value, str) for value in texts.values()):
            raise MalformedError("the file of a key service's key holds texts alone")
        name, version = texts.pop("id"), texts.pop("version")
        if not _ID.match(name) or not _VERSION.match(version):
            raise MalformedError("the id of a key service's key has 32 hex digits, its version is a number from 1")
        return cls(name, TransitPlace(**texts), int(version))

    def to_bytes(self) -> bytes:
        """The file."""
        place = self.place
        document: dict[str, str] = {
            "format": _FORMAT,
            "id": self.id,
            "key": place.key,
            "mount": place.mount,
            "url": place.url,
            "version": str(self.version),
        }
        for name in _OPTIONAL:
            value = getattr(place, name)
            if value is not None:
                document[name] = value
        return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


class TransitKey:
    """A version of a key there: what a gateway wraps with, and what opened what was wrapped. Thread-safe."""

    def __init__(self, named: NamedTransitKey, token: Callable[[], str]) -> None:
        """``token`` gives the service's, and is asked before each request."""
        from ledger.client.transit import Transit  # noqa: PLC0415 - loads HTTP, which few gateways need for this

        self._named = named
        self._transit: Transit = Transit(named.place, token)

    @property
    def id(self) -> str:
        """``transit:``, what was drawn when it was named, and its version there."""
        return f"transit:{self._named.id}:{self._named.version}"

    @property
    def named(self) -> NamedTransitKey:
        """What its file says."""
        return self._named

    def wrap(self, key: bytes, sealing: Bytes32) -> bytes:
        """Return ``key`` wrapped: the service's own text. Raises: UnavailableError."""
        return self._transit.encrypt(key, self._named.version, _BINDING + sealing).encode("ascii")

    def unwrap(self, wrapped: bytes, sealing: Bytes32) -> bytes:
        """Return what was wrapped. Raises: VerificationError: not so, not for this sealing; UnavailableError."""
        try:
            text = wrapped.decode("ascii")
        except UnicodeDecodeError as error:
            raise VerificationError("what was stored was not wrapped by a key service: it was changed") from error
        if not text.startswith(f"vault:v{self._named.version}:"):
            raise VerificationError(
                f"what was stored is not of the key's version {self._named.version}: it was changed"
            )
        return self._transit.decrypt(text, _BINDING + sealing)

    def check(self) -> None:
        """Wrap and unwrap nothing of worth. Raises: UnavailableError: the service does not do that for us."""
        probe, sealing = secrets.token_bytes(32), Bytes32(secrets.token_bytes(32))
        try:
            is_same = self.unwrap(self.wrap(probe, sealing), sealing) == probe
        except VerificationError as error:
            raise UnavailableError(f"the key service does not decrypt what it encrypted: {error}") from error
        if not is_same:
            raise UnavailableError("the key service decrypts to something else than it encrypted: do not use it")

    def name_newest(self) -> NamedTransitKey:
        """The newest version that the service has. Raises: UnavailableError: also where there is no such key."""
        return replace(self._named, version=self._transit.read_version())

    def follow(self) -> NamedTransitKey:
        """Have the service add a version, which is to follow this one. Raises: UnavailableError."""
        return replace(self._named, version=self._transit.rotate())

    def retire_predecessors(self) -> None:
        """Let earlier versions decrypt nothing any more. Raises: UnavailableError."""
        self._transit.retire_before(self._named.version)

    def __repr__(self) -> str:
        return f"TransitKey({self.id})"
