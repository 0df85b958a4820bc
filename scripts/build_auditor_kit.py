#!/usr/bin/env python3
"""Build the auditor's kit: one archive with all that a laptop without a network needs to check evidence.

    python -m scripts.build_auditor_kit [--out FOLDER] [--platform NAME ...] [--python VERSION ...]

The archive holds the verifier and its dependencies as wheels (pinned by the hashes of requirements/run.txt), the
programs, the formats, an example whose verdict is known, and SHA256SUMS. The same inputs make the same bytes. Wheels
are fetched from the index that pip is configured for; a wheel that a platform lacks is named in WHEELS.txt.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ledger.evidence import build_bundle, parse_policy

__all__ = ["PLATFORMS", "build_kit", "main", "pin_requirements", "write_archive"]

_ROOT: Final = Path(__file__).resolve().parents[1]
_NAME: Final = "concord-ledger"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
PLATFORMS: Final[dict[str, tuple[str, ...]]] = {
    "linux-x86_64": ("manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_28_x86_64", "manylinux_2_34_x86_64"),
    "linux-aarch64": ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "manylinux_2_28_aarch64"),
    "macos-arm64": ("macosx_11_0_arm64", "macosx_12_0_arm64", "macosx_13_0_arm64", "macosx_14_0_arm64"),
    "macos-x86_64": ("macosx_10_15_x86_64", "macosx_12_0_x86_64", "macosx_13_0_x86_64", "macosx_14_0_x86_64"),
    "windows-amd64": ("win_amd64",),
}
"""The platforms by name, with the tags of their wheels, those of the oldest systems first"""
_PYTHONS: Final = ("3.11", "3.12", "3.13")
_PROGRAMS: Final = ("verify_provenance.py", "audit_report.py", "check_consistency.py", "fsck.py", "usage.py")
_PACKAGES: Final = ("api", "ledger", "scripts")
_UNPACKED: Final = "data.tar.xz"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the kit and say where it is."""
    parser = argparse.ArgumentParser(prog="build_auditor_kit", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=_ROOT / "dist", metavar="FOLDER")
    parser.add_argument("--platform", action="append", choices=[*PLATFORMS], help="default: all; repeatable")
    parser.add_argument("--python", action="append", metavar="VERSION", help=f"default: {', '.join(_PYTHONS)}")
    options = parser.parse_args(arguments)
    archive = build_kit(options.out, options.platform or [*PLATFORMS], options.python or _PYTHONS)
    print(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive}")
    return 0


def build_kit(out: Path, platforms: Iterable[str], pythons: Sequence[str]) -> Path:
    """Build the archive in ``out`` and return its path. Raises: subprocess.CalledProcessError: pip fails."""
    version = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]
    with tempfile.TemporaryDirectory() as work:
        kit = Path(work) / f"concord-auditor-kit-{version}"
        wheels = kit / "wheels"
        wheels.mkdir(parents=True)
        own = _build_own_wheel(Path(work), wheels)
        missing = _fetch_wheels(Path(work), wheels, platforms, pythons)
        _write_requirements(kit, own, version)
        (kit / "WHEELS.txt").write_text(_describe_wheels(wheels, missing))
        _copy_texts(kit)
        _copy_example(kit / "example")
        _write_sums(kit)
        return write_archive(kit, out / f"{kit.name}.zip")


def pin_requirements(locked: str, names: Iterable[str]) -> str:
    """The lines of a locked requirements file that are about the packages, with their hashes. Raises: KeyError."""
    blocks = re.split(r"\n(?=\S)", locked.strip())
    by_name = {re.split(r"[=\s;\[]", block, maxsplit=1)[0].lower(): block for block in blocks}
    return "\n".join(by_name[name] for name in sorted(names)) + "\n"


def write_archive(folder: Path, target: Path) -> Path:
    """Pack a folder so that the same files make the same archive."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            member = zipfile.ZipInfo(path.relative_to(folder.parent).as_posix(), _EPOCH)
            is_packed = path.suffix in {".whl", ".xz", ".zip"}
            member.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
            member.create_system = 3  # permissions count, wherever it was made
            member.external_attr = (0o100755 if path.suffix == ".py" else 0o100644) << 16
            archive.writestr(member, path.read_bytes())
    return target


def _build_own_wheel(work: Path, wheels: Path) -> Path:
    """Build the project's wheel from a copy, in which nothing else lies, and pack it again without times."""
    source, built = work / "source", work / "built"
    source.mkdir()
    for name in _PACKAGES:
        shutil.copytree(_ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(_ROOT / name, source / name)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(built), str(source))
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    target = wheels / wheel.name
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(content, key=lambda each: (".dist-info/" in each, each)):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.compress_type, member.create_system, member.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
            archive.writestr(member, content[name])
    return target


