"""The auditor's kit: what is in it, that it is made the same twice, and that its own check finds what is wrong.

Wheels of dependencies come from an index, which `make auditor-kit` asks; here the kit is made without them.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ledger.evidence import Verdict, Verifier, parse_policy, summarize, verify_all
from scripts import build_auditor_kit, check_auditor_kit
from scripts.build_auditor_kit import PLATFORMS, build_kit, pin_requirements, write_archive

ROOT = Path(__file__).parents[2]
_START = """
import runpy, sys
wheel, module, *absent = sys.argv[1:]
sys.path.insert(0, wheel)
sys.modules |= dict.fromkeys(absent)
sys.argv[1:] = []
runpy.run_module(module, run_name="__main__")
"""
"""Starts a module as it is in a wheel, where some packages are not installed."""


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_kit(tmp_path_factory.mktemp("kit"), [], [])


def unpack(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    (found,) = folder.iterdir()
    return found


def test_what_is_in_it(kit: Path, tmp_path: Path) -> None:
    folder = unpack(kit, tmp_path)
    assert kit.name == f"{folder.name}.zip"
    names = {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}
    assert names >= {
        "README.md",
        "LICENSE",
        "WHEELS.txt",
        "SHA256SUMS",
        "requirements.txt",
        "docs/spec/evidence.md",
        "docs/operating/auditing.md",
        "scripts/verify_provenance.py",
        "scripts/audit_report.py",
        "scripts/usage.py",
        "example/policy.json",
        "example/bundle.json",
        "example/EXPECTED.txt",
    }
    (wheel,) = folder.glob("wheels/*.whl")
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() in (folder / "requirements.txt").read_text()
    with zipfile.ZipFile(wheel) as packed:
        inside = packed.namelist()
    assert "ledger/evidence/verify.py" in inside
    assert {"scripts/audit/page.py", "scripts/usage.py"} <= {*inside}
    assert not [name for name in inside if name.startswith(("tests", "bench")) or "__pycache__" in name]


@pytest.mark.parametrize("name", ["verify_provenance", "audit_report", "check_consistency", "fsck"])
def test_its_programs_start_from_its_wheel_and_answer_wrong_usage_alike(kit: Path, tmp_path: Path, name: str) -> None:
    (wheel,) = unpack(kit, tmp_path).glob("wheels/*.whl")
    started = [sys.executable, "-I", "-c", _START, str(wheel), f"scripts.{name}", *check_auditor_kit._FORBIDDEN]
    done = subprocess.run(started, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert done.stderr.startswith(f"usage: {name} ")
    assert f"{name}: error: " in done.stderr


def test_its_readme_starts_nothing_from_the_folder_where_one_stands(kit: Path, tmp_path: Path) -> None:
    """Python puts that folder before the kit's own packages, and it may have come with the evidence."""
    text = (unpack(kit, tmp_path) / "README.md").read_text()
    started = [line for line in text.splitlines() if "bin/python" in line or "python.exe" in line]
    assert started
    assert all("python -I -m scripts." in line for line in started)


@pytest.mark.slow
def test_it_is_made_the_same_twice(kit: Path, tmp_path: Path) -> None:
    assert build_kit(tmp_path, [], []).read_bytes() == kit.read_bytes()


def test_the_example_has_the_verdict_that_is_expected(kit: Path, tmp_path: Path) -> None:
    folder = unpack(kit, tmp_path)
    policy = parse_policy((folder / "example/policy.json").read_bytes())
    files = [("bundle.json", (folder / "example/bundle.json").read_bytes())]
    reports = verify_all(Verifier(policy), files, folder / "example/data")
    assert summarize(reports) is Verdict.VERIFIED
    expected = (folder / "example/EXPECTED.txt").read_text().splitlines()
    assert expected[:2] == [f"policy SHA-256 {policy.sha256}", f"VERIFIED: {len(reports)} evidence files"]


def test_its_check_finds_what_is_wrong(kit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_auditor_kit.main([str(kit)]) == 1  # without its dependencies it can not be installed
    assert "pip install" in capsys.readouterr().err
    for name, change, words in (
        ("README.md", "changed", "README.md is not the file that SHA256SUMS names"),
        ("more.txt", "surplus", "['more.txt']"),
    ):
        folder = unpack(kit, tmp_path / name)
        (folder / name).write_text(change)
        archive = write_archive(folder, tmp_path / f"{name}.zip")
        assert check_auditor_kit.main([str(archive)]) == 1
        assert words in capsys.readouterr().err


def test_every_dependency_is_pinned_and_nothing_of_the_service_is_one() -> None:
    names = build_auditor_kit._dependencies()
    assert names >= {"coincurve", "cryptography", "pycryptodome", "rfc8785"}
    assert names.isdisjoint({"web3", "sqlalchemy", "fastapi", "httpx", "pydantic", "typer", "msgspec"})
    pinned = pin_requirements((ROOT / "requirements" / "run.txt").read_text(), names)
    assert all(f"\n{name}==" in f"\n{pinned}" for name in names)
    assert pinned.count("--hash=sha256:") > len(names)
    with pytest.raises(KeyError):
        pin_requirements(pinned, ["web3"])


def test_a_wheel_that_is_not_to_be_had_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def refuse(command: str, *arguments: str) -> None:
        asked.append((command, *arguments))
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(build_auditor_kit, "_pip", refuse)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    missing = build_auditor_kit._fetch_wheels(tmp_path, wheels, ["windows-amd64"], ["3.12"])
    assert "coincurve for windows-amd64, Python 3.12" in missing
    assert all("--require-hashes" in each and ":all:" in each for each in asked)
    text = build_auditor_kit._describe_wheels(wheels, missing)
    assert "coincurve for windows-amd64" in text
    assert set(PLATFORMS) == {"linux-x86_64", "linux-aarch64", "macos-arm64", "macos-x86_64", "windows-amd64"}


def test_the_program(kit: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(build_auditor_kit, "build_kit", lambda *_: kit)
    assert build_auditor_kit.main(["--platform", "linux-x86_64", "--python", "3.11"]) == 0
    assert capsys.readouterr().out == f"{hashlib.sha256(kit.read_bytes()).hexdigest()}  {kit}\n"
