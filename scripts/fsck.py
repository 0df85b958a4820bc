#!/usr/bin/env python3
"""Rebuild a whole log, every tile and every root of it, and say where it first departs from what it should be.

    python scripts/fsck.py --home FOLDER [--database URL] [--content URL] [--policy POLICY --rpc URL]
    python scripts/fsck.py --log FOLDER|URL --policy POLICY [--rpc URL]

With a gateway's home (running or stopped) the tree is built from the stored statements too, every signature is
recovered again, and the roots are compared with every checkpoint that the gateway signed and with every one that it
read from its chain; entries without statement, statements without entry, signatures of other keys, a second content
registered for a version, data files whose bytes are not their hash, and sealed versions whose ciphertext is not what
the log says (no key is needed) are found. With --rpc the checkpoints are those of a node of your choice. What was not
checked is said. Memory stays flat, however long the log is.

Exit code 0: nothing found, 1: findings, 2: could not find out, 3: a usage error.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if __package__ in {None, ""}:  # run as a file from a checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ledger.content import FileEntry
from ledger.errors import LedgerError, MalformedError, NotFoundError, VerificationError
from ledger.evidence import Node, Policy, parse_checkpoint_published, parse_policy
from ledger.evidence.events import EVENTS
from ledger.evidence.fork import SignedCheckpoint
from ledger.evidence.log_note import find_signer
from ledger.evidence.node import verify_node
from ledger.log import Checkpoint, VerifierKey
from ledger.log.fsck import Anchor, Finding, LogCheck
from ledger.log.mirror import Mirror
from ledger.types import Bytes32
from scripts.usage import USAGE_ERROR, Parser, UsageError

if TYPE_CHECKING:
    from ledger.store import Store

__all__ = ["main"]

_CLEAN: Final = 0
_FINDINGS: Final = 1
_UNDETERMINED: Final = 2
_MOST_SHOWN: Final = 50
_MOST_KEPT: Final = 10_000
_REFRESH_S: Final = 0.2
_PUBLISHED: Final = "the published checkpoint"


@dataclass
class _Result:
    """What was looked at, what was found, and what was left out."""

    origin: str = ""
    size: int = 0
    root: bytes = b""
    checkpoints: int = 0
    files: int = 0
    sealings: int = 0
    signatures: int = 0
    count: int = 0
    findings: list[Finding] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    reason: str = ""

    def add(self, findings: Iterable[Finding]) -> None:
        """Count findings, and keep the first thousands of them."""
        for each in findings:
            self.count += 1
            if len(self.findings) < _MOST_KEPT:
                self.findings.append(each)

    def sorted(self) -> list[Finding]:
        return sorted(self.findings, key=lambda each: (each.index is None, each.index or 0))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that can not show a character gets it escaped; the program never ends on one.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    result = _Result()
    try:
        policy, node = _load_trust(options)
        (_check_home if options.home is not None else _check_mirror)(options, policy, node, result)
    except UsageError as error:
        print(f"fsck: {error}", file=sys.stderr)
        return USAGE_ERROR
    except LedgerError as error:
        result.reason = str(error)
    code = _FINDINGS if result.findings else _UNDETERMINED if result.reason else _CLEAN
    try:
        _print(code, result, as_json=options.json)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader went away; the exit code still counts
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _parser() -> Parser:
    parser = Parser(
        prog="fsck",
        description="Rebuild a log from its entries and statements, and compare it with every checkpoint.",
        epilog="Exit code 0: nothing found, 1: findings, 2: could not find out, 3: usage error.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--home", type=Path, metavar="FOLDER", help="a gateway's home, running or stopped")
    what.add_argument("--log", metavar="FOLDER|URL", help="a log's tiles, as C2SP lays them out")
    parser.add_argument("--policy", type=Path, help="what you trust (docs/spec/policy.md)")
    parser.add_argument("--rpc", metavar="URL", help="a node of your choice: every checkpoint on chain is read there")
    parser.add_argument("--database", metavar="URL", help="the home's database, where it is not in the folder")
    parser.add_argument("--content", metavar="URL", help="the home's data files, where they are not in the folder")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _load_trust(options: argparse.Namespace) -> tuple[Policy | None, Node | None]:
    if options.policy is None and (options.log is not None or options.rpc is not None):
        raise UsageError("--log and --rpc need --policy: without it nothing says which log and which chain")
    if options.log is not None and (options.database or options.content):
        raise UsageError("--database and --content belong to --home")
    try:
        node = None if options.rpc is None else Node(options.rpc)
        policy = None if options.policy is None else parse_policy(options.policy.read_bytes())
    except (OSError, MalformedError) as error:
        raise UsageError(f"policy or node: {error}") from error
    if node is not None and policy is not None:
        verify_node(node, policy)
    return policy, node


def _check_mirror(options: argparse.Namespace, policy: Policy | None, node: Node | None, result: _Result) -> None:
    """A log alone, its statements being nobody's to show."""
    if policy is None:
        raise UsageError("--log needs --policy")
    try:
        mirror = Mirror(options.log)
    except MalformedError as error:
        raise UsageError(str(error)) from error
    note = mirror.fetch_checkpoint()
    pinned = find_signer(policy, [note])
    published = SignedCheckpoint.verify(note, pinned.keys).checkpoint
    on_chain = _fetch_anchors(node, policy, pinned.id, result)
    anchors = [*on_chain, Anchor(_PUBLISHED, published.size, published.root)]
    _describe(result, published, on_chain)
    result.not_checked.append("statements and second roots (only a gateway's home holds statements)")
    progress = _progress(options, "entries", published.size)
    result.add(LogCheck(mirror.fetch_tile, published.size, anchors, on_progress=progress).run())


