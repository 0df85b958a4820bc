"""How far an import is: a bar where a person watches, a line now and then where nobody does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from scripts.concord.context import Context
from scripts.concord.printing import count_of

__all__ = ["Progress", "watching"]

_EVERY: Final = 256
_BAR_PAUSE_S: Final = 0.1
_LINE_PAUSE_S: Final = 10.0


class _Shown(Protocol):
    """Where progress is told."""

    def update(self, answered: int, rate: float, share: float | None) -> None:
        """Tell how far it is; ``share`` None: nobody knows the whole."""

    def say(self, sentence: str) -> None:
        """Tell what happened."""


class Progress:
    """Told what was sent and answered; tells it on, not too often."""

    def __init__(self, shown: _Shown, size_bytes: int | None, pause_s: float) -> None:
        self._shown = shown
        self._size = size_bytes
        self._pause_s = pause_s
        self._sent = (0, 0)
        self._last = (time.monotonic(), 0)

    def sent(self, lines: int, sent_bytes: int) -> None:
        """So much was sent."""
        self._sent = (lines, sent_bytes)

    def answered(self, count: int) -> None:
        """So many lines have their answer."""
        if count % _EVERY and self._pause_s:
            return
        now, (before, count_before) = time.monotonic(), self._last
        if now - before < self._pause_s:
            return
        self._last = (now, count)
        self._shown.update(count, (count - count_before) / max(now - before, 1e-9), self._share(count))

    def restarted(self, sentence: str) -> None:
        """Everything begins again."""
        self._sent, self._last = (0, 0), (time.monotonic(), 0)
        self._shown.say(sentence)

    def _share(self, answered: int) -> float | None:
        """Bytes answered, taking lines to be of one length: the answers do not say it."""
        lines, sent_bytes = self._sent
        return answered * sent_bytes / lines / self._size if self._size and lines else None


class _Lines:
    def __init__(self, context: Context) -> None:
        self._context = context

    def update(self, answered: int, rate: float, share: float | None) -> None:
        if not self._context.as_json:
            part = "" if share is None else f" ({share:.0%})"
            self._context.note(f"{count_of(answered, 'line')} answered{part}, {rate:,.0f}/s")

    def say(self, sentence: str) -> None:
        if not self._context.as_json:
            self._context.note(sentence)


class _OnTerminal:
    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task("sending", total=None, told="")

    def update(self, answered: int, rate: float, share: float | None) -> None:
        told = f"{count_of(answered, 'line')}, {rate:,.0f}/s"
        self._bar.update(self._task, completed=share, total=None if share is None else 1.0, told=told)

    def say(self, sentence: str) -> None:
        self._bar.console.print(f"concord: {sentence}", highlight=False, markup=False)
        self._bar.reset(self._task, told="")


@contextmanager
def watching(context: Context, size_bytes: int | None) -> Iterator[Progress]:
    """Progress of an import of ``size_bytes``; None: of a pipe."""
    if not context.has_terminal:
        yield Progress(_Lines(context), size_bytes, _LINE_PAUSE_S)
        return
    told = TextColumn("{task.fields[told]}")
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), told, TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Progress(_OnTerminal(bar), size_bytes, _BAR_PAUSE_S)
