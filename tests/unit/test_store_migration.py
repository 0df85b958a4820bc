"""Migrations: from nothing to the present schema, never past what this version knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from ledger.errors import ConflictError
from ledger.store import Store
from ledger.store.database import Database
from ledger.store.migrating import load_scripts, upgrade
from ledger.store.schema import METADATA
from tests.support.databases import database_url


def database(folder: Path) -> Database:
    return Database.connect(database_url(folder))


def test_models_match_the_migrations(tmp_path: Path) -> None:
    opened = database(tmp_path)
    with opened.write() as connection:
        upgrade(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    opened.close()


def test_the_history_of_migrations_is_one_line() -> None:
    scripts = load_scripts()
    assert len(scripts.get_heads()) == 1
    assert len(scripts.get_bases()) == 1


def test_upgrading_twice_changes_nothing(tmp_path: Path) -> None:
    opened = database(tmp_path)
    for _ in range(2):
        with opened.write() as connection:
            upgrade(connection)
    opened.close()


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    Store.open(database_url(tmp_path)).close()
    opened = database(tmp_path)
    with opened.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    opened.close()
    with pytest.raises(ConflictError, match="Install that version again") as caught:
        Store.open(database_url(tmp_path))
    assert caught.value.code == "database-newer"


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    opened = database(tmp_path)

    def fail() -> None:
        with opened.write() as connection:
            upgrade(connection)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with opened.read() as connection:
        assert inspect(connection).get_table_names() == []
    opened.close()


@pytest.mark.parametrize("table", METADATA.sorted_tables, ids=lambda table: table.name)
def test_every_table_can_be_made_on_postgresql(table: object) -> None:
    made = METADATA.tables[str(table)]
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    assert str(CreateTable(made).compile(dialect=dialect))
    for index in made.indexes:
        assert len(index.name or "") <= 63
        assert str(CreateIndex(index).compile(dialect=dialect))
