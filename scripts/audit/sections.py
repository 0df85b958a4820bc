"""The sections of the page, from the findings to what was not checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ledger.evidence import Breach, Delivery, Verdict, format_sentence, to_document
from ledger.evidence.fork import Fork
from ledger.evidence.signing import format_time
from ledger.types import Bytes32
from scripts.audit.audit import Audit, LogRange
from scripts.audit.grants import Grant
from scripts.audit.lineage_svg import COLORS, MARKS, NOT_GIVEN, draw_lineage
from scripts.audit.log_reading import LogReading
from scripts.audit.markup import Markup, element, foreign
from scripts.audit.names import Names
from scripts.audit.pieces import Piece, Role
from scripts.audit.timeline_svg import Axis, draw_axis, draw_bar, make_axis
from scripts.audit.wording import describe

__all__ = [
    "render_findings",
    "render_grants",
    "render_lineage",
    "render_log",
    "render_not_checked",
    "render_statements",
    "table",
]

_MOST_FINDINGS: Final = 50
_SENTENCE: Final = 1200
_NEVER: Final = (
    "That a statement is true. Evidence shows who said it, when, and whether a contract took it.",
    "That a name in metadata is the registrant's: names here are self-declared, the participant's id is what counts.",
    "That the same content is not registered elsewhere, and that nobody who had the data kept a copy.",
)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *classes: str) -> Markup:
    """A table whose head a printer repeats; ``classes`` are those of its columns."""
    padded = [*classes, *[""] * (len(heads) - len(classes))]
    head = element("tr", *(element("th", name, class_=kind or None) for name, kind in zip(heads, padded, strict=True)))
    body = [
        element("tr", *(element("td", cell, class_=kind or None) for cell, kind in zip(row, padded, strict=True)))
        for row in rows
    ]
    return element("div", element("table", element("thead", head), element("tbody", *body)), class_="scroll")


def render_findings(audit: Audit) -> Iterator[Markup]:
    """What was refuted or left open, with the step and both values; nothing where all is well."""
    wrong = [each for each in audit.in_scope if each.report.verdict is not Verdict.VERIFIED]
    log = audit.reading.findings if audit.reading else []
    if not wrong and not log and not audit.breaches:
        return
    yield element("h2", "Findings")
    for piece in audit.breaches:
        yield _render_finding(piece, "broken promise")
    for verdict in (Verdict.REFUTED, Verdict.UNDETERMINED):
        for piece in (each for each in wrong if each.report.verdict is verdict):
            yield _render_finding(piece, verdict.value)
    for found in log[:_MOST_FINDINGS]:
        yield element(
            "div",
            element("p", element("strong", "log"), " · ", found.kind),
            element("p", foreign(found.message, _SENTENCE)),
            class_="finding refuted",
        )
    if len(log) > _MOST_FINDINGS:
        yield element("p", f"and {len(log) - _MOST_FINDINGS} more in the log: scripts/fsck.py lists all.")


def _render_finding(piece: Piece, word: str) -> Markup:
    state = _state(piece.report.verdict) if word == piece.report.verdict.value else element("strong", word)
    return element(
        "div",
        element("p", state, " · ", element("strong", piece.kind), " · ", foreign(piece.report.source)),
        element("p", foreign(format_sentence(piece.report), _SENTENCE)),
        class_=f"finding {'refuted' if piece.is_breach else piece.report.verdict.value}",
    )


def render_log(audit: Audit) -> Iterator[Markup]:
    """The range of checkpoints, and how many entries were read and withheld."""
    yield element("h2", "Checkpoints and entries")
    if not audit.ranges and audit.reading is None:
        yield element("p", "No evidence in scope was shown to be anchored, and no log was read.")
        return
    for each in audit.ranges:
        yield element("h3", "Log ", foreign(each.origin))
        if Counter(other.origin for other in audit.ranges)[each.origin] > 1:  # two operators' logs may have one origin
            yield element("p", "Log id ", element("code", str(each.log)))
        yield _render_range(each)
    if audit.reading is not None:
        yield from _render_reading(audit.reading, audit.names)
    else:
        yield element("p", "The log itself was not read: --log names its folder or URL.", class_="note")


def _render_range(found: LogRange) -> Markup:
    rows = [
        (
            name,
            f"{each.size:,}",
            element("code", f"0x{each.root.hex()}"),
            f"{each.block:,}",
            format_time(each.time),
        )
        for name, each in (("first", found.first), ("last", found.last))[: min(found.checkpoints, 2)]
    ]
    counted = (
        f"Evidence in scope rests on {found.checkpoints} anchored {_plural(found.checkpoints, 'checkpoint')}. From the "
        f"first to the last these newly cover {found.covered:,} entries, index {found.first.previous_size:,} to "
        f"{found.last.size - 1:,}: {found.shown:,} read with their statements, {found.withheld:,} withheld"
        + (" (their statements were not shown to whoever made this report)." if found.withheld else ".")
    )
    heads = ("Checkpoint", "Size", "Root", "Block", "Time")
    return element("div", table(heads, rows, "", "number", "", "number", "time"), element("p", counted))


def _render_reading(reading: LogReading, names: Names) -> Iterator[Markup]:
    yield element("h3", "The log as read from ", foreign(reading.name))
    if reading.reason:
        yield element("p", "It could not be read to the end: ", foreign(reading.reason))
    total = sum(reading.entries.values())
    if reading.size:
        result = "nothing was found wrong" if not (reading.findings or reading.reason) else "see Findings"
        checkpoints = f"{reading.compared} signed {_plural(reading.compared, 'checkpoint')}"
        yield element(
            "p",
            f"Every tile and root was computed again from {total:,} of {reading.size:,} entries and compared with "
            f"{checkpoints}: {result}. {reading.shown:,} entries are those of evidence given here, "
            f"{total - reading.shown:,} are withheld.",
        )
    if reading.entries:
        counted = sorted(reading.entries.items(), key=lambda each: (-each[1], each[0]))
        rows = [(_who(names, who), element("code", str(who)), f"{count:,}") for who, count in counted]
        yield table(("Participant", "Id", "Entries"), rows, "", "", "number")


def render_lineage(audit: Audit) -> Iterator[Markup]:
    """The graph of versions."""
    nodes = audit.graph.nodes
    if not nodes:
        return
    yield element("h2", "Lineage")
    missing = sum(each.piece is None for each in nodes)
    words = (
        f"{len(nodes)} {_plural(len(nodes), 'version')} of data sets; what something was derived from stands above it."
    )
    yield element("p", words + (f" The evidence of {missing} was not given." if missing else ""))
    yield _legend_of_providers(audit)
    yield draw_lineage(audit.graph, audit.names)


def _legend_of_providers(audit: Audit) -> Markup:
    providers = {each.piece.statement.participant for each in audit.graph.nodes if each.piece and each.piece.statement}
    dots = [element("span", _who(audit.names, who)) for who in sorted(providers, key=audit.names.short)]
    marks = [
        element("span", element("span", f"{mark} ", class_=f"state {verdict.value}"), verdict.value)
        for verdict, mark in MARKS.items()
    ]
    return element("div", *dots, *marks, element("span", f"{NOT_GIVEN} evidence not given"), class_="legend")


def render_grants(audit: Audit) -> Iterator[Markup]:
    """The timeline of grants, each with its bar."""
    if not audit.grants:
        return
    axis = make_axis(audit.grants, audit.known_until, audit.request.scope.period)
    yield element("h2", "Grants over time")
    yield _legend_of_grants(axis)
    rows = [
        element("tr", element("td", *_describe_grant(each, audit.names)), element("td", draw_bar(each, axis)))
        for each in audit.grants
    ]
    head = element("tr", element("th", "Grant"), element("th", draw_axis(axis)))
    columns = element("colgroup", element("col", class_="who"), element("col"))
    yield element("table", columns, element("thead", head), element("tbody", *rows), class_="grants")


def _describe_grant(grant: Grant, names: Names) -> list[Markup]:
    ended = [
        ("granted", grant.granted_at),
        ("revoked", grant.revoked_at),
        ("data set retired", grant.retired_at),
    ]
    moments = [f"{word} {format_time(time)}" for word, time in ended if time is not None]
    if grant.granted_at is None or (grant.revocation_said_at is not None and grant.revoked_at is None):
        moments.append(grant.state)
    window = f"{format_time(grant.valid_from)} until {format_time(grant.valid_until)}"
    return [
        element("strong", names.dataset(grant.dataset)),
        element("div", f"{names.participant(grant.provider)} → {names.participant(grant.consumer)}"),
        element("div", f"versions {grant.versions}; {grant.rights}", class_="note"),
        element("div", f"valid {window}", class_="note"),
        element("div", "; ".join(moments), class_="note"),
    ]


def _legend_of_grants(axis: Axis) -> Markup:
    entries = [
        (element("rect", x=0, y=2, width=16, height=9, class_="window"), "valid from, until"),
        (element("rect", x=0, y=2, width=16, height=9, class_="granted"), "in force"),
        (element("rect", x=0, y=2, width=16, height=9, class_="unknown"), "in force unless something ended it since"),
        (element("rect", x=0, y=2, width=16, height=9, class_="masked"), "a side suspended"),
        (element("path", d="M8 1 l5.5 5.5 l-5.5 5.5 l-5.5 -5.5 z", class_="given"), "granted on chain"),
        (element("path", d="M3 2 l9 9 M12 2 l-9 9", class_="revoked"), "revoked"),
        (element("rect", x=3, y=2, width=9, height=9, class_="retired"), "data set retired"),
    ]
    if axis.known is not None:
        words = f"the evidence ends, {format_time(axis.known)}"
        entries.append((element("path", d="M8 0 V13", class_="known"), words))
    if axis.period:
        entries.append((element("rect", x=0, y=0, width=16, height=13, class_="period"), "the period of this report"))
    spans = [
        element("span", element("svg", drawn, width=16, height=13, viewBox="0 0 16 13", aria_hidden="true"), words)
        for drawn, words in entries
    ]
    return element("div", *spans, class_="legend")


def render_statements(audit: Audit) -> Iterator[Markup]:
    """One line for each statement in scope."""
    yield element("h2", "Evidence in scope")
    if not audit.in_scope:
        yield element("p", "None.")
        return
    yield element(
        "p",
        "In the order in which the log had them. The time is that of the first checkpoint on chain that covers the "
        "entry: it was stated no later.",
        class_="note",
    )
    rows = [_statement_row(piece, audit.names) for piece in audit.in_scope]
    yield table(("No later than, UTC", "Who", "What", "On chain", "Verdict"), rows, "time", "who", "", "force")


def _statement_row(piece: Piece, names: Names) -> tuple[str, ...]:
    report = piece.report
    when = "not established" if piece.time is None else format_time(piece.time)
    said = element("div", foreign(describe(piece, names)), class_="note")
    return (
        when.removesuffix("Z").replace("T", " "),
        "" if piece.statement is None else _who(names, piece.statement.participant),
        Markup(element("strong", piece.kind) + said),
        _force(piece),
        _state(report.verdict),
    )


def _force(piece: Piece) -> str:
    if piece.report.shown is not None:
        return Markup(piece.report.shown.contract + element("br") + f"block {piece.report.shown.block}")
    if isinstance(piece.content, Breach | Fork | Delivery):
        return NOT_GIVEN
    if piece.report.in_force is not None:
        return Markup(piece.report.in_force.event + element("br") + f"block {piece.report.in_force.block}")
    if piece.statement is not None and piece.statement.type.function is None:
        return "kept by the log alone"
    return "not shown"


def render_not_checked(audit: Audit) -> Iterator[Markup]:
    """What this report does not show, and what nothing can."""
    yield element("h2", "What was not checked")
    yield element("ul", *(element("li", each) for each in _list_not_checked(audit)), class_="plain")
    yield element("h3", "What no evidence shows")
    yield element("ul", *(element("li", each) for each in _NEVER), class_="plain")


def _list_not_checked(audit: Audit) -> Iterator[Markup]:
    request = audit.request
    outside = sum(each.role is Role.OUTSIDE for each in audit.pieces)
    if outside:
        files = f"{outside} evidence {_plural(outside, 'file')}"
        yield foreign(f"{files} outside the scope, which the last section names.")
    for name in request.left_out:
        yield foreign(f"{name}: it is no evidence.")
    if request.node is None:
        yield foreign(
            "The policy against a node: --rpc asks one of your choice whether its chain and contracts are the policy's."
        )
    if request.log is None:
        yield foreign(
            "The log as a whole, which may hold statements in scope that nobody showed: --log reads and counts them."
        )
    points = Counter(str(point) for each in audit.in_scope for point in _points(each))
    for point, count in sorted(points.items(), key=lambda each: (-each[1], each[0])):
        times = f" ({count} statements)" if count > 1 else ""
        yield foreign(f"{point}{times}", _SENTENCE)


def _points(piece: Piece) -> Iterable[object]:
    found = to_document(piece.report)["not_checked"]
    return found if isinstance(found, list) else ()


def _who(names: Names, participant: Bytes32) -> Markup:
    color = f"c{names.numbers[participant] % COLORS}" if participant in names.numbers else "c-none"
    return Markup(element("span", class_=f"dot {color}") + foreign(names.participant(participant)))


def _state(verdict: Verdict) -> Markup:
    return element("span", f"{MARKS[verdict]} {verdict.value}", class_=f"state {verdict.value}")


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
