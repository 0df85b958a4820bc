"""The page printed to PDF by a Chromium that is found on the machine, without network and with a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from ledger.errors import NotFoundError, UnavailableError

__all__ = ["find_chromium", "print_pdf"]

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_APPLICATIONS: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
_TIMEOUT_S: Final = 120


def find_chromium() -> str:
    """Return a Chromium's program. Raises: NotFoundError: none is found."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    found = found or next((each for each in _APPLICATIONS if Path(each).is_file()), None)
    if found is None:
        raise NotFoundError("no Chromium or Chrome is found here: open the page in a browser and print it to PDF")
    return found


def print_pdf(chromium: str, page: Path, target: Path) -> None:
    """Print a page. Raises: UnavailableError: the browser fails, or takes longer than two minutes."""
    with tempfile.TemporaryDirectory() as profile:
        command = [
            chromium,
            "--headless",
            *(("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()),  # root has no sandbox
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            "--no-pdf-header-footer",
            f"--print-to-pdf={target.resolve()}",
            page.resolve().as_uri(),
        ]
        target.unlink(missing_ok=True)
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT_S)  # noqa: S603 - no shell
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnavailableError(f"{chromium} did not print: {error}") from error
    if not target.is_file():
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise UnavailableError(f"{chromium} printed nothing (exit code {done.returncode}): {' '.join(said)}")
