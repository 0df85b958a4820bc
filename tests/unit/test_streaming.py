"""An answer that is refused while it travels is broken off, and what ended it is noted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from api.log_lines import set_up_log
from api.problems import PROBLEM_KEY
from api.transfers.streaming import StreamOfPieces
from ledger.content.sealing_store import StoredSealingError
from ledger.errors import LedgerError
from ledger.exchange import ForbiddenError
from ledger.exchange.sealing_keys import StoredKeyError


async def _pieces(error: LedgerError | None) -> AsyncIterator[bytes]:
    yield b"one"
    if error is not None:
        raise error


def _answer(error: LedgerError | None, version: str) -> tuple[dict[str, Any], list[Message]]:
    scope: dict[str, Any] = {"type": "http", "method": "GET", "asgi": {"spec_version": version}}
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise RuntimeError("the client stays")

    asyncio.run(StreamOfPieces(_pieces(error))(scope, receive, send))
    return scope, sent


@pytest.mark.parametrize("version", ["2.3", "2.4"])
@pytest.mark.parametrize(
    ("error", "code", "level"),
    [
        (ForbiddenError("over", code="grant-revoked"), "grant-revoked", None),
        (StoredSealingError("gone"), "stored-sealing-damaged", "CRITICAL"),
        (StoredKeyError("does not open"), "stored-key-damaged", "CRITICAL"),
    ],
)
def test_a_refusal_breaks_it_off(
    error: LedgerError, code: str, level: str | None, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    scope, sent = _answer(error, version)
    assert scope[PROBLEM_KEY] == code
    assert [message.get("more_body") for message in sent] == [None, True]
    assert [record.levelname for record in caplog.records if record.name == "concord.api"] == ([level] if level else [])


def test_a_whole_answer_ends() -> None:
    scope, sent = _answer(None, "2.4")
    assert PROBLEM_KEY not in scope
    assert [message.get("more_body") for message in sent] == [None, True, False]


def test_the_server_does_not_tell_of_it_as_of_a_fault() -> None:
    root, server, told = logging.getLogger(), logging.getLogger("uvicorn.error"), list[str]()
    before = list(root.handlers), root.level

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    handler = Told()
    server.addHandler(handler)
    set_up_log("text", "INFO")
    try:
        server.error("ASGI callable returned without completing response.")
        server.error("something else")
    finally:
        server.removeHandler(handler)
        root.handlers, root.level = before[0], before[1]
    assert told == ["something else"]
