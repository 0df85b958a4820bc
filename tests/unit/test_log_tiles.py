"""ledger.log.tiles: paths and bytes of c2sp.org/tlog-tiles."""

from __future__ import annotations

import pytest

from ledger.errors import MalformedError
from ledger.log.tiles import (
    ENTRIES,
    Tile,
    encode_bundle,
    encode_tile,
    parse_bundle,
    parse_tile,
    tile_width,
)

PATHS = {
    "tile/0/000": Tile(0, 0),
    "tile/0/x001/x234/067": Tile(0, 1_234_067),  # of the spec
    "tile/0/x001/x234/067.p/112": Tile(0, 1_234_067, 112),
    "tile/entries/999": Tile(ENTRIES, 999),
    "tile/entries/x001/000.p/1": Tile(ENTRIES, 1000, 1),
    "tile/63/255.p/255": Tile(63, 255, 255),
}


@pytest.mark.parametrize("path", PATHS)
def test_paths(path: str) -> None:
    assert PATHS[path].path == path
    assert Tile.parse(path) == PATHS[path]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/99/000",
        "tile/0/001/000",
        "tile/0/x000/000",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/../0/000",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/data/000",
    ],
)
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(MalformedError):
        Tile.parse(path)


def test_tiles_that_are_none() -> None:
    for values in ((-2, 0), (64, 0), (0, -1), (0, 0, 0), (0, 0, 257)):
        with pytest.raises(MalformedError):
            Tile(*values)


def test_the_widths_of_the_specs_example() -> None:
    assert [tile_width(0, index, 70_000) for index in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [tile_width(1, index, 70_000) for index in (0, 1, 2)] == [256, 17, 0]
    assert [tile_width(2, index, 70_000) for index in (0, 1)] == [1, 0]
    assert tile_width(ENTRIES, 273, 70_000) == 112
    assert (tile_width(0, 0, 256), tile_width(1, 0, 256), tile_width(1, 0, 255)) == (256, 1, 0)


def test_tiles_and_bundles() -> None:
    hashes = [bytes([number]) * 32 for number in range(3)]
    assert parse_tile(encode_tile(hashes), 3) == hashes
    entries = [b"", b"a", b"b" * 0xFFFF]
    raw = encode_bundle(entries)
    assert raw[:5] == b"\0\0\0\1a"
    assert parse_bundle(raw, 3) == entries
    with pytest.raises(ValueError, match="65535"):
        encode_bundle([b"c" * 0x10000])


@pytest.mark.parametrize("raw", [b"", b"\0", b"\0\1", b"\0\1a\0", b"\0\1a\0\2b", b"\0\1a", b"\0\1a\0\1b\0\1c"])
def test_bundles_cut_short_or_of_another_width(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_bundle(raw, 2)


def test_a_tile_of_another_width() -> None:
    for size in (0, 31, 32, 63, 65, 96):
        with pytest.raises(MalformedError):
            parse_tile(bytes(size), 2)
