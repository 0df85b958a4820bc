"""The page: one HTML file that holds all it needs, opens from a folder and runs nothing."""

from __future__ import annotations

from typing import Final

from ledger.evidence import Delivery, Verdict
from ledger.evidence.signing import format_time
from scripts.audit.appendix import render_files, render_participants, render_steps
from scripts.audit.audit import Audit
from scripts.audit.lineage_svg import MARKS
from scripts.audit.markup import Markup, element, foreign
from scripts.audit.sections import (
    render_findings,
    render_grants,
    render_lineage,
    render_log,
    render_not_checked,
    render_statements,
)
from scripts.audit.style import STYLE

__all__ = ["render_page"]

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_NOUNS: Final = {Verdict.VERIFIED: "verified", Verdict.REFUTED: "refuted", Verdict.UNDETERMINED: "undetermined"}


def render_page(audit: Audit, *, title: str | None = None, made_at: int | None = None) -> str:
    """Draw the whole page; ``made_at`` (UTC seconds) is the one time that is not in the evidence."""
    heading = title or _heading(audit)
    body = element(
        "main",
        element("p", "Concord audit report", class_="kicker"),
        element("h1", foreign(heading)),
        _render_verdict(audit),
        _render_facts(audit, made_at),
        *render_findings(audit),
        *render_log(audit),
        *render_lineage(audit),
        *render_grants(audit),
        *render_statements(audit),
        *render_not_checked(audit),
        *render_participants(audit),
        *render_steps(audit),
        *render_files(audit),
        _render_foot(audit),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", f"Audit report: {heading}"[:200]),
        element("style", Markup(STYLE)),
    )
    return "<!doctype html>\n" + element("html", head, element("body", body), lang="en") + "\n"


def _heading(audit: Audit) -> str:
    scope = audit.request.scope
    if scope.dataset:
        return audit.names.dataset(audit.names.find_dataset(scope.dataset))
    if scope.period:
        return f"Period {scope.period}"
    return f"{len(audit.in_scope)} evidence files"


def _render_verdict(audit: Audit) -> Markup:
    verdict = audit.verdict
    word, sign, color = verdict.value.capitalize(), MARKS[verdict], verdict.value
    if audit.breaches and verdict is Verdict.VERIFIED:  # what is verified here is nothing to be glad of
        word, sign, color = f"Verified: {_broken(audit)}", "!", Verdict.REFUTED.value
    return element(
        "div",
        element("div", sign, class_="sign", aria_hidden="true"),
        element("div", element("p", word, class_="word"), element("p", _sentence(audit))),
        class_=f"verdict {color}",
    )


def _broken(audit: Audit) -> str:
    by_providers = [isinstance(each.content, Delivery) for each in audit.breaches]
    if not any(by_providers):
        return "a log broke its promise"
    return "a provider did not deliver a key" if all(by_providers) else "a log and a provider broke their promises"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _sentence(audit: Audit) -> str:
    total = len(audit.in_scope)
    if total == 0:
        return "No evidence that was given falls in this scope. Nothing was shown, and nothing refuted."
    counts = [f"{audit.counts[each]} {_NOUNS[each]}" for each in Verdict if audit.counts[each]]
    noun = "piece" if total == 1 else "pieces"
    what = f"{total} {noun} of evidence in scope: {', '.join(counts)}."
    if audit.breaches:
        what += f" Shown besides: {_broken(audit)} ({_times(len(audit.breaches))}); see Findings."
    if audit.reading and audit.reading.findings:
        what += f" The log departs from its checkpoints in {len(audit.reading.findings)} places."
    elif audit.reading and audit.reading.reason:
        what += " The log could not be read to its end."
    if audit.verdict is Verdict.VERIFIED and not audit.breaches:
        what += " Each says what was signed, logged or executed, on the chain that the policy pins."
    return what


def _render_facts(audit: Audit, made_at: int | None) -> Markup:
    policy = audit.request.policy
    facts: list[tuple[str, str]] = [
        ("Scope", str(audit.request.scope)),
        ("Policy SHA-256", element("code", policy.sha256)),
        (
            "",
            element(
                "span", "Compare it with two members over another channel: the verdict rests on it.", class_="note"
            ),
        ),
        ("Chain", f"id {policy.chain_id}, genesis {policy.genesis_hash}"),
        ("Verifier", f"concord-ledger {audit.version}"),
        ("Evidence known to", "nothing" if audit.known_until is None else format_time(audit.known_until)),
    ]
    if made_at is not None:
        facts.append(("Report made", format_time(made_at)))
    rows = [part for name, value in facts for part in (element("dt", name), element("dd", _value(value)))]
    return element("dl", *rows, class_="facts")


def _value(value: str) -> Markup:
    return value if isinstance(value, Markup) else foreign(value)


def _render_foot(audit: Audit) -> Markup:
    return element(
        "footer",
        "Made by scripts/audit_report.py from the files named above. Whoever has the same files and the same policy "
        "gets the same report. Statements are their signers' own words: this report shows who said what, and when, "
        f"not that it is true. Policy {audit.request.policy.sha256}.",
    )
