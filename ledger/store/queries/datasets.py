"""Data sets, versions, lineage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Subquery, Table, func, select, union_all
from sqlalchemy.engine import Row

from ledger.errors import MalformedError
from ledger.store.batches import batched
from ledger.store.cursors import Cursors, Window
from ledger.store.database import Database
from ledger.store.queries.descent import select_descendants
from ledger.store.queries.erasures import tombstone_of
from ledger.store.queries.joined import check_choice, document_of, documents_as, join_document, mentions
from ledger.store.queries.moments import block_moment
from ledger.store.queries.standing import read_as_of
from ledger.store.queries.versions import Condition, has_dataset, has_digest, is_among, versions_known
from ledger.store.rows import DatasetRow, DescendantRow, OriginRow, ParentRow, RowPage, VersionRow
from ledger.store.schema.catalogue import CATALOGUE_OFFERS
from ledger.store.schema.chain import GRANTS, PARENTS, RETIREMENTS
from ledger.store.schema.gateway import CONTENTS, DATASET_SLUGS, OPENINGS, PARTICIPANT_HANDLES
from ledger.store.schema.said import ACCESS_REQUESTS, SAID_GRANTS, SAID_PARENTS
from ledger.types import Bytes32

__all__ = ["Datasets"]

_METADATA: Final = documents_as("metadata")


class Datasets:
    """Data sets: registrations in force, and those said here and not refused."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    def find(self, dataset: Bytes32) -> DatasetRow | None:
        """A data set by id."""
        query, _ = _select_datasets(has_dataset(dataset))
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _to_dataset(row)

    def find_by_name(self, provider_handle: str, slug: str) -> DatasetRow | None:
        """A data set by ``provider/slug``."""
        slugs, handles = DATASET_SLUGS.c, PARTICIPANT_HANDLES.c
        named = (
            select(slugs.dataset)
            .join(PARTICIPANT_HANDLES, handles.participant == slugs.provider)
            .where(handles.handle == provider_handle, slugs.slug == slug)
        )
        offers = CATALOGUE_OFFERS.c
        offered = (
            select(offers.dataset)
            .join(PARTICIPANT_HANDLES, handles.participant == offers.provider)
            .where(handles.handle == provider_handle, offers.slug == slug)
        )
        with self._database.read() as connection:
            dataset = connection.scalar(named) or connection.scalar(offered)
            return None if dataset is None else self.find(dataset)

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
        """The catalogue, the newest first.

        ``role`` narrows it to what ``participant`` provides (``provider``) or asked for or was granted
        (``consumer``); ``state`` is active or retired, ``text`` is looked for in slug and metadata, ``since`` in the
        time of the latest version.

        Raises:
            MalformedError: the cursor is not one of this list with these filters, or role without participant.
        """
        check_choice("role", role, "provider", "consumer")
        check_choice("state", state, "active", "retired")
        if role is not None and participant is None:
            raise MalformedError("role needs a participant whose role it is")
        filters = {"role": role, "provider": provider, "state": state, "text": text, "since": since}
        filters["participant"] = participant if role else None
        query, latest = _select_datasets(_narrow(participant, role, provider))
        query = _search(query, state, text)
        if since is not None:
            query = query.where(latest.c.stated_at >= since)
        window = Window(self._cursors, "datasets", filters, limit, cursor, (latest.c.first_at, latest.c.dataset))
        query = window.apply(query)
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(query).all())
            return RowPage(tuple(_to_dataset(row) for row in rows), following, read_as_of(connection))

    def versions(
        self, dataset: Bytes32, *, until: int | None = None, limit: int = 200, cursor: str | None = None
    ) -> RowPage[VersionRow]:
        """Versions of a data set (up to ``until``), the newest first.

        Raises:
            MalformedError: the cursor is not of this list.
        """
        query, known = _select_versions(has_dataset(dataset))
        filters: dict[str, object] = {"dataset": dataset}
        if until is not None:
            query, filters = query.where(known.c.version <= until), filters | {"until": until}
        keys = (known.c.version, known.c.digest)
        window = Window(self._cursors, "versions", filters, limit, cursor, keys)
        query = window.apply(query)
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(query).all())
            return RowPage(_to_versions(connection, rows), following, read_as_of(connection))

    def find_version(self, dataset: Bytes32, version: int | None = None) -> VersionRow | None:
        """A version (None: the latest). One in force outranks another that was only said."""
        query, known = _select_versions(has_dataset(dataset))
        if version is not None:
            query = query.where(known.c.version == version)
        order = (known.c.version.desc(), known.c.in_force.desc(), known.c.stated_at, known.c.digest)
        return self._first(query.order_by(*order).limit(1))

    def find_registration(self, registration: Bytes32) -> VersionRow | None:
        """A version by the digest of its registration."""
        query, _ = _select_versions(has_digest(registration))
        return self._first(query)

    def descendants(
        self, registration: Bytes32, *, limit: int = 50, cursor: str | None = None
    ) -> RowPage[DescendantRow]:
        """What is derived from a version, of all generations, each once, the newest first.

        Raises:
            MalformedError: the cursor is not of this list.
        """
        query, keys = select_descendants(registration)
        window = Window(self._cursors, "descendants", {"registration": registration}, limit, cursor, keys)
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(window.apply(query)).all())
            return RowPage(tuple(_to_descendant(row) for row in rows), following, read_as_of(connection))

    def _first(self, query: Select[Any]) -> VersionRow | None:
        with self._database.read() as connection:
            versions = _to_versions(connection, connection.execute(query).all())
        return versions[0] if versions else None


