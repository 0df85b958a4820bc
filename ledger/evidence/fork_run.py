"""The steps (docs/spec/evidence.md) that apply to two signed checkpoints which contradict each other, and the claim."""

from __future__ import annotations

from ledger.canonical import JsonValue
from ledger.errors import UnavailableError
from ledger.evidence.breach_run import QUESTION
from ledger.evidence.fork import Fork, verify_contradiction
from ledger.evidence.log_note import LogNote, find_signer, tell_old_key
from ledger.evidence.policy import PinnedLog
from ledger.evidence.report import Claim, Report, Verdict
from ledger.evidence.steps import Check, TrustedWorld, does_not_apply, need, take_steps
from ledger.log.checkpoint import Checkpoint

__all__ = ["ForkRun"]

_NO_STATEMENT = "no statement is shown"
_NO_EVENT = "two signed checkpoints contradict each other without the chain"


class ForkRun:
    """The evidence of a fork on its way through the steps."""

    def __init__(self, world: TrustedWorld, fork: Fork) -> None:
        self._world = world
        self._fork = fork
        self._notes = LogNote(world.policy, fork.smaller), LogNote(world.policy, fork.larger)
        self._log: PinnedLog | None = None

    def report(self, source: str) -> Report:
        """Take all steps, and say that the log forked where they pass."""
        steps = take_steps(self._world.policy_step, self._checks())
        report = Report(source=source, steps=steps)
        if report.steps_verdict is not Verdict.VERIFIED:
            return report
        return Report(source=source, steps=steps, rests_on=("the log's key in your policy",), claim=self._judge())

    def _checks(self) -> tuple[Check, ...]:
        return (
            self._check_form,
            does_not_apply(_NO_STATEMENT),
            does_not_apply(_NO_STATEMENT),
            self._check_contradiction,
            self._check_log_signatures,
            *(does_not_apply(_NO_EVENT) for _ in range(3)),
            *(does_not_apply(_NO_STATEMENT) for _ in range(3)),
        )

    def _check_form(self) -> str:
        # 2. Both notes are checkpoints of one log.
        smaller, larger = (note.checkpoint for note in self._notes)
        return f"checkpoints of {smaller.size} and {larger.size} entries of {larger.origin}"

    def _check_contradiction(self) -> str:
        # 5. The larger tree has another root at the smaller one's size.
        smaller, larger = (note.checkpoint for note in self._notes)
        verify_contradiction(self._fork, smaller, larger)
        return f"the larger has root 0x{self._fork.root.hex()} at size {smaller.size}, not 0x{smaller.root.hex()}"

    def _check_log_signatures(self) -> str:
        # 6. One log signed both, each alone, with keys that the policy pins.
        log = self._find_log()
        self._log = log
        words = [note.verify_signature(log.id) for note in self._notes]
        return "; ".join(dict.fromkeys(words))

    def _find_log(self) -> PinnedLog:
        """The one log of the policy that signed both notes: an origin alone may be that of two operators."""
        origin = self._notes[0].checkpoint.origin
        if all(log.origin != origin for log in self._world.policy.logs):
            raise UnavailableError(
                f"your policy does not know the log {origin!a}: extend it with a node of your choice"
            )
        return find_signer(self._world.policy, (self._fork.smaller, self._fork.larger))

    @property
    def _key_ids(self) -> frozenset[bytes]:
        return frozenset().union(*(note.key_ids for note in self._notes))

    def _judge(self) -> Claim:
        log = need(self._log)
        smaller, larger = (note.checkpoint for note in self._notes)
        facts, name = _list_facts(log, smaller, larger), f"{log.origin} of operator {log.operator}"
        doubt = tell_old_key(self._key_ids, log.keys)
        if doubt is not None:
            words = f"Whether the log {name} signed both of two histories can not be told: {doubt}"
            return Claim(QUESTION, Verdict.UNDETERMINED, words, facts)
        return Claim(
            QUESTION,
            Verdict.VERIFIED,
            f"The log {name} broke its promise: its checkpoints of {smaller.size} and "
            f"{larger.size} entries are of two histories",
            facts,
        )


def _list_facts(log: PinnedLog, smaller: Checkpoint, larger: Checkpoint) -> dict[str, JsonValue]:
    return {
        "kind": "forked",
        "log": str(log.id),
        "origin": log.origin,
        "sizes": [str(smaller.size), str(larger.size)],
        "roots": ["0x" + smaller.root.hex(), "0x" + larger.root.hex()],
    }
