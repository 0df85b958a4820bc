"""Agreements, usage, settlements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, or_, select
from sqlalchemy.engine import Row

from ledger.errors import MalformedError
from ledger.statements import Resource
from ledger.store.batches import batched
from ledger.store.cursors import Cursors, Window
from ledger.store.database import Database
from ledger.store.queries.joined import check_choice, document_of
from ledger.store.queries.revisions import is_party, present_revisions, select_agreements
from ledger.store.queries.standing import read_as_of
from ledger.store.queries.usage import Usage, select_settlements, select_usage
from ledger.store.rows import AgreementRow, RowPage, SettlementRow, UsageRow
from ledger.store.schema.chain import AGREEMENT_MOVES, REVISION_PARTIES
from ledger.store.schema.gateway import PARTICIPANT_HANDLES
from ledger.store.schema.said import SAID_REVISION_PARTIES, USAGE_REPORTS
from ledger.types import Bytes32

__all__ = ["Agreements"]


class Agreements:
    """What was agreed, used and settled.

    ``participant`` restricts a list to agreements that it is a party of (``role`` supplier or user: in that role);
    None restricts nothing (auditors). A filter that can not be is a MalformedError, as is a cursor of another list.
    """

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    def find(self, agreement: Bytes32) -> AgreementRow | None:
        """An agreement in its present revision."""
        query, _, _ = select_agreements(agreement)
        with self._database.read() as connection:
            rows = _to_agreements(connection, connection.execute(query).all())
        return rows[0] if rows else None

    def list(
        self,
        *,
        participant: Bytes32 | None = None,
        role: str | None = None,
        state: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RowPage[AgreementRow]:
        """Agreements; state is pending, proposed, active, rejected or terminated."""
        check_choice("role", role, "supplier", "user")
        check_choice("state", state, "pending", "proposed", "active", "rejected", "terminated")
        if role is not None and participant is None:
            raise MalformedError("role needs a participant whose role it is")
        filters = {"participant": participant, "role": role, "state": state, "since": since}
        query, present, judged = select_agreements()
        if participant is not None:
            query = query.where(is_party(present.c.digest, participant))
        if role is not None:
            query = query.where(present.c[role] == participant)
        if state is not None:
            query = query.where(judged == state)
        if since is not None:
            query = query.where(present.c.stated_at >= since)
        window = Window(self._cursors, "agreements", filters, limit, cursor, (present.c.first_at, present.c.agreement))
        query = window.apply(query)
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(query).all())
            return RowPage(_to_agreements(connection, rows), following, read_as_of(connection))

    def find_report(self, digest: Bytes32) -> UsageRow | None:
        """A usage report by the supplier of an agreement in force."""
        usage = select_usage(present_revisions())
        with self._database.read() as connection:
            row = connection.execute(usage.query.where(USAGE_REPORTS.c.digest == digest)).one_or_none()
        return None if row is None else _to_usage(row)

    def list_usage(
        self,
        *,
        participant: Bytes32 | None = None,
        agreement: Bytes32 | None = None,
        state: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RowPage[UsageRow]:
        """Usage reports by the suppliers of agreements in force; state is reported, confirmed or disputed."""
        check_choice("state", state, "reported", "confirmed", "disputed")
        filters = {"participant": participant, "agreement": agreement, "state": state, "since": since}
        usage = select_usage(present_revisions(agreement))
        query = _narrow_usage(usage, participant, agreement, state, since)
        keys = (usage.stated_at, USAGE_REPORTS.c.digest)
        window = Window(self._cursors, "usage", filters, limit, cursor, keys)
        query = window.apply(query)
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(query).all())
            return RowPage(tuple(_to_usage(row) for row in rows), following, read_as_of(connection))

    def list_settlements(
        self,
        *,
        participant: Bytes32 | None = None,
        agreement: Bytes32 | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RowPage[SettlementRow]:
        """Settlements in force."""
        filters = {"participant": participant, "agreement": agreement}
        present = present_revisions(agreement)
        query, keys = select_settlements(present)
        if participant is not None:
            query = query.where(is_party(present.c.digest, participant))
        window = Window(self._cursors, "settlements", filters, limit, cursor, keys)
        query = window.apply(query)
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(query).all())
            return RowPage(tuple(_to_settlement(row) for row in rows), following, read_as_of(connection))


def _narrow_usage(
    usage: Usage, participant: Bytes32 | None, agreement: Bytes32 | None, state: str | None, since: datetime | None
) -> Select[Any]:
    query = usage.query
    reports = USAGE_REPORTS.c
    if participant is not None:
        query = query.where(or_(reports.participant == participant, reports.user == participant))
    if agreement is not None:
        query = query.where(reports.agreement == agreement)
    if state is not None:
        query = query.where(usage.state == state)
    if since is not None:
        query = query.where(usage.stated_at >= since)
    return query


def _to_agreements(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[AgreementRow, ...]:
    proposals = [row.digest for row in rows]
    parties = _load_parties(connection, proposals)
    accepted = _load_acceptances(connection, proposals)
    reported = _load_reported(connection, [row.agreement for row in rows])
    handles = _load_handles(connection, {party for named in parties.values() for party in named})
    return tuple(
        AgreementRow(
            id=row.agreement,
            proposal=row.digest,
            revision=row.revision,
            proposer=row.participant,
            state=row.state,
            parties=parties[row.digest],
            party_handles=tuple(handles.get(party) for party in parties[row.digest]),
            accepted_by=((row.participant,) if row.in_force else ()) + accepted[row.digest],
            supplier=row.supplier,
            user=row.user,
            resource=Resource(row.resource),
            terms_hash=row.terms_hash,
            terms=document_of(row.terms_body),
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            quota=row.quota,
            decimals=row.decimals,
            unit=row.unit,
            confirmed=row.confirmed or 0,
            settled=row.settled or 0,
            confirmations=row.confirmations or 0,
            settlements=row.settlements or 0,
            reported=reported[row.agreement],
            proposed_at=row.proposed_at,
            block=row.block,
        )
        for row in rows
    )


def _load_parties(connection: Connection, proposals: Sequence[Bytes32]) -> dict[Bytes32, tuple[Bytes32, ...]]:
    """Parties of revisions, from the chain or from what was said: the digest commits to them."""
    found: defaultdict[Bytes32, dict[int, Bytes32]] = defaultdict(dict)
    for table in (SAID_REVISION_PARTIES, REVISION_PARTIES):
        for batch in batched(proposals):
            for row in connection.execute(select(table).where(table.c.digest.in_(batch))):
                found[row.digest][row.ordinal] = row.participant
    return {digest: tuple(found[digest][ordinal] for ordinal in sorted(found[digest])) for digest in proposals}


def _load_acceptances(connection: Connection, proposals: Sequence[Bytes32]) -> dict[Bytes32, tuple[Bytes32, ...]]:
    moves = AGREEMENT_MOVES.c
    found: defaultdict[Bytes32, list[Bytes32]] = defaultdict(list)
    for batch in batched(proposals):
        query = select(moves.proposal, moves.participant).where(moves.proposal.in_(batch), moves.move == "accepted")
        for row in connection.execute(query.order_by(moves.block, moves.position)):
            found[row.proposal].append(row.participant)
    return {digest: tuple(found[digest]) for digest in proposals}


def _load_reported(connection: Connection, agreements: Sequence[Bytes32]) -> dict[Bytes32, int]:
    """Sums of the reports that are not disputed (or are confirmed all the same)."""
    sums = dict.fromkeys(agreements, 0)
    usage = select_usage(present_revisions())
    for batch in batched(agreements):
        query = usage.query.where(USAGE_REPORTS.c.agreement.in_(batch), usage.state != "disputed")
        for row in connection.execute(query):
            sums[row.agreement] += row.quantity
    return sums


def _load_handles(connection: Connection, participants: set[Bytes32]) -> dict[Bytes32, str]:
    found: dict[Bytes32, str] = {}
    for batch in batched(sorted(participants)):
        query = select(PARTICIPANT_HANDLES).where(PARTICIPANT_HANDLES.c.participant.in_(batch))
        found.update((row.participant, row.handle) for row in connection.execute(query))
    return found


def _to_usage(row: Row[Any]) -> UsageRow:
    return UsageRow(
        digest=row.digest,
        agreement=row.agreement,
        supplier=row.participant,
        user=row.user,
        quantity=row.quantity,
        decimals=row.decimals,
        unit=row.unit,
        period_from=row.period_from,
        period_until=row.period_until,
        detail_hash=row.detail_hash,
        detail=document_of(row.detail_body),
        state=row.state,
        confirmation=row.confirmation,
        dispute=row.dispute,
        reason=document_of(row.reason_body),
        stated_at=row.stated_at,
    )


def _to_settlement(row: Row[Any]) -> SettlementRow:
    return SettlementRow(
        digest=row.digest,
        agreement=row.agreement,
        sequence=row.sequence,
        quantity=row.total - (row.before or 0),
        total=row.total,
        decimals=row.decimals,
        unit=row.unit,
        invoice_hash=row.invoice_hash,
        invoice=document_of(row.invoice_body),
        settled_at=row.time,
        block=row.block,
    )
