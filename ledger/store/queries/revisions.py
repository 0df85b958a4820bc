"""The joins behind the lists of agreements: each agreement's present revision, in force or only said."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    Subquery,
    Table,
    case,
    exists,
    false,
    func,
    null,
    select,
    true,
)
from sqlalchemy import cast as sql_cast

from ledger.store.queries.joined import documents_as, join_document
from ledger.store.queries.moments import block_moment
from ledger.store.schema.chain import (
    ACTIVATIONS,
    AGREEMENT_MOVES,
    CONFIRMATIONS,
    REVISION_PARTIES,
    REVISIONS,
    SETTLEMENTS,
)
from ledger.store.schema.gateway import STATEMENTS
from ledger.store.schema.said import SAID_REVISION_PARTIES, SAID_REVISIONS
from ledger.types import Bytes32

__all__ = ["is_party", "present_revisions", "select_agreements"]

_MEMBERS: Final = (
    "digest", "agreement", "revision", "participant", "supplier", "user", "resource", "terms_hash", "valid_from",
    "valid_until", "quota", "decimals", "unit",
)  # fmt: skip


def present_revisions(agreement: Bytes32 | None = None) -> Subquery:
    """The revision in force of each agreement (of one: ``agreement``), as a subquery to be joined with."""
    latest = (REVISIONS.c.revision.desc(), REVISIONS.c.digest)
    ranked = select(
        REVISIONS, func.row_number().over(partition_by=REVISIONS.c.agreement, order_by=latest).label("rank")
    )
    if agreement is not None:
        ranked = ranked.where(REVISIONS.c.agreement == agreement)
    every = ranked.subquery("revisions")
    return select(every).where(every.c.rank == 1).subquery("present")


def select_agreements(agreement: Bytes32 | None = None) -> tuple[Select[Any], Subquery, ColumnElement[str]]:
    """Agreements with terms, totals and state; the subquery of the revisions; and the state's expression."""
    known = _revisions_known(agreement).subquery("known")
    latest = (known.c.in_force.desc(), known.c.revision.desc(), known.c.stated_at, known.c.digest)
    present = select(
        known,
        func.row_number().over(partition_by=known.c.agreement, order_by=latest).label("rank"),
        func.min(known.c.stated_at).over(partition_by=known.c.agreement).label("first_at"),
    ).subquery("present")
    state, terms = _judge(present), documents_as("terms")
    query = (
        select(
            present,
            state.label("state"),
            terms.c.body.label("terms_body"),
            _highest(CONFIRMATIONS, "total", present).label("confirmed"),
            _highest(CONFIRMATIONS, "sequence", present).label("confirmations"),
            _highest(SETTLEMENTS, "total", present).label("settled"),
            _highest(SETTLEMENTS, "sequence", present).label("settlements"),
        )
        .select_from(join_document(present, terms, present.c.terms_hash, present.c.participant))
        .where(present.c.rank == 1)
    )
    return query, present, state


def is_party(digest: ColumnElement[Any], participant: Bytes32) -> ColumnElement[bool]:
    """Whether a revision, by its digest, names ``participant``."""
    named = [
        exists().where(parties.c.digest == digest, parties.c.participant == participant)
        for parties in (REVISION_PARTIES, SAID_REVISION_PARTIES)
    ]
    return named[0] | named[1]


def _revisions_known(agreement: Bytes32 | None) -> CompoundSelect[Any]:
    """Revisions in force, and those said here of agreements that have none in force."""
    time = block_moment(REVISIONS.c.time)
    in_force = select(
        *_shared(REVISIONS),
        true().label("in_force"),
        REVISIONS.c.block,
        time.label("proposed_at"),
        func.coalesce(STATEMENTS.c.received_at, time).label("stated_at"),
    ).select_from(REVISIONS.outerjoin(STATEMENTS, STATEMENTS.c.digest == REVISIONS.c.digest))
    said = (
        select(
            *_shared(SAID_REVISIONS),
            false().label("in_force"),
            sql_cast(null(), BigInteger).label("block"),
            STATEMENTS.c.received_at.label("proposed_at"),
            STATEMENTS.c.received_at.label("stated_at"),
        )
        .select_from(SAID_REVISIONS.join(STATEMENTS, STATEMENTS.c.digest == SAID_REVISIONS.c.digest))
        .where(
            STATEMENTS.c.log_index.is_not(None),
            STATEMENTS.c.refusal.is_(None),
            ~exists().where(REVISIONS.c.agreement == SAID_REVISIONS.c.agreement),
        )
    )
    if agreement is not None:
        in_force = in_force.where(REVISIONS.c.agreement == agreement)
        said = said.where(SAID_REVISIONS.c.agreement == agreement)
    return in_force.union_all(said)


def _shared(table: Table) -> list[ColumnElement[Any]]:
    return [table.c[name] for name in _MEMBERS]


def _judge(present: FromClause) -> ColumnElement[str]:
    moves = AGREEMENT_MOVES.c
    terminated = exists().where(moves.agreement == present.c.agreement, moves.move == "terminated")
    rejected = exists().where(moves.proposal == present.c.digest, moves.move == "rejected")
    activated = exists().where(ACTIVATIONS.c.proposal == present.c.digest)
    return case(
        (~present.c.in_force, "pending"),
        (terminated, "terminated"),
        (activated, "active"),
        (rejected, "rejected"),
        else_="proposed",
    )


def _highest(table: Table, column: str, present: FromClause) -> ColumnElement[int]:
    return (
        select(func.max(table.c[column]))
        .where(table.c.agreement == present.c.agreement)
        .correlate(present)
        .scalar_subquery()
    )
