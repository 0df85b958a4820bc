"""A short way from a JSON line to its digest, for the types that a log takes in bulk.

Decoders and encoders are made from the vocabulary. What they accept, ``Statement.parse`` accepts with the same digest
(tests compare the two); what they do not accept may still be right, and goes the long way. Lines that are laid out as
one before them are not even decoded (`ledger.checking.layouts`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final

import msgspec

from ledger.checking.layouts import Layout
from ledger.checking.records import Checked, Registered
from ledger.keccak import keccak256
from ledger.statements import STATEMENT_TYPES, Domains, StatementType
from ledger.statements.eip712 import encode_type
from ledger.statements.values import MAX_ITEMS
from ledger.statements.vocabulary import PARENT, Field

__all__ = ["BULK_TYPES", "REGISTRATION", "Codec", "UnusualLineError"]

REGISTRATION: Final = "DatasetRegistration"
BULK_TYPES: Final = {
    name: each for name, each in STATEMENT_TYPES.items() if each.function is None or name == REGISTRATION
}
"""Types that a log keeps alone, and registrations, which may be lifted out of it later."""

_MAX_BYTES: Final = 4096
_UINT: Final = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z", re.ASCII)
_WORD_LENGTHS: Final = {66}
_MOST_REMEMBERED: Final = 4096
"""numbers, each and together: the same versions and deadlines come again"""
_EMPTY_LIST: Final = keccak256(b"")
_ENTRY_VERSION: Final = b"\x01"
_MOST_LAYOUTS: Final = 256
_MOST_MISFITS: Final = 64
"""lines of a known length that have another layout; then layouts are learnt anew"""
_SIGNED: Final = ("signature", "signer")
_SIGNATURE_SIZE: Final = 65
_SIGNED_SIZE: Final = _SIGNATURE_SIZE + 20
_SIGNED_LENGTHS: Final = (132, 42)

Word = Callable[[Any], bytes]


class UnusualLineError(ValueError):
    """Not of the form that the short way knows; says nothing about whether it is right."""


class Codec:
    """Decodes lines of one consortium. Not to be shared between threads."""

    def __init__(self, domains: Domains) -> None:
        envelopes = [_envelope(each) for each in BULK_TYPES.values()]
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_union(envelopes))
        self._hashers = {
            envelope: _Hasher(each, domains) for envelope, each in zip(envelopes, BULK_TYPES.values(), strict=True)
        }
        self._layouts: dict[int, tuple[Layout, _Hasher]] = {}
        self._misfits = 0

    def decode(self, line: bytes) -> Checked:
        """Decode a line: its record, should its signature be good, which nobody has looked at yet.

        Raises:
            UnusualLineError.
        """
        known = self._layouts.get(len(line))
        if known is None:
            return self._decode(line, learns=len(self._layouts) < _MOST_LAYOUTS)
        layout, hasher = known
        values = layout.read(line)
        if values is not None:
            raw, numbers, message = values
            return hasher.hash(raw, hasher.encode_numbers(numbers), message, ())
        self._misfits += 1
        if self._misfits > _MOST_MISFITS:
            self._misfits = 0
            self._layouts.clear()
        return self._decode(line, learns=False)

    def _decode(self, line: bytes, *, learns: bool) -> Checked:
        """By its members. Raises: UnusualLineError."""
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
        raw, parts = hasher.encode(message, envelope.signature, envelope.signer)
        decoded = hasher.hash(raw, parts, _to_json(message), parents)
        if learns and not parents:
            layout = hasher.learn(line)
            if layout is not None:
                self._layouts[len(line)] = layout, hasher
        return decoded


_to_text: Final = msgspec.json.Encoder().encode


def _to_json(message: Any) -> str:
    """The message's canonical JSON (RFC 8785): members are declared in their sorted order, all of plain ASCII."""
    return _to_text(message).decode()


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
        self._word_names = [field.name for field in statement_type.fields if field.type == "bytes32"]
        self._words = _getter(self._word_names)
        count = len(self._word_names)
        self._zeros, self._marks, self._size = "0" * count, "x" * count, 32 * count
        self._prefix = b"\x19\x01" + domains.of(statement_type).separator
        self._type_hash = keccak256(encode_type(statement_type).encode())
        others = [field for field in statement_type.fields if field.type != "bytes32"]
        self._members = sorted(field.name for field in statement_type.fields)
        self._numbers = [field.name for field in others if field.type.startswith("uint")]
        self._is_flat = all(field.type.startswith("uint") or field.type == "Parent[]" for field in others)
        self._others = _getter([field.name for field in others])
        self._encoders = tuple(_encoder(field.type) for field in others)
        self._deadline = [field.name for field in others].index("deadline")
        self._number_encoders = tuple(_encoder(field.type) for field in others if field.name in self._numbers)
        self._list_at = next((at for at, field in enumerate(others) if field.type == "Parent[]"), None)
        self._order = _order(statement_type)
        self.encode_numbers = lru_cache(maxsize=_MOST_REMEMBERED)(self._encode_numbers)

    def encode(self, message: Any, signature: str, signer: str) -> tuple[bytes, list[bytes]]:
        """The words, then signature and signer; the other members, encoded. Raises: UnusualLineError."""
        texts = self._words(message)
        joined = "".join(texts)
        if set(map(len, texts)) != _WORD_LENGTHS or joined[::66] != self._zeros or joined[1::66] != self._marks:
            raise UnusualLineError
        if (len(signature), len(signer)) != _SIGNED_LENGTHS or not signature[:2] == signer[:2] == "0x":
            raise UnusualLineError
        raw = _parse_hex(joined.replace("0x", "") + signature[2:] + signer[2:])
        if len(raw) != self._size + _SIGNED_SIZE:
            raise UnusualLineError
        return raw, [encode(value) for encode, value in zip(self._encoders, self._others(message), strict=True)]

    def _encode_numbers(self, numbers: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The other members of a statement without lists, out of their digits. Raises: UnusualLineError."""
        try:
            texts = [digits.decode("ascii") for digits in numbers]
        except UnicodeDecodeError as error:
            raise UnusualLineError from error
        parts = [encode(text) for encode, text in zip(self._number_encoders, texts, strict=True)]
        if self._list_at is not None:
            parts.insert(self._list_at, _EMPTY_LIST)
        return tuple(parts)

    def hash(self, raw: bytes, parts: Sequence[bytes], message: str, parents: Sequence[Any]) -> Checked:
        """The record of what `encode` gave."""
        size, end = self._size, self._size + _SIGNATURE_SIZE
        encoded = [parts[first] if end is None else raw[first:end] for first, end in self._order]
        digest, signature = keccak256(self._prefix + keccak256(self._type_hash + b"".join(encoded))), raw[size:end]
        return Checked(
            _ENTRY_VERSION + digest + raw[:32] + sha256(signature).digest(),
            raw[end:],
            signature,
            int.from_bytes(parts[self._deadline], "big"),
            self.name,
            message,
            _registered(raw, parts, parents) if self.name == REGISTRATION else None,
        )

    def learn(self, line: bytes) -> Layout | None:
        """The layout of a line whose lists are empty; None where lines of this type differ in more than digits."""
        if not self._is_flat:
            return None
        return Layout.learn(line, (*self._word_names, *_SIGNED), self._numbers, self._members)


_REGISTERED: Final = [field.name for field in BULK_TYPES[REGISTRATION].fields if field.type != "bytes32"]
_REGISTERED_VERSION: Final = _REGISTERED.index("version")


def _registered(raw: bytes, parts: Sequence[bytes], parents: Sequence[Any]) -> Registered:
    """What a registration says: its words are participant, datasetSalt, contentHash, metadataHash, salt."""
    return Registered(
        keccak256(raw[:64]),
        raw[32:64],
        int.from_bytes(parts[_REGISTERED_VERSION], "big"),
        raw[64:96],
        raw[96:128],
        tuple([_parent(each) for each in parents]) if parents else (),
    )


def _parent(parent: Any) -> tuple[bytes, int, bytes]:
    return bytes.fromhex(parent.dataset[2:]), int(parent.version), bytes.fromhex(parent.registration[2:])


def _getter(names: list[str]) -> Callable[[Any], tuple[str, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    (name,) = names
    return lambda message: (getattr(message, name),)


def _order(statement_type: StatementType) -> tuple[tuple[int, int | None], ...]:
    """Where each member is, in the order of the encoding: among the other parts, or a run of words from ... to."""
    order: list[tuple[int, int | None]] = []
    at = other = 0
    for field in statement_type.fields:
        if field.type != "bytes32":
            order.append((other, None))
            other += 1
            continue
        first, end = order[-1] if order else (0, None)
        if end is not None:
            order[-1] = first, at + 32
        else:
            order.append((at, at + 32))
        at += 32
    return tuple(order)


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
