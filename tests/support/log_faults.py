"""Disks that fail, with the production interface: at any call, by an error, by a kill, or by a power cut."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ledger.log import FileCalls


class Killed(BaseException):
    """Stands for kill -9: no handler of the product may catch it."""


@dataclass
class Fault:
    """Break the ``at``-th call: before it, after it took effect, or halfway through a write."""

    at: int
    when: str  # before, half, after
    error: BaseException


@dataclass(frozen=True)
class Rule:
    """Break every call of one kind whose path contains ``where``: before it, after it took effect, or halfway."""

    call: str
    where: str
    when: str
    error: BaseException


DISK_FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
DISK_BROKEN = OSError(errno.EIO, os.strerror(errno.EIO))


class FaultyCalls(FileCalls):
    """Counts the calls that change the disk and breaks the one that `fault` names; `killed` calls do nothing more."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.fault: Fault | None = None
        self.killed = False
        self._turn = threading.Lock()
        self._here = threading.local()  # which call this thread is in: several threads write

    def arm(self, fault: Fault) -> None:
        self.names = []
        self.fault = fault

    def mkdir(self, path: Path) -> None:
        self._enter("mkdir", "before", path.name)
        super().mkdir(path)
        self._leave()

    def write(self, descriptor: int, data: bytes) -> None:
        self._enter("write", "before")
        if self._is_met("half"):
            super().write(descriptor, data[: len(data) // 2])
            self._break()
        super().write(descriptor, data)
        self._leave()

    def fsync(self, descriptor: int) -> None:
        self._enter("fsync", "before")
        super().fsync(descriptor)
        self._leave()

    def rename(self, source: Path, target: Path) -> None:
        self._enter("rename", "before", target.name)
        super().rename(source, target)
        self._leave()

    def unlink(self, path: Path) -> None:
        self._enter("unlink", "before", path.name)
        super().unlink(path)
        self._leave()

    def _enter(self, name: str, when: str, what: str = "") -> None:
        if self.killed:
            raise Killed
        with self._turn:
            self._here.number = len(self.names)
            self.names.append(f"{name} {what}".strip())
        if self._is_met(when):
            self._break()

    def _leave(self) -> None:
        if self._is_met("after"):
            self._break()

    def _is_met(self, when: str) -> bool:
        return self.fault is not None and (self.fault.when, self.fault.at) == (when, self._here.number)

    def _break(self) -> None:
        assert self.fault is not None
        error, self.fault = self.fault.error, None
        self.killed = isinstance(error, Killed)
        raise error


class BrokenCalls(FileCalls):
    """Breaks every call that `rule` names, until it is None again: a disk that stays as it is until it is healed."""

    def __init__(self) -> None:
        self.rule: Rule | None = None
        self.met = 0

    def mkdir(self, path: Path) -> None:
        self._around("mkdir", str(path), lambda: super(BrokenCalls, self).mkdir(path))

    def write(self, descriptor: int, data: bytes) -> None:
        if self._meets("write", "half", _path_of(descriptor)):
            super().write(descriptor, data[: len(data) // 2])
            self._raise()
        self._around("write", str(_path_of(descriptor)), lambda: super(BrokenCalls, self).write(descriptor, data))

    def fsync(self, descriptor: int) -> None:
        self._around("fsync", f"{_path_of(descriptor)}/", lambda: super(BrokenCalls, self).fsync(descriptor))

    def rename(self, source: Path, target: Path) -> None:
        self._around("rename", str(target), lambda: super(BrokenCalls, self).rename(source, target))

    def unlink(self, path: Path) -> None:
        self._around("unlink", str(path), lambda: super(BrokenCalls, self).unlink(path))

    def _around(self, call: str, path: str, act: Callable[[], None]) -> None:
        if self._meets(call, "before", path):
            self._raise()
        act()
        if self._meets(call, "after", path):
            self._raise()

    def _meets(self, call: str, when: str, path: str | Path) -> bool:
        rule = self.rule
        return rule is not None and (rule.call, rule.when) == (call, when) and rule.where in str(path)

    def _raise(self) -> None:
        assert self.rule is not None
        self.met += 1
        raise self.rule.error


@dataclass
class _File:
    """Content of one file: what was written and what an fsync made durable."""

    written: bytes = b""
    durable: bytes = b""


@dataclass
class PowerCutCalls(FaultyCalls):
    """Remembers what an fsync made durable, so that `survivors` can show the disk as a power cut leaves it.

    The worst that POSIX allows: a file that was not synced is empty, a name whose directory was not synced is gone or
    still the old one.
    """

    root: Path
    files: dict[Path, _File] = field(default_factory=dict)
    directories: dict[Path, dict[str, _File | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self.directories[self.root] = {}

    def write(self, descriptor: int, data: bytes) -> None:
        self.files[_path_of(descriptor)] = _File(data)
        super().write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        super().fsync(descriptor)
        path = _path_of(descriptor)
        if path.is_dir():
            self.directories[path] = {
                child.name: None if child.is_dir() else self.files.get(child, _File()) for child in path.iterdir()
            }
        else:
            self.files[path].durable = self.files[path].written

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.files[target] = self.files.pop(source)

    def survivors(self, target: Path, directory: Path | None = None) -> None:
        """Lay out in ``target`` what is durable."""
        target.mkdir()
        for name, file in self.directories.get(directory or self.root, {}).items():
            if file is None:
                self.survivors(target / name, (directory or self.root) / name)
            else:
                (target / name).write_bytes(file.durable)


def _path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()
