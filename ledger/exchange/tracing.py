"""Which request brought which statement, so that one id runs through the log lines from the request to the block.

Kept in memory, and bounded: after a restart the lines of older statements carry their digest alone.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

__all__ = ["REQUEST_ID", "Traces", "traces"]

REQUEST_ID: Final[ContextVar[str | None]] = ContextVar("concord_request_id", default=None)
"""Of the request that is being answered."""

_MOST_KEPT: Final = 65_536
_logger = logging.getLogger("concord.statements")


@dataclass(frozen=True, slots=True)
class _Trace:
    request_id: str | None
    index: int | None

    def is_below(self, size: int) -> bool:
        """Whether it waits for a checkpoint, and one of this size covers it."""
        return self.index is not None and self.index < size


class Traces:
    """Statements on their way. Thread-safe."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._traces: OrderedDict[str, _Trace] = OrderedDict()
        self._anchored: tuple[int, dict[str, object]] = 0, {}

    def expect(self, digest: str) -> None:
        """Remember that the present request brings a statement, before any worker can see it."""
        with self._turn:
            self._traces[digest] = _Trace(REQUEST_ID.get(), None)
            while len(self._traces) > _MOST_KEPT:
                self._traces.popitem(last=False)

    def accepted(self, digest: str, kind: str, index: int) -> None:
        """Log that a statement was accepted in the present request; it is remembered until it is anchored."""
        with self._turn:
            self._traces[digest] = _Trace(REQUEST_ID.get(), index)
            size, facts = self._anchored
        self._tell("accepted", digest, REQUEST_ID.get(), type=kind, index=index)
        if index < size:
            self.anchored(size, **facts)

    def moved(self, digest: str, what: str, **facts: object) -> None:
        """Log what became of a statement on its way to its contract."""
        with self._turn:
            known = self._traces.get(digest)
        self._tell(what, digest, None if known is None else known.request_id, **facts)

    def in_force(self, subject: str, **facts: object) -> None:
        """Log that a transaction of the outbox has its effect: a statement's, or a checkpoint's."""
        kind, _, rest = subject.partition(":")
        if kind == "checkpoint":
            size = int(rest.split(":")[1])
            self.anchored(size, checkpoint_size=size, **facts)
        else:
            self.moved(subject, "in force", **facts)

    def anchored(self, size: int, **facts: object) -> None:
        """Log of every statement that is remembered and stands below ``size`` that it is anchored, once."""
        with self._turn:
            self._anchored = size, facts
            done = {each: trace for each, trace in self._traces.items() if trace.is_below(size)}
            self._traces.update({digest: _Trace(trace.request_id, None) for digest, trace in done.items()})
        for digest, trace in done.items():
            self._tell("anchored", digest, trace.request_id, index=trace.index, **facts)

    def _tell(self, what: str, digest: str, request_id: str | None, **facts: object) -> None:
        told = {name: value for name, value in facts.items() if value is not None}
        _logger.info("%s", what, extra={"digest": digest, "traced_request": request_id, "facts": told})


traces: Final = Traces()
"""Of this process."""
