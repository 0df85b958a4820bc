"""What is synced behind a writer: all of it in the end, and an error of the disk is told to whoever writes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ledger.content import write_behind
from ledger.content.write_behind import WriteBehind


@pytest.mark.parametrize("every_bytes", [1, 7, 1 << 20])
def test_all_that_was_written_is_there(tmp_path: Path, every_bytes: int) -> None:
    pieces = [bytes([number]) * number for number in range(40)]
    with (tmp_path / "file").open("xb") as target:
        behind = WriteBehind(target, every_bytes)
        for piece in pieces:
            behind.write(piece)
        behind.finish()
        behind.close()
        behind.close()
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)


def test_what_the_disk_did_not_take_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_behind, "_sync_data", failing_once())
    with (tmp_path / "file").open("xb") as target:
        behind = WriteBehind(target, 1)
        behind.write(b"a")
        for ask in (behind.join, behind.finish, partial(behind.write, b"b")):  # the disk itself tells it once
            with pytest.raises(OSError, match="Input/output"):
                ask()
        behind.close()


def test_what_nobody_asked_for_before_the_end_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_behind, "_sync_data", failing_once())
    with (tmp_path / "file").open("xb") as target:
        behind = WriteBehind(target, 1)
        behind.write(b"a")
        behind.close()
        behind.close()
        assert behind.failure is not None
        assert behind.failure.errno == errno.EIO


def test_a_last_sync_that_failed_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "file").open("xb") as target, monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing_once())
        behind = WriteBehind(target)
        behind.write(b"a")
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output"):
                behind.finish()


def failing_once() -> Callable[[int], None]:
    """A sync whose first call fails, as the kernel tells an error once to each descriptor."""
    left = [OSError(errno.EIO, os.strerror(errno.EIO))]

    def sync(_descriptor: int) -> None:
        if left:
            raise left.pop()

    return sync
