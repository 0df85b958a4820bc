"""The outbox: signed transactions, durable before they are sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    null,
    select,
    update,
)
from sqlalchemy.engine import Row

from ledger.canonical import JsonValue
from ledger.errors import NotFoundError
from ledger.store.batches import batched
from ledger.store.database import Database
from ledger.store.rows import FormerTransaction, OutboxRow, OutboxState, SignedTransaction
from ledger.store.schema.gateway import FORMER_TRANSACTIONS, OUTBOX, SUBMISSIONS
from ledger.store.statements import record_refusal
from ledger.types import Address, Bytes32

__all__ = ["Outbox"]

_O = OUTBOX.c
_F = FORMER_TRANSACTIONS.c
_CLOCK_PUT_BACK: Final = timedelta(minutes=1)
_FIELDS: Final = tuple(OutboxRow.__dataclass_fields__)
_IN_FLIGHT: Final = (OutboxState.PENDING, OutboxState.SENT, OutboxState.INCLUDED)
_SELECT: Final = select(*(_O[name] for name in _FIELDS))
_FORMER: Final = select(*(_F[name] for name in FormerTransaction.__dataclass_fields__))
# Built once: it is executed for every transaction.
_SETTLE: Final = (
    update(OUTBOX)
    .where(_O.subject == bindparam("of_subject"))
    .values(
        state=case((_O.noop, OutboxState.FAILED), else_=OutboxState.DONE),
        outcome=case((_O.noop, _O.outcome), else_=null()),
        block=func.coalesce(bindparam("at_block", type_=_O.block.type), _O.block),
        updated_at=bindparam("at", type_=_O.updated_at.type),
    )
)


class Outbox:
    """Transactions on their way to the chain, one nonce each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enqueue(
        self,
        relay: Address,
        chain_nonce: int,
        items: Sequence[tuple[str, Callable[[int], SignedTransaction]]],
        now: datetime,
    ) -> tuple[OutboxRow, ...]:
        """Give each (subject, sign) the next nonce of ``relay``, sign and store it, all in one transaction.

        ``chain_nonce`` is the account's transaction count on chain; nonces go on from the highest stored one or from
        it, whichever is higher. A subject that is in the outbox already is skipped. ``sign(nonce)`` must not block.
        """
        with self._database.write() as connection:
            taken: set[str] = set()
            for batch in batched(subject for subject, _ in items):
                taken.update(connection.scalars(select(_O.subject).where(_O.subject.in_(batch))))
            nonce = _next_nonce(connection, relay, chain_nonce)
            added: list[OutboxRow] = []
            for subject, sign in items:
                if subject not in taken:
                    taken.add(subject)
                    added.append(_new_row(subject, relay, nonce + len(added), sign, now))
            if added:
                values = [_to_values(row) for row in added]
                connection.execute(insert(OUTBOX), values)
                for group in batched(row["digest"] for row in values if row["digest"] is not None):
                    connection.execute(delete(SUBMISSIONS).where(SUBMISSIONS.c.digest.in_(group)))
            return tuple(added)

    def next_nonce(self, relay: Address, chain_nonce: int) -> int:
        """The nonce that `enqueue` would give next."""
        with self._database.read() as connection:
            return _next_nonce(connection, relay, chain_nonce)

    def take(self, relay: Address, *, limit: int, resend_before: datetime) -> tuple[OutboxRow, ...]:
        """What is to be sent now, by nonce: pending ones, and sent ones last touched before ``resend_before``."""
        clock_was_put_back = _O.updated_at > resend_before + _CLOCK_PUT_BACK
        stale = (_O.state == OutboxState.SENT) & ((_O.updated_at < resend_before) | clock_was_put_back)
        due = (_O.relay == relay) & ((_O.state == OutboxState.PENDING) | stale)
        return self._load(due, limit)

    def in_flight(self, relay: Address | None = None) -> tuple[OutboxRow, ...]:
        """Everything without an outcome, by relay and nonce."""
        unsettled = _O.state.in_(_IN_FLIGHT)
        return self._load(unsettled if relay is None else unsettled & (_O.relay == relay))

    def oldest_in_flight(self, relays: Sequence[Address], limit: int) -> tuple[OutboxRow, ...]:
        """Those of several relay accounts that have no outcome, by relay and nonce, ``limit`` at most."""
        return self._load(_O.state.in_(_IN_FLIGHT) & _O.relay.in_(relays), limit)

    def find_pending(self, subjects: Sequence[str]) -> list[OutboxRow]:
        """Those of ``subjects`` that are to be sent for the first time, by relay and nonce."""
        found: list[OutboxRow] = []
        with self._database.read():
            for batch in batched(subjects):
                found += self._load(_O.subject.in_(batch) & (_O.state == OutboxState.PENDING))
        return sorted(found, key=lambda row: (row.relay, row.nonce))

    def subjects_in_flight(self) -> tuple[tuple[str, Address], ...]:
        """Subject and relay account of everything without an outcome."""
        query = select(_O.subject, _O.relay).where(_O.state.in_(_IN_FLIGHT))
        with self._database.read() as connection:
            return tuple((row.subject, row.relay) for row in connection.execute(query))

    def find(self, subject: str) -> OutboxRow | None:
        """The row of a statement's digest or a checkpoint."""
        rows = self._load(_O.subject == subject)
        return rows[0] if rows else None

    def find_by_hash(self, transaction: Bytes32) -> OutboxRow | None:
        """The row whose present transaction has this hash."""
        rows = self._load(_O.hash == transaction)
        return rows[0] if rows else None

    def mark_sent(self, subjects: Sequence[str], now: datetime) -> None:
        """Record that they were handed to a node; counts an attempt."""
        with self._database.write() as connection:
            for batch in batched(subjects):
                unsettled = _O.subject.in_(batch) & _O.state.in_((OutboxState.PENDING, OutboxState.SENT))
                sent = {"state": OutboxState.SENT, "attempts": _O.attempts + 1, "updated_at": now}
                connection.execute(update(OUTBOX).where(unsettled).values(**sent))

    def mark_included(self, subject: str, block: int, now: datetime) -> None:
        """Record that it is in a block that is not final yet; of one that has its outcome nothing changes."""
        with self._database.write() as connection:
            unsettled = (_O.subject == subject) & _O.state.in_(_IN_FLIGHT)
            included = {"state": OutboxState.INCLUDED, "block": block, "updated_at": now}
            connection.execute(update(OUTBOX).where(unsettled).values(**included))

    def mark_done(self, subject: str, now: datetime, *, block: int | None = None) -> None:
        """Settle it: its effect is final, whoever relayed it.

        One whose transaction was replaced by one without effect (`refuse_and_fill`) is settled as failed.

        Raises:
            NotFoundError: no such row.
        """
        self.mark_all_done([(subject, block)], now)

    def mark_all_done(self, settled: Sequence[tuple[str, int | None]], now: datetime) -> None:
        """Like `mark_done`, of several, each with its block. Raises: NotFoundError: one is not there."""
        if not settled:
            return
        with self._database.write() as connection:
            values = [{"of_subject": subject, "at_block": block, "at": now} for subject, block in settled]
            if connection.execute(_SETTLE, values).rowcount != len(values):
                raise _not_there(", ".join(subject for subject, _ in settled))

    def mark_failed(self, subject: str, refusal: Mapping[str, JsonValue], now: datetime) -> None:
        """Settle it: it will have no effect; in the same transaction that is recorded as the statement's refusal.

        Raises:
            NotFoundError: no such row.
        """
        with self._database.write() as connection:
            failed = {"state": OutboxState.FAILED, "outcome": dict(refusal), "updated_at": now}
            _refuse(connection, subject, refusal, failed)

    def refuse_and_fill(
        self, subject: str, refusal: Mapping[str, JsonValue], noop: SignedTransaction, now: datetime
    ) -> None:
        """Put a transaction without effect at its nonce, and note the certain refusal that it is there for.

        It stays in flight, so that nobody behind it waits. The statement is refused by `mark_failed`, once it is sure
        that this one was executed and not the former one, which is kept: `take_back`.

        Raises:
            NotFoundError: no such row.
        """
        filled = {
            "raw": noop.raw,
            "hash": noop.hash,
            "noop": True,
            "state": OutboxState.PENDING,
            "outcome": dict(refusal),
            "updated_at": now,
        }
        with self._database.write() as connection:
            _keep_former(connection, _get(connection, subject), noop.hash)
            connection.execute(update(OUTBOX).where(_O.subject == subject).values(**filled))

    def take_back(self, subject: str, transaction: Bytes32, now: datetime) -> None:
        """Follow a former transaction of the same nonce instead of the present one: a node has it.

        Raises:
            NotFoundError: no such row.
        """
        with self._database.write() as connection:
            row = _get(connection, subject)
            former = connection.execute(select(FORMER_TRANSACTIONS).where(_F.hash == transaction)).one()
            _keep_former(connection, row, transaction)
            taken = {"raw": former.raw, "hash": former.hash, "noop": former.noop, "block": None}
            taken |= {"state": OutboxState.SENT, "updated_at": now}
            connection.execute(update(OUTBOX).where(_O.subject == subject).values(**taken))

    def formers_in_flight(self) -> tuple[FormerTransaction, ...]:
        """Those that may still take the nonce of what is in flight for the same subject."""
        same = (_F.subject == _O.subject) & (_F.relay == _O.relay) & (_F.nonce == _O.nonce)
        # Found from the few formers on, not from the many in flight.
        return self._load_formers(_FORMER.where(exists().where(same, _O.state.in_(_IN_FLIGHT))))

    def formers_at(self, relay: Address, nonce: int) -> tuple[FormerTransaction, ...]:
        """Those that were signed with this nonce, whatever they were for."""
        return self._load_formers(_FORMER.where(_F.relay == relay, _F.nonce == nonce))

    def _load_formers(self, query: Select[Any]) -> tuple[FormerTransaction, ...]:
        with self._database.read() as connection:
            return tuple(FormerTransaction(*row) for row in connection.execute(query.order_by(_F.hash)))

    def renew(
        self,
        subject: str,
        chain_nonce: int,
        sign: Callable[[int], SignedTransaction],
        now: datetime,
        *,
        outcome: Mapping[str, JsonValue] | None = None,
    ) -> OutboxRow:
        """Give it the next nonce instead of its own, which is lost; ``sign(nonce)`` must not block.

        ``outcome`` is what became of the former transaction, kept until the present one has an outcome.

        Raises:
            NotFoundError: no such row.
        """
        with self._database.write() as connection:
            row = _get(connection, subject)
            _keep_former(connection, row)
            renewed = _new_row(subject, row.relay, _next_nonce(connection, row.relay, chain_nonce), sign, now)
            kept = row.outcome if outcome is None else dict(outcome)
            values = _to_values(renewed) | {"created_at": row.created_at, "outcome": kept}
            connection.execute(update(OUTBOX).where(_O.subject == subject).values(**values))
            return renewed

    def bring_down(
        self, relay: Address, first: int, signed: Sequence[tuple[str, SignedTransaction]], now: datetime
    ) -> bool:
        """Give what is in flight the nonces from ``first`` on, in this order; whether all of them were free.

        Raises:
            NotFoundError: no such row.
        """
        with self._database.write() as connection:
            taken = (_O.relay == relay) & _O.nonce.between(first, first + len(signed) - 1)
            if connection.scalar(select(func.count()).select_from(OUTBOX).where(taken)):
                return False
            for nonce, (subject, transaction) in enumerate(signed, start=first):
                _keep_former(connection, _get(connection, subject))
                values = {"nonce": nonce, "raw": transaction.raw, "hash": transaction.hash, "block": None}
                values |= {"state": OutboxState.PENDING, "updated_at": now}
                connection.execute(update(OUTBOX).where(_O.subject == subject).values(**values))
            return True

    def fill(self, relay: Address, nonce: int, noop: SignedTransaction, now: datetime) -> bool:
        """Put a transaction without effect at a nonce that nothing has; whether nothing had it."""
        with self._database.write() as connection:
            if connection.scalar(select(_O.subject).where(_O.relay == relay, _O.nonce == nonce)) is not None:
                return False
            row = _new_row(f"gap:{relay}:{nonce}", relay, nonce, lambda _: noop, now)
            connection.execute(insert(OUTBOX), [_to_values(row) | {"noop": True}])
            return True

    def last_done(self, relay: Address, limit: int) -> tuple[OutboxRow, ...]:
        """The newest of a relay account's transactions of statements that are done."""
        done = (_O.state == OutboxState.DONE) & (_O.relay == relay) & _O.digest.is_not(None)
        query = _SELECT.where(done).order_by(_O.nonce.desc()).limit(limit)
        with self._database.read() as connection:
            return tuple(_to_row(row) for row in connection.execute(query))

    def reopen(self, subjects: Sequence[str], now: datetime) -> None:
        """Make done ones pending again: they were done by what a node said, and the chain has no effect of them."""
        with self._database.write() as connection:
            for batch in batched(subjects):
                done = _O.subject.in_(batch) & (_O.state == OutboxState.DONE)
                pending = {"state": OutboxState.PENDING, "block": None, "updated_at": now}
                connection.execute(update(OUTBOX).where(done).values(**pending))

    def put_back(self, subjects: Sequence[str], now: datetime) -> None:
        """Make sent or included ones pending again (the head went back, the node lost its pool)."""
        with self._database.write() as connection:
            for batch in batched(subjects):
                lost = _O.subject.in_(batch) & _O.state.in_(_IN_FLIGHT)
                pending = {"state": OutboxState.PENDING, "block": None, "updated_at": now}
                connection.execute(update(OUTBOX).where(lost).values(**pending))

    def depth(self, prefix: str = "") -> int:
        """How many whose subject begins with ``prefix`` have no outcome yet."""
        query = select(func.count()).select_from(OUTBOX).where(_O.state.in_(_IN_FLIGHT))
        if prefix:
            query = query.where(_O.subject.startswith(prefix, autoescape=True))
        with self._database.read() as connection:
            return connection.scalar(query) or 0

    def oldest_at(self) -> datetime | None:
        """Since when the oldest of those waits that have no outcome yet; None: there is none."""
        query = select(func.min(_O.created_at)).where(_O.state.in_(_IN_FLIGHT))
        with self._database.read() as connection:
            oldest: datetime | None = connection.scalar(query)
            return oldest

    def _load(self, condition: ColumnElement[bool], limit: int | None = None) -> tuple[OutboxRow, ...]:
        query = _SELECT.where(condition).order_by(_O.relay, _O.nonce).limit(limit)
        with self._database.read() as connection:
            return tuple(_to_row(row) for row in connection.execute(query))


