"""What reverted in a final block: refused, done by somebody else, to be waited for, or to go again.

A transaction reverts by what was there when it was executed. That is not always what will stay: after a reorganisation
a statement may come before the one that it depends on, which went by another account. So the contract is asked again,
and refuses for good only what it refuses once all that was given a transaction earlier has its outcome, by a block that
is final, too.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from ledger.canonical import JsonValue
from ledger.chain import Signer
from ledger.errors import RefusedError
from ledger.exchange.nonces import Nonces
from ledger.exchange.parts import Parts
from ledger.exchange.refusing import Refusing
from ledger.exchange.reporting import refusal_json
from ledger.exchange.tracing import traces
from ledger.store.rows import OutboxRow, StatementRow
from ledger.types import Bytes32

__all__ = ["MOST_RENEWALS", "Fate", "Reverted"]

MOST_RENEWALS: Final = 8
"""transactions of one statement that revert though its simulation succeeds, before it is refused"""
_REVERTED: Final = "transaction-reverted"

Simulate = Callable[[StatementRow], bool | RefusedError]


class Fate(Enum):
    """What becomes of it, where it is not refused."""

    DONE = "done"
    """somebody else relayed it meanwhile"""
    WAITS = "waits"
    """what it may depend on has no outcome yet"""
    GOES_AGAIN = "goes again"
    """it would succeed now"""


Judgement = Fate | dict[str, JsonValue]


class Reverted:
    """Judges transactions that reverted; the submitter's thread alone calls it."""

    def __init__(self, parts: Parts, nonces: Nonces, simulate: Simulate) -> None:
        self._parts = parts
        self._nonces = nonces
        self._simulate = simulate
        self._refusing = Refusing(parts, nonces)

    def judge(self, row: OutboxRow, final: int) -> Judgement:
        """What becomes of it; a refusal as the store keeps it. Nothing is stored by asking.

        Raises:
            UnavailableError: node or database do not answer, or the node does not have what is indexed.
        """
        statement = self._parts.store.statements.find(Bytes32.parse(row.subject)) if row.subject[:2] == "0x" else None
        if statement is None:  # whoever asked for it asks again
            return _refusal_of(row)
        found = self._simulate(statement)
        if isinstance(found, RefusedError):
            self._refusing.look()
            if self._has_predecessors(row) or not self._refusing.stands(statement.digest):
                return Fate.WAITS
            self._refusing.forget(statement.digest)
            return refusal_json(found.code, str(found), found.facts)
        self._refusing.forget(statement.digest)
        if not found:  # its effect is there
            effect = self._parts.store.chain.find_effect(statement.digest)
            return Fate.DONE if effect is not None and effect.block <= final else Fate.WAITS
        return Fate.GOES_AGAIN if _count_renewals(row) < MOST_RENEWALS else _refusal_of(row)

    def renew(self, row: OutboxRow, signer: Signer) -> None:
        """Give it another transaction, and note that it got one. Raises: UnavailableError."""
        noted = _refusal_of(row, renewals=_count_renewals(row) + 1)
        self._nonces.renew_row(signer, row, "it reverted, and would not now", noted)
        traces.moved(row.subject, "reverted, and given another transaction", transaction=str(row.hash))

    def _has_predecessors(self, row: OutboxRow) -> bool:
        """Whether anything is on its way that was given its first transaction earlier."""
        return any(each.created_at < row.created_at for each in self._parts.store.outbox.in_flight())


def _refusal_of(row: OutboxRow, **facts: object) -> dict[str, JsonValue]:
    return refusal_json(_REVERTED, "the transaction was mined and reverted", {"hash": row.hash, **facts})


def _count_renewals(row: OutboxRow) -> int:
    facts = {} if row.outcome is None else row.outcome.get("facts")
    counted = facts.get("renewals", 0) if isinstance(facts, dict) else 0
    return counted if isinstance(counted, int) else 0
