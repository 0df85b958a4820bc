"""The right edge of the tree: what a writer keeps in memory to add entries without reading the tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ledger.log.reader import TileReader
from ledger.log.tiles import ENTRIES, TILE_HEIGHT, TILE_WIDTH, Tile, encode_bundle, encode_tile, tile_width
from ledger.merkle import EMPTY_ROOT, compute_root, leaf_hash

__all__ = ["RightEdge"]


@dataclass(frozen=True, slots=True)
class RightEdge:
    """The entries of the partial bundle and the hashes of each level's partial tile; fewer than 256 each."""

    size: int = 0
    entries: tuple[bytes, ...] = ()
    levels: tuple[tuple[bytes, ...], ...] = ()

    @classmethod
    def load(cls, reader: TileReader, size: int) -> Self:
        """Read the edge of the tree of ``size``. Raises: NotFoundError, UnavailableError, FatalError: as the reader."""
        levels: list[tuple[bytes, ...]] = []
        while size >> (TILE_HEIGHT * len(levels)):
            level = len(levels)
            index = size >> (TILE_HEIGHT * (level + 1))
            partial = tile_width(level, index, size)
            levels.append(tuple(reader.load_hashes(level, index)[:partial]) if partial else ())
        first = size - size % TILE_WIDTH
        return cls(size, tuple(reader.entries(first, size - first)), tuple(levels))

    def root(self) -> bytes:
        """Return the root hash of the tree that ends here."""
        root: tuple[bytes, ...] = ()
        for hashes in self.levels:  # what is below a level's partial tile counts as its last, incomplete child
            nodes = hashes + root
            root = (compute_root(nodes),) if nodes else ()
        return root[0] if root else EMPTY_ROOT

    def extend(self, entries: Sequence[bytes]) -> tuple[RightEdge, dict[Tile, bytes]]:
        """Return the edge after ``entries``, and the bytes of every bundle and tile that they fill or lengthen."""
        files, partial_entries = self._fill_bundles(entries)
        levels: list[tuple[bytes, ...]] = []
        added = [leaf_hash(entry) for entry in entries]
        while added or len(levels) < len(self.levels):
            hashes, added = self._fill_tiles(len(levels), added, files)
            levels.append(hashes)
        return RightEdge(self.size + len(entries), partial_entries, tuple(levels)), files

    def _fill_bundles(self, entries: Sequence[bytes]) -> tuple[dict[Tile, bytes], tuple[bytes, ...]]:
        files: dict[Tile, bytes] = {}
        pending = [*self.entries, *entries]
        for first in range(0, len(pending), TILE_WIDTH):
            part = pending[first : first + TILE_WIDTH]
            files[Tile(ENTRIES, (self.size + first) // TILE_WIDTH, len(part))] = encode_bundle(part)
        return files, tuple(pending[len(pending) - len(pending) % TILE_WIDTH :])

    def _fill_tiles(
        self, level: int, added: list[bytes], files: dict[Tile, bytes]
    ) -> tuple[tuple[bytes, ...], list[bytes]]:
        """Add hashes to a level; return its new partial tile and the hashes that its full tiles add one level up."""
        pending = [*(self.levels[level] if level < len(self.levels) else ()), *added]
        carried: list[bytes] = []
        for first in range(0, len(pending), TILE_WIDTH) if added else ():
            part = pending[first : first + TILE_WIDTH]
            index = (self.size >> (TILE_HEIGHT * (level + 1))) + first // TILE_WIDTH
            files[Tile(level, index, len(part))] = encode_tile(part)
            if len(part) == TILE_WIDTH:
                carried.append(compute_root(part))
        return tuple(pending[len(pending) - len(pending) % TILE_WIDTH :]), carried
