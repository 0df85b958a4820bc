"""Many signed statements over one connection: ``POST /v1/statements:batch`` (docs/spec/bulk.md).

    for answer in bulk.send(url, api_key, bulk.Source.of_file(Path("signed.ndjson"))):
        match answer:
            case bulk.Refused(line=line, problem=problem): ...

Answers are read while statements are sent. What was cut off is sent again from the start, which is safe: the service
answers what it has already as repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ledger.client.bulk_answers import Accepted, Answer, BulkAnswers, Checkpointed, Done, Refused, Restarted
from ledger.client.bulk_source import Feed, Source
from ledger.client.duplex import AnswerHead, Duplex
from ledger.client.problems import error_of
from ledger.client.transport import authorization_of
from ledger.errors import UnavailableError
from ledger.log.note import VerifierKey

__all__ = ["Accepted", "Answer", "Checkpointed", "Done", "Refused", "Restarted", "Source", "send", "send_async"]

Received = TypeVar("Received")

_PATH: Final = "/v1/statements:batch"
_HEADERS: Final = {"Content-Type": "application/x-ndjson", "Accept": "application/x-ndjson"}
_TRIES: Final = 5
_TRIES_BEGUN: Final = 8
"""Of a service that took the request before: a minute, in which one that was killed is started again."""
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_SILENCE_S: Final = 120.0


def send(
    url: str,
    api_key: str | None,
    source: Source,
    *,
    log_keys: Sequence[VerifierKey] = (),
    on_sent: Callable[[int, int], None] | None = None,
) -> Iterator[Answer]:
    """Send statements and yield what the service answers, in its order; the last answer is `Done`.

    With ``log_keys`` every checkpoint's signature is checked, and that the checkpoints cover what was accepted.
    ``on_sent`` is told lines and bytes sent so far. Not for use inside a running event loop: see ``send_async``.

    Raises:
        UnavailableError: it could not be finished; what was answered stands, and sending all again goes on from there.
        MalformedError: no URL, or the service's answers are none.
        VerificationError: a checkpoint is not the log's, or does not cover what was accepted.
        RefusedError: the API key may not.
        OSError: the source can not be read.
    """
    with asyncio.Runner() as runner:
        blocks = _Bulk(url, api_key, source, log_keys, on_sent).run()
        try:
            while True:
                yield from runner.run(_next(blocks))
        except StopAsyncIteration:
            return
        finally:
            runner.run(_end(blocks))


async def send_async(
    url: str,
    api_key: str | None,
    source: Source,
    *,
    log_keys: Sequence[VerifierKey] = (),
    on_sent: Callable[[int, int], None] | None = None,
) -> AsyncGenerator[Answer, None]:
    """As ``send``, in a running event loop. Raises: as ``send``."""
    blocks = _Bulk(url, api_key, source, log_keys, on_sent).run()
    try:
        async for block in blocks:
            for answer in block:
                yield answer
    finally:
        await blocks.aclose()


async def _next(blocks: AsyncGenerator[list[Answer], None]) -> list[Answer]:
    return await anext(blocks)


async def _end(blocks: AsyncGenerator[list[Answer], None]) -> None:
    await blocks.aclose()


@dataclass
class _Bulk:
    """All tries of one transfer."""

    url: str
    api_key: str | None
    source: Source
    log_keys: Sequence[VerifierKey]
    on_sent: Callable[[int, int], None] | None
    furthest: int = field(default=0, init=False)
    """The last line that any try got an answer to."""
    has_begun: bool = field(default=False, init=False)
    """Whether the service took the request in any try."""

    async def run(self) -> AsyncGenerator[list[Answer], None]:
        """Try until it is done, or nothing moves any more."""
        failures = 0
        while True:
            before = self.furthest
            attempt = _Attempt(self)
            try:
                async for block in attempt.run():
                    yield block
                return
            except UnavailableError as error:
                failures = 0 if self.furthest > before else failures + 1
                if not self._may_retry(error, failures, attempt):
                    raise
                pause_s = _pause_s(error, failures)
                yield [Restarted(str(error), pause_s)]
                await asyncio.sleep(pause_s)

    def _may_retry(self, error: UnavailableError, failures: int, attempt: _Attempt) -> bool:
        """Whoever never answered is not asked again, unless it said when."""
        is_worth_it = self.has_begun or error.retry_after_s is not None
        return (
            is_worth_it
            and failures < (_TRIES_BEGUN if self.has_begun else _TRIES)
            and (self.source.is_repeatable or not attempt.has_read)
        )


def _pause_s(error: UnavailableError, failures: int) -> float:
    wanted_s = error.retry_after_s
    return min(_FIRST_PAUSE_S * 2**failures if wanted_s is None else wanted_s, _LONGEST_PAUSE_S)


class _Attempt:
    """One request."""

    def __init__(self, bulk: _Bulk) -> None:
        self._bulk = bulk
        self._feed: Feed | None = None

    @property
    def has_read(self) -> bool:
        """Whether any of the source is gone."""
        return self._feed is not None

    async def run(self) -> AsyncGenerator[list[Answer], None]:
        """The answers as they come, in blocks."""
        connection = await Duplex.open(self._bulk.url)
        try:
            head = await connection.begin("POST", _PATH, {**_HEADERS, **authorization_of(self._bulk.api_key)})
            await _check(connection, head)
            self._bulk.has_begun = True
            with Feed(self._bulk.source, self._bulk.on_sent) as feed:
                self._feed = feed
                sending = asyncio.create_task(_send_all(connection, feed))
                try:
                    async for block in self._receive(connection, feed, sending):
                        yield block
                finally:
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
        finally:
            connection.close()

    async def _receive(
        self, connection: Duplex, feed: Feed, sending: asyncio.Task[None]
    ) -> AsyncGenerator[list[Answer], None]:
        answers = BulkAnswers(feed, self._bulk.log_keys)
        try:
            await _check(connection, await _waiting(connection.receive_head, feed))
            while not answers.is_done:
                block = answers.read(await _waiting(connection.receive, feed))
                self._bulk.furthest = max(self._bulk.furthest, answers.last_line)
                yield block
                if answers.failure is not None:
                    raise answers.failure
        except UnavailableError:
            _raise_failure(sending)  # the connection was dropped because the source could not be read
            raise


async def _send_all(connection: Duplex, feed: Feed) -> None:
    try:
        async for block in feed.blocks():
            await connection.send(block)
        await connection.finish()
    except UnavailableError:
        return  # the connection was cut; whoever reads the answers learns it, and perhaps why
    except BaseException:
        connection.close()
        raise


def _raise_failure(sending: asyncio.Task[None]) -> None:
    if sending.done() and not sending.cancelled() and (failure := sending.exception()) is not None:
        raise failure


async def _check(connection: Duplex, head: AnswerHead | None) -> None:
    """Raise what the answer says, if it says no."""
    if head is not None and head.status != 200:
        raise error_of(head.status, head.headers, await connection.receive_all())


async def _waiting(receive: Callable[[], Awaitable[Received]], feed: Feed) -> Received:
    """What arrives; silence counts only while the service owes an answer: a source may take its time."""
    receiving = asyncio.ensure_future(receive())
    try:
        while not (await asyncio.wait([receiving], timeout=_SILENCE_S))[0]:
            if feed.owed:
                raise UnavailableError(f"the service was silent for {_SILENCE_S:.0f} s and owes {feed.owed} answers")
        return receiving.result()
    finally:
        receiving.cancel()
