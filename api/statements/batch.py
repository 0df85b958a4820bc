"""Statements in bulk: NDJSON in, NDJSON out, both streamed (docs/spec/bulk.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from json import dumps
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from api.auth import GatewayOf, Writer
from api.problems import describe_problem
from ledger.errors import LedgerError
from ledger.exchange.bulk import Answers, BulkStream, LineAnswer, Taken, Totals

router = APIRouter(prefix="/v1/statements", tags=["statements"])

_LINGER_S: Final = 1.0
_MEDIA_TYPE: Final = "application/x-ndjson"
_DESCRIPTION: Final = {
    "requestBody": {
        "required": True,
        "description": "one signed statement a line, as `POST /v1/statements` takes it, at most 64 KiB each",
        "content": {_MEDIA_TYPE: {"schema": {"type": "string"}}},
    },
    "responses": {
        "200": {
            "description": "one answer a line, the checkpoints that cover them, then the totals",
            "content": {_MEDIA_TYPE: {"schema": {"type": "string"}}},
        }
    },
}


@router.post(":batch", summary="Submit signed statements in bulk", response_class=Response, openapi_extra=_DESCRIPTION)
def submit_batch(gateway: GatewayOf, asker: Writer, request: Request) -> Response:
    """Lines are answered while the body is still being sent: read while you write. Send the whole file again after a
    cut: what is in the log is not taken twice. Registrations stay in the log alone until they are lifted.
    """
    _check_media_type(request)
    return _BatchResponse(gateway.bulk.open(asker))


def _check_media_type(request: Request) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != _MEDIA_TYPE:
        raise HTTPException(415, f"send Content-Type: {_MEDIA_TYPE}, one signed statement a line")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(415, "send the lines as they are, without a Content-Encoding")


class _BatchResponse(Response):
    """Answers while it reads, which no ready-made response does."""

    media_type = _MEDIA_TYPE

    def __init__(self, stream: BulkStream) -> None:
        super().__init__(status_code=200, headers={"Connection": "close"})
        del self.headers["content-length"]
        self._stream = stream

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        async def put(data: bytes, *, more: bool = True) -> None:
            try:
                async with asyncio.timeout(self._stream.idle_s):
                    await send(_piece(data, more=more))
            except TimeoutError as error:
                raise ClientDisconnect from error  # who does not read is as good as gone

        with suppress(ClientDisconnect):  # what was acknowledged stays; nobody is there to be told more
            try:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await self._answer(receive, put)
            finally:
                self._stream.close()
            await put(b"", more=False)

    async def _answer(self, receive: Receive, put: Callable[[bytes], Awaitable[None]]) -> None:
        try:
            totals = await self._stream.run(_body(receive), lambda answers: put(_render(answers)))
        except LedgerError as error:
            await put(_render_end(error))
            await _discard(receive)
        else:
            await put(_render_totals(totals))


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if data := message.get("body", b""):
            yield data
        if not message.get("more_body", False):
            return


async def _discard(receive: Receive) -> None:
    """Read on for a moment: to hang up on who is still sending may lose the answer on its way to them."""
    with suppress(ClientDisconnect, TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            async for _ in _body(receive):
                pass


def _piece(data: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _render(answers: Answers) -> bytes:
    lines = [_render_line(answer) for answer in answers.lines]
    lines += [
        dumps({"checkpoint": each.note, "first_index": each.first_index, "count": each.count}) + "\n"
        for each in answers.checkpoints
    ]
    return "".join(lines).encode()


def _render_line(answer: LineAnswer) -> str:
    if isinstance(answer, Taken):
        end = ', "repeated": true}\n' if answer.repeated else "}\n"
        return (
            f'{{"line": {answer.line}, "digest": "0x{answer.digest.hex()}", "index": {answer.index}, '
            f'"state": "accepted"{end}'
        )
    told: dict[str, object] = {"line": answer.line}
    if answer.digest is not None:
        told["digest"] = "0x" + answer.digest.hex()
    told["problem"] = describe_problem(answer.error).members
    return dumps(told) + "\n"


def _render_totals(totals: Totals) -> bytes:
    told = {
        "done": True,
        "lines": totals.lines,
        "accepted": totals.accepted,
        "repeated": totals.repeated,
        "refused": totals.refused,
    }
    return (dumps(told) + "\n").encode()


def _render_end(error: LedgerError) -> bytes:
    described = describe_problem(error)
    told: dict[str, object] = {"problem": described.members}
    if described.retry_after_s is not None:
        told["retry_after_s"] = described.retry_after_s
    return (dumps(told) + "\n").encode()
