"""Terms in words and as a contract enforces them: purposes, rights, ODRL policies, quantities, units, times."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Final

from ledger.canonical import JsonValue
from ledger.errors import MalformedError
from ledger.keccak import keccak256
from ledger.statements import Right
from ledger.types import Bytes32

__all__ = [
    "build_policy",
    "check_policy",
    "dump_quantity",
    "expand_purpose",
    "hash_purpose",
    "name_rights",
    "parse_quantity",
    "parse_rights",
    "parse_unit",
    "purpose_of_policy",
    "read_time",
    "read_unit",
    "to_seconds",
]

_DPV: Final = "https://w3id.org/dpv#"
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}\Z")
_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]{1,1000}\Z")
_ODRL_CONTEXT: Final = "http://www.w3.org/ns/odrl.jsonld"
_UNBOUND_MEMBERS: Final = frozenset({"uid", "@id", "id", "target", "assigner", "assignee", "assignerOf", "assigneeOf"})
_TIME_OPERANDS: Final = frozenset({"dateTime", "delayPeriod", "elapsedTime", "timeInterval"})
_MAX_UNIT_BYTES: Final = 32
_MOST_DIGITS: Final = 100
"""No quantity below 2^256 has as many, with 18 decimal places."""
_LATEST: Final = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


def to_seconds(moment: datetime) -> int:
    """UTC seconds of an aware time, fractions cut off. Raises: MalformedError: no time zone, or before 1970."""
    if moment.utcoffset() is None:
        raise MalformedError("a time needs its zone: write it in UTC, as 2026-11-21T09:00:00Z")
    seconds = int(moment.timestamp())
    if seconds < 0:
        raise MalformedError("times start in 1970")
    return seconds


def read_time(seconds: int) -> datetime:
    """The aware UTC time of seconds; what lies beyond the year 9999 is read as its end."""
    return datetime.fromtimestamp(min(seconds, _LATEST), UTC)


def expand_purpose(purpose: str) -> str:
    """The purpose's IRI: as it is, or of a word of the Data Privacy Vocabulary (``ResearchAndDevelopment``).

    Raises:
        MalformedError: neither an IRI nor a word.
    """
    if _IRI.match(purpose):
        return purpose
    if _WORD.match(purpose):
        return _DPV + purpose
    raise MalformedError("a purpose is an IRI, or a word of the DPV vocabulary such as ResearchAndDevelopment")


def hash_purpose(iri: str) -> Bytes32:
    """What a contract keeps of a purpose."""
    return Bytes32(keccak256(iri.encode()))


def parse_rights(names: Iterable[str]) -> Right:
    """The bit mask of ODRL actions (``read`` or ``odrl:read``). Raises: MalformedError: unknown, or none."""
    rights = Right(0)
    for name in names:
        try:
            rights |= Right[name.removeprefix("odrl:").upper()]
        except KeyError as error:
            known = ", ".join(each.name.lower() for each in Right if each.name)
            raise MalformedError(f"right {name[:40]!r} is not known; there are {known}") from error
    if not rights:
        raise MalformedError("name one right at least, for instance read")
    return rights


def name_rights(mask: int) -> tuple[str, ...]:
    """The names of the bits; a bit without one is given as ``bit-<n>``."""
    names = {int(each): str(each.name).lower() for each in Right}
    return tuple(names.get(1 << bit, f"bit-{bit}") for bit in range(mask.bit_length()) if mask >> bit & 1)


def build_policy(purpose_iri: str, rights: Right) -> dict[str, JsonValue]:
    """An ODRL policy without ids, target, parties and time: permission of the rights for the purpose."""
    actions: list[JsonValue] = list(name_rights(rights))
    constraint: dict[str, JsonValue] = {"leftOperand": "purpose", "operator": "eq", "rightOperand": purpose_iri}
    return {
        "@context": _ODRL_CONTEXT,
        "@type": "Set",
        "permission": [{"action": actions, "constraint": [constraint]}],
    }


def check_policy(policy: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse a policy that names what the statement itself says: ids, target, parties, time.

    Raises:
        MalformedError: it does, or it has none of permission, prohibition and obligation.
    """
    document = dict(policy)
    if not document.keys() & {"permission", "prohibition", "obligation"}:
        raise MalformedError("an ODRL policy has a permission, a prohibition or an obligation")
    _check_unbound(document)
    return document


def _check_unbound(value: JsonValue) -> None:
    if isinstance(value, list):
        for item in value:
            _check_unbound(item)
    if isinstance(value, dict):
        surplus = sorted(value.keys() & _UNBOUND_MEMBERS)
        if surplus or value.get("leftOperand") in _TIME_OPERANDS:
            raise MalformedError(
                "a policy names no ids, target, parties and time, since the statement does: leave out "
                + (", ".join(surplus) or "constraints of time")
            )
        for item in value.values():
            _check_unbound(item)


def purpose_of_policy(policy: JsonValue, purpose_hash: Bytes32) -> str | None:
    """The IRI that hashes to ``purpose_hash`` among the policy's texts; None when the policy does not tell it."""
    if isinstance(policy, str):
        return policy if hash_purpose(policy) == purpose_hash else None
    children = policy.values() if isinstance(policy, dict) else policy if isinstance(policy, list) else ()
    for child in children:
        found = purpose_of_policy(child, purpose_hash)
        if found is not None:
            return found
    return None


def parse_quantity(quantity: Decimal, decimals: int) -> int:
    """A quantity in units of 10^-decimals.

    Raises:
        MalformedError: not finite, not above zero, beyond 2^256, or with more decimal places than the agreement has.
    """
    if not quantity.is_finite() or quantity <= 0:
        raise MalformedError("a quantity is a number above zero")
    if quantity.adjusted() > _MOST_DIGITS:
        raise MalformedError("the quantity is too large")
    if quantity.adjusted() < -_MOST_DIGITS or len(quantity.as_tuple().digits) > _MOST_DIGITS:
        raise MalformedError(f"the quantity has more than the {decimals} decimal places that quantities here have")
    with localcontext(prec=_MOST_DIGITS + 20):
        scaled = quantity.scaleb(decimals)
        if scaled != scaled.to_integral_value():
            raise MalformedError(f"{quantity} has more than the {decimals} decimal places that quantities here have")
        units = int(scaled)
    if units >= 1 << 256:
        raise MalformedError("the quantity is too large")
    return units


def dump_quantity(units: int, decimals: int) -> Decimal:
    """The quantity that ``units`` of 10^-decimals are, without needless zeros."""
    with localcontext(prec=120):
        return Decimal(f"{(Decimal(units).scaleb(-decimals)).normalize():f}")


def parse_unit(unit: str) -> Bytes32:
    """A UCUM code as a contract keeps it. Raises: MalformedError: empty, not printable ASCII, or beyond 32 bytes."""
    if not unit or len(unit) > _MAX_UNIT_BYTES or any(not "!" <= char <= "~" for char in unit):
        raise MalformedError("a unit is a UCUM code of 1 to 32 ASCII characters, for instance MW.h")
    return Bytes32(unit.encode().ljust(_MAX_UNIT_BYTES, b"\0"))


def read_unit(unit: Bytes32) -> str:
    """The UCUM code of a kept unit."""
    return unit.rstrip(b"\0").decode("ascii", "replace")
