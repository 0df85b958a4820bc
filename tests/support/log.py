"""A log for tests: a key, checkpoint stores with the production interface, and a reference tree."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from ledger.errors import UnavailableError
from ledger.log import (
    Checkpoint,
    CheckpointStore,
    FileCalls,
    NoteSigner,
    Sequencer,
    TileReader,
    TlogProof,
    format_anchor_by,
)
from ledger.log.fsck import Anchor, LogCheck
from ledger.log.mirror import Mirror
from ledger.merkle import compute_root, leaf_hash, verify_consistency
from ledger.statements import Entry

ORIGIN = "gateway.example/log"
SIGNER = NoteSigner(ORIGIN, bytes(range(32)))
ANCHOR_BY = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class MemoryCheckpointStore:
    """One row in memory; `fail` breaks the next swap before or after it took effect."""

    def __init__(self) -> None:
        self.row: Checkpoint | None = None
        self.fail: tuple[str, BaseException] | None = None

    def load(self, origin: str) -> Checkpoint | None:
        return self.row

    def load_settled(self, origin: str) -> Checkpoint | None:
        return self.load(origin)

    def compare_and_swap(
        self, expected: Checkpoint | None, new: Checkpoint, once: Callable[[], object] | None = None
    ) -> bool:
        when, error = self.fail or ("", None)
        self.fail = None
        if error is not None and when == "before":
            raise error
        if self.row != expected:
            return False
        if once is not None:
            once()
        self.row = new
        if error is not None:
            raise error
        return True


class SqliteCheckpointStore:
    """One row in a file, for logs that outlive their process."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._execute("PRAGMA synchronous = FULL")
        self._execute("CREATE TABLE IF NOT EXISTS checkpoint (origin TEXT PRIMARY KEY, text TEXT)")

    def load(self, origin: str) -> Checkpoint | None:
        row = self._execute("SELECT text FROM checkpoint WHERE origin = ?", (origin,)).fetchone()
        return Checkpoint.parse(row[0]) if row else None

    def load_settled(self, origin: str) -> Checkpoint | None:
        return self.load(origin)

    def compare_and_swap(
        self, expected: Checkpoint | None, new: Checkpoint, once: Callable[[], object] | None = None
    ) -> bool:
        if once is not None:
            once()
        if expected is None:
            statement, values = "INSERT OR IGNORE INTO checkpoint VALUES (?, ?)", (new.origin, new.text)
            return self._execute(statement, values).rowcount == 1
        statement = "UPDATE checkpoint SET text = ? WHERE origin = ? AND text = ?"
        return self._execute(statement, (new.text, new.origin, expected.text)).rowcount == 1

    def _execute(self, statement: str, values: tuple[str, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise unanswered() from error

    def close(self) -> None:
        self._connection.close()


def open_log(folder: Path, store: CheckpointStore, calls: FileCalls | None = None) -> Sequencer:
    return Sequencer.open(folder, SIGNER, store, anchor_by=lambda: ANCHOR_BY, calls=calls)


def entries_of(label: str, count: int) -> list[bytes]:
    """Distinct entries, some empty-ish and some long."""
    return [f"{label} {number}".encode() + b"." * (number % 7) for number in range(count)]


def check_log(folder: Path, entries: Sequence[bytes], sizes: Sequence[int] = ()) -> None:
    """Re-hash a folder from its entries up, as a stranger would."""
    reader = TileReader(folder)
    leaf_hashes = [leaf_hash(entry) for entry in entries]
    checkpoint = Checkpoint.parse(reader.resource("checkpoint").decode().split("\n\n")[0] + "\n")
    assert checkpoint.size == len(entries)
    assert reader.entries(0, len(entries)) == list(entries)
    assert checkpoint.root == reader.root(len(entries)) == compute_root(leaf_hashes)
    level_0 = [value for index in range(-(-len(entries) // 256)) for value in reader.load_hashes(0, index)]
    assert level_0 == leaf_hashes
    for size in sizes:
        root = compute_root(leaf_hashes[:size])
        assert reader.root(size) == root
        if size:
            proof = reader.prove_consistency(size, len(entries))
            verify_consistency(size, len(entries), proof, root, checkpoint.root)


def check_nothing_lost(folder: Path, entries: Sequence[bytes], promised: Sequence[Checkpoint]) -> None:
    """`check_log`, and `fsck` over what the folder publishes finds nothing against any checkpoint that was promised."""
    check_log(folder, entries)
    anchors = [Anchor("the receipt", each.size, each.root) for each in promised]
    check = LogCheck(
        Mirror(str(folder)).fetch_tile,
        len(entries),
        anchors,
        lambda first, count: entries[first : first + count],
    )
    assert [*check.run()] == []


def reference_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, word by word and slow."""
    if not leaf_hashes:
        return sha256(b"").digest()
    if len(leaf_hashes) == 1:
        return leaf_hashes[0]
    k = 1
    while k * 2 < len(leaf_hashes):
        k *= 2
    return sha256(b"\x01" + reference_root(leaf_hashes[:k]) + reference_root(leaf_hashes[k:])).digest()


def unanswered() -> UnavailableError:
    return UnavailableError("the database did not answer")


def receipt_alone(entry: Entry) -> str:
    """The receipt of the only entry of a log."""
    checkpoint = Checkpoint(ORIGIN, 1, leaf_hash(entry.to_bytes()), (format_anchor_by(ANCHOR_BY),))
    return TlogProof(0, (), SIGNER.sign(checkpoint.text)).to_bytes().decode()
