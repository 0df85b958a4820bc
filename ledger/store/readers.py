"""Who may read a statement and its documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, insert, select, update

from ledger.statements import Statement
from ledger.store.batches import batched
from ledger.store.rows import NewStatement
from ledger.store.said import document_hashes
from ledger.store.schema.chain import GRANTS, REVISION_PARTIES, REVISIONS
from ledger.store.schema.gateway import DOCUMENT_READERS, DOCUMENTS
from ledger.store.schema.said import SAID_GRANTS
from ledger.types import Bytes32

__all__ = ["link_documents", "parties_of"]

_ABOUT_AGREEMENTS: Final = frozenset(
    {"AgreementAcceptance", "AgreementRejection", "AgreementTermination", "UsageConfirmation", "SettlementRecord"}
)


def parties_of(connection: Connection, statement: Statement) -> frozenset[Bytes32]:
    """Whom a statement names, by id or by the digest of what it is about (a revoked grant, an agreement in force).

    Only what the signer is a party of itself counts, so that nobody is let in by naming somebody else's.
    """
    named = set(statement.named_parties)
    if statement.type.name == "AccessRevocation":
        for grants in (SAID_GRANTS, GRANTS):
            own = (grants.c.digest == statement.message["grant"]) & (grants.c.participant == statement.participant)
            named.update(connection.scalars(select(grants.c.consumer).where(own)))
    elif statement.type.name in _ABOUT_AGREEMENTS:
        own_revisions = (
            select(REVISIONS.c.digest)
            .join(REVISION_PARTIES, REVISION_PARTIES.c.digest == REVISIONS.c.digest)
            .where(
                REVISIONS.c.agreement == statement.message["agreement"],
                REVISION_PARTIES.c.participant == statement.participant,
            )
        )
        parties = select(REVISION_PARTIES.c.participant).where(REVISION_PARTIES.c.digest.in_(own_revisions))
        named.update(connection.scalars(parties))
    return frozenset(named)


def link_documents(connection: Connection, stated: Sequence[tuple[NewStatement, frozenset[Bytes32]]]) -> None:
    """Bind the documents that new statements carry, and let the statements' parties read them.

    Hashes are public on chain, so to repeat one gives no right: a statement opens a document to its parties only where
    it is the first to carry it, or where its signer may read it already.
    """
    carried = [(new, parties, digest) for new, parties in stated for digest in document_hashes(new.statement)]
    bound = _load_bound(connection, {digest for _, _, digest in carried})
    readers = _load_readers(connection, bound)
    added: list[dict[str, Bytes32]] = []
    for new, parties, digest in carried:
        if digest not in bound or (bound[digest] and new.statement.participant not in readers[digest]):
            continue
        bound[digest] = True
        for party in sorted(parties - readers[digest]):
            readers[digest].add(party)
            added.append({"hash": digest, "participant": party})
    if added:
        connection.execute(insert(DOCUMENT_READERS), added)
        for batch in batched({row["hash"] for row in added}):
            connection.execute(update(DOCUMENTS).where(DOCUMENTS.c.hash.in_(batch)).values(bound=True))


def _load_bound(connection: Connection, hashes: set[Bytes32]) -> dict[Bytes32, bool]:
    found: dict[Bytes32, bool] = {}
    for batch in batched(sorted(hashes)):
        query = select(DOCUMENTS.c.hash, DOCUMENTS.c.bound).where(DOCUMENTS.c.hash.in_(batch))
        found.update((row.hash, row.bound) for row in connection.execute(query))
    return found


def _load_readers(connection: Connection, documents: dict[Bytes32, bool]) -> dict[Bytes32, set[Bytes32]]:
    readers: dict[Bytes32, set[Bytes32]] = {digest: set() for digest in documents}
    for batch in batched(documents):
        for row in connection.execute(select(DOCUMENT_READERS).where(DOCUMENT_READERS.c.hash.in_(batch))):
            readers[row.hash].add(row.participant)
    return readers
