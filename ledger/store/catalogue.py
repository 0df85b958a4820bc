"""The catalogue across gateways: what this one tells others of its data sets, and what others told it of theirs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.engine import Row

from ledger.canonical import parse_canonical
from ledger.store.batches import batched
from ledger.store.cursors import Cursors, Window
from ledger.store.database import Database
from ledger.store.documents import search_text
from ledger.store.queries.erasures import tombstone_of
from ledger.store.queries.joined import document_of, documents_as, join_document
from ledger.store.queries.standing import read_as_of
from ledger.store.rows import OfferedRow, OfferRow, PeerRow, RegisteredRow, RowPage
from ledger.store.schema.catalogue import CATALOGUE_OFFERS, CATALOGUE_PEERS
from ledger.store.schema.chain import REGISTRATIONS, RETIREMENTS
from ledger.store.schema.gateway import DATASET_SLUGS
from ledger.types import Bytes32

__all__ = ["Catalogue"]

_OFFERS: Final = CATALOGUE_OFFERS.c
_PEERS: Final = CATALOGUE_PEERS.c
_METADATA: Final = documents_as("metadata")


class Catalogue:
    """Offers by data set, and the gateways that were asked by provider."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    def offered(
        self, provider: Bytes32, *, most_bytes: int, limit: int = 50, cursor: str | None = None
    ) -> RowPage[OfferedRow]:
        """A provider's data sets that are at home here: in force, not retired, not erased.

        Those whose metadata have more than ``most_bytes`` are left out.

        Raises:
            MalformedError: the cursor is not of this list.
        """
        query, latest = _select_offered(provider, most_bytes)
        window = Window(self._cursors, "offers", {"provider": provider}, limit, cursor, (latest.c.dataset,))
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(window.apply(query)).all())
            found = tuple(OfferedRow(row.digest, row.salt, document_of(row.body)) for row in rows)
            return RowPage(found, following, read_as_of(connection))

    def registered(self, digests: Iterable[Bytes32]) -> dict[Bytes32, RegisteredRow]:
        """Those of ``digests`` that are registrations on chain."""
        found: dict[Bytes32, RegisteredRow] = {}
        joined = REGISTRATIONS.outerjoin(DATASET_SLUGS, DATASET_SLUGS.c.dataset == REGISTRATIONS.c.dataset).outerjoin(
            RETIREMENTS, RETIREMENTS.c.dataset == REGISTRATIONS.c.dataset
        )
        query = select(
            REGISTRATIONS, DATASET_SLUGS.c.slug.label("own_slug"), RETIREMENTS.c.dataset.label("retired")
        ).select_from(joined)
        with self._database.read() as connection:
            for batch in batched(digests):
                for row in connection.execute(query.where(REGISTRATIONS.c.digest.in_(batch))):
                    found[row.digest] = _to_registered(row)
        return found

    def keep(self, offers: Sequence[OfferRow]) -> int:
        """Keep what a provider's gateway offers, in place of what was known of the same data sets; how many could be.

        A name that another data set of the provider has, here or in what was kept before, is not given a second time.
        """
        count = 0
        with self._database.write() as connection:
            for offer in offers:
                same_name = (_OFFERS.provider == offer.provider) & (_OFFERS.slug == offer.slug)
                kept = select(func.count()).where(same_name, _OFFERS.dataset != offer.dataset)
                slugs = DATASET_SLUGS.c
                own = select(func.count()).where(slugs.provider == offer.provider, slugs.slug == offer.slug)
                if connection.scalar(kept) or connection.scalar(own):
                    continue
                connection.execute(delete(CATALOGUE_OFFERS).where(_OFFERS.dataset == offer.dataset))
                connection.execute(insert(CATALOGUE_OFFERS).values(**_to_values(offer)))
                count += 1
        return count

    def drop_unseen(self, provider: Bytes32, since: datetime) -> int:
        """Forget what a provider's gateway offered before and not since; how many."""
        unseen = delete(CATALOGUE_OFFERS).where(_OFFERS.provider == provider, _OFFERS.seen_at < since)
        with self._database.write() as connection:
            return connection.execute(unseen).rowcount

    def drop_older(self, before: datetime) -> int:
        """Forget what nobody told since ``before``; how many."""
        with self._database.read() as connection:
            if not connection.scalar(select(func.count()).where(_OFFERS.seen_at < before)):
                return 0
        with self._database.write() as connection:
            return connection.execute(delete(CATALOGUE_OFFERS).where(_OFFERS.seen_at < before)).rowcount

    def keep_only(self, providers: Collection[Bytes32]) -> None:
        """Forget the gateways of others than these providers, and what they offered."""
        gone = [each.provider for each in self.peers() if each.provider not in providers]
        for batch in batched(gone):
            with self._database.write() as connection:
                connection.execute(delete(CATALOGUE_OFFERS).where(_OFFERS.provider.in_(batch)))
                connection.execute(delete(CATALOGUE_PEERS).where(_PEERS.provider.in_(batch)))

    def peers(self) -> tuple[PeerRow, ...]:
        """The gateways that were asked, by provider."""
        with self._database.read() as connection:
            rows = connection.execute(select(CATALOGUE_PEERS).order_by(_PEERS.provider))
            return tuple(_to_peer(row) for row in rows)

    def note(self, peer: PeerRow) -> None:
        """Record what came of asking a provider's gateway."""
        values = {name: getattr(peer, name) for name in PeerRow.__dataclass_fields__}
        with self._database.write() as connection:
            same = _PEERS.provider == peer.provider
            if connection.execute(update(CATALOGUE_PEERS).where(same).values(**values)).rowcount == 0:
                connection.execute(insert(CATALOGUE_PEERS).values(**values))

    def count(self) -> int:
        """How many data sets of other gateways are known."""
        with self._database.read() as connection:
            return int(connection.scalar(select(func.count()).select_from(CATALOGUE_OFFERS)) or 0)

    def name_of(self, dataset: Bytes32) -> tuple[Bytes32, str] | None:
        """Provider and slug of a data set that another gateway offers."""
        query = select(_OFFERS.provider, _OFFERS.slug).where(_OFFERS.dataset == dataset)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.provider, row.slug)


