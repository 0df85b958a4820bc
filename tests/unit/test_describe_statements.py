"""The page on statements says what the vocabulary says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.statements import STATEMENT_TYPES
from scripts import describe_statements


def test_the_committed_page_is_up_to_date() -> None:
    assert describe_statements.main(["--check"]) == 0


def test_every_type_has_its_section() -> None:
    page = describe_statements.describe()
    assert all(f"\n## {name}\n" in page for name in STATEMENT_TYPES)


def test_a_stale_page_is_noticed_and_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(describe_statements, "PAGE", tmp_path / "statements.md")
    assert describe_statements.main(["--check"]) == 1
    assert "out of date" in capsys.readouterr().err
    assert describe_statements.main([]) == 0
    assert describe_statements.main(["--check"]) == 0
