"""`make demo`: see ``scripts.demo``."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Final

from ledger.errors import LedgerError
from scripts.demo.audit import collect, tamper, verify
from scripts.demo.closing import CLOSING
from scripts.demo.display import Display
from scripts.demo.enterprises import found_consortium, hand_out_api_keys, load_cast
from scripts.demo.service import running
from scripts.demo.story import Story

FOLDER: Final = Path("var/demo")


def _prepare(folder: Path, *, keep: bool) -> bool:
    """A fresh state, or the one that is there; returns whether it continues one."""
    if keep and (folder / "secrets.json").exists():
        return True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return False


def _run(folder: Path, display: Display, *, keep: bool) -> None:
    continuing = _prepare(folder, keep=keep)
    if not continuing:
        with display.working("founding the consortium"):
            found_consortium(folder)
    passphrase = load_cast(folder).passphrase
    with running(folder / "gateway", passphrase, folder / "service.log") as service:
        cast = load_cast(folder) if continuing else hand_out_api_keys(folder, service.url)
        story = Story(folder, service.url, cast, display, keep=continuing)
        story.tell()
        display.chapter(7, "Everything that was stated is in the log, and the auditor takes its evidence")
        with cast.client(service.url, "auditor") as auditor, display.working("collecting evidence"):
            count = collect(folder, service.url, auditor, passphrase)
        display.fact(f"{count} statements with their evidence, and the policy that pins the chain")
    shutil.rmtree(folder / "log", ignore_errors=True)
    shutil.copytree(folder / "gateway" / "log", folder / "log")
    display.chapter(8, "The service is stopped; the auditor verifies all of it from the files")
    verify(folder, display)
    made = story.made["analytics/charging"]
    evidence = next((folder / "evidence").glob(f"{story.index_of(made):04d}-*.json"))
    tamper(folder, evidence, made.version, display)
    display.plain(CLOSING.format(folder=folder, evidence=evidence, version=made.version))


def main() -> int:
    """Run the demo; exit 0 when everything was as it must be."""
    parser = argparse.ArgumentParser(description="The main job of Concord, end to end.")
    parser.add_argument("--keep", action="store_true", help="continue with the state of an earlier run")
    arguments = parser.parse_args()
    display, began = Display(), time.monotonic()
    try:
        _run(FOLDER, display, keep=arguments.keep)
    except LedgerError as error:
        print(f"\nthe demo stopped: {error}\n(the service's own log: {FOLDER}/service.log)", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    display.plain(f"\nDone in {time.monotonic() - began:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
