"""Whether a grant was permitted at a moment: what `AccessGrants.isPermitted` answered then, told offline and later.

An attestation says from when to when the contract's slot permits, the registry's history up to it says when provider
and consumer were Active. Both hold up to the attestation's block, not for what came later in that very block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, cast

from ledger.canonical import JsonValue
from ledger.errors import MalformedError
from ledger.evidence.history import Standing
from ledger.evidence.report import Attestation, Claim, Report, Verdict
from ledger.evidence.signing import format_time
from ledger.statements import Right, Statement
from ledger.types import Bytes32

__all__ = [
    "Hindrance",
    "PermissionQuestion",
    "Window",
    "compute_windows",
    "find_hindrance",
    "judge_permission",
    "parse_moment",
    "parse_rights",
]

_GRANT: Final = "AccessGrant"
_FOREVER: Final = 1 << 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PermissionQuestion:
    """Was it permitted at a moment (UTC seconds; None: when was it), of a version, for rights (a bit mask)?

    Any grant may permit it, or, where ``grant`` names one, this one alone.
    """

    at: int | None = None
    version: int | None = None
    right: int | None = None
    grant: Bytes32 | None = None

    def __str__(self) -> str:
        words = ["when was it permitted" if self.at is None else f"was it permitted at {format_time(self.at)}"]
        if self.grant is not None:
            words[0] += f" by grant {self.grant}"
        if self.version is not None:
            words.append(f"for version {self.version}")
        if self.right is not None:
            words.append(f"to {_name_rights(self.right)}")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in which a grant was permitted, UTC seconds, ``until`` not included.

    ``is_open`` where it ends at the attestation alone, which says nothing of later.
    """

    start: int
    until: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What forbade it; ``is_certain`` where nothing that the attestation does not know can change that."""

    words: str
    is_certain: bool


def parse_moment(text: str) -> int:
    """Read a moment, RFC 3339 with its offset, as UTC seconds; fractions are cut off. Raises: MalformedError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedError(f"{ascii(text)[:64]} is no moment: write 2026-11-21T10:00:00Z") from error
    if moment.tzinfo is None or moment < _EPOCH:
        raise MalformedError(f"{ascii(text)[:64]} has no offset or is before 1970: write 2026-11-21T10:00:00Z")
    return int(moment.timestamp())


def parse_rights(names: Iterable[str]) -> int:
    """Read the names of rights, ``read``, as the bit mask that a grant has. Raises: MalformedError: no such right."""
    known = {str(right.name).lower(): right for right in Right}
    mask = 0
    for name in names:
        if name not in known:
            raise MalformedError(f"no right is named {ascii(name)[:64]}, only {', '.join(known)}")
        mask |= known[name]
    return mask


def compute_windows(attestation: Attestation) -> tuple[Window, ...]:
    """The stretches before the attestation's block in which the contract permitted, versions and rights aside."""
    start, end = _bounds(attestation)
    windows: list[Window] = []
    for begin, stop in _both_active(attestation):
        first, last = max(begin, start), min(stop, end, attestation.attested_at)
        if first < last:
            windows.append(Window(first, last, last == attestation.attested_at and last < min(stop, end)))
    return tuple(windows)


def find_hindrance(slot: Attestation, at: int) -> Hindrance | None:
    """What forbade it at a moment, as far as the attestation knows; None: nothing."""
    if slot.granted_at == 0:
        if not slot.revoked_at:
            return Hindrance(f"it was not granted by {format_time(slot.attested_at)}", is_certain=False)
        # A revocation that comes first keeps the grant from ever taking effect.
        revoked = f"it was never granted, and can not be since it was revoked at {format_time(slot.revoked_at)}"
        return Hindrance(revoked, is_certain=True)
    certain = (
        (slot.revoked_at and at >= slot.revoked_at, "it was revoked at", slot.revoked_at),
        (slot.retired_at and at >= slot.retired_at, "the dataset was retired at", slot.retired_at),
        (at < slot.granted_at, "it was granted only at", slot.granted_at),
        (at < slot.valid_from, "it was valid only from", slot.valid_from),
        (at >= slot.valid_until, "it expired at", slot.valid_until),
    )
    for applies, words, seconds in certain:
        if applies:
            return Hindrance(f"{words} {format_time(seconds)}", is_certain=True)
    for name, participant in (("provider", slot.provider), ("consumer", slot.consumer)):
        standing = _standing_at(slot, participant, at)
        if standing is not Standing.ACTIVE:
            return Hindrance(f"the {name} {participant} was {standing.value}", is_certain=False)
    return None


