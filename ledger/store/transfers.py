"""Transfers, their accesses, and nonces of signed requests."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from ledger.errors import ConflictError, NotFoundError
from ledger.store.cursors import Cursors, Window
from ledger.store.database import Database
from ledger.store.queries.endings import select_ended
from ledger.store.queries.standing import read_as_of
from ledger.store.rows import RowPage
from ledger.store.rows.transfers import AccessRow, TransferRow
from ledger.store.schema.gateway import STATEMENTS
from ledger.store.schema.transfers import ACCESSES, NONCES, TRANSFERS
from ledger.types import Address, Bytes32

__all__ = ["Transfers"]

_T: Final = TRANSFERS.c
_A: Final = ACCESSES.c
_MOST_ALIKE: Final = 100
"""Ranges of one transfer under one block, after which the oldest of them is widened instead."""


class Transfers:
    """Transfers by id."""

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self._database = database
        self._cursors = cursors

    def add_or_get(self, row: TransferRow) -> TransferRow:
        """Record a transfer that begins, or return the one with this id that is there."""
        values = {name: getattr(row, name) for name in TransferRow.__dataclass_fields__}
        with self._database.write() as connection:
            try:
                with connection.begin_nested():
                    connection.execute(insert(TRANSFERS).values(**values))
            except IntegrityError:
                return self.get(row.id)
        return row

    def find(self, transfer: Bytes32) -> TransferRow | None:
        """The transfer with this id."""
        with self._database.read() as connection:
            row = connection.execute(select(TRANSFERS).where(_T.id == transfer)).one_or_none()
        return None if row is None else _to_row(row)

    def get(self, transfer: Bytes32) -> TransferRow:
        """The transfer with this id. Raises: NotFoundError."""
        row = self.find(transfer)
        if row is None:
            raise NotFoundError(f"there is no transfer {transfer}")
        return row

    def list_unreleased(self, provider: Bytes32, limit: int) -> tuple[TransferRow, ...]:
        """A provider's transfers that are receipted and whose key is not in the log, the oldest first."""
        stated = STATEMENTS.c
        logged = select(stated.digest).where(stated.digest == _T.release, stated.log_index.is_not(None)).exists()
        waiting = (_T.provider == provider) & _T.receipt.is_not(None) & (_T.release.is_(None) | ~logged)
        query = select(TRANSFERS).where(waiting).order_by(_T.opened_at, _T.id).limit(limit)
        with self._database.read() as connection:
            return tuple(_to_row(row) for row in connection.execute(query))

    def announce_receipt(self, transfer: Bytes32, receipt: Bytes32) -> None:
        """Record which receipt is about to enter the log. Raises: ConflictError: another one did before."""
        with self._database.write() as connection:
            unanswered = (_T.id == transfer) & (_T.receipt.is_(None) | (_T.receipt == receipt))
            if connection.execute(update(TRANSFERS).where(unanswered).values(receipt=receipt)).rowcount == 0:
                raise ConflictError(
                    "this transfer has its receipt already: begin another one", code="transfer-receipted"
                )

    def forget_receipt(self, transfer: Bytes32, receipt: Bytes32) -> None:
        """A receipt that was announced did not enter the log."""
        with self._database.write() as connection:
            announced = (_T.id == transfer) & (_T.receipt == receipt)
            connection.execute(update(TRANSFERS).where(announced).values(receipt=None))

    def announce_release(self, transfer: Bytes32, release: Bytes32) -> None:
        """Record which release is about to enter the log; it takes the place of one that did not get there."""
        with self._database.write() as connection:
            connection.execute(update(TRANSFERS).where(_T.id == transfer).values(release=release))

    def list_owed(self, sealing: Bytes32) -> tuple[TransferRow, ...]:
        """Transfers of a sealing (the digest of its ``Sealing``) whose receipt is in the log and whose key is not."""
        said, released = STATEMENTS.alias("said"), STATEMENTS.alias("released")
        receipted = exists().where(said.c.digest == _T.receipt, said.c.log_index.is_not(None))
        answered = exists().where(released.c.digest == _T.release, released.c.log_index.is_not(None))
        query = select(TRANSFERS).where(_T.sealing == sealing, receipted, ~answered).order_by(_T.opened_at, _T.id)
        with self._database.read() as connection:
            return tuple(_to_row(row) for row in connection.execute(query))

    def list_ended(self, now: datetime) -> tuple[tuple[Bytes32, Bytes32], ...]:
        """Registration and grant: of the version's current sealing data or key were given under it, and it is over."""
        with self._database.read() as connection:
            return tuple((row.registration, row.grant) for row in connection.execute(select_ended(now)))

    def log_access(self, transfer: Bytes32, access: AccessRow) -> None:
        """Record an access, durably, before it is given; what joins one under the same block is one with it."""
        while True:
            with self._database.write() as connection, suppress(IntegrityError):  # another process took that number
                with connection.begin_nested():
                    _log_access(connection, transfer, access)
                return

    def list_accesses(self, transfer: Bytes32, *, limit: int = 50, cursor: str | None = None) -> RowPage[AccessRow]:
        """Accesses of a transfer, the newest first. Raises: MalformedError: the limit or the cursor."""
        query = select(ACCESSES).where(_A.transfer == transfer)
        window = Window(self._cursors, "accesses", {"transfer": transfer}, limit, cursor, (_A.number,))
        query = window.apply(query)
        with self._database.read() as connection:
            rows, following = window.split(connection.execute(query).all())
            items = tuple(AccessRow(row.at, row.block, row.what, row.first_byte, row.last_byte) for row in rows)
            return RowPage(items, following, read_as_of(connection))

    def claim_nonce(self, key: Address, nonce: str, until: datetime) -> bool:
        """Remember a signed request until it can not be brought any more; False: it was brought before."""
        with self._database.write() as connection:
            try:
                with connection.begin_nested():
                    connection.execute(insert(NONCES).values(key=key, nonce=nonce, until=until))
            except IntegrityError:
                return False
        return True

    def drop_nonces(self, before: datetime) -> int:
        """Forget requests that can not be brought any more; return how many."""
        with self._database.write() as connection:
            return connection.execute(delete(NONCES).where(NONCES.c.until < before)).rowcount


