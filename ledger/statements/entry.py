"""The log entry of a statement (docs/spec/entry.md): 0x01 || digest || participant || SHA-256(signature), 97 bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Self

from ledger.errors import MalformedError
from ledger.types import Bytes32

__all__ = ["ENTRY_SIZE_BYTES", "Entry"]

ENTRY_SIZE_BYTES: Final = 97
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """What the log keeps of a statement; a contract can recompute its leaf."""

    digest: Bytes32
    participant: Bytes32
    signature_hash: Bytes32

    @classmethod
    def of(cls, digest: Bytes32, participant: Bytes32, signature: bytes) -> Self:
        """The entry of a signed statement."""
        return cls(digest, participant, Bytes32(hashlib.sha256(signature).digest()))

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read an entry. Raises: MalformedError: another length or version."""
        if len(raw) != ENTRY_SIZE_BYTES:
            raise MalformedError(f"an entry has {ENTRY_SIZE_BYTES} bytes, found {len(raw)}")
        if raw[0] != _VERSION:
            raise MalformedError(f"entry version {raw[0]} is not known")
        return cls(Bytes32(raw[1:33]), Bytes32(raw[33:65]), Bytes32(raw[65:]))

    def to_bytes(self) -> bytes:
        """The 97 bytes that the log hashes."""
        return bytes([_VERSION]) + self.digest + self.participant + self.signature_hash
