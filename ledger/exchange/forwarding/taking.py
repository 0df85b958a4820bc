"""Takes a statement that another gateway took and brings, since it is addressed to a participant at home here."""

from __future__ import annotations

from ledger.canonical import hash_document
from ledger.errors import MalformedError, RefusedError
from ledger.exchange.drafting import check_may_state, document_row
from ledger.exchange.intake import Intake
from ledger.exchange.parts import Parts
from ledger.exchange.transfers.callers import Caller, Callers
from ledger.statements import Statement
from ledger.store.said import document_hashes
from ledger.surface.forwarding import ADDRESSEES, ForwardedStatement, addressee_of
from ledger.surface.outcomes import Outcome, SaltedDocument, SignedStatement
from ledger.types import Bytes32, parse_hex

__all__ = ["Taking"]


class Taking:
    """It is checked as if its signer had brought it here: whoever brings it vouches for nothing."""

    def __init__(self, parts: Parts, intake: Intake) -> None:
        self._parts = parts
        self._callers = Callers(parts)
        self._intake = intake

    def take(self, caller: Caller, digest: Bytes32, forwarded: ForwardedStatement) -> Outcome:
        """Log it, and open its documents to those whom it names; a repeat does nothing.

        Raises:
            RefusedError: its type is not brought from one gateway to another (``not-forwarded``).
            ForbiddenError: the request was signed for another gateway than the addressee's (``other-audience``), or
                the API key that brings it is another participant's.
            MalformedError: it has another digest, or a document that it does not name.
            Others as `Intake.take`.
        """
        statement = Statement.parse(forwarded.type, dict(forwarded.message))
        addressee = addressee_of(statement)
        if addressee is None:
            raise RefusedError(
                f"a {statement.type.name} is not brought from one gateway to another, only {' and '.join(ADDRESSEES)}",
                code="not-forwarded",
                facts={"statement_type": statement.type.name},
            )
        if caller.authority is None:
            check_may_state(caller.asker, statement)
        self._callers.check_audience(caller, addressee)
        if statement.digest(self._parts.domains) != digest:
            raise MalformedError(f"the statement that was brought has another digest than {digest}")
        self._keep_documents(statement, forwarded)
        return self._intake.take(SignedStatement(statement, parse_hex(forwarded.signature), forwarded.signer))

    def _keep_documents(self, statement: Statement, forwarded: ForwardedStatement) -> None:
        """Until the statement is in the log nobody reads them, and then those whom it names."""
        named = frozenset(document_hashes(statement))
        given = [
            SaltedDocument(hash_document(each.salt, each.document), each.salt, each.document)
            for each in forwarded.documents
        ]
        if any(each.hash not in named for each in given):
            raise MalformedError("a document was brought that the statement does not name by its hash")
        now = self._parts.now()
        self._parts.store.documents.add([document_row(each, statement, now=now) for each in given])
