"""Checkpoints: c2sp.org/tlog-checkpoint, with the ``anchor-by`` extension line (docs/spec/checkpoint.md).

Origin, size and root belong together: a root alone does not commit to the size of its tree, so they are signed, stored
and compared as one `Checkpoint`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from ledger.errors import MalformedError, VerificationError
from ledger.log.note import SignedNote, VerifierKey, verify_note, verify_sole_signature
from ledger.log.text import MAX_NUMBER, format_base64, parse_base64, parse_decimal
from ledger.merkle import EMPTY_ROOT, HASH_SIZE_BYTES

__all__ = [
    "Checkpoint",
    "format_anchor_by",
    "parse_anchor_by",
    "verify_checkpoint",
    "verify_sole_checkpoint",
]

_ANCHOR_BY: Final = "anchor-by "
_TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: ``Checkpoint("gateway.example/log", 3, root, ("anchor-by 2026-11-21T09:30:00Z",))``."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.origin, *self.extensions):
            if not line or any(char < " " for char in line):
                raise MalformedError("a checkpoint's lines are not empty and have no control character")
        if type(self.size) is not int or not 0 <= self.size <= MAX_NUMBER:
            raise MalformedError("a checkpoint's size is a number from 0 to 2^63 - 1")
        if len(self.root) != HASH_SIZE_BYTES:
            raise MalformedError(f"a checkpoint's root has {HASH_SIZE_BYTES} bytes, found {len(self.root)}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise MalformedError("a checkpoint of size 0 has the root of the empty tree")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a checkpoint's note text; what is accepted encodes back to itself.

        Raises:
            MalformedError: fewer than three lines, an empty one, a size with leading zeros, a root of another size.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1]:
            raise MalformedError("a checkpoint has three lines or more, each ended by a newline")
        return cls(lines[0], parse_decimal(lines[1]), parse_base64(lines[2], HASH_SIZE_BYTES), tuple(lines[3:-1]))

    @property
    def text(self) -> str:
        """The note text that is signed and stored."""
        lines = (self.origin, str(self.size), format_base64(self.root), *self.extensions)
        return "".join(line + "\n" for line in lines)

    @property
    def anchor_by(self) -> datetime | None:
        """Until when the log promises this checkpoint, or a later one, on chain; None where it promises nothing.

        Raises:
            MalformedError: two such lines, or one that is not a time.
        """
        lines = [line for line in self.extensions if line.startswith(_ANCHOR_BY)]
        if len(lines) > 1:
            raise MalformedError("a checkpoint has at most one anchor-by line")
        return parse_anchor_by(lines[0]) if lines else None


def format_anchor_by(moment: datetime) -> str:
    """Write the extension line ``anchor-by 2026-11-21T09:30:00Z``: UTC, fractions of a second cut off.

    Raises:
        ValueError: ``moment`` has no time zone.
    """
    if moment.utcoffset() is None:
        raise ValueError("anchor-by takes an aware time")
    # isoformat, not strftime, which does not pad years to four digits everywhere.
    return _ANCHOR_BY + moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def parse_anchor_by(line: str) -> datetime:
    """Read an ``anchor-by`` extension line.

    Raises:
        MalformedError: not RFC 3339 in UTC with whole seconds, or no such moment.
    """
    moment = line.removeprefix(_ANCHOR_BY)
    if not line.startswith(_ANCHOR_BY) or not _TIME.match(moment):
        raise MalformedError("an anchor-by line is `anchor-by YYYY-MM-DDThh:mm:ssZ`")
    try:
        return datetime.strptime(moment, _TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedError("an anchor-by line names a moment that does not exist") from error


def verify_checkpoint(note: bytes, key: VerifierKey) -> Checkpoint:
    """Read a signed checkpoint, check the log's signature and that its origin is the key's name.

    Signatures of other keys are ignored (witnesses, key rotation).

    Raises:
        MalformedError: the note or the checkpoint in it is malformed.
        VerificationError: not signed by ``key``, or the checkpoint of another log.
    """
    signed = SignedNote.parse(note)
    verify_note(signed, key)
    return _checkpoint_of(signed, key)


def verify_sole_checkpoint(note: bytes, key: VerifierKey) -> Checkpoint:
    """`verify_checkpoint` for evidence: the log's signature line alone, so that every byte is bound.

    Raises:
        MalformedError: also for surplus signature lines.
        VerificationError: as `verify_checkpoint`.
    """
    signed = SignedNote.parse(note)
    verify_sole_signature(signed, key)
    return _checkpoint_of(signed, key)


def _checkpoint_of(note: SignedNote, key: VerifierKey) -> Checkpoint:
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != key.name:
        raise VerificationError(
            f"the checkpoint is of the log {checkpoint.origin}, not of {key.name}",
            expected=key.name,
            found=checkpoint.origin,
        )
    return checkpoint
