"""A log that lost its end (yesterday's backup restored) gets it back from a mirror, before it signs anything again.

 1. take the folder's lock, and find how far the local files are good;
 2. read what is missing from the mirror, from where the mirror ends from the statements beside the log, and hash it:
    it has to lead through every checkpoint that is known, on chain, in the database, published here and by the mirror;
 3. read it again and write the tiles, each read back;
 4. check the whole from the files alone, swap the database's row, and publish the checkpoint.

Until step 3 nothing is written, and until step 4 nothing that is written counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.errors import FatalError, LedgerError, MalformedError, UnavailableError, VerificationError
from ledger.log.checkpoint import Checkpoint, verify_checkpoint
from ledger.log.checkpoint_store import CheckpointStore
from ledger.log.edge import RightEdge
from ledger.log.mirror import Mirror
from ledger.log.note import NoteSigner, SignedNote, VerifierKey
from ledger.log.reader import CHECKPOINT_PATH, TileReader
from ledger.log.recovery import load_edge, load_published
from ledger.log.storage import DurableFolder, FolderLock
from ledger.log.tiles import TILE_WIDTH, Tile

__all__ = ["LogRecovery", "Restored"]

_STEP: Final = 16 * TILE_WIDTH
StatedEntry = Callable[[int], bytes | None]
"""The entry that the stored statement of an index makes, None where there is none."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a recovery brought back: the entries from ``first_index`` to before ``checkpoint.size``."""

    first_index: int
    checkpoint: Checkpoint


