#!/usr/bin/env python3
"""Verify evidence offline, under a policy of one's own: one line a step, and a verdict in a sentence.

    python scripts/verify_provenance.py EVIDENCE... --policy POLICY [--data PATH] [--rpc URL] [--json]
    ... EVIDENCE... --policy POLICY --permitted-at 2026-11-21T10:00:00Z [--grant DIGEST] [--version N] [--right read]
    ... EVIDENCE --policy POLICY --export-tlog-proof OUT
    ... EVIDENCE --policy POLICY --upgrade NEWER --tiles FOLDER|URL --output OUT

EVIDENCE is of a statement, an event, a breach, a fork or a delivery, or a bundle of such. Exit code 0: verified, 1:
refuted, 2: undetermined, 3: a usage error or a malformed policy. Of several evidence files the worst verdict counts,
refuted before undetermined. Imports nothing but the verifier.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if __package__ in {None, ""}:  # run as a file from a checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.lineage import verify_all
from ledger.evidence.opening import open_files
from ledger.evidence.permission import PermissionQuestion, judge_permission, parse_moment, parse_rights
from ledger.evidence.policy import Policy, parse_policy
from ledger.evidence.report import Report, Verdict, summarize
from ledger.evidence.sentence import format_sentence, to_document
from ledger.evidence.tree import draw_lineage
from ledger.evidence.verify import Verifier
from ledger.types import Bytes32
from scripts.usage import USAGE_ERROR, Parser, UsageError

if TYPE_CHECKING:
    from ledger.evidence.evidence import Evidence
    from ledger.evidence.node import Node

__all__ = ["main"]

_EXIT_CODES: Final = {Verdict.VERIFIED: 0, Verdict.REFUTED: 1, Verdict.UNDETERMINED: 2}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that can not show a character gets it escaped; the program never ends on one.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        policy = _load_policy(options.policy)
        node = _open_node(options.rpc)
        question = _read_question(options)
        files = [(name, _read(Path(name), "evidence")) for name in options.evidence]
        files = _make_files(options, files)
    except UsageError as error:
        print(f"verify_provenance: {error}", file=sys.stderr)
        return USAGE_ERROR
    reports = verify_all(Verifier(policy, node), files, options.data)
    if question is not None:
        reports = judge_permission(reports, question)
    try:
        (_print_json if options.json else _print_text)(policy, reports)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader went away; the exit code still counts
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _EXIT_CODES[summarize(reports)]


def _parser() -> Parser:
    parser = Parser(
        prog="verify_provenance",
        description="Verify evidence offline, under a policy of your own.",
        epilog="Exit code 0: verified, 1: refuted, 2: undetermined, 3: usage error or malformed policy.",
    )
    parser.add_argument(
        "evidence", nargs="+", metavar="EVIDENCE", help="evidence files and bundles (docs/spec/evidence.md)"
    )
    parser.add_argument("--policy", required=True, type=Path, help="what you trust (docs/spec/policy.md)")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="the data: one version's folder, or the folder that holds each as provider/slug@version",
    )
    parser.add_argument("--rpc", metavar="URL", help="a node of your choice, to look blocks up and to check the policy")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asking = parser.add_argument_group("was it permitted", "answered from the attestations of grants")
    when = asking.add_mutually_exclusive_group()
    when.add_argument("--permitted-at", metavar="TIME", help="at this moment: 2026-11-21T10:00:00Z")
    when.add_argument("--permitted", action="store_true", help="at which moments")
    asking.add_argument("--grant", metavar="DIGEST", help="by this grant alone; without: by any, so no answer is no")
    asking.add_argument("--version", type=int, metavar="N", help="for this version of the dataset")
    asking.add_argument("--right", action="append", metavar="RIGHT", help="to do this: read, derive...; repeatable")
    making = parser.add_argument_group("made out of one evidence file")
    making.add_argument("--export-tlog-proof", type=Path, metavar="OUT", help="its inclusion proof, as C2SP tlog-proof")
    making.add_argument("--upgrade", type=Path, metavar="NEWER", help="link it to the checkpoint of newer evidence")
    making.add_argument("--tiles", metavar="FOLDER|URL", help="with --upgrade: the log, to prove the link")
    making.add_argument("--output", type=Path, metavar="OUT", help="with --upgrade: where the linked evidence goes")
    return parser


def _read_question(options: argparse.Namespace) -> PermissionQuestion | None:
    is_asked = options.permitted or options.permitted_at is not None
    if not is_asked:
        if options.grant is not None or options.version is not None or options.right:
            raise UsageError("--grant, --version and --right belong to --permitted-at or --permitted")
        return None
    try:
        at = None if options.permitted_at is None else parse_moment(options.permitted_at)
        right = parse_rights(options.right) if options.right else None
        grant = None if options.grant is None else Bytes32.parse(options.grant)
    except MalformedError as error:
        raise UsageError(str(error)) from error
    return PermissionQuestion(at, options.version, right, grant)


def _make_files(options: argparse.Namespace, files: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Make what was asked for out of the one evidence file; what is verified then is the linked one."""
    if any(each is not None for each in (options.tiles, options.output)) and options.upgrade is None:
        raise UsageError("--tiles and --output belong to --upgrade")
    if options.upgrade is not None:
        if options.tiles is None or options.output is None:
            raise UsageError("--upgrade needs --tiles, where the log is, and --output, where the evidence goes")
        raw = _link(_read_one(files), options)
        _write(options.output, raw)
        files = [(str(options.output), raw)]
    if options.export_tlog_proof is not None:
        from ledger.evidence.build import export_tlog_proof  # noqa: PLC0415 - seldom needed, and slow to import

        try:
            _write(options.export_tlog_proof, export_tlog_proof(_read_one(files)))
        except MalformedError as error:
            raise UsageError(f"{files[0][0]} has no checkpoint to export: {error}") from error
    return files


