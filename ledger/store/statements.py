"""Statements beside the log: what was said, and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from ledger.canonical import JsonValue
from ledger.errors import ConflictError, NotFoundError
from ledger.store.batches import batched
from ledger.store.cursors import Cursors, Window
from ledger.store.database import Database
from ledger.store.queries.standing import read_as_of
from ledger.store.queries.statements import load_statements, select_statements
from ledger.store.readers import link_documents, parties_of
from ledger.store.rows import NewStatement, RowPage, StatementRow
from ledger.store.said import columns_of, rows_of
from ledger.store.schema.chain import CHECKPOINTS, EFFECTS
from ledger.store.schema.gateway import STATEMENT_PARTIES, STATEMENTS, SUBMISSIONS
from ledger.types import Bytes32

__all__ = ["Statements", "record_refusal"]

_S = STATEMENTS.c


class Statements:
    """Statements that this gateway took. Two ways in: `accept` at once, or `stage` before and `accept_staged` after.

    Staging first means that a crash never leaves an entry in the log whose statement is nowhere: after a restart
    look up `list_staged`, compare with the log's end, and accept or append them.
    """

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    def stage(self, statements: Sequence[NewStatement]) -> frozenset[Bytes32]:
        """Store statements that are about to enter the log, all or none; return the digests that were new.

        A digest that is stored already is left as it is (the first occurrence counts). Documents that they carry and
        that are stored are bound, and opened to their parties.
        """
        with self._database.write() as connection:
            new: dict[Bytes32, NewStatement] = {}
            for each in statements:
                new.setdefault(each.digest, each)
            for batch in batched(list(new)):
                for digest in connection.scalars(select(_S.digest).where(_S.digest.in_(batch))):
                    del new[digest]
            if new:
                _insert(connection, list(new.values()))
            return frozenset(new)

    def accept_staged(self, log: Bytes32, indices: Mapping[Bytes32, int], checkpoint_size: int) -> None:
        """Give staged statements their log index, and the size of the signed checkpoint of their batch; all or none.

        Raises:
            NotFoundError: a digest is not stored.
            ConflictError: a digest has another index already, or an index another digest (code ``log-index-taken``).
        """
        with self._database.write() as connection:
            missing = dict(indices)
            waiting: list[Bytes32] = []
            for batch in batched(list(indices)):
                query = select(_S.digest, _S.log, _S.log_index, _S.executable).where(_S.digest.in_(batch))
                for row in connection.execute(query):
                    if row.executable and row.log_index is None:
                        waiting.append(row.digest)
                    if row.log_index is not None and (row.log, row.log_index) != (log, indices[row.digest]):
                        raise ConflictError(
                            f"the statement {row.digest} has the index {row.log_index} already", code="log-index-taken"
                        )
                    del missing[row.digest]
            if missing:
                raise NotFoundError(f"the statement {next(iter(missing))} was not staged")
            if indices:
                _set_indices(connection, log, indices, checkpoint_size)
            if waiting:
                connection.execute(insert(SUBMISSIONS), [{"digest": digest} for digest in waiting])

    def accept(
        self, log: Bytes32, statements: Sequence[NewStatement], first_index: int, checkpoint_size: int
    ) -> frozenset[Bytes32]:
        """`stage` and `accept_staged` in one transaction, for statements that stand at consecutive indices.

        In the transaction that commits the log's checkpoint there is no moment at which one is there without the other.

        Raises:
            ConflictError: as `accept_staged`.
        """
        with self._database.write():
            new = self.stage(statements)
            indices = {each.digest: first_index + offset for offset, each in enumerate(statements)}
            self.accept_staged(log, indices, checkpoint_size)
            return new

    def accept_at(self, log: Bytes32, placed: Sequence[tuple[int, NewStatement]], checkpoint_size: int) -> None:
        """Like `accept`, for statements that are not stored yet, each with its own index.

        Raises:
            ConflictError: a digest or an index is taken.
        """
        with self._database.write():
            self.stage([new for _, new in placed])
            self.accept_staged(log, {new.digest: index for index, new in placed}, checkpoint_size)

    def list_staged(self) -> tuple[StatementRow, ...]:
        """Statements that have no log index yet, in order of arrival."""
        with self._database.read() as connection:
            query = select_statements().where(_S.log_index.is_(None)).order_by(_S.arrival)
            return load_statements(connection, query)

    def list_submittable(self, limit: int = 64) -> tuple[StatementRow, ...]:
        """Accepted executable statements, oldest first, with neither effect nor refusal nor outbox row."""
        query = select_statements().where(
            _S.digest.in_(select(SUBMISSIONS.c.digest)),
            EFFECTS.c.digest.is_(None),  # joined already
        )
        # In the order of arrival, but not found by it: few wait among millions, which no planner knows.
        by_arrival = query.order_by(_S.arrival + 0).limit(limit)
        with self._database.read() as connection:
            return load_statements(connection, by_arrival)

    def discard_staged(self, digests: Sequence[Bytes32]) -> None:
        """Forget staged statements whose append failed for good; accepted ones are never discarded."""
        with self._database.write() as connection:
            for batch in batched(digests):
                connection.execute(delete(STATEMENTS).where(_S.digest.in_(batch), _S.log_index.is_(None)))

    def refuse(self, digest: Bytes32, refusal: Mapping[str, JsonValue]) -> None:
        """Record why no contract will execute it (``{"code", "detail", "facts"}``). An effect on chain outranks it.

        Raises:
            NotFoundError: no such statement.
        """
        with self._database.write() as connection:
            if not record_refusal(connection, digest, refusal):
                raise NotFoundError(f"no statement {digest} is stored")

    def find(self, digest: Bytes32) -> StatementRow | None:
        """The statement with this digest, None when it did not come through this gateway."""
        return self.find_many([digest]).get(digest)

    def find_many(self, digests: Sequence[Bytes32]) -> dict[Bytes32, StatementRow]:
        """Those of ``digests`` that are stored."""
        found: dict[Bytes32, StatementRow] = {}
        with self._database.read() as connection:
            for batch in batched(digests):
                rows = load_statements(connection, select_statements().where(_S.digest.in_(batch)))
                found.update((row.digest, row) for row in rows)
        return found

    def find_by_index(self, log: Bytes32, index: int) -> StatementRow | None:
        """The statement at a log index."""
        with self._database.read() as connection:
            rows = load_statements(connection, select_statements().where(_S.log == log, _S.log_index == index))
        return rows[0] if rows else None

    def list_by_index(self, log: Bytes32, first: int, end: int) -> tuple[StatementRow, ...]:
        """The statements at a log's indexes from ``first`` to before ``end``, in order; gaps are left out."""
        query = select_statements().where(_S.log == log, _S.log_index >= first, _S.log_index < end)
        with self._database.read() as connection:
            return load_statements(connection, query.order_by(_S.log_index))

    def parties(self, digest: Bytes32) -> frozenset[Bytes32]:
        """Who may read it: its signer and everyone it names.

        What it names only by digest (a revoked grant, an agreement) brings that one's parties, as far as it was known
        here when the statement came.
        """
        own = select(_S.participant).where(_S.digest == digest)
        named = select(STATEMENT_PARTIES.c.participant).where(STATEMENT_PARTIES.c.digest == digest)
        with self._database.read() as connection:
            return frozenset(connection.scalars(own.union(named)))

    def list(
        self,
        *,
        participant: Bytes32 | None = None,
        type_name: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RowPage[StatementRow]:
        """Accepted statements that ``participant`` may read (None: all), of a type, received at ``since`` or later.

        Raises:
            MalformedError: the cursor is not one of this list with these filters.
        """
        filters = {"participant": participant, "type": type_name, "since": since}
        window = Window(self._cursors, "statements", filters, limit, cursor, (_S.arrival,))
        query = select_statements().where(_S.log_index.is_not(None))
        if participant is not None:
            named = STATEMENT_PARTIES.c.participant == participant
            is_named = exists().where(STATEMENT_PARTIES.c.digest == _S.digest, named)
            query = query.where((_S.participant == participant) | is_named)
        if type_name is not None:
            query = query.where(_S.type == type_name)
        if since is not None:
            query = query.where(_S.received_at >= since)
        query = window.apply(query)
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(query).all())
            return RowPage(load_statements(connection, rows), following, read_as_of(connection))

    def list_arrived(
        self, types: Collection[str], *, after: int, since: datetime, limit: int
    ) -> tuple[tuple[int, StatementRow], ...]:
        """Accepted statements of these types, received at ``since`` or later, each with its number, in that order.

        ``after``: the number of the last one that was looked at; 0: none was.
        """
        query = select_statements().where(
            _S.type.in_(types), _S.arrival > after, _S.received_at >= since, _S.log_index.is_not(None)
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(_S.arrival).limit(limit)).all()
            found = load_statements(connection, rows)
        return tuple((row.arrival, each) for row, each in zip(rows, found, strict=True))

    def oldest_unanchored(self, log: Bytes32) -> datetime | None:
        """When the first statement was taken that no checkpoint on chain covers; None: all are covered."""
        published = select(func.max(CHECKPOINTS.c.size)).where(CHECKPOINTS.c.log == log)
        with self._database.read() as connection:
            size = connection.scalar(published) or 0
            query = select(_S.received_at).where(_S.log == log, _S.log_index >= size)
            oldest: datetime | None = connection.scalar(query.order_by(_S.log_index).limit(1))
        return oldest


