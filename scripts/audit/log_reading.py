"""A log read whole beside the evidence: rebuilt, compared with every checkpoint shown, and its entries counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.evidence import Policy
from ledger.evidence.fork import SignedCheckpoint
from ledger.evidence.log_note import find_signer
from ledger.log import Checkpoint, SignedNote
from ledger.log.fsck import Anchor, Finding, LogCheck
from ledger.log.mirror import Mirror
from ledger.log.tiles import ENTRIES, Tile, parse_bundle
from ledger.statements import Entry
from ledger.types import Bytes32
from scripts.audit.pieces import Piece

__all__ = ["LogReading", "read_log"]


@dataclass
class LogReading:
    """What reading a log found. ``reason``: why it could not be read to the end."""

    name: str
    origin: str = ""
    size: int = 0
    root: bytes = b""
    findings: list[Finding] = field(default_factory=list)
    entries: Counter[Bytes32] = field(default_factory=Counter)
    """How many entries of each participant there are"""
    shown: int = 0
    """How many of them are those of evidence that was given"""
    compared: int = 0
    """With how many checkpoints, the published one among them, the tree was compared"""
    reason: str = ""


def read_log(
    location: str, policy: Policy, pieces: Sequence[Piece], on_progress: Callable[[int, int], None] = lambda *_: None
) -> LogReading:
    """Read a log's folder or URL; what is wrong with it stands in the answer.

    Raises:
        MalformedError: no URL of HTTP.
    """
    mirror = Mirror(location)
    reading = LogReading(mirror.name)
    try:
        _read(mirror, policy, pieces, reading, on_progress)
    except VerificationError as error:
        reading.findings.append(Finding("root", str(error)))
    except LedgerError as error:
        reading.reason = str(error)
    return reading


def _read(
    mirror: Mirror,
    policy: Policy,
    pieces: Sequence[Piece],
    reading: LogReading,
    on_progress: Callable[[int, int], None],
) -> None:
    note = mirror.fetch_checkpoint()
    reading.origin = Checkpoint.parse(SignedNote.parse(note).text).origin
    log = find_signer(policy, [note])
    published = SignedCheckpoint.verify(note, log.keys).checkpoint
    reading.size, reading.root = published.size, published.root
    places = {each.anchored.index: each for each in pieces if each.anchored and each.anchored.log == log.id}
    anchors = {(each.anchored.size, each.anchored.root) for each in places.values() if each.anchored}
    reading.compared = len(anchors | {(published.size, published.root)})
    check = LogCheck(
        _counting(mirror, reading, places),
        published.size,
        [
            *(Anchor("the checkpoint in the evidence", size, root) for size, root in sorted(anchors)),
            Anchor("the published checkpoint", published.size, published.root),
        ],
        on_progress=lambda done: on_progress(done, published.size),
    )
    reading.findings += check.run()


def _counting(mirror: Mirror, reading: LogReading, places: dict[int, Piece]) -> Callable[[Tile], bytes | None]:
    """Reads tiles as the mirror does, and counts the entries of each bundle on its way."""

    def load(tile: Tile) -> bytes | None:
        raw = mirror.fetch_tile(tile)
        if raw is not None and tile.level == ENTRIES:
            for index, entry in enumerate(_entries(raw, tile.width), tile.index * 256):
                reading.entries[entry.participant] += 1
                piece = places.get(index)
                reading.shown += piece is not None and piece.report.digest == entry.digest
        return raw

    return load


def _entries(raw: bytes, width: int) -> list[Entry]:
    try:
        return [Entry.parse(each) for each in parse_bundle(raw, width)]
    except MalformedError:
        return []  # the check finds the bundle damaged
