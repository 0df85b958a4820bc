"""The registry's rules of voting, applied to what it emitted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table, select
from sqlalchemy.engine import Row

from ledger.keccak import keccak256
from ledger.statements import Choice, Decision, HistoryKind
from ledger.store.rows import BallotRow, GovernorsRow, ProposalRow
from ledger.store.schema.chain import APPLICATIONS, CLAIMS, DECISIONS, HISTORY, VOTES
from ledger.store.schema.gateway import PARTICIPANT_HANDLES
from ledger.types import Bytes32

__all__ = ["Governance", "load_governance"]

_MOVES_EPOCH: Final = (Decision.APPOINT_GOVERNOR, Decision.DISMISS_GOVERNOR, Decision.SET_THRESHOLD)
_RECORDS: Final = (
    HistoryKind.ADMITTED,
    HistoryKind.GOVERNOR_APPOINTED,
    HistoryKind.GOVERNOR_DISMISSED,
    HistoryKind.THRESHOLD_SET,
)


class Ballot(NamedTuple):
    """What votes are counted by."""

    decision: int
    subject: Bytes32
    argument: Bytes32
    epoch: int
    counter: int

    @property
    def id(self) -> Bytes32:
        """The contract's own key of it: keccak256(abi.encode(...))."""
        words = (_word(self.decision), self.subject, self.argument, _word(self.epoch), _word(self.counter))
        return Bytes32(keccak256(b"".join(words)))


class Question(NamedTuple):
    """What is decided, whatever epoch and counter."""

    decision: int
    subject: Bytes32
    argument: Bytes32


