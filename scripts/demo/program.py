"""The demo from end to end: founded, told, collected, verified, cheated."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

from ledger.chain.embedded.folder import FolderLock
from ledger.evidence.policy import parse_policy
from scripts.demo.audit import collect, tamper, verify
from scripts.demo.chain_choice import EMBEDDED, DemoChain
from scripts.demo.closing import Ending, format_closing
from scripts.demo.display import Display
from scripts.demo.enterprises import found_consortium, hand_out_api_keys, load_cast
from scripts.demo.service import running
from scripts.demo.state import read_state
from scripts.demo.story import Story

__all__ = ["run"]


def _prepare(folder: Path, *, keep: bool) -> bool:
    """A fresh state, or the one that is there; returns whether it continues one. Raises: ConflictError: in use."""
    chain = folder / "gateway" / "chain"
    if chain.exists():
        FolderLock(chain).release()  # nobody loses a running service's state
    if keep and read_state(folder / "secrets.json").get("admitted"):
        return True
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return False


def _tell(folder: Path, display: Display, chain: DemoChain, *, continuing: bool) -> Story:
    """Run the service, the story and the auditor's first half."""
    passphrase = load_cast(folder).passphrase
    with (
        (folder / "service.log").open("w") as log,
        running(folder / "gateway", passphrase, log) as service,
    ):
        cast = load_cast(folder) if continuing else hand_out_api_keys(folder, service.url)
        story = Story(folder, service.url, cast, display, chain, keep=continuing)
        with closing(story):
            story.tell()
        display.chapter(7, "Everything that was stated is in the log, and the auditor takes its evidence")
        with cast.client(service.url, "auditor") as auditor, display.working("collecting evidence"):
            count = collect(folder, chain.node_of(service.url), auditor, passphrase)
        display.fact(f"{count} statements with their evidence, and the policy that pins the chain")
    shutil.rmtree(folder / "log", ignore_errors=True)
    shutil.copytree(folder / "gateway" / "log", folder / "log")
    return story


def run(folder: Path, display: Display, *, keep: bool, chain: DemoChain = EMBEDDED) -> None:
    """Run the demo in ``folder``. Raises: LedgerError: something is not as it must be."""
    continuing = _prepare(folder, keep=keep)
    if keep and not continuing:
        display.plain("There is no state to continue with: beginning anew.")
    if not continuing:
        display.plain(f"Founding a consortium of three governors on {chain} ...")
        with display.working("deploying its contracts, drawing its keys"):
            found_consortium(folder, chain)
    story = _tell(folder, display, chain, continuing=continuing)
    display.chapter(8, "The service is stopped; the auditor verifies all of it from the files")
    verify(folder, display)
    made, other = story.made["analytics/charging"], story.made["utility/power"]
    evidence, another = (_find_evidence(folder, story.index_of(each)) for each in (made, other))
    tamper(folder, evidence, made.version, display)
    data = folder / "data" / "analytics" / f"charging@{made.version}"
    sealing = parse_policy((folder / "policy.json").read_bytes()).epochs[-1].validators
    display.plain(format_closing(Ending(folder, evidence, another, data, len(sealing))))


def _find_evidence(folder: Path, index: int) -> Path:
    return next((folder / "evidence").glob(f"{index:04d}-*.json"))
