"""What of a version is pulled: patterns as `dataset manifest` reads them, ranges of bytes, and where both lie."""

from __future__ import annotations

import pytest

from ledger.client.choosing import Choice, FileRange, choose, runs_of
from ledger.content import Manifest, hash_bytes
from ledger.content.sealing import SealedFile, SealingDescriptor
from ledger.content.sealing_files import sealed_size
from ledger.errors import MalformedError, NotFoundError
from ledger.types import Bytes32
from tests.support.content import make_bytes

MIB = 1 << 20
FILES = {
    ".hidden/x.csv": b"x", "[odd]/1.csv": b"1", "a.csv": b"a", "deep/b.csv": b"b", "deep/er/c.csv": b"",
    "large.bin": make_bytes("large", 3 * MIB + 5),
}  # fmt: skip
MANIFEST = Manifest(tuple(hash_bytes(path, data)[0] for path, data in FILES.items()))
SEALED = SealingDescriptor(
    Bytes32(bytes(32)), tuple(SealedFile(sealed_size(entry), Bytes32(bytes(32))) for entry in MANIFEST.files)
)


def paths_of(*patterns: str) -> list[str]:
    return [part.path for part in choose(MANIFEST, Choice.of(patterns))]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a.csv", ["a.csv"]),
        ("./a.csv", ["a.csv"]),
        ("*.csv", ["a.csv"]),
        ("**/*.csv", ["[odd]/1.csv", "a.csv", "deep/b.csv", "deep/er/c.csv"]),
        ("deep", ["deep/b.csv", "deep/er/c.csv"]),
        ("deep/", ["deep/b.csv", "deep/er/c.csv"]),
        ("deep/*", ["deep/b.csv"]),
        ("deep/**", ["deep/b.csv", "deep/er/c.csv"]),
        (".hidden/*", [".hidden/x.csv"]),
        ("[odd]/*", ["[odd]/1.csv"]),
        ("[al]*", ["a.csv", "large.bin"]),
    ],
)
def test_a_pattern_is_read_as_of_files_on_a_disk(pattern: str, found: list[str]) -> None:
    assert paths_of(pattern) == found


def test_nothing_chosen_is_everything() -> None:
    assert Choice.of().is_all
    assert paths_of() == list(FILES)
    assert runs_of(choose(MANIFEST, Choice()), SEALED) == [range(SEALED.chunk_count)]


def test_several_patterns_name_each_file_once() -> None:
    assert paths_of("large.bin", "*.csv", "a.*") == ["a.csv", "large.bin"]


def test_what_names_no_file_is_told() -> None:
    with pytest.raises(NotFoundError, match=r"'\*\.txt': it has \.hidden/x\.csv, .* and 3 more"):
        paths_of("a.csv", "*.txt")
    with pytest.raises(NotFoundError, match=r"no file 'b\.bin'"):
        choose(MANIFEST, Choice.of((), ["b.bin:0-1"]))


@pytest.mark.parametrize("pattern", ["", "/etc/*", "../*", "a//b", "a\\b"])
def test_a_pattern_that_no_path_can_match_is_refused(pattern: str) -> None:
    with pytest.raises(MalformedError):
        Choice.of([pattern])


def test_a_range_goes_beside_its_file_and_needs_its_chunks_alone() -> None:
    (part,) = choose(MANIFEST, Choice.of((), [f"large.bin:{MIB}-{3 * MIB}"]))
    assert (part.path, part.size_bytes, part.chunks) == (f"large.bin.{MIB}-{3 * MIB}", 2 * MIB + 1, range(1, 4))
    assert runs_of([part], SEALED) == [range(6, 9)]


def test_parts_that_share_chunks_share_them() -> None:
    parts = choose(MANIFEST, Choice.of(["a.csv", "deep/er/*"], ["large.bin:0-0", "large.bin:0-1048576", "a.csv:0-0"]))
    assert [part.path for part in parts] == [
        "a.csv", "a.csv.0-0", "deep/er/c.csv", "large.bin.0-0", "large.bin.0-1048576",
    ]  # fmt: skip
    assert runs_of(parts, SEALED) == [range(2, 3), range(4, 7)]


@pytest.mark.parametrize("text", ["large.bin", "large.bin:5-4", "large.bin:5-", ":0-1", "a:0-1:2", "a/../b:0-1"])
def test_what_is_no_range_is_told(text: str) -> None:
    with pytest.raises(MalformedError):
        FileRange.parse(text)


@pytest.mark.parametrize("text", ["a.csv:0-1", "deep/er/c.csv:0-0"])
def test_a_range_beyond_its_file_is_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="not a range"):
        choose(MANIFEST, Choice.of((), [text]))


@pytest.mark.parametrize("taken", ["a.0-0", "A.0-0", "a.0-0/b"])
def test_a_range_takes_no_other_files_place(taken: str) -> None:
    manifest = Manifest(tuple(hash_bytes(path, b"a")[0] for path in sorted(["a", taken])))
    with pytest.raises(MalformedError, match=r"would lie at a\.0-0"):
        choose(manifest, Choice.of((), ["a:0-0"]))


def test_a_choice_is_kept_and_read_again() -> None:
    choice = Choice.of(["b", "a", "a"], ["c:1-2", "aa:b:0-9"])
    assert choice == Choice.of(["a", "b"], ["aa:b:0-9", "c:1-2"])
    assert Choice.parse(choice.to_json()) == choice
    assert Choice.parse(None) == Choice()
    assert str(choice) == "--file 'a' --file 'b' --range 'aa:b:0-9' --range 'c:1-2'"
    assert str(Choice()) == "the whole version"


@pytest.mark.parametrize("kept", [[], {}, {"files": []}, {"files": "", "ranges": []}, {"files": [], "ranges": ["x"]}])
def test_a_damaged_choice_is_told(kept: object) -> None:
    with pytest.raises(MalformedError):
        Choice.parse(kept)  # type: ignore[arg-type]  # what a damaged file may hold
