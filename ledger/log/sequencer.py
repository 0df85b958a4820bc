"""The writer of a log: one for each folder, durable before acknowledged.

`Sequencer.append` goes through these steps; a crash or an error at any of them loses nothing that was acknowledged:

 1. write entries and tiles: each to a staged file, synced, renamed, its directory synced;
 2. read them back and hash them again, from the files alone;
 3. compare-and-swap the checkpoint row in the database: its transaction is prepared during 1 and 2, and commits after;
 4. sign the row's text (Ed25519 is deterministic: a restart signs the same bytes);
 5. write the ``checkpoint`` file.

Before step 3 the new files are beyond the committed size and nothing reads them. After it the batch is in the log,
whatever happens: a restart signs and publishes it. Two writers can not both win step 3.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ledger.errors import FatalError, UnavailableError, VerificationError
from ledger.log.checkpoint import Checkpoint, format_anchor_by
from ledger.log.checkpoint_store import CheckpointStore
from ledger.log.edge import RightEdge
from ledger.log.note import NoteSigner, verify_sole_signature
from ledger.log.readback import check_files
from ledger.log.reader import CHECKPOINT_PATH, TileReader
from ledger.log.recovery import check_published, discard_beyond, load_edge, load_published
from ledger.log.storage import DurableFolder, FileCalls, FolderLock
from ledger.log.tiles import MAX_ENTRY_SIZE_BYTES, TILE_WIDTH, Tile
from ledger.merkle import EMPTY_ROOT

__all__ = ["Batch", "Sequencer"]

_RETRY_AFTER_S: Final = 5.0
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one append brought into the log; ``note`` is the signed checkpoint."""

    first_index: int
    count: int
    checkpoint: Checkpoint
    note: bytes


