"""A PostgreSQL database that several processes share, whatever database this run keeps its other stores in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.support.databases import database_url, is_postgresql
from tests.support.postgres import find_programs, running_postgres

__all__ = ["DatabaseUrl", "shared_databases"]

DatabaseUrl = Callable[[Path], str]


@pytest.fixture(scope="module")
def shared_databases() -> Iterator[DatabaseUrl]:
    """The URL of the database that belongs to a folder, on the run's server or on one of the module's own."""
    if is_postgresql():
        yield database_url
        return
    if find_programs() is None:
        pytest.skip(
            "THERE IS NO POSTGRESQL SERVER HERE: several processes on one database are not tested (make system)"
        )
    with ExitStack() as stack:
        server = stack.enter_context(running_postgres())

        def url_of(folder: Path) -> str:
            name = "t" + hashlib.sha256(str(folder).encode()).hexdigest()[:32]
            with psycopg.connect(f"{server.parameters} dbname=postgres", autocommit=True) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
                if known is None:
                    connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
            return f"postgresql+psycopg://postgres@/{name}?host={server.folder}"

        yield url_of
