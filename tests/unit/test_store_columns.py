"""What a column gives back is what was put in, and nothing where there was nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeDecorator

from ledger.errors import MalformedError
from ledger.store.columns import AddressBytes, CanonicalJson, DigestBytes, Moment, Seconds, Uint64, Uint256, to_moment
from ledger.types import Address, Bytes32

DIALECT = sqlite.dialect()
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("column", "value", "kept"),
    [
        (DigestBytes(), Bytes32(b"\x01" * 32), b"\x01" * 32),
        (AddressBytes(), Address(b"\x02" * 20), b"\x02" * 20),
        (Uint64(), 7, "7".zfill(20)),
        (Uint256(), 2**256 - 1, str(2**256 - 1)),
        (Moment(), NOON.replace(microsecond=5), int(NOON.timestamp()) * 1_000_000 + 5),
        (Seconds(), NOON, int(NOON.timestamp())),
        (CanonicalJson(), {"b": 1, "a": [True]}, '{"a":[true],"b":1}'),
    ],
)
def test_what_is_kept_and_given_back(column: TypeDecorator[Any], value: object, kept: object) -> None:
    assert column.process_bind_param(value, DIALECT) == kept
    found = column.process_result_value(kept, DIALECT)
    assert (found, type(found)) == (value, type(value))
    assert column.process_bind_param(None, DIALECT) is None
    assert column.process_result_value(None, DIALECT) is None


@pytest.mark.parametrize(("column", "size"), [(DigestBytes(), 31), (AddressBytes(), 32)])
def test_bytes_of_another_length_are_not_kept(column: TypeDecorator[Any], size: int) -> None:
    with pytest.raises(MalformedError, match=f"found {size}"):
        column.process_bind_param(bytes(size), DIALECT)


def test_a_moment_without_a_time_zone_is_not_kept() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        Moment().process_bind_param(NOON.replace(tzinfo=None), DIALECT)


def test_a_blocks_time() -> None:
    assert to_moment(int(NOON.timestamp())) == NOON
