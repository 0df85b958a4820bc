"""The door of the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ledger.store.api_keys import ApiKeys
from ledger.store.checkpoints import Checkpoints
from ledger.store.contents import Contents
from ledger.store.documents import Documents
from ledger.store.drafts import Drafts
from ledger.store.idempotency import Idempotency
from ledger.store.names import Names
from ledger.store.outbox import Outbox
from ledger.store.projections import Projections
from ledger.store.queries import Access, Agreements, Chain, Datasets, Governance, Participants
from ledger.store.statements import Statements
from ledger.types import Address

__all__ = ["Consortium", "Store"]


@dataclass(frozen=True, slots=True)
class Consortium:
    """Which consortium a database belongs to: its chain and its registry contract."""

    chain_id: int
    registry: Address


class Store:
    """One database of one gateway. Writing rooms first, then those that only read."""

    statements: Statements
    outbox: Outbox
    checkpoints: Checkpoints
    documents: Documents
    drafts: Drafts
    contents: Contents
    names: Names
    api_keys: ApiKeys
    idempotency: Idempotency
    projections: Projections

    chain: Chain
    participants: Participants
    governance: Governance
    datasets: Datasets
    access: Access
    agreements: Agreements

    @classmethod
    def open(cls, url: str, consortium: Consortium | None = None) -> Self:
        """Open the database at ``url`` (``sqlite:////var/lib/concord/store.sqlite3``), making or upgrading its schema.

        ``consortium`` is recorded in a fresh database and compared with an old one's; None compares nothing.

        Raises:
            ConflictError: of a newer schema (code ``database-newer``) or of another consortium (code
                ``database-of-another-consortium``); the message says what to do.
            UnavailableError: the database does not answer, is locked, or its disk is full.
            MalformedError: ``url`` names no database that the store can be kept in.
        """
        raise NotImplementedError

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all calls of this thread within the block one transaction: all happen, or, on any error, none."""
        raise NotImplementedError
        yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reads of this thread within the block see the same moment. Writing in it is a RuntimeError."""
        raise NotImplementedError
        yield

    def close(self) -> None:
        """Let go of all connections."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
