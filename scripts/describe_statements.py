"""Write docs/spec/statements.md from the vocabulary; with ``--check``, say whether it is as committed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Final

from ledger.statements.eip712 import encode_type, type_hash
from ledger.statements.vocabulary import (
    PARENT,
    STATEMENT_TYPES,
    Choice,
    Custody,
    Decision,
    Field,
    HistoryKind,
    Resource,
    Right,
    StatementType,
)

__all__ = ["describe", "main"]

PAGE: Final = Path(__file__).parent.parent / "docs" / "spec" / "statements.md"

_HEAD: Final = """# Statements

Generated from `ledger/statements/vocabulary.py` by `scripts/describe_statements.py`. Do not edit.

A statement is an EIP-712 struct, signed by a key of its `participant`: 65 bytes r || s || v, low s, v 27 or 28. Its
domain is `name` "Concord", `version` "1", `chainId`, and `verifyingContract`: the contract named below. Its digest is
keccak256(0x1901 || domain separator || struct hash). In JSON numbers are decimal strings, bytes lower-case 0x-hex.

A type without a function is kept by logs alone, under `CheckpointLog`'s domain. A type with a *cosigner* names a new
key, which signs the same digest to admit itself.
"""


def _describe_type(each: StatementType) -> Iterator[str]:
    executed = f"`{each.contract}.{each.function}`" if each.function else "logs alone"
    cosigned = f", cosigned by `{each.cosigned_by}`" if each.cosigned_by else ""
    yield f"\n## {each.name}\n\n{each.doc}\n"
    yield f"Executed by {executed}; signed by a {each.signed_by} key{cosigned}. Type hash `{type_hash(each)}` of\n"
    yield f"`{encode_type(each)}`\n"
    yield "| Member | Type | Meaning |\n|---|---|---|"
    yield from map(_row, each.fields)


def _row(field: Field) -> str:
    return f"| `{field.name}` | {field.type} | {field.doc.replace('|', chr(92) + '|')} |"


def _describe_numbers(kind: type[IntEnum] | type[IntFlag]) -> Iterator[str]:
    yield f"\n### {kind.__name__}\n\n{(kind.__doc__ or '').strip()}\n"
    yield "| Number | Name |\n|---|---|"
    yield from (f"| {each.value} | {each.name} |" for each in kind)


def describe() -> str:
    """The page's text."""
    lines = [_HEAD]
    lines += [f"| `{name}` | `{each.contract}` | `{each.function or '-'}` |" for name, each in STATEMENT_TYPES.items()]
    lines.insert(1, "| Type | Domain's contract | Function |\n|---|---|---|")
    for each in STATEMENT_TYPES.values():
        lines += _describe_type(each)
    lines += ["\n## Parent\n\nA version that another is derived from.\n", "| Member | Type | Meaning |\n|---|---|---|"]
    lines += map(_row, PARENT)
    lines.append("\n## Numbers")
    for kind in (Custody, Choice, Decision, Resource, Right, HistoryKind):
        lines += _describe_numbers(kind)
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write or check the page; exit 1 when it is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    text = describe()
    if not parser.parse_args(arguments).check:
        PAGE.write_text(text)
        return 0
    if not PAGE.exists() or PAGE.read_text() != text:
        print("docs/spec/statements.md is out of date: run python -m scripts.describe_statements", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
