"""The joins behind the lists of usage reports and settlements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, case, func, select

from ledger.store.queries.joined import documents_as, join_document
from ledger.store.schema.chain import CONFIRMATIONS, SETTLEMENTS
from ledger.store.schema.gateway import STATEMENTS
from ledger.store.schema.said import USAGE_DISPUTES, USAGE_REPORTS

__all__ = ["Usage", "select_settlements", "select_usage"]


@dataclass(frozen=True)
class Usage:
    """A query over usage reports, and the expressions that it is filtered and ordered by."""

    query: Select[Any]
    state: ColumnElement[str]
    stated_at: ColumnElement[datetime]


def select_usage(present: Subquery) -> Usage:
    """Accepted reports that the supplier of an agreement in force made, with what answered them."""
    reports = USAGE_REPORTS.c
    confirmation, dispute = _confirmation(), _dispute()
    disputes, details, reasons = USAGE_DISPUTES.alias("answer"), documents_as("details"), documents_as("reasons")
    state = case((confirmation.is_not(None), "confirmed"), (dispute.is_not(None), "disputed"), else_="reported")
    by_supplier = (present.c.agreement == reports.agreement) & (present.c.supplier == reports.participant)
    joined = (
        USAGE_REPORTS.join(STATEMENTS, STATEMENTS.c.digest == reports.digest)
        .join(present, by_supplier)
        .outerjoin(disputes, disputes.c.digest == dispute)
    )
    joined = join_document(joined, details, reports.detail_hash, reports.participant)
    joined = join_document(joined, reasons, disputes.c.reason_hash, disputes.c.participant)
    query = (
        select(
            USAGE_REPORTS,
            present.c.decimals,
            present.c.unit,
            state.label("state"),
            confirmation.label("confirmation"),
            dispute.label("dispute"),
            details.c.body.label("detail_body"),
            reasons.c.body.label("reason_body"),
            STATEMENTS.c.received_at.label("stated_at"),
        )
        .select_from(joined)
        .where(STATEMENTS.c.log_index.is_not(None))
    )
    return Usage(query, state, STATEMENTS.c.received_at)


def select_settlements(present: Subquery) -> tuple[Select[Any], tuple[ColumnElement[Any], ...]]:
    """Settlements in force, with the total before each, and the keys of their order."""
    settlements, earlier, invoices = SETTLEMENTS.c, SETTLEMENTS.alias("earlier"), documents_as("invoices")
    before = (
        select(func.max(earlier.c.total))
        .where(earlier.c.agreement == settlements.agreement, earlier.c.sequence < settlements.sequence)
        .correlate(SETTLEMENTS)
        .scalar_subquery()
    )
    joined = SETTLEMENTS.join(present, present.c.agreement == settlements.agreement)
    query = select(
        SETTLEMENTS,
        present.c.decimals,
        present.c.unit,
        before.label("before"),
        invoices.c.body.label("invoice_body"),
    ).select_from(join_document(joined, invoices, settlements.invoice_hash, settlements.participant))
    return query, (settlements.block, settlements.position)


def _confirmation() -> ColumnElement[Any]:
    confirmations, reports = CONFIRMATIONS.c, USAGE_REPORTS.c
    return (
        select(confirmations.digest)
        .where(confirmations.report == reports.digest, confirmations.agreement == reports.agreement)
        .order_by(confirmations.block, confirmations.position)
        .limit(1)
        .correlate(USAGE_REPORTS)
        .scalar_subquery()
    )


def _dispute() -> ColumnElement[Any]:
    disputes, reports, statements = USAGE_DISPUTES.c, USAGE_REPORTS.c, STATEMENTS.alias("disputing")
    return (
        select(disputes.digest)
        .join(statements, statements.c.digest == disputes.digest)
        .where(
            disputes.report == reports.digest,
            disputes.participant == reports.user,
            statements.c.log_index.is_not(None),
        )
        .order_by(statements.c.arrival)
        .limit(1)
        .correlate(USAGE_REPORTS)
        .scalar_subquery()
    )
