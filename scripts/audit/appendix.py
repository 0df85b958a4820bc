"""The appendices: every step of every piece of evidence, who is who, and which files this was made from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.evidence import Outcome, Step, format_sentence
from scripts.audit.audit import Audit
from scripts.audit.lineage_svg import MARKS, NOT_GIVEN
from scripts.audit.markup import Markup, element, foreign
from scripts.audit.pieces import Piece, Role, Source
from scripts.audit.sections import table

__all__ = ["render_files", "render_participants", "render_steps"]

_DETAIL: Final = 1200
_TITLE: Final = 120


def render_participants(audit: Audit) -> Iterator[Markup]:
    """Who is who: numbers, self-declared names and ids."""
    names = audit.names
    if not names.numbers:
        return
    yield element("h2", "Who is who")
    yield element("p", "Names are self-declared in metadata; the id is who signed.", class_="note")
    people = [
        (f"P{number}", foreign(names.handles.get(who, NOT_GIVEN)), element("code", str(who)))
        for who, number in sorted(names.numbers.items(), key=lambda each: each[1])
    ]
    yield table(("No.", "Calls itself", "Participant id"), people)
    if names.slugs:
        sets = [
            (
                foreign("/".join(name)),
                foreign(names.titles[dataset] or NOT_GIVEN, _TITLE),
                element("code", str(dataset)),
            )
            for dataset, name in sorted(names.slugs.items(), key=lambda each: each[1])
        ]
        yield element("h3", "Data sets")
        yield table(("Calls itself", "Title", "Data set id"), sets, "name")


def render_steps(audit: Audit) -> Iterator[Markup]:
    """All steps of the evidence in scope."""
    if not audit.in_scope:
        return
    yield element("h2", "Every step", class_="page")
    words = (
        "What the verifier checked of each piece of evidence in scope; docs/spec/evidence.md says what each step is."
    )
    yield element("p", words, class_="note")
    for piece in audit.in_scope:
        yield _render_piece(piece)


def _render_piece(piece: Piece) -> Markup:
    report = piece.report
    mark = element("span", f"{MARKS[report.verdict]} ", class_=f"state {report.verdict.value}")
    summary = element("summary", mark, element("strong", piece.kind), " · ", foreign(piece.report.source))
    rows = [element("tr", *_render_step(step)) for step in report.steps]
    sentence = element("p", foreign(format_sentence(report), _DETAIL), class_="note")
    return element("details", summary, element("table", element("tbody", *rows)), sentence)


def _render_step(step: Step) -> tuple[Markup, ...]:
    kinds = {Outcome.PASS: "pass", Outcome.FAIL: "fail"}
    kind = kinds.get(step.outcome, "open" if step.leaves_open else "other")
    values = f" (expected {step.expected}, found {step.found})" if step.expected is not None else ""
    return (
        element("td", f"{step.number} {step.name}", class_="step"),
        element("td", step.outcome.value, class_=f"outcome {kind}"),
        element("td", foreign(step.detail + values, _DETAIL)),
    )


def render_files(audit: Audit) -> Iterator[Markup]:
    """The files, by SHA-256."""
    yield element("h2", "Files that were read")
    found: dict[Source, set[Role]] = {}
    for piece in audit.pieces:
        found.setdefault(piece.source, set()).add(piece.role)
    rows = [
        (foreign(source.name), ", ".join(role.value for role in Role if role in roles), element("code", source.sha256))
        for source, roles in sorted(found.items(), key=lambda each: (each[0].name, each[0].sha256))
    ]
    yield table(("File", "Its evidence is", "SHA-256"), rows)
