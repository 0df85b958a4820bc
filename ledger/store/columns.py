"""Column types that mean the same on SQLite and PostgreSQL.

Numbers that a statement may carry go beyond a signed 64-bit column, so they are kept as decimal digits padded to one
width: readable, and in order. Moments are whole numbers, so that no driver's idea of time zones comes in.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Dialect, LargeBinary, String, Text
from sqlalchemy.types import TypeDecorator

from ledger.canonical import JsonValue, encode_canonical
from ledger.types import Address, Bytes32

__all__ = ["AddressBytes", "CanonicalJson", "DigestBytes", "Moment", "Seconds", "Uint64", "Uint256", "to_moment"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class DigestBytes(TypeDecorator[Bytes32]):
    """32 bytes."""

    impl = LargeBinary(32)
    cache_ok = True

    def process_bind_param(self, value: bytes | None, _dialect: Dialect) -> bytes | None:
        return None if value is None else bytes(Bytes32(value))

    def process_result_value(self, value: Any, _dialect: Dialect) -> Bytes32 | None:
        return None if value is None else Bytes32(bytes(value))


class AddressBytes(TypeDecorator[Address]):
    """20 bytes."""

    impl = LargeBinary(20)
    cache_ok = True

    def process_bind_param(self, value: bytes | None, _dialect: Dialect) -> bytes | None:
        return None if value is None else bytes(Address(value))

    def process_result_value(self, value: Any, _dialect: Dialect) -> Address | None:
        return None if value is None else Address(bytes(value))


class _Digits(TypeDecorator[int]):
    """A whole number as decimal digits, padded with zeros to one width."""

    impl = String
    cache_ok = True
    width = 0

    def __init__(self) -> None:
        super().__init__(self.width)

    def process_bind_param(self, value: int | None, _dialect: Dialect) -> str | None:
        return None if value is None else f"{value:0{self.width}d}"

    def process_result_value(self, value: Any, _dialect: Dialect) -> int | None:
        return None if value is None else int(value)


class Uint64(_Digits):
    """A uint64 of a statement."""

    cache_ok = True
    width = 20


class Uint256(_Digits):
    """A uint256 of a statement."""

    cache_ok = True
    width = 78


class Moment(TypeDecorator[datetime]):
    """An aware moment, as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> int | None:
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError("a moment without a time zone")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, _dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


class Seconds(TypeDecorator[datetime]):
    """The time of a block, as seconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> int | None:
        return None if value is None else int(value.timestamp())

    def process_result_value(self, value: Any, _dialect: Dialect) -> datetime | None:
        return None if value is None else to_moment(value)


class CanonicalJson(TypeDecorator[Any]):
    """A JSON value as RFC 8785 text, so that equal values are equal bytes."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: JsonValue, _dialect: Dialect) -> str | None:
        return None if value is None else encode_canonical(value).decode()

    def process_result_value(self, value: Any, _dialect: Dialect) -> JsonValue:
        return None if value is None else json.loads(value)


def to_moment(seconds: int) -> datetime:
    """The moment of a block's timestamp."""
    return _EPOCH + timedelta(seconds=seconds)
