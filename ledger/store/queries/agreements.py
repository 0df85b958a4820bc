"""Agreements, usage, settlements."""

from __future__ import annotations

from datetime import datetime

from ledger.store.rows import AgreementRow, RowPage, SettlementRow, UsageRow
from ledger.types import Bytes32

__all__ = ["Agreements"]


class Agreements:
    """What was agreed, used and settled.

    ``participant`` restricts a list to agreements that it is a party of (``role`` supplier or user: in that role);
    None restricts nothing (auditors). A filter that can not be is a MalformedError, as is a cursor of another list.
    """

    def find(self, agreement: Bytes32) -> AgreementRow | None:
        """An agreement in its present revision."""
        raise NotImplementedError

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
        raise NotImplementedError

    def find_report(self, digest: Bytes32) -> UsageRow | None:
        """A usage report."""
        raise NotImplementedError

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
        """Usage reports; state is reported, confirmed or disputed."""
        raise NotImplementedError

    def list_settlements(
        self,
        *,
        participant: Bytes32 | None = None,
        agreement: Bytes32 | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RowPage[SettlementRow]:
        """Settlements in force."""
        raise NotImplementedError