def _select_offered(provider: Bytes32, most_bytes: int) -> tuple[Select[Any], Any]:
    newest = REGISTRATIONS.c.version.desc()
    latest = (
        select(
            REGISTRATIONS,
            func.row_number().over(partition_by=REGISTRATIONS.c.dataset, order_by=newest).label("rank"),
        )
        .where(REGISTRATIONS.c.participant == provider)
        .subquery("latest")
    )
    joined: Any = latest.join(DATASET_SLUGS, DATASET_SLUGS.c.dataset == latest.c.dataset)
    joined = joined.outerjoin(RETIREMENTS, RETIREMENTS.c.dataset == latest.c.dataset)
    joined = join_document(joined, _METADATA, latest.c.metadata_hash, latest.c.participant, "metadata")
    query = select(latest.c.digest, latest.c.dataset, _METADATA.c.salt, _METADATA.c.body).select_from(joined)
    return query.where(
        latest.c.rank == 1,
        RETIREMENTS.c.dataset.is_(None),
        func.length(_METADATA.c.body) <= most_bytes,
        tombstone_of(latest.c.digest, latest.c.participant).is_(None),
    ), latest


def _to_values(offer: OfferRow) -> dict[str, Any]:
    values = {name: getattr(offer, name) for name in OfferRow.__dataclass_fields__}
    return {**values, "search": search_text(parse_canonical(offer.body))}


def _to_peer(row: Row[Any]) -> PeerRow:
    return PeerRow(**{name: row._mapping[name] for name in PeerRow.__dataclass_fields__})


def _to_registered(row: Row[Any]) -> RegisteredRow:
    return RegisteredRow(
        digest=row.digest,
        dataset=row.dataset,
        provider=row.participant,
        version=row.version,
        metadata_hash=row.metadata_hash,
        is_retired=row.retired is not None,
        is_home=row.own_slug is not None,
    )
