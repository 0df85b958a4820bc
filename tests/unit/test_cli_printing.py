"""How answers look to people."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from ledger.types import Bytes32
from scripts.concord.printing import count_of, lines_of, print_table, text_of

LONG = "0x" + "ab" * 32


@dataclass(frozen=True)
class Vote:
    """Something with members."""

    governor: Bytes32
    at: datetime


@dataclass(frozen=True)
class Proposal:
    """Something with such members."""

    name: str
    votes: tuple[Vote, ...]
    facts: dict[str, object]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (datetime(2026, 11, 1, 9, tzinfo=UTC), "2026-11-01 09:00:00Z"),
        (Decimal("740.25"), "740.25"),
        ((), "-"),
        (("a", None), "a, -"),
        ((("a", 1), ("b", 2)), "a, 1; b, 2"),
        (frozenset({"write", "read"}), "read, write"),
        ({"a": "東京"}, '{"a": "東京"}'),
        ("Hawkeye Püwer 電力", "Hawkeye Püwer 電力"),
        ("\x1b[31mred\x07\nline", "\\x1b[31mred\\x07\\nline"),
    ],
)
def test_values_on_one_line(value: object, text: str) -> None:
    assert text_of(value) == text


def test_members_stand_in_lines_those_of_members_below_them() -> None:
    vote = Vote(Bytes32(b"\1" * 32), datetime(2026, 11, 1, tzinfo=UTC))
    one, two = (lines_of(Proposal("x", (vote,) * number, {})) for number in (1, 2))
    assert one == [
        "name:  x", "votes:", f"  governor: {vote.governor}", "  at:       2026-11-01 00:00:00Z", "facts: {}",
    ]  # fmt: skip
    assert two == [*one[:4], "  -", *one[2:4], "facts: {}"]
    assert lines_of({"a\x1b": {"b": 1}}) == ["a\\x1b:", "  b: 1"]
    assert lines_of("nothing with members") == []


def test_counts() -> None:
    assert [count_of(number, "file") for number in (0, 1, 3_072_013)] == ["0 files", "1 file", "3,072,013 files"]


def rows(*titles: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(title=title, id=LONG) for title in titles]


def test_a_table_for_programs_has_a_row_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(rows("[bold]x[/nothing]", "電" * 100, "\x1b[2J"), {"title": "TITLE", "id": "ID"})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 4
    assert printed[0].split() == ["TITLE", "ID"]
    assert all(line.endswith(LONG) for line in printed[1:])
    assert printed[1].startswith("[bold]x[/nothing] ")
    assert printed[3].startswith("\\x1b[2J ")


def test_a_table_for_people_keeps_to_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    print_table(rows("power"), {"title": "TITLE", "id": "ID"})
    printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert len(printed) > 2
    assert max(map(len, printed)) <= 60
