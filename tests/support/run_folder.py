"""A folder that all workers of a run of pytest share, for what one of them makes and the others copy."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["in_run_folder", "sharing_run_folder"]

_TOLD_BY: Final = "CONCORD_TEST_RUN_FOLDER"


@contextmanager
def sharing_run_folder() -> Iterator[None]:
    """Make it, and tell workers by the environment where it is; one of them makes none."""
    if _TOLD_BY in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="concord-run-") as folder:
        os.environ[_TOLD_BY] = folder
        try:
            yield
        finally:
            del os.environ[_TOLD_BY]


@contextmanager
def in_run_folder(name: str) -> Iterator[Path]:
    """A folder of that name, to oneself until the block ends; outside pytest a new one, gone with the block."""
    if _TOLD_BY not in os.environ:
        with tempfile.TemporaryDirectory() as alone:
            yield Path(alone)
        return
    folder = Path(os.environ[_TOLD_BY]) / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
