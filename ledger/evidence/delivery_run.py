"""The twelve steps (docs/spec/evidence.md) for a key that was not delivered, and the claim that its provider owes it.

Receipt, sealing, release and registration take the steps each for itself, what came after the receipt those about log
and block, a chunk that was receipted the one about data; a step passes where it does for all of them. What they show
together is the claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from ledger.canonical import JsonValue
from ledger.content.release import LEAST_TERM_S, ReleaseTerms, open_key
from ledger.content.sealing import SealingKey
from ledger.errors import MalformedError, VerificationError
from ledger.evidence.delivery import Delivery, Silence, WrongData
from ledger.evidence.event_evidence import EventEvidence
from ledger.evidence.event_run import EventRun
from ledger.evidence.evidence import Evidence
from ledger.evidence.report import Claim, Outcome, Report, Step, Verdict
from ledger.evidence.shown_chunk import ShownChunk
from ledger.evidence.signing import format_time
from ledger.evidence.silence import SilenceRun
from ledger.evidence.statement_run import StatementRun
from ledger.evidence.steps import Check, TrustedWorld, does_not_apply, lean_on, need, take_steps
from ledger.statements import Entry, Statement, compute_transfer_id
from ledger.types import Bytes32

__all__ = ["QUESTION", "QUESTION_OF_DATA", "DeliveryRun"]

QUESTION: Final = "did the provider withhold the key to what was receipted"
QUESTION_OF_DATA: Final = "did the provider deliver something else than it registered"
_TYPES: Final = {"receipt": "TransferReceipt", "sealing": "Sealing", "release": "KeyRelease"}
_REGISTRATION: Final = ("DatasetRegistration", "DatasetRegistered")
_Link = tuple[str, Bytes32, Bytes32]
"""What is wrong where the two differ."""
_ORDER: Final = (Outcome.PASS, Outcome.NOT_CHECKED, Outcome.NOT_APPLICABLE)


@dataclass(frozen=True)
class _Part:
    """One of the statements, judged for itself."""

    name: str
    evidence: Evidence
    report: Report

    @property
    def statement(self) -> Statement:
        return cast("Statement", self.report.statement)

    @property
    def digest(self) -> Bytes32:
        return cast("Bytes32", self.report.digest)

    def member(self, name: str) -> Bytes32:
        return cast("Bytes32", self.statement.message[name])


class DeliveryRun:
    """The evidence about a delivery on its way through the steps."""

    def __init__(self, world: TrustedWorld, delivery: Delivery) -> None:
        self._world = world
        self._delivery = delivery
        given = {"receipt": delivery.receipt, "sealing": delivery.sealing}
        if delivery.release is not None:
            given["release"] = delivery.release
        self._parts = {
            name: _Part(name, evidence, StatementRun(world, evidence, None).report(name))
            for name, evidence in given.items()
        }
        self._silence = SilenceRun(world, delivery.shown) if isinstance(delivery.shown, Silence) else None
        self._wrong = delivery.shown if isinstance(delivery.shown, WrongData) else None
        self._registration = None if self._wrong is None else _judge_registration(world, self._wrong.registration)

    def report(self, source: str) -> Report:
        """Take all steps, and say whether the provider withheld the key where they pass."""
        own = take_steps(self._world.policy_step, self._checks())
        reports = {part.name: part.report for part in self._parts.values()}
        if self._registration is not None:
            reports["registration"] = self._registration
        runs = [(name, each.steps) for name, each in reports.items()] + [("delivery", own)]
        steps = (own[0], *(_combine([(name, taken[at]) for name, taken in runs]) for at in range(1, len(own))))
        bases = [each for report in reports.values() for each in report.rests_on]
        rests_on = tuple(dict.fromkeys([*bases, *(self._silence.basis if self._silence else ())]))
        report = Report(source=source, steps=steps, rests_on=rests_on)
        if report.steps_verdict is not Verdict.VERIFIED:
            return report
        return Report(source=source, steps=steps, rests_on=rests_on, claim=self._judge())

    def _checks(self) -> Sequence[Check]:
        nothing = does_not_apply("nothing of its own")
        if self._wrong is not None:
            return (self._check_links, *[nothing] * 8, self._check_chunk, nothing)
        if self._silence is None:
            return (self._check_links, *[nothing] * 10)
        given = self._delivery
        return (self._check_links, *self._silence.checks(self._receipt_entry, given.receipt, given.sealing))

    def _check_links(self) -> str:
        # 2. The statements are of their types and about one another, and the private key is this transfer's.
        for part in self._parts.values():
            need(part.report.statement)
            if part.statement.type.name != _TYPES[part.name]:
                raise MalformedError(f"the {part.name} is a {part.statement.type.name}, not a {_TYPES[part.name]}")
        receipt = self._parts["receipt"]
        public = self._delivery.recipient.public
        if receipt.statement.message["recipientKey"] != public:
            raise VerificationError(
                "the private key is not that of the receipt's recipientKey",
                expected=receipt.statement.message["recipientKey"],
                found=public,
            )
        links = (*self._sealing_links(receipt), *self._release_links(receipt), *self._registration_links())
        for what, expected, found in links:
            if expected != found:
                raise VerificationError(what, expected=str(expected), found=str(found))
        return f"the private key of transfer {self._transfer}"

    def _sealing_links(self, receipt: _Part) -> Sequence[_Link]:
        sealing = self._parts["sealing"]
        return (
            ("another sealing was receipted", receipt.member("sealing"), sealing.digest),
            ("the sealing is another participant's", receipt.member("provider"), sealing.statement.participant),
            ("other bytes were receipted", sealing.member("ciphertextRoot"), receipt.member("ciphertextRoot")),
        )

    def _release_links(self, receipt: _Part) -> Sequence[_Link]:
        release = self._parts.get("release")
        if release is None:
            return ()
        return (
            ("the release is another participant's", receipt.member("provider"), release.statement.participant),
            ("the release answers another receipt", receipt.digest, release.member("receipt")),
        )

    def _registration_links(self) -> Sequence[_Link]:
        if self._registration is None:
            return ()
        registered, _ = self._read_registration(self._registration)
        return (("the sealing is of another registration", self._parts["sealing"].member("registration"), registered),)

    def _read_registration(self, report: Report) -> tuple[Bytes32, Bytes32]:
        """Its digest, and the content hash that it registers."""
        members: Mapping[str, object]
        if report.statement is not None:
            name, members = report.statement.type.name, report.statement.message
        else:
            name, members = need(report.shown).name, need(report.shown).members
        if name not in _REGISTRATION:
            raise MalformedError(f"the registration is a {name}, not a {' or '.join(_REGISTRATION)}")
        return need(report.digest), Bytes32.parse(str(members["contentHash"]))

    def _check_chunk(self) -> str:
        # 11. The chunk is of the ciphertext that was receipted, and stands where the registered content has its hash.
        lean_on(2, self._check_links)
        _, content_hash = self._read_registration(need(self._registration))
        chunk = need(self._wrong).chunk
        chunk.verify(content_hash, self._parts["receipt"].member("ciphertextRoot"))
        return f"sealed chunk {chunk.index} of {chunk.entry.path}, as receipted, and what was registered for its place"

    @property
    def _transfer(self) -> Bytes32:
        receipt = self._parts["receipt"]
        return compute_transfer_id(receipt.statement.participant, receipt.member("transferSalt"))

    @property
    def _receipt_entry(self) -> Entry | None:
        part = self._parts["receipt"]
        if part.report.statement is None:
            return None
        return Entry.of(part.digest, part.statement.participant, part.evidence.signature)

    def _judge(self) -> Claim:
        if self._wrong is not None:
            return self._judge_data(self._wrong.chunk)
        return self._judge_release() if self._silence is None else self._judge_silence(self._silence)

    def _judge_data(self, chunk: ShownChunk) -> Claim:
        key = self._open_release()
        if isinstance(key, str):
            return self._judge_release()  # worse than what is claimed, and shown by the same
        provider, wrong = self._parts["release"].statement.participant, chunk.find_wrong(key)
        facts: dict[str, JsonValue] = {"path": chunk.entry.path, "chunk": str(chunk.index)}
        facts["registration"] = str(self._parts["sealing"].member("registration"))
        if wrong is None:
            return self._claim(
                Verdict.REFUTED,
                f"Participant {provider} delivered what it registered, as far as this shows: sealed chunk "
                f"{chunk.index} of {chunk.entry.path} opens with the sealing's key to the bytes that were registered",
                QUESTION_OF_DATA,
                **facts,
            )
        return self._claim(
            Verdict.VERIFIED,
            f"Participant {provider} did not deliver what it registered: {wrong}, which it released; that chunk is of "
            "the ciphertext that it stated and that was receipted",
            QUESTION_OF_DATA,
            **facts,
            wrong=wrong,
        )

    def _judge_release(self) -> Claim:
        key = self._open_release()
        wrong = key if isinstance(key, str) else None
        provider, moment = self._parts["release"].statement.participant, self._parts["release"].report.time
        stated = f"stated no later than {format_time(cast('int', moment))}"
        if wrong is None:
            return self._claim(
                Verdict.REFUTED,
                f"Participant {provider} released the key of the sealing: its release, {stated}, opens with the "
                "transfer's private key to the key that the sealing commits to",
            )
        return self._claim(
            Verdict.VERIFIED,
            f"Participant {provider} did not deliver the key to what was receipted: its release, {stated}, {wrong}",
            wrong=wrong,
        )

    def _open_release(self) -> SealingKey | str:
        """The key that the sealing commits to, from the release; else what is wrong with that."""
        receipt, release = self._parts["receipt"], self._parts["release"]
        consumer, grant = receipt.statement.participant, receipt.member("grant")
        named = {"transfer": self._transfer, "grant": grant, "consumer": consumer}
        for name, expected in named.items():
            if release.member(name) != expected:
                return f"names another {name} than the receipt that it answers"
        terms = ReleaseTerms(self._transfer, grant, receipt.member("sealing"), consumer)
        try:
            key = open_key(cast("bytes", release.statement.message["wrappedKey"]), self._delivery.recipient, terms)
            return SealingKey.opened(key, self._parts["sealing"].member("keyCommitment"))
        except (MalformedError, VerificationError) as error:
            return f"holds no such key: {error}"

    def _judge_silence(self, silence: SilenceRun) -> Claim:
        provider, operator = self._parts["receipt"].member("provider"), silence.operator
        doubt = self._find_doubt(silence, provider, operator)
        if doubt is not None:
            return self._claim(Verdict.UNDETERMINED, doubt, log_operator=str(operator))
        owner = "That log is its own" if operator == provider else f"That log, with its sealing, is that of {operator}"
        return self._claim(
            Verdict.VERIFIED,
            f"Participant {provider} released no key for what was receipted: {_describe(silence)}, has no statement of "
            f"it since the receipt, and it had until {format_time(self._due)}. {owner}. Whether the grant was in force "
            "all that time is not shown by this",
            log_operator=str(operator),
        )

    def _find_doubt(self, silence: SilenceRun, provider: Bytes32, operator: Bytes32) -> str | None:
        """Why silence in that log does not show that the provider withheld the key; None: it does."""
        if operator == self._parts["receipt"].statement.participant:
            return (
                f"Whether participant {provider} released the key can not be told: the log that took the receipt is "
                f"that of its consumer {operator}, who decides what enters it"
            )
        if silence.time <= self._due:
            return (
                f"Whether participant {provider} releases the key can not be told yet: it has until "
                f"{format_time(self._due)}, and what is shown of the log is of {format_time(silence.time)}"
            )
        spoken = silence.indexes_of(provider)
        if spoken:
            return (
                f"Whether participant {provider} released the key it alone can show: {_describe(silence)}, has "
                f"{len(spoken)} statements of it since (the first is entry {spoken[0]}); one may be the release"
            )
        return None

    @property
    def _due(self) -> int:
        """By when the key was owed: the receipt's deadline, and never so soon that nobody could have answered."""
        receipt = self._parts["receipt"]
        return max(receipt.statement.deadline, cast("int", receipt.report.time) + LEAST_TERM_S)

    def _claim(self, verdict: Verdict, sentence: str, question: str = QUESTION, **more: JsonValue) -> Claim:
        receipt = self._parts["receipt"]
        facts: dict[str, JsonValue] = {
            "kind": self._delivery.kind.value,
            "transfer": str(self._transfer),
            "provider": str(receipt.member("provider")),
            "consumer": str(receipt.statement.participant),
            "grant": str(receipt.member("grant")),
            "sealing": str(receipt.member("sealing")),
            "receipt": str(receipt.digest),
            "receipted_no_later_than": format_time(cast("int", receipt.report.time)),
        }
        return Claim(question, verdict, sentence, facts | more)