def _narrow(participant: Bytes32 | None, role: str | None, provider: Bytes32 | None) -> Condition:
    """Which registrations the role and provider filters leave."""

    def holds(table: Table) -> ColumnElement[bool]:
        condition: ColumnElement[bool] = table.c.digest.is_not(None)
        if provider is not None:
            condition &= table.c.participant == provider
        if role == "provider":
            condition &= table.c.participant == participant
        elif role == "consumer":
            shared = union_all(
                select(GRANTS.c.dataset).where(GRANTS.c.consumer == participant),
                select(SAID_GRANTS.c.dataset).where(SAID_GRANTS.c.consumer == participant),
                select(ACCESS_REQUESTS.c.dataset).where(ACCESS_REQUESTS.c.participant == participant),
            ).subquery("shared")
            condition &= is_among(table, shared)
        return condition

    return holds


def _search(query: Select[Any], state: str | None, text: str | None) -> Select[Any]:
    if state is not None:
        retired = RETIREMENTS.c.dataset.is_not(None)
        query = query.where(retired if state == "retired" else ~retired)
    searched = (_METADATA.c.search, DATASET_SLUGS.c.slug, CATALOGUE_OFFERS.c.search)
    return query.where(mentions(text, *searched)) if text else query


def _select_datasets(of: Condition) -> tuple[Select[Any], Subquery]:
    """Each data set's latest version, with names and metadata; and the subquery of the versions."""
    known = versions_known(of).subquery("known")
    newest = (known.c.version.desc(), known.c.in_force.desc(), known.c.stated_at, known.c.digest)
    latest = select(
        known,
        func.row_number().over(partition_by=known.c.dataset, order_by=newest).label("rank"),
        func.min(known.c.stated_at).over(partition_by=known.c.dataset).label("first_at"),
        func.min(known.c.registered_at).over(partition_by=known.c.dataset).label("first_registered_at"),
    ).subquery("latest")
    joined = (
        latest.outerjoin(DATASET_SLUGS, DATASET_SLUGS.c.dataset == latest.c.dataset)
        .outerjoin(PARTICIPANT_HANDLES, PARTICIPANT_HANDLES.c.participant == latest.c.participant)
        .outerjoin(RETIREMENTS, RETIREMENTS.c.dataset == latest.c.dataset)
        .outerjoin(CATALOGUE_OFFERS, _is_offered(latest))
    )
    joined = join_document(joined, _METADATA, latest.c.metadata_hash, latest.c.participant, "metadata")
    query = select(
        latest,
        func.coalesce(DATASET_SLUGS.c.slug, CATALOGUE_OFFERS.c.slug).label("slug"),
        func.coalesce(DATASET_SLUGS.c.dataset_salt, latest.c.said_salt).label("dataset_salt"),
        PARTICIPANT_HANDLES.c.handle,
        func.coalesce(_METADATA.c.body, CATALOGUE_OFFERS.c.body).label("body"),
        block_moment(RETIREMENTS.c.time).label("retired_at"),
        CATALOGUE_OFFERS.c.endpoint.label("offered_at"),
        CATALOGUE_OFFERS.c.seen_at.label("offer_seen_at"),
        CATALOGUE_OFFERS.c.version.label("offered_version"),
    ).select_from(joined)
    return query.where(latest.c.rank == 1), latest


