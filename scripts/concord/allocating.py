"""How this process takes memory from the system: buffers of a chunk are kept for the next chunk."""

from __future__ import annotations

import ctypes
import platform
from typing import Final

__all__ = ["keep_buffers"]

# mallopt(3)
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_LARGEST_KEPT_BYTES: Final = 8 << 20
_MOST_KEPT_BYTES: Final = 16 << 20


def keep_buffers() -> None:
    """Let the C library keep what was freed, up to 16 MiB, instead of giving every chunk's pages back to the system.

    Taking them again, page by page, costs more than to decrypt what is in them. Where it is not glibc nothing is done.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        library.mallopt(_TRIM_THRESHOLD, _MOST_KEPT_BYTES)