def _next_nonce(connection: Connection, relay: Address, chain_nonce: int) -> int:
    highest = connection.scalar(select(func.max(_O.nonce)).where(_O.relay == relay))
    return chain_nonce if highest is None else max(chain_nonce, highest + 1)


def _get(connection: Connection, subject: str) -> Row[Any]:
    row = connection.execute(select(OUTBOX).where(_O.subject == subject)).one_or_none()
    if row is None:
        raise _not_there(subject)
    return row


def _not_there(subject: str) -> NotFoundError:
    return NotFoundError(f"nothing is on its way to the chain for {subject}")


def _keep_former(connection: Connection, row: Row[Any], successor: Bytes32 | None = None) -> None:
    """Remember what the row has as former; its successor, if it was one, is none any more."""
    connection.execute(delete(FORMER_TRANSACTIONS).where(_F.hash.in_({row.hash, successor} - {None})))
    kept = {name: row._mapping[name] for name in FORMER_TRANSACTIONS.c.keys()}  # noqa: SIM118  # columns, not a dict
    connection.execute(insert(FORMER_TRANSACTIONS), [kept])


def _refuse(
    connection: Connection, subject: str, refusal: Mapping[str, JsonValue], values: Mapping[str, object]
) -> None:
    row = _get(connection, subject)
    connection.execute(update(OUTBOX).where(_O.subject == subject).values(**values))
    if row.digest is not None:
        record_refusal(connection, row.digest, refusal)


def _new_row(
    subject: str, relay: Address, nonce: int, sign: Callable[[int], SignedTransaction], now: datetime
) -> OutboxRow:
    signed = sign(nonce)
    return OutboxRow(
        subject=subject,
        relay=relay,
        nonce=nonce,
        raw=signed.raw,
        hash=signed.hash,
        state=OutboxState.PENDING,
        attempts=0,
        noop=False,
        outcome=None,
        block=None,
        created_at=now,
        updated_at=now,
    )


def _to_values(row: OutboxRow) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(row, name) for name in _FIELDS}
    values["digest"] = Bytes32.parse(row.subject) if row.subject.startswith("0x") else None
    return values


def _to_row(row: Row[Any]) -> OutboxRow:
    """Of a row of `_SELECT`: so many are read that each look-up by name would count."""
    values = dict(zip(_FIELDS, row, strict=True))
    values["raw"], values["state"] = bytes(values["raw"]), OutboxState(values["state"])
    return OutboxRow(**values)
