"""Listing a folder: what counts, in which order, and what is refused by name."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from ledger.content import walking
from ledger.content.walking import Kind, list_files, walk_folder
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from tests.support.content import sorted_by_bytes, unprivileged, write_files


def test_regular_files_are_listed_in_manifest_order_hidden_ones_too(tmp_path: Path) -> None:
    names = ["b", "a/z", "a-b", ".hidden", ".git/config", "a.csv", "Z", "\uff00", "\U00010000"]
    write_files(tmp_path, dict.fromkeys(names, b"x"))
    (tmp_path / "empty folder").mkdir()
    found = list_files(tmp_path)
    assert [file.path for file in found] == sorted_by_bytes(names)
    assert found[0].stamp.size_bytes == 1


def test_one_file_is_listed_under_its_name(tmp_path: Path) -> None:
    write_files(tmp_path, {"deep/a.csv": b"x"})
    assert [file.path for file in list_files(tmp_path / "deep/a.csv")] == ["a.csv"]


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    write_files(tmp_path / "real", {"a.csv": b"x"})
    (tmp_path / "link").symlink_to("real")
    assert [file.path for file in list_files(tmp_path / "link")] == ["a.csv"]


def test_names_are_brought_into_form_c(tmp_path: Path) -> None:
    write_files(tmp_path, {"re\u0301sume\u0301": b"x"})
    assert [file.path for file in list_files(tmp_path)] == ["résumé"]
    assert [file.path for file in walk_folder(tmp_path)] == ["re\u0301sume\u0301"]


@pytest.mark.parametrize("target", ["a.csv", "folder", "nothing", "."])
def test_links_are_refused_by_name_wherever_they_lead(tmp_path: Path, target: str) -> None:
    write_files(tmp_path, {"a.csv": b"x", "folder/b": b"x"})
    (tmp_path / "folder" / "link").symlink_to(tmp_path / target)
    with pytest.raises(MalformedError, match="folder/link is a symbolic link"):
        list_files(tmp_path)
    kinds = {file.path: file.kind for file in walk_folder(tmp_path)}
    assert kinds == {"a.csv": Kind.FILE, "folder/b": Kind.FILE, "folder/link": Kind.SYMLINK}


def test_a_link_is_refused_when_it_is_named_itself(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.csv": b"x"})
    (tmp_path / "link").symlink_to("a.csv")
    with pytest.raises(MalformedError, match="link is a symbolic link"):
        list_files(tmp_path / "link")


def test_special_files_are_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MalformedError, match="pipe is a device, socket or pipe"):
        list_files(tmp_path)
    with pytest.raises(MalformedError, match="null is a device"):
        list_files(Path("/dev/null"))


def test_sockets_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.sock")
        with pytest.raises(MalformedError, match=r"s\.sock is a device, socket or pipe"):
            list_files(tmp_path)


def test_a_name_in_another_encoding_is_refused_readably(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv")).write_bytes(b"x")
    with pytest.raises(MalformedError, match="not UTF-8") as caught:
        list_files(tmp_path)
    assert str(caught.value).isprintable()


def test_too_many_files_are_refused_before_they_are_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MAX_FILES", 2)
    write_files(tmp_path, {"a": b"", "b": b""})
    assert len(list_files(tmp_path)) == 2
    write_files(tmp_path, {"c": b""})
    with pytest.raises(MalformedError, match="more than 2 files"):
        list_files(tmp_path)


def test_a_missing_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        list_files(tmp_path / "nothing")
    write_files(tmp_path, {"a": b""})
    with pytest.raises(NotFoundError):
        list_files(tmp_path / "a" / "b")


def test_a_name_too_long_for_the_system_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="can not be read"):
        list_files(Path("/tmp") / ("x" * 300))


def test_what_vanishes_while_it_is_listed_is_a_change(tmp_path: Path) -> None:
    write_files(tmp_path, {"a/x": b"", "b/x": b"", "c": b"", "d": b""})
    walk = walk_folder(tmp_path)
    next(walk)
    for path in ("a/x", "b/x", "c", "d"):
        (tmp_path / path).unlink()
    (tmp_path / "a").rmdir()
    (tmp_path / "b").rmdir()
    with pytest.raises(ConflictError, match="changed while") as caught:
        list(walk)
    assert caught.value.code == "file-changed"


def test_a_folder_that_vanishes_before_it_is_entered_is_a_change(tmp_path: Path) -> None:
    write_files(tmp_path, {"a/x": b"", "b/x": b""})
    walk = walk_folder(tmp_path)
    entered = next(walk).path
    other = "a" if entered == "b/x" else "b"
    (tmp_path / other / "x").unlink()
    (tmp_path / other).rmdir()
    with pytest.raises(ConflictError, match=f"{other}/ changed"):
        list(walk)


def test_an_unreadable_folder_is_unavailable() -> None:
    with tempfile.TemporaryDirectory() as folder, unprivileged(folder):
        closed = Path(folder) / "closed"
        closed.mkdir(mode=0)
        with pytest.raises(UnavailableError, match="closed/ can not be read: Permission denied"):
            list_files(Path(folder))
        closed.rmdir()
