"""Tables of figures in plain text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["format_table"]


def format_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with the first column to the left and figures to the right.

    Raises:
        ValueError: a row has another number of cells than there are headings.
    """
    cells = [headings, *rows]
    if any(len(row) != len(headings) for row in cells):
        raise ValueError("every row has as many cells as there are headings")
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_format_row(row, widths) for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _format_row(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.rjust(width) if place else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()