def _fetch_wheels(work: Path, wheels: Path, platforms: Iterable[str], pythons: Sequence[str]) -> list[str]:
    """Fetch the dependencies' wheels; return which could not be had."""
    locked = (_ROOT / "requirements" / "run.txt").read_text()
    names = sorted(_dependencies())
    everything = pin_requirements(locked, names)
    return [
        f"{name} for {platform}, Python {python}"
        for platform in platforms
        for python in pythons
        if not _download(work, wheels, everything, platform, python)
        for name in names
        if not _download(work, wheels, pin_requirements(locked, [name]), platform, python)
    ]


def _dependencies() -> set[str]:
    """The names of all that the verifier needs, by what is installed here."""
    found: set[str] = set()
    pending = [_NAME]
    while pending:
        for requirement in importlib.metadata.requires(pending.pop()) or []:
            name = re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0].lower().replace("_", "-")
            if "extra ==" not in requirement and name not in found:
                found.add(name)
                pending.append(name)
    return found


def _download(work: Path, wheels: Path, requirements: str, platform: str, python: str) -> bool:
    """Fetch wheels for one platform and Python; say whether all were there."""
    file = work / "wanted.txt"
    file.write_text(requirements)
    tags = [part for tag in PLATFORMS[platform] for part in ("--platform", tag)]
    target = ("--implementation", "cp", "--python-version", python, *tags)
    options = ("--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", str(wheels))
    try:
        _pip("download", *options, *target, "--requirement", str(file))
    except subprocess.CalledProcessError:
        return False
    return True


def _pip(command: str, *arguments: str) -> None:
    program = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", command, *arguments]
    subprocess.run(program, check=True, capture_output=True)  # noqa: S603 - our own interpreter


def _write_requirements(kit: Path, own: Path, version: str) -> None:
    """Pin every wheel of the kit by its hash, so that nothing else can be installed from it."""
    hashes: dict[str, set[str]] = {}
    for wheel in kit.glob("wheels/*.whl"):
        name, number = wheel.name.split("-")[:2]
        pin = f"{name.lower().replace('_', '-')}=={number}"
        hashes.setdefault(pin, set()).add(hashlib.sha256(wheel.read_bytes()).hexdigest())
    lines = [
        f"{pin} \\\n" + " \\\n".join(f"    --hash=sha256:{each}" for each in sorted(found))
        for pin, found in sorted(hashes.items())
    ]
    (kit / "requirements.txt").write_text(
        f"# {own.name}, version {version}, and what it needs\n" + "\n".join(lines) + "\n"
    )


def _describe_wheels(wheels: Path, missing: Sequence[str]) -> str:
    names = "\n".join(sorted(each.name for each in wheels.iterdir()))
    lacks = "\n".join(missing) or "nothing"
    return f"{names}\n\nNot to be had as wheels (there a compiler or another machine is needed):\n{lacks}\n"


def _copy_texts(kit: Path) -> None:
    shutil.copy(_ROOT / "docs" / "operating" / "auditor-kit.md", kit / "README.md")
    shutil.copy(_ROOT / "LICENSE", kit / "LICENSE")
    shutil.copytree(_ROOT / "docs" / "spec", kit / "docs" / "spec")
    (kit / "docs" / "operating").mkdir()
    shutil.copy(_ROOT / "docs" / "operating" / "auditing.md", kit / "docs" / "operating" / "auditing.md")
    shutil.copy(_ROOT / "docs" / "trust.md", kit / "docs" / "trust.md")
    (kit / "scripts").mkdir()
    for name in _PROGRAMS:
        shutil.copy(_ROOT / "scripts" / name, kit / "scripts" / name)


def _copy_example(example: Path) -> None:
    """The newest evidence that is kept, its policy and data, as one bundle besides; and the verdict to expect."""
    kept = max((_ROOT / "tests" / "vectors").glob("demo-*"), key=lambda each: _version_of(each.name))
    shutil.copytree(kept / "evidence", example / "evidence")
    shutil.copy(kept / "policy.json", example / "policy.json")
    with tarfile.open(kept / _UNPACKED) as archive:
        archive.extractall(example, filter="data")
    members = [path.read_bytes() for path in sorted((example / "evidence").glob("*.json"))]
    (example / "bundle.json").write_bytes(build_bundle(members))
    policy = parse_policy((example / "policy.json").read_bytes())
    (example / "EXPECTED.txt").write_text(
        f"policy SHA-256 {policy.sha256}\nVERIFIED: {len(members)} evidence files\n"
        "exit code 0; after any byte of the data or the evidence was changed: REFUTED, exit code 1\n"
    )


def _version_of(name: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", name)]


def _write_sums(kit: Path) -> None:
    sums: Mapping[str, str] = {
        path.relative_to(kit).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in kit.rglob("*")
        if path.is_file()
    }
    (kit / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))


if __name__ == "__main__":
    sys.exit(main())
