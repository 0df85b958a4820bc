"""Old evidence stays good: what the demo of each version made verifies with this one, and a changed byte does not."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
KEPT = sorted((ROOT / "tests" / "vectors").glob("demo-*"))


def verify(kept: Path, data: Path) -> subprocess.CompletedProcess[str]:
    evidence = sorted(str(path) for path in (kept / "evidence").glob("*.json"))
    program = [sys.executable, str(ROOT / "scripts" / "verify_provenance.py"), *evidence]
    arguments = ["--policy", str(kept / "policy.json"), "--data", str(data)]
    return subprocess.run([*program, *arguments], capture_output=True, text=True, check=False, timeout=100)


def unpack(kept: Path, target: Path) -> Path:
    with tarfile.open(kept / "data.tar.xz") as archive:
        archive.extractall(target, filter="data")
    return target / "data"


def test_a_version_is_kept() -> None:
    assert KEPT, "run make demo, then python -m tests.support.demo_fixture VERSION"


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name)
def test_it_verifies(kept: Path, tmp_path: Path) -> None:
    done = verify(kept, unpack(kept, tmp_path))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.name)
def test_a_changed_byte_is_refuted(kept: Path, tmp_path: Path) -> None:
    data = unpack(kept, tmp_path)
    changed = next(data.glob("analytics/charging@*/hourly_charging.csv"))
    content = bytearray(changed.read_bytes())
    content[(2 << 20) + 99] ^= 1
    changed.write_bytes(content)
    done = verify(kept, data)
    assert done.returncode == 1
    assert "hourly_charging.csv" in done.stdout
    assert "chunk 2" in done.stdout
