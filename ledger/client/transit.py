"""A key that a key-management service keeps: the ``transit`` engine of HashiCorp Vault and OpenBao, over HTTP.

What is encrypted and decrypted is short, so one request does it. The service names the version of its key in what it
gives out (``vault:v3:...``); associated data binds that to one purpose, and goes with the request.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from ledger.canonical import parse_json
from ledger.errors import MalformedError, UnavailableError, VerificationError

__all__ = ["KEY_TYPE", "Transit", "TransitPlace", "parse_kms_url"]

KEY_TYPE: Final = "aes256-gcm96"
"""The type that the key has there: AES-256-GCM takes associated data."""
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}\Z", re.ASCII)
_PATH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}){0,7}\Z", re.ASCII)
_URL: Final = re.compile(r"[!-~]+\Z", re.ASCII)
_NEVER_IN_URL: Final = frozenset("?#\\")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_MOST_ANSWER_BYTES: Final = 1 << 16
_TIMEOUT_S: Final = 5.0
_LONGEST_S: Final = 15.0
_RETRY_AFTER_S: Final = 2.0
_MOST_TOLD: Final = 200
_SEALED: Final = 503
_TOO_OLD: Final = "disallowed by policy"
_NO_KEY: Final = "key not found"


@dataclass(frozen=True)
class TransitPlace:
    """Where a key is: the service, the engine's mount and the key's name there, and files for TLS."""

    url: str
    key: str
    mount: str = "transit"
    namespace: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    certificate_key_file: str | None = None

    def __post_init__(self) -> None:
        """Raise MalformedError unless that can be a key's place, over TLS or on this machine."""
        parse_kms_url(self.url)
        if not _NAME.match(self.key):
            raise MalformedError("a key's name in the key service has letters, digits, _, . and -, at most 80")
        for what, value in (("mount", self.mount), ("namespace", self.namespace)):
            if value is not None and not _PATH.match(value):
                raise MalformedError(f"a {what} in the key service is a path of names, as transit or teams/data")
        if self.certificate_key_file is not None and self.certificate_file is None:
            raise MalformedError("a certificate's key file needs the certificate: certificate_file")

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.url).netloc


