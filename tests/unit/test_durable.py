"""Bytes before names, and both before a call returns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.durable import remove_durably, rename_durably, sync_tree, write_synced


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """The name of each file and folder that is synced, and what lies beside it at that moment."""
    seen: list[tuple[str, tuple[str, ...]]] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        folder = path if path.is_dir() else path.parent
        seen.append((path.name, tuple(sorted(each.name for each in folder.iterdir()))))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return seen


def test_a_file_is_there_whole_before_its_name_is(tmp_path: Path, synced: list[tuple[str, tuple[str, ...]]]) -> None:
    write_synced(tmp_path / "new", b"bytes")
    rename_durably(tmp_path / "new", tmp_path / "name")
    remove_durably(tmp_path / "name")
    assert synced == [("new", ("new",)), (tmp_path.name, ("name",)), (tmp_path.name, ())]


def test_a_tree_is_synced_with_its_folders(tmp_path: Path, synced: list[tuple[str, tuple[str, ...]]]) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/file").write_bytes(b"x")
    sync_tree(tmp_path)
    assert {name for name, _ in synced} == {tmp_path.name, "inner", "file"}