def judge_permission(reports: Sequence[Report], question: PermissionQuestion) -> tuple[Report, ...]:
    """Answer the question by the newest attestation of each grant among the reports, as its report's claim.

    Any grant of a dataset to a consumer permits it, so the grants of the same one to the same one answer together:
    verified where one of them is. It is never refuted by them, for grants can be left out; only of the one that the
    question names does its attestation tell that it did not permit. The terms come from whichever of the reports
    carries the grant. Where none is an attestation that stands, each report is left open for the lack of one.
    """
    newest = _find_newest(reports, question.grant)
    if not newest:
        which = "a grant" if question.grant is None else f"the grant {question.grant}"
        missing = f"no attestation of {which} that stands, with the registry's history, is among the evidence"
        return tuple(replace(each, claim=each.claim or _open(question, missing)) for each in reports)
    terms = _collect_terms(reports)
    judged = list(reports)
    claims: dict[tuple[Bytes32, Bytes32], dict[int, Claim]] = {}
    for grant, at in newest.items():
        slot = cast("Attestation", reports[at].attestation)
        claims.setdefault((slot.dataset, slot.consumer), {})[at] = _judge(slot, terms.get(grant), question)
    for together in claims.values():
        best = next((each for each in together.values() if each.verdict is Verdict.VERIFIED), None)
        for at, claim in together.items():
            judged[at] = replace(reports[at], claim=_outdo(claim, best))
    return tuple(judged)


def _find_newest(reports: Sequence[Report], grant: Bytes32 | None) -> dict[Bytes32, int]:
    """Where the newest attestation that stands is, of each grant or of the one that is named."""
    newest: dict[Bytes32, int] = {}
    for at, report in enumerate(reports):
        slot = report.attestation
        if slot is None or report.steps_verdict is not Verdict.VERIFIED or grant not in {None, slot.grant}:
            continue
        known = reports[newest[slot.grant]].attestation if slot.grant in newest else None
        if known is None or known.attested_at < slot.attested_at:
            newest[slot.grant] = at
    return newest


def _outdo(claim: Claim, best: Claim | None) -> Claim:
    """What a grant's claim becomes where another grant of that dataset to that consumer permits."""
    if best is None or claim.verdict is Verdict.VERIFIED:
        return claim
    words = f"{best.sentence}; the grant {claim.facts['grant']} alone would not do: {claim.sentence}"
    return replace(claim, verdict=Verdict.VERIFIED, sentence=words)


def _judge(slot: Attestation, terms: Statement | None, question: PermissionQuestion) -> Claim:
    if slot.granted_at == 0 and not slot.revoked_at:  # anyone can have terms attested that nobody signed
        attested = format_time(slot.attested_at)
        return _open(question, f"of grant {slot.grant} the contract knew nothing at {attested}", _list_facts(slot))
    if question.version is None and question.right is None:
        return _judge_slot(slot, question)
    if terms is None:
        return _open(question, f"the terms of the grant {slot.grant} are not among the evidence", _list_facts(slot))
    uncovered = _find_uncovered(terms, question)
    if uncovered is not None:
        return _deny(question, slot, f"did not permit it: {uncovered}")
    return _judge_slot(slot, question)


def _judge_slot(slot: Attestation, question: PermissionQuestion) -> Claim:
    if question.at is None:
        return _tell_windows(question, slot)
    moment = format_time(question.at)
    hindrance = find_hindrance(slot, question.at)
    if hindrance is not None and (hindrance.is_certain or question.at < slot.attested_at):
        return _deny(question, slot, f"did not permit it at {moment}: {hindrance.words}")
    if question.at >= slot.attested_at:
        attested = format_time(slot.attested_at)
        missing = f"the attestation is of {attested}, so have the grant attested after {moment}"
        return _open(question, missing, _list_facts(slot))
    sentence = f"It was permitted at {moment} to consumer {slot.consumer}, by grant {slot.grant} of {slot.provider}"
    return Claim(str(question), Verdict.VERIFIED, sentence, _list_facts(slot))


