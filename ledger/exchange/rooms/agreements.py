"""Agreements, usage and settlement, for their parties and auditors."""

from __future__ import annotations

from datetime import datetime

from ledger.exchange.asker import Asker
from ledger.exchange.paging import Paging, present_page
from ledger.exchange.parts import Parts
from ledger.exchange.presenting import present_agreement, present_settlement, present_usage
from ledger.exchange.rooms.visibility import party_of, require_party
from ledger.surface.outcomes import Page, Stamped
from ledger.surface.views import AgreementView, SettlementView, UsageView
from ledger.types import Bytes32

__all__ = ["Agreements"]


class Agreements:
    """`gateway.agreements`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def list(
        self,
        asker: Asker,
        paging: Paging,
        *,
        role: str | None = None,
        state: str | None = None,
        since: datetime | None = None,
    ) -> Page[AgreementView]:
        """Agreements of the asker (as ``supplier`` or ``user``); all, for auditors. Raises: MalformedError."""
        rows = self._parts.store.agreements.list(
            participant=party_of(asker, role),
            role=role,
            state=state,
            since=since,
            limit=paging.limit,
            cursor=paging.cursor,
        )
        return present_page(rows, present_agreement)

    def get(self, asker: Asker, agreement: Bytes32) -> Stamped[AgreementView]:
        """An agreement. Raises: NotFoundError: none that the asker may know of."""
        with self._parts.store.snapshot():
            row = self._parts.directory.agreement_row(agreement)
            require_party(asker, frozenset(row.parties), "agreement")
            return Stamped(present_agreement(row), self._parts.store.chain.as_of_block())

    def usage(
        self, asker: Asker, paging: Paging, *, agreement: Bytes32 | None = None, state: str | None = None
    ) -> Page[UsageView]:
        """Usage reports of the asker's agreements; all, for auditors. Raises: MalformedError."""
        rows = self._parts.store.agreements.list_usage(
            participant=party_of(asker), agreement=agreement, state=state, limit=paging.limit, cursor=paging.cursor
        )
        return present_page(rows, present_usage)

    def settlements(self, asker: Asker, paging: Paging, *, agreement: Bytes32 | None = None) -> Page[SettlementView]:
        """Settlements of the asker's agreements; all, for auditors. Raises: MalformedError."""
        rows = self._parts.store.agreements.list_settlements(
            participant=party_of(asker), agreement=agreement, limit=paging.limit, cursor=paging.cursor
        )
        return present_page(rows, present_settlement)
