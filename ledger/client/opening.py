"""What was received of a transfer, opened with its key: aside first, and into its place when all of it is right."""

from __future__ import annotations

import os
import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

from ledger.client.ahead import make_ahead
from ledger.client.choosing import Part, runs_of
from ledger.client.flow import ByteProgress
from ledger.client.sealed_files import PullState
from ledger.content import ChunkIndex, check_chunk
from ledger.content.chunks import derive_chunk_hashes
from ledger.content.sealing import SealingDescriptor, SealingKey
from ledger.content.sealing_files import ByteRange, FileOpener, open_chunks, open_range, plan_range
from ledger.content.write_behind import WriteBehind

__all__ = ["open_aside", "open_files"]

_AT_ONCE: Final = 8
"""Files that are flushed at the same time: the disk makes them durable together."""
_MANY: Final = 4
"""Chunks of a file from which on a thread opens and checks the next ones while one is written."""


def open_files(
    state: PullState,
    target: Path,
    key: SealingKey,
    parts: Sequence[Part],
    chunks: ChunkIndex | None,
    sealed: SealingDescriptor,
) -> None:
    """Open all parts, check each against the manifest, then move them into ``target``; none stays where one fails.

    Raises:
        VerificationError: a chunk does not open, or is not the manifest's.
        OSError: the disk does not take it.
    """
    plain = open_aside(state, key, parts, chunks, sealed)
    try:
        for part in parts:
            place = target / part.path
            place.parent.mkdir(parents=True, exist_ok=True)
            (plain / part.path).replace(place)
    finally:
        shutil.rmtree(plain, ignore_errors=True)


def open_aside(
    state: PullState,
    key: SealingKey,
    parts: Sequence[Part],
    chunks: ChunkIndex | None,
    sealed: SealingDescriptor,
    progress: ByteProgress | None = None,
) -> Path:
    """Open all parts into a folder beside the sealed chunks, checked and durable; none stays where one fails.

    ``progress`` is told of every piece that was written; what it raises ends it.

    Raises:
        VerificationError: a chunk does not open, or is not the manifest's.
        OSError: the disk does not take it.
    """
    plain = state.plain_folder
    shutil.rmtree(plain, ignore_errors=True)
    try:
        with state.sealed_file.open("rb") as source:
            for part, first_byte in zip(parts, _find_places(parts, sealed), strict=True):
                source.seek(first_byte)
                hashes = None if chunks is None else chunks[part.entry.path]
                pieces = _open_part(key, part, _read_chunks(source.read, sealed, part), hashes)
                if len(part.chunks) < _MANY:
                    _write_file(plain / part.path, pieces, progress)
                    continue
                with closing(make_ahead(pieces)) as ahead:
                    _write_file(plain / part.path, ahead, progress)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="concord-flush") as flushers:
            for _ in flushers.map(_flush, [plain / part.path for part in parts]):
                pass
    except BaseException:
        shutil.rmtree(plain, ignore_errors=True)
        raise
    return plain


def _write_file(place: Path, pieces: Iterator[bytes], progress: ByteProgress | None) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("xb") as opened, closing(WriteBehind(opened)) as behind:
        for piece in pieces:
            behind.write(piece)
            if progress is not None:
                progress(len(piece))
        behind.join()


def _flush(place: Path) -> None:
    with place.open("r+b") as opened:
        os.fsync(opened.fileno())


def _find_places(parts: Sequence[Part], sealed: SealingDescriptor) -> list[int]:
    """Where each part's first chunk lies among those that were fetched, which lie one after another."""
    runs, begins, total = runs_of(parts, sealed), list[int](), 0
    for run in runs:
        begins.append(total)
        total += sealed.chunk_span(run[-1])[1] + 1 - sealed.chunk_span(run[0])[0]
    places = []
    for part in parts:
        chunk = sealed.first_chunks[part.position] + part.chunks[0]
        index = bisect_right(runs, chunk, key=lambda run: run.start) - 1
        places.append(begins[index] + sealed.chunk_span(chunk)[0] - sealed.chunk_span(runs[index][0])[0])
    return places


def _read_chunks(read: Callable[[int], bytes], sealed: SealingDescriptor, part: Part) -> Iterator[bytes]:
    file = sealed.files[part.position]
    for index in part.chunks:
        first, last = file.chunk_span(index)
        yield read(last - first + 1)


def _open_part(key: SealingKey, part: Part, sealed: Iterator[bytes], hashes: Sequence[bytes] | None) -> Iterator[bytes]:
    opener = FileOpener(key, part.entry)
    if part.span is None:
        return open_chunks(opener, sealed, hashes)
    return _open_range(opener, part.span, sealed, hashes or derive_chunk_hashes(part.entry) or ())


def _open_range(
    opener: FileOpener, span: ByteRange, sealed: Iterator[bytes], hashes: Sequence[bytes]
) -> Iterator[bytes]:
    """Its chunks are opened and checked whole, and what is wanted is cut from them."""
    entry = opener.entry
    first, last = entry.chunk_span(span.first_chunk)[0], entry.chunk_span(span.last_chunk)[1]
    whole = plan_range(entry, first, last)
    for index, chunk in enumerate(open_range(opener, whole, sealed), span.first_chunk):
        check_chunk(entry, hashes, index, chunk)
        yield chunk[max(span.first_byte - first, 0) : span.last_byte - first + 1]
        first += len(chunk)