def _deny(question: PermissionQuestion, slot: Attestation, words: str) -> Claim:
    """This grant did not permit it: the answer where the question names it, else nothing against any other grant."""
    sentence, verdict = f"The grant {slot.grant} {words}", Verdict.REFUTED
    if question.grant is None:
        sentence, verdict = f"{sentence}; another grant may have", Verdict.UNDETERMINED
    return Claim(str(question), verdict, sentence, _list_facts(slot))


def _open(question: PermissionQuestion, missing: str, facts: dict[str, JsonValue] | None = None) -> Claim:
    return Claim(
        str(question), Verdict.UNDETERMINED, f"Whether it was permitted can not be told: {missing}", facts or {}
    )


def _find_uncovered(terms: Statement, question: PermissionQuestion) -> str | None:
    """What the terms do not cover, as `isPermitted` compares it; None: they cover all that was asked."""
    first, last, rights = (cast("int", terms.message[name]) for name in ("firstVersion", "lastVersion", "rights"))
    version, right = question.version, question.right
    if right is not None and (right == 0 or rights & right != right):
        return f"it grants to {_name_rights(rights)}, not to {_name_rights(right)}"
    if version is not None and (version < first or (last and version > last)):
        return f"it covers the versions from {first}" + (f" to {last}" if last else "") + f", not {version}"
    return None


def _bounds(slot: Attestation) -> tuple[int, int]:
    if slot.granted_at == 0:
        return 0, 0
    ends = [end for end in (slot.valid_until, slot.revoked_at, slot.retired_at) if end]
    return max(slot.valid_from, slot.granted_at), min(ends)


def _both_active(slot: Attestation) -> Iterator[tuple[int, int]]:
    """Stretches of time in which provider and consumer are Active, the last one without an end."""
    standings = {slot.provider: Standing.NONE, slot.consumer: Standing.NONE}
    begin: int | None = None
    for record in slot.history.records:
        if record.participant not in standings:
            continue
        standings[record.participant] = record.standing_after(standings[record.participant])
        is_active = all(each is Standing.ACTIVE for each in standings.values())
        if is_active and begin is None:
            begin = record.time
        elif not is_active and begin is not None:
            yield begin, record.time
            begin = None
    if begin is not None:
        yield begin, _FOREVER


def _standing_at(slot: Attestation, participant: Bytes32, at: int) -> Standing:
    """A participant's standing after all records up to that second."""
    standing = Standing.NONE
    for record in slot.history.records:
        if record.participant == participant and record.time <= at:
            standing = record.standing_after(standing)
    return standing


def _collect_terms(reports: Iterable[Report]) -> Mapping[Bytes32, Statement]:
    return {
        report.digest: report.statement
        for report in reports
        if report.digest is not None and report.statement is not None and report.statement.type.name == _GRANT
    }


def _tell_windows(question: PermissionQuestion, slot: Attestation) -> Claim:
    windows = compute_windows(slot)
    upto = f"before the attestation of {format_time(slot.attested_at)}"
    if not windows:
        denied = _deny(question, slot, f"permitted it at no moment {upto}")
        return denied if question.grant is None else replace(denied, verdict=Verdict.VERIFIED)
    words = [
        f"from {format_time(each.start)} " + ("on" if each.is_open else f"until {format_time(each.until)}")
        for each in windows
    ]
    sentence = f"It was permitted {', '.join(words)}, as far as moments {upto} go, by grant {slot.grant}"
    return Claim(str(question), Verdict.VERIFIED, sentence, _list_facts(slot))


def _list_facts(slot: Attestation) -> dict[str, JsonValue]:
    facts: dict[str, JsonValue] = {
        "grant": str(slot.grant),
        "provider": str(slot.provider),
        "consumer": str(slot.consumer),
        "attested_at": format_time(slot.attested_at),
    }
    for name in ("valid_from", "valid_until", "granted_at", "revoked_at", "retired_at"):
        seconds = cast("int", getattr(slot, name))
        facts[name] = format_time(seconds) if seconds else None
    facts["permitted"] = [
        {"from": format_time(each.start), "until": None if each.is_open else format_time(each.until)}
        for each in compute_windows(slot)
    ]
    return facts


def _name_rights(rights: int) -> str:
    known = [right.name.lower() for right in Right if right.name and rights & right]
    rest = rights & ~sum(Right)
    return ", ".join([*known, *([hex(rest)] if rest else [])]) or "nothing"
