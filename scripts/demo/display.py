"""What the demo shows while it runs: a line for each fact, a spinner where a person watches."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

__all__ = ["Display"]


class Display:
    """Prints chapters and facts; ``working`` shows that something is under way."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._began = time.monotonic()

    def chapter(self, number: int, title: str) -> None:
        """A step of the story begins."""
        elapsed_s = time.monotonic() - self._began
        self._console.print(f"\n[bold]{number}. {escape(title)}[/bold]  [dim]{elapsed_s:.0f} s[/dim]", soft_wrap=True)

    def fact(self, text: str) -> None:
        """Something was shown."""
        self._entry("[green]ok[/green]", text)

    def refusal(self, text: str) -> None:
        """Something was refused, as it must be."""
        self._entry("[yellow]no[/yellow]", text)

    def plain(self, text: str) -> None:
        """Text as it is."""
        self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """A spinner while something takes long; nothing where nobody watches."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(what):
            yield

    def _entry(self, mark: str, text: str) -> None:
        """Wrapped between words in a terminal, one line each elsewhere."""
        width = max(self._console.width - 7, 40) if sys.stdout.isatty() else 100_000
        lines = textwrap.wrap(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)
        self._console.print(f"   {mark}  " + escape("\n       ".join(lines)), soft_wrap=True)
