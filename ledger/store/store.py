"""The door of the store."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, insert, select, update

from ledger.errors import ConflictError
from ledger.store.api_keys import ApiKeys
from ledger.store.bulk import BulkStatements
from ledger.store.catalogue import Catalogue
from ledger.store.checkpoints import Checkpoints
from ledger.store.contents import Contents
from ledger.store.cursors import Cursors
from ledger.store.deliveries import Deliveries
from ledger.store.documents import Documents
from ledger.store.drafts import Drafts
from ledger.store.erasures import Erasures
from ledger.store.fencing import FencedDatabase
from ledger.store.idempotency import Idempotency
from ledger.store.leases import Leases
from ledger.store.migrating import upgrade
from ledger.store.names import Names
from ledger.store.outbox import Outbox
from ledger.store.projections import Projections
from ledger.store.queries import Access, Agreements, Chain, Datasets, Governance, Participants
from ledger.store.scanning import Scanning
from ledger.store.schema.gateway import IDENTITY
from ledger.store.sealings import Sealings
from ledger.store.statements import Statements
from ledger.store.transfers import Transfers
from ledger.types import Address

__all__ = ["Consortium", "Store"]

_CURSOR_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Consortium:
    """Which consortium a database belongs to: its chain and its registry contract."""

    chain_id: int
    registry: Address


class Store:
    """One database of one gateway. Use `open`."""

    def __init__(self, database: FencedDatabase, cursor_key: bytes) -> None:
        self._database = database
        cursors = Cursors(cursor_key)
        self.statements = Statements(database, cursors)
        self.bulk = BulkStatements(database)
        self.outbox = Outbox(database)
        self.checkpoints = Checkpoints(database)
        self.documents = Documents(database)
        self.drafts = Drafts(database)
        self.contents = Contents(database)
        self.sealings = Sealings(database)
        self.erasures = Erasures(database)
        self.transfers = Transfers(database.unfenced, cursors)
        self.deliveries = Deliveries(database)
        self.catalogue = Catalogue(database, cursors)
        self.names = Names(database)
        self.api_keys = ApiKeys(database, cursors, database.unfenced)
        self.idempotency = Idempotency(database)
        self.projections = Projections(database)
        self.leases = Leases(database)
        # These only read.
        self.scanning = Scanning(database)
        self.chain = Chain(database)
        self.participants = Participants(database, cursors)
        self.governance = Governance(database, cursors)
        self.datasets = Datasets(database, cursors)
        self.access = Access(database, cursors)
        self.agreements = Agreements(database, cursors)

    @classmethod
    def open(cls, url: str, consortium: Consortium | None = None) -> Self:
        """Open the database at ``url`` (``sqlite:////var/lib/concord/store.sqlite3``), making or upgrading its schema.

        ``consortium`` is recorded in a fresh database and compared with an old one's; None compares nothing.

        Raises:
            ConflictError: of a newer schema (code ``database-newer``) or of another consortium (code
                ``database-of-another-consortium``); the message says what to do.
            UnavailableError: the database does not answer, is locked, or its disk is full.
            FatalError: the database is damaged.
            MalformedError: ``url`` names no database that the store can be kept in.
        """
        database = FencedDatabase.connect(url)
        try:
            with database.write() as connection:
                upgrade(connection)
                cursor_key = _identify(connection, consortium)
        except BaseException:
            database.close()
            raise
        return cls(database, cursor_key)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all calls of this thread within the block one transaction: all happen, or, on any error, none.

        Raises:
            UnavailableError, ConflictError, FatalError: the database could not commit.
        """
        with self._database.write():
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reads of this thread within the block see the same moment; writing in it is a RuntimeError.

        Raises:
            UnavailableError, FatalError: the database could not be read.
        """
        with self._database.read():
            yield

    def is_submitting(self) -> bool:
        """Whether a statement waits for its transaction, or a transaction for its outcome.

        Both are asked at one moment: else one that is given its transaction meanwhile would be seen in neither place.

        Raises:
            UnavailableError, FatalError: the database could not be read.
        """
        with self.snapshot():
            return self.outbox.depth() > 0 or bool(self.statements.list_submittable(1))

    def close(self) -> None:
        """Let go of all connections, and of the leases that they hold."""
        self.leases.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _identify(connection: Connection, consortium: Consortium | None) -> bytes:
    """Compare or record whose database it is; return the key that its cursors are signed with."""
    row = connection.execute(select(IDENTITY)).one_or_none()
    if row is None:
        cursor_key = secrets.token_bytes(_CURSOR_KEY_BYTES)
        connection.execute(insert(IDENTITY).values(id=1, cursor_key=cursor_key))
    else:
        cursor_key = bytes(row.cursor_key)
    if consortium is not None:
        given = {"chain_id": str(consortium.chain_id), "registry": consortium.registry}
        if row is None or row.chain_id is None:
            connection.execute(update(IDENTITY).values(**given))
        elif (row.chain_id, row.registry) != (given["chain_id"], given["registry"]):
            raise ConflictError(
                f"the database belongs to the consortium of chain {row.chain_id} with the registry {row.registry}, "
                f"not to that of chain {consortium.chain_id} with {consortium.registry}: name another database, or "
                "the configuration that belongs to this one",
                code="database-of-another-consortium",
            )
    return cursor_key
