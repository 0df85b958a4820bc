"""Patterns: which names they stand for, and what a scan makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.content import scan_folder
from ledger.content.globbing import Glob
from ledger.content.walking import list_files
from ledger.errors import MalformedError, NotFoundError
from tests.support.content import write_files

FILES = ["a.csv", "b.txt", ".hidden.csv", "one/a.csv", "one/two/a.csv", "one/two/b.csv", "other/c.csv", ".git/x.csv"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ["a.csv"]),
        ("?.csv", ["a.csv"]),
        ("[a-b].*", ["a.csv", "b.txt"]),
        (".*.csv", [".hidden.csv"]),
        ("*/*.csv", ["one/a.csv", "other/c.csv"]),
        ("o*/*/a.csv", ["one/two/a.csv"]),
        ("**/*.csv", ["a.csv", "one/a.csv", "one/two/a.csv", "one/two/b.csv", "other/c.csv"]),
        ("**", ["a.csv", "b.txt", "one/a.csv", "one/two/a.csv", "one/two/b.csv", "other/c.csv"]),
        ("**/two/**", ["one/two/a.csv", "one/two/b.csv"]),
        ("**/**/a.csv", ["a.csv", "one/a.csv", "one/two/a.csv"]),
        (".*/*", [".git/x.csv"]),
        ("*/**/c.csv", ["other/c.csv"]),
    ],
)
def test_a_pattern_is_read_as_the_shell_reads_it(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    write_files(tmp_path, dict.fromkeys(FILES, b"x"))
    assert [found.path for found in list_files(tmp_path / pattern)] == expected


def test_paths_begin_where_the_pattern_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, dict.fromkeys(FILES, b"x"))
    assert [entry.path for entry in scan_folder(tmp_path / "one/two/*.csv").manifest.files] == ["a.csv", "b.csv"]
    monkeypatch.chdir(tmp_path)
    assert [found.path for found in list_files(Path("o*/*.csv"))] == ["one/a.csv", "other/c.csv"]


def test_a_name_that_is_there_is_no_pattern(tmp_path: Path) -> None:
    write_files(tmp_path, {"data[1]/a*.csv": b"x", "data[1]/ab.csv": b"x", "data1/c.csv": b"x"})
    assert Glob.find(tmp_path / "data[1]") is None
    assert [found.path for found in list_files(tmp_path / "data[1]/a*.csv")] == ["a*.csv"]
    assert [found.path for found in list_files(tmp_path / "data[1]/*.csv")] == ["a*.csv", "ab.csv"]


@pytest.mark.parametrize("pattern", ["*.parquet", "no such folder/*", "*/../a.csv", "*/a.csv/*"])
def test_a_pattern_that_stands_for_nothing_is_not_found(tmp_path: Path, pattern: str) -> None:
    write_files(tmp_path, dict.fromkeys(FILES, b"x"))
    with pytest.raises(NotFoundError, match="no file is called"):
        list_files(tmp_path / pattern)


def test_folders_that_a_pattern_can_not_mean_are_not_entered(tmp_path: Path) -> None:
    write_files(tmp_path, dict.fromkeys(FILES, b"x"))
    glob = Glob.find(tmp_path / "o*/*.csv")
    assert glob is not None
    assert [glob.may_enter(folder) for folder in ("one", "one/two", ".git", "x")] == [True, False, False, False]


def test_links_are_refused_when_the_pattern_means_them_and_else_not_followed(tmp_path: Path) -> None:
    write_files(tmp_path, dict.fromkeys(FILES, b"x"))
    (tmp_path / "link").symlink_to("one")
    assert [found.path for found in list_files(tmp_path / "*/a.csv")] == ["one/a.csv"]
    with pytest.raises(MalformedError, match="link is a symbolic link"):
        list_files(tmp_path / "l*")
