"""HTTP to a node or a signer that may do its worst: an answer ends in time and in size, however it comes.

The time-outs of requests and urllib3 are for each piece that is read: who sends a byte now and then is never late.
Here every read, of the status line and headers too, ends with the time that the answer has in all.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ReadTimeoutError

__all__ = ["AnswerTooLargeError", "open_session", "read_answer"]

_MOST_CONNECTIONS: Final = 32
_PIECE_BYTES: Final = 1 << 16
_TIMES_LONGER: Final = 3
"""how much longer than its first piece, or any other, a whole answer may take"""


class AnswerTooLargeError(ValueError):
    """An answer grew beyond what is taken in of one."""


class _TimelyReader(io.RawIOBase):
    """Reads a socket until the answer's time is over."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._pieces = connection.makefile("rb", buffering=0)
        self._piece_s = connection.gettimeout()
        self._end_s = None if self._piece_s is None else time.monotonic() + _TIMES_LONGER * self._piece_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._piece_s is not None and self._end_s is not None:
            left_s = self._end_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the answer did not end in time")
            self._socket.settimeout(min(left_s, self._piece_s))
        return self._pieces.readinto(buffer)

    def close(self) -> None:
        self._pieces.close()
        super().close()


class _TimelySocket:
    """What http.client makes an answer of."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimelyReader(self._socket))


class _TimelyResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **named: Any) -> None:
        super().__init__(_TimelySocket(sock), *args, **named)  # type: ignore[arg-type]  # it only makes a file of it


class _HttpConnection(HTTPConnection):
    response_class = _TimelyResponse


class _HttpsConnection(HTTPSConnection):
    response_class = _TimelyResponse


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS: Final = {"http": _HttpPool, "https": _HttpsPool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **named: Any) -> Any:
        manager = super().proxy_manager_for(*args, **named)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _Session(requests.Session):
    """Asks the environment (proxies, certificates) once for each address: for every request would cost more than it."""

    def __init__(self) -> None:
        super().__init__()
        self._surroundings: dict[tuple[Any, ...], dict[str, Any]] = {}

    def merge_environment_settings(self, url: Any, proxies: Any, *given: Any) -> dict[str, Any]:
        if proxies:
            return super().merge_environment_settings(url, proxies, *given)
        known = self._surroundings.get((url, *given))
        if known is None:
            known = super().merge_environment_settings(url, proxies, *given)
            self._surroundings[(url, *given)] = known
        return dict(known)


def open_session() -> requests.Session:
    """The HTTP connections to one node or signer, shared by all threads, to be closed when it is let go of."""
    session = _Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(pool_connections=1, pool_maxsize=_MOST_CONNECTIONS))
    return session


def read_answer(response: requests.Response, most_bytes: int) -> bytes:
    """The body of an answer that is read as a stream.

    Raises:
        AnswerTooLargeError: it is larger; the rest is not taken in.
        ValueError: it is compressed, which nobody asked for: its size is no measure of what it becomes.
        requests.exceptions.RequestException: it ended early, or not in time.
    """
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise ValueError("the answer is compressed")
    pieces, size = [], 0
    try:
        for piece in response.iter_content(_PIECE_BYTES):
            size += len(piece)
            if size > most_bytes:
                raise AnswerTooLargeError(f"the answer has more than {most_bytes} bytes")
            pieces.append(piece)
    except requests.exceptions.ConnectionError as error:
        if any(isinstance(each, ReadTimeoutError) for each in error.args):
            raise requests.exceptions.ReadTimeout("the answer did not end in time") from error
        raise
    return b"".join(pieces)
