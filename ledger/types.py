"""Value types of the ledger: bytes inside, lower-case 0x-hex only at the edge."""

from __future__ import annotations

import re
from typing import Any, Self

from ledger.errors import MalformedError

__all__ = ["Address", "Bytes32", "parse_hex"]

_HEX = re.compile(r"0x(?:[0-9a-f]{2})*\Z")


def parse_hex(text: str, size_bytes: int | None = None) -> bytes:
    """Read ``0x``-prefixed lower-case hex, strictly: what it accepts re-encodes to itself.

    Raises:
        MalformedError: other prefix, upper case, odd length, or not ``size_bytes`` long.
    """
    if not isinstance(text, str) or not _HEX.match(text):
        raise MalformedError("expected lower-case hex with a 0x prefix")
    raw = bytes.fromhex(text[2:])
    if size_bytes is not None and len(raw) != size_bytes:
        raise MalformedError(f"expected {size_bytes} bytes of hex, found {len(raw)}")
    return raw


class _Fixed(bytes):
    """Immutable bytes of one length; ``str()`` is its 0x-hex."""

    SIZE = 0
    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        if len(raw) != cls.SIZE:
            raise MalformedError(f"{cls.__name__} takes {cls.SIZE} bytes, found {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read from lower-case 0x-hex. Raises: MalformedError."""
        return cls(parse_hex(text, cls.SIZE))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> object:
        """Tell pydantic, where it is installed, the JSON form: lower-case 0x-hex of one length."""
        from pydantic_core import PydanticCustomError, core_schema  # noqa: PLC0415 - the verifier has no pydantic

        def read(value: Any) -> _Fixed:
            try:
                return value if isinstance(value, cls) else cls.parse(value)
            except MalformedError as error:
                raise PydanticCustomError("hex", "{reason}", {"reason": str(error)}) from error

        return core_schema.no_info_plain_validator_function(
            read,
            json_schema_input_schema=core_schema.str_schema(pattern=f"^0x[0-9a-f]{{{2 * cls.SIZE}}}$"),
            serialization=core_schema.to_string_ser_schema(),
        )

    def __str__(self) -> str:
        return "0x" + self.hex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"


class Bytes32(_Fixed):
    """A digest, id, salt or root: ``0x9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08``."""

    SIZE = 32
    __slots__ = ()


class Address(_Fixed):
    """An Ethereum account: ``0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed`` (no checksum case)."""

    SIZE = 20
    __slots__ = ()
