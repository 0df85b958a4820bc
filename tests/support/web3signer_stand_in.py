"""A STAND-IN for Web3Signer, which no registry of ours carries: the documented behaviour of one of its routes.

After its OpenAPI document (eth1, 23.11.0): ``POST /api/v1/eth1/sign/{public key}`` takes ``{"data": "0x…"}``, hashes it
with Keccak-256, signs, and answers ``0x`` r || s || v (v 27 or 28) as text/plain; 404 for a key that it does not
hold, 400 for a body that is none. Real HTTP over loopback; it is not Web3Signer.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from coincurve import PrivateKey

from ledger.chain import RemoteKey
from ledger.keccak import keccak256
from ledger.statements import sign_digest

__all__ = ["Web3SignerStandIn", "stand_in_for_web3signer"]

_PATH = "/api/v1/eth1/sign/"


@dataclass
class Web3SignerStandIn:
    """The running stand-in. ``twist`` changes its answers, as a broken or hostile signer would."""

    url: str
    keys: dict[str, bytes] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    twist: Callable[[bytes], tuple[int, str]] | None = None

    def hold(self, private_key: bytes) -> RemoteKey:
        """Hold a key, and say where it is."""
        public_key = PrivateKey(private_key).public_key.format(compressed=False)[1:]
        self.keys["0x" + public_key.hex()] = private_key
        return RemoteKey(self.url, public_key)

    def answer(self, path: str, body: bytes) -> tuple[int, str]:
        """Status and text."""
        private_key = self.keys.get(path.removeprefix(_PATH))
        if not path.startswith(_PATH) or private_key is None:
            return 404, ""
        try:
            data = bytes.fromhex(json.loads(body)["data"].removeprefix("0x"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return 400, ""
        self.asked.append(data)
        signature = sign_digest(private_key, keccak256(data))
        return (200, "0x" + signature.hex()) if self.twist is None else self.twist(signature)


@contextmanager
def stand_in_for_web3signer() -> Iterator[Web3SignerStandIn]:
    """Run the stand-in on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, text = signer.answer(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        signer = Web3SignerStandIn(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield signer
        finally:
            server.shutdown()
            thread.join()
