"""The registry's history: a hash chain over every change of participants, keys and governors.

A checkpoint's event carries the chain's head. Records that fold to it are all there are up to that event, so none, a
revocation least of all, can have been left out (docs/spec/evidence.md, step 10).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ledger.errors import MalformedError, UnavailableError
from ledger.keccak import keccak256
from ledger.statements import Custody, HistoryKind
from ledger.types import Address, Bytes32

__all__ = ["History", "HistoryFold", "HistoryRecord", "KeySighting", "Role", "Standing", "compute_history_head"]

_ADDRESS_BITS: Final = 160
_MAX_UINT64: Final = 2**64 - 1


class Role(Enum):
    """What a key is to its participant."""

    SIGNING = "signing key"
    CONTROL = "control key"


class Standing(Enum):
    """What the history says of a participant."""

    NONE = "never admitted"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"


_STANDINGS: Final[dict[int, Standing]] = {
    HistoryKind.ADMITTED: Standing.ACTIVE,
    HistoryKind.SUSPENDED: Standing.SUSPENDED,
    HistoryKind.REINSTATED: Standing.ACTIVE,
    HistoryKind.RETIRED: Standing.RETIRED,
}


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One change, with the number and time (UTC seconds) of its block."""

    kind: int
    participant: Bytes32
    detail: Bytes32
    block: int
    time: int

    def __post_init__(self) -> None:
        """Raise MalformedError unless the numbers fit the contract's."""
        if not (0 <= self.kind <= 0xFF and 0 <= self.block <= _MAX_UINT64 and 0 <= self.time <= _MAX_UINT64):
            raise MalformedError("a history record has a number out of range")

    def standing_after(self, standing: Standing) -> Standing:
        """The standing of its participant, which was ``standing``, after it."""
        return _STANDINGS.get(self.kind, standing)


@dataclass(frozen=True, slots=True)
class KeySighting:
    """Whether a key could act: at the end of the records, and at any moment since a time; and whether it ever served.

    ``serves`` is whether it is the participant's key at the end, ``standing`` the participant's then; ``custody`` is
    who held the key, None where it never was a signing key.
    """

    at_end: bool
    since: bool
    serves: bool
    ever: bool
    standing: Standing
    custody: Custody | None


def compute_history_head(chain_id: int, registry: Address, records: Iterable[HistoryRecord]) -> Bytes32:
    """Fold the records, all from the first, to the head that the registry has after them."""
    return HistoryFold(chain_id, registry).heads(tuple(records))[-1]


class HistoryFold:
    """Folds the histories of one registry; what it folded last is not folded again where the next begins alike."""

    def __init__(self, chain_id: int, registry: Address) -> None:
        self._records: tuple[HistoryRecord, ...] = ()
        self._heads = [Bytes32(keccak256(_word(chain_id) + bytes(12) + registry))]

    def heads(self, records: Sequence[HistoryRecord]) -> Sequence[Bytes32]:
        """The registry's head before the first of the records, which are all from the first, and after each."""
        count = min(len(records), len(self._records))
        given = tuple(records)
        if given[:count] != self._records[:count]:
            count = 0
        if len(given) <= count:
            return self._heads[: len(given) + 1]
        self._records, self._heads = given, self._heads[: count + 1]
        for index in range(count, len(given)):
            self._heads.append(_fold(self._heads[-1], index + 1, given[index]))
        return list(self._heads)


def _fold(head: Bytes32, index: int, record: HistoryRecord) -> Bytes32:
    numbers = _word(index) + _word(record.kind)
    times = _word(record.block) + _word(record.time)
    return Bytes32(keccak256(head + numbers + record.participant + record.detail + times))


@dataclass(frozen=True, slots=True)
class History:
    """The records of one registry, all from the first."""

    records: Sequence[HistoryRecord]

    def check_known(self) -> None:
        """Check that this version knows every kind of record. Raises: UnavailableError: one is newer."""
        for record in self.records:
            if _kind(record) is None:
                raise UnavailableError(f"the history has a record of kind {record.kind}: a newer verifier is needed")

    def sight(
        self, participant: Bytes32, key: Address, role: Role, *, since: int, may_be_suspended: bool
    ) -> KeySighting:
        """Follow one key of one participant.

        It can act while it is the participant's key in that role and the participant is Active (or Suspended, where
        that is enough). ``since`` counts from the beginning of the block of that time: what changed in that very block
        is taken to have been either way.
        """
        enough = {Standing.ACTIVE, Standing.SUSPENDED} if may_be_suspended else {Standing.ACTIVE}
        standing, serves, ever, custody = Standing.NONE, False, False, None
        acted_since = False
        for record in self.records:
            if record.participant != participant:
                continue
            if record.time >= since:
                acted_since = acted_since or (serves and standing in enough)
            standing = record.standing_after(standing)
            serves, held = _apply(record, key, role, serves)
            custody = held if held is not None else custody
            ever = ever or serves
        at_end = serves and standing in enough
        return KeySighting(at_end, acted_since or at_end, serves, ever, standing, custody)


def _apply(record: HistoryRecord, key: Address, role: Role, serves: bool) -> tuple[bool, Custody | None]:
    """Whether ``key`` serves in ``role`` after the record, and its custody if the record says."""
    kind, detail = _kind(record), int.from_bytes(record.detail, "big")
    named = detail % (1 << _ADDRESS_BITS) == int.from_bytes(key, "big")
    if role is Role.CONTROL:
        return (named if kind is HistoryKind.CONTROL_KEY_SET else serves), None
    if kind is HistoryKind.KEY_ADDED and named:
        return True, _custody(detail >> _ADDRESS_BITS)
    if kind is HistoryKind.KEY_REVOKED and named:
        return False, None
    return serves, None


def _custody(value: int) -> Custody:
    try:
        return Custody(value)
    except ValueError as error:
        raise MalformedError(f"custody {value} is not known") from error


def _kind(record: HistoryRecord) -> HistoryKind | None:
    return _KINDS.get(record.kind)


_KINDS: Final = {int(kind): kind for kind in HistoryKind}


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