def record_refusal(connection: Connection, digest: Bytes32, refusal: Mapping[str, JsonValue]) -> bool:
    """Write a statement's refusal; say whether there is such a statement."""
    connection.execute(delete(SUBMISSIONS).where(SUBMISSIONS.c.digest == digest))
    record = update(STATEMENTS).where(_S.digest == digest).values(refusal=dict(refusal))
    return connection.execute(record).rowcount == 1


def _insert(connection: Connection, statements: Sequence[NewStatement]) -> None:
    stated = [(each, parties_of(connection, each.statement)) for each in statements]
    connection.execute(insert(STATEMENTS), [_to_values(new) for new in statements])
    rows: defaultdict[Table, list[dict[str, Any]]] = defaultdict(list)
    for new, parties in stated:
        others = sorted(parties - {new.statement.participant})
        rows[STATEMENT_PARTIES].extend({"digest": new.digest, "participant": party} for party in others)
        for table, values in rows_of(new.statement, new.digest):
            rows[table].append(values)
    for table, values_of_all in rows.items():
        if values_of_all:
            connection.execute(insert(table), values_of_all)
    link_documents(connection, stated)


def _set_indices(connection: Connection, log: Bytes32, indices: Mapping[Bytes32, int], checkpoint_size: int) -> None:
    accept = (
        update(STATEMENTS)
        .where(_S.digest == bindparam("of_digest"))
        .values(log=log, log_index=bindparam("at_index"), checkpoint_size=checkpoint_size)
    )
    try:
        connection.execute(accept, [{"of_digest": digest, "at_index": index} for digest, index in indices.items()])
    except IntegrityError as error:
        raise ConflictError("an index of this batch holds another statement already", code="log-index-taken") from error


def _to_values(new: NewStatement) -> dict[str, Any]:
    return {
        **columns_of(new.statement),
        "digest": new.digest,
        "type": new.statement.type.name,
        "participant": new.statement.participant,
        "message": new.statement.to_json(),
        "signature": new.signature,
        "signer": new.signer,
        "cosignature": new.cosignature,
        "custodial": new.custodial,
        "api_key": new.api_key,
        "received_at": new.received_at,
        "executable": new.executable,
    }
