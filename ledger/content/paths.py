"""Paths of a manifest: relative, POSIX, Unicode NFC, the same on every machine that unpacks them."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from ledger.errors import MalformedError

__all__ = ["MAX_PATH_SIZE_BYTES", "MAX_SEGMENT_SIZE_BYTES", "check_path", "fold_path", "normalize_path", "printable"]

MAX_PATH_SIZE_BYTES: Final = 1024
MAX_SEGMENT_SIZE_BYTES: Final = 255
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_REFUSED_SEGMENTS: Final = frozenset({"", ".", ".."})
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Zl", "Zp"})


def normalize_path(path: str) -> str:
    """Bring a file's name into the form that manifests use (NFC) and check it: `résumé/2024.csv`.

    Raises:
        MalformedError: as `check_path`.
    """
    normal = unicodedata.normalize("NFC", path)
    check_path(normal)
    return normal


def check_path(path: str) -> None:
    """Check that ``path`` may stand in a manifest.

    Raises:
        MalformedError: empty, absolute, with a drive letter, a backslash, a control character or line separator, an
            empty, ``.`` or ``..`` segment, not NFC, not expressible in UTF-8, or too long.
    """
    reason = _find_flaw(path)
    if reason is not None:
        raise MalformedError(f"path {printable(path)!r} {reason}")


def fold_path(path: str) -> str:
    """Return the form in which two paths are the same file on a file system that ignores case."""
    return path.lower() if path.isascii() else unicodedata.normalize("NFC", path.casefold())


def printable(text: str) -> str:
    """Return ``text`` with whatever a terminal would not print as itself, undecodable bytes too, escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _find_flaw(path: str) -> str | None:
    try:
        size = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        return "is not UTF-8: rename the file"
    if not 0 < size <= MAX_PATH_SIZE_BYTES:
        return f"is empty or longer than {MAX_PATH_SIZE_BYTES} bytes"
    if path.startswith("/") or _DRIVE.match(path):
        return "is absolute: paths of a manifest are relative to its folder"
    is_plain = path.isascii() and path.isprintable()  # most are, and what follows costs as much as hashing them
    if "\\" in path or not (is_plain or _REFUSED_CATEGORIES.isdisjoint(map(unicodedata.category, path))):
        return "has a backslash, a control character or a line separator: rename the file"
    if not (is_plain or unicodedata.is_normalized("NFC", path)):
        return "is not in Unicode normalization form C"
    return _find_segment_flaw(path.split("/"))


def _find_segment_flaw(segments: list[str]) -> str | None:
    if not _REFUSED_SEGMENTS.isdisjoint(segments):
        return "has an empty, '.' or '..' segment"
    # A character has one byte or more: only a long segment needs to be written out.
    if any(len(segment) * 4 > MAX_SEGMENT_SIZE_BYTES < len(segment.encode("utf-8")) for segment in segments):
        return f"has a segment longer than {MAX_SEGMENT_SIZE_BYTES} bytes"
    return None
