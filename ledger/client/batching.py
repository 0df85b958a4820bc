"""Many small files in one request: what travels alone costs a round trip and the disk's time for each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from ledger.client.flow import ByteProgress, Upload
from ledger.content import FileEntry
from ledger.errors import ConflictError

__all__ = ["BatchUpload", "cut_into_batches"]

_SMALL_BYTES: Final = 1 << 18
_MOST_BYTES: Final = 4 << 20
_MOST_FILES: Final = 500
_PIECE_BYTES: Final = 1 << 18


def cut_into_batches(entries: Iterable[FileEntry]) -> list[list[FileEntry]]:
    """The small ones among these files, in batches of at least two that a gateway takes in one request."""
    batches, size_bytes = [list[FileEntry]()], 0
    for entry in entries:
        if entry.size_bytes > _SMALL_BYTES:
            continue
        if len(batches[-1]) == _MOST_FILES or size_bytes + entry.size_bytes > _MOST_BYTES:
            batches.append([])
            size_bytes = 0
        batches[-1].append(entry)
        size_bytes += entry.size_bytes
    return [batch for batch in batches if len(batch) > 1]


@dataclass(frozen=True)
class BatchUpload(Upload):
    """The files ``places`` below ``path``, behind a line that names them, read as they travel."""

    line: bytes = field(kw_only=True)
    places: Sequence[tuple[Path, int]] = field(kw_only=True)
    """each with the size that it has"""

    @classmethod
    def of(
        cls, folder: Path, progress: ByteProgress | None, batch: Sequence[FileEntry], places: Mapping[str, Path]
    ) -> Self:
        """The upload of one batch."""
        line = json.dumps([entry.path for entry in batch]).encode() + b"\n"
        size_bytes = len(line) + sum(entry.size_bytes for entry in batch)
        read = [(places[entry.path], entry.size_bytes) for entry in batch]
        return cls(folder, size_bytes, progress, line=line, places=read)

    def chunks(self) -> Iterator[bytes]:
        """The line, and the files' bytes. Raises: OSError; ConflictError: one is not as long as was said."""
        piece = bytearray(self.line)
        for place, size_bytes in self.places:
            data = place.read_bytes()
            if len(data) != size_bytes:
                raise ConflictError(
                    f"{place} changed while it was uploaded: register the folder again", code="file-changed"
                )
            piece += data
            if self.progress is not None:
                self.progress(size_bytes)
            if len(piece) >= _PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
        if piece:
            yield bytes(piece)
