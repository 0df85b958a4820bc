"""Access requests, grants, revocations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, or_, select
from sqlalchemy.engine import Row

from ledger.errors import MalformedError
from ledger.store.cursors import Cursors, Window
from ledger.store.database import Database
from ledger.store.queries.grants import Known, requests_known, select_grants
from ledger.store.queries.joined import check_choice, document_of, mentions
from ledger.store.queries.standing import read_as_of
from ledger.store.rows import AccessRequestRow, GrantRow, RevocationRow, RowPage, TermsRow
from ledger.store.schema.chain import REVOCATIONS
from ledger.types import Bytes32

__all__ = ["Access"]


class Access:
    """Who asked, who may have it. States are computed as of ``now``.

    ``participant`` restricts a list to rows that it is a party of, in ``role`` (provider or consumer; None: either);
    None restricts nothing (auditors). A filter that can not be is a MalformedError, as is a cursor of another list.
    """

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    def find_request(self, digest: Bytes32, now: datetime) -> AccessRequestRow | None:
        """A request."""
        known = requests_known(now)
        with self._database.read() as connection:
            row = connection.execute(known.query.where(known.digest == digest)).one_or_none()
        return None if row is None else _to_request(row)

    def list_requests(
        self,
        *,
        now: datetime,
        participant: Bytes32 | None = None,
        role: str | None = None,
        state: str | None = None,
        dataset: Bytes32 | None = None,
        since: datetime | None = None,
        text: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RowPage[AccessRequestRow]:
        """Requests; state is open, granted, denied or expired; text is looked for in handles and slugs."""
        check_choice("state", state, "open", "granted", "denied", "expired")
        filters = _Filters(participant, role, state, dataset, since, text)
        known = requests_known(now)
        query, window = filters.apply(known, self._cursors, "access-requests", limit, cursor)
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(query).all())
            return RowPage(tuple(_to_request(row) for row in rows), following, read_as_of(connection))

    def find_grant(self, digest: Bytes32, now: datetime) -> GrantRow | None:
        """A grant, said here or in force."""
        known = select_grants(now, lambda table: table.c.digest == digest)
        with self._database.read() as connection:
            row = connection.execute(known.query).one_or_none()
        return None if row is None else _to_grant(row)

    def list_grants(
        self,
        *,
        now: datetime,
        participant: Bytes32 | None = None,
        role: str | None = None,
        state: str | None = None,
        dataset: Bytes32 | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RowPage[GrantRow]:
        """Grants; state is active, revoked, expired, pending, retired or refused."""
        check_choice("state", state, "active", "revoked", "expired", "pending", "retired", "refused")
        filters = _Filters(participant, role, state, dataset, since, None)
        known = select_grants(now, filters.of_grants)
        query, window = filters.apply(known, self._cursors, "grants", limit, cursor)
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(query).all())
            return RowPage(tuple(_to_grant(row) for row in rows), following, read_as_of(connection))

    def grants_for(self, dataset: Bytes32, consumer: Bytes32, now: datetime) -> tuple[GrantRow, ...]:
        """All grants of a data set to a consumer, the newest first."""
        known = select_grants(now, lambda table: (table.c.dataset == dataset) & (table.c.consumer == consumer))
        with self._database.read() as connection:
            rows = connection.execute(known.query.order_by(known.stated_at.desc(), known.digest.desc()))
            return tuple(_to_grant(row) for row in rows)

    def active_grants(self, dataset: Bytes32, now: datetime) -> tuple[GrantRow, ...]:
        """All grants of a data set that are in force and in their time, the newest first."""
        known = select_grants(now, lambda table: table.c.dataset == dataset)
        query = known.query.where(known.state == "active").order_by(known.stated_at.desc(), known.digest.desc())
        with self._database.read() as connection:
            return tuple(_to_grant(row) for row in connection.execute(query))

    def find_revocation(self, provider: Bytes32, grant: Bytes32) -> RevocationRow | None:
        """The revocation in force of a provider's grant."""
        named = (REVOCATIONS.c.participant == provider) & (REVOCATIONS.c.grant == grant)
        query = select(REVOCATIONS).where(named).order_by(REVOCATIONS.c.block, REVOCATIONS.c.position).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else RevocationRow(row.digest, row.participant, row.grant, row.block, row.time)


class _Filters:
    """The filters that both lists share."""

    def __init__(
        self,
        participant: Bytes32 | None,
        role: str | None,
        state: str | None,
        dataset: Bytes32 | None,
        since: datetime | None,
        text: str | None,
    ) -> None:
        check_choice("role", role, "provider", "consumer")
        if role is not None and participant is None:
            raise MalformedError("role needs a participant whose role it is")
        self._participant, self._role, self._dataset = participant, role, dataset
        self._state, self._since, self._text = state, since, text

    def of_grants(self, table: FromClause) -> ColumnElement[bool]:
        """What is asked of a grant's own members, so that indexes serve."""
        return self._members(table.c.participant, table.c.consumer, table.c.dataset)

    def apply(
        self, known: Known, cursors: Cursors, name: str, limit: int, cursor: str | None
    ) -> tuple[Select[Any], Window]:
        """The query of one page."""
        query = known.query.where(self._members(known.provider, known.consumer, known.dataset))
        if self._state is not None:
            query = query.where(known.state == self._state)
        if self._since is not None:
            query = query.where(known.stated_at >= self._since)
        if self._text:
            query = query.where(mentions(self._text, *known.searched))
        window = Window(cursors, name, self._told(), limit, cursor, (known.stated_at, known.digest))
        return window.apply(query), window

    def _members(
        self, provider: ColumnElement[Any], consumer: ColumnElement[Any], dataset: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = dataset.is_not(None) if self._dataset is None else dataset == self._dataset
        if self._participant is not None:
            sides = {"provider": [provider], "consumer": [consumer]}.get(self._role or "", [provider, consumer])
            condition &= or_(*(side == self._participant for side in sides))
        return condition

    def _told(self) -> Mapping[str, object]:
        return {
            "participant": self._participant,
            "role": self._role,
            "state": self._state,
            "dataset": self._dataset,
            "since": self._since,
            "text": self._text,
        }


def _to_terms(row: Row[Any]) -> TermsRow:
    return TermsRow(
        first_version=row.first_version,
        last_version=row.last_version,
        purpose=row.purpose,
        rights=row.rights,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        policy_hash=row.policy_hash,
        policy=document_of(row.policy_body),
    )


def _to_request(row: Row[Any]) -> AccessRequestRow:
    return AccessRequestRow(
        digest=row.digest,
        consumer=row.consumer,
        consumer_handle=row.consumer_handle,
        provider=row.provider,
        provider_handle=row.provider_handle,
        dataset=row.dataset,
        dataset_slug=row.slug,
        terms=_to_terms(row),
        state=row.state,
        grant=row.grant_digest,
        denial=row.denial_digest,
        stated_at=row.stated_at,
    )


def _to_grant(row: Row[Any]) -> GrantRow:
    return GrantRow(
        digest=row.digest,
        provider=row.provider,
        provider_handle=row.provider_handle,
        consumer=row.consumer,
        consumer_handle=row.consumer_handle,
        dataset=row.dataset,
        dataset_salt=row.dataset_salt,
        dataset_slug=row.slug,
        terms=_to_terms(row),
        state=row.state,
        request=row.request_digest,
        granted_at=row.granted_at,
        granted_block=row.block,
        revoked_at=row.revoked_at,
        revoked_block=row.revoked_block,
        revocation=row.revocation,
        retired_at=row.retired_at,
        stated_at=row.stated_at,
    )
