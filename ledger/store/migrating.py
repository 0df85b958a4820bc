"""Bringing a database to this version's schema, never back."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from ledger.errors import ConflictError
from ledger.store.database import lock_for_migration

__all__ = ["load_scripts", "upgrade"]

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    # A percent sign in the path would be read as an interpolation.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config


def load_scripts() -> ScriptDirectory:
    """The migrations that this version knows."""
    return ScriptDirectory.from_config(_config())


def upgrade(connection: Connection) -> None:
    """Run what is missing, within the connection's transaction.

    Raises:
        ConflictError: the database is of a newer version (code ``database-newer``).
    """
    lock_for_migration(connection)
    present = MigrationContext.configure(connection).get_current_revision()
    scripts = load_scripts()
    if present == scripts.get_current_head():
        return
    if present is not None and present not in {script.revision for script in scripts.walk_revisions()}:
        raise ConflictError(
            f"the database has schema {present}, which this version does not know: it was written by a newer one. "
            "Install that version again, or restore a backup made before its upgrade",
            code="database-newer",
        )
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
