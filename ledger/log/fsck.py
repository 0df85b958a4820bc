"""A whole log rebuilt from its entries: every tile, every root, and the statements beside it.

Nothing is read here but through the callables that are given, and nothing is believed: tiles and roots are computed
again from the entry bundles and, where statements are given, from these too, and compared with what is stored, signed
and on chain. Memory stays flat; a log of any size is one pass.
"""

from __future__ import annotations

import struct
import tempfile
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Final, Self

from ledger.errors import MalformedError
from ledger.log.edge import RightEdge
from ledger.log.text import format_base64
from ledger.log.tiles import ENTRIES, TILE_WIDTH, Tile, parse_bundle, tile_width
from ledger.merkle import HASH_SIZE_BYTES, leaf_hash

__all__ = ["Anchor", "Finding", "LogCheck", "SecondRoots"]

_MOST_CAUSES: Final = 100_000
_PARTS: Final = 64
_REGISTERED: Final = struct.Struct(">32sQ32sQ")

LoadTile = Callable[[Tile], bytes | None]
"""What is stored of a tile or bundle, None where nothing is."""
StatedEntries = Callable[[int, int], Sequence[bytes | None]]
"""From a first index, so many entries as the stored statements make them; None where there is no statement."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: ``Finding("tile", "tile/0/000 does not hold ...", 17)``.

    ``kind`` is bundle, entry, statement, tile, root, behind, second-root, file or sealing; ``index`` is that of the
    first entry that it concerns, None where it concerns none.
    """

    kind: str
    message: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    """A checkpoint that the tree has to hash to; ``name`` says who holds it (``the checkpoint on chain``)."""

    name: str
    size: int
    root: bytes


