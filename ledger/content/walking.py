"""Which files a folder or a pattern stands for, and the stamp by which a change of one is noticed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from ledger.content.globbing import Glob
from ledger.content.manifest import MAX_FILES
from ledger.content.paths import normalize_path, printable
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError

__all__ = [
    "FoundFile",
    "Kind",
    "Stamp",
    "file_changed",
    "file_unreadable",
    "list_files",
    "stamp_files",
    "stamp_of",
    "walk_folder",
]


class Kind(StrEnum):
    """What a name in a folder stands for, folders apart."""

    FILE = "a file"
    SYMLINK = "a symbolic link"
    SPECIAL = "a device, socket or pipe"


class Stamp(NamedTuple):
    """What changes when a file is written to or replaced; nobody but the system sets ``ctime_ns``."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A name below a folder: ``path`` with ``/`` between segments, as the disk has it or, from `list_files`, NFC."""

    path: str
    place: str
    kind: Kind
    stamp: Stamp

    @property
    def location(self) -> Path:
        """Where it is on this machine."""
        return Path(self.place)


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file's status."""
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


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

    ``folder`` may also be one file, whose path is then its name, or a pattern (`Glob`), whose files keep their paths
    below the last folder that the pattern names outright. Empty folders do not count.

    Raises:
        NotFoundError: no such folder or file, or nothing that the pattern stands for.
        MalformedError: a symbolic link or special file, a name that no manifest can hold, too many files.
        UnavailableError: a folder can not be read.
        ConflictError: a file vanished meanwhile (code ``file-changed``).
    """
    files: list[FoundFile] = []
    for found in _walk_source(folder):
        if found.kind is not Kind.FILE:
            raise MalformedError(
                f"{printable(found.path)} is {found.kind}: a data set holds regular files, put the file itself there"
            )
        if len(files) == MAX_FILES:
            raise MalformedError(f"{folder} holds more than {MAX_FILES} files: pack or split them")
        files.append(FoundFile(normalize_path(found.path), found.place, found.kind, found.stamp))
    return sorted(files, key=lambda found: found.path.encode("utf-8"))


def stamp_files(folder: Path) -> dict[str, Stamp]:
    """Return the stamp of whatever `list_files` would look at, by its place on the disk.

    Raises:
        NotFoundError, UnavailableError, ConflictError: as `list_files`.
    """
    return {found.place: found.stamp for found in _walk_source(folder)}


def walk_folder(folder: Path) -> Iterator[FoundFile]:
    """Yield whatever is below ``folder`` and is no folder, in no order; links are named and never followed.

    ``folder`` itself may be a link to a folder, or one file.

    Raises:
        NotFoundError: no such folder or file.
        UnavailableError: a folder can not be read.
        ConflictError: a name vanished meanwhile (code ``file-changed``).
    """
    try:
        top = os.lstat(folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"there is no file or folder {printable(str(folder))}") from error
    except OSError as error:
        raise file_unreadable(folder.name, error) from error
    if not folder.is_dir():
        yield _describe(folder.name, str(folder), top)
        return
    yield from _walk_below(folder, lambda _: True)


def _walk_source(source: Path) -> Iterator[FoundFile]:
    pattern = Glob.find(source)
    if pattern is None:
        yield from walk_folder(source)
        return
    nothing = True
    if pattern.folder.is_dir():
        for found in _walk_below(pattern.folder, pattern.may_enter):
            if pattern.is_match(found.path):
                nothing = False
                yield found
    if nothing:
        raise NotFoundError(f"no file is called {printable(str(source))}")


def _walk_below(folder: Path, may_enter: Callable[[str], bool]) -> Iterator[FoundFile]:
    pending = [("", str(folder))]
    while pending:
        prefix, location = pending.pop()
        for child in _list_children(location, prefix):
            path = prefix + child.name
            try:
                if not child.is_dir(follow_symlinks=False):
                    yield _describe(path, child.path, child.stat(follow_symlinks=False))
                elif may_enter(path):
                    pending.append((path + "/", child.path))
            except (FileNotFoundError, NotADirectoryError) as error:
                raise file_changed(path) from error
            except OSError as error:
                raise file_unreadable(path, error) from error


def _list_children(location: str, prefix: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(location) as children:
            return list(children)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise file_changed(prefix or location) from error
    except OSError as error:
        raise file_unreadable(prefix or location, error) from error


def _describe(path: str, place: str, status: os.stat_result) -> FoundFile:
    mode = status.st_mode
    kind = Kind.FILE if stat.S_ISREG(mode) else Kind.SYMLINK if stat.S_ISLNK(mode) else Kind.SPECIAL
    return FoundFile(path, place, kind, stamp_of(status))
