"""One HTTP/1.1 exchange whose answer is read while its body is still being sent.

httpx reads an answer only when the whole body is sent: with a server that answers line by line, both would wait for the
other as soon as the buffers between them are full. Proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

import h11
import httpx

from ledger.client.transport import check_url
from ledger.errors import UnavailableError

__all__ = ["AnswerHead", "Duplex"]

_CONNECT_S: Final = 30.0
_CONTINUE_S: Final = 1.0
_READ_BYTES: Final = 1 << 18
_LONGEST_PROBLEM_BYTES: Final = 1 << 20

_Event = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]


@dataclass(frozen=True)
class AnswerHead:
    """Status and headers of an answer, names in lower case."""

    status: int
    headers: Mapping[str, str]


class Duplex:
    """One request and its answer, over a connection of its own. Every method but ``close`` raises UnavailableError."""

    def __init__(self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._url = url
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)
        self._head: AnswerHead | None = None

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to the service. Raises: MalformedError: no URL; UnavailableError: nobody listens."""
        context: ssl.SSLContext | None = httpx.create_ssl_context() if check_url(url) else None
        parts = urlsplit(url)
        port = parts.port or (80 if context is None else 443)
        try:
            opening = asyncio.open_connection(parts.hostname, port, ssl=context)
            reader, writer = await asyncio.wait_for(opening, _CONNECT_S)
        except (OSError, TimeoutError) as error:
            raise UnavailableError(
                f"{url} does not answer ({type(error).__name__}): is the service running, and is CONCORD_URL right?"
            ) from error
        return cls(url, reader, writer)

    async def begin(self, method: str, path: str, headers: Mapping[str, str]) -> AnswerHead | None:
        """Send the head; None: send the body now. A head: the service answered at once and wants no body.

        A server that knows nothing of ``Expect: 100-continue`` (RFC 9110, 10.1.1) gets the body after a second.
        """
        parts = urlsplit(self._url)
        sent = {
            "Host": parts.netloc.rpartition("@")[2],
            "Transfer-Encoding": "chunked",
            "Expect": "100-continue",
            **headers,
        }
        target = parts.path.rstrip("/") + path
        await self._write(h11.Request(method=method, target=target, headers=list(sent.items())))
        try:
            event = await asyncio.wait_for(self._next_event(), _CONTINUE_S)
        except TimeoutError:
            return None
        return None if isinstance(event, h11.InformationalResponse) else self._keep_head(event)

    async def send(self, block: bytes) -> None:
        """Send a piece of the body, as fast as the service takes it."""
        await self._write(h11.Data(data=block))

    async def finish(self) -> None:
        """The body is whole."""
        await self._write(h11.EndOfMessage())

    async def receive_head(self) -> AnswerHead:
        """Status and headers of the answer."""
        while self._head is None:
            event = await self._next_event()
            if not isinstance(event, h11.InformationalResponse):
                self._keep_head(event)
        return self._head

    async def receive(self) -> bytes:
        """The next piece of the answer's body; none when it is whole."""
        event = await self._next_event()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def receive_all(self) -> bytes:
        """The rest of a short answer."""
        found = b""
        while (piece := await self.receive()) and len(found) < _LONGEST_PROBLEM_BYTES:
            found += piece
        return found

    def close(self) -> None:
        """Drop the connection, with whatever is under way."""
        self._writer.transport.abort()

    async def _write(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        try:
            self._writer.write(self._http.send(event) or b"")
            await self._writer.drain()
        except (OSError, h11.LocalProtocolError) as error:
            raise self._cut(error) from error

    async def _next_event(self) -> _Event:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_READ_BYTES))
        except (OSError, h11.RemoteProtocolError) as error:
            raise self._cut(error) from error
        return event

    def _keep_head(self, event: _Event) -> AnswerHead:
        if not isinstance(event, h11.Response):
            raise UnavailableError(f"{self._url} ended the connection without an answer")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in event.headers}
        self._head = AnswerHead(event.status_code, headers)
        return self._head

    def _cut(self, error: Exception) -> UnavailableError:
        return UnavailableError(f"the connection to {self._url} was cut ({type(error).__name__})")
