"""A short way from a JSON line to its digest, for the types that a log takes in bulk.

Decoders and encoders are made from the vocabulary. What they accept, ``Statement.parse`` accepts with the same digest
(tests compare the two); what they do not accept may still be right, and goes the long way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import msgspec

from ledger.keccak import keccak256
from ledger.statements import STATEMENT_TYPES, Domains, StatementType
from ledger.statements.eip712 import encode_type
from ledger.statements.values import MAX_ITEMS
from ledger.statements.vocabulary import PARENT, Field

__all__ = ["BULK_TYPES", "REGISTRATION", "Codec", "Decoded", "UnusualLineError"]

REGISTRATION: Final = "DatasetRegistration"
BULK_TYPES: Final = {
    name: each for name, each in STATEMENT_TYPES.items() if each.function is None or name == REGISTRATION
}
"""Types that a log keeps alone, and registrations, which may be lifted out of it later."""

_MAX_BYTES: Final = 4096
_UINT: Final = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z", re.ASCII)
_WORD_LENGTHS: Final = {66}
_MOST_REMEMBERED: Final = 4096
"""numbers of one width: the same versions and deadlines come again"""
_EMPTY_LIST: Final = keccak256(b"")

Word = Callable[[Any], bytes]


class UnusualLineError(ValueError):
    """Not of the form that the short way knows; says nothing about whether it is right."""


@dataclass(slots=True)
class Decoded:
    """One line, decoded: its JSON members, and its digest."""

    type: str
    message: Any
    signature: bytes
    signer: str
    digest: bytes
    participant: bytes
    deadline: int


class Codec:
    """Decodes lines of one consortium."""

    def __init__(self, domains: Domains) -> None:
        envelopes = [_envelope(each) for each in BULK_TYPES.values()]
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_union(envelopes))
        self._hashers = {
            envelope: _Hasher(each, domains) for envelope, each in zip(envelopes, BULK_TYPES.values(), strict=True)
        }
        self._encode = msgspec.json.Encoder().encode

    def decode(self, line: bytes) -> Decoded:
        """Decode a line and compute its digest. Raises: UnusualLineError."""
        try:
            envelope = self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnusualLineError from error
        hasher = self._hashers[type(envelope)]
        message = envelope.message
        # A member that stands twice, or an escape, shows in the number of quotes.
        parents = getattr(message, "parents", ())
        surplus = line.count(b'"') - hasher.quotes - len(parents) * _PARENT_QUOTES
        if surplus and not (surplus == 2 and b'"cosignature"' in line):
            raise UnusualLineError
        if envelope.cosignature is not None or b"\\" in line:
            raise UnusualLineError
        digest, participant, deadline = hasher.digest(message)
        return Decoded(
            hasher.name, message, _parse_signature(envelope.signature), envelope.signer, digest, participant, deadline
        )

    def encode_message(self, message: Any) -> str:
        """The message's canonical JSON (RFC 8785): members are declared in their sorted order, all of plain ASCII."""
        return self._encode(message).decode()


def _parse_signature(text: str) -> bytes:
    if text[:2] != "0x":
        raise UnusualLineError
    return _parse_hex(text[2:])


def _parse_hex(digits: str) -> bytes:
    """Bytes of lower-case hex: what comes back as it was had neither spaces nor capitals."""
    try:
        raw = bytes.fromhex(digits)
    except ValueError as error:
        raise UnusualLineError from error
    if raw.hex() != digits:
        raise UnusualLineError
    return raw


def _union(envelopes: list[type]) -> Any:
    union: Any = envelopes[0]
    for each in envelopes[1:]:
        union = union | each
    return union


def _struct(name: str, fields: tuple[Field, ...]) -> type[msgspec.Struct]:
    kinds = {field.name: list[_Parent] if field.type == "Parent[]" else str for field in fields}
    return msgspec.defstruct(name, sorted(kinds.items()), forbid_unknown_fields=True, gc=False)


_Parent: Any = _struct("Parent", PARENT)
_PARENT_QUOTES: Final = 4 * len(PARENT)


def _envelope(statement_type: StatementType) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        f"{statement_type.name}Envelope",
        [
            ("message", _struct(statement_type.name, statement_type.fields)),
            ("signature", str),
            ("signer", str),
            ("cosignature", str | None, None),
        ],
        tag_field="type",
        tag=statement_type.name,
        forbid_unknown_fields=True,
        gc=False,
    )


