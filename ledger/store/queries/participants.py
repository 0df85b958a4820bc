"""Participants and their keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Subquery, case, func, select
from sqlalchemy.engine import Row

from ledger.statements import Custody, HistoryKind
from ledger.store.cursors import Cursors, Window
from ledger.store.database import Database
from ledger.store.queries.joined import check_choice, document_of, documents_as, join_document, mentions
from ledger.store.queries.moments import block_moment
from ledger.store.queries.standing import read_as_of
from ledger.store.rows import KeyRow, ParticipantRow, RowPage
from ledger.store.schema.chain import APPLICATIONS, HISTORY
from ledger.store.schema.gateway import PARTICIPANT_HANDLES
from ledger.types import Address, Bytes32

__all__ = ["Participants"]

_PROFILE: Final = documents_as("profile")
_STANDING: Final = (HistoryKind.ADMITTED, HistoryKind.SUSPENDED, HistoryKind.REINSTATED, HistoryKind.RETIRED)
_GOVERNING: Final = (HistoryKind.GOVERNOR_APPOINTED, HistoryKind.GOVERNOR_DISMISSED)
_PROFILES: Final = (HistoryKind.ADMITTED, HistoryKind.PROFILE_UPDATED)
_KEYS: Final = (HistoryKind.CONTROL_KEY_SET, HistoryKind.KEY_ADDED, HistoryKind.KEY_REVOKED)


class Participants:
    """Who belongs, and by which keys it speaks."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    def find(self, participant: Bytes32) -> ParticipantRow | None:
        """A participant or applicant."""
        query, _, _ = _select_participants(APPLICATIONS.c.participant == participant)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _to_row(row)

    def find_by_handle(self, handle: str) -> ParticipantRow | None:
        """A participant or applicant by its handle."""
        named = select(PARTICIPANT_HANDLES.c.participant).where(PARTICIPANT_HANDLES.c.handle == handle)
        with self._database.read() as connection:
            participant = connection.scalar(named)
            return None if participant is None else self.find(participant)

    def find_by_key(self, key: Address) -> ParticipantRow | None:
        """Whom an address serves or served, as signing or control key. Applicants' addresses serve nobody yet."""
        details = [Bytes32(bytes([0] * 11 + [custody]) + key) for custody in Custody]
        holder = select(HISTORY.c.participant).where(HISTORY.c.kind.in_(_KEYS), HISTORY.c.detail.in_(details)).limit(1)
        with self._database.read() as connection:
            participant = connection.scalar(holder)
            return None if participant is None else self.find(participant)

    def list(
        self, *, state: str | None = None, text: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> RowPage[ParticipantRow]:
        """Participants and applicants by state (applied, active, suspended, retired) and by text in handle or profile.

        Raises:
            MalformedError: the cursor is not one of this list with these filters.
        """
        check_choice("state", state, "applied", "active", "suspended", "retired")
        query, known, status = _select_participants()
        if state is not None:
            query = query.where(status == state)
        if text:
            query = query.where(mentions(text, _PROFILE.c.search, PARTICIPANT_HANDLES.c.handle))
        keys = (known.c.first_at, known.c.participant)
        window = Window(self._cursors, "participants", {"state": state, "text": text}, limit, cursor, keys)
        query = window.apply(query)
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(query).all())
            return RowPage(tuple(_to_row(row) for row in rows), following, read_as_of(connection))

    def keys(self, participant: Bytes32) -> tuple[KeyRow, ...]:
        """All keys it has or had, the oldest first. Empty for an applicant."""
        query = select(HISTORY).where(HISTORY.c.participant == participant, HISTORY.c.kind.in_(_KEYS))
        with self._database.read() as connection:
            return _fold_keys(participant, connection.execute(query.order_by(HISTORY.c.index)).all())

    def active_signing_keys(self, participant: Bytes32) -> tuple[KeyRow, ...]:
        """Its signing keys that are active now."""
        return tuple(key for key in self.keys(participant) if key.role == "signing" and key.active_until is None)


