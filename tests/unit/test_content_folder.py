"""Comparing a folder with a manifest: what matched, changed, is missing, unreadable or surplus."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from ledger.content import (
    CHUNK_SIZE_BYTES,
    ChunkIndex,
    FileFinding,
    FileState,
    Manifest,
    Progress,
    ScannedContent,
    hash_bytes,
    scan_folder,
    verify_folder,
)
from ledger.errors import NotFoundError, VerificationError
from ledger.types import Bytes32
from tests.support.content import flip_bit, make_bytes, write_files

MIB = CHUNK_SIZE_BYTES
FILES = {"large.bin": make_bytes("large", 3 * MIB + 100), "small.csv": b"hour,mwh\n", "empty": b""}


@pytest.fixture
def content(tmp_path: Path) -> ScannedContent:
    return scan_folder(write_files(tmp_path / "data", FILES))


@pytest.fixture
def folder(tmp_path: Path, content: ScannedContent) -> Path:
    return tmp_path / "data"


def only_finding(folder: Path, content: ScannedContent, *, with_chunks: bool = True) -> FileFinding:
    report = verify_folder(folder, content.manifest, content.chunks if with_chunks else None)
    assert not report.is_matched
    (finding,) = [found for found in report.findings if found.state is not FileState.MATCHED]
    return finding


@pytest.mark.parametrize("workers", [1, 2, None])
def test_an_untouched_folder_matches(folder: Path, content: ScannedContent, workers: int | None) -> None:
    steps: list[Progress] = []
    for chunks in (content.chunks, None):
        report = verify_folder(folder, content.manifest, chunks, workers=workers, progress=steps.append)
        assert report.is_matched
        assert report.in_state(FileState.MATCHED) == report.findings
        assert [finding.path for finding in report.findings] == ["empty", "large.bin", "small.csv"]
        assert report.surplus == ()
    assert steps[-1].bytes_done == steps[-1].bytes_total == content.manifest.size_bytes


@pytest.mark.parametrize(
    ("position", "chunk", "last"),
    [(0, 0, MIB - 1), (MIB - 1, 0, MIB - 1), (2 * MIB, 2, 3 * MIB - 1), (3 * MIB + 99, 3, 3 * MIB + 99)],
)
def test_a_flipped_bit_is_traced_to_its_chunk(
    folder: Path, content: ScannedContent, position: int, chunk: int, last: int
) -> None:
    flip_bit(folder / "large.bin", position)
    detail = f"differs in chunk {chunk} (bytes {chunk * MIB} to {last})"
    expected = FileFinding("large.bin", FileState.CHANGED, detail, chunk, chunk * MIB, last)
    assert only_finding(folder, content) == expected
    without = only_finding(folder, content, with_chunks=False)
    assert (without.state, without.chunk) == (FileState.CHANGED, None)
    assert without.detail.startswith("has root 0x")


def test_a_file_of_one_chunk_is_traced_without_chunk_hashes(folder: Path, content: ScannedContent) -> None:
    flip_bit(folder / "small.csv", 3)
    finding = only_finding(folder, content, with_chunks=False)
    assert (finding.chunk, finding.first_byte, finding.last_byte) == (0, 0, 8)


@pytest.mark.parametrize(
    ("size", "chunk", "first", "last"),
    [
        (3 * MIB + 99, 3, 3 * MIB, 3 * MIB + 99),
        (3 * MIB, 3, 3 * MIB, 3 * MIB + 99),
        (MIB + 1, 1, MIB, 2 * MIB - 1),
        (0, 0, 0, MIB - 1),
        (3 * MIB + 101, 3, 3 * MIB, 3 * MIB + 100),
        (9 * MIB, 3, 3 * MIB, 4 * MIB - 1),
    ],
)
def test_another_length_is_said_and_traced(
    folder: Path, content: ScannedContent, size: int, chunk: int, first: int, last: int
) -> None:
    os.truncate(folder / "large.bin", size)
    finding = only_finding(folder, content)
    assert (finding.chunk, finding.first_byte, finding.last_byte) == (chunk, first, last)
    assert finding.detail.endswith(f"and has {size} bytes instead of {3 * MIB + 100}")
    assert only_finding(folder, content, with_chunks=False).detail == f"has {size} bytes instead of {3 * MIB + 100}"


def test_an_empty_file_that_is_not_empty_any_more_is_changed(folder: Path, content: ScannedContent) -> None:
    (folder / "empty").write_bytes(b"xy")
    finding = only_finding(folder, content)
    assert (finding.path, finding.chunk, finding.first_byte, finding.last_byte) == ("empty", 0, 0, 1)


def test_a_flat_hash_that_does_not_go_with_the_root_is_no_match(folder: Path) -> None:
    entry, hashes = hash_bytes("small.csv", FILES["small.csv"])
    lying = Manifest((dataclasses.replace(entry, sha256=Bytes32(b"\x01" * 32)),))
    (finding,) = verify_folder(folder, lying, ChunkIndex({"small.csv": hashes})).findings
    assert (finding.state, finding.chunk) == (FileState.CHANGED, None)
    assert finding.detail.startswith("has SHA-256 0x")


def test_missing_and_surplus_files_are_told_apart(folder: Path, content: ScannedContent) -> None:
    (folder / "small.csv").rename(folder / "other\x1b.csv")
    report = verify_folder(folder, content.manifest, content.chunks)
    assert report.in_state(FileState.MISSING) == (FileFinding("small.csv", FileState.MISSING, "is not there"),)
    assert report.surplus == ("other\\x1b.csv",)
    assert not report.is_matched


def test_surplus_alone_is_no_mismatch(folder: Path, content: ScannedContent) -> None:
    write_files(folder, {"sub/new": b""})
    report = verify_folder(folder, content.manifest)
    assert (report.is_matched, report.surplus) == (True, ("sub/new",))


def test_links_and_special_files_are_unreadable_not_changed(folder: Path, content: ScannedContent) -> None:
    (folder / "small.csv").rename(folder / "real.csv")
    (folder / "small.csv").symlink_to("real.csv")
    (folder / "empty").unlink()
    os.mkfifo(folder / "empty")
    report = verify_folder(folder, content.manifest)
    details = {finding.path: finding.detail for finding in report.in_state(FileState.UNREADABLE)}
    assert details == {
        "small.csv": "is a symbolic link, not a file",
        "empty": "is a device, socket or pipe, not a file",
    }


def test_a_file_that_changes_meanwhile_is_unreadable(folder: Path, content: ScannedContent) -> None:
    def grow(step: Progress) -> None:
        with (folder / "large.bin").open("ab") as file:
            file.write(b"x")

    report = verify_folder(folder, content.manifest, content.chunks, workers=1, progress=grow)
    (finding,) = report.in_state(FileState.UNREADABLE)
    assert finding.detail.startswith("large.bin changed while it was read")


def test_names_on_the_disk_may_be_in_another_unicode_form(tmp_path: Path) -> None:
    content = scan_folder(write_files(tmp_path / "c", {"résumé": b"x"}))
    write_files(tmp_path / "d", {"re\u0301sume\u0301": b"x"})
    assert verify_folder(tmp_path / "d", content.manifest).is_matched
    write_files(tmp_path / "d", {"résumé": b"x", "r\u00e9sume\u0301": b"y"})
    report = verify_folder(tmp_path / "d", content.manifest)
    assert report.is_matched
    assert sorted(report.surplus) == sorted(["re\u0301sume\u0301", "r\u00e9sume\u0301"])


def test_one_file_is_looked_up_by_name_or_is_the_only_one(
    tmp_path: Path, folder: Path, content: ScannedContent
) -> None:
    report = verify_folder(folder / "small.csv", content.manifest)
    assert [finding.path for finding in report.in_state(FileState.MATCHED)] == ["small.csv"]
    assert len(report.in_state(FileState.MISSING)) == 2
    one = scan_folder(folder / "small.csv")
    (folder / "small.csv").rename(tmp_path / "renamed")
    assert verify_folder(tmp_path / "renamed", one.manifest).is_matched


def test_a_missing_folder_and_foreign_chunk_hashes_are_errors(folder: Path, content: ScannedContent) -> None:
    with pytest.raises(NotFoundError):
        verify_folder(folder / "nothing", content.manifest)
    with pytest.raises(VerificationError):
        verify_folder(folder, content.manifest, ChunkIndex({}))


def test_what_the_callback_raises_ends_the_comparison(folder: Path, content: ScannedContent) -> None:
    def fail(step: Progress) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        verify_folder(folder, content.manifest, progress=fail)