class _Hasher:
    """The EIP-712 encoder of one type."""

    def __init__(self, statement_type: StatementType, domains: Domains) -> None:
        self.name = statement_type.name
        names = {"type", "message", "signature", "signer"} | {field.name for field in statement_type.fields}
        lists = sum(field.type.endswith("[]") for field in statement_type.fields)
        self.quotes = 4 * len(names) - 2 * (1 + lists)  # an object or a list has no quotes of its own
        words = [field.name for field in statement_type.fields if field.type == "bytes32"]
        self._words = _getter(words)
        self._zeros, self._marks, self._size = "0" * len(words), "x" * len(words), 32 * len(words)
        self._prefix = b"\x19\x01" + domains.of(statement_type).separator
        self._type_hash = keccak256(encode_type(statement_type).encode())
        others = [field for field in statement_type.fields if field.type != "bytes32"]
        self._others = _getter([field.name for field in others])
        self._encoders = tuple(_encoder(field.type) for field in others)
        self._deadline = [field.name for field in others].index("deadline")
        self._order = _order(statement_type)

    def digest(self, message: Any) -> tuple[bytes, bytes, int]:
        """Digest, participant and deadline. Raises: UnusualLineError."""
        texts = self._words(message)
        joined = "".join(texts)
        if set(map(len, texts)) != _WORD_LENGTHS or joined[::66] != self._zeros or joined[1::66] != self._marks:
            raise UnusualLineError
        raw = _parse_hex(joined.replace("0x", ""))
        if len(raw) != self._size:
            raise UnusualLineError
        parts = [encode(value) for encode, value in zip(self._encoders, self._others(message), strict=True)]
        deadline = int.from_bytes(parts[self._deadline], "big")
        for first, end in self._order[1]:
            parts.append(raw[first:end])
        encoded = self._type_hash + b"".join([parts[place] for place in self._order[0]])
        return keccak256(self._prefix + keccak256(encoded)), raw[:32], deadline


def _getter(names: list[str]) -> Callable[[Any], tuple[str, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    (name,) = names
    return lambda message: (getattr(message, name),)


def _order(statement_type: StatementType) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Where each member's part is: first those that are no bytes32, then runs of bytes32 as they follow each other."""
    places: list[int] = []
    runs: list[tuple[int, int]] = []
    others = sum(field.type != "bytes32" for field in statement_type.fields)
    at, other, in_run = 0, 0, False
    for field in statement_type.fields:
        if field.type != "bytes32":
            places.append(other)
            other, in_run = other + 1, False
        elif in_run:
            at += 32
            runs[-1] = (runs[-1][0], at)
        else:
            places.append(others + len(runs))
            runs.append((at, at + 32))
            at, in_run = at + 32, True
    return tuple(places), tuple(runs)


def _encoder(kind: str) -> Word:
    if kind.startswith("uint"):
        return _uint_encoder(int(kind[4:]))
    encoders: dict[str, Word] = {"bytes": _encode_bytes, "Parent[]": _encode_parents}
    return encoders[kind]


def _uint_encoder(bits: int) -> Word:
    limit = 1 << bits

    @lru_cache(maxsize=_MOST_REMEMBERED)
    def encode(text: str) -> bytes:
        if not _UINT.match(text) or (value := int(text)) >= limit:
            raise UnusualLineError
        return value.to_bytes(32, "big")

    return encode


def _encode_bytes(text: str) -> bytes:
    if len(text) > 2 * _MAX_BYTES + 2 or text[:2] != "0x":
        raise UnusualLineError
    return keccak256(_parse_hex(text[2:]))


_PARENT_TYPE_HASH: Final = keccak256(f"Parent({','.join(f'{each.type} {each.name}' for each in PARENT)})".encode())
_ARE_TWO_WORDS: Final = re.compile(r"(?:0x[0-9a-f]{64}){2}\Z").match
_encode_version: Final = _uint_encoder(64)


def _encode_parents(parents: list[Any]) -> bytes:
    if not parents:
        return _EMPTY_LIST
    if len(parents) > MAX_ITEMS:
        raise UnusualLineError
    return keccak256(b"".join([_encode_parent(each) for each in parents]))


def _encode_parent(parent: Any) -> bytes:
    if len(parent.dataset) != 66 or not _ARE_TWO_WORDS(parent.dataset + parent.registration):
        raise UnusualLineError
    dataset, registration = bytes.fromhex(parent.dataset[2:]), bytes.fromhex(parent.registration[2:])
    return keccak256(_PARENT_TYPE_HASH + dataset + _encode_version(parent.version) + registration)
