"""Which database a test's store is kept in: a SQLite file, or with `--database postgresql` one of a real server."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import psycopg

__all__ = ["SERVER", "database_url", "is_postgresql"]

SERVER: Final = "CONCORD_TEST_POSTGRESQL"
"""Where `tests/conftest.py` tells every worker the folder of the server's socket."""


def is_postgresql() -> bool:
    """Whether this run keeps its stores in PostgreSQL."""
    return SERVER in os.environ


def database_url(folder: Path, name: str = "store") -> str:
    """The URL of the database that belongs to ``folder`` and ``name``: the same whenever it is asked for."""
    if not is_postgresql():
        return f"sqlite:///{folder / name}.sqlite3"
    socket = os.environ[SERVER]
    database = "t" + hashlib.sha256(f"{folder}/{name}".encode()).hexdigest()[:32]
    with psycopg.connect(f"host={socket} user=postgres dbname=postgres", autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is None:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))
    return f"postgresql+psycopg://postgres@/{database}?host={socket}"
