"""How bytes travel: one HTTP client with a sync and an async face over the same flows. httpx lives here alone."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Final, Self

import httpx

from ledger.canonical import check_depth
from ledger.client.flow import Answer, Flow, Request, Result, Upload
from ledger.client.problems import AtWorkError, error_of
from ledger.errors import ConflictError, LedgerError, MalformedError, UnavailableError

__all__ = ["AsyncClient", "Client", "authorization_of", "check_url"]

_TIMEOUT: Final = httpx.Timeout(30.0, read=120.0)
_TRIES: Final = 4
_LONGEST_PAUSE_S: Final = 10.0
_AGAIN_AFTER_S: Final = 1.0
_MOST_OF_PROBLEM: Final = 1 << 20
_READING: Final = frozenset({"GET", "HEAD"})
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_SOON: Final = frozenset({"idempotency-key-in-use", "sealing-under-way", "transfer-under-way", "file-being-removed"})
"""What another request is just doing: the same may be asked again soon."""
_MOST_WAITS: Final = 10_000
_LOOK_FIRST: Final = "Look whether it was done before you repeat it"


_API_KEY: Final = re.compile(r"[!-~]+\Z")


def authorization_of(api_key: str | None) -> dict[str, str]:
    """The headers by which an API key is shown. Raises: MalformedError: it is none."""
    if api_key and not _API_KEY.match(api_key):
        raise MalformedError("an API key is ck_ and letters and digits, without spaces: check CONCORD_API_KEY")
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def _headers(api_key: str | None) -> dict[str, str]:
    """Nothing is to come packed: what unpacks to a thousandfold is not unpacked."""
    return {"Accept-Encoding": "identity", **authorization_of(api_key)}


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
    arguments: dict[str, object] = {"params": dict(request.query) or None, "headers": headers}
    if isinstance(request.body, Upload):
        headers["Content-Length"] = str(request.body.size_bytes)
    elif request.json is not None:
        arguments["json"] = request.json
    elif request.content is not None:
        headers["Content-Type"] = "application/json"
        arguments["content"] = request.content
    if request.authorize is not None:
        headers.update(request.authorize())
    return arguments


def _is_refusal(response: httpx.Response) -> bool:
    """Whether it is no answer to what was asked; a redirect, too, is none: it is not followed, wherever it leads."""
    return response.status_code >= 300


def _parse(response: httpx.Response, content: bytes) -> Answer:
    if _is_refusal(response):
        raise error_of(response.status_code, response.headers, content)
    is_json = response.headers.get("content-type", "").partition(";")[0].strip() == "application/json"
    if is_json:
        check_depth(content)
    try:
        value = json.loads(content) if is_json and content else None
    except ValueError as error:
        raise MalformedError("the service answered JSON that is none: is CONCORD_URL right?") from error
    return Answer(response.status_code, response.headers, content, value)


class _Body:
    """An answer's body as it arrives: no more of it is taken than was asked for."""

    def __init__(self, request: Request, response: httpx.Response) -> None:
        """Raises: MalformedError: it is packed, or not the download that was asked for."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise MalformedError("the service answered in an encoding that was not asked for: nothing of it was taken")
        is_problem = _is_refusal(response)
        self._most = _MOST_OF_PROBLEM if is_problem else request.most_bytes
        self._response = response
        self._pieces, self._size = list[bytes](), 0
        self._download = None if is_problem else request.download
        if self._download is not None:
            self._download.check(response.status_code, response.headers)

    def take(self, piece: bytes) -> None:
        """Take the next bytes. Raises: MalformedError: there are too many."""
        if self._download is not None:
            self._download.accept(piece)
            return
        self._size += len(piece)
        if self._size > self._most:
            raise MalformedError(f"the service answered more than {self._most} bytes: nothing of it was taken")
        self._pieces.append(piece)

    def to_answer(self) -> Answer:
        """The answer. Raises: LedgerError: it says no."""
        if self._download is not None:
            return Answer(self._response.status_code, self._response.headers, b"", None)
        return _parse(self._response, b"".join(self._pieces))


class _NoAnswerError(UnavailableError):
    """The connection broke, or time ran out; ``is_unsure``: a write may have been taken all the same."""

    def __init__(self, message: str, *, is_unsure: bool, retry_after_s: float | None) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.is_unsure = is_unsure


def _map_error(url: str, request: Request, error: httpx.HTTPError) -> _NoAnswerError:
    is_late = isinstance(error, httpx.TimeoutException)
    what = f"{url} {'took too long to answer' if is_late else 'does not answer'} ({type(error).__name__})"
    if request.method in _READING or isinstance(error, _NOT_SENT):
        message = f"{what}: is the service running, and is CONCORD_URL right?"
        return _NoAnswerError(message, is_unsure=False, retry_after_s=None)
    repeating = request.repeating or _LOOK_FIRST
    is_repeated = not is_late and request.repeating is not None and request.body is None
    retry_after_s = _AGAIN_AFTER_S if is_repeated else None
    message = f"{what}: what was sent may have been taken all the same. {repeating}"
    return _NoAnswerError(message, is_unsure=True, retry_after_s=retry_after_s)


class _Tries:
    """How often a request was sent, and whether one of them may have been taken."""

    def __init__(self, most_waits: int = _MOST_WAITS) -> None:
        self._most_waits = most_waits
        self._count = self._waits = 0
        self._unsure: _NoAnswerError | None = None

    def pause_s(self, error: LedgerError) -> float:
        """How long to wait before the next try.

        An answer that says when to come back came instead of any byte of a download; and every write may be repeated.

        Raises:
            LedgerError: there is none: ``error``, or that before it which left open what became of a write.
        """
        is_working = isinstance(error, AtWorkError)
        self._waits += is_working
        self._count += not is_working or self._waits > self._most_waits
        if isinstance(error, _NoAnswerError) and error.is_unsure:
            self._unsure = error
        pause_s = error.retry_after_s if isinstance(error, UnavailableError) else None
        if isinstance(error, ConflictError) and error.code in _SOON:
            pause_s = error.retry_after_s or _AGAIN_AFTER_S
        if pause_s is None and self._unsure is not None and isinstance(error, _NoAnswerError):
            pause_s = self._unsure.retry_after_s  # nobody listens, after a connection that broke: it starts anew
        if pause_s is not None and self._count < _TRIES:
            return min(pause_s, _LONGEST_PAUSE_S)
        if (
            self._unsure is not None
            and error is not self._unsure
            and (pause_s is not None or isinstance(error, UnavailableError))
        ):
            raise self._unsure from error
        raise error


def _tell(request: Request, error: LedgerError) -> None:
    if request.told is not None:
        request.told(str(error))


class Client:
    """The sync client: ``Client(url, api_key).run(datasets.show("utility/power"))``.

    Use it as a context manager, or ``close`` it. It may be shared by threads.
    """

    def __init__(self, url: str, api_key: str | None = None, *, transport: httpx.BaseTransport | None = None) -> None:
        self._url = url
        self._http = httpx.Client(
            base_url=url,
            headers=_headers(api_key),
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
        tries = _Tries()
        while True:
            try:
                return self._send_once(request)
            except LedgerError as error:
                pause_s = tries.pause_s(error)
                _tell(request, error)
            time.sleep(pause_s)

    def _send_once(self, request: Request) -> Answer:
        arguments = _arguments(request)
        if isinstance(request.body, Upload):
            arguments["content"] = request.body.chunks()
        try:
            with self._http.stream(request.method, request.path, **arguments) as response:  # type: ignore[arg-type]  # by name
                body = _Body(request, response)
                for piece in response.iter_bytes():
                    body.take(piece)
                return body.to_answer()
        except httpx.HTTPError as error:
            raise _map_error(self._url, request, error) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _checking(check_address: Callable[[str], None]) -> Callable[[httpx.Response], Awaitable[None]]:
    async def check(response: httpx.Response) -> None:
        check_address(response.extensions["network_stream"].get_extra_info("server_addr")[0])

    return check


class AsyncClient:
    """The async client: ``await AsyncClient(url, api_key).run(datasets.show("utility/power"))``."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        check_address: Callable[[str], None] | None = None,
        most_waits: int = _MOST_WAITS,
    ) -> None:
        """``check_address`` is told which address answered, before anything of the answer is read.

        ``most_waits`` times it asks again while the service is at work; then that is a failure as others are.
        """
        self._url = url
        self._most_waits = most_waits
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=_headers(api_key),
            timeout=_TIMEOUT,
            transport=transport,
            verify=check_url(url),
            event_hooks={"response": [] if check_address is None else [_checking(check_address)]},
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
        tries = _Tries(self._most_waits)
        while True:
            try:
                return await self._send_once(request)
            except LedgerError as error:
                pause_s = tries.pause_s(error)
                _tell(request, error)
            await asyncio.sleep(pause_s)

    async def _send_once(self, request: Request) -> Answer:
        arguments = _arguments(request)
        if isinstance(request.body, Upload):
            arguments["content"] = _in_threads(request.body)
        try:
            async with self._http.stream(request.method, request.path, **arguments) as response:  # type: ignore[arg-type]  # by name
                body = _Body(request, response)
                async for piece in response.aiter_bytes():
                    body.take(piece)
                return body.to_answer()
        except httpx.HTTPError as error:
            raise _map_error(self._url, request, error) from error

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
