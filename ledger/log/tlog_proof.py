"""Transparency log proofs: c2sp.org/tlog-proof@v1, read strictly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from ledger.errors import MalformedError
from ledger.log.note import SignedNote
from ledger.log.text import MAX_NUMBER, format_base64, parse_base64, parse_decimal
from ledger.merkle import HASH_SIZE_BYTES

__all__ = ["TlogProof"]

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_MAX_HASHES: Final = 63  # the depth of a tree of 2^63 - 1 leaves


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Index, inclusion proof and signed checkpoint of one entry; nothing in it is verified yet."""

    index: int
    hashes: tuple[bytes, ...]
    note: SignedNote
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index <= MAX_NUMBER:
            raise MalformedError("a proof's index is a number from 0 to 2^63 - 1")
        if len(self.hashes) > _MAX_HASHES:
            raise MalformedError(f"{len(self.hashes)} hashes in a proof, at most {_MAX_HASHES} are taken")
        if any(len(value) != HASH_SIZE_BYTES for value in self.hashes):
            raise MalformedError(f"a proof's hashes have {HASH_SIZE_BYTES} bytes each")

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a proof; what is accepted encodes back to itself.

        Raises:
            MalformedError: another header, a missing or unknown line, base64 or a number that is not canonical, no
                blank line before the checkpoint, or a malformed note.
        """
        head, blank, note = raw.partition(b"\n\n")
        if not blank:
            raise MalformedError("a proof has a blank line before its checkpoint")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise MalformedError("a proof's lines before its checkpoint are ASCII") from error
        if lines.pop(0) != _HEADER:
            raise MalformedError(f"not a proof: the first line is not {_HEADER}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = parse_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise MalformedError("a proof names the entry's index before its hashes")
        index = parse_decimal(lines.pop(0).removeprefix("index "))
        if len(lines) > _MAX_HASHES:
            raise MalformedError(f"{len(lines)} hashes in a proof, at most {_MAX_HASHES} are taken")
        hashes = tuple(parse_base64(line, HASH_SIZE_BYTES) for line in lines)
        return cls(index, hashes, SignedNote.parse(note), extra)

    def to_bytes(self) -> bytes:
        """The proof's bytes, as `parse` reads them."""
        lines = [_HEADER]
        if self.extra is not None:
            lines.append(f"extra {format_base64(self.extra)}")
        lines += [f"index {self.index}", *map(format_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.note.to_bytes()
