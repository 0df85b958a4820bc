"""What this gateway tells others: the data sets that are at home here, and the profiles that it knows."""

from __future__ import annotations

from ledger.exchange.paging import Paging, present_page
from ledger.exchange.parts import Parts
from ledger.exchange.transfers.callers import Caller, Callers
from ledger.store.rows import OfferedRow
from ledger.surface.catalogue import MOST_METADATA_BYTES, OfferedProfileView, OfferView
from ledger.surface.outcomes import Page

__all__ = ["Offering"]


class Offering:
    """`gateway.catalogue.offering`: for every active participant, and for every bearer of a key that may read."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._callers = Callers(parts)

    def offers(self, caller: Caller, name: str, paging: Paging) -> Page[OfferView]:
        """A provider's data sets that are in force, neither retired nor erased, each with what opens its metadata.

        Raises:
            ForbiddenError: the request was signed for another gateway (``other-audience``).
            NotFoundError: no such participant.
            MalformedError: the cursor is of another list.
        """
        provider = self._parts.directory.participant(name)
        self._callers.check_audience(caller, provider)
        rows = self._parts.store.catalogue.offered(
            provider, most_bytes=MOST_METADATA_BYTES, limit=paging.limit, cursor=paging.cursor
        )
        return present_page(rows, _present)

    def profiles(self, caller: Caller, paging: Paging) -> Page[OfferedProfileView]:
        """The present profiles of active participants, as far as they are known here.

        Raises:
            ForbiddenError: the request was signed for another host than the operator's profile names.
            MalformedError: the cursor is of another list.
        """
        self._callers.check_audience(caller, self._parts.config.operator)
        store = self._parts.store
        rows = store.participants.list(state="active", limit=paging.limit, cursor=paging.cursor)
        kept = [(row.id, store.documents.find_stated([row.profile_hash], row.id, kind="profile")) for row in rows.items]
        items = [OfferedProfileView(who, each.salt, each.document) for who, found in kept for each in found.values()]
        return Page(tuple(items), rows.next, rows.as_of_block)


def _present(row: OfferedRow) -> OfferView:
    return OfferView(row.registration, row.salt, row.document)