class Sequencer:
    """Appends to one log. One thread writes; `reader` may be used by others meanwhile."""

    def __init__(
        self,
        files: DurableFolder,
        lock: FolderLock,
        signer: NoteSigner,
        store: CheckpointStore,
        anchor_by: Callable[[], datetime],
    ) -> None:
        """Use `open`; this takes a folder that is prepared and locked."""
        self._files = files
        self._lock = lock
        self._signer = signer
        self._store = store
        self._anchor_by = anchor_by
        self._signing = threading.Lock()
        self._writing = ThreadPoolExecutor(1, "concord-log")
        self._edge = RightEdge()
        self._row = Checkpoint(signer.name, 0, EMPTY_ROOT)
        self._reader = TileReader(files.root, lambda: self._row.size)  # one for all, which remembers tiles
        self._note = b""
        self._unsettled: tuple[Checkpoint, RightEdge] | None = None
        self._stopped: FatalError | None = None
        self._published = False
        self._closed = False

    @classmethod
    def open(
        cls,
        folder: Path,
        signer: NoteSigner,
        store: CheckpointStore,
        *,
        anchor_by: Callable[[], datetime],
        calls: FileCalls | None = None,
    ) -> Self:
        """Open the log in ``folder`` for writing, making it if there is none; the signer's name is its origin.

        Takes up where the row in ``store`` stands: what a crash left beyond it is discarded, what it left unsigned or
        unpublished is signed and published. ``anchor_by`` is asked at each append until when the batch will be on
        chain.

        Raises:
            ConflictError: another process writes this log.
            UnavailableError: disk or database failed; nothing was changed.
            FatalError: files, row and published checkpoint contradict each other; says what to restore.
        """
        files = DurableFolder(folder.resolve(), calls)
        try:
            files.prepare()
            lock = FolderLock(files.root)
        except OSError as error:
            raise _unavailable(f"the log folder {folder} can not be opened", error) from error
        sequencer = cls(files, lock, signer, store, anchor_by)
        try:
            sequencer._recover()
        except OSError as error:
            lock.release()
            raise _unavailable(f"the log in {folder} can not be opened", error) from error
        except BaseException:
            lock.release()
            raise
        return sequencer

    @property
    def size(self) -> int:
        """How many entries are committed."""
        return self._row.size

    @property
    def checkpoint(self) -> Checkpoint:
        """The last committed checkpoint."""
        return self._row

    @property
    def note(self) -> bytes:
        """The last committed checkpoint, signed."""
        return self._note

    @property
    def reader(self) -> TileReader:
        """A reader of what is committed; other threads may use it."""
        return self._reader

    def append(self, entries: Sequence[bytes]) -> Batch:
        """Add ``entries`` in order, as one batch; when this returns they are durable and signed for.

        Raises:
            ValueError: no entry, or one longer than 65,535 bytes.
            RuntimeError: the sequencer is closed.
            UnavailableError: disk or database failed. Nothing is acknowledged and the log stays usable; where the
                database did not answer, the entries may be in the log all the same.
            FatalError: going on could fork the log. Every later call raises it again.
        """
        _check_entries(entries)
        self.settle()
        edge, tiles = self._edge.extend(entries)
        row = Checkpoint(self._row.origin, edge.size, edge.root(), (format_anchor_by(self._anchor_by()),))
        writing = self._writing.submit(self._write, tiles, entries, row)
        try:
            self._commit(row, edge, writing.result)
        finally:
            wait((writing,))  # whatever became of the database, nobody writes on
        self._adopt(row, edge)
        if self.publish():
            self._discard_partials(tiles)
        return Batch(row.size - len(entries), len(entries), row, self._note)

    def settle(self) -> bool:
        """Find out whether a swap without an answer happened, and go on from there; whether it had.

        An append does this itself: call it when idle, so that nothing that is in the log waits for the next append.

        Raises:
            RuntimeError, UnavailableError, FatalError: as `append`.
        """
        self._check_usable()
        if self._unsettled is None:
            return False
        row, edge = self._unsettled
        found = self._store.load_settled(row.origin)
        if found == row:
            self._adopt(row, edge)
            self.publish()
        elif found != self._row:
            raise self._lost()
        self._unsettled = None
        return found == row

    def publish(self) -> bool:
        """Bring the ``checkpoint`` file up to date, where a full disk kept an append from it; say whether it is.

        An append does this itself and goes on without it, since the row holds the checkpoint: call it when idle.
        """
        if not self._published:
            try:
                self._files.write({CHECKPOINT_PATH: self._note})
            except OSError as error:
                _logger.warning("checkpoint %d of %s is not published yet: %s", self.size, self._row.origin, error)
            else:
                self._published = True
        return self._published

    def use_signer(self, signer: NoteSigner) -> None:
        """Sign with another key of the same name from now on, the last checkpoint too; any thread may call it.

        Raises:
            ValueError: it is another log's.
            FatalError: what it signs does not verify.
        """
        if signer.name != self._row.origin:
            raise ValueError(f"the signer is that of {signer.name}")
        with self._signing:
            self._signer = signer
            self._sign(self._row)

    def check_anchored(self, size: int, root: bytes) -> None:
        """Check, before the first append, that the log holds the checkpoint that is on chain for it.

        Raises:
            FatalError: the log is behind (an old backup) or another one; every later append raises it again.
        """
        if size > self.size:
            raise self._stop(
                f"the log {self._row.origin} has {self.size} entries, its checkpoint on chain {size}: this is an old "
                "copy. Run `concord log recover --from URL|FOLDER` with a mirror that has them"
            )
        if self.reader.root(size) != root:
            raise self._stop(
                f"the checkpoint of size {size} on chain is not one of the log {self._row.origin}: stop, and compare "
                "folder and database with a mirror"
            )

    def close(self) -> None:
        """Publish what is left and let go of the folder; a second call does nothing."""
        if not self._closed:
            self._closed = True
            if self._stopped is None:
                self.publish()
            self._writing.shutdown()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recover(self) -> None:
        folder = self._files.root
        published = load_published(self._files)
        row = self._store.load_settled(self._signer.name)
        if row is None:
            row = self._found(published)
        edge = load_edge(folder, row)
        if published is not None:
            check_published(folder, published, row)
        self._adopt(row, edge)
        discard_beyond(self._files, row.size)
        self.publish()

    def _found(self, published: Checkpoint | None) -> Checkpoint:
        """Make the row of an empty log."""
        if published is not None and published.size:
            raise FatalError(
                f"{self._files.root} publishes a checkpoint of size {published.size}, the database knows no log "
                f"{self._signer.name}: restore the database, or name another folder"
            )
        if not self._store.compare_and_swap(None, self._row):
            raise FatalError(f"another writer founded the log {self._signer.name} just now: stop one of the two")
        return self._row

    def _write(self, tiles: dict[Tile, bytes], entries: Sequence[bytes], row: Checkpoint) -> None:
        """Steps 1 and 2."""
        files = {tile.path: data for tile, data in tiles.items()}
        try:
            self._files.write(files)
            check_files(self._files.root, tiles, entries, self._row, row)
        except OSError as error:
            self._files.discard(files)
            raise _unavailable(f"the log {row.origin} can not be written; nothing was acknowledged", error) from error
        except UnavailableError:
            self._files.discard(files)
            raise
        except FatalError as error:
            self._stopped = error
            raise

    def _commit(self, row: Checkpoint, edge: RightEdge, once: Callable[[], None]) -> None:
        """Step 3. Whatever the store raises, the row may have been swapped: the next append asks first."""
        self._unsettled = row, edge
        swapped = self._store.compare_and_swap(self._row, row, once)
        self._unsettled = None
        if not swapped:
            raise self._lost()

    def _adopt(self, row: Checkpoint, edge: RightEdge) -> None:
        """Step 4. The note is set before the size, so that a reader of both never sees a size without its note."""
        with self._signing:
            self._sign(row)
            self._row, self._edge = row, edge

    def _sign(self, row: Checkpoint) -> None:
        note = self._signer.sign(row.text)
        try:
            verify_sole_signature(note, self._signer.verifier_key)
        except VerificationError as error:
            raise self._stop("the log's own signature does not verify: check memory and CPU of this machine") from error
        self._note, self._published = note.to_bytes(), False

    def _discard_partials(self, tiles: Iterable[Tile]) -> None:
        for tile in tiles:
            if tile.width == TILE_WIDTH:
                self._files.discard_directory(f"{tile.path}.p")

    def _check_usable(self) -> None:
        if self._stopped is not None:
            raise self._stopped
        if self._closed:
            raise RuntimeError("the sequencer is closed")

    def _lost(self) -> FatalError:
        return self._stop(
            f"another writer moved the log {self._row.origin} beyond size {self.size}: two services share its "
            "database. Stop one of them and restart the other"
        )

    def _stop(self, message: str) -> FatalError:
        self._stopped = FatalError(message)
        return self._stopped


def _check_entries(entries: Sequence[bytes]) -> None:
    if not entries:
        raise ValueError("a batch has an entry at least")
    if any(not isinstance(entry, bytes) or len(entry) > MAX_ENTRY_SIZE_BYTES for entry in entries):
        raise ValueError(f"an entry is bytes, at most {MAX_ENTRY_SIZE_BYTES} of them")


def _unavailable(what: str, error: OSError) -> UnavailableError:
    why = "the disk is full: free space and try again" if error.errno == errno.ENOSPC else str(error.strerror)
    return UnavailableError(f"{what}: {why}", retry_after_s=_RETRY_AFTER_S)
