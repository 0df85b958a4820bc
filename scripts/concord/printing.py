"""How answers look to people: members in lines, lists in tables, times in UTC, nothing that drives the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ledger.content.paths import printable

__all__ = ["count_of", "lines_of", "print_table", "text_of"]

_UNBOUNDED: Final = 100_000
"""Columns where nobody watches: programs that read tables want a row a line."""


def print_table(items: Sequence[object], columns: Mapping[str, str]) -> None:
    """Print one row an item; ``columns`` from attribute to heading."""
    table = Table(box=None, pad_edge=False)
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for item in items:
        table.add_row(*[Text(text_of(getattr(item, name))) for name in columns])
    if sys.stdout.isatty():
        Console(highlight=False).print(table)
        return
    console = Console(width=_UNBOUNDED, highlight=False)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())


def lines_of(value: object, indent: str = "") -> list[str]:
    """The members of an object, a line each, those of its members below it."""
    members = _members(value)
    width = max((len(name) for name, _ in members), default=0) + 1
    lines: list[str] = []
    for name, member in members:
        children = [each for each in _children(member) if _members(each)]
        if not children:
            lines.append(f"{indent}{printable(name) + ':':<{width}} {text_of(member)}")
            continue
        lines.append(f"{indent}{printable(name)}:")
        for place, child in enumerate(children):
            lines += [f"{indent}  -"] if place and len(children) > 1 else []
            lines += lines_of(child, indent + "  ")
    return lines


def text_of(value: object) -> str:
    """One value on one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, frozenset):
        value = sorted(value)
    if isinstance(value, tuple | list):
        nested = any(isinstance(item, tuple | list) for item in value)
        return ("; " if nested else ", ").join(text_of(item) for item in value) or "-"
    return printable(json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value))


def count_of(number: int, thing: str) -> str:
    """``1 file``, ``1,024 files``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _members(value: object) -> list[tuple[str, object]]:
    if isinstance(value, Mapping):
        return [(str(name), member) for name, member in value.items()]
    if is_dataclass(value):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    return []


def _children(member: object) -> Sequence[object]:
    return member if isinstance(member, tuple | list) else (member,)
