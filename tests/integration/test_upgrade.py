"""A home that an older version filled, brought to the present schema by the command."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from alembic import command

from ledger.store.database import Database
from ledger.store.migrating import _config
from ledger.store.schema.chain import BLOCKS, EFFECTS
from tests.support.operated import Kept, Ran, goes_on, home, kept, run

__all__ = ["home", "kept", "run"]


def failed(ran: Ran) -> dict[str, str]:
    """What the doctor found, by name."""
    return {each["name"]: each["detail"] for each in ran.json["checks"] if each["standing"] == "failed"}


def rows_by_name(database: Path) -> dict[str, list[dict[str, object]]]:
    """Every row of every table, each by its columns' names, in an order that does not depend on the table's."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {each: [dict(row) for row in connection.execute(f"SELECT * FROM {each}")] for each in tables}
    return {table: sorted(found, key=lambda row: repr(sorted(row.items()))) for table, found in rows.items()}


def make_of_the_first_schema(present: Path, first: Path) -> None:
    """The database as the first version would have written it: its own migration, and the same rows in its tables."""
    made = Database.connect(f"sqlite:///{first}")
    with made.write() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    made.close()
    with closing(sqlite3.connect(first)) as raw, raw:
        raw.execute("ATTACH ? AS present", (str(present),))
        tables = [name for (name,) in raw.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in set(tables) - {"alembic_version", "said_registrations", "statement_parties"}:
            columns = ", ".join(f'"{row[1]}"' for row in raw.execute(f"PRAGMA main.table_info({table})"))
            raw.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM present.{table}")
        said = "digest, dataset, participant, version, content_hash, metadata_hash, dataset_salt"
        raw.execute(
            f"INSERT INTO main.said_registrations ({said}) SELECT {said} FROM present.statements WHERE dataset NOT NULL"
        )
        raw.execute(  # the first version kept a statement's own participant among its parties
            "INSERT INTO main.statement_parties SELECT digest, participant FROM present.statement_parties "
            "UNION SELECT digest, participant FROM present.statements"
        )


def test_a_home_of_the_first_schema_is_upgraded_with_all_that_it_holds(
    kept: Kept, home: Path, run: Callable[..., Ran]
) -> None:
    database, newest = home / "ledger.db", rows_by_name(home / "ledger.db")
    assert all(newest[each] for each in ("statements", "uploads", "documents", "outbox", BLOCKS.name, EFFECTS.name))
    make_of_the_first_schema(database, home / "first.db")
    for each in home.glob("ledger.db*"):
        each.unlink()
    (home / "first.db").rename(database)
    assert rows_by_name(database).keys() < newest.keys() | {"said_registrations"}
    ran = run("doctor", "--home", home, "--json")
    assert "schema 0001, this version's is" in failed(ran)["database"]
    ran = run("upgrade", "--home", home, "--json")
    assert (ran.code, ran.json["before"], ran.json["after"]) == (0, "0001", newest["alembic_version"][0]["version_num"])
    assert rows_by_name(database) == newest
    ran = run("doctor", "--home", home, "--json")
    assert (ran.code, failed(ran)) == (0, {}), ran
    goes_on(home, kept.founded)
