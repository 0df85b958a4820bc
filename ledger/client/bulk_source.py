"""Where the statements of a bulk transfer come from, and which of its lines wait for an answer."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["LONGEST_LINE_BYTES", "Feed", "Source"]

LONGEST_LINE_BYTES: Final = 64 << 10
"""The service refuses longer ones."""
_BLOCK_BYTES: Final = 1 << 18
_MOST_BLOCKS: Final = 4


@dataclass(frozen=True)
class Source:
    """Lines of NDJSON, each a signed statement, in blocks of any size; ``is_repeatable``: it can be read again."""

    open: Callable[[], Iterator[bytes]]
    is_repeatable: bool

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """A file's lines; those of a named pipe can be read once. Raises while it is read: OSError."""
        return cls(lambda: _blocks_of(path), is_repeatable=path.is_file())

    @classmethod
    def of_descriptor(cls, descriptor: int) -> Self:
        """What can be read once, as from a pipe; nothing buffered before is seen."""
        return cls(lambda: iter(lambda: os.read(descriptor, _BLOCK_BYTES), b""), is_repeatable=False)

    @classmethod
    def of_lines(cls, lines: Iterable[bytes]) -> Self:
        """Signed statements, one JSON object each, without newlines; an iterator can be read once."""
        return cls(lambda: _join(lines), is_repeatable=not isinstance(lines, Iterator))


def _blocks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _join(lines: Iterable[bytes]) -> Iterator[bytes]:
    block = bytearray()
    for line in lines:
        block += line
        block += b"\n"
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


class Feed:
    """One reading of a source, ahead of the connection by a few blocks, in a thread: a pipe may block for long.

    Keeps the text of each line that was sent and not answered yet: so many as the service lets be under way.
    """

    def __init__(self, source: Source, on_sent: Callable[[int, int], None] | None = None) -> None:
        self._source = source
        self._on_sent = on_sent
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._room = threading.Semaphore(_MOST_BLOCKS)
        self._read: deque[bytes | BaseException] = deque()
        self._is_closed = False
        self._unanswered: dict[int, bytes] = {}
        self._unfinished = b""
        self.lines = 0
        """Lines sent, empty ones among them."""
        self.sent_bytes = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._read_ahead, name="bulk-source", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed = True
        self._room.release()

    @property
    def owed(self) -> int:
        """How many lines wait for their answer."""
        return len(self._unanswered)

    def answered(self, line: int) -> bytes | None:
        """The text of a line that has its answer now, cut after the longest that is taken; None: it was not owed."""
        return self._unanswered.pop(line, None)

    async def blocks(self) -> AsyncIterator[bytes]:
        """The source's blocks, each counted as sent. Raises: what reading the source raises."""
        while True:
            while not self._read:
                self._ready.clear()
                await self._ready.wait()
            block = self._read.popleft()
            self._room.release()
            if isinstance(block, BaseException):
                raise block
            self._note(block)
            if not block:
                return
            yield block

    def _note(self, block: bytes) -> None:
        lines = block.split(b"\n") if block else [b"", b""] if self._unfinished else [b""]
        lines[0] = self._unfinished + lines[0]
        self._unfinished = lines.pop()[: LONGEST_LINE_BYTES + 1]
        for text in lines:
            self.lines += 1
            if text and not text.isspace():
                self._unanswered[self.lines] = text
        self.sent_bytes += len(block)
        if self._on_sent is not None:
            self._on_sent(self.lines, self.sent_bytes)

    def _read_ahead(self) -> None:
        last: bytes | BaseException = b""
        try:
            for block in self._source.open():
                if block and not self._hand_over(block):
                    return
        except BaseException as error:  # noqa: BLE001 - raised where the blocks are awaited
            last = error
        self._hand_over(last)

    def _hand_over(self, block: bytes | BaseException) -> bool:
        self._room.acquire()
        if self._is_closed:
            return False
        self._read.append(block)
        try:
            self._loop.call_soon_threadsafe(self._ready.set)
        except RuntimeError:  # the loop was closed
            return False
        return True