@dataclass(frozen=True)
class LogRecovery:
    """Everything that a recovery works with; ``keys`` are all that ever signed the log."""

    folder: Path
    signer: NoteSigner
    keys: Sequence[VerifierKey]
    store: CheckpointStore
    mirror: Mirror
    stated: StatedEntry

    def run(self, anchored: Checkpoint | None, *, everything: bool = False) -> Restored:
        """Bring the log up to the largest checkpoint that is known; ``everything``: fetch what is here too.

        ``anchored`` is the last checkpoint on chain.

        Raises:
            ConflictError: another process writes this log.
            VerificationError: the mirror's entries do not lead to the checkpoints; nothing was written.
            UnavailableError: mirror, disk or database failed, or the mirror has not all that is missing.
            NotFoundError: there is no log at the mirror.
            FatalError: two of the checkpoints contradict each other, or the files read back differently.
        """
        files = DurableFolder(self.folder.resolve())
        try:
            files.prepare()
            lock = FolderLock(files.root)
            try:
                return self._run(files, anchored, everything=everything)
            finally:
                lock.release()
        except OSError as error:
            raise UnavailableError(f"the log folder {self.folder} can not be written: {error.strerror}") from error

    def _run(self, files: DurableFolder, anchored: Checkpoint | None, *, everything: bool) -> Restored:
        row = self.store.load(self.signer.name)
        mirrored = self._read_mirror()
        published = _read_published(files, self.keys)
        known = [each for each in (row, anchored, published, mirrored) if each is not None]
        target = self._choose_target(row, mirrored, known)
        start = RightEdge() if everything else self._good_part(files.root, [*known, target])
        known.append(target)
        for _ in self._replay(start, target, mirrored.size, known):
            pass
        for _, tiles in self._replay(start, target, mirrored.size, known):
            written = {tile.path: data for tile, data in tiles.items()}
            files.write(written)
            if any(files.read(path) != data for path, data in written.items()):
                raise FatalError(f"what was written to {files.root} reads back differently: check memory and disk")
        self._check(files.root, target, known)
        if row != target and not self.store.compare_and_swap(row, target):
            raise FatalError(f"another writer moved the log {target.origin} meanwhile: stop it and try again")
        files.write({CHECKPOINT_PATH: self.signer.sign(target.text).to_bytes()})
        return Restored(start.size, target)

    def _read_mirror(self) -> Checkpoint:
        """The mirror's checkpoint, which one of the log's own keys signed."""
        note = self.mirror.fetch_checkpoint()
        try:
            return _verify(note, self.keys)
        except (MalformedError, VerificationError) as error:
            raise VerificationError(f"{self.mirror.name} does not mirror {self.signer.name}: {error}") from error

    def _choose_target(self, row: Checkpoint | None, mirrored: Checkpoint, known: Sequence[Checkpoint]) -> Checkpoint:
        target = mirrored if row is None or mirrored.size > row.size else row
        largest = max(known, key=lambda each: each.size)
        if largest.size > target.size:
            raise UnavailableError(
                f"{self.mirror.name} has {mirrored.size} entries, the largest checkpoint that is known {largest.size}: "
                "name a mirror that has them"
            )
        for each in known:
            if each.size == target.size and each.root != target.root:
                raise FatalError(
                    f"two checkpoints of size {target.size} have different roots: stop, and compare this log with its "
                    "mirrors (scripts/check_consistency.py keeps the evidence)"
                )
        return target

    @staticmethod
    def _good_part(folder: Path, known: Sequence[Checkpoint]) -> RightEdge:
        """The edge of the largest known tree that the local files hold."""
        for each in sorted(known, key=lambda each: each.size, reverse=True):
            try:
                return load_edge(folder, each)
            except FatalError:
                continue
        return RightEdge()

    def _replay(
        self, start: RightEdge, target: Checkpoint, mirrored: int, known: Sequence[Checkpoint]
    ) -> Iterator[tuple[RightEdge, dict[Tile, bytes]]]:
        """Go from ``start`` to ``target``, step by step, through every known checkpoint on the way."""
        edge = start
        reader = self.mirror.reader(mirrored)
        while edge.size < target.size:
            end = min(target.size, (edge.size // _STEP + 1) * _STEP)
            entries = self._read_entries(reader, edge.size, end, mirrored)
            for each in known:
                on_the_way = edge.size < each.size <= end
                if on_the_way and edge.extend(entries[: each.size - edge.size])[0].root() != each.root:
                    raise VerificationError(
                        f"the entries of {self.mirror.name} do not hash to the checkpoint of size {each.size}; nothing "
                        "was recovered: name another mirror"
                    )
            edge, tiles = edge.extend(entries)
            yield edge, tiles

    def _read_entries(self, reader: TileReader, first: int, end: int, mirrored: int) -> list[bytes]:
        """From the mirror as far as it goes, then from the statements."""
        count = max(0, min(end, mirrored) - first)
        try:
            entries = reader.entries(first, count) if count else []
        except FatalError as error:
            raise UnavailableError(f"{self.mirror.name}: {error}") from error
        for index in range(first + count, end):
            stated = self.stated(index)
            if stated is None:
                raise UnavailableError(
                    f"neither {self.mirror.name} nor the database has entry {index}: name a mirror that has it"
                )
            entries.append(stated)
        return entries

    @staticmethod
    def _check(folder: Path, target: Checkpoint, known: Sequence[Checkpoint]) -> None:
        """Check the files alone."""
        reader = TileReader(folder, lambda: target.size)
        load_edge(folder, target)
        try:
            wrong = [each.size for each in known if reader.root(each.size) != each.root]
        except FatalError as error:
            raise FatalError(f"{error}; `concord log recover --everything` fetches all tiles again") from error
        if wrong:
            raise FatalError(
                f"the files in {folder} do not hash to the checkpoint of size {wrong[0]}: run `concord log recover "
                "--everything`, which fetches all tiles again"
            )


def _read_published(files: DurableFolder, keys: Sequence[VerifierKey]) -> Checkpoint | None:
    """What the folder publishes, where that can be read and one of the log's keys signed it."""
    try:
        published = load_published(files)
        return None if published is None else _verify(files.read(CHECKPOINT_PATH), keys)
    except LedgerError:
        return None  # it is written again


def _verify(note: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    lines = {(line.name, line.key_id) for line in SignedNote.parse(note).signatures}
    key = next((each for each in keys if (each.name, each.key_id) in lines), keys[0])
    return verify_checkpoint(note, key)
