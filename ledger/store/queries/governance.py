"""Governors and proposals, worked out from votes and decisions."""

from __future__ import annotations

from ledger.errors import MalformedError
from ledger.statements import Decision
from ledger.store.cursors import MAX_LIMIT, Cursors
from ledger.store.database import Database
from ledger.store.queries.ballots import load_governance
from ledger.store.queries.joined import check_choice
from ledger.store.queries.standing import read_as_of
from ledger.store.rows import GovernorsRow, ProposalRow, RowPage
from ledger.types import Bytes32

__all__ = ["Governance"]


class Governance:
    """Who governs, and what is voted on. A consortium's votes are few: they are read whole."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    def governors(self) -> GovernorsRow:
        """Epoch, threshold and governors now. Before the founding: epoch 0, nobody."""
        with self._database.read() as connection:
            return load_governance(connection).present()

    def counter_of(self, subject: Bytes32) -> int:
        """The subject's counter, which a vote must name."""
        with self._database.read() as connection:
            return load_governance(connection).counter_of(subject)

    def find(self, proposal: Bytes32) -> ProposalRow | None:
        """A proposal by its id."""
        return next((row for row in self._proposals() if row.id == proposal), None)

    def find_open(self, decision: Decision, subject: Bytes32, argument: Bytes32) -> ProposalRow | None:
        """The open proposal on this, if there is one."""
        wanted = (decision, subject, argument, "open")
        rows = self._proposals()
        return next((row for row in rows if (row.decision, row.subject, row.argument, row.state) == wanted), None)

    def list(self, *, state: str | None = None, limit: int = 50, cursor: str | None = None) -> RowPage[ProposalRow]:
        """Proposals by state (open, executed, rejected, lapsed), the newest first.

        Raises:
            MalformedError: the cursor is not one of this list with these filters.
        """
        check_choice("state", state, "open", "executed", "rejected", "lapsed")
        if not 1 <= limit <= MAX_LIMIT:
            raise MalformedError(f"a page has 1 to {MAX_LIMIT} items, not {limit}")
        filters = {"state": state}
        after = None if cursor is None else self._cursors.decode("proposals", filters, cursor)
        with self._database.read() as connection:
            rows, as_of = load_governance(connection).proposals(), read_as_of(connection)
        rows = tuple(row for row in rows if state is None or row.state == state)
        rows = tuple(sorted(rows, key=_key, reverse=True))
        rows = tuple(row for row in rows if after is None or _key(row) < tuple(after))
        following = self._cursors.encode("proposals", filters, _key(rows[limit - 1])) if len(rows) > limit else None
        return RowPage(rows[:limit], following, as_of)

    def _proposals(self) -> tuple[ProposalRow, ...]:
        with self._database.read() as connection:
            return load_governance(connection).proposals()


def _key(row: ProposalRow) -> tuple[int, str]:
    return int(row.opened_at.timestamp()), str(row.id)
