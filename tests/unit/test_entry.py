"""`concord` where only the verifier was installed."""

from __future__ import annotations

import sys

import pytest

from scripts import entry


def test_without_the_services_packages_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [each for each in sys.modules if each.startswith("scripts.concord")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as ended:
        entry.concord()
    assert ended.value.code == 3
    assert "pip install '.[service]'" in capsys.readouterr().err


def test_with_them_it_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["concord", "--version"])
    with pytest.raises(SystemExit) as ended:
        entry.concord()
    assert ended.value.code == 0
    assert "0.1.0" in capsys.readouterr().out
