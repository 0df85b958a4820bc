"""A STAND-IN for the transit engine of Vault and OpenBao: the documented behaviour of its few routes that we use.

It is not Vault. After the API documentation of the transit secrets engine (keys, config, rotate, encrypt, decrypt):
``vault:v<version>:`` and base64 of nonce, ciphertext and tag of AES-256-GCM, associated data, key versions,
``min_decryption_version``, and the words of its errors. Real HTTP over loopback, or TLS, and strict: what the engine
would refuse, it refuses, and it keeps all that it was asked. `tests/kms` runs the same checks against the real engine.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["TOKEN", "TransitStandIn", "stand_in_for_transit"]

TOKEN: Final = "hvs.a-token-that-no-message-shows"
_PREFIX: Final = "/v1/transit/"
_TOO_OLD: Final = "ciphertext or signature version is disallowed by policy (too old)"

Answer = tuple[int, Any]


class _RefusalError(Exception):
    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.status, self.errors = status, list(errors)


@dataclass
class _Key:
    versions: list[bytes] = field(default_factory=lambda: [secrets.token_bytes(32)])
    least: int = 1
    kind: str = "aes256-gcm96"

    def describe(self) -> dict[str, Any]:
        numbers = range(self.least, len(self.versions) + 1)
        return {
            "type": self.kind,
            "derived": False,
            "latest_version": len(self.versions),
            "min_decryption_version": self.least,
            "keys": {str(number): 1 for number in numbers},
        }

    def encrypt(self, body: dict[str, Any]) -> dict[str, Any]:
        number = body.get("key_version") or len(self.versions)
        if number > len(self.versions):
            raise _RefusalError(400, "requested version for encryption is higher than the latest key version")
        nonce, plain = secrets.token_bytes(12), _decode(body, "plaintext")
        sealed = AESGCM(self.versions[number - 1]).encrypt(nonce, plain, _decode(body, "associated_data"))
        return {"ciphertext": f"vault:v{number}:{base64.b64encode(nonce + sealed).decode()}", "key_version": number}

    def decrypt(self, body: dict[str, Any]) -> dict[str, Any]:
        prefix, version, text = [*body["ciphertext"].split(":", 2), "", ""][:3]
        if prefix != "vault" or not version.startswith("v"):
            raise _RefusalError(400, "invalid ciphertext: no prefix")
        number = int(version[1:])
        if number > len(self.versions):
            raise _RefusalError(400, "invalid ciphertext: version is too new")
        if number < self.least:
            raise _RefusalError(400, _TOO_OLD)
        try:
            raw = base64.b64decode(text, validate=True)
            plain = AESGCM(self.versions[number - 1]).decrypt(raw[:12], raw[12:], _decode(body, "associated_data"))
        except (ValueError, InvalidTag) as error:
            raise _RefusalError(400, "cipher: message authentication failed") from error
        return {"plaintext": base64.b64encode(plain).decode()}


@dataclass
class TransitStandIn:
    """The running stand-in. ``twist`` answers in its place, as a broken or hostile service would."""

    url: str
    token: str = TOKEN
    keys: dict[str, _Key] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    twist: Callable[[str, str], Answer | None] = lambda _method, _path: None

    def make(self, name: str, kind: str = "aes256-gcm96") -> None:
        """Make a key, as its operator does."""
        self.keys[name] = _Key(kind=kind)

    def answer(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> Answer:
        """Status and JSON."""
        self.asked.append((method, path, headers))
        twisted = self.twist(method, path)
        if twisted is not None:
            return twisted
        try:
            self._check_token(path, headers)
            return self._answer(method, path.removeprefix(_PREFIX), json.loads(raw) if raw else {})
        except _RefusalError as error:
            return error.status, {"errors": error.errors}

    def _check_token(self, path: str, headers: dict[str, str]) -> None:
        if headers.get("x-vault-token") != self.token or not path.startswith(_PREFIX):
            raise _RefusalError(403, "permission denied")

    def _answer(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        action, _, name = path.partition("/")
        if action == "keys":
            return self._answer_about_key(method, *[*name.split("/"), ""][:2], body=body)
        if name not in self.keys:
            raise _RefusalError(400, "encryption key not found")
        if (method, action) not in {("POST", "encrypt"), ("POST", "decrypt")}:
            raise _RefusalError(404)
        key = self.keys[name]
        return 200, {"data": key.encrypt(body) if action == "encrypt" else key.decrypt(body)}

    def _answer_about_key(self, method: str, name: str, action: str, *, body: dict[str, Any]) -> Answer:
        key = self.keys.get(name)
        if key is None:
            raise _RefusalError(404) if method == "GET" else _RefusalError(400, "key not found")
        if (method, action) == ("POST", "rotate"):
            key.versions.append(secrets.token_bytes(32))
        elif (method, action) == ("POST", "config"):
            if not 0 < body["min_decryption_version"] <= len(key.versions):
                raise _RefusalError(400, "cannot set min decryption version of this key")
            key.least = body["min_decryption_version"]
        elif (method, action) != ("GET", ""):
            raise _RefusalError(404)
        return 200, {"data": key.describe()}


def _decode(body: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(body[name], validate=True)
    except (KeyError, TypeError, binascii.Error) as error:
        raise _RefusalError(400, f"failed to base64-decode {name}") from error


@contextmanager
def stand_in_for_transit(certificate: tuple[Path, Path] | None = None) -> Iterator[TransitStandIn]:
    """Run the stand-in on a free port until the block ends; with ``certificate`` and its key over TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, document = service.answer(method, self.path, headers, raw)
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        service = TransitStandIn(f"{scheme}://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
