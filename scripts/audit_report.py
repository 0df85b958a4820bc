#!/usr/bin/env python3
"""Make a report of what evidence shows: one HTML file that opens without a network and prints well.

    python scripts/audit_report.py EVIDENCE... --policy POLICY [--dataset PROVIDER/SLUG] [--from TIME] [--until TIME]
                                   [--data PATH] [--log FOLDER|URL] [--rpc URL] [--out REPORT.html] [--pdf REPORT.pdf]

EVIDENCE are evidence files, and folders of which every .json file is taken. With --log the whole log is read too: it is
rebuilt, compared with the checkpoints in the evidence, and the entries that no evidence shows are counted.

Exit code 0: all in scope verified, 1: something refuted, 2: something undetermined or nothing in scope, 3: a usage
error or a malformed policy. Imports nothing but the verifier.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

if __package__ in {None, ""}:  # run as a file from a checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ledger.errors import LedgerError, MalformedError, NotFoundError, UnavailableError
from ledger.evidence import Node, Verdict, parse_policy
from scripts.audit import Period, Request, Scope, find_chromium, print_pdf, read_audit, render_page
from scripts.audit.markup import visible
from scripts.audit.pieces import find_files
from scripts.audit.scope import parse_time
from scripts.usage import USAGE_ERROR, Parser

__all__ = ["main"]

_EXIT_CODES: Final = {Verdict.VERIFIED: 0, Verdict.REFUTED: 1, Verdict.UNDETERMINED: 2}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        request = _read_request(options)
        made_at = int(time.time()) if options.as_of is None else parse_time(options.as_of)
        audit = read_audit(request, _show_progress)
        page = render_page(audit, title=options.title, made_at=made_at)
        options.out.write_text(page, encoding="utf-8", errors="backslashreplace")
    except (LedgerError, OSError) as error:
        print(f"audit_report: {visible(str(error))}", file=sys.stderr)
        return USAGE_ERROR
    counts = ", ".join(f"{audit.counts[each]} {each.value}" for each in Verdict)
    print(f"policy SHA-256 {request.policy.sha256}")
    print(f"report in {visible(str(options.out))}")
    if options.pdf is not None:
        _print_pdf(options.out, options.pdf)
    print(f"{audit.verdict.value.upper()}: {len(audit.in_scope)} in scope ({counts})")
    return _EXIT_CODES[audit.verdict]


def _parser() -> Parser:
    parser = Parser(
        prog="audit_report",
        description="Make a report of what evidence shows: one HTML file that opens without a network.",
        epilog="Exit code 0: verified, 1: refuted, 2: undetermined or nothing in scope, 3: usage error.",
    )
    parser.add_argument(
        "evidence", nargs="+", type=Path, metavar="EVIDENCE", help="evidence files, or folders with .json files"
    )
    parser.add_argument("--policy", required=True, type=Path, help="what you trust (docs/spec/policy.md)")
    parser.add_argument("--dataset", metavar="PROVIDER/SLUG", help="one data set, by its name or its id")
    parser.add_argument("--from", dest="first", metavar="TIME", help="first moment, UTC: 2026-01-01 or with time and Z")
    parser.add_argument("--until", metavar="TIME", help="the moment before which the period ends, UTC")
    parser.add_argument("--data", type=Path, metavar="PATH", help="the data, as verify_provenance takes them")
    parser.add_argument("--log", metavar="FOLDER|URL", help="the log's tiles, to be rebuilt and its entries counted")
    parser.add_argument("--rpc", metavar="URL", help="a node of your choice, to look blocks up and check the policy")
    parser.add_argument("--title", help="the heading; by default the scope")
    parser.add_argument("--as-of", metavar="TIME", help="the time that the report bears, instead of now")
    parser.add_argument("--out", type=Path, default=Path("audit-report.html"), metavar="FILE", help="the page")
    parser.add_argument("--pdf", type=Path, metavar="FILE", help="print it, too, with the Chromium of this machine")
    return parser


def _read_request(options: argparse.Namespace) -> Request:
    raw = options.policy.read_bytes()
    try:
        policy = parse_policy(raw)
    except MalformedError as error:
        raise MalformedError(f"the policy {options.policy} is malformed: {error}") from error
    sources, left_out = find_files(options.evidence, raw)
    bounds = (None if each is None else parse_time(each) for each in (options.first, options.until))
    return Request(
        policy=policy,
        sources=sources,
        scope=Scope(Period(*bounds), options.dataset),
        left_out=left_out,
        data=options.data,
        node=None if options.rpc is None else Node(options.rpc),
        log=options.log,
    )


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done:,} of {total:,} entries", end="\n" if done >= total else "", file=sys.stderr, flush=True)


def _print_pdf(page: Path, target: Path) -> None:
    """Print the page; without a browser say how, for the page is there all the same."""
    try:
        print_pdf(find_chromium(), page, target)
    except (NotFoundError, UnavailableError) as error:
        print(f"audit_report: {visible(str(error))}", file=sys.stderr)
    else:
        print(f"printed to {visible(str(target))}")


if __name__ == "__main__":
    sys.exit(main())
