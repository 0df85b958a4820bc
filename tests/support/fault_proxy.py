"""A proxy before an HTTP server, one request a connection, that spoils chosen requests."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Asked", "Fault", "FaultProxy", "Hold", "running_proxy"]

_BLOCK: Final = 1 << 16
_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True)
class Asked:
    """A request's method, its path and its query, and the first byte that it asks for (Range; without: 0)."""

    method: str
    target: str
    first_byte: int = 0


@dataclass(frozen=True)
class Fault:
    """What becomes of a request.

    ``status``: the proxy answers it so. ``request_bytes``: the connection breaks after so many bytes of the body.
    ``response_bytes``: so many of the answer. ``pause_s``: between two blocks of 64 KiB. ``stall``: no answer until the
    proxy ends. ``hold``: something happens in the middle of the answer. ``rewrite``: what the answer's body becomes.
    ``twice``: the server gets it twice, and its second answer is passed on. ``host``: the server is told this one.
    """

    status: int | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    pause_s: float = 0.0
    stall: bool = False
    hold: Hold | None = None
    rewrite: Callable[[bytes], bytes] | None = None
    twice: bool = False
    host: str | None = None


@dataclass
class Hold:
    """After ``at`` bytes of an answer nothing is taken from the server until ``act`` returns; then it goes on.

    Little of what the server sends waits on the way meanwhile. ``is_over``: it acted; ``passed``: so many bytes of the
    answer, its head included, the server sent in all.
    """

    at: int
    act: Callable[[], object]
    passed: int = 0
    is_over: bool = False

    def count(self, size_bytes: int) -> None:
        """Count what came, and act once it is time."""
        self.passed += size_bytes
        if not self.is_over and self.passed >= self.at:
            self.act()
            self.is_over = True


Rule = Callable[[Asked], Fault | None]


@dataclass
class FaultProxy:
    """Passes requests on to ``upstream`` unless ``rule`` names a fault for them; remembers them all."""

    upstream: int
    rule: Rule | None = None
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def count(self, method: str, part: str = "") -> int:
        """How many requests of a method with ``part`` in their target came."""
        return sum(1 for each in self.asked if each.method == method and part in each.target)

    def serve(self, client: socket.socket) -> None:
        """Serve one connection's one request. Raises: OSError."""
        head, body = _read_head(client)
        if not head:
            return
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        asked = Asked(method, target, _first_byte_of(head))
        self.asked.append(asked)
        fault = (self.rule(asked) if self.rule is not None else None) or Fault()
        length = _length_of(head) - len(body)
        if fault.stall:
            self.ended.wait()
        elif fault.status is not None:
            _drain(client, length)
            text = f"HTTP/1.1 {fault.status} Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            client.sendall(text.encode())
        else:
            if fault.host is not None:
                head = _replace_host(head, fault.host)
            if fault.twice or fault.rewrite is not None:
                body, length = body + _read(client, length), 0
            if fault.twice:
                self._ask(head, body)
            if fault.rewrite is not None:
                client.sendall(_rewrite(self._ask(head, body), fault.rewrite))
                return
            self._pass_on(client, head, body, length, fault)

    def _ask(self, head: bytes, body: bytes) -> bytes:
        """The whole answer to a request."""
        with socket.create_connection(("127.0.0.1", self.upstream)) as server:
            server.sendall(_close_after(head) + body)
            return b"".join(iter(lambda: server.recv(_BLOCK), b""))

    def _pass_on(self, client: socket.socket, head: bytes, body: bytes, length: int, fault: Fault) -> None:
        with socket.create_connection(("127.0.0.1", self.upstream)) as server:
            if fault.hold is not None:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BLOCK)
            server.sendall(_close_after(head) + body)
            sent = len(body)
            while length > 0:
                if fault.request_bytes is not None and sent >= fault.request_bytes:
                    return
                block = client.recv(min(_BLOCK, length))
                if not block:
                    return
                server.sendall(block)
                length -= len(block)
                sent += len(block)
                self.ended.wait(fault.pause_s)
            answered = 0
            while block := server.recv(_BLOCK):
                if fault.hold is not None:
                    fault.hold.count(len(block))
                if fault.response_bytes is not None and answered + len(block) > fault.response_bytes:
                    client.sendall(block[: fault.response_bytes - answered])
                    return
                client.sendall(block)
                answered += len(block)
                self.ended.wait(fault.pause_s)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


@contextmanager
def running_proxy(upstream: int) -> Iterator[FaultProxy]:
    """A proxy on a free port of the loopback, gone with the block."""
    proxy = FaultProxy(upstream)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                proxy.serve(self.request)

    with _Server(("127.0.0.1", 0), Handler) as server:
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.ended.set()
            server.shutdown()
            thread.join()


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    raw = b""
    while _HEAD_END not in raw:
        block = client.recv(_BLOCK)
        if not block:
            return b"", b""
        raw += block
    head, _, body = raw.partition(_HEAD_END)
    return head + _HEAD_END, body


def _close_after(head: bytes) -> bytes:
    return head.replace(_HEAD_END, b"\r\nConnection: close" + _HEAD_END)


def _replace_host(head: bytes, host: str) -> bytes:
    lines = [line for line in head.removesuffix(_HEAD_END).split(b"\r\n") if not line.lower().startswith(b"host:")]
    return b"\r\n".join([*lines, b"Host: " + host.encode()]) + _HEAD_END


def _rewrite(answer: bytes, rewrite: Callable[[bytes], bytes]) -> bytes:
    head, _, body = answer.partition(_HEAD_END)
    body = rewrite(body)
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + _HEAD_END + body


def _length_of(head: bytes) -> int:
    return int(_header_of(head, b"content-length") or 0)


def _first_byte_of(head: bytes) -> int:
    return int(_header_of(head, b"range").strip().removeprefix(b"bytes=").partition(b"-")[0] or 0)


def _header_of(head: bytes, wanted: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == wanted:
            return value
    return b""


def _read(client: socket.socket, length: int) -> bytes:
    raw = b""
    while len(raw) < length and (block := client.recv(min(_BLOCK, length - len(raw)))):
        raw += block
    return raw


def _drain(client: socket.socket, length: int) -> None:
    while length > 0 and (block := client.recv(min(_BLOCK, length))):
        length -= len(block)
