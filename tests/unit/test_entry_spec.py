"""The example of docs/spec/entry.md is true."""

from __future__ import annotations

from pathlib import Path

from ledger.merkle import leaf_hash
from ledger.statements import Entry
from ledger.types import Bytes32

PAGE = Path(__file__).parent.parent.parent / "docs" / "spec" / "entry.md"


def test_the_example_is_true() -> None:
    raw = Entry.of(Bytes32(b"\x11" * 32), Bytes32(b"\x22" * 32), b"\x33" * 65).to_bytes()
    example = PAGE.read_text().partition("```\n")[2].partition("```")[0].splitlines()
    assert "".join(example[:3]) == raw.hex()
    assert example[3] == f"leaf hash {leaf_hash(raw).hex()}"
