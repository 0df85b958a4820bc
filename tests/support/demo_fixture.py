"""Keep a demo's evidence, policy and data for ever: ``python -m tests.support.demo_fixture VERSION``.

Reads ``var/demo`` after ``make demo`` and writes ``tests/vectors/demo-VERSION``. Every later version must verify it; an
existing one is never written again.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
from pathlib import Path

DEMO = Path("var/demo")
VECTORS = Path(__file__).parent.parent / "vectors"


def keep(version: str) -> Path:
    """Copy the demo's files. Raises: FileExistsError: that version is kept already."""
    target = VECTORS / f"demo-{version}"
    target.mkdir()
    shutil.copytree(DEMO / "evidence", target / "evidence")
    shutil.copy(DEMO / "policy.json", target / "policy.json")
    with tarfile.open(target / "data.tar.xz", "w:xz", preset=9) as archive:
        for path in sorted((DEMO / "data").rglob("*")):
            member = archive.gettarinfo(path, str(path.relative_to(DEMO)))
            member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
            if path.is_file():
                with path.open("rb") as source:
                    archive.addfile(member, source)
    return target


if __name__ == "__main__":
    sys.stdout.write(f"{keep(sys.argv[1])}\n")
