#!/usr/bin/env python3
"""Try an auditor's kit as its README says: a fresh environment, no network, no index, no web3.

    python scripts/check_auditor_kit.py dist/concord-auditor-kit-VERSION.zip

Every socket but those within the machine is refused while it runs; where the system lets it (Linux, `unshare`), there
is no network at all. Exit code 0: the example's verdict is the expected one, and that of a changed byte refutes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["main"]

_FORBIDDEN: Final = ("web3", "eth", "sqlalchemy", "fastapi", "httpx", "pydantic")
_BLOCK: Final = """
import socket

def _refuse(*_):
    raise OSError("the kit is tried without a network")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = _refuse
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check; a step that fails ends it with what it said."""
    parser = argparse.ArgumentParser(prog="check_auditor_kit", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("archive", type=Path, nargs="+")
    for archive in parser.parse_args(arguments).archive:
        with tempfile.TemporaryDirectory() as work:
            try:
                _check(archive, Path(work))
            except _WrongError as error:
                print(f"check_auditor_kit: {archive.name}: {error}", file=sys.stderr)
                return 1
        print(f"{archive.name}: installed without a network and without web3, the verdicts are as expected")
    return 0


class _WrongError(Exception):
    """The kit does not do what its README says."""


def _check(archive: Path, work: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(work)
    (kit,) = work.iterdir()
    _check_sums(kit)
    venv.create(kit / "kit", with_pip=True)
    python = next(each for each in (kit / "kit/bin/python", kit / "kit/Scripts/python.exe") if each.exists())
    (packages,) = [*kit.glob("kit/lib/python*/site-packages"), *kit.glob("kit/Lib/site-packages")]
    (packages / "sitecustomize.py").write_text(_BLOCK)
    install = ["-m", "pip", "install", "--quiet", "--no-index", "--find-links", "wheels", "--require-hashes"]
    _run(kit, python, [*install, "--requirement", "requirements.txt"])
    _check_absent(kit, python)
    verify = [str(python.parent / "concord-verify"), "example/bundle.json", "--policy", "example/policy.json"]
    verify += ["--data", "example/data"]
    said = _run(kit, None, verify)
    for line in (kit / "example/EXPECTED.txt").read_text().splitlines()[:2]:
        if line not in said.splitlines():
            raise _WrongError(f"the verdict lacks the line {line!r}")
    report = [str(python.parent / "concord-audit"), "example/evidence", "--policy", "example/policy.json"]
    _run(kit, None, [*report, "--out", "r.html"])
    _check_isolated(kit, python)
    changed = next(path for path in sorted(kit.glob("example/data/**/*.csv")))
    changed.write_bytes(bytes([changed.read_bytes()[0] ^ 1]) + changed.read_bytes()[1:])
    _run(kit, None, verify, expected=1)


def _check_isolated(kit: Path, python: Path) -> None:
    """The programs that have no command of their own are the kit's, whatever lies in the folder where one stands."""
    for name in ("check_consistency", "fsck"):
        trap = kit / "trap" / "scripts"
        trap.mkdir(parents=True, exist_ok=True)
        (trap / f"{name}.py").write_text("raise SystemExit(77)")
        (trap / "__init__.py").write_text("")
        _run(trap.parent, python, ["-I", "-m", f"scripts.{name}", "--help"])


def _check_sums(kit: Path) -> None:
    listed = dict(line.split("  ", 1)[::-1] for line in (kit / "SHA256SUMS").read_text().splitlines())
    found = {path.relative_to(kit).as_posix(): path for path in kit.rglob("*") if path.is_file()}
    del found["SHA256SUMS"]
    if set(found) != set(listed):
        raise _WrongError(f"SHA256SUMS and the files differ: {sorted(set(found) ^ set(listed))}")
    for name, path in found.items():
        if hashlib.sha256(path.read_bytes()).hexdigest() != listed[name]:
            raise _WrongError(f"{name} is not the file that SHA256SUMS names")


def _check_absent(kit: Path, python: Path) -> None:
    wanted = f"import importlib.util as u; print([n for n in {_FORBIDDEN!r} if u.find_spec(n)])"
    found = _run(kit, python, ["-c", wanted]).strip()
    if found != "[]":
        raise _WrongError(f"the kit installed {found}")


def _run(kit: Path, python: Path | None, arguments: Sequence[str], expected: int = 0) -> str:
    command = [*([str(python)] if python else []), *arguments]
    done = subprocess.run(  # noqa: S603 - our own programs
        [*_isolation(), *command], cwd=kit, env=_environment(), capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode != expected:
        raise _WrongError(
            f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        )
    return done.stdout


def _isolation() -> list[str]:
    """A network of its own without any interface, where the system lets us have one."""
    unshare, true = shutil.which("unshare"), shutil.which("true")
    if unshare is None or true is None:
        return []
    command = [unshare, "--net", "--map-root-user"]
    is_allowed = subprocess.run([*command, true], capture_output=True, check=False).returncode == 0  # noqa: S603
    return command if is_allowed else []


def _environment() -> dict[str, str]:
    """This environment without what tells Python or pip where to look."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV"))}


if __name__ == "__main__":
    sys.exit(main())
