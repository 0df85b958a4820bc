"""Entries of the log whose statements' texts the database lacks: an old one, beside a log that was recovered.

A text that comes again takes the place that its entry has: the entry names its digest, its participant and its very
signature, so that it was checked when it entered the log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, TypeVar

from ledger.errors import MalformedError
from ledger.exchange.followed_log import FollowedLog
from ledger.log import Sequencer
from ledger.statements import Entry
from ledger.store import Store
from ledger.types import Bytes32

__all__ = ["LostStatements"]

_AT_ONCE: Final = 10_000
_DIGEST: Final = slice(1, 33)
"""Where the digest stands in an entry."""

Given = TypeVar("Given")


class LostStatements:
    """The first index of each entry whose text is nowhere here. Thread-safe."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}
        self._turn = threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    def find(self, store: Store, sequencer: Sequencer | FollowedLog, log: Bytes32) -> None:
        """Look which are lost, of all entries. Raises: UnavailableError, FatalError: as store and log."""
        self._places.clear()
        for gap in store.bulk.find_gaps(log, sequencer.size):
            for first in range(gap.start, gap.stop, _AT_ONCE):
                self._add(store, sequencer, range(first, min(first + _AT_ONCE, gap.stop)))

    def _add(self, store: Store, sequencer: Sequencer | FollowedLog, indexes: range) -> None:
        digests: dict[bytes, tuple[bytes, int]] = {}
        for index, raw in zip(indexes, sequencer.reader.entries(indexes.start, len(indexes)), strict=True):
            with suppress(MalformedError):  # an entry of a later version: no text of this one makes it
                digests.setdefault(Entry.parse(raw).digest, (raw, index))
        known = store.bulk.find_places(list(digests))  # an entry that stands in the log twice
        for digest, (raw, index) in digests.items():
            if digest not in known:
                self._places.setdefault(raw, index)

    def first_indexes(self, count: int) -> list[int]:
        """The lowest of them, at most ``count``."""
        return sorted(self._places.values())[:count]

    def place_of(self, entry: bytes) -> int | None:
        """The index that waits for the text of ``entry``."""
        return self._places.get(entry)

    def bring_back(
        self, store: Store, given: Iterable[tuple[bytes, Given]], write: Callable[[list[tuple[int, Given]]], None]
    ) -> None:
        """``write`` is given what belongs to lost entries, each with its index; it is lost no more.

        Raises: UnavailableError, FatalError, and as ``write``: nothing changes then.
        """
        with self._turn:
            found = {entry: each for entry, each in given if entry in self._places}
            known = store.bulk.find_places([entry[_DIGEST] for entry in found])  # stated anew under another signature
            placed = [(self._places[entry], each) for entry, each in found.items() if entry[_DIGEST] not in known]
            if placed:
                write(placed)
            for entry in found:
                del self._places[entry]
