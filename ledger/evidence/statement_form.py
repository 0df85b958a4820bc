"""The statement in an evidence file: decoded, and refused where something is surplus or its type was renamed."""

from __future__ import annotations

from typing import Final

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.evidence.anchoring import Anchor
from ledger.evidence.evidence import Evidence
from ledger.statements import STATEMENT_TYPES, Domains, Entry, Statement, UnknownStatementTypeError

__all__ = ["read_statement"]

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
        _refuse_renamed_type(evidence, anchor, domains)
        raise
    if evidence.cosignature is not None and statement.type.cosigned_by is None:
        raise MalformedError(f"a {statement.type.name} has no co-signature")
    if evidence.content is not None and statement.type.name != _REGISTRATION:
        raise MalformedError(f"a {statement.type.name} has no content")
    return statement


def _refuse_renamed_type(evidence: Evidence, anchor: Anchor, domains: Domains) -> None:
    """Raise VerificationError if the entry in the log is that of this message under a known type."""
    for name in STATEMENT_TYPES:
        try:
            statement = Statement.parse(name, evidence.message)
            entry = Entry.of(statement.digest(domains), statement.participant, evidence.signature)
            anchor.verify_inclusion(entry)
        except LedgerError:
            continue
        raise VerificationError(
            "the entry in the log is that of a statement of another type",
            expected=name,
            found=ascii(evidence.type_name),
        )
