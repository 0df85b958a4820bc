"""What a checking process says of each line, packed for the pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

__all__ = ["Checked", "Record", "Registered", "Rejected", "decode_records", "encode_records"]


class Registered(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The members of a DatasetRegistration that rules and lists look at; ``parents`` as (dataset, version, digest)."""

    dataset: bytes
    dataset_salt: bytes
    version: int
    content_hash: bytes
    metadata_hash: bytes
    parents: tuple[tuple[bytes, int, bytes], ...]


class Checked(msgspec.Struct, array_like=True, frozen=True, gc=False, tag_field="status", tag="checked"):
    """A statement whose signature is good: ``signer``'s, over the digest in ``entry`` (97 bytes).

    ``message`` is its canonical JSON text. ``registered`` is None for every type but DatasetRegistration.
    """

    entry: bytes
    signer: bytes
    signature: bytes
    deadline: int
    type: str
    message: str
    registered: Registered | None

    @property
    def digest(self) -> bytes:
        """The EIP-712 digest, 32 bytes."""
        return self.entry[1:33]

    @property
    def participant(self) -> bytes:
        """Id of who states it, 32 bytes."""
        return self.entry[33:65]


class Rejected(msgspec.Struct, array_like=True, frozen=True, gc=False, tag_field="status", tag="rejected"):
    """A line that no log takes: the class of its error, its sentence, and its digest where it has one."""

    error: str
    detail: str
    digest: bytes | None = None
    code: str | None = None
    facts: dict[str, str] = {}


Record = Checked | Rejected | None
"""What became of a line; None for an empty one."""

_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=bytes)  # ids are bytes with a name of their own
_DECODER: Final = msgspec.msgpack.Decoder(list[Record])


def encode_records(records: Sequence[Record]) -> bytes:
    """Pack the records of one block."""
    return _ENCODER.encode(records)


def decode_records(raw: bytes) -> list[Record]:
    """Unpack the records of one block. Raises: msgspec.DecodeError: not what `encode_records` made."""
    return _DECODER.decode(raw)
