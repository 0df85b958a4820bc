"""What is synced behind a writer: all of it in the end, and an error of the disk is told to whoever writes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ledger.client import write_behind
from ledger.client.write_behind import WriteBehind


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
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(write_behind, "_sync_data", fail)
    with (tmp_path / "file").open("xb") as target:
        behind = WriteBehind(target, 1)
        behind.write(b"a")
        with pytest.raises(OSError, match="Input/output"):
            behind.join()
        behind.close()
