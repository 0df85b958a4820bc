"""The verdict in a sentence: who stated what, by when, whether it is in force, on what that rests, what is open."""

from __future__ import annotations

from typing import Final, cast

from ledger.canonical import JsonValue, encode_canonical
from ledger.evidence.report import Claim, Outcome, Report, ShownEvent, Step, Verdict
from ledger.evidence.signing import format_time

__all__ = ["format_sentence", "to_document"]

# What an event shows, where that is less or other than "in force".
_EFFECTS: Final = {
    "ApplicationFiled": "filed on chain",
    "ControlKeyClaimed": "filed on chain, without effect until the governors decide,",
    "VoteCast": "counted on chain",
    "DecisionExecuted": "counted on chain, and the decision carried out,",
    "ProposalRejected": "counted on chain, and the proposal rejected,",
    "AgreementProposed": "in force as a proposal",
    "AgreementActivated": "in force, accepted by every party,",
}
# What can end after it took effect, so that this evidence does not say whether it still stands.
_ENDING: Final = {
    "AccessGrant": "whether the grant was revoked since",
    "AgreementProposal": "what became of the agreement since",
    "AgreementAcceptance": "what became of the agreement since",
    "KeyAddition": "whether the key was revoked since",
    "DatasetRegistration": "whether the dataset was retired since",
}


def format_sentence(report: Report) -> str:
    """Say in a sentence or three what the verdict means."""
    if report.steps_verdict is Verdict.VERIFIED:
        return _format_claim(report) if report.claim is not None else _format_verified(report)
    is_decisive = _fails if report.steps_verdict is Verdict.REFUTED else _leaves_open
    reasons = [_format_step(step) for step in report.steps if is_decisive(step)]
    if report.steps_verdict is Verdict.REFUTED:
        return f"Refuted: {'; '.join(reasons)}."
    words = f"Undetermined, because this is missing: {'; '.join(reasons)}."
    if report.existed is not None:
        words += f" Without it, this is shown: the entry existed no later than {format_time(report.existed)}."
    return words


def to_document(report: Report) -> dict[str, JsonValue]:
    """The report as JSON values, for machines."""
    document: dict[str, JsonValue] = {
        "source": report.source,
        "verdict": report.verdict.value,
        "sentence": format_sentence(report),
        "steps": [step.to_document() for step in report.steps],
        "rests_on": list(report.rests_on),
        "not_checked": [*_not_checked(report)],
    }
    if report.statement is not None:
        document["statement"] = {"type": report.statement.type.name, "participant": str(report.statement.participant)}
        document["digest"] = str(report.digest)
    elif report.digest is not None:
        document["digest"] = str(report.digest)
    if report.shown is not None:
        document["shown"] = _dump_event(report.shown)
    elif report.time is not None:
        document["stated_no_later_than"] = format_time(report.time)
        document["in_force"] = None
    if report.existed is not None:
        document["existed_no_later_than"] = format_time(report.existed)
    if report.claim is not None:
        document["claim"] = _dump_claim(report.claim)
    if report.in_force is not None:
        document["in_force"] = {
            "event": report.in_force.event,
            "block": str(report.in_force.block),
            "time": format_time(report.in_force.time),
        }
    return document


def _dump_event(shown: ShownEvent) -> dict[str, JsonValue]:
    return {
        "contract": shown.contract,
        "event": shown.name,
        "members": shown.members,
        "block": str(shown.block),
        "time": format_time(shown.time),
    }


def _dump_claim(claim: Claim) -> dict[str, JsonValue]:
    return {
        "question": claim.question,
        "verdict": claim.verdict.value,
        "sentence": claim.sentence,
        "facts": claim.facts,
    }


def _format_claim(report: Report) -> str:
    claim = cast("Claim", report.claim)
    if report.shown is not None or report.time is not None:
        return f"{claim.sentence}. {_format_verified(report)}"
    return ". ".join([claim.sentence, *_format_basis(report)]) + "."


def _format_basis(report: Report) -> list[str]:
    sentences = [f"This rests on {' and '.join(report.rests_on)}"] if report.rests_on else []
    open_points = _not_checked(report)
    return [*sentences, f"Not checked: {'; '.join(open_points)}"] if open_points else sentences


def _format_shown(report: Report) -> str:
    shown = cast("ShownEvent", report.shown)
    members = ", ".join(f"{name} {_format_member(value)}" for name, value in shown.members.items())
    moment = f"in block {shown.block} of {format_time(shown.time)}"
    words = f"The contract {shown.contract} recorded {shown.name} {moment}: {members}"
    if report.statement is None:
        return words
    name, participant = report.statement.type.name, report.statement.participant
    return f"{words}. It is about the {name} of participant {participant}, digest {report.digest}"


def _format_member(value: JsonValue) -> str:
    return value if isinstance(value, str) else encode_canonical(value).decode()


def _format_event(report: Report) -> str:
    sentences = [_format_shown(report)]
    if report.in_force is not None:
        sentences.append(_format_force(report))
    return ". ".join([*sentences, *_format_basis(report)]) + "."


def _format_verified(report: Report) -> str:
    if report.shown is not None:
        return _format_event(report)
    statement, time = report.statement, report.time
    if statement is None or time is None:
        raise ValueError("a verified report has a statement and a time")
    # The metadata are the signer's own words, and nobody compared the name in them with who it is.
    subject = f", self-declared as {'/'.join(report.dataset)} in its metadata," if report.dataset else ""
    what = f"this {statement.type.name}{subject} (digest {report.digest}) no later than {format_time(time)}"
    stated = f"Participant {statement.participant} stated {what}, with {report.signer}"
    if statement.type.name == "ControlKeyClaim":  # the participant is whom it is about, not who signed
        stated = (
            f"Somebody who holds {report.signer} claims with it the control key of participant "
            f"{statement.participant}, who need not know of it, and stated {what}"
        )
    sentences = [stated, _format_force(report)]
    if report.existed is not None:
        sentences.append(
            f"The log's checkpoint of {format_time(report.existed)} still continues the one that covers it"
        )
    return ". ".join([*sentences, *_format_basis(report)]) + "."


def _format_force(report: Report) -> str:
    if report.in_force is not None:
        words = _EFFECTS.get(report.in_force.event, "in force")
        return f"It is {words} since block {report.in_force.block} of {format_time(report.in_force.time)}"
    if report.statement is not None and report.statement.type.function is None:
        return "It is said in the log, which alone keeps statements of this type"
    return "It is shown as said in the log, not as in force by a contract"


def _not_checked(report: Report) -> list[str]:
    points = [_format_step(step) for step in report.steps if step.outcome is Outcome.NOT_CHECKED]
    if report.statement is not None and report.in_force is not None:
        ending = _ENDING.get(report.statement.type.name)
        points += [ending] if ending else []
    return points


def _format_step(step: Step) -> str:
    values = f" (expected {step.expected}, found {step.found})" if step.expected is not None else ""
    return f"step {step.number}, {step.name}: {step.detail}{values}"


def _fails(step: Step) -> bool:
    return step.outcome is Outcome.FAIL


def _leaves_open(step: Step) -> bool:
    return step.leaves_open
