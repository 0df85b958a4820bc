"""Statements that wait for a transaction, in the order of their arrival: read many at a time, given out in parts.

The database finds the oldest by looking at all that wait. What was read stays as it is: who else could give it a
transaction is told so when it is simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.chain import SignedStatement
from ledger.statements import Statement
from ledger.store import Store
from ledger.store.rows import StatementRow

__all__ = ["Submittable", "executable"]

_AT_ONCE: Final = 512


class Submittable:
    """What was read and not given out; the submitter's thread alone calls it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: Sequence[StatementRow] = ()
        self._given: Sequence[StatementRow] = ()
        self._rest: Sequence[StatementRow] = ()

    def take(self, count: int) -> Sequence[StatementRow]:
        """The oldest, ``count`` at most; all are read again unless `clear` says that these need nothing more.

        Raises:
            UnavailableError: the database does not answer.
        """
        read, self._read = self._read, ()
        if len(read) < count:
            read = self._store.statements.list_submittable(max(count, _AT_ONCE)) if count else ()
        self._given, self._rest = read[:count], read[count:]
        return self._given

    def clear(self, count: int) -> None:
        """Of those taken last so many need nothing more; if one has to wait, what follows is read again with it."""
        self._read = self._rest if count == len(self._given) else ()


def executable(row: StatementRow) -> SignedStatement:
    """A stored statement as its contract takes it."""
    return SignedStatement(Statement.parse(row.type, dict(row.message)), row.signer, row.signature, row.cosignature)