def _check_home(options: argparse.Namespace, policy: Policy | None, node: Node | None, result: _Result) -> None:
    """Everything that a gateway keeps."""
    try:
        from ledger.exchange.home_check import HomeCheck  # noqa: PLC0415 - loads what only a gateway needs
        from ledger.exchange.settings import Home  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        reason = f"--home needs the service's packages ({error.name} is missing): pip install '.[service]'"
        raise UsageError(reason) from error

    home = Home(options.home)
    try:
        with HomeCheck.open(home, options.database) as check:
            # Chain and folder are read before the database's last checkpoint: a running gateway is never ahead of it.
            asks_node = node is not None and policy is not None
            own = check.anchors()
            on_chain = _fetch_anchors(node, policy, check.config.log, result) if asks_node else own
            published = _load_published(check.mirror, check.keys(), result)
            last = check.last()
            _describe(result, last, on_chain)
            anchors = [*on_chain, *published, Anchor("the database's last checkpoint", last.size, last.root)]
            result.add(check.check_log(anchors, last.size, _progress(options, "entries", last.size)))
            result.signatures = check.statements.signatures
            if check.statements.by_contract:
                left = (
                    f"{check.statements.by_contract} signatures that only the executing contract can check (ERC-1271)"
                )
                result.not_checked.append(left)
            _check_content(options, home.content_folder, check.files(), result)
            _check_sealings(options, home.content_folder, check.store, result)
    except NotFoundError as error:
        raise UsageError(str(error)) from error
    if not asks_node:
        result.not_checked.append("that the chain says what the gateway read from it (--rpc asks a node of yours)")


def _check_content(options: argparse.Namespace, folder: Path, files: Sequence[FileEntry], result: _Result) -> None:
    from ledger.content.store import ContentStore  # noqa: PLC0415 - loads what only a gateway needs
    from ledger.exchange.home_check import check_files  # noqa: PLC0415 - as above

    result.files = len(files)
    if not files:
        return
    if options.content is None and not folder.is_dir():
        result.add([Finding("file", f"{folder} is missing, where {len(files)} data files were stored")])
        return
    progress = _progress(options, "bytes of data", sum(each.size_bytes for each in files))
    result.add(asyncio.run(check_files(ContentStore.open(options.content or folder), files, progress)))


def _check_sealings(options: argparse.Namespace, folder: Path, store: Store, result: _Result) -> None:
    from ledger.content.store import ContentStore  # noqa: PLC0415 - loads what only a gateway needs
    from ledger.exchange.sealing_check import check_sealings, sealed_size_of  # noqa: PLC0415 - as above

    sealings = store.sealings.list_current()
    result.sealings = len(sealings)
    if not sealings:
        return
    if options.content is None and not folder.is_dir():
        result.add([Finding("sealing", f"{folder} is missing, where {len(sealings)} sealed versions were stored")])
        return
    content = ContentStore.open(options.content or folder)
    progress = _progress(options, "bytes of sealed data", sum(map(sealed_size_of, sealings)))
    result.add(asyncio.run(check_sealings(content, store, sealings, progress)))


