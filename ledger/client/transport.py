"""How bytes travel: one HTTP client with a sync and an async face over the same flows. httpx lives here alone."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self

import httpx

from ledger.client.flow import Answer, Flow, Request, Result, Upload
from ledger.client.problems import error_of
from ledger.errors import LedgerError, MalformedError, UnavailableError

__all__ = ["AsyncClient", "Client", "authorization_of", "check_url"]

_TIMEOUT: Final = httpx.Timeout(30.0, read=120.0)
_TRIES: Final = 4
_LONGEST_PAUSE_S: Final = 10.0


_API_KEY: Final = re.compile(r"[!-~]+\Z")


def authorization_of(api_key: str | None) -> dict[str, str]:
    """The headers by which an API key is shown. Raises: MalformedError: it is none."""
    if api_key and not _API_KEY.match(api_key):
        raise MalformedError("an API key is ck_ and letters and digits, without spaces: check CONCORD_API_KEY")
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def check_url(url: str) -> bool:
    """Whether the URL asks for TLS: only then are certificates loaded. Raises: MalformedError: it is none."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise MalformedError(f"{url!r} is no URL of a service: check CONCORD_URL") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise MalformedError(f"{url!r} is no URL of a service, as http://127.0.0.1:8080 is: check CONCORD_URL")
    return parsed.scheme == "https"


def _arguments(request: Request) -> dict[str, object]:
    headers = dict(request.headers)
    arguments: dict[str, object] = {"params": dict(request.query), "headers": headers}
    if isinstance(request.body, Upload):
        headers["Content-Length"] = str(request.body.size_bytes)
    elif request.json is not None:
        arguments["json"] = request.json
    return arguments


def _parse(response: httpx.Response, content: bytes) -> Answer:
    if response.status_code >= 400:
        raise error_of(response.status_code, response.headers, content)
    is_json = response.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
    try:
        value = json.loads(content) if is_json and content else None
    except ValueError as error:
        raise MalformedError("the service answered JSON that is none: is CONCORD_URL right?") from error
    return Answer(response.status_code, response.headers, content, value)


def _map_error(url: str, error: httpx.HTTPError) -> LedgerError:
    what = "took too long to answer" if isinstance(error, httpx.TimeoutException) else "does not answer"
    return UnavailableError(f"{url} {what} ({type(error).__name__}): is the service running, and is CONCORD_URL right?")


def _pause_s(error: LedgerError, attempt: int) -> float | None:
    """How long to wait before the next try, or None: give up.

    An answer that says when to come back came instead of any byte of a download; and every write may be repeated.
    """
    if not isinstance(error, UnavailableError) or error.retry_after_s is None or attempt + 1 >= _TRIES:
        return None
    return min(error.retry_after_s, _LONGEST_PAUSE_S)


class Client:
    """The sync client: ``Client(url, api_key).run(datasets.show("utility/power"))``.

    Use it as a context manager, or ``close`` it. It may be shared by threads.
    """

    def __init__(self, url: str, api_key: str | None = None, *, transport: httpx.BaseTransport | None = None) -> None:
        self._url = url
        self._http = httpx.Client(
            base_url=url,
            headers=authorization_of(api_key),
            timeout=_TIMEOUT,
            transport=transport,
            verify=check_url(url),
        )

    def run(self, flow: Flow[Result]) -> Result:
        """Drive a flow to its result.

        Raises:
            LedgerError: what the service answered (``ledger.client.problems``), or UnavailableError: no answer.
        """
        try:
            request = next(flow)
            while True:
                try:
                    answer = self._send(request)
                except LedgerError as error:
                    request = flow.throw(error)
                else:
                    request = flow.send(answer)
        except StopIteration as stop:
            result: Result = stop.value
            return result

    def _send(self, request: Request) -> Answer:
        attempt = 0
        while True:
            try:
                return self._send_once(request)
            except LedgerError as error:
                pause_s = _pause_s(error, attempt)
                if pause_s is None:
                    raise
                time.sleep(pause_s)
                attempt += 1

    def _send_once(self, request: Request) -> Answer:
        arguments = _arguments(request)
        if isinstance(request.body, Upload):
            arguments["content"] = request.body.chunks()
        try:
            with self._http.stream(request.method, request.path, **arguments) as response:  # type: ignore[arg-type]  # by name
                if request.download is None or response.status_code >= 400:
                    return _parse(response, response.read())
                for piece in response.iter_bytes():
                    request.download.accept(piece)
                return Answer(response.status_code, response.headers, b"", None)
        except httpx.HTTPError as error:
            raise _map_error(self._url, error) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """The async client: ``await AsyncClient(url, api_key).run(datasets.show("utility/power"))``."""

    def __init__(
        self, url: str, api_key: str | None = None, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._url = url
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=authorization_of(api_key),
            timeout=_TIMEOUT,
            transport=transport,
            verify=check_url(url),
        )

    async def run(self, flow: Flow[Result]) -> Result:
        """Drive a flow to its result. Raises: as ``Client.run``."""
        try:
            request = next(flow)
            while True:
                try:
                    answer = await self._send(request)
                except LedgerError as error:
                    request = flow.throw(error)
                else:
                    request = flow.send(answer)
        except StopIteration as stop:
            result: Result = stop.value
            return result

    async def _send(self, request: Request) -> Answer:
        attempt = 0
        while True:
            try:
                return await self._send_once(request)
            except LedgerError as error:
                pause_s = _pause_s(error, attempt)
                if pause_s is None:
                    raise
                await asyncio.sleep(pause_s)
                attempt += 1

    async def _send_once(self, request: Request) -> Answer:
        arguments = _arguments(request)
        if isinstance(request.body, Upload):
            arguments["content"] = _in_threads(request.body)
        try:
            async with self._http.stream(request.method, request.path, **arguments) as response:  # type: ignore[arg-type]  # by name
                if request.download is None or response.status_code >= 400:
                    return _parse(response, await response.aread())
                async for piece in response.aiter_bytes():
                    request.download.accept(piece)
                return Answer(response.status_code, response.headers, b"", None)
        except httpx.HTTPError as error:
            raise _map_error(self._url, error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def _in_threads(upload: Upload) -> AsyncIterator[bytes]:
    pieces = upload.chunks()
    while (piece := await asyncio.to_thread(next, pieces, b"")) != b"":
        yield piece