def _latest(participant: ColumnElement[Any], column: str, kinds: Sequence[HistoryKind]) -> ColumnElement[Any]:
    """A column of the participant's last record of some kinds."""
    return (
        select(HISTORY.c[column])
        .where(HISTORY.c.participant == participant, HISTORY.c.kind.in_(kinds))
        .order_by(HISTORY.c.index.desc())
        .limit(1)
        .scalar_subquery()
    )


def _select_participants(
    of: ColumnElement[bool] | None = None,
) -> tuple[Select[Any], Subquery, ColumnElement[str]]:
    """Everyone who applied (founders too), with standing; the subquery; and the status's expression."""
    newest = (APPLICATIONS.c.block.desc(), APPLICATIONS.c.position.desc())
    whose = APPLICATIONS.c.participant
    filed: Select[Any] = select(
        APPLICATIONS,
        func.row_number().over(partition_by=whose, order_by=newest).label("rank"),
        func.min(block_moment(APPLICATIONS.c.time)).over(partition_by=whose).label("first_at"),
    )
    latest = (filed if of is None else filed.where(of)).subquery("latest")
    who = latest.c.participant
    versions = select(func.count()).where(HISTORY.c.participant == who, HISTORY.c.kind.in_(_PROFILES))
    known = (
        select(
            latest,
            _latest(who, "kind", _STANDING).label("standing"),
            _latest(who, "kind", _GOVERNING).label("governing"),
            _latest(who, "detail", (HistoryKind.CONTROL_KEY_SET,)).label("present_control_key"),
            _latest(who, "detail", _PROFILES).label("present_profile"),
            _latest(who, "time", (HistoryKind.ADMITTED,)).label("admitted_at"),
            versions.scalar_subquery().label("profile_version"),
        )
        .where(latest.c.rank == 1)
        .subquery("known")
    )
    profile_hash = func.coalesce(known.c.present_profile, known.c.profile_hash)
    status = case(
        (known.c.standing == HistoryKind.SUSPENDED, "suspended"),
        (known.c.standing == HistoryKind.RETIRED, "retired"),
        (known.c.standing.is_not(None), "active"),
        else_="applied",
    )
    joined = known.outerjoin(PARTICIPANT_HANDLES, PARTICIPANT_HANDLES.c.participant == known.c.participant)
    joined = join_document(joined, _PROFILE, profile_hash, known.c.participant, "profile")
    columns = (status.label("status"), _PROFILE.c.body, PARTICIPANT_HANDLES.c.handle)
    return select(known, *columns).select_from(joined), known, status


def _to_row(row: Row[Any]) -> ParticipantRow:
    held = row.present_control_key
    return ParticipantRow(
        id=row.participant,
        handle=row.handle,
        status=row.status,
        governor=row.governing == HistoryKind.GOVERNOR_APPOINTED,
        control_key=row.control_key if held is None else Address(held[12:]),
        profile_version=row.profile_version,
        profile_hash=row.profile_hash if row.present_profile is None else row.present_profile,
        profile=document_of(row.body),
        admitted_at=row.admitted_at,
        first_seen_at=row.first_at,
    )


def _fold_keys(participant: Bytes32, records: Sequence[Row[Any]]) -> tuple[KeyRow, ...]:
    keys: dict[tuple[str, Address], KeyRow] = {}
    control: tuple[str, Address] | None = None
    for record in records:
        address = Address(record.detail[12:])
        if record.kind == HistoryKind.KEY_ADDED:
            custody = Custody(record.detail[11])
            keys["signing", address] = KeyRow(participant, address, "signing", custody, record.time, None)
        elif record.kind == HistoryKind.KEY_REVOKED:
            keys["signing", address] = _end(keys["signing", address], record.time)
        else:
            if control is not None:
                keys[control] = _end(keys[control], record.time)
            control = ("control", address)
            keys[control] = KeyRow(participant, address, "control", Custody.OWN, record.time, None)
    return tuple(keys.values())


def _end(key: KeyRow, time: datetime) -> KeyRow:
    return KeyRow(key.participant, key.key, key.role, key.custody, key.active_from, time)
