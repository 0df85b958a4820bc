"""A real HTTP server on loopback whose answers a test chooses, and both faces of the client to ask it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest

from ledger.client import AsyncClient, Client, Flow

__all__ = ["FACES", "Run", "Said", "answering", "run_async", "run_sync"]


@dataclass(frozen=True)
class Said:
    """One answer of a server."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


Answering = Callable[[str, str, Mapping[str, str], bytes], Said]


@contextmanager
def answering(answer: Answering) -> Iterator[str]:
    """A real HTTP server on loopback whose answers are these; its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said = answer(self.command, self.path, dict(self.headers), body)
            self.send_response(said.status)
            for name, value in {"Content-Type": "application/json", **said.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - named by the library

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the library
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run_async(url: str, flow: Flow[Any], token: str | None = None) -> Any:
    """Drive a flow by the async face."""

    async def run() -> Any:
        async with AsyncClient(url, token) as client:
            return await client.run(flow)

    return asyncio.run(run())


def run_sync(url: str, flow: Flow[Any], token: str | None = None) -> Any:
    """Drive a flow by the sync face."""
    with Client(url, token) as client:
        return client.run(flow)


FACES: Final = pytest.mark.parametrize("run", [run_sync, run_async])
Run = Callable[..., Any]
