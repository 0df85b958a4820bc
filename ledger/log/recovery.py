"""Where a log stands when its writer starts: the database's row, the files, and what a crash left beyond them."""

from __future__ import annotations

from pathlib import Path

from ledger.errors import FatalError, LedgerError, MalformedError, NotFoundError, UnavailableError
from ledger.log.checkpoint import Checkpoint
from ledger.log.edge import RightEdge
from ledger.log.note import SignedNote
from ledger.log.reader import CHECKPOINT_PATH, TileReader
from ledger.log.storage import DurableFolder
from ledger.log.tiles import ENTRIES, TILE_WIDTH, Tile, tile_width
from ledger.merkle import leaf_hash

__all__ = ["check_published", "discard_beyond", "load_edge", "load_published"]

_REMEDY = "restore folder and database from the same moment, or run `concord log recover --from URL|FOLDER`"


def load_edge(folder: Path, row: Checkpoint) -> RightEdge:
    """Rebuild the right edge from the files and check that it hashes to the row.

    Raises:
        UnavailableError: the disk can not be read.
        FatalError: the files do not hold the tree that the row names.
    """
    reader = TileReader(folder, lambda: row.size)
    try:
        edge = RightEdge.load(reader, row.size)
    except UnavailableError:
        raise
    except LedgerError as error:
        raise FatalError(
            f"the database says that the log {row.origin} has {row.size} entries, the files in {folder} do not hold "
            f"them ({error}): {_REMEDY}"
        ) from error
    if edge.root() != row.root or tuple(map(leaf_hash, edge.entries)) != (*edge.levels, ())[0]:
        raise FatalError(
            f"the files in {folder} do not hash to the checkpoint of size {row.size} in the database: {_REMEDY}"
        )
    return edge


def load_published(folder: DurableFolder) -> Checkpoint | None:
    """Return the checkpoint that the folder publishes, None where there is none.

    Raises:
        OSError: it can not be read.
        FatalError: it is malformed.
    """
    try:
        raw = folder.read(CHECKPOINT_PATH)
    except FileNotFoundError:
        return None
    try:
        return Checkpoint.parse(SignedNote.parse(raw).text)
    except MalformedError as error:
        raise FatalError(
            f"{folder.root / CHECKPOINT_PATH} is malformed ({error}): remove it, it is written again from the database"
        ) from error


def check_published(folder: Path, published: Checkpoint, row: Checkpoint) -> None:
    """Check that the row continues what was published.

    Raises:
        UnavailableError: the disk can not be read.
        FatalError: another log's folder, or the row is behind (an old backup of the database) or beside it.
    """
    if published.origin != row.origin:
        raise FatalError(f"{folder} holds the log {published.origin}, not {row.origin}: name another folder")
    try:
        consistent = TileReader(folder, lambda: row.size).root(published.size) == published.root
    except NotFoundError:
        consistent = False
    if not consistent:
        raise FatalError(
            f"the checkpoint of size {published.size} published in {folder} is not one of the log whose last "
            f"checkpoint in the database has size {row.size}; signing on could fork the log: {_REMEDY}"
        )


def discard_beyond(folder: DurableFolder, size: int) -> None:
    """Remove the tiles that a crash left beyond ``size``, as far as that goes: nothing reads them."""
    level = ENTRIES
    while level <= 0 or (folder.root / f"tile/{level}").is_dir():
        index = size // TILE_WIDTH ** (max(level, 0) + 1)
        while _discard_tile(folder, level, index, tile_width(level, index, size)):
            index += 1
        level += 1


def _discard_tile(folder: DurableFolder, level: int, index: int, width: int) -> bool:
    """Remove the widths of a tile beyond ``width``; say whether the next tile may have some too."""
    full = Tile(level, index).path
    partials = folder.root / f"{full}.p"
    names = [name.name for name in partials.iterdir()] if partials.is_dir() else []
    beyond = [f"{full}.p/{name}" for name in names if not name.isdecimal() or int(name) > width]
    found = bool(names) or (folder.root / full).exists()
    folder.discard([*beyond, full])
    return found or width > 0
