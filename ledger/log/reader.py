"""Entries, roots and proofs out of a folder of tiles, a logarithmic number of tiles each.

A reader believes the files: it serves what is stored. Trust comes from checking the result against a signed
checkpoint, as `ledger.log.build_receipt` and every verifier do. Files beyond the committed size (a crash can leave
some) are never looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from ledger.errors import FatalError, MalformedError, NotFoundError, UnavailableError
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import SignedNote
from ledger.log.tiles import ENTRIES, TILE_HEIGHT, TILE_WIDTH, Tile, parse_bundle, parse_tile, tile_width
from ledger.merkle import (
    EMPTY_ROOT,
    complete_subtrees,
    compute_root,
    consistency_subtrees,
    inclusion_subtrees,
    node_hash,
)

__all__ = ["CHECKPOINT_PATH", "TileReader"]

CHECKPOINT_PATH: Final = "checkpoint"
_MOST_REMEMBERED: Final = 128
"""tiles, some 30 KB each: those of eight million entries"""


class TileReader:
    """Reads a log folder laid out at the paths of c2sp.org/tlog-tiles. Safe to share between threads.

    Every method may raise, besides what it names: ``UnavailableError`` when the disk fails, and ``FatalError`` when a
    file that the log committed to is missing or of another length.
    """

    def __init__(self, folder: Path, size: Callable[[], int] | None = None) -> None:
        """Read ``folder``; ``size`` tells how much is committed (by default, what the checkpoint file says)."""
        self._folder = folder
        self._committed = size or self._load_size
        self._remembered: dict[tuple[int, int], list[list[bytes]]] = {}

    @property
    def size(self) -> int:
        """How many entries are committed. Raises: NotFoundError: there is no log in the folder."""
        return self._committed()

    def entry(self, index: int) -> bytes:
        """Return one entry. Raises: NotFoundError: beyond the log's size."""
        return self.entries(index, 1)[0]

    def entries(self, first: int, count: int) -> list[bytes]:
        """Return ``count`` entries from index ``first``. Raises: NotFoundError: beyond the log's size."""
        if first < 0 or count < 0 or first + count > self.size:
            raise NotFoundError(f"the log has {self.size} entries, not {count} from index {first}")
        found: list[bytes] = []
        for index in range(first // TILE_WIDTH, -(-(first + count) // TILE_WIDTH)):
            width, raw = self._load(ENTRIES, index)
            found += _parsed(parse_bundle, raw, Tile(ENTRIES, index, width))
        skipped = first % TILE_WIDTH
        return found[skipped : skipped + count]

    def root(self, size: int) -> bytes:
        """Return the root hash of the tree over the first ``size`` entries. Raises: NotFoundError: beyond the log."""
        self._check_size(size)
        return _Nodes(self).subtree_root(0, size) if size else EMPTY_ROOT

    def prove_inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the inclusion proof of entry ``index`` in the tree of ``size``. Raises: NotFoundError: no such one."""
        return self.prove_inclusions([index], size)[0]

    def prove_inclusions(self, indexes: Iterable[int], size: int) -> list[list[bytes]]:
        """Return the inclusion proofs of many entries, reading and hashing what they share once.

        Raises:
            NotFoundError: beyond the log's size.
        """
        self._check_size(size)
        nodes = _Nodes(self)
        proofs: list[list[bytes]] = []
        for index in indexes:
            if not 0 <= index < size:
                raise NotFoundError(f"no entry {index} in a tree of size {size}")
            proofs.append([nodes.subtree_root(first, end) for first, end in inclusion_subtrees(index, size)])
        return proofs

    def prove_consistency(self, size1: int, size2: int) -> list[bytes]:
        """Return the proof that the tree of ``size2`` begins with that of ``size1``.

        Raises:
            NotFoundError: not 0 < size1 <= size2 <= the log's size.
        """
        self._check_size(size2)
        if not 0 < size1 <= size2:
            raise NotFoundError(f"no consistency proof from size {size1} to size {size2}")
        nodes = _Nodes(self)
        return [nodes.subtree_root(first, end) for first, end in consistency_subtrees(size1, size2)]

    def resource(self, path: str) -> bytes:
        """Return what a tlog client may fetch at ``path`` below the log's prefix: the checkpoint or a committed tile.

        Raises:
            NotFoundError: any other path, or a tile that no checkpoint needs yet.
        """
        if path == CHECKPOINT_PATH:
            return self._load_checkpoint()
        try:
            tile = Tile.parse(path)
        except MalformedError as error:
            raise NotFoundError("no such resource: a log serves its checkpoint and its tiles") from error
        if tile.width > tile_width(tile.level, tile.index, self.size):
            raise NotFoundError(f"the log has no {path} yet")
        try:
            return self._read(path)
        except FileNotFoundError as error:
            # A partial tile may be gone once its full one is there, or never was: a batch went past that width.
            raise NotFoundError(f"no {path}: ask for the full tile or for that of the present checkpoint") from error

    def load_hashes(self, level: int, index: int) -> list[bytes]:
        """Return the committed hashes of a tile. Raises: NotFoundError: it has none yet."""
        width, raw = self._load(level, index)
        return _parsed(parse_tile, raw, Tile(level, index, width))

    def load_rows(self, level: int, index: int) -> list[list[bytes]]:
        """The nodes of a tile by height: its hashes, and all that is over them, but of a full tile of level 0.

        Those are kept: most proofs go through the same few such tiles. A full tile never changes, a partial one is
        read again when it is longer.
        """
        rows = self._remembered.get((level, index))
        if rows is None or len(rows[0]) < tile_width(level, index, self._committed()):
            rows = [self.load_hashes(level, index)]
            if level or len(rows[0]) < TILE_WIDTH:
                while len(rows[-1]) > 1:
                    rows.append([node_hash(*pair) for pair in zip(rows[-1][0::2], rows[-1][1::2], strict=False)])
                if len(self._remembered) >= _MOST_REMEMBERED:
                    self._remembered.clear()
                self._remembered[level, index] = rows
        return rows

    def _load(self, level: int, index: int) -> tuple[int, bytes]:
        size = self._committed()
        while True:
            width = tile_width(level, index, size)
            if not width:
                raise NotFoundError(f"no tile {index} on level {level} in a log of size {size}")
            path = Tile(level, index, width).path
            try:
                return width, self._read(path)
            except FileNotFoundError as error:
                # The log grew meanwhile, and a partial tile gave way to its full one.
                before, size = size, self._committed()
                if size == before:
                    raise FatalError(
                        f"{path} is missing in {self._folder}, though the checkpoint of size {size} needs it: restore "
                        "the folder from a mirror or a backup"
                    ) from error

    def _load_size(self) -> int:
        try:
            return Checkpoint.parse(SignedNote.parse(self._load_checkpoint()).text).size
        except MalformedError as error:
            raise FatalError(
                f"the checkpoint file in {self._folder} is malformed: remove it and start the service, which writes it "
                "again from its database"
            ) from error

    def _load_checkpoint(self) -> bytes:
        try:
            return self._read(CHECKPOINT_PATH)
        except FileNotFoundError as error:
            raise NotFoundError(f"no log in {self._folder}: it has no checkpoint file") from error

    def _read(self, path: str) -> bytes:
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnavailableError(f"{path} in {self._folder} can not be read: {error.strerror}") from error

    def _check_size(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise NotFoundError(f"no tree of size {size} in a log of {self.size} entries")


class _Nodes:
    """The tree's nodes as one call needs them, each read or hashed once."""

    def __init__(self, reader: TileReader) -> None:
        self._reader = reader
        self._tiles: dict[tuple[int, int], list[list[bytes]]] = {}
        self._nodes: dict[tuple[int, int], bytes] = {}

    def subtree_root(self, first: int, end: int) -> bytes:
        *rest, last = complete_subtrees(first, end)
        root = self._node(*last)
        for level, index in reversed(rest):
            root = node_hash(self._node(level, index), root)
        return root

    def _node(self, level: int, index: int) -> bytes:
        node = self._nodes.get((level, index))
        if node is None:
            tile_level, height = divmod(level, TILE_HEIGHT)
            tile, at = divmod(index << height, TILE_WIDTH)
            rows = self._rows(tile_level, tile)
            is_there = height < len(rows)
            node = rows[height][at >> height] if is_there else compute_root(rows[0][at : at + (1 << height)])
            self._nodes[level, index] = node
        return node

    def _rows(self, level: int, index: int) -> list[list[bytes]]:
        rows = self._tiles.get((level, index))
        if rows is None:
            rows = self._tiles[level, index] = self._reader.load_rows(level, index)
        return rows


def _parsed(parse: Callable[[bytes, int], list[bytes]], raw: bytes, tile: Tile) -> list[bytes]:
    try:
        return parse(raw, tile.width)
    except MalformedError as error:
        raise FatalError(f"{tile.path} is damaged ({error}): restore it from a mirror or a backup") from error
