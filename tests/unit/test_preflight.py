"""What make needs and lacks is met with a message that names the fix."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import preflight

PROGRAM = Path(preflight.__file__)


def test_this_python_will_do() -> None:
    assert preflight.main(["python"]) == 0


def test_an_old_python_is_told_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    assert preflight.main(["python"]) == 1
    message = capsys.readouterr().err
    assert "Python 3.11 or later" in message
    assert "make PYTHON=" in message


def test_a_missing_venv_module_names_its_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert preflight.main(["python"]) == 1
    assert "apt install python3-venv" in capsys.readouterr().err


@pytest.mark.parametrize("version", [None, "v18.19.0", "nonsense"])
def test_node_is_missing_or_old(
    version: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if version is not None:
        for name in ("node", "npm"):
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\necho {version}\n")
            program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert preflight.main(["node"]) == 1
    assert "Node 20 or later" in capsys.readouterr().err


def test_a_new_node_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("node", "npm"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho v22.1.0\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert preflight.main(["node"]) == 0


def test_it_runs_as_make_runs_it() -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), "python"], check=False, env=dict(os.environ))
    assert done.returncode == 0
