"""What of a version is pulled: all of it, or files by pattern and byte ranges of files.

A key opens a whole sealing and a receipt is always of a whole sealing (docs/spec/delivery.md); what is chosen here is
only what is fetched, opened and kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.canonical import JsonValue
from ledger.content import FileEntry, Manifest, normalize_path
from ledger.content.globbing import Glob
from ledger.content.paths import fold_path
from ledger.content.sealing import SealingDescriptor
from ledger.content.sealing_files import ByteRange, plan_range, sealed_chunk_count
from ledger.errors import MalformedError, NotFoundError

__all__ = ["Choice", "FileRange", "Part", "choose", "runs_of"]

_RANGE: Final = re.compile(r"(.+):([0-9]{1,16})-([0-9]{1,16})\Z", re.DOTALL)
_MAGIC: Final = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True, order=True)
class FileRange:
    """The bytes ``first`` to ``last``, both included, of the file ``path``."""

    path: str
    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> FileRange:
        """Read ``readings/raw.bin:0-1048575``. Raises: MalformedError."""
        match = _RANGE.match(text)
        if match is None or int(match[2]) > int(match[3]):
            raise MalformedError(f"{text!r} is no range of a file: write PATH:FIRST-LAST, as in raw.bin:0-1023")
        return cls(normalize_path(match[1]), int(match[2]), int(match[3]))

    def __str__(self) -> str:
        return f"{self.path}:{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is wanted; nothing named: the whole version. The same wishes in another order are the same choice."""

    patterns: tuple[str, ...] = ()
    ranges: tuple[FileRange, ...] = ()

    @classmethod
    def of(cls, patterns: Iterable[str] = (), ranges: Iterable[str] = ()) -> Choice:
        """Read what somebody wrote: ``readings/*.csv``, ``raw.bin:0-1023``. Raises: MalformedError."""
        named = {normalize_path(text.removeprefix("./").rstrip("/")) for text in patterns}
        return cls(tuple(sorted(named)), tuple(sorted({FileRange.parse(text) for text in ranges})))

    @property
    def is_all(self) -> bool:
        """Whether the whole version is wanted."""
        return not self.patterns and not self.ranges

    def to_json(self) -> JsonValue:
        """The choice as a pull keeps it."""
        return {"files": list(self.patterns), "ranges": [str(each) for each in self.ranges]}

    @classmethod
    def parse(cls, document: JsonValue) -> Choice:
        """What a pull kept; None: of one that knew no choice, so all. Raises: MalformedError."""
        if document is None:
            return cls()
        if not isinstance(document, dict) or set(document) != {"files", "ranges"}:
            raise MalformedError("a pull's choice has the members files and ranges")
        files, ranges = document["files"], document["ranges"]
        if not isinstance(files, list) or not isinstance(ranges, list):
            raise MalformedError("files and ranges of a pull's choice are lists")
        return cls.of((str(each) for each in files), (str(each) for each in ranges))

    def __str__(self) -> str:
        words = [f"--file {each!r}" for each in self.patterns] + [f"--range {str(each)!r}" for each in self.ranges]
        return " ".join(words) or "the whole version"


@dataclass(frozen=True, slots=True)
class Part:
    """A file, or a range of its bytes, and where that goes: ``path``, below the folder that is pulled into."""

    path: str
    position: int
    """of the file in the manifest"""
    entry: FileEntry
    span: ByteRange | None = None

    @property
    def size_bytes(self) -> int:
        """How many bytes it has in the clear."""
        return self.entry.size_bytes if self.span is None else self.span.last_byte - self.span.first_byte + 1

    @property
    def chunks(self) -> range:
        """Which of the file's sealed chunks hold it."""
        if self.span is None:
            return range(sealed_chunk_count(self.entry))
        return range(self.span.first_chunk, self.span.last_chunk + 1)


def choose(manifest: Manifest, choice: Choice) -> tuple[Part, ...]:
    """Find what is chosen, in the order of the manifest.

    A pattern is read as `concord dataset manifest` reads one; it may also be the path of a file, or of a folder, which
    stands for all below it. A range of ``raw.bin`` goes to ``raw.bin.FIRST-LAST``.

    Raises:
        NotFoundError: a pattern or path names no file of the version.
        MalformedError: a range reaches beyond its file, or would lie where a file of the version does.
    """
    positions = {entry.path: position for position, entry in enumerate(manifest.files)}
    wanted = set(positions) if choice.is_all else set[str]()
    for pattern in choice.patterns:
        found = set(_match(list(positions), pattern))
        if not found:
            raise NotFoundError(f"no file of the version is named by {pattern!r}: it has {_some_of(positions)}")
        wanted |= found
    parts = [Part(path, positions[path], manifest.files[positions[path]]) for path in wanted]
    parts += [_plan(manifest, positions, each) for each in choice.ranges]
    return tuple(sorted(parts, key=lambda part: (part.position, part.path)))


def runs_of(parts: Iterable[Part], descriptor: SealingDescriptor) -> list[range]:
    """Return which chunks of the sealing hold these parts: each once, ascending, those side by side in one range."""
    runs: list[range] = []
    firsts = [(descriptor.first_chunks[part.position], part.chunks) for part in parts]
    for run in sorted((range(first + of.start, first + of.stop) for first, of in firsts), key=lambda run: run.start):
        if runs and run.start <= runs[-1].stop:
            runs[-1] = range(runs[-1].start, max(runs[-1].stop, run.stop))
        else:
            runs.append(run)
    return runs


def _plan(manifest: Manifest, positions: dict[str, int], wanted: FileRange) -> Part:
    if wanted.path not in positions:
        raise NotFoundError(f"the version has no file {wanted.path!r}: it has {_some_of(positions)}")
    position = positions[wanted.path]
    try:
        span = plan_range(manifest.files[position], wanted.first, wanted.last)
    except ValueError as error:
        raise MalformedError(str(error)) from error
    path = normalize_path(f"{wanted.path}.{wanted.first}-{wanted.last}")
    if _is_there([fold_path(each) for each in positions], fold_path(path)):
        raise MalformedError(f"the range {wanted} would lie at {path}, where the version has a file or folder")
    return Part(path, position, manifest.files[position], span)


def _match(paths: Sequence[str], pattern: str) -> Iterator[str]:
    """As `Glob.find` on a disk: a magic character counts from the first name on that is not there as it is written."""
    names = pattern.split("/")
    magic = next((index for index, name in enumerate(names) if _MAGIC.search(name)), len(names))
    while magic < len(names) and _is_there(paths, "/".join(names[: magic + 1])):
        magic += 1
    if magic == len(names):
        yield from (path for path in paths if path == pattern or path.startswith(pattern + "/"))
        return
    folder = "".join(name + "/" for name in names[:magic])
    glob = Glob(Path(), tuple(names[magic:]))
    yield from (path for path in paths if path.startswith(folder) and glob.is_match(path.removeprefix(folder)))


def _is_there(paths: Sequence[str], name: str) -> bool:
    return any(path == name or path.startswith(name + "/") for path in paths)


def _some_of(positions: dict[str, int]) -> str:
    first = ", ".join(list(positions)[:3])
    return first if len(positions) <= 3 else f"{first} and {len(positions) - 3} more"