class LogCheck:
    """One check of one log; `run` it once."""

    def __init__(
        self,
        load: LoadTile,
        size: int,
        anchors: Iterable[Anchor],
        stated: StatedEntries | None = None,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Check the tree of ``size``; ``on_progress`` is told how many entries are done.

        An iterator of anchors ascends by size, and is read as the check goes on.
        """
        self._load = load
        self._size = size
        ascending = anchors if isinstance(anchors, Iterator) else iter(sorted(anchors, key=lambda each: each.size))
        self._anchors: Iterator[Anchor] = ascending
        self._next = next(self._anchors, None)
        self._stated = stated
        self._on_progress = on_progress
        self._tree = RightEdge()
        self._stated_tree: RightEdge | None = RightEdge() if stated is not None else None
        self._good_size = 0
        self._has_diverged = False
        self._wrong: list[int] = []

    def run(self) -> Iterator[Finding]:
        """Yield what is wrong, by entry index bundle for bundle.

        Raises:
            UnavailableError: and whatever else ``load`` and the statements raise.
        """
        for first in range(0, self._size, TILE_WIDTH):
            count = min(TILE_WIDTH, self._size - first)
            for finding in self._check_bundle(first, count):
                if finding.index is not None and len(self._wrong) < _MOST_CAUSES:
                    insort(self._wrong, finding.index)
                yield finding
            self._on_progress(min(first + count, self._size))
            if self._tree.size < first + count:
                yield Finding("bundle", f"nothing could be checked from entry {first} on", first)
                return
        while self._next is not None:
            anchor = self._next
            if anchor.size > self._size:
                yield Finding(
                    "behind",
                    f"the log has {self._size} entries, {anchor.name} {anchor.size}: this is an old copy",
                    self._size,
                )
            self._next = next(self._anchors, None)

    def _check_bundle(self, first: int, count: int) -> Iterator[Finding]:
        stored, reason = self._load_bundle(first, count)
        if stored is None:
            yield Finding("bundle", reason, first)
        stated = None if self._stated is None else list(self._stated(first, count))
        if stored is not None and stated is not None:
            yield from _compare_entries(first, stored, stated)
        complete = None if stated is None else [each for each in stated if each is not None]
        if complete is not None and len(complete) < count:
            complete = None
        entries = stored if stored is not None else complete
        if entries is None:
            return
        before, stated_before = self._tree, self._stated_tree
        self._tree, files = before.extend(entries)
        self._stated_tree = self._extend_stated(before, entries, complete)
        yield from self._check_tiles(files)
        yield from self._check_roots(before, entries, stated_before, complete)

    def _load_bundle(self, first: int, count: int) -> tuple[list[bytes] | None, str]:
        tile = Tile(ENTRIES, first // TILE_WIDTH, count)
        raw = self._load(tile)
        if raw is None:
            return None, f"{tile.path} is missing"
        try:
            return parse_bundle(raw, count), ""
        except MalformedError as error:
            return None, f"{tile.path} is damaged: {error}"

    def _extend_stated(
        self, before: RightEdge, entries: Sequence[bytes], complete: Sequence[bytes] | None
    ) -> RightEdge | None:
        """The tree that the statements make: the bundles' own as long as they say the same."""
        if self._stated_tree is None or complete is None:
            return None
        if self._stated_tree is before and complete == entries:
            return self._tree
        return self._stated_tree.extend(complete)[0]

    def _check_tiles(self, files: dict[Tile, bytes]) -> Iterator[Finding]:
        for tile, computed in files.items():
            is_needed = tile.width == tile_width(tile.level, tile.index, self._size)
            if tile.level == ENTRIES or not is_needed:
                continue
            stored = self._load(tile)
            span = TILE_WIDTH**tile.level  # entries below one hash
            at = 0 if stored is None else _first_difference(stored, computed)
            if at is None:
                continue
            index = (tile.index * TILE_WIDTH + at) * span
            if span > 1 and self._first_wrong(index, index + span) is not None:
                continue  # what was found below is the cause
            what = "is missing" if stored is None else f"does not hold the hash that entry {index} leads to"
            yield Finding("tile", f"{tile.path} {what}", index)

    def _check_roots(
        self,
        before: RightEdge,
        entries: Sequence[bytes],
        stated_before: RightEdge | None,
        stated: Sequence[bytes] | None,
    ) -> Iterator[Finding]:
        leaf_hashes = [leaf_hash(entry) for entry in entries]
        for anchor in self._take_anchors(self._tree.size):
            if anchor.size <= before.size or self._has_diverged:
                continue
            count = anchor.size - before.size
            root = RightEdge(anchor.size, levels=(tuple(leaf_hashes[:count]), *before.levels[1:])).root()
            if root == anchor.root:
                self._good_size = anchor.size
                continue
            self._has_diverged = True  # every later root differs too
            remedy = "compare the log with a mirror"
            if anchor.root == _root_after(stated_before, stated, count):
                remedy = "the stored statements do hash to it"
            within = self._first_wrong(self._good_size, anchor.size)
            index = self._good_size if within is None else within
            where = f"{index} or after" if within is None else f"{index}"
            yield Finding(
                "root",
                f"the entries hash at size {anchor.size} to {format_base64(root)}, {anchor.name} says "
                f"{format_base64(anchor.root)}: they part at index {where}; {remedy}",
                index,
            )

    def _take_anchors(self, size: int) -> Iterator[Anchor]:
        while self._next is not None and self._next.size <= size:
            yield self._next
            self._next = next(self._anchors, None)

    def _first_wrong(self, first: int, end: int) -> int | None:
        """The first index of these about which something was found."""
        at = bisect_left(self._wrong, first)
        return self._wrong[at] if at < len(self._wrong) and self._wrong[at] < end else None


class SecondRoots:
    """Finds two contents registered for one version: add every DatasetRegistration, then ask once.

    They lie in files until then, parted by their dataset, so that memory stays flat however many there are.
    """

    def __init__(self) -> None:
        self._open = ExitStack()
        self._parts: list[IO[bytes]] = []

    def __enter__(self) -> Self:
        for _ in range(_PARTS):
            self._parts.append(self._open.enter_context(tempfile.TemporaryFile()))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, index: int, dataset: bytes, version: int, content_hash: bytes) -> None:
        """Take one registration. Raises: OSError: the disk for temporary files is full."""
        self._parts[dataset[-1] % _PARTS].write(_REGISTERED.pack(dataset, version, content_hash, index))

    def find(self) -> Iterator[Finding]:
        """Yield a finding for each registration of which the log has an earlier one that says something else."""
        for part in self._parts:
            part.seek(0)
            first: dict[tuple[bytes, int], tuple[int, bytes]] = {}
            for dataset, version, content, index in sorted(
                _REGISTERED.iter_unpack(part.read()), key=lambda each: each[3]
            ):
                known_index, known = first.setdefault((dataset, version), (index, content))
                if known != content:
                    yield Finding(
                        "second-root",
                        f"entry {index} registers other content for version {version} of 0x{dataset.hex()} than entry "
                        f"{known_index}; the first anchored one counts",
                        index,
                    )


def _compare_entries(first: int, stored: Sequence[bytes], stated: Sequence[bytes | None]) -> Iterator[Finding]:
    for index, (entry, expected) in enumerate(zip(stored, stated, strict=True), first):
        if expected is None:
            yield Finding("statement", f"entry {index} has no statement", index)
        elif entry != expected:
            yield Finding("entry", f"entry {index} is not the one that its stored statement makes", index)


def _root_after(edge: RightEdge | None, entries: Sequence[bytes] | None, count: int) -> bytes | None:
    return None if edge is None or entries is None else edge.extend(entries[:count])[0].root()


def _first_difference(stored: bytes, computed: bytes) -> int | None:
    """Which hash of a tile differs first; None: no one."""
    if stored == computed:
        return None
    for at in range(0, len(computed), HASH_SIZE_BYTES):
        if stored[at : at + HASH_SIZE_BYTES] != computed[at : at + HASH_SIZE_BYTES]:
            return at // HASH_SIZE_BYTES
    return len(computed) // HASH_SIZE_BYTES - 1  # longer than it should be
