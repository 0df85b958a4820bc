"""Which files a folder holds, and the stamp by which a change of one is noticed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from ledger.content.manifest import MAX_FILES
from ledger.content.paths import normalize_path, printable
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError

__all__ = ["FoundFile", "Kind", "Stamp", "file_changed", "file_unreadable", "list_files", "stamp_of", "walk_folder"]


class Kind(StrEnum):
    """What a name in a folder stands for, folders apart."""

    FILE = "a file"
    SYMLINK = "a symbolic link"
    SPECIAL = "a device, socket or pipe"


class Stamp(NamedTuple):
    """What changes when a file is written to or replaced."""

    size_bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A name below a folder: ``path`` with ``/`` between segments, as the disk has it or, from `list_files`, NFC."""

    path: str
    location: Path
    kind: Kind
    stamp: Stamp


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file's status."""
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)


def file_changed(path: str) -> ConflictError:
    """Return the error for a file that did not hold still."""
    return ConflictError(
        f"{printable(path)} changed while it was read: run again when nothing writes to it", code="file-changed"
    )


def file_unreadable(path: str, error: OSError) -> UnavailableError:
    """Return the error for a file or folder that the system does not let us read."""
    return UnavailableError(f"{printable(path)} can not be read: {error.strerror}")


def list_files(folder: Path) -> list[FoundFile]:
    """List the regular files below ``folder``, hidden ones too, sorted by the UTF-8 bytes of their manifest paths.

    ``folder`` may also be one file, whose path is then its name. Empty folders do not count.

    Raises:
        NotFoundError: no such folder or file.
        MalformedError: a symbolic link or special file, a name that no manifest can hold, too many files.
        UnavailableError: a folder can not be read.
        ConflictError: a file vanished meanwhile (code ``file-changed``).
    """
    files: list[FoundFile] = []
    for found in walk_folder(folder):
        if found.kind is not Kind.FILE:
            raise MalformedError(
                f"{printable(found.path)} is {found.kind}: a data set holds regular files, put the file itself there"
            )
        if len(files) == MAX_FILES:
            raise MalformedError(f"{folder} holds more than {MAX_FILES} files: pack or split them")
        files.append(FoundFile(normalize_path(found.path), found.location, found.kind, found.stamp))
    return sorted(files, key=lambda found: found.path.encode("utf-8"))


def walk_folder(folder: Path) -> Iterator[FoundFile]:
    """Yield whatever is below ``folder`` and is no folder, in no order; links are named and never followed.

    ``folder`` itself may be a link to a folder, or one file.

    Raises:
        NotFoundError: no such folder or file.
        UnavailableError: a folder can not be read.
        ConflictError: a name vanished meanwhile (code ``file-changed``).
    """
    top = _look_up(folder, folder.name)
    if top is None:
        raise NotFoundError(f"there is no file or folder {folder}")
    if not folder.is_dir():
        yield _describe(folder.name, folder, top)
        return
    pending = [("", folder)]
    while pending:
        prefix, location = pending.pop()
        for child in _list_children(location, prefix):
            path = prefix + child.name
            status = _look_up(child, path)
            if status is None:
                raise file_changed(path)
            if stat.S_ISDIR(status.st_mode):
                pending.append((path + "/", child))
            else:
                yield _describe(path, child, status)


def _list_children(location: Path, prefix: str) -> list[Path]:
    try:
        return list(location.iterdir())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise file_changed(prefix or location.name) from error
    except OSError as error:
        raise file_unreadable(prefix or location.name, error) from error


def _look_up(location: Path, path: str) -> os.stat_result | None:
    try:
        return location.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise file_unreadable(path, error) from error


def _describe(path: str, location: Path, status: os.stat_result) -> FoundFile:
    mode = status.st_mode
    kind = Kind.FILE if stat.S_ISREG(mode) else Kind.SYMLINK if stat.S_ISLNK(mode) else Kind.SPECIAL
    return FoundFile(path, location, kind, stamp_of(status))
