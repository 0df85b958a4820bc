"""Hashing a folder, a file, a pattern or a prefix of an object store, shown as it goes and kept for the next time."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final, Protocol

import platformdirs
import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from ledger.content import Progress, ProgressCallback, ScannedContent, scan_folder
from ledger.content.cache import HashCache
from ledger.errors import UnavailableError
from scripts.concord.context import Context
from scripts.concord.printing import count_of

__all__ = ["FreshOption", "hash_source", "watching_hashing"]

FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Read every file again, also those that an earlier run has hashed.")
]
_BAR_PAUSE_S: Final = 0.1
_LINE_PAUSE_S: Final = 10.0
_FORGET_S: Final = 90 * 86_400


def hash_source(context: Context, source: str, *, fresh: bool = False) -> ScannedContent:
    """Hash what ``source`` names: a folder, a file, a quoted pattern, or ``s3://``, ``gs://``, ``az://``, ``https://``.

    Raises: LedgerError, as `scan_folder` and `scan_objects`.
    """
    with _keeping(context, source, fresh=fresh) as cache, watching_hashing(context) as progress:
        if "://" not in source:
            return scan_folder(Path(source), progress=progress, cache=cache)
        from ledger.content.object_scan import scan_objects  # noqa: PLC0415 - loads what only object stores need

        return scan_objects(source, progress=progress, cache=cache)


class _Shown(Protocol):
    def update(self, progress: Progress, rate: float) -> None:
        """Tell how far it is; ``rate`` in bytes a second."""


class _Meter:
    """Called for every file, from many threads, one at a time; tells it on now and then, and at the end."""

    def __init__(self, shown: _Shown, pause_s: float) -> None:
        self._shown = shown
        self._pause_s = pause_s
        self._told_at = self._started = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._told_at >= self._pause_s:
            self._told_at = now
            self._shown.update(progress, progress.bytes_done / max(now - self._started, 1e-9))


class _Lines:
    def __init__(self, context: Context) -> None:
        self._context = context

    def update(self, progress: Progress, rate: float) -> None:
        left = (progress.bytes_total - progress.bytes_done) / rate if rate else 0.0
        self._context.note(
            f"hashed {progress.files_done:,} of {count_of(progress.files_total, 'file')}, "
            f"{decimal(progress.bytes_done)} of {decimal(progress.bytes_total)}, "
            f"{decimal(int(rate))}/s, {left:,.0f} s left"
        )


class _OnTerminal:
    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task("hashing", total=None, files="")

    def update(self, progress: Progress, rate: float) -> None:  # noqa: ARG002 - the bar has its own
        files = f"{progress.files_done:,}/{count_of(progress.files_total, 'file')}"
        self._bar.update(self._task, completed=progress.bytes_done, total=progress.bytes_total, files=files)


@contextmanager
def watching_hashing(context: Context) -> Iterator[ProgressCallback | None]:
    """A bar with rate and time left where a person watches, else a line now and then; with ``--json`` nothing."""
    if context.as_json:
        yield None
        return
    if not context.has_terminal:
        yield _Meter(_Lines(context), _LINE_PAUSE_S)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    more = (TextColumn("{task.fields[files]}"), TimeRemainingColumn())
    with Bar(*columns, *more, console=Console(stderr=True), transient=True) as bar:
        yield _Meter(_OnTerminal(bar), _BAR_PAUSE_S)


@contextmanager
def _keeping(context: Context, source: str, *, fresh: bool) -> Iterator[HashCache | None]:
    """The cache of this source; what can not be kept is only a pity, and said."""
    file = _cache_file(source)
    _forget_old(file.parent)
    try:
        if fresh:
            file.unlink(missing_ok=True)
        cache = HashCache.open(file)
    except (UnavailableError, OSError) as error:
        context.note(f"every file is read: {error}")
        yield None
        return
    finished = False
    try:
        yield cache
        finished = True
    finally:
        cache.close(tidy=finished)
        if cache.failure is not None:
            context.note(f"hashes are not kept for the next run: {cache.failure}")


def _cache_file(source: str) -> Path:
    name = source if "://" in source else os.path.realpath(source)
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return Path(platformdirs.user_cache_dir("concord")) / "hashes" / digest


def _forget_old(folder: Path) -> None:
    """Remove what no run has touched for three months."""
    oldest = time.time() - _FORGET_S
    with suppress(OSError):
        for file in folder.iterdir():
            if file.stat().st_mtime < oldest:
                file.unlink()
