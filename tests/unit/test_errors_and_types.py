"""The error tree and the value types."""

from __future__ import annotations

import pytest

from ledger import errors
from ledger.errors import ConflictError, LedgerError, MalformedError, RefusedError, UnavailableError, VerificationError
from ledger.types import Address, Bytes32, parse_hex


def test_every_public_error_is_a_ledger_error() -> None:
    assert all(issubclass(getattr(errors, name), LedgerError) for name in errors.__all__)


def test_errors_carry_their_facts() -> None:
    finding = VerificationError("differs", expected="a", found="b")
    assert (finding.expected, finding.found) == ("a", "b")
    assert UnavailableError("busy", retry_after_s=3).retry_after_s == 3
    refusal = RefusedError("no", code="grant-revoked", facts={"block": 7})
    assert (refusal.code, refusal.facts) == ("grant-revoked", {"block": 7})
    assert RefusedError("no", code="x").facts == {}
    assert ConflictError("not yet", code="not-final", retry_after_s=1).code == "not-final"


@pytest.mark.parametrize("text", ["", "0X00", "0xA0", "0x0", "00", "0xzz", "0x00\n", "0x 0"])
def test_hex_is_strict(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_hex(text)


def test_hex_of_another_length_is_malformed() -> None:
    assert parse_hex("0x0aff", 2) == b"\x0a\xff"
    with pytest.raises(MalformedError, match="expected 3 bytes"):
        parse_hex("0x0aff", 3)


def test_fixed_types_know_their_length_and_print_as_hex() -> None:
    digest = Bytes32(bytes(range(32)))
    assert Bytes32.parse(str(digest)) == digest
    assert repr(Address(bytes(20))) == "Address(0x" + "00" * 20 + ")"
    with pytest.raises(MalformedError, match="Bytes32 takes 32 bytes, found 31"):
        Bytes32(bytes(31))
    with pytest.raises(MalformedError):
        Address.parse("0x" + "00" * 32)
