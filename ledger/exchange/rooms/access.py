"""Requests and grants, for consumer, provider and auditors."""

from __future__ import annotations

from datetime import datetime

from ledger.exchange.asker import Asker
from ledger.exchange.paging import Paging, present_page
from ledger.exchange.parts import Parts
from ledger.exchange.presenting import present_grant, present_request
from ledger.exchange.rooms.visibility import party_of, require_party
from ledger.surface.outcomes import Page, Stamped
from ledger.surface.views import AccessRequestView, GrantView
from ledger.types import Bytes32

__all__ = ["Access"]


class Access:
    """`gateway.access`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def requests(
        self,
        asker: Asker,
        paging: Paging,
        *,
        role: str | None = None,
        state: str | None = None,
        dataset: str | None = None,
        since: datetime | None = None,
        text: str | None = None,
    ) -> Page[AccessRequestView]:
        """Requests that the asker made or got; all, for auditors. Raises: MalformedError, NotFoundError."""
        rows = self._parts.store.access.list_requests(
            now=self._parts.now(),
            participant=party_of(asker, role),
            role=role,
            state=state,
            dataset=None if dataset is None else self._parts.directory.dataset(dataset).id,
            since=since,
            text=text,
            limit=paging.limit,
            cursor=paging.cursor,
        )
        return present_page(rows, present_request)

    def request(self, asker: Asker, digest: Bytes32) -> Stamped[AccessRequestView]:
        """A request. Raises: NotFoundError: none that the asker may know of."""
        with self._parts.store.snapshot():
            row = self._parts.directory.request(digest)
            require_party(asker, frozenset({row.consumer, row.provider}), "request")
            return Stamped(present_request(row), self._parts.store.chain.as_of_block())

    def grants(
        self,
        asker: Asker,
        paging: Paging,
        *,
        role: str | None = None,
        state: str | None = None,
        dataset: str | None = None,
        since: datetime | None = None,
    ) -> Page[GrantView]:
        """Grants that the asker gave or has; all, for auditors. Raises: MalformedError, NotFoundError."""
        rows = self._parts.store.access.list_grants(
            now=self._parts.now(),
            participant=party_of(asker, role),
            role=role,
            state=state,
            dataset=None if dataset is None else self._parts.directory.dataset(dataset).id,
            since=since,
            limit=paging.limit,
            cursor=paging.cursor,
        )
        return present_page(rows, present_grant)

    def grant(self, asker: Asker, digest: Bytes32) -> Stamped[GrantView]:
        """A grant. Raises: NotFoundError: none that the asker may know of."""
        with self._parts.store.snapshot():
            row = self._parts.directory.grant(digest)
            require_party(asker, frozenset({row.consumer, row.provider}), "grant")
            return Stamped(present_grant(row), self._parts.store.chain.as_of_block())
