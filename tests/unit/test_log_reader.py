"""ledger.log.reader: entries, roots and proofs from a folder, and files that are not what they were."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.errors import FatalError, NotFoundError, UnavailableError
from ledger.log import TileReader
from ledger.log.edge import RightEdge
from ledger.merkle import EMPTY_ROOT, compute_root, leaf_hash, prove_consistency, prove_inclusion, verify_inclusion
from tests.support.log import MemoryCheckpointStore, check_log, entries_of, open_log

ENTRIES = entries_of("entry", 600)
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
SIZES = [1, 2, 255, 256, 257, 300, 511, 512, 513, 599, 600]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log")
    with open_log(path, MemoryCheckpointStore()) as log:
        for first, end in ((0, 1), (1, 300), (300, 600)):
            log.append(ENTRIES[first:end])
    return path


def test_entries(folder: Path) -> None:
    reader = TileReader(folder)
    assert reader.size == 600
    assert reader.entry(599) == ENTRIES[599]
    for first, count in ((0, 600), (0, 0), (600, 0), (255, 2), (256, 256), (300, 299)):
        assert reader.entries(first, count) == ENTRIES[first : first + count]
    for first, count in ((600, 1), (-1, 2), (0, 601), (5, -1)):
        with pytest.raises(NotFoundError):
            reader.entries(first, count)


def test_roots_and_proofs_are_those_of_a_list(folder: Path) -> None:
    reader = TileReader(folder)
    assert reader.root(0) == EMPTY_ROOT
    for size in SIZES:
        assert reader.root(size) == compute_root(LEAVES[:size])
        for index in {0, size // 2, size - 1}:
            assert reader.prove_inclusion(index, size) == prove_inclusion(LEAVES, index, size)
        for size1 in (value for value in SIZES if value <= size):
            assert reader.prove_consistency(size1, size) == prove_consistency(LEAVES, size1, size)
    assert reader.prove_inclusions(range(250, 260), 600) == [prove_inclusion(LEAVES, i, 600) for i in range(250, 260)]


def test_what_the_log_does_not_have(folder: Path) -> None:
    reader = TileReader(folder)
    for size in (-1, 601):
        with pytest.raises(NotFoundError):
            reader.root(size)
    for index, size in ((-1, 5), (5, 5), (0, 0), (0, 601)):
        with pytest.raises(NotFoundError):
            reader.prove_inclusion(index, size)
    for size1, size2 in ((0, 5), (6, 5), (5, 601)):
        with pytest.raises(NotFoundError):
            reader.prove_consistency(size1, size2)
    with pytest.raises(NotFoundError):
        reader.load_hashes(0, 3)


def test_resources_are_the_committed_files(folder: Path) -> None:
    reader = TileReader(folder)
    for path in ("checkpoint", "tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/001"):
        assert reader.resource(path) == (folder / path).read_bytes()
    for path in ("", "tile/0/003", "tile/0/002", "tile/0/002.p/89", "tile/0/002.p/1", "../x", ".lock", "tile/1/000"):
        with pytest.raises(NotFoundError):
            reader.resource(path)


def test_partial_tiles_give_way_to_their_full_one(folder: Path) -> None:
    files = {path.relative_to(folder).as_posix() for path in (folder / "tile").rglob("*") if path.is_file()}
    assert files == {
        *("tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"),
        *("tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/1", "tile/1/000.p/2"),
    }


def test_a_folder_without_a_log(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no checkpoint"):
        _ = TileReader(tmp_path).size


def test_a_malformed_checkpoint_file(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"")
    with pytest.raises(FatalError, match="remove it"):
        _ = TileReader(tmp_path).size


@pytest.mark.parametrize("path", ["tile/entries/000.p/5", "tile/0/000.p/5"])
def test_files_that_are_missing_or_damaged(tmp_path: Path, path: str) -> None:
    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        log.append(ENTRIES[:5])
    reader = TileReader(tmp_path)
    whole = (tmp_path / path).read_bytes()
    (tmp_path / path).write_bytes(whole[:-1])
    with pytest.raises(FatalError, match="damaged"):
        reader.root(5) if "0/000" in path else reader.entry(4)
    (tmp_path / path).unlink()
    with pytest.raises(FatalError, match="missing"):
        reader.root(5) if "0/000" in path else reader.entry(4)
    (tmp_path / path).mkdir()
    with pytest.raises(UnavailableError):
        reader.root(5) if "0/000" in path else reader.entry(4)


def test_a_log_that_grows_while_it_is_read(tmp_path: Path) -> None:
    """A size that was read before its partial tile gave way to the full one is read again."""
    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        log.append(ENTRIES[:200])
        log.append(ENTRIES[200:256])
    sizes = iter([200, 200, 256, 256, 256])
    assert TileReader(tmp_path, lambda: next(sizes)).entry(199) == ENTRIES[199]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 600])
def test_the_right_edge_is_rebuilt_from_the_files(folder: Path, size: int) -> None:
    edge, _ = RightEdge().extend(ENTRIES[:size]) if size else (RightEdge(), {})
    assert edge.root() == compute_root(LEAVES[:size])
    assert RightEdge.load(TileReader(folder), size) == edge


def test_a_tree_of_three_levels(tmp_path: Path) -> None:
    entries = [number.to_bytes(3, "big") for number in range(256 * 256 + 300)]
    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        log.append(entries[:40_000])
        log.append(entries[40_000:])
    check_log(tmp_path, entries, [1, 40_000, 65_535, 65_536, 65_537])
    assert (tmp_path / "tile/2/000.p/1").stat().st_size == 32
    reader = TileReader(tmp_path)
    assert RightEdge.load(reader, len(entries)).root() == reader.root(len(entries))


def test_proofs_through_tiles_that_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [number.to_bytes(3, "big") for number in range(2 * 256 * 256 + 300)]
    leaves, size = [leaf_hash(entry) for entry in entries], len(entries)
    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        log.append(entries)
    for most in (1, 128):
        monkeypatch.setattr("ledger.log.reader._MOST_REMEMBERED", most)
        reader = TileReader(tmp_path)
        for index in (0, 65_535, 65_536, 131_071, 131_072, size - 1, 40_000, 100_000, 0):
            proof = reader.prove_inclusion(index, size)
            verify_inclusion(leaves[index], index, size, proof, reader.root(size))
        assert len(reader._remembered) == min(most, 5)  # two full ones of level 1, and a partial one of each level


def test_a_partial_tile_that_is_remembered_grows(tmp_path: Path) -> None:
    with open_log(tmp_path, MemoryCheckpointStore()) as log:
        reader = log.reader
        assert log.reader is reader
        for first, end in ((0, 3), (3, 200), (200, 256), (256, 512), (512, 600)):
            log.append(ENTRIES[first:end])
            for size in (1, end // 2 + 1, end):
                assert reader.root(size) == compute_root(LEAVES[:size])
                assert reader.prove_inclusion(size // 2, size) == prove_inclusion(LEAVES, size // 2, size)


def test_reading_while_another_thread_writes(tmp_path: Path) -> None:
    entries = entries_of("entry", 1200)
    leaves = [leaf_hash(entry) for entry in entries]
    with open_log(tmp_path, MemoryCheckpointStore()) as log, ThreadPoolExecutor(2) as pool:
        log.append(entries[:1])

        def read(reader: TileReader) -> int:
            rounds = 0
            while reader.size < len(entries):
                size = reader.size
                assert reader.entries(0, size) == entries[:size]
                proof = reader.prove_inclusion(size - 1, size)
                verify_inclusion(leaves[size - 1], size - 1, size, proof, compute_root(leaves[:size]))
                rounds += 1
            return rounds

        readers = [pool.submit(read, reader) for reader in (log.reader, TileReader(tmp_path))]
        for first in range(1, len(entries), 11):
            log.append(entries[first : first + 11])
        assert all(reader.result(60) for reader in readers)
