"""A large file that is to be durable in the end: the disk begins with what was written while more of it comes."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Final

__all__ = ["WriteBehind"]

_EVERY_BYTES: Final = 32 << 20
_sync_data: Final = getattr(os, "fdatasync", os.fsync)


class WriteBehind:
    """Writes to ``target``, and syncs every so many bytes on a thread of its own, which begins with the first of them.

    Nothing is durable before `finish` returns. `close` it before ``target`` is closed. The system tells of a disk's
    error once, and goes on reading from memory what the disk did not take: after a `failure` trust nothing of the file.
    """

    def __init__(self, target: BinaryIO, every_bytes: int = _EVERY_BYTES) -> None:
        self._target = target
        self._every_bytes = every_bytes
        self._behind = 0
        self._thread: ThreadPoolExecutor | None = None
        self._syncing: Future[None] | None = None
        self._failure: OSError | None = None

    @property
    def failure(self) -> OSError | None:
        """The first error of a sync, as far as `join`, `finish` or `close` met one."""
        return self._failure

    def write(self, data: bytes) -> None:
        """Write. Raises: OSError: the disk does not take this, or did not take what came before."""
        self._target.write(data)
        self._behind += len(data)
        if self._behind < self._every_bytes or (self._syncing is not None and not self._syncing.done()):
            return
        self.join()
        self._target.flush()
        self._behind = 0
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="concord-sync")
        self._syncing = self._thread.submit(_sync_data, self._target.fileno())

    def finish(self) -> None:
        """Make all of it durable. Raises: OSError, and again whenever it is called after a `failure`."""
        self.join()
        self._target.flush()
        try:
            os.fsync(self._target.fileno())
        except OSError as error:
            self._failure = error
            raise

    def close(self) -> None:
        """End the thread, which is at ``target`` until then; what it met is `failure`. A second call does nothing."""
        if self._thread is not None:
            self._thread.shutdown()
        self._settle()

    def join(self) -> None:
        """Wait until what is being synced is. Raises: OSError: the disk did not take it, or what came before."""
        self._settle()
        if self._failure is not None:
            raise self._failure

    def _settle(self) -> None:
        syncing, self._syncing = self._syncing, None
        if syncing is None:
            return
        try:
            syncing.result()
        except OSError as error:
            self._failure = self._failure or error
