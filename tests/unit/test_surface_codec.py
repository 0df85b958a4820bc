"""The JSON form of the surface: strict in, one form out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from ledger.errors import MalformedError
from ledger.statements import Choice, Resource
from ledger.surface.codec import InvalidMembersError, dump_json, dump_value, parse_json, parse_object
from ledger.types import Bytes32


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One of each kind of member."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012 - pydantic's name

    id: Bytes32
    at: datetime
    amount: Decimal
    resource: Resource
    note: str | None = None


ID = Bytes32(b"\xab" * 32)
RAW = b'{"id": "0x%s", "at": "2026-11-01T10:00:00+02:00", "amount": "12.50", "resource": "market-information"}' % (
    ID.hex().encode()
)
THING = Thing(id=ID, at=datetime(2026, 11, 1, 8, tzinfo=UTC), amount=Decimal("12.50"), resource=Resource(6))


def test_an_object_is_read_and_written_in_one_form() -> None:
    assert parse_json(Thing, RAW) == THING
    assert parse_json(Thing, RAW).at.tzinfo is UTC
    written = dump_json(THING)
    assert written == (
        b'{"id":"0x%s","at":"2026-11-01T08:00:00Z","amount":"12.50","resource":"market-information","note":null}'
        % ID.hex().encode()
    )
    assert parse_json(Thing, written) == THING
    assert parse_object(Thing, dump_value(THING)) == THING


@pytest.mark.parametrize(
    ("raw", "member"),
    [
        (b"{", "body"),
        (b"[]", "body"),
        (RAW.replace(b'"id"', b'"ID"'), "id"),
        (RAW.replace(b"0xab", b"0xAB"), "id"),
        (RAW.replace(b"0xab", b"0x"), "id"),
        (RAW.replace(b'"12.50"', b'"many"'), "amount"),
        (RAW.replace(b"market-information", b"6"), "resource"),
        (RAW.replace(b"+02:00", b""), "at"),
        (RAW.replace(b"}", b', "more": 1}'), "more"),
        (RAW.replace(b"}", b', "note": 5}'), "note"),
    ],
)
def test_what_is_not_as_it_must_be_is_told_member_by_member(raw: bytes, member: str) -> None:
    with pytest.raises(InvalidMembersError) as found:
        parse_json(Thing, raw)
    assert member in found.value.members
    assert str(found.value).startswith(f"{next(iter(found.value.members))}: ")
    assert isinstance(found.value, MalformedError)


def test_an_object_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidMembersError):
        parse_object(Thing, {"id": str(ID)})
    with pytest.raises(InvalidMembersError):
        parse_object(Thing, None)


def test_times_of_other_zones_are_put_in_utc() -> None:
    east = THING.at.astimezone(timezone(timedelta(hours=9)))
    raw = RAW.replace(b"2026-11-01T10:00:00+02:00", east.isoformat().encode())
    assert parse_json(Thing, raw).at == THING.at
    assert parse_json(Thing, raw).at.utcoffset() == timedelta(0)


def test_words_stand_for_numbers() -> None:
    assert [each.word for each in Choice] == ["approve", "reject"]
    with pytest.raises(MalformedError, match="approve, reject"):
        Choice.parse_word("abstain")
