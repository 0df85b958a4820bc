"""Files that are still there after the power failed: bytes and names brought to the disk before a call returns.

A file's bytes are durable when the file was synced, its name when its folder was (fsync(2)). The log's own files have
their calls behind a port, so that each can be made to fail (`ledger.log.storage`).
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["remove_durably", "rename_durably", "sync", "sync_tree", "write_synced"]


def sync(path: Path) -> None:
    """Bring a file's bytes, or the names in a folder, to the disk. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Bring all that was written below a folder, and the folder, to the disk. Raises: OSError."""
    for path in (folder, *folder.rglob("*")):
        sync(path)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and bring its bytes to the disk; its name is durable when its folder is. Raises: OSError."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def rename_durably(source: Path, target: Path) -> None:
    """Rename within a folder, in the place of what is there; durable when this returns. Raises: OSError."""
    source.rename(target)
    sync(target.parent)


def remove_durably(path: Path) -> None:
    """Remove a file; durable when this returns. Raises: OSError."""
    path.unlink()
    sync(path.parent)
