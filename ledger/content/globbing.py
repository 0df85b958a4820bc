"""Which names a pattern stands for: `readings/2024-*.csv`, `**/*.parquet`."""

from __future__ import annotations

import fnmatch
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

__all__ = ["Glob"]

_MAGIC: Final = re.compile(r"[*?[]")
_ANY_DEPTH: Final = "**"


class Glob:
    """A pattern below a folder, as the shell reads it.

    ``*``, ``?`` and ``[abc]`` stand for what is within a name, ``**`` for any number of folders, none too. A name that
    begins with a dot is meant only where the pattern's own begins with one.
    """

    def __init__(self, folder: Path, segments: tuple[str, ...]) -> None:
        self.folder = folder
        self._segments = tuple(None if segment == _ANY_DEPTH else _compile(segment) for segment in segments)
        self._end = len(segments)
        self._after = lru_cache(maxsize=4096)(self._advance_along)

    @classmethod
    def find(cls, place: Path) -> Self | None:
        """Take ``place`` for a pattern from its first ``*``, ``?`` or ``[`` on that is no part of an existing name."""
        parts = place.parts
        for index, part in enumerate(parts):
            if _MAGIC.search(part) and not os.path.lexists(Path(*parts[: index + 1])):
                return cls(Path(*parts[:index]), parts[index:])
        return None

    def may_enter(self, folder: str) -> bool:
        """Whether a file in the folder, or somewhere below it, could be meant."""
        return any(state < self._end for state in self._after(folder))

    def is_match(self, path: str) -> bool:
        """Whether the name ``path``, with ``/`` between segments, is meant."""
        folder, _, name = path.rpartition("/")
        return self._end in self._advance(self._after(folder), name)

    def _advance_along(self, folder: str) -> frozenset[int]:
        """The places in the pattern that may be reached after the folder's segments."""
        if not folder:
            return self._skip(frozenset({0}))
        parent, _, name = folder.rpartition("/")
        return self._advance(self._after(parent), name)

    def _advance(self, states: frozenset[int], name: str) -> frozenset[int]:
        reached: set[int] = set()
        for state in states:
            if state == self._end:
                continue
            pattern = self._segments[state]
            if pattern is not None:
                reached.update({state + 1} if pattern.match(name) else ())
            elif not name.startswith("."):
                # The last `**` also stands for the files below.
                reached.update({state, self._end} if state + 1 == self._end else {state})
        return self._skip(frozenset(reached))

    def _skip(self, states: frozenset[int]) -> frozenset[int]:
        """`**` may stand for no folder at all."""
        reached = set(states)
        for state in sorted(states):
            place = state
            while place + 1 < self._end and self._segments[place] is None:
                place += 1
                reached.add(place)
        return frozenset(reached)


def _compile(segment: str) -> re.Pattern[str]:
    hidden = "" if segment.startswith(".") else r"(?!\.)"
    return re.compile(hidden + fnmatch.translate(segment), re.DOTALL)