def _is_offered(latest: Subquery) -> ColumnElement[bool]:
    """What another gateway offers, unless it has a name of this gateway's own, or is retired."""
    named = DATASET_SLUGS.c.dataset.is_(None) & RETIREMENTS.c.dataset.is_(None)
    return (CATALOGUE_OFFERS.c.dataset == latest.c.dataset) & named


def _select_versions(of: Condition) -> tuple[Select[Any], Subquery]:
    known = versions_known(of).subquery("known")
    joined = (
        known.outerjoin(OPENINGS, OPENINGS.c.registration == known.c.digest)
        .outerjoin(CONTENTS, CONTENTS.c.content_root == OPENINGS.c.content_root)
        .outerjoin(DATASET_SLUGS, DATASET_SLUGS.c.dataset == known.c.dataset)
    )
    joined = joined.outerjoin(CATALOGUE_OFFERS, CATALOGUE_OFFERS.c.registration == known.c.digest)
    joined = join_document(joined, _METADATA, known.c.metadata_hash, known.c.participant, "metadata")
    query = select(
        known,
        func.coalesce(_METADATA.c.body, CATALOGUE_OFFERS.c.body).label("body"),
        OPENINGS.c.content_root,
        OPENINGS.c.version_salt,
        CONTENTS.c.file_count,
        CONTENTS.c.size_bytes,
        func.coalesce(known.c.said_salt, DATASET_SLUGS.c.dataset_salt).label("dataset_salt"),
        tombstone_of(known.c.digest, known.c.participant).label("erased"),
    ).select_from(joined)
    return query, known


def _to_dataset(row: Row[Any]) -> DatasetRow:
    return DatasetRow(
        id=row.dataset,
        dataset_salt=row.dataset_salt,
        provider=row.participant,
        provider_handle=row.handle,
        slug=row.slug,
        latest_version=row.version,
        latest_registration=row.digest,
        in_force=bool(row.in_force),
        metadata=document_of(row.body),
        state="active" if row.retired_at is None else "retired",
        retired_at=row.retired_at,
        registered_at=row.first_registered_at,
        updated_at=row.registered_at,
        origin=None if row.offered_at is None else OriginRow(row.offered_at, row.offer_seen_at, row.offered_version),
    )


def _to_descendant(row: Row[Any]) -> DescendantRow:
    return DescendantRow(
        dataset=row.dataset,
        provider_handle=row.handle,
        slug=row.slug,
        version=row.version,
        registration=row.digest,
        in_force=bool(row.in_force),
        stated_at=row.stated_at,
        erased=row.erased,
    )


def _to_versions(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[VersionRow, ...]:
    parents = _load_parents(connection, [row.digest for row in rows])
    return tuple(
        VersionRow(
            dataset=row.dataset,
            dataset_salt=row.dataset_salt,
            provider=row.participant,
            version=row.version,
            registration=row.digest,
            content_hash=row.content_hash,
            metadata_hash=row.metadata_hash,
            metadata=document_of(row.body),
            content_root=row.content_root,
            version_salt=row.version_salt,
            file_count=row.file_count,
            size_bytes=row.size_bytes,
            parents=parents.get(row.digest, ()),
            in_force=bool(row.in_force),
            registered_at=row.registered_at,
            block=row.block,
            erased=row.erased,
        )
        for row in rows
    )


def _load_parents(connection: Connection, registrations: Sequence[Bytes32]) -> dict[Bytes32, tuple[ParentRow, ...]]:
    """Parents of registrations, from the chain or from what was said: the digest commits to them."""
    found: dict[Bytes32, dict[int, ParentRow]] = {}
    for table in (SAID_PARENTS, PARENTS):
        for batch in batched(registrations):
            for row in connection.execute(select(table).where(table.c.digest.in_(batch))):
                parent = ParentRow(row.dataset, row.version, row.registration)
                found.setdefault(row.digest, {})[row.ordinal] = parent
    return {digest: tuple(each[ordinal] for ordinal in sorted(each)) for digest, each in found.items()}
