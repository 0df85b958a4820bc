"""The log as a process sees it that does not write it: sizes out of the shared database, tiles out of the folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ledger.log import Batch, Checkpoint, NoteSigner, TileReader
from ledger.merkle import EMPTY_ROOT
from ledger.store.checkpoints import Checkpoints
from ledger.store.fencing import NotTheWriterError

__all__ = ["FollowedLog"]


class FollowedLog:
    """What `Sequencer` offers to readers, of a log that another process writes. Thread-safe.

    ``signer`` is asked each time: Ed25519 is deterministic, so that the note is byte by byte the writer's.
    """

    def __init__(self, folder: Path, store: Checkpoints, signer: Callable[[], NoteSigner]) -> None:
        self._folder = folder
        self._store = store
        self._signer = signer

    @property
    def size(self) -> int:
        """How many entries are committed. Raises: UnavailableError: the database does not answer."""
        return self.checkpoint.size

    @property
    def checkpoint(self) -> Checkpoint:
        """The last committed checkpoint. Raises: UnavailableError."""
        origin = self._signer().name
        return self._store.load(origin) or Checkpoint(origin, 0, EMPTY_ROOT)

    @property
    def note(self) -> bytes:
        """The last committed checkpoint, signed. Raises: UnavailableError."""
        return self._signer().sign(self.checkpoint.text).to_bytes()

    @property
    def reader(self) -> TileReader:
        """A reader of what is committed; other threads may use it."""
        return TileReader(self._folder, lambda: self.size)

    def append(self, _entries: Sequence[bytes]) -> Batch:
        """Refuse. Raises: NotTheWriterError: always."""
        raise NotTheWriterError(None)

    def settle(self) -> bool:
        """Nothing of it is open here."""
        return False

    def use_signer(self, _signer: NoteSigner) -> None:
        """Nothing to do: the signer is asked for each time."""

    def check_anchored(self, _size: int, _root: bytes) -> None:
        """Nothing to do: whoever takes the log up checks it."""

    def close(self) -> None:
        """Nothing to let go of."""
