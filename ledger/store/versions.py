"""Which schema a database has, without changing it."""

from __future__ import annotations

from dataclasses import dataclass

from alembic.migration import MigrationContext

from ledger.store.database import Database
from ledger.store.migrating import load_scripts

__all__ = ["SchemaVersion", "read_schema_version"]


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """The schema that a database has (None: it is empty), and the one that this version of the program makes."""

    present: str | None
    newest: str
    is_known: bool

    @property
    def is_newest(self) -> bool:
        """Whether nothing is to be done."""
        return self.present == self.newest


def read_schema_version(url: str) -> SchemaVersion:
    """Look, and change nothing. Raises: MalformedError, UnavailableError, FatalError: as ``Store.open``."""
    database = Database.connect(url)
    try:
        with database.read() as connection:
            present = MigrationContext.configure(connection).get_current_revision()
    finally:
        database.close()
    scripts = load_scripts()
    known = {script.revision for script in scripts.walk_revisions()}
    return SchemaVersion(present, scripts.get_current_head() or "", present is None or present in known)
