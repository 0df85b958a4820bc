"""HTTP requests that end in time, however slowly their answer drips: a socket's own timeout only bounds its silence."""

from __future__ import annotations

import functools
import http.client
import io
import socket
import ssl
import time
import urllib.request
from typing import IO, Any, Final, cast

__all__ = ["Deadline", "open_in_time"]

_LEAST_S: Final = 0.001


class Deadline:
    """How long a server may be silent, and how long one request may take in all."""

    def __init__(self, silence_s: float, total_s: float) -> None:
        self._silence_s = silence_s
        self._total_s = total_s
        self._ends = time.monotonic() + total_s

    def next_timeout(self) -> float:
        """The seconds that the next step may take. Raises: TimeoutError: the request took too long."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"one answer took longer than {self._total_s:g} s")
        return max(min(self._silence_s, left), _LEAST_S)


def open_in_time(request: urllib.request.Request, deadline: Deadline) -> http.client.HTTPResponse:
    """Send a request, following redirections; both this and reading the answer end by the deadline.

    Raises:
        OSError, http.client.HTTPException: as `urllib.request.urlopen`, TimeoutError among them.
    """
    opener = urllib.request.build_opener(_Http(deadline), _Https(deadline))
    return cast(http.client.HTTPResponse, opener.open(request, timeout=deadline.next_timeout()))


class _TimedReads(io.RawIOBase):
    """What a socket receives; every read has the time that is left then."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._raw = cast("io.RawIOBase", connected.makefile("rb", buffering=0))
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._socket.settimeout(self._deadline.next_timeout())
        return cast("int | None", self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedSocket:
    """As much of a socket as `http.client` uses once it is connected."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline
        self.close = connected.close

    def sendall(self, raw: bytes) -> None:
        self._socket.settimeout(self._deadline.next_timeout())
        self._socket.sendall(raw)

    def makefile(self, _mode: str) -> IO[bytes]:
        return io.BufferedReader(_TimedReads(self._socket, self._deadline))


class _Connection(http.client.HTTPConnection):
    def __init__(self, deadline: Deadline, host: str, **options: Any) -> None:
        super().__init__(host, **options | {"timeout": deadline.next_timeout()})
        self._deadline = deadline

    def connect(self) -> None:
        super().connect()
        self.sock = _TimedSocket(self.sock, self._deadline)


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    """The same with TLS below."""


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(_Connection, self._deadline), req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__(context=_trust_anchors())
        self._deadline = deadline

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(_SecureConnection, self._deadline), req, context=_trust_anchors())


@functools.cache
def _trust_anchors() -> ssl.SSLContext:
    """The system's, read once: reading them takes longer than a request."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
