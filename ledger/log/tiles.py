"""Tiles and entry bundles: c2sp.org/tlog-tiles. Paths and bytes only; nothing here touches a disk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from ledger.errors import MalformedError
from ledger.merkle import HASH_SIZE_BYTES

__all__ = [
    "ENTRIES",
    "MAX_ENTRY_SIZE_BYTES",
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "Tile",
    "encode_bundle",
    "encode_tile",
    "parse_bundle",
    "parse_tile",
    "tile_width",
]

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
MAX_ENTRY_SIZE_BYTES: Final = 0xFFFF
ENTRIES: Final = -1  # the level of entry bundles, below the leaf hashes on level 0
_MAX_LEVEL: Final = 63
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Tile:
    """Which tile: ``Tile(0, 1234067, 112).path`` is ``tile/0/x001/x234/067.p/112``; level `ENTRIES` is a bundle."""

    level: int
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if not (ENTRIES <= self.level <= _MAX_LEVEL and self.index >= 0 and 1 <= self.width <= TILE_WIDTH):
            raise MalformedError("no tile has that level, index and width")

    @classmethod
    def parse(cls, path: str) -> Self:
        """Read a path below the log's prefix; what is accepted formats back to itself.

        Raises:
            MalformedError: not a tile's path, or not its only spelling.
        """
        match = _PATH.match(path)
        if not match:
            raise MalformedError("not the path of a tile")
        level = ENTRIES if match["level"] == "entries" else int(match["level"])
        index = int(match["index"].replace("x", "").replace("/", ""))
        tile = cls(level, index, int(match["width"] or TILE_WIDTH))
        if tile.path != path:
            raise MalformedError("not the only spelling of a tile's path")
        return tile

    @property
    def path(self) -> str:
        """The path below the log's prefix, the same over HTTP and on disk."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{number}{partial}"


def tile_width(level: int, index: int, size: int) -> int:
    """Return how many hashes (or entries) tile ``index`` of ``level`` has in a tree of ``size``; 0: no such tile."""
    count = size >> (TILE_HEIGHT * max(level, 0))
    return max(0, min(TILE_WIDTH, count - index * TILE_WIDTH))


def encode_tile(hashes: Sequence[bytes]) -> bytes:
    """Return the tile's bytes: its hashes one after the other."""
    return b"".join(hashes)


def parse_tile(raw: bytes, width: int) -> list[bytes]:
    """Return the hashes of a tile. Raises: MalformedError: not ``width`` hashes."""
    if len(raw) != width * HASH_SIZE_BYTES:
        raise MalformedError(f"a tile of width {width} has {width * HASH_SIZE_BYTES} bytes, found {len(raw)}")
    return [raw[at : at + HASH_SIZE_BYTES] for at in range(0, len(raw), HASH_SIZE_BYTES)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return an entry bundle: each entry after its length as a big-endian uint16.

    Raises:
        ValueError: an entry is longer than 65,535 bytes.
    """
    if any(len(entry) > MAX_ENTRY_SIZE_BYTES for entry in entries):
        raise ValueError(f"an entry has at most {MAX_ENTRY_SIZE_BYTES} bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_bundle(raw: bytes, width: int) -> list[bytes]:
    """Return the entries of a bundle. Raises: MalformedError: cut short, or not ``width`` entries."""
    step = 2 + int.from_bytes(raw[:2], "big")
    if len(raw) == step * width and raw[::step] + raw[1::step] == raw[:1] * width + raw[1:2] * width:
        return [raw[at + 2 : at + step] for at in range(0, len(raw), step)]  # all of one length, as ours are
    entries: list[bytes] = []
    at = 0
    while at < len(raw):
        start = at + 2
        end = start + int.from_bytes(raw[at:start], "big")
        if end > len(raw) or start > len(raw):
            raise MalformedError("an entry bundle is cut short")
        entries.append(raw[start:end])
        at = end
    if len(entries) != width:
        raise MalformedError(f"an entry bundle of width {width} has {len(entries)} entries")
    return entries
