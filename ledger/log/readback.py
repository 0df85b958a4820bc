"""What was written, read again and hashed again before it is committed to.

Works from the files alone and never from the hashes in memory that made them: a bit that flipped on the way would
otherwise be signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ledger.errors import FatalError, LedgerError, MalformedError, UnavailableError
from ledger.log.checkpoint import Checkpoint
from ledger.log.reader import TileReader
from ledger.log.tiles import ENTRIES, TILE_WIDTH, Tile
from ledger.merkle import compute_root, leaf_hash

__all__ = ["check_files"]


def check_files(
    folder: Path, written: Iterable[Tile], entries: Sequence[bytes], previous: Checkpoint, new: Checkpoint
) -> None:
    """Check that the files of ``new`` hold ``previous`` and then ``entries``, and hash to both roots.

    Raises:
        UnavailableError: the disk can not be read.
        FatalError: the files hold something else.
    """
    reader = TileReader(folder, lambda: new.size)
    try:
        found: list[bytes] = []
        for tile in written:
            if tile.level == ENTRIES:
                found += _check_bundle(reader, tile, new.size)
            else:
                _check_tile(reader, tile, new.size)
        if found[len(found) - len(entries) :] != list(entries) or len(found) < len(entries):
            raise MalformedError("the entries read back are not those that were written")
        for checkpoint in (previous, new):
            if reader.root(checkpoint.size) != checkpoint.root:
                raise MalformedError(f"the files do not hash to the root of size {checkpoint.size}")
    except UnavailableError:
        raise
    except LedgerError as error:
        raise FatalError(
            f"what was written to {folder} reads back differently ({error}); nothing was signed. Check memory and disk "
            "of this machine before the service is started again"
        ) from error


def _check_bundle(reader: TileReader, tile: Tile, size: int) -> list[bytes]:
    """Check a bundle against its level 0 tile; return its entries."""
    entries = reader.entries(tile.index * TILE_WIDTH, tile.width)
    if [leaf_hash(entry) for entry in entries] != reader.load_hashes(0, tile.index):
        raise _not_above(tile, size)
    return entries


def _check_tile(reader: TileReader, tile: Tile, size: int) -> None:
    """Check a full tile against the hash that stands for it one level up; a partial one has only the root above it."""
    if tile.width == TILE_WIDTH:
        above = reader.load_hashes(tile.level + 1, tile.index // TILE_WIDTH)
        if compute_root(reader.load_hashes(tile.level, tile.index)) != above[tile.index % TILE_WIDTH]:
            raise _not_above(tile, size)


def _not_above(tile: Tile, size: int) -> MalformedError:
    return MalformedError(f"{tile.path} does not hash to the tile above it in a tree of size {size}")
