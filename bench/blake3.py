"""BLAKE3 of files, on all cores, by the package of its authors: a faster hash, for comparison.

Installed by pip into the benchmarks' cache, once, and used by a process of its own. https://pypi.org/project/blake3
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.bulk_prepared import cache_folder

__all__ = ["hash_files", "install"]

_VERSION: Final = "1.0.11"
_INSTALL_S: Final = 120.0
_HASH: Final = """
import sys
sys.path.insert(0, sys.argv[1])
from blake3 import blake3
for path in sys.argv[2:]:
    blake3(max_threads=blake3.AUTO).update_mmap(path).digest()
"""


def _folder() -> Path:
    return cache_folder() / f"blake3-{_VERSION}"


def install() -> str:
    """Why it is not there; nothing: it is."""
    if _folder().exists():
        return ""
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--only-binary",
        ":all:",
    ]
    try:
        done = subprocess.run(
            [*command, "--target", str(_folder()), f"blake3=={_VERSION}"],
            capture_output=True, text=True, timeout=_INSTALL_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"pip took longer than {_INSTALL_S:.0f} s"
    return f"pip install failed: {done.stderr.strip()[-200:]}" if done.returncode else ""


def hash_files(folder: Path) -> None:
    """Hash every file of ``folder``, one after the other. Raises: subprocess.CalledProcessError."""
    files = [str(path) for path in sorted(folder.iterdir())]
    subprocess.run([sys.executable, "-c", _HASH, str(_folder()), *files], check=True)
