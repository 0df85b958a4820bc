"""The lineage drawn: one strip of SVG for each row, so that a printed page never cuts a node in two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.evidence import Verdict
from ledger.evidence.signing import format_time
from scripts.audit.lineage import Graph, Node, Slot
from scripts.audit.markup import Markup, element, shorten
from scripts.audit.names import Names
from scripts.audit.pieces import Role

__all__ = ["COLORS", "MARKS", "NOT_GIVEN", "draw_lineage"]

MARKS: Final = {Verdict.VERIFIED: "✓", Verdict.REFUTED: "✗", Verdict.UNDETERMINED: "?"}
NOT_GIVEN: Final = "\u2013"
COLORS: Final = 8
"""Participants have this many colours by turns; their number beside it tells them apart where these repeat."""

_WIDTH: Final = 960.0
_NODE_WIDTH: Final = 216.0
_NODE_HEIGHT: Final = 72.0
_LANE: Final = 24.0
_GAP: Final = 20.0
_DROP: Final = 40.0
_TITLE: Final = 26
_SMALL: Final = 33
_WIDE: Final = 1300.0
_ROWS_OF_A_PAGE: Final = 8


def draw_lineage(graph: Graph, names: Names) -> Markup:
    """Draw the graph; parents stand above what was derived from them."""
    places = [_place(row) for row in graph.rows]
    width = max([_WIDTH, *(row[-1][0] + row[-1][1] / 2 + _GAP for row in places if row)])
    strips = []
    for at, row in enumerate(graph.rows):
        lines = [
            _draw_line(places[at - 1][start][0], places[at][end][0])
            for start, end in (graph.lines[at - 1] if at else ())
        ]
        top = _DROP if at else 4.0
        drawn = [
            _draw_node(slot.node, places[at][position][0], top, names)
            if slot.node
            else _draw_pass(places[at][position][0], top)
            for position, slot in enumerate(row)
        ]
        strips.append(_strip(width, top + _NODE_HEIGHT, [*lines, *drawn]))
    size = " wide" if width > _WIDE else " small" if len(strips) <= _ROWS_OF_A_PAGE else ""
    return element("div", *strips, class_=f"graph{size}", role="img", aria_label="Lineage, parents above")


def _strip(width: float, height: float, parts: Sequence[Markup]) -> Markup:
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=width,
        height=height,
    )


def _place(row: Sequence[Slot]) -> list[tuple[float, float]]:
    """Middle and width of each slot, the row being centred."""
    widths = [_NODE_WIDTH if slot.node else _LANE for slot in row]
    total = sum(widths) + _GAP * (len(row) - 1)
    at = max((_WIDTH - total) / 2, 4.0)
    places = []
    for width in widths:
        places.append((at + width / 2, width))
        at += width + _GAP
    return places


def _draw_line(start: float, end: float) -> Markup:
    """From the foot of the row above to the head of this one; it begins a little early, so that no seam shows."""
    middle = _DROP / 2
    path = f"M{start:.1f} -1 C{start:.1f} {middle:.1f} {end:.1f} {middle:.1f} {end:.1f} {_DROP:.1f}"
    return element("path", d=path, class_="edge")


def _draw_pass(middle: float, top: float) -> Markup:
    return element("path", d=f"M{middle:.1f} {top:.1f} V{top + _NODE_HEIGHT + 1:.1f}", class_="edge")


def _draw_node(node: Node, middle: float, top: float, names: Names) -> Markup:
    left = middle - _NODE_WIDTH / 2
    piece = node.piece
    provider = piece.statement.participant if piece and piece.statement else None
    color = f"c{names.numbers[provider] % COLORS}" if provider in names.numbers else "c-none"
    title = f"{names.dataset(node.version[0])}@{node.version[1]}"
    state, mark = (piece.report.verdict.value, MARKS[piece.report.verdict]) if piece else ("not-given", NOT_GIVEN)
    by = "evidence not given" if provider is None else names.participant(provider)
    when = format_time(piece.time) if piece and piece.time is not None else ""
    context = " context" if piece and piece.role is Role.CONTEXT else ""
    band = element("rect", x=left, y=top, width=6.0, height=_NODE_HEIGHT, class_=f"band {color}")
    box = element("rect", x=left, y=top, width=_NODE_WIDTH, height=_NODE_HEIGHT, rx=4.0, class_="box")
    texts = [_text(left + 16, top + 22 + 15 * line, part, "name") for line, part in enumerate(_wrap(title, _TITLE))]
    low = top + _NODE_HEIGHT - 12
    detail = [_text(left + 16, low - 15, shorten_to(by, _SMALL), "by"), _text(left + 16, low, when, "when")]
    if len(texts) > 1:  # two lines of name leave one for the rest
        detail = [_text(left + 16, low, shorten_to(" · ".join(filter(None, (by, when[:10]))), _SMALL), "by")]
    sign = _text(left + _NODE_WIDTH - 18, top + 23, mark, f"mark {state}")
    hover = element("title", shorten(f"{title}, {by} {when}, {state}, registration {node.version[2]}"))
    return element("g", hover, box, band, *texts, *detail, sign, class_=f"node {state}{context}")


def shorten_to(text: str, most: int) -> str:
    """Cut text so that it fits where it is drawn."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _wrap(text: str, most: int) -> list[str]:
    """One line, or two of which the second may be cut."""
    if len(text) <= most:
        return [text]
    at = max((text.rfind(sign, 0, most) for sign in "/-_ "), default=-1) + 1
    at = at if at > most // 2 else most
    return [text[:at], shorten_to(text[at:], most)]


def _text(x: float, y: float, text: str, class_: str) -> Markup:
    anchor = "middle" if class_.startswith("mark") else None
    return element("text", text, x=x, y=y, class_=class_, text_anchor=anchor)