def _judge_registration(world: TrustedWorld, evidence: Evidence | EventEvidence) -> Report:
    if isinstance(evidence, EventEvidence):
        return EventRun(world, evidence).report("registration")
    return StatementRun(world, evidence, None).report("registration")


def _describe(silence: SilenceRun) -> str:
    at = format_time(silence.time)
    return f"the log that took the receipt, with the {silence.size} entries that it had on chain at {at}"


def _combine(steps: Sequence[tuple[str, Step]]) -> Step:
    """One line of the parts': what fails, else what is left open, else what was found."""
    number = steps[0][1].number
    for name, step in steps:
        if step.outcome is Outcome.FAIL:
            return Step(number, Outcome.FAIL, f"{name}: {step.detail}", expected=step.expected, found=step.found)
    leaves_open = any(step.leaves_open for _, step in steps)
    outcome = Outcome.NOT_CHECKED if leaves_open else min((step.outcome for _, step in steps), key=_ORDER.index)
    told = [(name, step.detail) for name, step in steps if step.outcome is outcome and step.leaves_open == leaves_open]
    details = dict.fromkeys(detail for _, detail in told)
    if len(details) == 1:
        return Step(number, outcome, next(iter(details)), leaves_open=leaves_open)
    return Step(number, outcome, "; ".join(f"{name}: {detail}" for name, detail in told), leaves_open=leaves_open)
