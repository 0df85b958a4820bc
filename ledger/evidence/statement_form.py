"""The statement in an evidence file: decoded, and refused where something is surplus or its type was renamed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.evidence.anchoring import Anchor
from ledger.evidence.documents import Document
from ledger.evidence.evidence import Evidence
from ledger.statements import STATEMENT_TYPES, Domains, Entry, Statement, UnknownStatementTypeError

__all__ = ["read_statement", "refuse_renamed_type"]

_REGISTRATION: Final = "DatasetRegistration"


def read_statement(evidence: Evidence, anchor: Anchor, domains: Domains) -> Statement:
    """Decode the statement.

    Raises:
        MalformedError: it does not decode, or the evidence has a co-signature or content that belongs to no such type.
        VerificationError: the type is unknown, and the entry shows that it stands in place of a known one.
        UnknownStatementTypeError: this version does not know the type.
    """
    try:
        statement = Statement.parse(evidence.type_name, evidence.message)
    except UnknownStatementTypeError:
        refuse_renamed_type(evidence.message, evidence.signature, domains, anchor.verify_inclusion)
        raise
    if evidence.cosignature is not None and statement.type.cosigned_by is None:
        raise MalformedError(f"a {statement.type.name} has no co-signature")
    if evidence.content is not None and statement.type.name != _REGISTRATION:
        raise MalformedError(f"a {statement.type.name} has no content")
    return statement


def refuse_renamed_type(
    message: Document, signature: bytes, domains: Domains, verify_entry: Callable[[Entry], object]
) -> None:
    """Raise VerificationError if ``verify_entry`` finds the entry of this message under a known type in the log."""
    for name in STATEMENT_TYPES:
        try:
            statement = Statement.parse(name, message)
            verify_entry(Entry.of(statement.digest(domains), statement.participant, signature))
        except LedgerError:
            continue
        raise VerificationError("the entry in the log is that of a statement of another type", expected=name)