def _load_published(mirror: Mirror, keys: Sequence[VerifierKey], result: _Result) -> list[Anchor]:
    try:
        published = SignedCheckpoint.verify(mirror.fetch_checkpoint(), keys).checkpoint
    except (NotFoundError, MalformedError, VerificationError) as error:
        result.add([Finding("root", f"{_PUBLISHED}: {error}")])
        return []
    return [Anchor(_PUBLISHED, published.size, published.root)]


def _fetch_anchors(node: Node | None, policy: Policy | None, log: Bytes32, result: _Result) -> list[Anchor]:
    """Every checkpoint that the chain keeps of the log, as the node tells it."""
    if node is None or policy is None:
        result.not_checked.append("the checkpoints on chain (--rpc names a node to read them from)")
        return []
    contract = policy.address_of("CheckpointLog")
    anchors: list[Anchor] = []
    for event in node.fetch_events(contract, [EVENTS["CheckpointPublished"].topic], 0, node.fetch_head()):
        if event.topics[1:2] == (log,):
            found = parse_checkpoint_published(event, contract)
            anchors.append(Anchor("the checkpoint on chain", found.size, found.root))
    return anchors


def _describe(result: _Result, last: Checkpoint, on_chain: Sequence[Anchor]) -> None:
    result.origin, result.size, result.root = last.origin, last.size, last.root
    result.checkpoints = len(on_chain)


def _progress(options: argparse.Namespace, what: str, total: int) -> Callable[[int], None]:
    """A line on a terminal that somebody watches."""
    if options.json or not sys.stderr.isatty():
        return lambda _: None

    started, last = time.monotonic(), [0.0]

    def show(done: int) -> None:
        now = time.monotonic()
        if done < total and now - last[0] < _REFRESH_S:
            return
        last[0] = now
        rate = done / max(now - started, 0.001)
        left = "" if done >= total else f", {_duration((total - done) / max(rate, 0.001))} left"
        line = f"{done:,} of {total:,} {what}, {rate:,.0f} a second{left}"
        print(f"\r{line:<78}", end="\n" if done >= total else "", file=sys.stderr, flush=True)

    return show


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def _print(code: int, result: _Result, *, as_json: bool) -> None:
    verdict = {_CLEAN: "clean", _FINDINGS: "findings", _UNDETERMINED: "undetermined"}[code]
    findings = result.sorted()
    first = next((each.index for each in findings if each.index is not None), None)
    if as_json:
        document = {
            "verdict": verdict,
            "origin": result.origin,
            "size": result.size,
            "root": base64.b64encode(result.root).decode(),
            "checkpoints_on_chain": result.checkpoints,
            "files": result.files,
            "sealings": result.sealings,
            "signatures": result.signatures,
            "findings_in_all": result.count,
            "first_divergence": first,
            "findings": [{"kind": each.kind, "index": each.index, "message": each.message} for each in findings],
            "not_checked": result.not_checked,
            "reason": result.reason or None,
        }
        print(json.dumps(document, indent=2))
        return
    if result.origin:
        counts = f"{result.checkpoints} checkpoints on chain, {result.files} data files"
        counts += f", {result.sealings} sealed versions" if result.sealings else ""
        counts += f", {result.signatures} signatures recovered" if result.signatures else ""
        print(_escape(f"log {result.origin}, {result.size} entries, {counts}"))
    if first is not None:
        print(f"first divergence: index {first}")
    for each in findings[:_MOST_SHOWN]:
        print(_escape(f"  {each.kind}: {each.message}"))
    if result.count > _MOST_SHOWN:
        print(f"  and {result.count - _MOST_SHOWN} more (--json lists {len(findings)})")
    for line in result.not_checked:
        print(_escape(f"not checked: {line}"))
    if result.reason:
        print(_escape(f"could not find out: {result.reason}"))
    print(verdict.upper())


def _escape(text: str) -> str:
    """Keep what a file says from driving the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


if __name__ == "__main__":
    sys.exit(main())
