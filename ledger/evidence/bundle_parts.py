"""The parts that a bundle's members share: taken out of a member's document, and put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger.canonical import JsonValue, encode_canonical
from ledger.errors import MalformedError, UnavailableError
from ledger.evidence.documents import Document, each_of, expect_members, expect_object, parse_number

__all__ = ["MAX_MEMBERS", "MAX_SIZE_BYTES", "PART_NAMES", "Bounds", "Packer", "Unpacker"]

PART_NAMES: Final = (
    "headers",
    "receipts",
    "nodes",
    "pins",
    "block_hashes",
    "log_hashes",
    "notes",
    "manifests",
    "chunks",
)
"""The kinds of part, each an array in order of first use; the history beside them is one array of its own."""

MAX_SIZE_BYTES: Final = 1 << 28
MAX_MEMBERS: Final = 65_536
_MAX_EXPANDED_BYTES: Final = 1 << 29
_MAX_RECORDS: Final = 1 << 28
_PLACE_BYTES: Final = 8
_TEXTS: Final = frozenset(PART_NAMES) - {"pins", "manifests", "chunks"}
_CHAIN: Final = ("header", "receipt", "receipt_index", "receipt_proof", "log_position")

_Exchange = Callable[[str, JsonValue], JsonValue]


class Bounds:
    """How much a bundle's members make in memory, and how much work: what is more is not taken, nor written.

    Each raises UnavailableError, for that a bundle is too large says nothing against what is in it.
    """

    def __init__(self) -> None:
        self._expanded = 0
        self._records = 0
        self._prefixes: set[int] = set()

    def check_size(self, size_bytes: int, members: int) -> None:
        """Check the bundle as it is written. Raises: UnavailableError."""
        if size_bytes > MAX_SIZE_BYTES:
            raise UnavailableError(f"the bundle has more than {MAX_SIZE_BYTES} bytes: make it in parts")
        if members > MAX_MEMBERS:
            raise UnavailableError(f"the bundle has more than {MAX_MEMBERS} members: make it in parts")

    def count(self, size_bytes: int) -> None:
        """Count bytes that a member has of its own. Raises: UnavailableError: they are too many in all."""
        self._expanded += size_bytes
        if self._expanded > _MAX_EXPANDED_BYTES:
            raise UnavailableError(
                f"the bundle's members have more than {_MAX_EXPANDED_BYTES} bytes in all: make it in parts"
            )

    def count_history(self, records: int) -> None:
        """Count the first so many records for one more member, which reads each; those of one number share them.

        Raises:
            UnavailableError: they are too many in all.
        """
        self._records += records
        if self._records > _MAX_RECORDS:
            raise UnavailableError(
                f"the bundle's members have more than {_MAX_RECORDS} records of history in all: make it in parts"
            )
        if records not in self._prefixes:
            self._prefixes.add(records)
            self.count(records * _PLACE_BYTES)


def _exchange_member(member: Document, put: _Exchange) -> Document:
    """A member's document with each shared part replaced by what ``put`` returns for it."""
    changed = dict(member)
    for name in ("anchor", "effect", "chain"):
        if name in member:
            changed[name] = _exchange_chain(member[name], put)
    if "log" in member:
        log = expect_members(member["log"], "log", ("index", "proof", "checkpoint"))
        changed["log"] = log | _exchange_log(log, put)
    if "later" in member:
        later = expect_members(member["later"], "later", ("checkpoint", "proof", "anchor"))
        changed["later"] = _exchange_log(later, put) | {"anchor": _exchange_chain(later["anchor"], put)}
    if "content" in member:
        content = expect_object(member["content"], "content")
        shared = {"manifest": "manifests", "chunks": "chunks"}
        changed["content"] = content | {name: put(shared[name], content[name]) for name in shared if name in content}
    return changed


def _exchange_log(log: Document, put: _Exchange) -> Document:
    return {
        "checkpoint": put("notes", log["checkpoint"]),
        "proof": _exchange_each("log_hashes", log, "proof", put),
    }


def _exchange_chain(value: JsonValue, put: _Exchange) -> Document:
    chain = expect_members(value, "a chain proof", _CHAIN, ("block",))
    changed = chain | {
        "header": put("headers", chain["header"]),
        "receipt": put("receipts", chain["receipt"]),
        "receipt_proof": _exchange_each("nodes", chain, "receipt_proof", put),
    }
    return changed | ({"block": put("block", chain["block"])} if "block" in chain else {})


def _exchange_each(kind: str, document: Document, name: str, put: _Exchange) -> list[JsonValue]:
    return [put(kind, item) for item in each_of(document, name, str)]


class Packer:
    """Takes shared parts out of documents that are well formed."""

    def __init__(self, bounds: Bounds) -> None:
        self.parts: dict[str, list[JsonValue]] = {name: [] for name in PART_NAMES}
        self._bounds = bounds
        self._places: dict[tuple[str, bytes], str] = {}

    def pack(self, member: Document) -> Document:
        """The member with references instead of its shared parts. Raises: UnavailableError: too much in all."""
        return _exchange_member(member, self._put)

    def _put(self, kind: str, value: JsonValue) -> JsonValue:
        if kind == "block":
            block = expect_object(value, "block")
            pin = {name: block[name] for name in ("first", "last", "root")}
            proof = _exchange_each("block_hashes", block, "proof", self._put)
            return {"pin": self._put("pins", pin), "proof": proof}
        key = (kind, encode_canonical(value))
        self._bounds.count(_size(value, key[1]))
        if key not in self._places:
            self._places[key] = str(len(self.parts[kind]))
            self.parts[kind].append(value)
        return self._places[key]


class Unpacker:
    """Puts shared parts back; how much that makes is bounded, for a reference is shorter than its part."""

    def __init__(self, parts: Document, bounds: Bounds) -> None:
        """Read the parts. Raises: MalformedError: another kind than text or object where that belongs."""
        self._bounds = bounds
        self._parts: dict[str, tuple[JsonValue, ...]] = {}
        for name in PART_NAMES:
            if name in _TEXTS:
                self._parts[name] = each_of(parts, name, str)
            else:
                items = parts[name]
                if not isinstance(items, list):
                    raise MalformedError(f"{name} is not an array")
                self._parts[name] = tuple(expect_object(item, name) for item in items)
        self._sizes: dict[tuple[str, int], int] = {}

    def unpack(self, member: Document) -> Document:
        """The member with its parts.

        Raises:
            MalformedError: a reference to nothing.
            UnavailableError: too much in all.
        """
        return _exchange_member(member, self._put)

    def _put(self, kind: str, value: JsonValue) -> JsonValue:
        if kind == "block":
            block = expect_members(value, "block", ("pin", "proof"))
            pin = expect_members(self._put("pins", block["pin"]), "a pin", ("first", "last", "root"))
            return pin | {"proof": _exchange_each("block_hashes", block, "proof", self._put)}
        at = parse_number({"reference": value}, "reference")
        if at >= len(self._parts[kind]):
            raise MalformedError(f"the bundle has {len(self._parts[kind])} {kind}, none at {at}")
        part = self._parts[kind][at]
        if (kind, at) not in self._sizes:
            self._sizes[kind, at] = _size(part, b"" if isinstance(part, str) else encode_canonical(part))
        self._bounds.count(self._sizes[kind, at])
        return part


def _size(part: JsonValue, written: bytes) -> int:
    return len(part) if isinstance(part, str) else len(written)
