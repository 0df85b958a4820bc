"""Data sets, versions, lineage."""

from __future__ import annotations

from datetime import datetime

from ledger.store.rows import DatasetRow, RowPage, VersionRow
from ledger.types import Bytes32

__all__ = ["Datasets"]


class Datasets:
    """Data sets: registrations in force, and those said here and not refused."""

    def find(self, dataset: Bytes32) -> DatasetRow | None:
        """A data set by id."""
        raise NotImplementedError

    def find_by_name(self, provider_handle: str, slug: str) -> DatasetRow | None:
        """A data set by ``provider/slug``."""
        raise NotImplementedError

    def list(
        self,
        *,
        participant: Bytes32 | None = None,
        role: str | None = None,
        provider: Bytes32 | None = None,
        state: str | None = None,
        text: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RowPage[DatasetRow]:
        """The catalogue, by the time of first registration.

        ``role`` narrows it to what ``participant`` provides (``provider``) or asked for or was granted
        (``consumer``); ``state`` is active or retired, ``text`` is looked for in slug and metadata, ``since`` in the
        time of the latest version.

        Raises:
            MalformedError: the cursor is not one of this list with these filters, or role without participant.
        """
        raise NotImplementedError

    def versions(self, dataset: Bytes32, *, limit: int = 200, cursor: str | None = None) -> RowPage[VersionRow]:
        """Versions of a data set, the newest first. Raises: MalformedError: the cursor is not of this list."""
        raise NotImplementedError

    def find_version(self, dataset: Bytes32, version: int | None = None) -> VersionRow | None:
        """A version (None: the latest). One in force outranks another that was only said."""
        raise NotImplementedError

    def find_registration(self, registration: Bytes32) -> VersionRow | None:
        """A version by the digest of its registration."""
        raise NotImplementedError