def _link(evidence: Evidence, options: argparse.Namespace) -> bytes:
    from ledger.evidence.upgrading import link_evidence  # noqa: PLC0415 - seldom needed, and slow to import
    from ledger.log.mirror import Mirror  # noqa: PLC0415

    newer = _read_one([(str(options.upgrade), _read(options.upgrade, "newer evidence"))])
    try:
        mirror = Mirror(options.tiles)
        # As many entries as the log says it has: what is read counts after it proves the link.
        tiles = mirror.reader(_size_of(mirror.fetch_checkpoint()))
        return link_evidence(evidence, newer, tiles).to_bytes()
    except LedgerError as error:
        raise UsageError(f"the evidence can not be linked to {options.upgrade}: {error}") from error


def _size_of(note: bytes) -> int:
    from ledger.log.checkpoint import Checkpoint  # noqa: PLC0415 - as above
    from ledger.log.note import SignedNote  # noqa: PLC0415

    return Checkpoint.parse(SignedNote.parse(note).text).size


def _read_one(files: Sequence[tuple[str, bytes]]) -> Evidence:
    from ledger.evidence.evidence import Evidence  # noqa: PLC0415 - for this alone

    opened = open_files(files)
    if len(opened) == 1 and isinstance(opened[0].content, Evidence):
        return opened[0].content
    raise UsageError(f"{', '.join(name for name, _ in files)}: one evidence file of a statement is needed for that")


def _write(path: Path, raw: bytes) -> None:
    try:
        path.write_bytes(raw)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can not be written: {error}") from error


def _load_policy(path: Path) -> Policy:
    try:
        return parse_policy(_read(path, "policy"))
    except MalformedError as error:
        raise UsageError(f"the policy {path} is malformed: {error}") from error


def _open_node(url: str | None) -> Node | None:
    if url is None:
        return None
    from ledger.evidence.node import Node  # noqa: PLC0415 - HTTP is slow to import and seldom needed

    try:
        return Node(url)
    except MalformedError as error:
        raise UsageError(str(error)) from error


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"the {what} {path} can not be read: {error}") from error


def _print_text(policy: Policy, reports: Sequence[Report]) -> None:
    print(f"policy SHA-256 {policy.sha256}")
    for report in reports:
        print(f"\n{_escape(report.source)}")
        for step in report.steps:
            print(f"  {_escape(step.to_line())}")
        print(f"  {report.verdict.upper()}\n  {_escape(format_sentence(report))}")
    if len(reports) > 1:
        _print_summary(reports)


def _print_summary(reports: Sequence[Report]) -> None:
    tree = draw_lineage(reports)
    if any(line.depth for line in tree):
        print("\nlineage")
        for line in tree:
            print(f"  {_escape(line.to_text())}")
    print("\nsummary")
    for report in reports:
        name = f" {'/'.join(report.dataset)}" if report.dataset else ""
        print(f"  {report.verdict.value:<12} {_kind_of(report)}{name} ({_escape(report.source)})")
    print(f"{summarize(tuple(reports)).upper()}: {len(reports)} evidence files")


def _kind_of(report: Report) -> str:
    if report.shown is not None:
        return report.shown.name
    if report.statement is not None:
        return report.statement.type.name
    return str(report.claim.facts.get("kind", "unreadable")) if report.claim else "unreadable"


def _print_json(policy: Policy, reports: Sequence[Report]) -> None:
    document = {
        "policy_sha256": policy.sha256,
        "verdict": summarize(tuple(reports)).value,
        "reports": [to_document(report) for report in reports],
        "lineage": [line.to_document() for line in draw_lineage(reports)],
    }
    print(json.dumps(document, indent=2))


def _escape(text: str) -> str:
    """Keep what evidence says from driving the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


if __name__ == "__main__":
    sys.exit(main())
