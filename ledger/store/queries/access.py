"""Access requests, grants, revocations."""

from __future__ import annotations

from datetime import datetime

from ledger.store.rows import AccessRequestRow, GrantRow, RevocationRow, RowPage
from ledger.types import Bytes32

__all__ = ["Access"]


class Access:
    """Who asked, who may have it. States are computed as of ``now``.

    ``participant`` restricts a list to rows that it is a party of, in ``role`` (provider or consumer; None: either);
    None restricts nothing (auditors). A filter that can not be is a MalformedError, as is a cursor of another list.
    """

    def find_request(self, digest: Bytes32, now: datetime) -> AccessRequestRow | None:
        """A request."""
        raise NotImplementedError

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
        """Requests; state is open, granted, denied or expired; text is looked for in names and data set metadata."""
        raise NotImplementedError

    def find_grant(self, digest: Bytes32, now: datetime) -> GrantRow | None:
        """A grant, said here or in force."""
        raise NotImplementedError

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
        raise NotImplementedError

    def grants_for(self, dataset: Bytes32, consumer: Bytes32, now: datetime) -> tuple[GrantRow, ...]:
        """All grants of a data set to a consumer, the newest first."""
        raise NotImplementedError

    def find_revocation(self, provider: Bytes32, grant: Bytes32) -> RevocationRow | None:
        """The revocation in force of a provider's grant."""
        raise NotImplementedError