def parse_kms_url(url: str) -> str:
    """A key service's URL in one spelling: small letters, no port that goes without saying, no slash at the end.

    Raises:
        MalformedError: it is neither https nor http on this machine, or has more than host, port and path.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise MalformedError("the key service's URL has a host, or a port, that can not be one") from error
    is_plain = _URL.match(url) and not _NEVER_IN_URL.intersection(url) and "@" not in parts.netloc
    if parts.scheme not in _DEFAULT_PORTS or not host or not is_plain:
        raise MalformedError("the key service's URL is https:// with a host and no password, as https://vault:8200")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise MalformedError("the key service's URL is https://: keys and its token travel; http:// is for loopback")
    name = f"[{host}]" if ":" in host else host
    place = name if port in {None, _DEFAULT_PORTS[parts.scheme]} else f"{name}:{port}"
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"


class Transit:
    """One key there. Thread-safe: every request has its own connection."""

    def __init__(self, place: TransitPlace, token: Callable[[], str]) -> None:
        """``token`` gives the service's token, and is asked before each request: it may be renewed."""
        self._place = place
        self._token = token
        self._context: ssl.SSLContext | None = None

    def encrypt(self, plain: bytes, version: int, associated: bytes) -> str:
        """What the key's ``version`` makes of it, as ``vault:v3:...``. Raises: UnavailableError."""
        document = {"plaintext": _dump(plain), "associated_data": _dump(associated), "key_version": version}
        ciphertext = self._ask("POST", f"encrypt/{self._place.key}", document).get("ciphertext")
        if not isinstance(ciphertext, str) or not ciphertext.startswith(f"vault:v{version}:"):
            raise self._unavailable(f"did not encrypt with version {version} of the key {self._place.key}")
        return ciphertext

    def decrypt(self, ciphertext: str, associated: bytes) -> bytes:
        """What was encrypted with that associated data.

        Raises:
            VerificationError: this key did not encrypt it, or it was changed, or is for another purpose.
            UnavailableError: the service does not answer, or not to this.
        """
        document = {"ciphertext": ciphertext, "associated_data": _dump(associated)}
        try:
            answer = self._ask("POST", f"decrypt/{self._place.key}", document).get("plaintext")
        except _RefusedError as error:
            if _TOO_OLD in error.told:
                raise self._unavailable(
                    f"does not use the version any more that wrapped this ({ciphertext.split(':')[1]}): lower "
                    f"min_decryption_version of the key {self._place.key} until all is wrapped anew"
                ) from error
            raise VerificationError(
                f"the key {self._place.key} of the key service does not decrypt what it is asked to: that was changed, "
                f"or is of another key ({error.told})"
            ) from error
        return self._parse(answer)

    def read_version(self) -> int:
        """The key's newest version. Raises: UnavailableError: also where the key is of another type."""
        return self._read_version(self._ask("GET", f"keys/{self._place.key}"))

    def rotate(self) -> int:
        """Have the service add a version, the newest from now on. Raises: UnavailableError."""
        self._ask("POST", f"keys/{self._place.key}/rotate", {})
        return self.read_version()

    def retire_before(self, version: int) -> None:
        """Let versions before this one decrypt nothing any more, until somebody says otherwise there.

        Raises:
            UnavailableError.
        """
        document = {"min_decryption_version": version}
        self._ask("POST", f"keys/{self._place.key}/config", document)

    def _read_version(self, document: Mapping[str, Any]) -> int:
        kind, version = document.get("type"), document.get("latest_version")
        if kind != KEY_TYPE or document.get("derived") is True:
            raise self._unavailable(
                f"has a key {self._place.key} of another kind ({ascii(kind)[:40]}): make one of type {KEY_TYPE}, "
                "not derived"
            )
        if not isinstance(version, int) or version < 1:
            raise self._unavailable(f"does not tell the version of the key {self._place.key}")
        return version

    def _ask(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """The answer's ``data``. Raises: UnavailableError; _RefusedError: 400."""
        status, raw = self._send(method, path, document)
        try:
            answer = parse_json(raw) if raw else {}
        except MalformedError as error:
            raise self._unavailable("answered something other than JSON: is it a key service?") from error
        if status in {200, 204} and isinstance(answer, dict):
            data = answer.get("data", {})
            return data if isinstance(data, dict) else {}
        raise self._judge(status, path, _told(answer))

    def _judge(self, status: int, path: str, told: str) -> UnavailableError:
        if status == 404 or (status == 400 and _NO_KEY in told):
            return self._unavailable(f"has no key {self._place.key} under the mount {self._place.mount}: make it there")
        if status == 400:
            return _RefusedError(self._sentence(f"refused {path}: {told}"), told)
        if status == 403:
            return self._unavailable(
                f"refused the token for {self._place.mount}/{path}: it is wrong, over, or its policy does not allow it"
            )
        if status == _SEALED:
            return self._unavailable(f"is sealed or not ready ({told}): unseal it")
        return self._unavailable(f"answered {status} ({told})")

    def _send(self, method: str, path: str, document: Mapping[str, Any] | None) -> tuple[int, bytes]:
        token = self._token()
        headers = {"X-Vault-Token": token, "X-Vault-Request": "true", "Accept-Encoding": "identity"}
        if self._place.namespace is not None:
            headers["X-Vault-Namespace"] = self._place.namespace
        url = f"{self._place.url.rstrip('/')}/v1/{quote(self._place.mount)}/{path}"
        end = time.monotonic() + _LONGEST_S
        try:
            with (
                httpx.Client(verify=self._trust(), trust_env=False, timeout=httpx.Timeout(_TIMEOUT_S)) as client,
                client.stream(method, url, json=document, headers=headers) as response,
            ):
                raw = b""
                for piece in response.iter_raw():
                    raw += piece
                    if len(raw) > _MOST_ANSWER_BYTES or time.monotonic() > end:
                        raise self._unavailable("answers too much, or too slowly: is it a key service?")
                return response.status_code, raw
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"the key service is not reachable at {self._place.host} ({type(error).__name__}); check that it runs, "
                "its address and its certificate. Nothing is lost: what needs it goes on when it answers",
                retry_after_s=_RETRY_AFTER_S,
            ) from error

    def _trust(self) -> ssl.SSLContext:
        if self._context is None:
            place = self._place
            try:
                self._context = ssl.create_default_context(cafile=place.ca_file)
                if place.certificate_file is not None:
                    self._context.load_cert_chain(place.certificate_file, place.certificate_key_file)
            except OSError as error:  # ssl.SSLError, too
                raise self._unavailable(f"can not be asked: its TLS files do not open ({error.strerror})") from error
        return self._context

    def _parse(self, text: object) -> bytes:
        try:
            return base64.b64decode(text, validate=True)  # type: ignore[arg-type]  # what it is not, is refused
        except (TypeError, ValueError, binascii.Error) as error:
            raise self._unavailable("answered no plaintext") from error

    def _unavailable(self, what: str) -> UnavailableError:
        return UnavailableError(self._sentence(what), retry_after_s=_RETRY_AFTER_S)

    def _sentence(self, what: str) -> str:
        return f"the key service at {self._place.host} {what}"


class _RefusedError(UnavailableError):
    """The service says that what it was sent is wrong."""

    def __init__(self, message: str, told: str) -> None:
        super().__init__(message, retry_after_s=_RETRY_AFTER_S)
        self.told = told


def _told(answer: object) -> str:
    """The service's own words, which hold nothing of what it was sent; shortened."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    words = [ascii(each).strip("'\"") for each in errors] if isinstance(errors, list) else []
    return "; ".join(words)[:_MOST_TOLD] or "no reason given"


def _dump(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
