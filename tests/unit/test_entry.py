"""`concord` where only the verifier was installed."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder

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


def test_stopped_while_modules_load_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stopping(MetaPathFinder):
        def find_spec(self, fullname: str, _path: object, _target: object = None) -> None:
            if fullname == "scripts.concord":
                raise KeyboardInterrupt

    for name in [each for each in sys.modules if each.startswith("scripts.concord")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Stopping(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        entry.concord()
    assert (ended.value.code, capsys.readouterr().err) == (130, "concord: stopped\n")
