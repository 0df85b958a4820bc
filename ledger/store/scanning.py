"""All that is stored, in order, for checks of the whole: few columns, as they are stored, in flat memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Text, select, type_coerce

from ledger.store.database import Database
from ledger.store.rows import FileRow
from ledger.store.schema.gateway import CONTENT_FILES, OPENINGS, SIGNED_CHECKPOINTS, STATEMENTS, UPLOADS
from ledger.types import Address, Bytes32

__all__ = ["ScannedStatement", "Scanning"]

_PAGE: Final = 1000
_S = STATEMENTS.c
_C = SIGNED_CHECKPOINTS.c


@dataclass(frozen=True, slots=True)
class ScannedStatement:
    """A stored statement; ``message`` is its JSON text, to the byte as it is stored."""

    index: int
    digest: Bytes32
    type: str
    participant: Bytes32
    message: str
    signature: bytes
    signer: Address
    cosignature: bytes | None
    executable: bool


class Scanning:
    """Reads in pages, each a transaction of its own: what is being added meanwhile may or may not be seen."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_statements(self, log: Bytes32, first: int, end: int) -> list[ScannedStatement]:
        """The statements at a log's indexes from ``first`` to before ``end``, in order. Raises: UnavailableError."""
        message = type_coerce(_S.message, Text)
        query = (
            select(_S.log_index, _S.digest, _S.type, _S.participant, message, _S.signature, _S.signer)
            .add_columns(_S.cosignature, _S.executable)
            .where(_S.log == log, _S.log_index >= first, _S.log_index < end)
            .order_by(_S.log_index)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            ScannedStatement(
                index=row[0],
                digest=row[1],
                type=row[2],
                participant=row[3],
                message=row[4],
                signature=bytes(row[5]),
                signer=row[6],
                cosignature=None if row[7] is None else bytes(row[7]),
                executable=row[8],
            )
            for row in rows
        ]

    def iterate_checkpoints(self, origin: str) -> Iterator[tuple[int, str]]:
        """Size and text of each signed checkpoint of the log, the smallest first. Raises: UnavailableError."""
        after = -1
        while True:
            query = select(_C.text, _C.size).where(_C.origin == origin).order_by(_C.size).limit(_PAGE)
            if after >= 0:
                query = query.where(_C.size > after)
            with self._database.read() as connection:
                rows = connection.execute(query).all()
            for row in rows:
                yield row.size, row.text
            if len(rows) < _PAGE:
                return
            after = rows[-1].size

    def list_uploaded(self) -> tuple[FileRow, ...]:
        """The files that are said to be here, those of each version. Raises: UnavailableError."""
        joined = UPLOADS.join(OPENINGS, OPENINGS.c.registration == UPLOADS.c.registration).join(
            CONTENT_FILES,
            (CONTENT_FILES.c.content_root == OPENINGS.c.content_root)
            & (CONTENT_FILES.c.position == UPLOADS.c.position),
        )
        query = select(UPLOADS.c.registration, CONTENT_FILES, UPLOADS.c.uploaded_at).select_from(joined)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(UPLOADS.c.registration, UPLOADS.c.position)).all()
        return tuple(
            FileRow(**{name: row._mapping[name] for name in FileRow.__dataclass_fields__})  # as ``Contents`` reads them
            for row in rows
        )