@dataclass(frozen=True)
class Governance:
    """Everything that governors did, in order."""

    records: Sequence[Row[Any]]
    votes: Sequence[Row[Any]]
    decisions: Sequence[Row[Any]]
    applications: Sequence[Row[Any]]
    claims: Sequence[Row[Any]]
    handles: dict[Bytes32, str]

    def present(self) -> GovernorsRow:
        """Epoch, threshold and governors now."""
        if not self.records:
            return GovernorsRow(0, 0, ())
        governors: dict[Bytes32, None] = {}
        for record in self.records:
            if record.kind == HistoryKind.GOVERNOR_APPOINTED:
                governors[record.participant] = None
            elif record.kind == HistoryKind.GOVERNOR_DISMISSED:
                governors.pop(record.participant, None)
        moves = sum(1 for row in self.decisions if row.executed and row.decision in _MOVES_EPOCH)
        return GovernorsRow(1 + moves, self._threshold_before(None), tuple(governors))

    def counter_of(self, subject: Bytes32) -> int:
        """How many decisions on it were executed or rejected."""
        return self._counters[subject]

    def proposals(self) -> tuple[ProposalRow, ...]:
        """Every proposal: what was filed to be voted on, and every other ballot."""
        return (*self._filed(), *self._balloted())

    @cached_property
    def _counters(self) -> Counter[Bytes32]:
        return Counter(row.subject for row in self.decisions)

    @cached_property
    def _now(self) -> GovernorsRow:
        return self.present()

    @cached_property
    def _ballots(self) -> dict[Ballot, list[Row[Any]]]:
        ballots: defaultdict[Ballot, list[Row[Any]]] = defaultdict(list)
        for vote in self.votes:
            ballots[_ballot_of(vote)].append(vote)
        return ballots

    @cached_property
    def _decided(self) -> dict[Ballot, Row[Any]]:
        return {_ballot_of(row): row for row in self.decisions}

    @cached_property
    def _admissions(self) -> dict[Bytes32, Row[Any]]:
        return {record.participant: record for record in self.records if record.kind == HistoryKind.ADMITTED}

    def _filed(self) -> Iterator[ProposalRow]:
        filings = ((Decision.ADMIT, self.applications), (Decision.RECOVER_CONTROL_KEY, self.claims))
        voted = {row.subject for row in self.decisions if row.decision == Decision.ADMIT and row.executed}
        for decision, rows in filings:
            for row in rows:
                # Founders are admitted by the founding, without a vote.
                founder = row.participant in self._admissions and row.participant not in voted
                if decision is not Decision.ADMIT or not founder:
                    yield self._describe_filed(Question(decision, row.participant, row.digest), row)

    def _describe_filed(self, question: Question, filing: Row[Any]) -> ProposalRow:
        current = Ballot(*question, self._now.epoch, self._counters[question.subject])
        decided = [row for ballot, row in self._decided.items() if ballot[:3] == question]
        executed = next((row for row in decided if row.executed), None)
        last = executed or (decided[-1] if decided and current not in self._ballots else None)
        if last is not None:
            return self._describe(question.argument, _ballot_of(last), _outcome(last), filing, last)
        taken = question.decision == Decision.ADMIT and question.subject in self._admissions
        return self._describe(question.argument, current, "lapsed" if taken else "open", filing, None)

    def _balloted(self) -> Iterator[ProposalRow]:
        for ballot, votes in self._ballots.items():
            if ballot.decision in {Decision.ADMIT, Decision.RECOVER_CONTROL_KEY}:
                continue
            decided = self._decided.get(ballot)
            if decided is not None:
                yield self._describe(ballot.id, ballot, _outcome(decided), votes[0], decided)
            else:
                live = (ballot.epoch, ballot.counter) == (self._now.epoch, self._counters[ballot.subject])
                yield self._describe(ballot.id, ballot, "open" if live else "lapsed", votes[0], None)

    def _describe(
        self, proposal: Bytes32, ballot: Ballot, state: str, opening: Row[Any], decided: Row[Any] | None
    ) -> ProposalRow:
        votes = tuple(
            BallotRow(vote.participant, vote.digest, Choice(vote.choice), vote.time)
            for vote in self._ballots.get(ballot, ())
        )
        return ProposalRow(
            id=proposal,
            decision=Decision(ballot.decision),
            subject=ballot.subject,
            subject_handle=self.handles.get(ballot.subject),
            argument=ballot.argument,
            epoch=ballot.epoch,
            counter=ballot.counter,
            state=state,
            threshold=self._threshold_before(decided),
            votes=votes,
            opened_at=opening.time,
            decided_at=None if decided is None else decided.time,
        )

    def _threshold_before(self, decided: Row[Any] | None) -> int:
        """The threshold now, or when something was decided (a decision's own records come before its event)."""
        vote = None if decided is None else self._votes_by_digest[decided.digest]
        threshold = 0
        for record in self.records:
            if vote is not None and (record.block, record.position) > (vote.block, vote.position):
                break
            if record.kind == HistoryKind.THRESHOLD_SET:
                threshold = int.from_bytes(record.detail, "big")
        return threshold

    @cached_property
    def _votes_by_digest(self) -> dict[Bytes32, Row[Any]]:
        return {vote.digest: vote for vote in self.votes}


def load_governance(connection: Connection) -> Governance:
    """Read all that governors did."""

    def load(table: Table) -> Sequence[Row[Any]]:
        return connection.execute(select(table).order_by(table.c.block, table.c.position)).all()

    records = select(HISTORY).where(HISTORY.c.kind.in_(_RECORDS)).order_by(HISTORY.c.index)
    return Governance(
        records=connection.execute(records).all(),
        votes=load(VOTES),
        decisions=load(DECISIONS),
        applications=load(APPLICATIONS),
        claims=load(CLAIMS),
        handles={row.participant: row.handle for row in connection.execute(select(PARTICIPANT_HANDLES))},
    )


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _ballot_of(row: Row[Any]) -> Ballot:
    return Ballot(row.decision, row.subject, row.argument, row.epoch, row.counter)


def _outcome(decided: Row[Any]) -> str:
    return "executed" if decided.executed else "rejected"