def _log_access(connection: Connection, transfer: Bytes32, access: AccessRow) -> None:
    values = {name: getattr(access, name) for name in AccessRow.__dataclass_fields__}
    alike = (_A.transfer == transfer) & (_A.block == access.block) & (_A.what == access.what)
    rows = connection.execute(select(ACCESSES).where(alike).order_by(_A.number.desc()).limit(_MOST_ALIKE)).all()
    joined = next((row for row in rows if _touches(row, access)), rows[-1] if len(rows) == _MOST_ALIKE else None)
    if joined is None:
        last = select(func.coalesce(func.max(_A.number), 0)).where(_A.transfer == transfer)
        number = 1 + (connection.scalar(last) or 0)
        connection.execute(insert(ACCESSES).values(transfer=transfer, number=number, **values))
    elif access.first_byte is not None and access.last_byte is not None:
        first, last_byte = min(joined.first_byte, access.first_byte), max(joined.last_byte, access.last_byte)
        same = (_A.transfer == transfer) & (_A.number == joined.number)
        connection.execute(update(ACCESSES).where(same).values(first_byte=first, last_byte=last_byte))


def _touches(row: Row[Any], access: AccessRow) -> bool:
    """Whether both together are one range of bytes; what has none is the same again."""
    if access.first_byte is None or access.last_byte is None:
        return True
    return bool(row.first_byte <= access.last_byte + 1 and access.first_byte <= row.last_byte + 1)


def _to_row(row: Row[Any]) -> TransferRow:
    return TransferRow(**{name: row._mapping[name] for name in TransferRow.__dataclass_fields__})
