"""Base64 and decimal numbers in C2SP texts: one spelling for each value."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from ledger.errors import MalformedError

__all__ = ["MAX_NUMBER", "format_base64", "parse_base64", "parse_decimal"]

MAX_NUMBER: Final = 2**63 - 1  # what Go's tlog reads, and far below a contract's uint64
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)


def parse_base64(text: str, size_bytes: int | None = None) -> bytes:
    """Read standard base64 with padding (RFC 4648, section 4), canonical bits included.

    Raises:
        MalformedError: another alphabet, wrong padding, bits set that no byte holds, or another size.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise MalformedError("not base64") from error
    if format_base64(raw) != text:
        raise MalformedError("base64 that is not canonical")
    if size_bytes is not None and len(raw) != size_bytes:
        raise MalformedError(f"expected {size_bytes} bytes in base64, found {len(raw)}")
    return raw


def format_base64(raw: bytes) -> str:
    """Write standard base64 with padding."""
    return base64.b64encode(raw).decode("ascii")


def parse_decimal(text: str) -> int:
    """Read an ASCII decimal without leading zeros, at most 2^63 - 1. Raises: MalformedError."""
    if not _DECIMAL.match(text) or int(text) > MAX_NUMBER:
        raise MalformedError("not a decimal number without leading zeros, at most 2^63 - 1")
    return int(text)
