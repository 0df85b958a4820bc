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
        if reader.entries(previous.size, len(entries)) != list(entries):
            raise MalformedError("the entries read back are not those that were written")
        for tile in written:
            _check_tile(reader, tile, new.size)
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


def _check_tile(reader: TileReader, tile: Tile, size: int) -> None:
    """Check a bundle against its level 0 tile, a full tile against the hash that stands for it one level up."""
    first = tile.index * TILE_WIDTH
    if tile.level == ENTRIES:
        found = [leaf_hash(entry) for entry in reader.entries(first, tile.width)]
        expected = reader.load_hashes(0, tile.index)
    elif tile.width == TILE_WIDTH:
        found = [compute_root(reader.load_hashes(tile.level, tile.index))]
        expected = [reader.load_hashes(tile.level + 1, tile.index // TILE_WIDTH)[tile.index % TILE_WIDTH]]
    else:
        return  # a partial tile has nothing above it but the root
    if found != expected:
        raise MalformedError(f"{tile.path} does not hash to the tile above it in a tree of size {size}")
