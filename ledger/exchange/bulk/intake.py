"""Streams of lines: read as they come, no faster than they are taken, answered in their order."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

from ledger.checking import Record
from ledger.errors import UnavailableError
from ledger.exchange.asker import Asker
from ledger.exchange.bulk.answers import Answers, Taken, Totals
from ledger.exchange.bulk.appending import BulkAppender
from ledger.exchange.bulk.batch import Block
from ledger.exchange.bulk.lines import LineCutter
from ledger.exchange.bulk.pool import CheckingPool
from ledger.exchange.errors import ForbiddenError
from ledger.exchange.settings import GatewaySettings
from ledger.types import Bytes32

__all__ = ["BulkIntake", "BulkStream"]

_RETRY_AFTER_S: Final = 5.0
_CLOSING: Final = "the gateway is closing"
_SHARED: Final = "others have fewer bulk streams than you, and all are taken: this one was given to them"
_FLUSH_S: Final = 0.05
"""How long whole lines wait for more before they are checked."""

Send = Callable[[Answers], Awaitable[None]]
_Checking = tuple[int, "asyncio.Future[list[Record]]"]


class BulkIntake:
    """Opens streams, a few at a time. ``wake`` tells the log's writer that something waits."""

    def __init__(
        self, settings: GatewaySettings, pool: CheckingPool, appender: BulkAppender, wake: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._appender = appender
        self._wake = wake
        self._turn = threading.Lock()
        self._streams: set[BulkStream] = set()
        self._is_closing = False

    def open(self, asker: Asker) -> BulkStream:
        """A stream of the asker's statements; `BulkStream.close` it.

        All streams taken, whoever has fewer takes over one of whoever has most: nobody keeps another out.

        Raises:
            ForbiddenError: the asker's key is bound to no participant.
            UnavailableError: as many streams are open as are taken, or of one participant; or the gateway closes.
        """
        if asker.participant is None:
            raise ForbiddenError("this key is bound to no participant: it states nothing", code="not-yours")
        with self._turn:
            if self._is_closing:
                raise UnavailableError(f"{_CLOSING}: come back soon", retry_after_s=_RETRY_AFTER_S)
            self._make_room(asker)
            stream = BulkStream(self._settings, asker, self._pool, self._appender, self._wake, self._forget)
            self._streams.add(stream)
            self._appender.share(len(self._streams))
            return stream

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def _make_room(self, asker: Asker) -> None:
        going = [stream for stream in self._streams if not stream.is_stopping]
        held = Counter(stream.asker.participant for stream in going)
        of_asker, (most_of, most) = held[asker.participant], max(held.items(), key=_count, default=(None, 0))
        is_full = len(going) >= self._settings.bulk_streams
        if of_asker >= self._settings.bulk_streams_each:
            told = f"{of_asker} bulk streams of yours are open, the most that one participant has at once"
        elif len(self._streams) >= 2 * self._settings.bulk_streams or (is_full and most <= of_asker + 1):
            told = f"{len(self._streams)} bulk streams are open, the most that are taken at once"
        else:
            if is_full:
                theirs = (stream for stream in going if stream.asker.participant == most_of)
                min(theirs, key=lambda stream: stream.taken).stop(_SHARED)
            return
        raise UnavailableError(f"{told}: come back soon", retry_after_s=_RETRY_AFTER_S)

    def _forget(self, stream: BulkStream) -> None:
        with self._turn:
            self._streams.discard(stream)
            self._appender.share(len(self._streams))

    def drain(self) -> None:
        """Take no stream any more; those that are open answer what they have read, and end. Thread-safe."""
        with self._turn:
            self._is_closing = True
            streams = list(self._streams)
        for stream in streams:
            stream.stop(_CLOSING)

    def close(self) -> None:
        """End the streams and the checking processes."""
        self.drain()
        self._pool.close()


def _count(held: tuple[Bytes32 | None, int]) -> int:
    return held[1]


class BulkStream:
    """One request: `run` it once, in an event loop."""

    def __init__(
        self,
        settings: GatewaySettings,
        asker: Asker,
        pool: CheckingPool,
        appender: BulkAppender,
        wake: Callable[[], None],
        on_close: Callable[[BulkStream], None],
    ) -> None:
        """Use `BulkIntake.open`."""
        self.asker = asker
        self._settings = settings
        self._pool = pool
        self._appender = appender
        self._wake = wake
        self._on_close = on_close
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._stopped_for: str | None = None
        self._room = asyncio.Semaphore(settings.bulk_window)
        self._checking: asyncio.Queue[_Checking | None] = asyncio.Queue()
        self._appending: asyncio.Queue[Block | None] = asyncio.Queue()
        self._totals = Totals()
        self._is_idle = False

    @property
    def idle_s(self) -> float:
        """How long the stream may bring no whole line, or its answers may stay unread."""
        return self._settings.bulk_idle_s

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped_for is not None

    @property
    def taken(self) -> int:
        """Lines that the log has of it so far."""
        return self._totals.accepted + self._totals.repeated

    def stop(self, why: str) -> None:
        """Read no more; `run` ends with UnavailableError once all that was read is answered. Thread-safe."""
        self._stopped_for = self._stopped_for or why
        if self._loop is None:
            self._stopping.set()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    def close(self) -> None:
        """Make room for another stream; a second call does nothing."""
        self._on_close(self)

    async def run(self, body: AsyncIterator[bytes], send: Send) -> Totals:
        """Take all lines of ``body``; ``send`` is given the answers, block by block.

        Raises:
            UnavailableError: no line came for too long, or the log or the gateway stopped: what was not answered is
                not acknowledged.
            FatalError: the log stopped.
            Others as ``body`` and ``send``.
        """
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(body))
                tasks.create_task(self._append())
                tasks.create_task(self._answer(send))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from group
        if self._stopped_for is not None:
            raise UnavailableError(
                f"{self._stopped_for}: send the whole file again, what is in the log is not taken twice",
                retry_after_s=_RETRY_AFTER_S,
            )
        if self._is_idle:
            raise UnavailableError(
                f"no whole line came for {self.idle_s:g} seconds: send the rest in another request when you have it",
                retry_after_s=_RETRY_AFTER_S,
            )
        return self._totals

    async def _read(self, body: AsyncIterator[bytes]) -> None:
        """Cut what comes into blocks and have them checked, as many at a time as there is room for."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await self._read_until(stopping, body)
        finally:
            stopping.cancel()
        self._checking.put_nowait(None)

    async def _read_until(self, stopping: asyncio.Future[Any], body: AsyncIterator[bytes]) -> None:
        cutter = LineCutter(self._settings.bulk_block_bytes, self._settings.bulk_block_lines)
        incoming: asyncio.Future[bytes | None] | None = None
        now = asyncio.get_running_loop().time
        due = now() + self.idle_s  # whole lines are checked then; where there are none, it waited long enough
        try:
            while not stopping.done():
                incoming = incoming or asyncio.ensure_future(_next(body))
                awaited: set[asyncio.Future[Any]] = {incoming, stopping}
                await asyncio.wait(awaited, timeout=max(0.0, due - now()), return_when=asyncio.FIRST_COMPLETED)
                if incoming.done():
                    data, incoming, had_lines = incoming.result(), None, cutter.has_lines
                    blocks = cutter.finish() if data is None else cutter.feed(data)
                    await self._check(blocks)
                    if data is None:
                        return
                    if blocks or cutter.has_lines != had_lines:
                        due = now() + (_FLUSH_S if cutter.has_lines else self.idle_s)
                if now() >= due:
                    self._is_idle = not cutter.has_lines
                    if self._is_idle:
                        return
                    await self._check(cutter.flush())
                    due = now() + self.idle_s
        finally:
            if incoming is not None:
                incoming.cancel()

    async def _check(self, blocks: Sequence[bytes]) -> None:
        for block in blocks:
            await self._room.acquire()
            first_line = self._totals.lines + 1
            self._totals.lines += block.count(b"\n")
            self._checking.put_nowait((first_line, asyncio.wrap_future(self._pool.check(block))))

    async def _append(self) -> None:
        """Bring checked blocks to the log's writer, in their order."""
        while (item := await self._checking.get()) is not None:
            first_line, records = item
            block = Block(self, self.asker, first_line, await records)
            self._appender.put(block)
            self._wake()
            self._appending.put_nowait(block)
        self._appender.hurry()
        self._wake()
        self._appending.put_nowait(None)

    async def _answer(self, send: Send) -> None:
        while (block := await self._appending.get()) is not None:
            answers = await asyncio.wrap_future(block.done)
            self._count(answers)
            await send(answers)
            self._room.release()

    def _count(self, answers: Answers) -> None:
        taken = [answer for answer in answers.lines if isinstance(answer, Taken)]
        repeated = sum(answer.repeated for answer in taken)
        self._totals.accepted += len(taken) - repeated
        self._totals.repeated += repeated
        self._totals.refused += len(answers.lines) - len(taken)


async def _next(body: AsyncIterator[bytes]) -> bytes | None:
    return await anext(body, None)
