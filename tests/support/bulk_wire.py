"""A small service that speaks the bulk endpoint's wire over real HTTP, and does wrong what a test tells it to."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from ledger.log import Checkpoint, NoteSigner
from ledger.types import Bytes32

__all__ = ["BulkWire", "digest_of", "serving_wire"]

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


def digest_of(line: bytes) -> Bytes32:
    """What this service takes for a statement's digest."""
    return Bytes32(hashlib.sha256(line).digest())


@dataclass
class BulkWire:
    """What it does: ``busy`` times 503, cuts the connection at each line of ``cuts`` once, refuses what says bad."""

    signer: NoteSigner = field(default_factory=lambda: NoteSigner.generate("log.example/wire"))
    busy: int = 0
    status: int = 503
    headers: dict[str, str] = field(default_factory=lambda: {"Retry-After": "0"})
    cuts: list[int] = field(default_factory=list)
    closings: list[int] = field(default_factory=list)
    """Lines at which it ends with a problem line, once each."""
    batch: int = 4
    padding: int = 0
    """So many bytes more in each answer."""
    missing_from_checkpoints: int = 0
    replace: Callable[[dict[str, Any]], bytes] | None = None
    """Writes an answer line in its own way."""
    requests: list[dict[str, str]] = field(default_factory=list)
    log: dict[bytes, int] = field(default_factory=dict)

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append({"path": scope["path"], **headers})
        if self.busy > 0:
            self.busy -= 1
            await self._refuse(send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await _Stream(self, receive, send).run()

    async def _refuse(self, send: _Send) -> None:
        head = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        body = json.dumps({"code": "too-much", "detail": "another import is under way"}).encode()
        await send({"type": "http.response.body", "body": body})


class _CutError(Exception):
    """The connection ends here."""


class _Stream:
    def __init__(self, wire: BulkWire, receive: _Receive, send: _Send) -> None:
        self._wire, self._receive, self._send = wire, receive, send
        self._counts = {"lines": 0, "accepted": 0, "repeated": 0, "refused": 0}
        self._first = len(wire.log)

    async def run(self) -> None:
        rest, more = b"", True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return
            more = message.get("more_body", False)
            *lines, rest = (rest + message.get("body", b"")).split(b"\n")
            for line in lines if more or not rest else [*lines, rest]:
                if not await self._answer_line(line):
                    return
        await self._checkpoint()
        await self._say({"done": True, **self._counts})
        await self._send({"type": "http.response.body", "body": b""})

    async def _answer_line(self, line: bytes) -> bool:
        self._counts["lines"] += 1
        number = self._counts["lines"]
        if number in self._wire.cuts:
            self._wire.cuts.remove(number)
            raise _CutError
        if number in self._wire.closings:
            self._wire.closings.remove(number)
            await self._say({"problem": {"detail": "the gateway is closing"}, "retry_after_s": 0})
            await self._send({"type": "http.response.body", "body": b""})
            return False
        if line:
            await self._judge(number, line)
        return True

    async def _judge(self, number: int, line: bytes) -> None:
        log, digest = self._wire.log, str(digest_of(line))
        if b"bad" in line:
            self._counts["refused"] += 1
            known = {} if b"worse" in line else {"digest": digest}
            await self._say({"line": number, **known, "problem": {"code": "malformed", "detail": "it is bad"}})
            return
        answer = {"line": number, "digest": digest, "state": "accepted", "padding": " " * self._wire.padding}
        if line in log:
            self._counts["repeated"] += 1
            await self._say({**answer, "index": log[line], "repeated": True})
            return
        self._counts["accepted"] += 1
        log[line] = len(log)
        await self._say({**answer, "index": log[line]})
        if len(log) - self._first >= self._wire.batch:
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        size, first = len(self._wire.log), self._first
        if size == first:
            return
        self._first = size
        covered = size - self._wire.missing_from_checkpoints
        note = self._wire.signer.sign(Checkpoint(self._wire.signer.name, covered, bytes(32)).text).to_bytes().decode()
        await self._say({"checkpoint": note, "first_index": first, "count": size - first})

    async def _say(self, answer: dict[str, Any]) -> None:
        raw = json.dumps(answer).encode() if self._wire.replace is None else self._wire.replace(answer)
        await self._send({"type": "http.response.body", "body": raw + b"\n", "more_body": True})
        await asyncio.sleep(0)  # else this loop never hears that the client has gone


@contextmanager
def serving_wire(wire: BulkWire) -> Iterator[str]:
    """Serve it on loopback; its URL."""

    async def app(scope: _Message, receive: _Receive, send: _Send) -> None:
        try:
            await wire(scope, receive, send)
        except _CutError:
            return  # an answer that does not end: the server drops the connection

    with socket.create_server(("127.0.0.1", 0)) as sock:
        config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=asyncio.run, args=(server.serve([sock]),), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
