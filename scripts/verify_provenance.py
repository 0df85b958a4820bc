#!/usr/bin/env python3
"""Verify evidence offline, under a policy of one's own: one line a step, and a verdict in a sentence.

    python scripts/verify_provenance.py EVIDENCE... --policy POLICY [--data PATH] [--rpc URL] [--json]

Exit code 0: verified, 1: refuted, 2: undetermined, 3: a usage error or a malformed policy. Of several evidence files
the worst verdict counts, refuted before undetermined. Imports nothing but the verifier.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

if __package__ in {None, ""}:  # run as a file from a checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ledger.errors import MalformedError
from ledger.evidence import Node, Policy, Report, Verdict, Verifier, parse_policy, summarize, verify_all
from ledger.evidence.sentence import format_sentence, to_document

__all__ = ["main"]

_EXIT_CODES: Final = {Verdict.VERIFIED: 0, Verdict.REFUTED: 1, Verdict.UNDETERMINED: 2}
_USAGE_ERROR: Final = 3


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_USAGE_ERROR, f"{self.prog}: error: {message}\n")


class _UsageError(Exception):
    """What was asked for can not be done; the message says why."""


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
        files = [(name, _read(Path(name), "evidence")) for name in options.evidence]
    except _UsageError as error:
        print(f"verify_provenance: {error}", file=sys.stderr)
        return _USAGE_ERROR
    reports = verify_all(Verifier(policy, node), files, options.data)
    try:
        (_print_json if options.json else _print_text)(policy, reports)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader went away; the exit code still counts
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _EXIT_CODES[summarize(reports)]


def _parser() -> _Parser:
    parser = _Parser(
        prog="verify_provenance",
        description="Verify evidence offline, under a policy of your own.",
        epilog="Exit code 0: verified, 1: refuted, 2: undetermined, 3: usage error or malformed policy.",
    )
    parser.add_argument("evidence", nargs="+", metavar="EVIDENCE", help="evidence files (docs/spec/evidence.md)")
    parser.add_argument("--policy", required=True, type=Path, help="what you trust (docs/spec/policy.md)")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="the data: one version's folder, or the folder that holds each as provider/slug@version",
    )
    parser.add_argument("--rpc", metavar="URL", help="a node of your choice, to look blocks up and to check the policy")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _load_policy(path: Path) -> Policy:
    try:
        return parse_policy(_read(path, "policy"))
    except MalformedError as error:
        raise _UsageError(f"the policy {path} is malformed: {error}") from error


def _open_node(url: str | None) -> Node | None:
    try:
        return None if url is None else Node(url)
    except MalformedError as error:
        raise _UsageError(str(error)) from error


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise _UsageError(f"the {what} {path} can not be read: {error}") from error


def _print_text(policy: Policy, reports: Sequence[Report]) -> None:
    print(f"policy SHA-256 {policy.sha256}")
    for report in reports:
        print(f"\n{_escape(report.source)}")
        for step in report.steps:
            print(f"  {_escape(step.to_line())}")
        print(f"  {report.verdict.upper()}\n  {_escape(format_sentence(report))}")
    if len(reports) > 1:
        print("\nsummary")
        for report in reports:
            name = f" {'/'.join(report.dataset)}" if report.dataset else ""
            kind = report.statement.type.name if report.statement else "unreadable"
            print(f"  {report.verdict.value:<12} {kind}{name} ({_escape(report.source)})")
        print(f"{summarize(tuple(reports)).upper()}: {len(reports)} evidence files")


def _print_json(policy: Policy, reports: Sequence[Report]) -> None:
    document = {
        "policy_sha256": policy.sha256,
        "verdict": summarize(tuple(reports)).value,
        "reports": [to_document(report) for report in reports],
    }
    print(json.dumps(document, indent=2))


def _escape(text: str) -> str:
    """Keep what evidence says from driving the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


if __name__ == "__main__":
    sys.exit(main())
